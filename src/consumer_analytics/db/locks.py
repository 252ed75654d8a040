"""The locks that the product takes: every one of them, with what it keeps apart.

Each is a table of ours that is there to be locked: PostgreSQL lets nobody do that who may not write
to it, while an advisory lock any login could take and keep. A lock is a transaction's, taken as
its first statement: nothing is seen before the turn has come, and a killed process leaves none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import Connection, consistent
from consumer_analytics.errors import BusyError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, query


class Lock(StrEnum):
    """A table that is locked.

    Attributes:
        JOB: one writer of figures at a time; shared by backfills, which write what is new.
        MIGRATE: one change of schema or roles at a time.
        LOOKS: one look at health is noted at a time.
        CAPTURE: one run publishes what capture has noted at a time.
        SHARDS: one works over all shards at a time.
    """

    JOB = "job_lock"
    MIGRATE = "alembic_version"
    LOOKS = "looks_lock"
    CAPTURE = "capture_lock"
    SHARDS = "shards_lock"


def limit_waiting(
    connection: psycopg.Connection[Any], seconds: float, *, in_transaction: bool = False
) -> None:
    """Bound how long the session, or the current transaction alone, waits for a lock."""
    connection.execute(
        "select set_config('lock_timeout', %s, %s)",
        [f"{max(1, int(seconds * 1000))}", in_transaction],
    )


def take(
    connection: psycopg.Connection[Any], lock: Lock, *, shared: bool = False, waits: bool = True
) -> None:
    """Take a lock until the transaction's end, waiting for it as long as `lock_timeout` allows.

    Args:
        connection: in a transaction.
        lock: which.
        shared: together with others who share it.
        waits: whether to wait at all.

    Raises:
        psycopg.errors.LockNotAvailable: another one has it.
    """
    # By a cursor, which does not pause after it: waiting takes nothing of the server.
    connection.cursor().execute(
        # Those who only read the table go on.
        sql.SQL("lock table {} in {} mode{}").format(
            sql.Identifier(INTERNAL, lock.value),
            sql.SQL("share" if shared else "exclusive"),
            sql.SQL("" if waits else " nowait"),
        )
    )


@contextmanager
def job_lock(
    connection: Connection,
    settings: Settings,
    *,
    shared: bool = False,
    sees_commits: bool = False,
    force_rollback: bool = False,
) -> Iterator[None]:
    """Begin a transaction for the block in which no one else writes figures.

    Args:
        connection: in autocommit, and in no transaction.
        settings: `lock_wait` bounds the waiting.
        shared: others who share it write as well: what a backfill writes is new.
        sees_commits: whether each statement sees what others have committed before it; else all
            see the same rows, as they are when the turn has come.
        force_rollback: whether all is taken back in the end.

    Raises:
        BusyError: another one still works after `lock_wait` seconds.
    """
    limit_waiting(connection, settings.lock_wait)
    has_turn = False
    try:
        with (
            connection.transaction(force_rollback=force_rollback)
            if sees_commits
            else consistent(connection)
        ):
            take(connection, Lock.JOB, shared=shared)
            has_turn = True
            yield
    except psycopg.errors.LockNotAvailable:
        if has_turn:
            raise
        raise busy(connection, settings) from None


def busy(connection: psycopg.Connection[Any], settings: Settings) -> BusyError:
    """Return the error of a run whose turn did not come; it names the one at work."""
    row = connection.execute(query("db/job-lock-holder")).fetchone()
    who = f" (pid {row[0]}, {row[1]})" if row else ""
    return BusyError(
        f"another run is still at work after {settings.lock_wait:g} s{who}; "
        "run again when it is done"
    )
