"""The sweep: recount the trailing days against the source, repair and restate what differs.

Runs take in each row once. Rows that come in late under their own time stamps,
that are changed or deleted afterwards, the sweep finds: events by counting the
days again, customers by working out who there was at each snapshot of these days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import extract, job_state, sources, watermark
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import plan_recount, plan_restatement
from consumer_analytics.etl.restate import restate
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Differences listed; all are counted.
_LISTED = 20
#: Snapshots looked at together for the customers of their instants.
_SNAPSHOTS_AT_ONCE = 200
_SNAPSHOTS_FURTHER_BACK = 32
_ONE_MICROSECOND = dt.timedelta(microseconds=1)


def sweep(
    connection: Connection,
    settings: Settings,
    *,
    days: int | None = None,
    since: dt.date | None = None,
    accept_purged: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Recount days against the source, repair what differs, restate what changes.

    Args:
        connection: in autocommit.
        settings: `sweep_days` is how many trailing days are swept by default.
        days: trailing days, counted back from where the last run came to.
        since: the first UTC day, instead.
        accept_purged: take the source at its word where it was purged: counts
            may go down. Sweeps all days where none are named.
        notify: told what is under way.

    Returns:
        What was found and done: days, consumers and types corrected, snapshots
        restated, the first differences with both figures, what can no longer
        be recounted.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        UsageError: the first day lies after all that was counted.
        BusyError: a run would not end.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings.source_schema)
    with job_lock(connection, settings):
        reason = f"sweep at {instants.now(connection).isoformat(timespec='seconds')}"
        with consistent(connection):
            state = job_state.read(connection, settings, accept_purged=accept_purged)
            first = _first_day(state, settings, days, since, everything=accept_purged)
            found = {
                "since": None if first == dt.date.min else first,
                "processed_through": state.processed_through,
                **_nothing(),
            }
            if state.processed_through > MINUS_INFINITY:
                found |= _events(connection, settings, state, first, reason)
                connection.execute(
                    query("reconcile/deletions-remember", settings.source_schema),
                    {
                        "since": "-infinity" if first == dt.date.min else first,
                        "until": state.processed_through,
                    },
                )
        with consistent(connection):
            state = job_state.read(connection, settings, accept_purged=accept_purged)
            found |= _customers(connection, settings, state, first)
            found |= _out_of_reach(connection, state, first)
        found["snapshots_restated"] = restate(
            connection, settings, reason, notify, accept_purged=accept_purged
        )
        connection.execute(query("reconcile/sweep/counters-sweep"), found)
    return found


def _nothing() -> dict[str, Any]:
    return {
        "days_corrected": 0,
        "consumers_corrected": 0,
        "types_corrected": 0,
        "events_found": 0,
        "events_vanished": 0,
        "differences": [],
        "snapshots_with_other_customers": 0,
        "snapshots_restated": 0,
        "purged_before": None,
        "snapshots_not_recountable": 0,
    }


def _first_day(
    state: JobState,
    settings: Settings,
    days: int | None,
    since: dt.date | None,
    *,
    everything: bool,
) -> dt.date:
    if since is not None:
        if since > instants.day_of(state.processed_through) > dt.date.min:
            raise UsageError(
                f"{since} lies after {instants.day_of(state.processed_through)}, the last day "
                "that runs have counted: there is nothing to sweep"
            )
        return since
    if days is None:
        if everything:
            return dt.date.min
        days = settings.sweep_days
    if state.processed_through == MINUS_INFINITY:
        return dt.date.min
    last = instants.day_of(state.processed_through)
    return dt.date.fromordinal(max(last.toordinal() - days, dt.date.min.toordinal()))


def _events(
    connection: Connection, settings: Settings, state: JobState, first: dt.date, reason: str
) -> dict[str, Any]:
    """Count the days again, and fold only where something differs."""
    plan = plan_recount(state, first)
    extract.extract_part(connection, settings, plan, "events")
    connection.execute("drop table if exists pg_temp.differing_events")
    differing = query("reconcile/sweep/events-differ", extracted_events=extract.OWN.events)
    connection.execute(differing, {"recount": plan.recount_multirange})
    row = connection.execute(query("reconcile/sweep/events-differ-sum")).fetchone()
    found = dict(
        zip(
            (
                "days_corrected",
                "consumers_corrected",
                "types_corrected",
                "events_found",
                "events_vanished",
            ),
            row or (0, 0, 0, 0, 0),
            strict=True,
        )
    )
    found["differences"] = [
        dict(zip(("consumer_id", "event_type", "day", "counted", "source"), one, strict=True))
        for one in connection.execute(
            query("reconcile/sweep/events-differ-list"), {"limit": _LISTED}
        )
    ]
    if found["days_corrected"] or state.touched_notes:
        apply(connection, settings, extract.OWN, plan, "cli_etl", reason, {})
    return found


def _customers(
    connection: Connection, settings: Settings, state: JobState, first: dt.date
) -> dict[str, Any]:
    """Compare the customers of each snapshot with who there was, as is known now.

    One pass over the customers tells all these instants. Where the earliest one
    differs, so may those before it: further back, until one is as it was.
    """
    lower = instants.start_of(first)
    before: dt.datetime | None = None
    earliest: dt.datetime | None = None
    differing = 0
    suspicious = True
    while True:
        inside = before is None or before > lower
        batch = [
            at
            for (at,) in connection.execute(
                query("reconcile/sweep/snapshots-before"),
                {
                    "before": before,
                    "recountable_from": state.purged_before,
                    "until": state.processed_through,
                    "limit": _SNAPSHOTS_AT_ONCE if inside else _SNAPSHOTS_FURTHER_BACK,
                },
            )
        ]
        chosen = [at for at in batch if at >= lower]
        if not chosen and before is None:
            # Snapshots may be rarer than sweeps.
            chosen = batch[-1:]
        elif not chosen and suspicious:
            chosen = batch
        if not chosen:
            break
        found = differing_customers(connection, settings, state, chosen)
        differing += len(found)
        before = chosen[0]
        suspicious = before in found
        earliest = min(found, default=earliest)
    if earliest is not None:
        connection.execute(
            query("shared/state-restate-after"),
            {"after": earliest - _ONE_MICROSECOND, "job": watermark.JOB},
        )
    return {"snapshots_with_other_customers": differing}


def differing_customers(
    connection: Connection, settings: Settings, state: JobState, snapshots: list[dt.datetime]
) -> list[dt.datetime]:
    """Return those of these snapshots whose customers, or whose rows, are not what they were.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        state: where the job stands.
        snapshots: their instants, ascending.
    """
    plan = plan_restatement(connection, state, snapshots)
    extract.extract_part(connection, settings, plan, "customers")
    differing = query("reconcile/sweep/customers-differ", settings.source_schema)
    return [at for (at,) in connection.execute(differing, {"bounds": list(plan.bounds)})]


def _out_of_reach(connection: Connection, state: JobState, first: dt.date) -> dict[str, Any]:
    """Tell what the source was purged of, as far as the sweep would have gone."""
    horizon = state.purged_before
    if horizon is None or instants.start_of(first) >= horizon:
        return {}
    left = scalar_of(
        connection,
        "reconcile/sweep/snapshots-count-between",
        {"from": instants.start_of(first), "until": horizon},
    )
    return {"purged_before": horizon, "snapshots_not_recountable": left}
