"""The embedded server: found again, reused, private, and gone when stopped."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.support import scratch

from consumer_analytics.db.connection import conninfo
from consumer_analytics.errors import LocalServerError
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.settings import Settings

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes servers below a short path; all stopped after."""
    servers: list[EmbeddedPostgres] = []
    with tempfile.TemporaryDirectory(
        prefix="ca-pg-", ignore_cleanup_errors=True, dir=scratch.place()
    ) as top:

        def build(name: str = "postgres", **options: str) -> EmbeddedPostgres:
            servers.append(EmbeddedPostgres(Path(top) / name, options={**FAST, **options}))
            return servers[-1]

        yield build
        for server in servers:
            server.stop()


def _ask(server: EmbeddedPostgres, statement: str, user: str = "analytics") -> object:
    with psycopg.connect(server.conninfo(user)) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


def test_data_is_there_after_stop_and_start(make: Make) -> None:
    server = make()
    assert server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as n")
    server.stop()
    assert server.processes() == []
    assert server.start()
    assert _ask(server, "select n from kept") == 42


def test_running_server_is_found_and_reused(make: Make) -> None:
    first, second = make(), make()
    first.start()
    assert not second.start()
    assert second.pid == first.pid
    second.stop()
    assert first.pid is None


def test_killed_server_starts_again_with_its_committed_rows(make: Make) -> None:
    server = make()
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(server.pid)] if server.pid else [], timeout=10)
    assert server.start()
    assert _ask(server, "select n from kept") == 42


def test_lock_file_naming_a_living_stranger_does_not_stop_the_start(make: Make) -> None:
    server = make()
    server.start()
    left = (server.data / "postmaster.pid").read_text()
    server.stop()
    stranger = os.getpid()
    (server.data / "postmaster.pid").write_text(left.replace(left.split()[0], str(stranger), 1))
    assert server.pid is None
    assert server.start()


def test_interrupted_creation_is_done_over(make: Make) -> None:
    server = make()
    (server.folder / "data.partial" / "base").mkdir(parents=True)
    assert server.start()
    assert not (server.folder / "data.partial").exists()


def test_folder_with_a_long_path_works(make: Make) -> None:
    server = make("long-" + "x" * 120)
    server.start()
    assert _ask(server, "select 1") == 1
    assert not server.socket_dir.is_relative_to(server.folder)
    server.stop()
    assert not server.socket_dir.exists()


def test_folder_with_odd_characters_works(make: Make) -> None:
    server = make("it's a home, é")
    server.start()
    assert _ask(server, "select 1") == 1


def test_folder_that_a_shell_would_misread_is_refused(make: Make) -> None:
    server = make("costs $HOME")
    with pytest.raises(LocalServerError, match=r"for the '\$' in its path"):
        server.start()
    assert not server.folder.exists()


def test_only_its_own_user_can_reach_the_socket(make: Make) -> None:
    server = make()
    server.start()
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
    assert _ask(server, "show listen_addresses") == ""


def test_role_is_no_superuser_but_sees_other_sessions(make: Make) -> None:
    server = make()
    server.start()
    assert _ask(server, "select rolsuper from pg_roles where rolname = current_user") is False
    assert _ask(
        server,
        "select datdba::regrole::text from pg_database where datname = 'analytics'",
    )
    with psycopg.connect(server.conninfo(SUPERUSER)) as other:
        other.execute("select 1")
        pid = other.info.backend_pid
        seen = _ask(
            server, f"select xact_start is not null from pg_stat_activity where pid = {pid}"
        )
    assert seen is True


def test_engine_finds_the_server_by_its_home(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make()
    server.start()
    monkeypatch.setenv("PGPORT", "1")
    settings = Settings(home=server.folder.parent)
    with psycopg.connect(conninfo(settings)) as connection:
        row = connection.execute("select current_user::text, current_database()::text").fetchone()
    assert row == ("analytics", "analytics")


def test_data_of_another_version_is_refused_in_one_line(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(LocalServerError, match=r"is PostgreSQL 12's, the server is 18"):
        server.start()


def test_server_that_does_not_start_says_the_servers_own_reason(make: Make) -> None:
    server = make(shared_buffers="1kB")
    with pytest.raises(LocalServerError, match=r"does not start: .*shared_buffers") as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert server.processes() == []


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalServerError, match="cannot be made: Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


def test_stopping_what_never_ran_is_nothing(tmp_path: Path) -> None:
    EmbeddedPostgres(tmp_path / "nowhere").stop()
    assert not (tmp_path / "nowhere").exists()


def test_stopping_ends_a_creation_of_data_that_nobody_waits_for(make: Make, tmp_path: Path) -> None:
    server = make()
    server.folder.mkdir()
    # What an interrupt leaves that comes before we have taken note of the process.
    stand_in = tmp_path / "initdb"
    shutil.copy(shutil.which("sleep") or "", stand_in)
    with subprocess.Popen([str(stand_in), "600"], cwd=server.folder) as left:
        assert [process.pid for process in server.processes()] == [left.pid]
        server.stop()
        assert left.wait(10) is not None
    assert server.processes() == []
