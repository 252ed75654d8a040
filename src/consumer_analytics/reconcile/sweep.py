"""The sweep: recount the trailing days against the source, repair and restate what differs.

Runs take in each row once. Rows that come in late under their own time stamps,
that are changed or deleted afterwards, the sweep finds: events by counting the
days again, customers by working out who there was at each snapshot of these days.
Where days are named, nothing but these is read, unless customers' lives differ there.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection, scalar, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import (
    archived,
    comparison,
    federation,
    job_state,
    lives,
    sources,
    vanished,
    within_days,
)
from consumer_analytics.etl.apply import correct
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.models import Corrections
from consumer_analytics.etl.plan import Plan, TimeRange, plan_recount, plan_recount_of
from consumer_analytics.etl.restate import restate, restate_alone
from consumer_analytics.etl.windows import restate_beside
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Differences listed; all are counted.
_LISTED = 20
#: Snapshots looked at together for the customers of their instants.
_SNAPSHOTS_AT_ONCE = 200
_SNAPSHOTS_FURTHER_BACK = 32
#: Days of at least so long a time are looked through in as many parts.
_LONG = dt.timedelta(days=28)
_PARTS = 4
_UNION_ALL = sql.SQL("\nunion all\n")


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
        dates: the UTC days that were swept, where they were named; then no other was.
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
    dates: tuple[dt.date, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def sweep(
    connection: Connection,
    settings: Settings,
    *,
    days: int | None = None,
    since: dt.date | None = None,
    dates: Sequence[dt.date] = (),
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
        dates: UTC days, instead: these alone.
        accepted: notes of what has vanished to be taken off: it never happened, counts go down.
        restored: notes to be taken off as far as rows have come back. Both sweep all days where
            none are named.
        notify: told what is under way.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
        UsageError: the first day lies after all that was counted, or nothing tells of a consumer
            or an event type whose notes were to be taken off.
        BusyError: a run would not end.
    """
    _require_usable(connection, settings, accepted or restored, notify)
    reason = f"sweep at {instants.now(connection).isoformat(timespec='seconds')}"
    with job_lock(connection, settings):
        state = job_state.read(connection)
        everything = accepted is not None or restored is not None
        chosen = tuple(sorted(set(dates)))
        _require_counted(state, since, chosen)
        first = (
            chosen[0] if chosen else _first_day(state, settings, days, since, everything=everything)
        )
        result = SweepResult(
            None if first == dt.date.min else first, state.processed_through, dates=chosen
        )
        plan = plan_recount_of(state, chosen) if chosen else plan_recount(state, first)
        if state.processed_through > MINUS_INFINITY:
            result = _sweep_events(connection, settings, plan, reason, result)
        taken_off = 0
        if accepted is not None:
            taken_off += vanished.take_off(connection, settings, accepted, restored=False)
        if restored is not None:
            taken_off += vanished.take_off(connection, settings, restored, restored=True)
        # Whose customers are compared; None: all.
        lower = instants.start_of(first)
        consumers = None
        if chosen:
            consumers = _lives_differ(connection, settings, state, chosen)
            consumers = _with_those_that_wait(connection, consumers, lower)
    if consumers is None or consumers:
        # Of a day that is named all lives that ended since would be looked at for it.
        is_gone = not chosen or bool(result.events_vanished or result.events_noted or taken_off)
        _sweep_lives(connection, settings, state, plan, may_be_gone=is_gone)
    differing = restated = 0
    with job_lock(connection, settings):
        state = job_state.read(connection)
        gone: dict[str, Any] = {"accepts_gone": () if accepted is None else accepted.gone}
        # Looking at their lives may have asked for everybody's.
        consumers = _with_those_that_wait(connection, consumers, lower)
        if consumers and accepted is None:
            put_right = comparison.put_right_of(
                connection, settings, state, consumers, lower, state.processed_through, reason
            )
            consumers = None
            if put_right is not None:
                consumers, (differing, restated) = (), put_right
                compared = query("reconcile/sweep/customers-compared")
                connection.execute(compared, {"since": lower})
        if consumers is None or consumers:
            differing, restated = _sweep_customers(
                connection, settings, state, first, reason, all_since=not chosen, **gone
            )
        if accepted is not None:
            # At once: a run in between would restate the same, and does not know what was accepted.
            restated += restate(connection, settings, reason, notify, has_turn=True, **gone)
    restated += restate(connection, settings, reason, notify)
    with job_lock(connection, settings):
        restated += _restate_alone(connection, settings, lower, reason, **gone)
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


