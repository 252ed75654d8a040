"""A plain implementation, as a PythonOperator's code usually is: a loop over periods and consumers.

It keeps to good habits: one session, an index on `(consumer_id, created_at)`, totals carried on
from the snapshot before instead of being counted anew, one commit for a period.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.measure import Measured, Worker
from benchmarks.server import Database, instant
from benchmarks.systems import System

_TABLE = """
drop table if exists loop_snapshots;
create table loop_snapshots (
    consumer_id uuid not null,
    snapshot_timestamp timestamptz not null,
    total_customers bigint not null,
    customers_by_status jsonb not null,
    total_events bigint not null,
    events_by_type jsonb not null,
    primary key (consumer_id, snapshot_timestamp)
);
create index if not exists loop_events_idx on customer_events (consumer_id, created_at);
create index if not exists loop_customers_idx on customers (consumer_id);
"""
_LATEST = """
select snapshot_timestamp, events_by_type from loop_snapshots
where consumer_id = %s and snapshot_timestamp <= %s
order by snapshot_timestamp desc limit 1
"""
_EVENTS = """
select event_type, count(*) from customer_events
where consumer_id = %s and created_at >= %s and created_at < %s
group by event_type
"""
_CUSTOMERS = """
select status, count(*) from customers
where consumer_id = %s and created_at < %s
group by status
"""
_INSERT = """
insert into loop_snapshots values (%s, %s, %s, %s, %s, %s)
on conflict (consumer_id, snapshot_timestamp) do update set
    total_customers = excluded.total_customers,
    customers_by_status = excluded.customers_by_status,
    total_events = excluded.total_events,
    events_by_type = excluded.events_by_type
"""
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def periods(connection: psycopg.Connection[Any], start: dt.date, end: dt.date) -> None:
    """Write the snapshots of all days of a range."""
    consumers = [row[0] for row in connection.execute("select consumer_id from consumers")]
    day = start
    while day < end:
        after = day + dt.timedelta(days=1)
        with connection.transaction():
            for consumer in consumers:
                _consumer(connection, consumer, instant(day), instant(after))
        day = after


def _consumer(
    connection: psycopg.Connection[Any], consumer: Any, lower: dt.datetime, upper: dt.datetime
) -> None:
    known, before = connection.execute(_LATEST, [consumer, lower]).fetchone() or (_EPOCH, {})
    events: Counter[str] = Counter(before)
    events.update(dict(connection.execute(_EVENTS, [consumer, known, upper]).fetchall()))
    customers = dict(connection.execute(_CUSTOMERS, [consumer, upper]).fetchall())
    connection.execute(
        _INSERT,
        [
            consumer,
            upper,
            sum(customers.values()),
            Jsonb(customers),
            sum(events.values()),
            Jsonb(dict(events)),
        ],
    )


class Loop(System):
    """The loop, in a process that keeps its session."""

    name = "loop"
    less = (
        "no state of customers as of T, no late rows, no rows in flight, no revisions, "
        "no row of the whole system"
    )
    table = "loop_snapshots"

    def __init__(self) -> None:
        """Start its process when there is a database."""
        self._worker: Worker | None = None

    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Make its table and its index, and the first snapshots."""
        with database.connect() as connection:
            connection.execute(_TABLE)
            connection.execute("analyze customer_events")
        if until is not None:
            self._worker = Worker(database)
            first = until - dt.timedelta(days=1)
            self._worker("loop", start=first.isoformat(), end=until.isoformat())

    def day(self, database: Database, day: dt.date) -> Measured:
        """One period."""
        self._worker = self._worker or Worker(database)
        after = day + dt.timedelta(days=1)
        return self._worker("loop", start=day.isoformat(), end=after.isoformat())

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """Every period of a range."""
        with database.connect() as connection:
            connection.execute(
                "delete from loop_snapshots where snapshot_timestamp > %s", [instant(start)]
            )
        with Worker(database) as worker:
            return worker("loop", start=start.isoformat(), end=end.isoformat())

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.__exit__(None, None, None)
            self._worker = None
