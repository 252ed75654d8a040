"""Counting events into cells: per consumer and slot, from the days' counts and the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar, scalar_of
from consumer_analytics.etl import archived, plan, vanished
from consumer_analytics.etl.plan import TimeRange, multirange
from consumer_analytics.etl.shape import TOTAL, UNNAMED, Shape, each, is_long, pivot
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: More stretches of evenly spaced instants than this are told apart row by row.
_MOST_STRETCHES = 12
#: Slots that several parts have: what came before, and where one part ends and another begins.
_MOST_MERGED = 3


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
    cut = multirange(sources.cut)
    held, is_filed = archived.held_by_slot(connection, settings, cut, bounds, types)
    asked = (settings, shape, bounds, request, held)
    others = [_types_of(one, *asked) for one in sources.ranges]
    parts = [_source_of(one, *asked) for one in sources.ranges]
    if not types:
        parts = list(others)
    parts += _of_counts(connection, sources, shape, bounds, request)
    if is_filed:
        parts.append(_filed(shape, bounds, request))
    connection.execute("drop table if exists pg_temp.backfill_counted")
    _run(connection, "backfill/events-counted", parts)
    if types and sources.ranges:
        named = sql.SQL(" + ").join(shape.event_columns)
        if scalar(connection, query("backfill/events-overlooked", named=named)):
            _run(connection, "backfill/events-others", others)
            return False
    return len(parts) == 1 and bool(types)


@dataclass(frozen=True)
class CountedPart:
    """One of the queries whose rows, together, are the counted events.

    Attributes:
        select: the query.
        values: what is bound in it.
    """

    select: sql.Composed
    values: dict[str, Any]


def _run(connection: Connection, name: LiteralString, parts: Sequence[CountedPart]) -> None:
    """Run a statement over all rows of some parts."""
    values: dict[str, Any] = {}
    for part in parts:
        values |= part.values
    union = sql.SQL("\nunion all\n").join(part.select for part in parts)
    connection.execute(query(name, parts=union), values)


def _wanted(request: Request) -> tuple[sql.Composable, dict[str, Any]]:
    """Compose which consumers' events are wanted, and return what is bound in that."""
    if request.consumers is None:
        return sql.SQL("true"), {}
    return sql.SQL("consumer_id = any(%(consumers)s)"), {"consumers": list(request.consumers)}


def _of_counts(
    connection: Connection,
    sources: EventSources,
    shape: Shape,
    bounds: tuple[dt.datetime, ...],
    request: Request,
) -> list[CountedPart]:
    """Compose what is taken from the counts that runs keep."""
    template = TOTAL + "(n) filter (where event_type = {})"
    pivoted, types = pivot(shape.event_columns, shape.types, template, "type")
    wanted, asked = _wanted(request)
    values: dict[str, Any] = asked | types
    rest: sql.Composable = sql.SQL("event_type")
    if shape.types:
        rest = sql.SQL(
            "case when event_type = any(%(types)s::text[]) then null else event_type end"
        )
        values["types"] = list(shape.types)
    shared: dict[str, Any] = {"wanted": wanted, "rest": rest, "pivoted": pivoted}
    parts: list[CountedPart] = []
    if sources.known > MINUS_INFINITY:
        first = sql.Literal(sources.first_day)
        if sources.days:
            start, last = sql.Literal(sources.days[0]), sql.Literal(sources.days[-1])
            slots = [plan.slot_of(instants.start_of(day), bounds) for day in sources.days]
            parts.append(
                CountedPart(
                    query("backfill/events-days", first=start, last=last, **shared),
                    values | {"days": sources.days, "day_slots": slots},
                )
            )
        side = query(_side(connection, sources), first=first, **shared)
        parts.append(CountedPart(side, values))
    if sources.cut and vanished.concerns(connection, instants.start_of(sources.cut[0][0])):
        noted = query("backfill/events-vanished", **shared)
        parts.append(
            CountedPart(noted, values | {"cut": multirange(sources.cut), "bounds": list(bounds)})
        )
    return parts


def _filed(shape: Shape, bounds: tuple[dt.datetime, ...], request: Request) -> CountedPart:
    """Compose what is taken of the archive's files, which are counted already."""
    wanted, asked = _wanted(request)
    columns = each(shape.event_columns, "{}")
    filed = query("backfill/events-filed", columns=columns, wanted=wanted)
    return CountedPart(filed, asked | {"slots": len(bounds)})


def _source_of(
    stretch: TimeRange,
    settings: Settings,
    shape: Shape,
    bounds: tuple[dt.datetime, ...],
    request: Request,
    held: Mapping[str, sql.Composable],
) -> CountedPart:
    """Compose what is read of the source in a range of time, a column for each type."""
    names = [f"type_{place}" for place in range(1, len(shape.types) + 1)]
    pivoted = sql.SQL("").join(
        sql.SQL(", count(*) filter (where {}event_type::text = {}{}) as {}").format(
            # An event that bears such a name bears it by chance: it has another.
            sql.SQL("false and " if is_long(kind) else ""),
            sql.Placeholder(name),
            sql.SQL(" or event_type is null" if kind == UNNAMED else ""),
            column,
        )
        for name, kind, column in zip(names, shape.types, shape.event_columns, strict=True)
    )
    wanted, asked = _wanted(request)
    return CountedPart(
        query(
            "backfill/events-source",
            settings.sources,
            began=_began(bounds),
            columns=each(shape.event_columns, "{}"),
            pivoted=pivoted,
            **_span_of(stretch),
            wanted=wanted,
            **held,
        ),
        asked | dict(zip(names, shape.types, strict=True)) | _slots(bounds),
    )


def _types_of(
    stretch: TimeRange,
    settings: Settings,
    shape: Shape,
    bounds: tuple[dt.datetime, ...],
    request: Request,
    held: Mapping[str, sql.Composable],
) -> CountedPart:
    """Compose what is read of the source in a range of time, of types without a column."""
    wanted, asked = _wanted(request)
    return CountedPart(
        query(
            "backfill/events-types",
            settings.sources,
            began=_began(bounds),
            **_span_of(stretch),
            wanted=wanted,
            **held,
        ),
        # Of the others a column has a name that no event bears.
        asked | {"types": [kind for kind in shape.types if not is_long(kind)]} | _slots(bounds),
    )


def _slots(bounds: tuple[dt.datetime, ...]) -> dict[str, Any]:
    """Return when each slot began; slot 0 is what came before the first one."""
    return {"began": [MINUS_INFINITY, *bounds[:-1]], "began_slots": list(range(len(bounds)))}


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
    # What has no column, if only statuses, is read beside the cells.
    if not shape.rest:
        several: list[int] | None = [] if once else scalar_of(connection, "backfill/events-several")
        if several is not None and len(several) <= _MOST_MERGED:
            if several:
                summed = each(shape.event_columns, TOTAL + "({0})")
                columns = each(shape.event_columns, "{}")
                merge = query("backfill/events-merge", columns=columns, summed=summed)
                connection.execute(merge, {"slots": several})
            connection.execute("alter table pg_temp.backfill_counted rename to event_cells")
            return
    parts = [
        sql.SQL(
            ", coalesce({total}({0}), 0) + coalesce({total}(events) filter (where rest = {1}), 0)"
            " as {0}"
        ).format(column, sql.Placeholder(f"type_{place}"), total=sql.SQL(TOTAL))
        for place, column in enumerate(shape.event_columns, 1)
    ]
    connection.execute(
        query("backfill/events-cells", summed=sql.SQL("\n    ").join(parts)),
        {f"type_{place}": name for place, name in enumerate(shape.types, 1)},
    )
