"""The load: fold what was extracted, write the snapshots, move the watermark.

All of it is one transaction, which holds the job's lock. The extracts count only if
the job still stands where they found it; otherwise, or where nobody made them,
they are made inside the load, so that figures never depend on the order in which
things happened.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection, named_row, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import BusyError
from consumer_analytics.etl import extract, job_state, vanished, watermark
from consumer_analytics.etl.apply import Written, apply, timed
from consumer_analytics.etl.extract import Extracts
from consumer_analytics.etl.models import BadRows, CustomerExtract, Run, RunSummary
from consumer_analytics.etl.plan import Plan, plan_run, within
from consumer_analytics.etl.restate import restate
from consumer_analytics.mapping import LONGEST_TYPE
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Someone may set the watermark by hand in the very moment; then look again.
_TRIES = 5


def load(
    connection: Connection,
    settings: Settings,
    run: Run,
    notify: Callable[[str], None] = lambda _: None,
) -> RunSummary:
    """Finish a run: fold, write its snapshots, move the watermark, restate what changed.

    Raises:
        BusyError: another run would not end.
    """
    for attempt in range(_TRIES):
        try:
            with job_lock(connection, settings):
                summary = _load(connection, settings, run, notify)
            break
        except psycopg.errors.SerializationFailure:
            if attempt == _TRIES - 1:
                raise
        except psycopg.errors.LockNotAvailable:
            raise BusyError(
                f"the watermark's row is locked by another session for "
                f"{settings.lock_wait:g} s; "
                "let it commit, then run again"
            ) from None
    restated = 0
    try:
        restated = restate(connection, settings, f"run {run.run_key}", notify)
    except BusyError as error:
        # What the run is for is done; that one, or the next, restates what is left.
        notify(f"not all snapshots that changed are restated yet: {error}")
    return replace(summary, snapshots_restated=summary.snapshots_restated + restated)


def _load(
    connection: Connection, settings: Settings, run: Run, notify: Callable[[str], None]
) -> RunSummary:
    seconds: dict[str, float] = {}
    with timed(seconds, "lock"):
        mark = watermark.read(connection, for_update=True)
        plan = plan_run(connection, job_state.read(connection), run.reached_at)
    with timed(seconds, "look"):
        seen = vanished.look(connection, settings, f"run {run.run_key}")
        if plan.snapshots:
            known = plan.job_state.processed_through
            looked_at = (plan.snapshots[0], known, f"run {run.run_key}")
            seen += vanished.judge_lives(connection, settings, *looked_at)
    taken = (connection, settings, run, plan)
    extracted_customers, customers = extract.take(*taken, extract.CUSTOMERS, notify)
    extracted_events, events = extract.take(*taken, extract.EVENTS, notify)
    seconds |= {"extract_customers": customers.seconds, "extract_events": events.seconds}
    extracts = Extracts(extracted_customers, extracted_events)
    written = apply(
        connection, settings, extracts, plan, run.snapshot_source, f"run {run.run_key}", seconds
    )
    corrections = replace(
        written.corrections,
        noted=written.corrections.noted + seen.noted,
        came_back=written.corrections.came_back + seen.came_back,
    )
    reached = plan.snapshots and run.reached_at not in written.refused
    with timed(seconds, "finish"):
        summary = RunSummary(
            run_key=run.run_key,
            window=(plan.bounds[0], run.reached_at) if reached else None,
            requested=run.requested_at,
            rows_read=events.rows_read,
            new_events=_events_in_windows(connection, plan),
            new_customers=customers.new_customers,
            snapshots_written=written.inserted,
            snapshots_restated=written.restated,
            held_back_by=run.held_back_by,
            corrections=corrections,
            not_recountable=written.refused,
            noted_as_vanished=vanished.total(connection),
            bad_rows=_bad_rows(connection, settings, plan, written, customers),
            seconds=dict(seconds),
        )
        close(
            connection,
            run,
            mark,
            plan.job_state.processed_through,
            plan.snapshots,
            summary.new_events + summary.new_customers,
            summary.as_json(),
        )
        extract.forget_all(connection, run.run_id)
    return replace(summary, seconds=seconds)


def close(
    connection: Connection,
    run: Run,
    mark: watermark.Watermark,
    processed: dt.datetime,
    written: Sequence[dt.datetime],
    records: int,
    summary: dict[str, Any],
) -> None:
    """Close a run and move the watermark, in the transaction that has written its snapshots.

    Args:
        connection: in that transaction.
        run: which.
        mark: the watermark's row, locked.
        processed: how far the counts reached before.
        written: instants that have their snapshot now.
        records: events and customers that are new.
        summary: what the run tells.
    """
    if written:
        connection.execute(query("etl/load/snapshots-settle"), {"snapshots": list(written)})
    if run.named and run.reached_at < run.requested_at:
        connection.execute(
            query("etl/load/snapshots-owe"),
            {"at": run.requested_at, "key": run.run_key, "source": run.snapshot_source},
        )
    document = Jsonb(summary)
    # One that was set by hand to beyond what is processed would say what is not so.
    advances = run.reached_at > processed
    to = run.reached_at if advances else max(mark.last_processed_timestamp, run.reached_at)
    connection.execute(
        query("etl/load/watermark-advance"),
        {"to": to, "records": records, "summary": document},
    )
    # The run's record tells how far the figures had come, wherever somebody set the watermark.
    come_to = min(to, max(processed, run.reached_at))
    connection.execute(
        query("etl/load/runs-finish"),
        {"summary": document, "to": come_to, "run_id": run.run_id},
    )


def _events_in_windows(connection: Connection, plan: Plan) -> int:
    """Return how many events the run's windows hold; `apply` has left them by slot."""
    count: int = scalar_of(connection, "etl/load/events-in-windows", {"last": len(plan.snapshots)})
    return count


def _bad_rows(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    written: Written,
    customers: CustomerExtract,
) -> BadRows:
    """Return the kinds of rows that the contract tolerates but wants told."""
    rows = named_row(
        connection,
        query("etl/load/rows-bad", settings.sources),
        longest=LONGEST_TYPE,
    )
    return BadRows(
        **rows,
        **_bad_lifecycle_events(connection, settings, plan),
        unknown_consumers=written.unknown_consumers,
        unattributed_customers=customers.unattributed_customers,
        future_customers=customers.future_customers,
    )


def _bad_lifecycle_events(connection: Connection, settings: Settings, plan: Plan) -> dict[str, int]:
    """Count lifecycle events that say nothing of any customer, of those that the run has read."""
    if not plan.ranges:
        return {}
    ranges = within(plan.ranges)
    statement = query("etl/load/rows-lifecycle", settings.sources, ranges=ranges)
    return named_row(connection, statement)
