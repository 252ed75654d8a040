"""Stopping a process or its backend at a chosen statement, from outside.

The test takes a lock that the statement needs, so that the other side waits at
exactly that point; there it is killed. The sessions that hold such locks
say that they only read, so that no run waits for them.
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from consumer_analytics.db.connection import Connection, connected

_FORK = multiprocessing.get_context("fork")
PATIENCE = 30.0


class Child:
    """A process that does some of the product's work in a session of its own."""

    def __init__(
        self, database: Any, work: Callable[[Connection, Any], Any], **changes: Any
    ) -> None:
        """Start it."""
        settings = database.settings.replaced({"holdback_wait": 5, **changes})

        def body() -> None:
            try:
                with connected(settings, "child") as connection:
                    work(connection, settings)
            except BaseException:  # noqa: BLE001  (a process's end)
                traceback.print_exc()
                os._exit(1)
            os._exit(0)

        self.process = _FORK.Process(target=body, daemon=True)
        self.process.start()

    def kill(self) -> None:
        """SIGKILL it, and wait until it is gone."""
        self.process.kill()
        self.process.join(PATIENCE)

    def join(self) -> int:
        """Wait for its end, and return its exit code."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, "it does not end"
        return self.process.exitcode


@contextmanager
def locked(database: Any, table: str, mode: str) -> Iterator[Connection]:
    """Hold a lock on a table for the block, or until the session yielded rolls back."""
    with database.connect("locker", writes_sources=False) as connection:
        connection.execute("begin")
        connection.execute("set local lock_timeout = '20s'")
        connection.execute(f"lock table {table} in {mode} mode")
        yield connection


def parked(locker: Connection, watcher: Connection) -> int:
    """Wait until a backend waits for what the locker holds; return its process id."""
    return wait_for(
        watcher,
        "select pid from pg_stat_activity where %s = any(pg_blocking_pids(pid)) "
        "and application_name like 'consumer-analytics %%'",
        [locker.info.backend_pid],
    )


def wait_for(watcher: Connection, statement: str, values: list[Any]) -> int:
    """Wait until a query answers a row; return its first column."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        row = watcher.execute(statement, values).fetchone()
        if row is not None:
            return int(row[0])
        time.sleep(0.01)
    raise TimeoutError(f"nothing came to that point: {statement} {values}")
