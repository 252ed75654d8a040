"""The load: fold what was extracted, write the snapshots, move the watermark.

All of it is one transaction, under the job's lock. The extracts count only if
the job still stands where they found it; otherwise, or where nobody made them,
they are made inside the load, so that figures never depend on the order in which
things happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import BusyError
from consumer_analytics.etl import extract, job_state, watermark
from consumer_analytics.etl.apply import Written, apply, not_recountable, timed
from consumer_analytics.etl.models import Run
from consumer_analytics.etl.plan import Plan, plan_run
from consumer_analytics.etl.restate import restate
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Someone may set the watermark by hand in the very moment; then look again.
_TRIES = 5


def load(
    connection: Connection,
    settings: Settings,
    run: Run,
    notify: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Finish a run: fold, write its snapshots, move the watermark, restate what changed.

    Returns:
        The run's summary, as `metadata_json` keeps it.

    Raises:
        BusyError: another run would not end.
    """
    with job_lock(connection, settings):
        for attempt in range(_TRIES):
            try:
                with consistent(connection):
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
        restated = restate(connection, settings, f"run {run.run_key}", notify)
    summary["snapshots_restated"] += restated
    return summary


def _load(
    connection: Connection, settings: Settings, run: Run, notify: Callable[[str], None]
) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    with timed(seconds, "lock"):
        mark = watermark.read(connection, for_update=True)
        state = job_state.read(connection, settings)
        plan = plan_run(connection, state, run.reached_at)
    extracts = extract.left_for(run.run_id)
    told: dict[str, Any] = {}
    for part in extract.PARTS:
        found = connection.execute(
            query("etl/load/extracts-find"),
            {"plan": Jsonb(plan.as_json()), "run_id": run.run_id, "part": part},
        ).fetchone()
        if found is None or not found[1]:
            if found is not None:
                notify(f"the extract of {part} is stale, extracting again")
                extract.forget(connection, run.run_id, part)
            told[part] = extract.extract_part(connection, settings, plan, part)
            extracts = replace(extracts, **{part: getattr(extract.OWN, part)})
        else:
            told[part] = found[0]
        seconds[f"extract_{part}"] = told[part]["seconds"]

    done = apply(
        connection, settings, extracts, plan, run.snapshot_source, f"run {run.run_key}", seconds
    )
    with timed(seconds, "finish"):
        bad_rows = _bad_rows(connection, settings, done, told["customers"])
        summary = {
            "run_key": run.run_key,
            "window_start": plan.bounds[0].isoformat() if plan.snapshots else None,
            "window_end": run.reached_at.isoformat() if plan.snapshots else None,
            "requested": run.requested_at.isoformat(),
            "rows_read": told["events"]["rows_read"],
            "new_events": _events_in_windows(connection, plan),
            "new_customers": told["customers"].get("new_customers", 0),
            "snapshots_written": done.inserted,
            "snapshots_restated": done.restated,
            "held_back_by": list(run.held_back_by),
            "corrections": done.corrections,
            "not_recountable": [at.isoformat() for at in not_recountable(plan)],
            "bad_rows": bad_rows,
            "seconds": seconds,
        }
        _finish(connection, run, plan, mark, summary)
    return summary


def _finish(
    connection: Connection,
    run: Run,
    plan: Plan,
    mark: watermark.Watermark,
    summary: dict[str, Any],
) -> None:
    if plan.snapshots:
        connection.execute(query("etl/load/snapshots-settle"), {"snapshots": list(plan.snapshots)})
    if run.named and run.reached_at < run.requested_at:
        connection.execute(
            query("etl/load/snapshots-owe"),
            {"at": run.requested_at, "key": run.run_key, "source": run.snapshot_source},
        )
    connection.execute(
        query("etl/load/watermark-advance"),
        {
            "to": max(mark.last_processed_timestamp, run.reached_at),
            "records": summary["new_events"] + summary["new_customers"],
            "summary": Jsonb(summary),
            "job": watermark.JOB,
        },
    )
    connection.execute(
        query("etl/load/runs-finish"), {"summary": Jsonb(summary), "run_id": run.run_id}
    )
    forget_extracts(connection, run.run_id)


def _events_in_windows(connection: Connection, plan: Plan) -> int:
    """Return how many events the run's windows hold; `apply` has left them by slot."""
    count: int = scalar_of(connection, "etl/load/events-in-windows", {"last": len(plan.snapshots)})
    return count


def forget_extracts(connection: Connection, run_id: int) -> None:
    """Drop what was extracted for a run, and what given-up runs left behind.

    The extracts' own rows come first, as where an extract begins.
    """
    stale = connection.execute(query("etl/load/extracts-stale"), {"run_id": run_id}).fetchall()
    if not stale:
        return
    ids = sorted(one for (one,) in stale)
    for table in ("extracts", "extracted_events", "extracted_customers"):
        connection.execute(
            query("etl/load/extracts-forget", table=sql.Identifier(table)), {"run_ids": ids}
        )


def _bad_rows(
    connection: Connection, settings: Settings, done: Written, customers: dict[str, Any]
) -> dict[str, Any]:
    """Return the kinds of rows that the contract tolerates but wants told, where there are any."""
    row = connection.execute(query("etl/load/rows-bad", settings.source_schema)).fetchone()
    names = ("unattributed_events", "untyped_events", "future_events")
    found: dict[str, Any] = dict(zip(names, row or (), strict=False))
    found["unknown_consumers"] = list(done.unknown_consumers)
    found["unattributed_customers"] = customers.get("unattributed_customers", 0)
    found["future_customers"] = customers.get("future_customers", 0)
    return {name: value for name, value in found.items() if value}
