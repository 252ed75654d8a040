"""Tables that others use, locked for a moment: all at once, and again and again until it comes.

Whoever has one of the tables and waits for another, which we have, waits for us in a circle. The
server looks for such circles in whoever has waited for `deadlock_timeout`, and ends one in them. So
a try gives up long before that, leaves everybody's transaction alone, and the next one takes the
tables in another order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.errors import BusyError
from consumer_analytics.formatting import duration
from consumer_analytics.sql import query

_T = TypeVar("_T")

Mode = Literal["share row exclusive", "access exclusive"]
#: The longest try in seconds, and what part of `deadlock_timeout` it is at most. Behind one who
#: waits to have a table alone even its readers wait for so long.
_TRY_SECONDS, _SHARE = 0.4, 2
#: What others may have all the same, as `pg_locks.mode` has it.
_HARMLESS = {"share row exclusive": ["AccessShareLock", "RowShareLock"], "access exclusive": []}
_PAUSE_SECONDS = 0.05


def work(
    connection: Connection,
    what: Callable[[], _T],
    *,
    tables: Sequence[Sequence[sql.Identifier]],
    mode: Mode,
    seconds: float,
    refused: str,
    before: Sequence[sql.Composed] = (),
) -> _T:
    """Work in a transaction that has locked tables; where that fails, try again.

    What else the work waits for, it waits for no longer than a try.

    Args:
        connection: in autocommit; in a transaction, a savepoint is what is tried.
        what: the work, which may be begun several times and is done once.
        tables: which, in groups whose order among each other is varied.
        mode: how they are locked; `share row exclusive` makes no reader wait.
        seconds: how long to go on trying.
        refused: begins the sentence that says that it did not come to it.
        before: statements that lock what others lock before the tables, and what LOCK cannot.

    Raises:
        BusyError: the time is up; it names who holds the tables.
    """
    until = time.monotonic() + seconds
    groups = [group for group in tables if group]
    patience = scalar(
        connection, "select setting::int from pg_settings where name = 'deadlock_timeout'"
    )
    most = str(max(1, min(int(patience) // _SHARE, round(_TRY_SECONDS * 1000))))
    while True:
        locked = False
        try:
            with connection.transaction():
                _lock(connection, [one for group in groups for one in group], mode, most, before)
                locked = True
                return what()
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.QueryCanceled,
            psycopg.errors.DeadlockDetected,
        ) as error:
            if locked and isinstance(error, psycopg.errors.QueryCanceled):
                # Somebody has asked for it.
                raise
            if time.monotonic() > until:
                raise busy(connection, tables, mode, refused) from error
            # Those who wait behind us have their turn.
            time.sleep(_PAUSE_SECONDS * (1 + random.random()))  # noqa: S311
            random.shuffle(groups)


def _lock(
    connection: Connection,
    tables: Sequence[sql.Identifier],
    mode: Mode,
    milliseconds: str,
    before: Sequence[sql.Composed],
) -> None:
    # The statement's as well: of what it names, one after another is locked.
    connection.execute(
        "select set_config('lock_timeout', %(most)s, true), "
        "set_config('statement_timeout', %(most)s, true)",
        {"most": milliseconds},
    )
    for statement in before:
        connection.execute(statement)
    if tables:
        connection.execute(
            sql.SQL("lock table {} in {} mode").format(sql.SQL(", ").join(tables), sql.SQL(mode))
        )
    connection.execute("select set_config('statement_timeout', '0', true)")


def busy(
    connection: Connection,
    tables: Sequence[Sequence[sql.Identifier]],
    mode: Mode,
    refused: str,
) -> BusyError:
    """Return the error of one whose turn did not come; it names who holds the tables."""
    return BusyError(
        f"{refused}: {_holders(connection, tables, mode)}; try again when that has ended "
        "(pg_terminate_backend ends a session)"
    )


def _holders(connection: Connection, tables: Sequence[Sequence[sql.Identifier]], mode: Mode) -> str:
    """Say who holds the tables, as `pid 12 (billing, user app, idle in transaction)`."""
    names = [one.as_string(connection) for group in tables for one in group]
    found = connection.execute(
        query("db/table-holders"), {"tables": names, "harmless": _HARMLESS[mode]}
    ).fetchall()
    if not found:
        return "others took turns on the tables all the time"
    return "; ".join(
        f"{table} is held by a prepared transaction"
        if pid is None
        else f"{table} is held by pid {pid} ({application or 'no application name'}, user {user}, "
        f"{state or 'state unknown'}), open for {duration(age)}"
        for pid, user, application, state, age, table in found
    )
