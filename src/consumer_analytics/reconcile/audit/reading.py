"""How the audit reads: some rows at a time, and days of any age."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection
from consumer_analytics.sql import query


def stream(
    connection: Connection, name: str, values: dict[str, Any] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield a query's rows some at a time: differences may be as many as rows."""
    with connection.cursor(f"audit {name}") as cursor:
        cursor.itersize = 1000
        cursor.execute(query(name), values)
        yield from cursor


def day_of(instant: dt.datetime) -> dt.date | str:
    """Return an instant's UTC day, or what PostgreSQL calls the end of the calendar."""
    if instant == MINUS_INFINITY:
        return "-infinity"
    return "infinity" if instant == INFINITY else instants.day_of(instant)
