"""What two sessions of a backfill hand each other: rows of their tables, in blocks of COPY."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from consumer_analytics.backfill.customers import CHANGES
from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.shape import TOTAL, Shape, each
from consumer_analytics.sql import fragment, query

#: Bytes that one session hands the other at a time, and how many times ahead of it.
_BLOCK = 64 * 1024
_BLOCKS_AHEAD = 512
#: How often a session that waits for the other one looks whether that still works, in seconds.
PATIENCE = 0.2


class AbandonedError(Exception):
    """The other session of this backfill has failed."""


class Pipe:
    """Hands rows of one session's tables to the other's, some at a time."""

    def __init__(self, stopped: threading.Event) -> None:
        """Make one that ends when `stopped` is set."""
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS_AHEAD)
        self._stopped = stopped

    def send_rows(self, connection: Connection, select: sql.Composable) -> None:
        """Hand over what a query answers."""
        block = bytearray()
        statement = sql.SQL("copy ({}) to stdout (format binary)").format(select)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in copy:
                block += row
                if len(block) >= _BLOCK:
                    self._put(bytes(block))
                    block.clear()
        self._put(bytes(block))
        self._put(b"")

    def receive_rows(self, connection: Connection, into: sql.Composable) -> None:
        """Put what is handed over into a table: `name (column, …)`."""
        statement = sql.SQL("copy {} from stdin (format binary)").format(into)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            while block := self._get():
                copy.write(block)

    def send(self, value: Any) -> None:
        """Hand over a value that JSON knows, before or after rows."""
        self._put(json.dumps(value).encode())

    def receive(self) -> Any:
        """Return the value that is handed over."""
        return json.loads(self._get())

    def _put(self, block: bytes) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._blocks.put(block, timeout=PATIENCE)
                return
        raise AbandonedError

    def _get(self) -> bytes:
        while not self._stopped.is_set():
            with suppress(queue.Empty):
                return self._blocks.get(timeout=PATIENCE)
        raise AbandonedError


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
