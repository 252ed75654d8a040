"""Repair: what an audit found is put right by the ways that write snapshots anyway."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import (
    MINUS_INFINITY,
    Connection,
    scalar,
    scalar_of,
)
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import archived, job_state, lives, vanished, watermark
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.events import extract_events
from consumer_analytics.etl.extract import OWN
from consumer_analytics.etl.plan import TimeRange, plan_recount
from consumer_analytics.etl.restate import restate, restate_these
from consumer_analytics.etl.windows import restate_window
from consumer_analytics.reconcile.audit import proven
from consumer_analytics.reconcile.audit.models import AuditResult, RepairResult
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_SOURCE = "cli_etl"


def repair(
    connection: Connection,
    settings: Settings,
    result: AuditResult,
    *,
    accepted: vanished.Choice | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> RepairResult:
    """Repair what an audit found: counts, totals, rows that are too many, missing or wrong.

    Each step is whole by itself: where it is interrupted, another audit finds what is left. What
    cannot be repaired the next audit tells, with the reason.
    """
    wrong = {"instants": result.wrong_snapshots}
    reason = f"audit at {instants.now(connection).isoformat(timespec='seconds')}"
    with job_lock(connection, settings):
        repaired = _repair_counts(
            connection,
            settings,
            reason,
            doubled=result.doubled_rows > 0,
        )
        if accepted is not None:
            vanished.take_off(connection, settings, accepted, restored=False)
    with job_lock(connection, settings):
        connection.execute(query("reconcile/audit/repair/notes"), wrong)
        strangers = connection.execute(
            query("reconcile/audit/repair/strangers"), {**wrong, "reason": reason}
        ).rowcount
        relabelled = connection.execute(query("reconcile/audit/repair/labels"), wrong).rowcount
        # What nobody can tell any more stays in doubt, and is no part of other figures.
        sure = sorted(set(result.wrong_snapshots) - set(result.untold_snapshots))
        restated = 0
        if result.snapshots_on_trust and accepted is None:
            restated = proven.put_right(connection, settings, sure, reason)
    windows = connection.execute(
        query("reconcile/audit/repair/windows"), {"instants": sure}
    ).fetchall()
    snapshots = [(at, start, source) for at, start, is_whole, source in windows if is_whole]
    whole = [at for at, _, _ in snapshots]
    restated += restate(connection, settings, reason, notify)
    restated += restate_these(connection, settings, whole, reason, notify)
    for at, start, is_whole, _ in windows:
        if not is_whole and at <= watermark.processed_through(connection):
            with job_lock(connection, settings):
                state = job_state.read(connection)
                alone = [(at, start)]
                restated += restate_window(
                    connection, settings, state, alone, reason, of_chosen=True
                )
    with job_lock(connection, settings):
        # Rows that were put back name who put them back.
        connection.execute(
            query("reconcile/audit/repair/sources"),
            {
                "instants": whole,
                "starts": [start for _, start, _ in snapshots],
                "sources": [source for _, _, source in snapshots],
            },
        )
        connection.execute(query("reconcile/audit/repair/labels"), wrong)
        if result.written_otherwise:
            relabelled += proven.write_as_ever(connection, settings, sure)
        digests = query(
            "reconcile/audit/repair/digests",
            trusted_digest=query("reconcile/audit/trusted-digest"),
        )
        connection.execute(digests, {"instants": sure})
    return replace(
        repaired,
        rows_removed=repaired.rows_removed + strangers,
        rows_relabelled=relabelled,
        snapshots_restated=restated,
    )


def _repair_counts(
    connection: Connection, settings: Settings, reason: str, *, doubled: bool
) -> RepairResult:
    """Count all days again, make the totals their sum, and take doubled rows away."""
    state = job_state.read(connection)
    vanished.disbelieve(connection)
    archived.renew(connection, settings)
    plan = plan_recount(state, dt.date.min)
    extract_events(connection, settings, plan)
    written = apply(connection, settings, OWN, plan, _SOURCE, reason, {})
    totals = scalar(connection, query("reconcile/audit/repair/totals"))
    if totals:
        connection.execute(query("shared/extracts-outdate"))
    everything = [TimeRange(MINUS_INFINITY, state.processed_through)]
    corrected = lives.remember(connection, settings, everything, looking_back=True)
    if corrected is not None:
        # The audit took at its word what was remembered until then.
        connection.execute(query("shared/state-restate-after"), {"after": corrected})
    removed = 0
    if doubled:
        removed = scalar_of(connection, "shared/snapshots-undouble", {"reason": reason})
    return RepairResult(
        events_found=written.corrections.found,
        events_vanished=written.corrections.vanished,
        totals_corrected=totals,
        rows_removed=removed,
        rows_relabelled=0,
        snapshots_restated=0,
    )
