"""Counting the events: those of a plan's ranges, by consumer, UTC day, slot and type."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection
from consumer_analytics.etl import archived
from consumer_analytics.etl.models import EventExtract
from consumer_analytics.etl.plan import Plan, TimeRange, slot_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Where this transaction's own extract is.
EXTRACTED_EVENTS = sql.Identifier("pg_temp", "extracted_events")
_ONE_DAY = dt.timedelta(days=1)


def extract_events(connection: Connection, settings: Settings, plan: Plan) -> EventExtract:
    """Count the events that a plan reads into a table of this transaction."""
    started = time.monotonic()
    connection.execute("drop table if exists pg_temp.extracted_events")
    known = plan.job_state.processed_through
    again = [stretch for stretch in plan.ranges if stretch.lower < known]
    fresh = [stretch for stretch in plan.ranges if stretch.lower >= known]
    if again:
        held = archived.held(connection, settings, plan.recount_multirange, plan.bounds)
        counted = _counted(settings, again, plan.bounds, held, fresh=False)
        connection.execute(query("etl/events/extract", counted=counted))
    elif not fresh:
        connection.execute(query("etl/events/extract-nothing"))
    if fresh:
        counted = _counted(settings, fresh, plan.bounds, archived.PLAIN, fresh=True)
        more = query("etl/events/extract-more" if again else "etl/events/extract", counted=counted)
        connection.execute(more)
    rows, unnamed = connection.execute(query("etl/events/extracted")).fetchone() or (0, False)
    if unnamed:
        connection.execute(query("etl/events/named"))
        connection.execute(
            "drop table pg_temp.extracted_events; "
            "alter table pg_temp.named_events rename to extracted_events"
        )
    return EventExtract(rows, round(time.monotonic() - started, 3))


def _counted(
    settings: Settings,
    stretches: list[TimeRange],
    bounds: tuple[dt.datetime, ...],
    held: Mapping[str, sql.Composable],
    *,
    fresh: bool,
) -> sql.Composed:
    ranges = [_count_range(settings, stretch, bounds, held) for stretch in stretches]
    return query(
        "etl/events/counted",
        ranges=sql.SQL("\nunion all\n").join(ranges),
        fresh=sql.Literal(fresh),
    )


def _count_range(
    settings: Settings,
    stretch: TimeRange,
    bounds: tuple[dt.datetime, ...],
    held: Mapping[str, sql.Composable],
) -> sql.Composed:
    inside = [bound for bound in bounds if stretch.lower < bound < stretch.upper]
    buckets = sql.SQL("{}::timestamptz[]").format(list(bounds))
    row, slot = sql.SQL("null::int"), sql.SQL("slot_of_row")
    if not inside:
        slot = sql.SQL("{}").format(slot_of(stretch.lower, bounds))  # type: ignore[assignment]
    elif all(instants.is_midnight(bound) for bound in inside):
        # Whole days: the slot follows from the day, once per group, not per row.
        slot = sql.SQL("width_bucket(greatest(day::timestamptz, {}), {})").format(  # type: ignore[assignment]
            stretch.lower, buckets
        )
    else:
        row = sql.SQL("width_bucket(created_at::timestamptz, {})").format(buckets)  # type: ignore[assignment]
    return query(
        "etl/events/count-range",
        settings.sources,
        day=_day_of_row(stretch),
        slot_of_row=row,
        slot_of_day=slot,
        lower=sql.Literal(stretch.lower),
        upper=sql.Literal(min(INFINITY, stretch.upper)),
        **held,
    )


def _day_of_row(stretch: TimeRange) -> sql.Composable:
    """Return the UTC day of an event: known without looking where the stretch has but one."""
    first = instants.day_of(stretch.lower)
    if stretch.lower > MINUS_INFINITY and stretch.upper <= instants.start_of(first) + _ONE_DAY:
        return sql.SQL("{}::date").format(sql.Literal(first))
    # Binning is a fifth of the price of created_at::date, which looks the time zone up.
    return sql.SQL("date_bin('1 day', created_at, '2000-01-01')")
