"""The least that the work needs of PostgreSQL: count, and insert finished rows."""

from __future__ import annotations

import datetime as dt
import time

import psycopg

from benchmarks.measure import Measured
from benchmarks.server import Database, instant
from benchmarks.systems import System

_WINDOW = """
select count(*), sum(n) from (
    select consumer_id, event_type, count(*) as n
    from customer_events
    where created_at >= %s and created_at < %s
    group by consumer_id, event_type
) as counted
"""
_CUSTOMERS = """
select count(*), sum(n) from (
    select consumer_id, status, count(*) as n
    from customers
    where created_at < %s
    group by consumer_id, status
) as counted
"""
#: Events of a range, by consumer, type and day.
DAYS = """
select count(*), sum(n) from (
    select consumer_id, event_type, (created_at at time zone 'UTC')::date, count(*) as n
    from customer_events
    where created_at >= %s and created_at < %s
    group by 1, 2, 3
) as counted
"""
_EVERYTHING = """
select count(*), sum(n) from (
    select consumer_id, event_type, (created_at at time zone 'UTC')::date, count(*) as n
    from customer_events
    group by 1, 2, 3
) as counted
"""
_SNAPSHOTS = """
select count(*), sum(figure.value::numeric)
from consumer_analytics
cross join lateral jsonb_each_text(
    coalesce(metrics_json -> 'events_by_type', metrics_json -> 'events_by_type_all_consumers')
) as figure
"""
_DIGESTS = """
select count(*), sum(jsonb_hash_extended(metrics_json, 0)) from consumer_analytics
"""
#: The counts by day laid ready, in the order of their index, and the table for them.
_DAYS_READY = (
    """
    create unlogged table floor_counted as
    select (created_at at time zone 'UTC')::date as day, consumer_id, event_type, count(*) as n
    from customer_events
    group by 1, 2, 3
    order by 1, 2, 3
    """,
    "create table floor_days (like consumer_analytics_internal.event_days including all)",
    "checkpoint",
)
_INSERT = """
insert into floor_snapshots (consumer_id, snapshot_timestamp, metrics_json)
select consumer_id, snapshot_timestamp, metrics_json from floor_finished
"""


class Floor(System):
    """Bare SQL in one session: nothing is kept, merged, restated or waited for."""

    name = "floor"
    less = "no totals, no state, no JSON made: counts, and inserts rows that are finished"

    def __init__(self) -> None:
        """Connect when there is a database."""
        self._connection: psycopg.Connection[tuple[object, ...]] | None = None

    def prepare(self, database: Database, until: dt.date | None) -> None:  # noqa: ARG002
        """Make the table that it inserts into: with our table's indexes."""
        self._connection = database.connect()
        self._connection.execute("set jit = off")
        self._connection.execute(
            "drop table if exists floor_snapshots;"
            "create table floor_snapshots (like consumer_analytics including all);"
        )

    def _finish(self, connection: psycopg.Connection[tuple[object, ...]], where: str) -> None:
        """Lay the finished rows ready, unmeasured: those of ours, moved by a day."""
        connection.execute(
            "drop table if exists floor_finished;"
            "create unlogged table floor_finished as "
            "select consumer_id, snapshot_timestamp + interval '1 day' as snapshot_timestamp, "
            f"metrics_json from consumer_analytics {where} order by 1, 2;"
            "analyze floor_finished"
        )

    def day(self, database: Database, day: dt.date) -> Measured:
        """Count the day's events and all customers, insert one snapshot."""
        connection = self._connection or database.connect()
        after = day + dt.timedelta(days=1)
        self._finish(
            connection,
            "where snapshot_timestamp = (select max(snapshot_timestamp) from consumer_analytics "
            f"where consumer_id is null and snapshot_timestamp <= '{instant(day)}')",
        )
        began = time.perf_counter()
        _, events = connection.execute(_WINDOW, [instant(day), instant(after)]).fetchone() or (0, 0)
        counted = time.perf_counter()
        connection.execute(_CUSTOMERS, [instant(after)]).fetchone()
        customers = time.perf_counter()
        connection.execute(_INSERT)
        ended = time.perf_counter()
        return Measured(
            ended - began,
            detail={
                "rows": int(str(events or 0)),
                "window": counted - began,
                "customers": customers - counted,
                "insert": ended - customers,
            },
        )

    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """Count the range's events by day, insert the snapshots that ours has left."""
        with database.connect() as connection:
            connection.execute("set jit = off")
            self._finish(connection, "")
            connection.execute(
                "drop table if exists floor_snapshots;"
                "create table floor_snapshots (like consumer_analytics including all);"
                "checkpoint"
            )
            began = time.perf_counter()
            connection.execute(DAYS, [instant(start), instant(end)]).fetchone()
            counted = time.perf_counter()
            connection.execute(_INSERT)
            ended = time.perf_counter()
            connection.execute("drop table floor_snapshots, floor_finished")
        return Measured(
            ended - began, detail={"aggregate": counted - began, "insert": ended - counted}
        )

    def first(self, database: Database) -> Measured:
        """Count all events by day, insert the counts that ours keeps of them."""
        with database.connect() as connection:
            connection.execute("set jit = off")
            connection.execute("set work_mem = '64MB'")
            began = time.perf_counter()
            connection.execute(_EVERYTHING).fetchone()
            counted = time.perf_counter() - began
            for statement in _DAYS_READY:
                connection.execute(statement)
            began = time.perf_counter()
            connection.execute("insert into floor_days select * from floor_counted")
            inserted = time.perf_counter() - began
            connection.execute("drop table floor_days, floor_counted")
        return Measured(counted + inserted, detail={"aggregate": counted, "insert": inserted})

    def audit(self, database: Database) -> Measured:
        """Read what an audit compares, once each: events by type and day, snapshots by type."""
        with database.connect() as connection:
            connection.execute("set jit = off")
            # As much as an audit lets itself have: what is compared is the work, not the disk.
            connection.execute("set work_mem = '256MB'")
            began = time.perf_counter()
            connection.execute(_EVERYTHING).fetchone()
            counted = time.perf_counter()
            connection.execute(_SNAPSHOTS).fetchone()
            ended = time.perf_counter()
        return Measured(ended - began, detail={"events": counted - began, "rows": ended - counted})

    def audit_since(self, database: Database, day: dt.date) -> Measured:
        """Read all snapshots once, each as one number, and count a day's events."""
        with database.connect() as connection:
            connection.execute("set jit = off")
            began = time.perf_counter()
            connection.execute(_DIGESTS).fetchone()
            read = time.perf_counter()
            connection.execute(DAYS, [instant(day), instant(day + dt.timedelta(days=1))]).fetchone()
            ended = time.perf_counter()
        return Measured(ended - began, detail={"rows": read - began, "events": ended - read})

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()