def _require_usable(
    connection: Connection,
    settings: Settings,
    chosen: vanished.Choice | None,
    notify: Callable[[str], None],
) -> None:
    """Check the schema, the source, and that something tells of what is chosen."""
    schema.require_current(connection)
    federation.require_own(connection)
    sources.require_usable(connection, settings, notify)
    if connection.shard is None:
        # Of a consumer or a type that one shard does not know another may.
        sources.require_known(vanished.strangers(connection, settings, chosen))
        vanished.require_known_types(vanished.strange_types(connection, chosen))


def _require_counted(state: JobState, since: dt.date | None, dates: tuple[dt.date, ...]) -> None:
    last = instants.day_of(state.processed_through)
    for day in (*dates, *([] if since is None else [since])):
        if day > last > dt.date.min:
            raise UsageError(
                f"{day} lies after {last}, the last day "
                "that runs have counted: there is nothing to sweep"
            )


def _first_day(
    state: JobState,
    settings: Settings,
    days: int | None,
    since: dt.date | None,
    *,
    everything: bool,
) -> dt.date:
    if since is not None:
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
    plan: Plan,
    reason: str,
    result: SweepResult,
) -> SweepResult:
    """Count the days again, fold only where something differs, and add what was found."""
    within_days.look(connection, settings, plan)
    connection.execute("drop table if exists pg_temp.differing_events")
    seen = vanished.look(connection, settings, reason)
    counted = plan if result.dates else _narrowed_to_unlike(connection, settings, plan)
    if counted.recount:
        held = _held(connection, settings, counted)
        differing = query("reconcile/sweep/events-differ", held=held)
        connection.execute(differing, {"recount": counted.recount_multirange})
    else:
        connection.execute(query("reconcile/sweep/events-alike"))
    differ = scalar(connection, "select exists (select from pg_temp.differing_events)")
    corrections = Corrections()
    if differ or plan.job_state.touched_notes:
        days = connection.execute(query("reconcile/sweep/days-differ")).fetchall()
        narrowed = plan.narrowed_to([(first, after) for first, after in days])
        corrections = correct(connection, settings, narrowed, reason)
    corrected = consumers = types = found = gone = 0
    differences: tuple[SweepDifference, ...] = ()
    if differ:
        corrected, consumers, types, found, gone = connection.execute(
            query("reconcile/sweep/events-differ-sum")
        ).fetchone() or (0, 0, 0, 0, 0)
        listed = connection.execute(query("reconcile/sweep/events-differ-list"), {"limit": _LISTED})
        differences = tuple(SweepDifference(*row) for row in listed)
    return replace(
        result,
        days_corrected=corrected,
        consumers_corrected=consumers,
        types_corrected=types,
        events_found=found,
        events_vanished=gone,
        events_noted=corrections.noted + seen.noted,
        events_came_back=corrections.came_back,
        differences=differences,
    )


def _narrowed_to_unlike(connection: Connection, settings: Settings, plan: Plan) -> Plan:
    """Narrow a plan to those of its days that hold other events than were counted."""
    if not plan.recount:
        return plan
    relation = archived.held(connection, settings, plan.recount_multirange, ())
    # In parts, which the server's processes can take turn by turn: PostgreSQL takes days for many
    # groups, which it does not put together in parallel.
    of_table = relation is archived.PLAIN
    stretches = [part for one in plan.ranges for part in _parts(one)] if of_table else plan.ranges
    # A product of numbers that may be too large for a bigint costs more than all else.
    weight = sql.SQL("" if of_table else "n::numeric * ")
    digests = [
        query(
            "reconcile/sweep/days-held",
            held=_held_in(settings, stretch, relation),
            weight=weight,
        )
        for stretch in stretches
    ]
    unlike = query("reconcile/sweep/days-unlike", digests=_UNION_ALL.join(digests))
    days = connection.execute(unlike, {"recount": plan.recount_multirange}).fetchall()
    return plan.narrowed_to(days)


