"""The audit: work out every figure a second way, and compare it with all that is kept.

It shares no statement with what runs, sweeps and backfills do, and follows other ways: events by
a plain count, customers by their lives from birth to end. What was written it knows from notes
that are made in the same transaction. What the source can no longer tell it takes on trust and
holds to digests, and says so. All of it is one read-only transaction that sees one moment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from consumer_analytics.db import schema
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, consistent
from consumer_analytics.etl import sources
from consumer_analytics.reconcile.audit import customers, events, losses, revisions, snapshots
from consumer_analytics.reconcile.audit.models import (
    AuditDifference,
    AuditResult,
    Collector,
    RepairResult,
)
from consumer_analytics.reconcile.audit.repair import repair
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

__all__ = ["AuditDifference", "AuditResult", "RepairResult", "audit", "repair"]


def audit(
    connection: Connection,
    settings: Settings,
    *,
    lower: dt.datetime | None = None,
    upper: dt.datetime | None = None,
    limit: int = 100,
    accept_purged: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> AuditResult:
    """Recount everything and compare.

    Args:
        connection: in autocommit.
        settings: where the source is.
        lower: compare snapshots and days from here on; None for all.
        upper: compare snapshots up to here, this one included; None for all.
        limit: how many differences to list; all are counted.
        accept_purged: take the source at its word: what has vanished does not count.
        notify: told how far it is.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings, notify)
    span = (lower or MINUS_INFINITY, upper or INFINITY)
    options: dict[str, Any] = {"with_vanished": not accept_purged, "notify": notify}
    result = _look(connection, settings, span, limit, **options)
    if result.double and not accept_purged:
        notify("judging what the source no longer has")
        if losses.note(connection, settings):
            result = _look(connection, settings, span, limit, **options)
    return result


def _look(
    connection: Connection,
    settings: Settings,
    span: tuple[dt.datetime, dt.datetime],
    limit: int,
    **options: Any,
) -> AuditResult:
    """Recount and compare in one read-only transaction."""
    # Which may fill temporary tables, but not make them.
    connection.execute(query("reconcile/audit/tables"))
    connection.read_only = True
    try:
        with consistent(connection):
            return _audit(connection, settings, span, limit, **options)
    finally:
        if not connection.closed:
            connection.read_only = None
            connection.execute(query("reconcile/audit/forget"))


def _audit(
    connection: Connection,
    settings: Settings,
    span: tuple[dt.datetime, dt.datetime],
    limit: int,
    *,
    with_vanished: bool,
    notify: Callable[[str], None],
) -> AuditResult:
    result = AuditResult()
    differences = Collector(result, limit)
    result.processed_through, result.awaiting = snapshots.awaited(connection)
    compared, bounds = snapshots.known(connection, *span, result, with_vanished=with_vanished)
    notify("recounting the events")
    events.count(connection, settings, bounds, result, with_vanished=with_vanished)
    events.compare(connection, *span, result, differences)
    snapshots.find_doubled(connection, *span, result, differences)
    if compared:
        notify("following the customers")
        customers.build(connection, settings, bounds, with_vanished=with_vanished)
        snapshots.compare(
            connection,
            settings,
            compared,
            bounds,
            result,
            differences,
            with_vanished=with_vanished,
            notify=notify,
        )
    revisions.compare(connection, *span, differences)
    result.wrong_snapshots = sorted(set(result.wrong_snapshots))
    return result
