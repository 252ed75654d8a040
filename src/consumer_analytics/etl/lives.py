"""What is remembered of customers: the lives that have ended, one row for the end of each.

A customer's past follows from its row, its lifecycle events and this memory. Whatever takes in a
deletion remembers the life that it ended while the source still tells of it: whose it was, when
it began, what the customer was last. What an ended life was is worked out here and nowhere else;
which customers there were at an instant, `etl/customers.py` asks of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import INFINITY, Connection, scalar
from consumer_analytics.etl.plan import TimeRange
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def remember(
    connection: Connection,
    settings: Settings,
    ranges: Sequence[TimeRange],
    *,
    first: dt.datetime = INFINITY,
    looking_back: bool = False,
) -> dt.datetime | None:
    """Remember the lives that ended in some ranges, and correct what events in them correct.

    Within the caller's transaction.

    Args:
        connection: in a transaction that may write.
        settings: where the source is.
        ranges: of the events that are read.
        first: instants from this one on are asked next: the lives that ended since are needed.
        looking_back: whether the ranges lie in what was counted before, so that events may have
            come late, or be gone.

    Returns:
        From when on what was known is corrected, as far as it was known; None where it is not.
    """
    asked = [*ranges] if first == INFINITY else [*ranges, TimeRange(first, INFINITY)]
    stretches = _joined(asked)
    if not stretches:
        return None
    connection.execute("drop table if exists pg_temp.concerned_customers")
    late = query(
        "etl/lives/concern-late",
        settings.source_schema,
        in_ranges=_within("created_at", stretches),
        ended_in_ranges=_within("deleted_at", stretches),
    )
    concern = query(
        "etl/lives/concern",
        settings.source_schema,
        lifecycle=query(
            "etl/lives/lifecycle-in-ranges",
            settings.source_schema,
            in_ranges=_within("created_at", stretches),
        ),
        looking_back=sql.Literal(looking_back),
        also=late if looking_back else sql.SQL(""),
    )
    connection.execute(concern, {"first": first})
    return work_out(connection, settings)


def remember_since(
    connection: Connection, settings: Settings, first: dt.datetime
) -> sql.Identifier:
    """Remember the lives that ended from an instant on, where that is much of the source.

    Within the caller's transaction.

    Returns:
        Where the lifecycle events from that instant on are then, as `lifecycle_since` has them.
    """
    connection.execute("drop table if exists pg_temp.concerned_customers, pg_temp.lifecycle_events")
    apart = sql.Identifier("pg_temp", "lifecycle_events")
    lifecycle = lifecycle_since(settings)
    connection.execute(query("etl/lives/lifecycle-apart", lifecycle=lifecycle), {"first": first})
    connection.execute("analyze pg_temp.lifecycle_events (customer_id, event_type)")
    concern = query(
        "etl/lives/concern",
        settings.source_schema,
        lifecycle=sql.SQL("select customer_id, event_type, at from {}").format(apart),
        looking_back=sql.Literal(False),
        also=sql.SQL(""),
    )
    connection.execute(concern, {"first": first})
    work_out(connection, settings)
    return apart


def lifecycle_since(settings: Settings) -> sql.Composed:
    """Compose the lifecycle events from `first` on."""
    return query("etl/lives/lifecycle", settings.source_schema)


def remember_apart(
    connection: Connection,
    settings: Settings,
    ranges: Sequence[TimeRange],
    *,
    first: dt.datetime = INFINITY,
    looking_back: bool = False,
) -> dt.datetime | None:
    """Remember as `remember` does, in a transaction of its own, before one that reads long.

    What it leaves to that one is what has come in the meantime: so that two who read at the same
    time do not write the same.
    """
    with connection.transaction():
        return remember(connection, settings, ranges, first=first, looking_back=looking_back)


def work_out(connection: Connection, settings: Settings) -> dt.datetime | None:
    """Work out the ended lives of the customers in `concerned_customers`.

    Returns:
        From when on what was known is corrected; None where it is not.
    """
    if not scalar(connection, "select exists (select from pg_temp.concerned_customers)"):
        return None
    connection.execute("analyze pg_temp.concerned_customers")
    row: Any = connection.execute(
        query("etl/lives/remember", settings.source_schema)
    ).fetchone() or (None, None, 0)
    return min((at for at in row[:2] if at is not None), default=None)


def _joined(ranges: Sequence[TimeRange]) -> list[TimeRange]:
    """Join ranges that touch."""
    joined: list[TimeRange] = []
    for one in sorted(ranges, key=lambda each: each.lower):
        if joined and one.lower <= joined[-1].upper:
            joined[-1] = TimeRange(joined[-1].lower, max(joined[-1].upper, one.upper))
        else:
            joined.append(one)
    return joined


def _within(column: str, ranges: Sequence[TimeRange]) -> sql.Composed:
    """Compose the condition that a column lies in one of some ranges."""
    name = sql.Identifier(column)
    return sql.SQL("({})").format(
        sql.SQL(" or ").join(
            sql.SQL("({} >= {}::timestamptz and {} < {}::timestamptz)").format(
                name, sql.Literal(one.lower), name, sql.Literal(one.upper)
            )
            for one in ranges
        )
    )