def _parts(stretch: TimeRange) -> list[TimeRange]:
    """Divide a stretch of whole days into some that are about as long."""
    if stretch.lower == MINUS_INFINITY or stretch.upper - stretch.lower < _LONG:
        return [stretch]
    days = (stretch.upper - stretch.lower).days
    cuts = [stretch.lower + dt.timedelta(days=days * part // _PARTS) for part in range(1, _PARTS)]
    return list(map(TimeRange, [stretch.lower, *cuts], [*cuts, stretch.upper]))


def _held(connection: Connection, settings: Settings, plan: Plan) -> sql.Composed:
    """Compose what the source, or the archive, holds of the days that a plan counts again."""
    relation = archived.held(connection, settings, plan.recount_multirange, ())
    return _UNION_ALL.join(_held_in(settings, stretch, relation) for stretch in plan.ranges)


def _held_in(
    settings: Settings, stretch: TimeRange, relation: Mapping[str, sql.Composable]
) -> sql.Composed:
    return query(
        "reconcile/sweep/events-held",
        settings.sources,
        lower=sql.Literal(stretch.lower),
        upper=sql.Literal(stretch.upper),
        **relation,
    )


def _sweep_lives(
    connection: Connection, settings: Settings, state: JobState, plan: Plan, *, may_be_gone: bool
) -> None:
    """Correct what is remembered of customers whose events lie in the days that are swept."""
    swept = [
        TimeRange(stretch.lower, min(stretch.upper, state.processed_through))
        for stretch in plan.ranges
        if stretch.lower < state.processed_through
    ]
    if not swept:
        return
    # Apart from what reads long: what comes in the meantime is left to that.
    with job_lock(connection, settings, sees_commits=True):
        corrected = lives.remember(
            connection, settings, swept, looking_back=True, may_be_gone=may_be_gone
        )
        if corrected is not None:
            connection.execute(query("reconcile/sweep/customers-after"), {"after": corrected})


def _lives_differ(
    connection: Connection, settings: Settings, state: JobState, days: Sequence[dt.date]
) -> Sequence[uuid.UUID] | None:
    """Tell of whom others were born on some days than was reported; None: of anybody, or changed.

    What lifecycle events of these days say may concern snapshots from before them.
    """
    is_anybody, consumers = connection.execute(
        query("reconcile/sweep/lives-differ", settings.sources),
        {"days": list(days), "known": state.processed_through},
    ).fetchone() or (True, [])
    return None if is_anybody else consumers


def _with_those_that_wait(
    connection: Connection, consumers: Sequence[uuid.UUID] | None, lower: dt.datetime
) -> Sequence[uuid.UUID] | None:
    """Add the consumers whose customers wait to be compared since an instant; None: everybody's."""
    waiting = job_state.to_compare(connection)
    if waiting is None or consumers is None:
        return consumers
    if waiting.consumers is None or waiting.after < lower:
        return None
    return sorted({*consumers, *waiting.consumers})


def _restate_alone(
    connection: Connection, settings: Settings, lower: dt.datetime, reason: str, **gone: Any
) -> int:
    """Restate rows of chosen consumers where there is no whole snapshot to compare them with."""
    restated = restate_alone(connection, settings, reason, lower, **gone)
    if restated and lower > MINUS_INFINITY:
        # Who was there before may be others, too.
        restated += restate_alone(connection, settings, reason, MINUS_INFINITY, lower, **gone)
    return restated


def _sweep_customers(
    connection: Connection,
    settings: Settings,
    state: JobState,
    first: dt.date,
    reason: str,
    *,
    all_since: bool,
    accepts_gone: Sequence[str] | None,
) -> tuple[int, int]:
    """Compare the customers of each snapshot with who there was, as is known now.

    One pass over the customers tells all these instants. Where the earliest one
    differs, so may those before it: further back, until one is as it was.

    Where nothing but customers differs, the rows that do are put right at once. `all_since`: all
    days since `first` have just been swept.

    Returns:
        How many snapshots told other customers than there were, and how many rows were restated.
    """
    lower = instants.start_of(first)
    until = state.processed_through
    if accepts_gone != ():
        # Those after it are computed again in any case, with what was accepted.
        again = scalar_of(connection, "shared/state-restate-from")
        until = until if again is None else min(again, until)
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
                    "until": until,
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
        found = comparison.differing(connection, settings, state, chosen, accepts_gone=accepts_gone)
        wrong = found.wrong
        differing += len(wrong)
        before = chosen[0]
        suspicious = before in wrong
        put_right = None
        if wrong and accepts_gone == ():
            looked_from = lower if all_since else INFINITY
            put_right = comparison.put_right(
                connection, settings, state, found, reason, looked_from
            )
        if not put_right:
            earliest = min(wrong, default=earliest)
        restated += put_right or 0
        if accepts_gone == ():
            restated += restate_beside(connection, settings, state, found.held, reason)
    if earliest is not None:
        job_state.restate_from(connection, earliest)
    # All since then have been compared.
    connection.execute(query("reconcile/sweep/customers-compared"), {"since": lower})
    return differing, restated
