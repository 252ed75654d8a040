"""`up --no-airflow`: the engine alone, on its own server; quick, and gone when told."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from tests.e2e.conftest import Installation, installed
from tests.support import lanes


@dataclass(frozen=True)
class FirstStart:
    """A home in which `up` has run to its end: data, and a snapshot.

    Attributes:
        seconds: how long it took.
        left: the processes that it left.
    """

    made: Installation
    done: subprocess.CompletedProcess[str]
    seconds: float
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def first_start() -> Iterator[FirstStart]:
    """Return the first start of a home."""
    with installed() as made:
        began = time.monotonic()
        done = made.run("up", "--no-airflow", "--once")
        assert done.returncode == 0, done.stderr
        yield FirstStart(made, done, time.monotonic() - began, made.processes())


@pytest.fixture
def filled(first_start: FirstStart, installation: Installation) -> Installation:
    """Return a copy of its home, for the tests that are not about a first start."""
    # With its owners: the server's data may be another user's.
    home = first_start.made.home
    subprocess.run(["cp", "-a", f"{home}/.", installation.home], check=True)
    return installation


def one_line(text: str) -> str:
    """Return the only line of an error."""
    (line,) = text.strip().splitlines()
    assert line.startswith("error: ")
    return line


def test_first_snapshot_within_seconds_and_found_again(
    first_start: FirstStart, filled: Installation
) -> None:
    assert first_start.seconds < 30
    assert "snapshot " in first_start.done.stdout
    assert "consumers, " in first_start.done.stdout
    assert "done backfilling the sample's past: 120 days, " in first_start.done.stderr
    assert first_start.left == []

    second = filled.run("up", "--no-airflow", "--once")
    assert second.returncode == 0, second.stderr
    assert "sample" not in second.stderr
    assert filled.processes() == []


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_any_polite_signal_ends_it_with_nothing_left(
    filled: Installation, number: signal.Signals
) -> None:
    filled.start("--no-airflow")
    told = filled.await_ready()
    assert str(filled.home) in told
    assert len(filled.processes()) > 1
    assert filled.interrupt(number) == 0
    assert filled.processes() == []


@pytest.mark.long
def test_interrupted_while_it_starts(installation: Installation) -> None:
    installation.start("--no-airflow")
    installation.await_text(installation.errors, "starting PostgreSQL", 30)
    assert installation.interrupt() == 130, installation.told()
    assert installation.processes() == []
    assert "Traceback" not in installation.told()
    # What was half made does not stand in the way.
    assert installation.run("up", "--no-airflow", "--once").returncode == 0


def test_a_server_that_dies_is_started_again(filled: Installation) -> None:
    filled.start("--no-airflow")
    assert str(filled.home) in filled.await_ready()
    pid = filled.postgres().pid
    assert pid is not None
    (process,) = [one for one in filled.processes() if one.pid == pid]
    process.kill()
    filled.await_text(filled.errors, "warning: PostgreSQL died", 30)
    deadline = time.monotonic() + 30
    while filled.run("status").returncode != 0:
        assert time.monotonic() < deadline
    assert filled.interrupt(signal.SIGTERM) == 0
    assert filled.processes() == []


@pytest.mark.long
def test_a_second_one_is_refused_and_a_server_left_by_a_killed_one_is_taken_over(
    filled: Installation,
) -> None:
    filled.start("--no-airflow")
    filled.await_ready()
    assert filled.process is not None
    second = filled.run("up", "--no-airflow", "--once")
    assert second.returncode == 1
    line = one_line(second.stderr)
    assert f"already runs on {filled.home} (pid {filled.process.pid})" in line
    assert filled.run("status").returncode == 0
    filled.process.kill()
    filled.process.wait()
    assert filled.postgres().pid is not None
    again = filled.run("up", "--no-airflow", "--once")
    assert again.returncode == 0, again.stderr
    assert "found running" in again.stderr
    assert filled.processes() == []


@pytest.mark.long
def test_a_home_that_cannot_be_made_is_one_line(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = installation.run(
        "up", "--once", env={"CONSUMER_ANALYTICS_HOME": str(tmp_path / "file" / "home")}
    )
    assert done.returncode == 1
    assert "CONSUMER_ANALYTICS_HOME" in one_line(done.stderr)


@pytest.mark.parametrize(
    ("family", "address"),
    lanes.first(1, [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")]),
)
def test_a_taken_port_is_one_line_that_names_the_setting(
    installation: Installation, family: socket.AddressFamily, address: str
) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as other:
        try:
            other.bind((address, installation.port))
        except OSError as error:
            pytest.skip(f"no {address} here: {error}")
        other.listen()
        done = installation.run("up", "--once")
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert f"port {installation.port}" in line
    assert "CONSUMER_ANALYTICS_AIRFLOW_PORT" in line
    assert installation.processes() == []


@pytest.mark.long
def test_a_users_own_empty_database_is_not_filled_unasked(
    installation: Installation, new_database: object
) -> None:
    database = new_database(migrated=False)  # type: ignore[operator]
    env = {"CONSUMER_ANALYTICS_DATABASE_URL": database.url}
    done = installation.run("up", "--no-airflow", "--once", env=env)
    assert done.returncode == 0, done.stderr
    assert "--sample" in done.stdout
    assert database.rows("select count(*) from consumers") == [(0,)]
    assert not (installation.home / "postgres").exists()
    done = installation.run("up", "--no-airflow", "--once", "--sample", env=env)
    assert done.returncode == 0, done.stderr
    assert database.rows("select count(*) > 0 from consumers") == [(True,)]
