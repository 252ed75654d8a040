"""The sweep: recount the trailing days against the source, repair and restate what differs.

Runs take in each row once. Rows that come in late under their own time stamps,
that are changed or deleted afterwards, the sweep finds: events by counting the
days again, customers by working out who there was at each snapshot of these days.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import job_state, lives, sources, vanished, within_days
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.customers import extract_customers
from consumer_analytics.etl.events import extract_events
from consumer_analytics.etl.extract import OWN, Extracts
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.models import Corrections
from consumer_analytics.etl.plan import (
    Plan,
    TimeRange,
    merged,
    plan_recount,
    plan_restatement,
)
from consumer_analytics.etl.rendering import lay_apart
from consumer_analytics.etl.restate import restate, restate_window, windows
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Differences listed; all are counted.
_LISTED = 20
#: Snapshots looked at together for the customers of their instants.
_SNAPSHOTS_AT_ONCE = 200
_SNAPSHOTS_FURTHER_BACK = 32
#: Snapshots whose windows are not from one to the next, such as the first one's, that are computed
#: each by itself.
_MOST_APART = 4
_ONE_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class SweepDifference:
    """Events of one consumer, type and day whose number is not what was counted.

    Attributes:
        consumer_id: whose; None for events without a consumer.
        event_type: their type.
        day: the UTC day.
        counted: how many runs had counted.
        source: how many the source has, with those noted as vanished before.
        vanished: how many of those that are missing are newly noted as vanished: they stay counted.
    """

    consumer_id: str | None
    event_type: str
    day: str
    counted: int
    source: int
    vanished: int


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
        events_vanished: events that were counted, and that somebody took out or changed.
        events_noted: events that are gone and stay counted: newly noted as vanished.
        events_came_back: of those found the ones that came to where some had vanished.
        events_taken_off: events that are no longer noted, nor counted: accepted, or restored.
        noted_as_vanished: events that are counted and that the source no longer has, in all.
        differences: the first of these differences.
        snapshots_with_other_customers: snapshots that told other customers than there were.
        snapshots_restated: snapshot rows restated.
    """

    since: dt.date | None
    processed_through: dt.datetime
    days_corrected: int = 0
    consumers_corrected: int = 0
    types_corrected: int = 0
    events_found: int = 0
    events_vanished: int = 0
    events_noted: int = 0
    events_came_back: int = 0
    events_taken_off: int = 0
    noted_as_vanished: int = 0
    differences: tuple[SweepDifference, ...] = ()
    snapshots_with_other_customers: int = 0
    snapshots_restated: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def sweep(
    connection: Connection,
    settings: Settings,
    *,
    days: int | None = None,
    since: dt.date | None = None,
    accepted: vanished.Choice | None = None,
    restored: vanished.Choice | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> SweepResult:
    """Recount days against the source, repair what differs, restate what changes.

    Args:
        connection: in autocommit.
        settings: `sweep_days` is how many trailing days are swept by default.
        days: trailing days, counted back from where the last run came to.
        since: the first UTC day, instead.
        accepted: notes of what has vanished to be taken off: it never happened, counts go down.
        restored: notes to be taken off as far as rows have come back. Both sweep all days where
            none are named.
        notify: told what is under way.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        UsageError: the first day lies after all that was counted.
        BusyError: a run would not end.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings, notify)
    reason = f"sweep at {instants.now(connection).isoformat(timespec='seconds')}"
    with job_lock(connection, settings):
        state = job_state.read(connection)
        everything = accepted is not None or restored is not None
        first = _first_day(state, settings, days, since, everything=everything)
        result = SweepResult(None if first == dt.date.min else first, state.processed_through)
        if state.processed_through > MINUS_INFINITY:
            result = _sweep_events(connection, settings, state, first, reason, result)
        taken_off = 0
        if accepted is not None:
            taken_off += vanished.take_off(connection, settings, accepted, restored=False)
        if restored is not None:
            taken_off += vanished.take_off(connection, settings, restored, restored=True)
    _sweep_lives(connection, settings, state, first)
    with job_lock(connection, settings):
        state = job_state.read(connection)
        gone: dict[str, Any] = {"accepts_gone": () if accepted is None else accepted.gone}
        differing, restated = _sweep_customers(connection, settings, state, first, reason, **gone)
        if accepted is not None:
            # At once: a run in between would restate the same, and does not know what was accepted.
            restated += restate(connection, settings, reason, notify, has_turn=True, **gone)
    restated += restate(connection, settings, reason, notify)
    result = replace(
        result,
        snapshots_with_other_customers=differing,
        snapshots_restated=restated,
        events_taken_off=taken_off,
        noted_as_vanished=vanished.total(connection),
    )
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
    within_days.look(connection, settings, plan)
    connection.execute("drop table if exists pg_temp.differing_events")
    seen = vanished.look(connection, settings, reason)
    differing = query("reconcile/sweep/events-differ", extracted_events=OWN.events)
    connection.execute(differing, {"recount": plan.recount_multirange})
    differ = scalar(connection, "select exists (select from pg_temp.differing_events)")
    corrections = Corrections()
    if differ or state.touched_notes:
        written = apply(
            connection, settings, *_of_differing_days(connection, plan), "cli_etl", reason, {}
        )
        corrections = written.corrections
    days = consumers = types = found = gone = 0
    differences: tuple[SweepDifference, ...] = ()
    if differ:
        days, consumers, types, found, gone = connection.execute(
            query("reconcile/sweep/events-differ-sum")
        ).fetchone() or (0, 0, 0, 0, 0)
        listed = connection.execute(query("reconcile/sweep/events-differ-list"), {"limit": _LISTED})
        differences = tuple(SweepDifference(*row) for row in listed)
    return replace(
        result,
        days_corrected=days,
        consumers_corrected=consumers,
        types_corrected=types,
        events_found=found,
        events_vanished=gone,
        events_noted=corrections.noted + seen.noted,
        events_came_back=corrections.came_back,
        differences=differences,
    )


def _of_differing_days(connection: Connection, plan: Plan) -> tuple[Extracts, Plan]:
    """Return what was extracted of the days that differ, and the plan for these alone."""
    days = connection.execute(query("reconcile/sweep/days-differ")).fetchall()
    recount = tuple(merged([(first, after) for first, after in days]))
    connection.execute("drop table if exists pg_temp.events_of_days")
    narrowed = replace(plan, recount=recount)
    connection.execute(
        query("reconcile/sweep/events-of-days", extracted_events=OWN.events),
        {"recount": narrowed.recount_multirange},
    )
    return Extracts(OWN.customers, sql.Identifier("pg_temp", "events_of_days")), narrowed


def _sweep_lives(
    connection: Connection, settings: Settings, state: JobState, first: dt.date
) -> None:
    """Correct what is remembered of customers whose events lie in the days that are swept."""
    lower = instants.start_of(first)
    if lower >= state.processed_through:
        return
    swept = [TimeRange(lower, state.processed_through)]
    # Apart from what reads long: what comes in the meantime is left to that.
    with job_lock(connection, settings, sees_commits=True):
        corrected = lives.remember(connection, settings, swept, looking_back=True)
        if corrected is not None:
            connection.execute(query("shared/state-restate-after"), {"after": corrected})


def _sweep_customers(
    connection: Connection,
    settings: Settings,
    state: JobState,
    first: dt.date,
    reason: str,
    *,
    accepts_gone: Sequence[str] | None,
) -> tuple[int, int]:
    """Compare the customers of each snapshot with who there was, as is known now.

    One pass over the customers tells all these instants. Where the earliest one
    differs, so may those before it: further back, until one is as it was.

    Where nothing but customers differs, the rows that do are put right at once.

    Returns:
        How many snapshots told other customers than there were, and how many rows were restated.
    """
    lower = instants.start_of(first)
    before: dt.datetime | None = None
    earliest: dt.datetime | None = None
    differing = restated = 0
    suspicious = True
    while True:
        inside = before is None or before > lower
        batch = [
            at
            for (at,) in connection.execute(
                query("reconcile/sweep/snapshots-before"),
                {
                    "before": before,
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
        wrong = differing_customers(connection, settings, state, chosen, accepts_gone=accepts_gone)
        differing += len(wrong)
        before = chosen[0]
        suspicious = before in wrong
        put_right = 0
        if wrong and accepts_gone == ():
            put_right = _put_right(connection, settings, state, chosen, wrong, reason)
        if not put_right:
            earliest = min(wrong, default=earliest)
        restated += put_right
    if earliest is not None:
        connection.execute(
            query("shared/state-restate-after"),
            {"after": earliest - _ONE_MICROSECOND},
        )
    return differing, restated


def _put_right(
    connection: Connection,
    settings: Settings,
    state: JobState,
    snapshots: list[dt.datetime],
    wrong: list[dt.datetime],
    reason: str,
) -> int:
    """Let rows that say other customers than there were say who there was, if that is all.

    `differing_customers` has extracted the customers at these snapshots, and found those that are
    wrong.

    Returns:
        Rows restated; 0 where the snapshots have to be computed again.
    """
    if vanished.concerns(connection, wrong[0]):
        return 0
    connection.execute("drop table if exists pg_temp.unlike_customers")
    plan = plan_restatement(connection, state, snapshots)
    starts = dict(windows(connection, wrong))
    counted = dict(zip(plan.snapshots, plan.bounds, strict=False))
    apart = [at for at in wrong if starts[at] != counted[at]]
    within = [at for at in wrong if starts[at] == counted[at]]
    if len(apart) > _MOST_APART:
        return 0
    connection.execute(
        query("reconcile/sweep/customers-unlike", settings.sources),
        {"bounds": list(plan.bounds), "wrong": within},
    )
    if not scalar_of(connection, "reconcile/sweep/customers-sure", {"wrong": within}):
        return 0
    lay_apart(connection, query("reconcile/sweep/customers-rendered"))
    restated = connection.execute(query("shared/snapshots-restate"), {"reason": reason}).rowcount
    for at in apart if restated else ():
        restated += restate_window(connection, settings, state, [(at, starts[at])], reason)
    return restated


def differing_customers(
    connection: Connection,
    settings: Settings,
    state: JobState,
    snapshots: list[dt.datetime],
    *,
    accepts_gone: Sequence[str] | None,
) -> list[dt.datetime]:
    """Return those of these snapshots whose customers, or whose rows, are not what they were.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        state: where the job stands.
        snapshots: their instants, ascending.
        accepts_gone: consumers whose customers were never there, as `apply` has it.
    """
    plan = plan_restatement(connection, state, snapshots)
    extract_customers(connection, settings, plan)
    differing = query("reconcile/sweep/customers-differ", settings.sources)
    values = {
        "bounds": list(plan.bounds),
        "accepts_all": accepts_gone is None,
        "accepted": list(accepts_gone or ()),
    }
    return [at for (at,) in connection.execute(differing, values)]
