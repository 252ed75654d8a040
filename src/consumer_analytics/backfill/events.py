"""Counting events into cells: per consumer and slot, from the days' counts and the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.backfill.columns import UNNAMED
from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar
from consumer_analytics.etl import plan
from consumer_analytics.etl.plan import TimeRange
from consumer_analytics.etl.snapshots import TOTAL, Shape, each, pivot
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: More stretches of evenly spaced instants than this are told apart row by row.
_MOST_STRETCHES = 12
_ONE_DAY = dt.timedelta(days=1)


def count(
    connection: Connection,
    settings: Settings,
    sources: EventSources,
    bounds: tuple[dt.datetime, ...],
    types: tuple[str, ...],
    request: Request,
) -> bool:
    """Count the events by consumer and slot into `backfill_counted`.

    Returns:
        Whether it surely has one row, of types with columns, for each of them.
    """
    shape = Shape(types, (), False)
    pivoted, named_types = pivot(
        shape.event_columns, types, TOTAL + "(n) filter (where event_type = {})", "type"
    )
    wanted = sql.SQL("true" if request.consumers is None else "consumer_id = any(%(consumers)s)")
    rest = sql.SQL(
        "case when event_type = any(%(types)s::text[]) then null else event_type end"
        if types
        else "event_type"
    )
    shared: dict[str, Any] = {"wanted": wanted, "rest": rest, "pivoted": pivoted}
    of_types = [_count_types(settings, one, bounds, wanted) for one in sources.ranges]
    parts: list[sql.Composable] = [
        _count_source(settings, shape, stretch, bounds, wanted) for stretch in sources.ranges
    ]
    if not types:
        parts = list(of_types)
    if sources.known > MINUS_INFINITY:
        first = sql.Literal(sources.first_day)
        if sources.days:
            last = sql.Literal(sources.days[-1])
            start = sql.Literal(sources.days[0])
            parts.append(query("backfill/events-days", first=start, last=last, **shared))
        parts.append(query(_side(connection, sources), first=first, **shared))
    if sources.purged_cut is not None:
        day = instants.start_of(sources.purged_cut)
        parts.append(
            query(
                "backfill/events-purged",
                settings.source_schema,
                slot=sql.Literal(plan.slot_of(day, bounds)),
                lower=sql.Literal(day),
                upper=sql.Literal(min(day + _ONE_DAY, sources.known)),
                day=sql.Literal(sources.purged_cut),
                **shared,
            )
        )
    values: dict[str, Any] = {
        **named_types,
        "types": list(types),
        "consumers": list(request.consumers or ()),
        "began": [MINUS_INFINITY, *bounds[:-1]],
        "began_slots": list(range(len(bounds))),
        "days": sources.days,
        "day_slots": [plan.slot_of(instants.start_of(day), bounds) for day in sources.days],
    }
    union = sql.SQL("\nunion all\n")
    connection.execute("drop table if exists pg_temp.backfill_counted")
    connection.execute(query("backfill/events-counted", parts=union.join(parts)), values)
    if types and sources.ranges:
        named = sql.SQL(" + ").join(shape.event_columns)
        if scalar(connection, query("backfill/events-overlooked", named=named)):
            others = query("backfill/events-others", parts=union.join(of_types))
            connection.execute(others, values)
            return False
    return len(parts) == 1 and bool(types)


def _count_source(
    settings: Settings,
    shape: Shape,
    stretch: TimeRange,
    bounds: tuple[dt.datetime, ...],
    wanted: sql.Composable,
) -> sql.Composed:
    pivoted = sql.SQL("").join(
        sql.SQL(", count(*) filter (where event_type::text = {}{}) as {}").format(
            sql.Placeholder(f"type_{place}"),
            sql.SQL(" or event_type is null" if name == UNNAMED else ""),
            column,
        )
        for place, (name, column) in enumerate(
            zip(shape.types, shape.event_columns, strict=True), 1
        )
    )
    return query(
        "backfill/events-source",
        settings.source_schema,
        began=_began(bounds),
        columns=each(shape.event_columns, "{}"),
        pivoted=pivoted,
        **_span_of(stretch),
        wanted=wanted,
    )


def _count_types(
    settings: Settings, stretch: TimeRange, bounds: tuple[dt.datetime, ...], wanted: sql.Composable
) -> sql.Composed:
    return query(
        "backfill/events-types",
        settings.source_schema,
        began=_began(bounds),
        **_span_of(stretch),
        wanted=wanted,
    )


def _span_of(stretch: TimeRange) -> dict[str, sql.Composable]:
    return {"lower": sql.Literal(stretch.lower), "upper": sql.Literal(stretch.upper)}


def _began(bounds: Sequence[dt.datetime]) -> sql.Composable:
    """Compose the instant at which a row's slot began; the beginning of time for slot 0."""
    stretches = _stretches(bounds)
    if len(stretches) > _MOST_STRETCHES:
        listed = sql.Literal([MINUS_INFINITY, *bounds])
        return sql.SQL(
            "({0}::timestamptz[])[width_bucket(created_at::timestamptz, {0}::timestamptz[])]"
        ).format(listed)
    cases = [
        sql.SQL("when created_at < {} then date_bin({}, created_at::timestamptz, {})").format(
            sql.SQL("{}::timestamptz").format(bounds[upper]),
            sql.SQL("{}::interval").format(bounds[lower + 1] - bounds[lower]),
            sql.SQL("{}::timestamptz").format(bounds[lower]),
        )
        for lower, upper in stretches
    ]
    return sql.SQL(
        "case when created_at < {}::timestamptz then timestamptz '-infinity' {} end"
    ).format(sql.Literal(bounds[0]), sql.SQL(" ").join(cases))


def _stretches(bounds: Sequence[dt.datetime]) -> list[tuple[int, int]]:
    """Return runs of evenly spaced bounds: the places of the first and the last of each."""
    stretches: list[tuple[int, int]] = []
    for place in range(1, len(bounds)):
        if stretches and bounds[place] - bounds[place - 1] == (
            bounds[stretches[-1][0] + 1] - bounds[stretches[-1][0]]
        ):
            stretches[-1] = (stretches[-1][0], place)
        else:
            stretches.append((place - 1, place))
    return stretches


def _side(connection: Connection, sources: EventSources) -> LiteralString:
    """Choose from which side to sum up what came before the range: the one with fewer days."""
    first: dt.date | None = scalar(
        connection, "select min(day) from consumer_analytics_internal.event_days"
    )
    before = (sources.first_day - first) if first is not None else dt.timedelta()
    after = instants.day_of(sources.known) - sources.first_day
    return "backfill/events-before" if before <= after else "backfill/events-not-after"


def cells(connection: Connection, shape: Shape, *, once: bool) -> None:
    """Make the events' cells of what was counted: as it is where each has one row already."""
    once = once or scalar(
        connection,
        "select not exists (select from pg_temp.backfill_counted where rest is not null) and "
        "not exists (select from pg_temp.backfill_counted group by consumer_id, slot "
        "having count(*) > 1)",
    )
    if once:
        connection.execute("alter table pg_temp.backfill_counted rename to event_cells")
        return
    parts = [
        sql.SQL(
            ", coalesce({total}({0}), 0) + coalesce({total}(events) filter (where named = {1}), 0)"
            " as {0}"
        ).format(column, sql.Placeholder(f"type_{place}"), total=sql.SQL(TOTAL))
        for place, column in enumerate(shape.event_columns, 1)
    ]
    connection.execute(
        query("backfill/events-cells", summed=sql.SQL("\n    ").join(parts)),
        {f"type_{place}": name for place, name in enumerate(shape.types, 1)},
    )
