"""How the audit reads: some rows at a time, and days of any age."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection
from consumer_analytics.sql import query


def make_room(connection: Connection) -> None:
    """Let a session keep in memory what it puts together: before it has a temporary table.

    One that had some before stays as it is.
    """
    with suppress(psycopg.errors.InvalidParameterValue), connection.transaction():
        connection.execute("select set_config('temp_buffers', '64MB', false)")


def prepare(connection: Connection) -> None:
    """Let the current transaction have the memory and the plans that an audit's statements want."""
    # A sort or a hash of this size; what does not fit goes to disk. What was put together a step
    # before has no statistics: taken for far more than it is, it would be sorted to be joined.
    connection.execute(
        "select set_config('work_mem', '256MB', true), set_config('enable_mergejoin', 'off', true)"
    )


def stream(
    connection: Connection,
    name: str,
    values: dict[str, Any] | None = None,
    **parts: sql.Composable,
) -> Iterator[tuple[Any, ...]]:
    """Yield a query's rows some at a time: differences may be as many as rows."""
    with connection.cursor(f"audit {name}") as cursor:
        cursor.itersize = 1000
        cursor.execute(query(name, None, **parts), values)
        yield from cursor


def first_day(instant: dt.datetime) -> dt.date | str:
    """Return the first UTC day that lies at or after an instant as a whole."""
    if instant in {MINUS_INFINITY, INFINITY}:
        return day_of(instant)
    day = instants.day_of(instant)
    return day if instants.start_of(day) == instant else day + dt.timedelta(days=1)


def day_of(instant: dt.datetime) -> dt.date | str:
    """Return an instant's UTC day, or what PostgreSQL calls the end of the calendar."""
    if instant == MINUS_INFINITY:
        return "-infinity"
    return "infinity" if instant == INFINITY else instants.day_of(instant)
