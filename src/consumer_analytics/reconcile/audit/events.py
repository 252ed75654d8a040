"""Events: a plain count of the source beside what runs keep, and the notes of what vanished."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.db.connection import Connection
from consumer_analytics.reconcile.audit.models import AuditDifference, AuditResult, Collector
from consumer_analytics.reconcile.audit.reading import day_of, stream
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def count(
    connection: Connection,
    settings: Settings,
    bounds: list[dt.datetime],
    result: AuditResult,
    *,
    with_vanished: bool,
) -> None:
    """Count all events by the bounds, and add those that are noted as vanished.

    Args:
        connection: in the audit's transaction.
        settings: where the source is.
        bounds: instants and starts of windows, ascending.
        result: takes the sums.
        with_vanished: whether what has vanished counts.
    """
    # Two sorts or hashes of this size at most; what does not fit goes to disk.
    connection.execute("select set_config('work_mem', '256MB', true)")
    values = {
        "bounds": bounds,
        "processed_through": result.processed_through,
        "until": max([result.processed_through, *bounds]),
    }
    connection.execute(query("reconcile/audit/events/count", settings.sources), values)
    if with_vanished:
        connection.execute(query("reconcile/audit/events/add-vanished"), values)
    connection.execute("analyze audit_events")
    connection.execute(query("reconcile/audit/events/changes"))
    counted, in_source, vanished, first, last = connection.execute(
        query("reconcile/audit/events/sums")
    ).fetchone() or (0, 0, 0, None, None)
    result.counted, result.in_source, result.vanished = counted, in_source, vanished
    result.noted = (first, last) if vanished else None


def compare(
    connection: Connection,
    lower: dt.datetime,
    upper: dt.datetime,
    result: AuditResult,
    differences: Collector,
) -> None:
    """Compare the counts by day and the totals with the events that must have been counted."""
    days = {"from_day": day_of(lower), "to_day": day_of(upper)}
    for consumer, kind, day, kept, recounted in stream(
        connection, "reconcile/audit/events/days", days
    ):
        result.missing += max(recounted - kept, 0)
        result.double += max(kept - recounted, 0)
        differences.add(AuditDifference("day", consumer, kind, day, kept, recounted))
    for consumer, kind, kept, recounted in stream(connection, "reconcile/audit/events/totals"):
        differences.add(AuditDifference("total", consumer, kind, None, kept, recounted))
