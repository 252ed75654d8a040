"""A Spark Connect server that reads the archive: what it may do to us, and we to it."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as arrow  # noqa: ICN001
import pytest
from pyarrow import parquet
from tests.support import sail

from consumer_analytics.errors import ArchiveError, SettingsError
from consumer_analytics.fields import Secret
from consumer_analytics.lake import engine
from consumer_analytics.lake.engine import spark
from consumer_analytics.settings import Settings

#: Would take hours. Sail ends what reads rows, as this does; a join without a key runs on there.
ENDLESS = "select max(md5(cast(id as string))) as digest from range(400000000000)"


@contextmanager
def deaf() -> Iterator[int]:
    """Listen for the block, and never say a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def nobody() -> int:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port: int = closed.getsockname()[1]
    return port


def refused_within(seconds: float, ask: Callable[[], object]) -> str:
    began = time.monotonic()
    with pytest.raises(ArchiveError) as told:
        ask()
    assert time.monotonic() - began < seconds
    assert "\n" not in str(told.value)
    return str(told.value)


def connect(remote: Secret) -> None:
    with spark.started(remote):
        pass


def test_a_server_that_is_not_there_is_a_line_within_ten_seconds() -> None:
    port = nobody()
    told = refused_within(10, lambda: connect(Secret(f"sc://127.0.0.1:{port}/;x-key=hush")))
    assert told == f"the Spark Connect server at 127.0.0.1:{port} does not answer"
    with deaf() as port:
        told = refused_within(10, lambda: connect(Secret(f"sc://127.0.0.1:{port}")))
    assert told == f"the Spark Connect server at 127.0.0.1:{port} does not answer"


def asking(remote: Secret, meanwhile: Callable[[], Any], after: float) -> None:
    """Ask what takes hours, and let something happen meanwhile."""
    with spark.started(remote) as session:
        timer = threading.Timer(after, meanwhile)
        timer.start()
        try:
            list(session.answer(ENDLESS))
        finally:
            timer.cancel()


def test_a_server_that_is_killed_in_mid_query_is_a_line() -> None:
    with sail.started() as server:
        told = refused_within(20, lambda: asking(server.remote, server.kill, 3))
    assert told == f"the Spark Connect server at 127.0.0.1:{server.port} does not answer"


def test_a_server_that_stands_still_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark, "_ASKED", 0.5)
    monkeypatch.setattr(spark, "_ANSWERED", 2.0)
    with sail.started() as server:
        told = refused_within(25, lambda: asking(server.remote, server.stand_still, 3))
    assert told == f"the Spark Connect server at 127.0.0.1:{server.port} does not answer"


def test_one_that_only_takes_long_is_waited_for(
    sail_server: sail.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark, "_ASKED", 0.01)
    slow = "select count(distinct md5(cast(id as string))) as n from range(1000000)"
    with spark.started(sail_server.remote) as session:
        assert list(session.answer(slow)) == [(1_000_000,)]


def calms_down(server: sail.Server) -> None:
    deadline = time.monotonic() + 10
    while (still := server.busy()) > 0.05:
        assert time.monotonic() < deadline, still


def test_ctrl_c_ends_the_job_on_the_server(sail_server: sail.Server) -> None:
    busy = []

    def press() -> None:
        busy.append(sail_server.busy())
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asking(sail_server.remote, press, 2)
    assert busy[0] > 0.2
    calms_down(sail_server)
    # It is as good as before to whoever comes next.
    with spark.started(sail_server.remote) as session:
        assert list(session.answer("select 1 as one")) == [(1,)]


def test_whoever_leaves_in_the_middle_ends_the_job(sail_server: sail.Server) -> None:
    many = "select md5(cast(id as string)) as digest from range(400000000000)"
    with spark.started(sail_server.remote) as session:
        assert next(iter(session.answer(many))) is not None
    calms_down(sail_server)


def test_what_cannot_be_read_is_told_in_a_line(sail_server: sail.Server, tmp_path: Path) -> None:
    ids = ["00000000-0000-0000-0000-000000000001"]
    names = ("event_id", "customer_id", "consumer_id", "event_type", "payload_json")
    at = arrow.array([0], arrow.timestamp("us", "UTC"))
    good = tmp_path / "good.parquet"
    parquet.write_table(arrow.table({**dict.fromkeys(names, ids), "created_at": at}), good)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing else")
    where = f"the Spark Connect server at 127.0.0.1:{sail_server.port} cannot read the archive: "
    with engine.started(sail_server.remote) as open_files:
        assert list(open_files([str(good)], 1).ids()) == [(ids[0],)]
        told = refused_within(10, lambda: open_files([str(good)], 2))
        assert told.startswith("what reads the archive finds 1 row in it and not 2: ")
        told = refused_within(10, lambda: open_files([str(tmp_path / "bad.parquet")]))
        assert told.startswith(where)
        # Sail finds nothing there, and says nothing.
        told = refused_within(10, lambda: open_files([str(tmp_path / "g[o]od*.parquet")]))
        assert "has characters that Spark may take for a pattern" in told


@pytest.mark.parametrize(
    "address",
    [
        "spark:15002",
        "https://spark",
        "sc://",
        "sc://me:hush@spark",
        "sc://spark/path",
        "sc://s;hush",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(SettingsError, match="no address of a Spark Connect server") as told:
        Settings(spark_remote=Secret(address))
    assert "hush" not in str(told.value)
