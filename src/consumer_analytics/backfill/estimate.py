"""The estimate: what a backfill will write, and how much it will read for that.

Nothing is written. What cannot be filled, because the source no longer tells
it, is left out here; all that follows works on what is left.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.calendar import days, instants, periods
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import federation, job_state, sources, vanished
from consumer_analytics.etl.plan import TimeRange
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query, source_rows, source_table

#: A row of the table and its indexes, where there is none yet to measure.
BYTES_OF_A_ROW = 900


@dataclass(frozen=True)
class Estimate:
    """What a backfill will do, before it does anything.

    Attributes:
        bounds: where the first period begins, then the end of each.
        consumers: how many are registered, or were asked for.
        snapshots: rows there will be, by when consumers were registered; one that has
            customers or events from before has more.
        there: instants of the range that have their snapshot already.
        rows_to_scan: events to be read from the source, as the planner estimates.
        bytes_to_write: disk that the new rows will take, estimated.
        refused: instants left out, because the source no longer tells them.
        empty: how many periods before the first row of all are left out.
        first_row: that row's time; None where no period is left out for it.
        skipped: days among the others that never were, where periods are days.
    """

    bounds: tuple[dt.datetime, ...]
    consumers: int
    snapshots: int
    there: int
    rows_to_scan: int
    bytes_to_write: int
    refused: tuple[dt.datetime, ...]
    empty: int
    first_row: dt.datetime | None
    skipped: tuple[dt.date, ...] = ()

    @property
    def periods(self) -> int:
        """How many periods there are."""
        return len(self.bounds) - 1 - sum(at in self.refused for at in self.bounds[1:])

    @property
    def is_skipped(self) -> bool:
        """Whether no day of the range was ever there: the zone's calendar jumped over it."""
        return len(self.bounds) == 1 and not self.empty and not self.refused

    def as_json(self, request: Request) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "start_date": request.start,
            "end_date": request.end,
            "interval": request.interval,
            "first_snapshot": self.bounds[1] if self.periods else None,
            "last_snapshot": self.bounds[-1] if self.periods else None,
            "periods": self.periods,
            "periods_there": self.there,
            "periods_purged": len(self.refused),
            "periods_before_first_row": self.empty,
            "not_recountable": self.refused,
            "consumers": self.consumers,
            "snapshots_estimated": self.snapshots,
            "rows_to_scan_estimated": self.rows_to_scan,
            "bytes_to_write_estimated": self.bytes_to_write,
        }


def estimate_of(connection: Connection, settings: Settings, request: Request) -> Estimate:
    """Say what a backfill will do; nothing is written.

    Raises:
        UsageError: the range cannot be used.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    schema.require_current(connection)
    federation.require_own(connection)
    sources.require_usable(connection, settings)
    now = instants.now(connection)
    today = days.day_of(now, settings.zone)
    # Before they are cut: up to the calendar's end there are millions.
    if request.start < request.end and request.end > today:
        raise UsageError(
            f"end_date {request.end} lies in the future; the last one possible is {today}"
        )
    bounds = periods.bounds(request.start, request.end, request.interval, settings.zone)
    with connection.transaction():
        if not request.is_of_several:
            sources.require_known(
                sources.strangers(connection, settings.sources, request.consumers or ())
            )
        if request.first_row is not None:
            first_row = request.first_row.at
        else:
            first_row = sources.first_row_after(connection, settings, bounds[0])
        empty = bisect_right(bounds, first_row, lo=1) - 1 if first_row is not None else 0
        skipped = _skipped(settings, request, bounds, empty)
        bounds = bounds[empty:]
        state = job_state.read(connection)
        refused = vanished.refused(connection, settings, bounds[1:])
        bounds = _without_the_first(bounds, refused)
        scanned = EventSources(state, bounds).ranges if len(bounds) > 1 else []
        rows = sum(rows_of(connection, settings, stretch) for stretch in scanned)
        consumers = registered(connection, settings, request)
        snapshots, there = _expected(connection, settings, request, bounds[1:])
        size = scalar(connection, query("backfill/snapshots-size"), BYTES_OF_A_ROW)
    missing = 1 - there / max(1, len(bounds) - 1)
    return Estimate(
        bounds=bounds,
        consumers=consumers,
        snapshots=snapshots,
        there=there,
        rows_to_scan=rows,
        bytes_to_write=round(snapshots * missing * size),
        refused=refused,
        empty=empty,
        first_row=first_row,
        skipped=skipped,
    )


def _skipped(
    settings: Settings, request: Request, bounds: tuple[dt.datetime, ...], empty: int
) -> tuple[dt.date, ...]:
    """Return the days among the periods that never were; a range of none is told of apart."""
    asked = (request.end - request.start).days
    if request.interval != "daily" or not 0 < len(bounds) - 1 < asked:
        return ()
    after = bounds[empty] if empty else dt.datetime.min.replace(tzinfo=dt.UTC)
    return periods.skipped_days(request.start, request.end, settings.zone, after)


def registered(connection: Connection, settings: Settings, request: Request) -> int:
    """Count the consumers that were asked for, or that are registered."""
    count: int = len(request.consumers or ()) or scalar(
        connection,
        sql.SQL("select count(*) from {}").format(source_table(settings.sources, "consumers")),
    )
    return count


def _expected(
    connection: Connection,
    settings: Settings,
    request: Request,
    snapshots: tuple[dt.datetime, ...],
) -> tuple[int, int]:
    """Count the rows that registered consumers and the system will have, and instants done."""
    whole = request.consumers is None
    consumers = {"consumers": None if whole else list(request.consumers or ())}
    at = {"instants": list(snapshots)}
    rows: int = scalar_of(connection, "backfill/expected", at | consumers, sources=settings.sources)
    whose = sql.SQL("consumer_id is null" if whole else "consumer_id = any(%(consumers)s)")
    there: int = scalar_of(
        connection, "backfill/there", at if whole else at | consumers, whose=whose
    )
    return rows + len(snapshots) * whole, there


def _without_the_first(
    bounds: tuple[dt.datetime, ...], refused: tuple[dt.datetime, ...]
) -> tuple[dt.datetime, ...]:
    """Begin at the first period that can be told: those between others are left out in the end."""
    left = list(bounds)
    while len(left) > 1 and left[1] in refused:
        left.pop(0)
    return tuple(left)


def rows_of(connection: Connection, settings: Settings, stretch: TimeRange) -> int:
    """Return how many events a stretch of time has, as the planner estimates."""
    explained = scalar(
        connection,
        sql.SQL(
            "explain (format json) select from {} as events where created_at >= {}::timestamptz "
            "and created_at < {}::timestamptz"
        ).format(
            source_rows(settings.sources, "customer_events", columns=["created_at"]),
            sql.Literal(stretch.lower),
            sql.Literal(stretch.upper),
        ),
    )
    rows: int = explained[0]["Plan"]["Plan Rows"]
    return rows
