"""Events: a plain count of the source beside what runs keep, and the notes of what vanished."""

from __future__ import annotations

import datetime as dt
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.reconcile.audit import archive
from consumer_analytics.reconcile.audit.columns import Columns
from consumer_analytics.reconcile.audit.models import AuditDifference, AuditResult, Collector
from consumer_analytics.reconcile.audit.reading import day_of, first_day, stream
from consumer_analytics.settings import Settings
from consumer_analytics.sql import named, query

_MIDNIGHT = dt.time()


def count(
    connection: Connection,
    settings: Settings,
    columns: Columns,
    bounds: list[dt.datetime],
    result: AuditResult,
    *,
    lower: dt.datetime,
    with_vanished: bool,
) -> None:
    """Count all events by the bounds, and add those that are noted as vanished.

    Args:
        connection: in the audit's transaction.
        settings: where the source is.
        columns: the types that are counted in one of their own.
        bounds: instants and starts of windows, ascending.
        result: takes the sums.
        lower: count those from here on.
        with_vanished: whether what has vanished counts.
    """
    sources = settings.sources
    values: dict[str, Any] = {
        "bounds": bounds,
        "cuts": sorted({*bounds, result.processed_through}),
        "processed_through": result.processed_through,
        "lower": lower,
        "until": max([result.processed_through, *bounds]),
        "types": list(columns.types),
    }
    with archive.opened(connection, settings, lower) as filed:
        relation = {} if filed is None else filed.counted(values["cuts"])
    since = _since(values["cuts"])
    names = columns.each_type("{}")
    of_type: LiteralString = "count(*) filter (where event_type::text = {name}) as {}"
    relation["counted"] = sql.SQL("count(*)")
    if filed is not None:
        of_type = (
            "coalesce(pg_temp.audit_sum(events_of_row) filter (where event_type::text = {name}), 0)"
            " as {}"
        )
        relation["counted"] = sql.SQL("pg_temp.audit_sum(events_of_row)")
    _run(
        connection,
        query(
            "reconcile/audit/events/count",
            sources,
            since=since,
            columns=names,
            pivoted=columns.each_type(of_type),
            **relation,
        ),
        values,
    )
    if scalar_of(
        connection, "reconcile/audit/events/rest-exists", named=columns.each_type("{}", " - ")
    ):
        rest = query("reconcile/audit/events/count-rest", sources, since=since, **relation)
        _run(connection, rest, values)
    if with_vanished:
        gone = columns.each_type("coalesce(sum(n) filter (where event_type = {name}), 0)")
        _run(
            connection,
            query("reconcile/audit/events/add-vanished", columns=names, pivoted=gone),
            values,
        )
    connection.execute("analyze audit_events (consumer_id, day, place); analyze audit_rest")
    counted, in_source, vanished, first, last = connection.execute(
        query("reconcile/audit/events/sums"), {"from_day": first_day(lower)}
    ).fetchone() or (0, 0, 0, None, None)
    result.counted, result.in_source, result.vanished = counted, in_source, vanished
    result.noted = (first, last) if vanished else None


def _run(connection: Connection, statement: sql.Composed, values: dict[str, Any]) -> None:
    connection.execute(statement, named(statement, values))


def change(connection: Connection, columns: Columns) -> None:
    """Lay out what changes among the counted events from bound to bound."""
    connection.execute(
        query(
            "reconcile/audit/events/whole",
            columns=columns.each_type("{}"),
            summed=columns.each_type("pg_temp.audit_sum({})"),
        )
    )
    connection.execute(query("reconcile/audit/events/rest"))


def _since(cuts: list[dt.datetime]) -> sql.SQL:
    """Compose the UTC midnight or the cut, whichever is later, at or before an event.

    Where all cuts are midnights that is plain arithmetic: a third of the time of a search.
    """
    midnight = "date_bin('1 day', created_at::timestamptz, '2000-01-01 00:00:00+00')"
    if all(cut.timetz().replace(tzinfo=None) == _MIDNIGHT for cut in cuts):
        return sql.SQL(midnight)
    return sql.SQL(
        "greatest(" + midnight + ", (%(cuts)s::timestamptz[])"
        "[width_bucket(created_at::timestamptz, %(cuts)s::timestamptz[])])"
    )


def compare(
    connection: Connection,
    columns: Columns,
    lower: dt.datetime,
    upper: dt.datetime,
    result: AuditResult,
    differences: Collector,
    *,
    is_based: bool,
) -> None:
    """Compare the counts by day and the totals with the events that must have been counted.

    Args:
        connection: in the audit's transaction.
        columns: the types that are counted in one of their own.
        lower: compare days that begin here or later.
        upper: compare days up to this one's.
        result: takes how many are missing, and how many double.
        differences: take what differs.
        is_based: whether the audit goes on from a snapshot: that has no types of events without a
            consumer, so that their totals cannot be told.
    """
    days = {"from_day": first_day(lower), "to_day": day_of(upper)}
    types = {"types": list(columns.types)}
    parts: dict[str, sql.Composable] = {
        "columns": columns.each_type("{}"),
        "kept": columns.each_type("case when event_type = {name} then -n else 0 end"),
        "unequal": columns.each_type("pg_temp.audit_sum({}) <> 0", " or "),
        "named": columns.type_array,
        "which": sql.SQL("consumer_id is not null" if is_based else "true"),
        "summed": columns.each_type("pg_temp.audit_sum({0}) as {0}"),
    }
    for consumer, kind, day, kept, recounted in stream(
        connection, "reconcile/audit/events/days", days | types, **parts
    ):
        result.missing += max(recounted - kept, 0)
        result.double += max(kept - recounted, 0)
        differences.add(AuditDifference("day", consumer, kind, day, kept, recounted))
    for consumer, kind, kept, recounted in stream(
        connection, "reconcile/audit/events/totals", types, **parts
    ):
        differences.add(AuditDifference("total", consumer, kind, None, kept, recounted))
