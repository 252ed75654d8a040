"""The audit: work out every figure a second way, and compare it with all that is kept.

It shares no statement with what runs, sweeps and backfills do, and follows other ways: events by
a plain count, customers by their lives from birth to end. What was written it knows from notes
that are made in the same transaction. What the source can no longer tell it takes on trust and
holds to digests, and says so. All of it is read in one moment, by one session or by two that see
the same rows, in transactions that cannot write.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from consumer_analytics.db import schema
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, scalar_of
from consumer_analytics.etl import federation, sources
from consumer_analytics.reconcile.audit import last, losses, snapshots
from consumer_analytics.reconcile.audit.models import AuditDifference, AuditResult, RepairResult
from consumer_analytics.reconcile.audit.reading import first_day
from consumer_analytics.reconcile.audit.repair import repair
from consumer_analytics.reconcile.audit.sessions import AuditRequest, look
from consumer_analytics.settings import Settings

__all__ = ["AuditDifference", "AuditResult", "RepairResult", "audit", "repair"]


def audit(
    connection: Connection,
    settings: Settings,
    *,
    lower: dt.datetime | None = None,
    upper: dt.datetime | None = None,
    limit: int = 100,
    accept_purged: bool = False,
    since_last: bool = False,
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
        since_last: recount only what has changed since the last clean audit; not together with a
            range or `accept_purged`.
        notify: told how far it is.

    Raises:
        UsageError: there is no clean audit to go on from, or nobody knows what has changed since.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    schema.require_current(connection)
    federation.require_own(connection)
    sources.require_usable(connection, settings, notify)
    if lower is not None and not _reaches(connection, lower):
        # Nothing is recounted for what has not come yet.
        return AuditResult(processed_through=snapshots.awaited(connection)[0])
    is_whole = lower is None and upper is None and not accept_purged
    request = AuditRequest(
        settings,
        (lower or MINUS_INFINITY, upper or INFINITY),
        limit,
        not accept_purged,
        notify,
        keeps=is_whole and last.can_be_kept(connection, settings),
        since_last=since_last,
    )
    findings = look(connection, request)
    result = findings.together()
    if result.double and not accept_purged:
        notify("judging what the source no longer has")
        if losses.note(connection, settings):
            findings = look(connection, replace(request, since_last=False))
            result = findings.together()
    if findings.state is not None and result.clean:
        last.keep(connection, settings, *findings.state, result.processed_through)
    return result


def _reaches(connection: Connection, lower: dt.datetime) -> bool:
    """Tell whether anything is kept from an instant on."""
    values = {"lower": lower, "from_day": first_day(lower)}
    return bool(scalar_of(connection, "reconcile/audit/reaches", values))
