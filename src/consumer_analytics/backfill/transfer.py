"""What two sessions of a backfill hand each other: rows of their tables, in blocks of COPY."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from consumer_analytics.backfill.customers import CHANGES
from consumer_analytics.db.connection import Connection
from consumer_analytics.db.side_by_side import Pipe
from consumer_analytics.etl.shape import TOTAL, Shape, each
from consumer_analytics.sql import fragment, query


@dataclass(frozen=True)
class Share:
    """What one of two sessions does: the first reads the customers, the second the events.

    Each hands the other what that needs to write its half.

    Attributes:
        first: whether it is the first.
        middle: the last slot of the first one's half.
        types: event types with a column; the same in both.
        events: from the second session to the first.
        customers: from the first session to the second.
    """

    first: bool
    middle: int
    types: tuple[str, ...]
    events: Pipe
    customers: Pipe


def exchange(
    connection: Connection, share: Share, statuses: tuple[str, ...] | None, *, once: bool
) -> tuple[tuple[str, ...] | None, bool]:
    """Hand the other session what it needs of what this one has read, and receive the same.

    In this order in both, so that they do not wait for each other.

    Returns:
        The statuses that have a column, as the first session has found them, and
        whether the events have one row for each cell, as the second has.
    """
    columns = Shape(share.types, (), False).event_columns
    if share.first:
        share.customers.send(statuses)
        share.customers.send_rows(connection, _customers_later(share, statuses))
        typed = each(columns, "{} bigint")
        connection.execute(query("backfill/events-taken", columns=typed))
    else:
        received = share.customers.receive()
        statuses = tuple(received) if received is not None else None
        share.customers.receive_rows(connection, _customers_taken(connection, statuses))
    counted = sql.SQL("consumer_id, slot, rest, events {}").format(each(columns, "{}"))
    if share.first:
        once = share.events.receive()
        share.events.receive_rows(
            connection, sql.SQL("pg_temp.backfill_counted ({})").format(counted)
        )
    else:
        share.events.send(once)
        earlier = sql.SQL("select {} from pg_temp.backfill_counted where slot <= {}")
        share.events.send_rows(connection, earlier.format(counted, share.middle))
    return statuses, once


def _customers_later(share: Share, statuses: tuple[str, ...] | None) -> sql.Composed:
    """Compose what the second session needs of the customers' changes: its half, and a start."""
    middle = sql.Literal(share.middle)
    if statuses is None:
        return query("backfill/customers-later", middle=middle)
    columns = Shape((), statuses, False).customer_columns
    return query(
        "backfill/customers-cells-later",
        middle=middle,
        columns=each(columns, "{}"),
        summed=each(columns, TOTAL + "({})"),
    )


def _customers_taken(connection: Connection, statuses: tuple[str, ...] | None) -> sql.Composed:
    """Make the place for what the first session hands over, and compose what COPY calls it."""
    if statuses is None:
        return sql.SQL("{} ({})").format(CHANGES, sql.SQL(fragment("change_columns")))
    columns = Shape((), statuses, False).customer_columns
    typed = each(columns, "{} bigint not null")
    connection.execute(query("backfill/customers-cells-taken", columns=typed))
    return sql.SQL(
        "pg_temp.customer_cells (consumer_id, slot, customers, dated, created_us, born {})"
    ).format(each(columns, "{}"))
