"""The audit: work out every figure a second way, and compare it with all that is kept.

It shares no statement with what runs, sweeps and backfills do, and follows other ways: events by
a plain count, customers by their lives from birth to end. What was written it knows from notes
that are made in the same transaction. What the source can no longer tell it takes on trust and
holds to digests, and says so. All of it is one read-only transaction that sees one moment; where
rows are gone that nobody has judged yet, they are judged, and it is done once more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import psycopg

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, consistent
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import sources, vanished
from consumer_analytics.reconcile.audit import customers, events, revisions, snapshots
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
    with_vanished = not accept_purged
    result = _look(connection, settings, span, limit, with_vanished=with_vanished, notify=notify)
    if result.double and with_vanished and _note_losses(connection, settings, notify):
        # What is gone and was not corrected is no difference, whoever sees it first.
        result = _look(connection, settings, span, limit, with_vanished=True, notify=notify)
    return result


def _note_losses(connection: Connection, settings: Settings, notify: Callable[[str], None]) -> bool:
    """Note what has vanished since anything last looked; return whether anything has.

    A login that may only read notes nothing: what has vanished is told as double until a run, a
    sweep or somebody else's audit has seen it.
    """
    notify("judging what the source no longer has")
    by = f"audit at {instants.now(connection).isoformat(timespec='seconds')}"
    try:
        with job_lock(connection, settings), consistent(connection):
            return vanished.judge_everything(connection, settings, by).noted > 0
    except psycopg.errors.InsufficientPrivilege:
        return False


def _look(
    connection: Connection,
    settings: Settings,
    span: tuple[dt.datetime, dt.datetime],
    limit: int,
    *,
    with_vanished: bool,
    notify: Callable[[str], None],
) -> AuditResult:
    """Recount and compare in one read-only transaction."""
    # A read-only transaction may fill temporary tables, but not make them.
    connection.execute(query("reconcile/audit/tables"))
    connection.read_only = True
    try:
        with consistent(connection):
            return _audit(
                connection, settings, span, limit, with_vanished=with_vanished, notify=notify
            )
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
