"""The advisory locks that the product takes: every one of them, with what it keeps apart.

Each is a class (the first of PostgreSQL's two keys) of our own, so that they meet no one
else's, and a key within it. A session holds them: a killed process leaves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import psycopg

from consumer_analytics.errors import BusyError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


class Lock(IntEnum):
    """A class of locks; its values are seen in `pg_locks.classid` and never change.

    Attributes:
        READER: held, shared, by sessions that write no row to the sources: runs do not wait
            for their transactions.
        JOB: one writer of figures at a time; shared by backfills, which write what is new.
        MIGRATE: one change of schema or roles at a time.
        BACKFILL: tells a backfill at work (the key is its number) from one that was killed.
        INCIDENTS: one look at health is judged and noted at a time.
        RUN: one step opens a run (the key is the run's), the others find it open.
        CAPTURE: one run publishes what capture has noted at a time.
    """

    READER = 0x0CA0
    JOB = 0x0CA1
    MIGRATE = 0x0CA2
    BACKFILL = 0x0CA3
    INCIDENTS = 0x0CA4
    RUN = 0x0DA1
    CAPTURE = 0x0EA1


Key = int | str


def _keyed(function: str, key: Key) -> str:
    """Write a call of one of PostgreSQL's lock functions with both keys."""
    return f"select {function}(%s, {'hashtext(%s)' if isinstance(key, str) else '%s::int'})"


def limit_waiting(
    connection: psycopg.Connection[Any], seconds: float, *, in_transaction: bool = False
) -> None:
    """Bound how long the session, or the current transaction alone, waits for a lock."""
    connection.execute(
        "select set_config('lock_timeout', %s, %s)",
        [f"{max(1, int(seconds * 1000))}", in_transaction],
    )


def take(
    connection: psycopg.Connection[Any], lock: Lock, key: Key = 0, *, shared: bool = False
) -> None:
    """Take a lock for the session, waiting for it as long as `lock_timeout` allows.

    Raises:
        psycopg.errors.LockNotAvailable: the time is up.
    """
    function = "pg_advisory_lock_shared" if shared else "pg_advisory_lock"
    connection.execute(_keyed(function, key), [lock.value, key])


def try_to_take(connection: psycopg.Connection[Any], lock: Lock, key: Key = 0) -> bool:
    """Take a lock for the session if it is free, and tell whether it was."""
    row = connection.execute(_keyed("pg_try_advisory_lock", key), [lock.value, key]).fetchone()
    return row is not None and bool(row[0])


def release(
    connection: psycopg.Connection[Any], lock: Lock, key: Key = 0, *, shared: bool = False
) -> None:
    """Let go of a lock; a connection that is closed has let go already."""
    if not connection.closed:
        function = "pg_advisory_unlock_shared" if shared else "pg_advisory_unlock"
        connection.execute(_keyed(function, key), [lock.value, key])


@contextmanager
def held(
    connection: psycopg.Connection[Any], lock: Lock, key: Key = 0, *, shared: bool = False
) -> Iterator[None]:
    """Hold a lock for the block.

    Raises:
        psycopg.errors.LockNotAvailable: it did not come within `lock_timeout`.
    """
    take(connection, lock, key, shared=shared)
    try:
        yield
    finally:
        release(connection, lock, key, shared=shared)


@contextmanager
def job_lock(
    connection: psycopg.Connection[Any], settings: Settings, *, shared: bool = False
) -> Iterator[None]:
    """Hold the job's lock for the block: one writer of figures at a time.

    Shared, it keeps out those who hold it alone: what a backfill writes is new.

    The lock belongs to the session, so that the transaction inside takes its
    snapshot only after the turn has come, and a killed process leaves none.

    Raises:
        BusyError: another one still works after `lock_wait` seconds.
    """
    limit_waiting(connection, settings.lock_wait)
    try:
        take(connection, Lock.JOB, shared=shared)
    except psycopg.errors.LockNotAvailable:
        raise busy(connection, settings) from None
    try:
        yield
    finally:
        release(connection, Lock.JOB, shared=shared)


def busy(connection: psycopg.Connection[Any], settings: Settings) -> BusyError:
    """Return the error of a run whose turn did not come; it names the one at work."""
    row = connection.execute(query("db/job-lock-holder"), {"lock": Lock.JOB.value}).fetchone()
    who = f" (pid {row[0]}, {row[1]})" if row else ""
    return BusyError(
        f"another run is still at work after {settings.lock_wait:g} s{who}; "
        "run again when it is done"
    )
