"""What a first run and the backfill of a year will take, from a small sample: nothing is written.

Rows are counted where they are few, and else the planner's; days are those of the first and the
last event, and the pace is this server's: some events are counted as a run counts them, and what
else a run does is taken in the same measure, as it was measured for the product. It is right within
a factor of three or so, which tells seconds from hours.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.backfill.estimate import BYTES_OF_A_ROW, rows_of
from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, scalar
from consumer_analytics.etl.plan import TimeRange
from consumer_analytics.settings import Settings
from consumer_analytics.sql import SOURCE_TABLES, query, source_table

_SAMPLED = 100_000
_YEAR = 365
_DAY = dt.timedelta(days=1)
#: What a step takes, in times of counting one event: measured on histories of 300,000 to 600,000
#: events, of few and of many consumers.
_CELL, _CUSTOMER, _SNAPSHOT = 6.0, 20.0, 15.0
#: Bytes that a cell takes, with its index, and an event type in a snapshot.
_BYTES_OF_A_CELL, _BYTES_OF_A_TYPE = 120, 25
#: A command takes this long, whatever there is to do.
_SECONDS_AT_LEAST = 0.5


@dataclass(frozen=True)
class _Sample:
    """Some events that were counted: their cells and types, and the seconds for each."""

    rows: int
    cells: int
    types: int
    pace: float


@dataclass(frozen=True)
class Cost:
    """What a command will take, about.

    Attributes:
        events: to be read.
        snapshots: rows to be written.
        seconds: until it is done.
        bytes: of disk, to stay.
    """

    events: int
    snapshots: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Costs:
    """How much there is, and what it will take.

    Attributes:
        rows: of each source table; where they are many, as the planner has it.
        first: the first event, about; None where that is not known.
        last: the last one, about.
        days: from the first to the last.
        sampled: events that were counted to learn the pace.
        first_run: of all that there is.
        year: the daily backfill of the last year, or of all days where they are fewer.
    """

    rows: dict[str, int]
    first: dt.datetime | None
    last: dt.datetime | None
    days: int
    sampled: int
    first_run: Cost
    year: Cost

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "rows_estimated": self.rows,
            "first_event": self.first,
            "last_event": self.last,
            "days": self.days,
            "events_sampled": self.sampled,
            **{
                name: {
                    "events_estimated": cost.events,
                    "snapshots_estimated": cost.snapshots,
                    "seconds_estimated": round(cost.seconds, 1),
                    "bytes_estimated": cost.bytes,
                }
                for name, cost in (("first_run", self.first_run), ("backfill_of_a_year", self.year))
            },
        }


def estimate(connection: Connection, settings: Settings, *, indexed: bool) -> Costs:
    """Look at a sample, and say what a first run and the backfill of a year will take.

    Args:
        connection: in autocommit.
        settings: where the sources are.
        indexed: whether the events can be read by their time.

    Raises:
        psycopg.Error: a source cannot be read, or not in time.
    """
    rows = {table: _rows(connection, settings, table) for table in SOURCE_TABLES}
    few = rows["customer_events"] <= _SAMPLED
    first, last = _span(connection, settings, read=indexed or few)
    days = max(1, (last - first) // _DAY + 1) if first is not None and last is not None else 1
    sample = _sample(connection, settings, newest=indexed)

    consumers = rows["consumers"] + 1
    of_a_snapshot = BYTES_OF_A_ROW + sample.types * _BYTES_OF_A_TYPE

    def cells(events: int, over: int) -> float:
        # As many of an event as in the sample; but where that is of one busy day, no more a day.
        return min(events * sample.cells / max(sample.rows, 1), sample.cells * over)

    def cost(events: int, over: int, snapshots: int, kept_cells: float) -> Cost:
        steps = (
            events
            + cells(events, over) * _CELL
            + rows["customers"] * _CUSTOMER
            + snapshots * _SNAPSHOT
        )
        return Cost(
            events,
            snapshots,
            _SECONDS_AT_LEAST + steps * sample.pace,
            round(kept_cells * _BYTES_OF_A_CELL + snapshots * of_a_snapshot),
        )

    year = min(days, _YEAR)
    until = min(last or MINUS_INFINITY, instants.now(connection))
    since = until - _YEAR * _DAY if last is not None else MINUS_INFINITY
    in_year = rows["customer_events"]
    if days > _YEAR:
        in_year = rows_of(connection, settings, TimeRange(since, INFINITY))
    return Costs(
        rows=rows,
        first=first,
        last=last,
        days=days,
        sampled=sample.rows,
        first_run=cost(
            rows["customer_events"], days, consumers, cells(rows["customer_events"], days)
        ),
        # What a run has counted is not counted again; without a run before, it is.
        year=cost(min(in_year, rows["customer_events"]), year, consumers * year, 0),
    )


def _sample(connection: Connection, settings: Settings, *, newest: bool) -> _Sample:
    """Count some events: the newest, where they can be had at once, else any."""
    order = sql.SQL("order by created_at desc" if newest else "")
    counting = query("operations/check/sample", settings.sources, newest=order)
    started = time.monotonic()
    try:
        row = connection.execute(counting, {"rows": _SAMPLED}).fetchone()
    except psycopg.errors.QueryCanceled:
        if not newest:
            raise
        # A view, say, over tables whose indexes do not serve it.
        return _sample(connection, settings, newest=False)
    rows, cells, types = row or (0, 0, 0)
    # Where there are none, nothing tells the pace, and nothing takes long.
    return _Sample(rows, cells, types, (time.monotonic() - started) / rows if rows else 0.0)


def _rows(connection: Connection, settings: Settings, table: str) -> int:
    """Return how many rows a source has: counted where they are few, else as the planner estimates.

    By no condition: of a table that was never analyzed it knows the size, but nothing else.
    """
    name = source_table(settings.sources, table)
    explained = scalar(connection, sql.SQL("explain (format json) select from {}").format(name))
    rows: int = explained[0]["Plan"]["Plan Rows"]
    if rows > _SAMPLED:
        return rows
    few = sql.SQL("select count(*) from (select from {} limit {}) as few")
    counted: int = scalar(connection, few.format(name, _SAMPLED + 1))
    return counted if counted <= _SAMPLED else max(rows, counted)


def _span(
    connection: Connection, settings: Settings, *, read: bool
) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return about when the first and the last event were."""
    statement = (
        query("operations/check/span", settings.sources)
        if read
        else query("operations/check/span-by-statistics")
    )
    events = settings.sources["customer_events"]
    known = {"schema": events.schema, "table": events.name, "column": events.own["created_at"]}
    try:
        row = connection.execute(statement, None if read else known).fetchone()
    except psycopg.errors.QueryCanceled:
        row = None
    return row or (None, None)
