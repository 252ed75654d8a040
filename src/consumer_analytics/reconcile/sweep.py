"""The sweep: recount the trailing days against the source, repair and restate what differs.

Runs take in each row once. Rows that come in late under their own time stamps,
that are changed or deleted afterwards, the sweep finds: events by counting the
days again, customers by working out who there was at each snapshot of these days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import job_state, lives, sources
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.customers import extract_customers
from consumer_analytics.etl.events import extract_events
from consumer_analytics.etl.extract import OWN
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import TimeRange, plan_recount, plan_restatement
from consumer_analytics.etl.restate import restate
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Differences listed; all are counted.
_LISTED = 20
#: Snapshots looked at together for the customers of their instants.
_SNAPSHOTS_AT_ONCE = 200
_SNAPSHOTS_FURTHER_BACK = 32
_ONE_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class SweepDifference:
    """Events of one consumer, type and day whose number is not what was counted.

    Attributes:
        consumer_id: whose; None for events without a consumer.
        event_type: their type.
        day: the UTC day.
        counted: how many runs had counted.
        source: how many the source has.
    """

    consumer_id: str | None
    event_type: str
    day: str
    counted: int
    source: int


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found and did.

    Attributes:
        since: the first UTC day that was swept; None for the beginning.
        processed_through: up to where runs had counted.
        days_corrected: days with other events than were counted.
        consumers_corrected: consumers with such days.
        types_corrected: event types with such days.
        events_found: events that the counts lacked.
        events_vanished: events that the source no longer has.
        differences: the first of these differences.
        snapshots_with_other_customers: snapshots that told other customers than there were.
        snapshots_restated: snapshot rows restated.
        purged_before: the source no longer holds all rows from before this
            instant; None where the sweep did not go there.
        snapshots_not_recountable: snapshots from before it, which stay as reported.
    """

    since: dt.date | None
    processed_through: dt.datetime
    days_corrected: int = 0
    consumers_corrected: int = 0
    types_corrected: int = 0
    events_found: int = 0
    events_vanished: int = 0
    differences: tuple[SweepDifference, ...] = ()
    snapshots_with_other_customers: int = 0
    snapshots_restated: int = 0
    purged_before: dt.datetime | None = None
    snapshots_not_recountable: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def sweep(
    connection: Connection,
    settings: Settings,
    *,
    days: int | None = None,
    since: dt.date | None = None,
    accept_purged: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> SweepResult:
    """Recount days against the source, repair what differs, restate what changes.

    Args:
        connection: in autocommit.
        settings: `sweep_days` is how many trailing days are swept by default.
        days: trailing days, counted back from where the last run came to.
        since: the first UTC day, instead.
        accept_purged: take the source at its word where it was purged: counts
            may go down. Sweeps all days where none are named.
        notify: told what is under way.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        UsageError: the first day lies after all that was counted.
        BusyError: a run would not end.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings, notify)
    with job_lock(connection, settings):
        reason = f"sweep at {instants.now(connection).isoformat(timespec='seconds')}"
        with consistent(connection):
            state = job_state.read(connection, settings, accept_purged=accept_purged)
            first = _first_day(state, settings, days, since, everything=accept_purged)
            result = SweepResult(None if first == dt.date.min else first, state.processed_through)
            if state.processed_through > MINUS_INFINITY:
                result = _sweep_events(connection, settings, state, first, reason, result)
        _sweep_lives(connection, settings, state, first)
        with consistent(connection):
            state = job_state.read(connection, settings, accept_purged=accept_purged)
            differing = _sweep_customers(connection, settings, state, first)
            result = replace(result, snapshots_with_other_customers=differing)
            result = _out_of_reach(connection, state, first, result)
        restated = restate(connection, settings, reason, notify, accept_purged=accept_purged)
        result = replace(result, snapshots_restated=restated)
        connection.execute(
            query("reconcile/sweep/counters-sweep"),
            {
                "days_corrected": result.days_corrected,
                "events_found": result.events_found,
                "events_vanished": result.events_vanished,
                "snapshots_restated": result.snapshots_restated,
            },
        )
    return result


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


def _sweep_events(
    connection: Connection,
    settings: Settings,
    state: JobState,
    first: dt.date,
    reason: str,
    result: SweepResult,
) -> SweepResult:
    """Count the days again, fold only where something differs, and add what was found."""
    plan = plan_recount(state, first)
    extract_events(connection, settings, plan)
    connection.execute("drop table if exists pg_temp.differing_events")
    differing = query("reconcile/sweep/events-differ", extracted_events=OWN.events)
    connection.execute(differing, {"recount": plan.recount_multirange})
    days, consumers, types, found, vanished = connection.execute(
        query("reconcile/sweep/events-differ-sum")
    ).fetchone() or (0, 0, 0, 0, 0)
    listed = connection.execute(query("reconcile/sweep/events-differ-list"), {"limit": _LISTED})
    differences = tuple(SweepDifference(*row) for row in listed)
    if days or state.touched_notes:
        apply(connection, settings, OWN, plan, "cli_etl", reason, {})
    return replace(
        result,
        days_corrected=days,
        consumers_corrected=consumers,
        types_corrected=types,
        events_found=found,
        events_vanished=vanished,
        differences=differences,
    )


def _sweep_lives(
    connection: Connection, settings: Settings, state: JobState, first: dt.date
) -> None:
    """Correct what is remembered of customers whose events lie in the days that are swept."""
    lower = instants.start_of(first)
    if lower >= state.processed_through:
        return
    swept = [TimeRange(lower, state.processed_through)]
    corrected = lives.remember_apart(connection, settings, swept, looking_back=True)
    if corrected is not None:
        connection.execute(query("shared/state-restate-after"), {"after": corrected})


def _sweep_customers(
    connection: Connection, settings: Settings, state: JobState, first: dt.date
) -> int:
    """Compare the customers of each snapshot with who there was, as is known now.

    One pass over the customers tells all these instants. Where the earliest one
    differs, so may those before it: further back, until one is as it was.

    Returns:
        How many snapshots told other customers than there were.
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
        wrong = differing_customers(connection, settings, state, chosen)
        differing += len(wrong)
        before = chosen[0]
        suspicious = before in wrong
        earliest = min(wrong, default=earliest)
    if earliest is not None:
        connection.execute(
            query("shared/state-restate-after"),
            {"after": earliest - _ONE_MICROSECOND},
        )
    return differing


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
    extract_customers(connection, settings, plan)
    differing = query("reconcile/sweep/customers-differ", settings.source_schema)
    return [at for (at,) in connection.execute(differing, {"bounds": list(plan.bounds)})]


def _out_of_reach(
    connection: Connection, state: JobState, first: dt.date, result: SweepResult
) -> SweepResult:
    """Add what the source was purged of, as far as the sweep would have gone."""
    horizon = state.purged_before
    if horizon is None or instants.start_of(first) >= horizon:
        return result
    left = scalar_of(
        connection,
        "reconcile/sweep/snapshots-count-between",
        {"from": instants.start_of(first), "until": horizon},
    )
    return replace(result, purged_before=horizon, snapshots_not_recountable=left)
