"""Applying a plan: fold what was extracted into the counts, and write the plan's snapshots.

One computation for live runs, re-runs, restatements and the repairs of sweep and audit.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar, scalar_of
from consumer_analytics.etl import archived, capture, lives, untold, vanished, within_days
from consumer_analytics.etl.extract import EVENTS, Extracts
from consumer_analytics.etl.models import Corrections
from consumer_analytics.etl.plan import Plan, TimeRange
from consumer_analytics.etl.rendering import lay_apart
from consumer_analytics.etl.snapshots import snapshots_of_plan
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Written:
    """What a plan has changed.

    Attributes:
        inserted: snapshot rows that were not there yet.
        restated: rows that said something else, or should not be there.
        unknown_consumers: who has a snapshot and is not registered.
        corrections: what the days that were counted again brought to light.
        refused: instants whose snapshots nobody can write any more.
    """

    inserted: int = 0
    restated: int = 0
    unknown_consumers: tuple[str, ...] = ()
    corrections: Corrections = field(default_factory=Corrections)
    refused: tuple[dt.datetime, ...] = ()


def apply(
    connection: Connection,
    settings: Settings,
    extracts: Extracts,
    plan: Plan,
    snapshot_source: str,
    reason: str,
    seconds: dict[str, float],
    *,
    accepts_gone: Sequence[str] | None = (),
    of_chosen: bool = False,
) -> Written:
    """Fold what was extracted for a plan and write the plan's snapshots.

    Within the caller's transaction, under the job's lock. `accepts_gone` are consumers whose
    customers were never there where their rows are all gone, with no event that tells why; None:
    whoever it is. `of_chosen`: no snapshots, but the rows of consumers that were backfilled by
    themselves where there is none.
    """
    with timed(seconds, "fold"):
        is_asked = bool(plan.recount) and plan.job_state.asks_to_count_again
        if is_asked:
            _ask_again(connection, settings, plan)
        corrections = _fold(connection, settings, extracts, plan, reason)
        if is_asked:
            # What told a birth and was taken out of these days tells it no more.
            lives.remember_undated(connection, settings, judged=plan.recounted_ranges)
        lives_from = None
        if plan.job_state.touched_notes:
            # Capture saw something go, or given to another, that may have told of an ended life:
            # now it is judged.
            ranges = plan.recounted_ranges
            if ranges and not corrections.vanished:
                ranges = _changed_in_place(connection, plan)
            if ranges:
                lives_from = lives.remember(connection, settings, ranges, looking_back=True)
        _advance(connection, settings, plan, corrections.first_day, lives_from)
        capture.catch_up(connection, plan.job_state.processed_through, plan.until)
        if plan.snapshots and plan.snapshots[0] <= plan.job_state.processed_through:
            untold.give_up(connection)
    written = Written()
    if plan.snapshots:
        with timed(seconds, "write"):
            snapshots = snapshots_of_plan(
                connection, settings, extracts.customers, plan, snapshot_source
            )
            written = _write_snapshots(
                connection,
                settings,
                plan,
                reason,
                snapshots,
                accepts_gone=accepts_gone,
                of_chosen=of_chosen,
            )
    return replace(written, corrections=corrections)


def _changed_in_place(connection: Connection, plan: Plan) -> list[TimeRange]:
    """Return what was counted again of days on which something changed that is in no count."""
    days = scalar_of(
        connection, "etl/apply/days-in-place", {"known": plan.job_state.processed_through}
    )
    starts = [instants.start_of(day) for day in days]
    return [
        one for one in plan.recounted_ranges if any(one.lower <= at < one.upper for at in starts)
    ]


def _ask_again(connection: Connection, settings: Settings, plan: Plan) -> None:
    """Find what counts by day do not tell of days that somebody asked to be counted again."""
    within_days.look_where_asked(connection, settings, plan)
    first = plan.recount[0][0]
    connection.execute(
        query("etl/apply/state-restate-undated", settings.sources),
        {"since": "-infinity" if first == dt.date.min else instants.start_of(first)},
    )


def correct(connection: Connection, settings: Settings, plan: Plan, reason: str) -> Corrections:
    """Fold what days that are counted again differ by; no snapshot is written.

    Within the caller's transaction, under the job's lock. The caller has counted them and left
    what differs in `differing_events`: nothing is read again.
    """
    if plan.recount and plan.job_state.asks_to_count_again:
        _ask_again(connection, settings, plan)
    connection.execute("drop table if exists pg_temp.event_changes")
    judged = vanished.settle_differing(connection, settings, reason)
    newly_noted = query("etl/apply/events-noted") if judged.noted else sql.SQL("")
    connection.execute(query("etl/apply/events-differing", newly_noted=newly_noted))
    corrections = _fold_changes(connection, plan, judged)
    _advance(connection, settings, plan, corrections.first_day)
    return corrections


def _fold(
    connection: Connection, settings: Settings, extracts: Extracts, plan: Plan, reason: str
) -> Corrections:
    """Add what was extracted to the counts by day and to the totals."""
    connection.execute("drop table if exists pg_temp.event_slots, pg_temp.event_changes")
    events, judged = vanished.settle(connection, settings, plan, extracts.events, reason)
    recount = plan.recount_multirange
    connection.execute(
        query("etl/apply/events-slots", extracted_events=events),
        {
            "bounds": list(plan.bounds),
            "recount": recount,
            "start_day": plan.start_day if plan.start_day > dt.date.min else "-infinity",
        },
    )
    if plan.reads_whole_days_once and events == EVENTS.made:
        # What was extracted is what is new.
        connection.execute("alter table pg_temp.extracted_events rename to event_changes")
    elif plan.reads_whole_days_once:
        connection.execute(query("etl/apply/events-new", extracted_events=events))
    else:
        connection.execute(
            query("etl/apply/events-changes", extracted_events=events), {"recount": recount}
        )
    return _fold_changes(connection, plan, judged)


def _fold_changes(connection: Connection, plan: Plan, judged: vanished.Judged) -> Corrections:
    """Add what has changed to the counts by day and to the totals; `event_changes` has it."""
    known = plan.job_state.processed_through
    corrected_from, found, gone, of_many_days = None, 0, 0, True
    if known == MINUS_INFINITY and plan.reads_whole_days_once:
        # Nothing was counted before that could be corrected.
        connection.execute(query("etl/apply/events-fold-first"))
    else:
        corrected_from, found, gone, of_many_days = connection.execute(
            query("etl/apply/events-fold"),
            {
                "recount": plan.recount_multirange,
                "processed_day": _day_or_infinite(known),
                "unseen_from": _unseen_from(known),
                "advances": plan.until > known,
            },
        ).fetchone() or (None, 0, 0, False)
    changes = query(
        "etl/apply/events-changes-of-days" if of_many_days else "etl/apply/events-changes-of-a-day"
    )
    connection.execute(query("etl/apply/events-fold-totals", changes=changes))
    connection.execute(query("etl/apply/events-fold-stray"))
    if gone:
        connection.execute(query("etl/events-forget-zeros"))
    return Corrections(corrected_from, found, gone, judged.noted, judged.came_back)


def _write_snapshots(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    reason: str,
    snapshots: tuple[sql.Composable, dict[str, Any]],
    *,
    accepts_gone: Sequence[str] | None,
    of_chosen: bool,
) -> Written:
    """Insert a plan's snapshots; where some are there, restate those that say something else."""

    def unknown_in(rendered: sql.Composable) -> sql.Composed:
        return query("etl/apply/rows-unknown-consumers", settings.sources, rendered=rendered)

    rendered, bound = snapshots
    there = {"snapshots": list(plan.snapshots)}
    inserted = 0
    concerned = vanished.concerns(connection, plan.snapshots[0])
    if not (concerned or of_chosen or scalar_of(connection, "shared/snapshots-are-there", there)):
        new = query(
            "etl/apply/snapshots-insert-new",
            rendered=rendered,
            unknown_consumers=unknown_in(sql.SQL("rendered")),
        )
        rows, inserted, unknown = connection.execute(new, bound).fetchone() or (0, 0, None)
        if inserted == rows:
            return Written(inserted, 0, tuple(unknown or ()))
    lay_apart(connection, rendered, bound)
    refused: tuple[dt.datetime, ...] = ()
    if concerned:
        refused = vanished.freeze(connection, settings, plan.snapshots, of_chosen=of_chosen)
        there = {"snapshots": [at for at in plan.snapshots if at not in refused]}
    vanished.keep_means(connection, settings)
    vanished.hold_gone(connection, settings, accepts_gone)
    if of_chosen:
        connection.execute(query("etl/apply/rows-of-chosen"))
    inserted += scalar_of(connection, "shared/snapshots-insert")
    restated = connection.execute(query("shared/snapshots-restate"), {"reason": reason}).rowcount
    restated += connection.execute(
        query("shared/snapshots-withdraw"), {"reason": reason, **there}
    ).rowcount
    unknown = scalar(connection, unknown_in(sql.Identifier("pg_temp", "rendered_snapshots")))
    return Written(inserted, restated, tuple(unknown or ()), refused=refused)


def _day_or_infinite(instant: dt.datetime) -> dt.date | str:
    return "-infinity" if instant.year == dt.MINYEAR else instants.day_of(instant)


def _unseen_from(processed_through: dt.datetime) -> dt.date | str:
    """Return the first day of which nothing was counted before this instant."""
    day = _day_or_infinite(processed_through)
    if isinstance(day, str) or instants.is_midnight(processed_through):
        return day
    return day + dt.timedelta(days=1)


def _passes_snapshots(connection: Connection, plan: Plan) -> bool:
    passed = connection.execute(
        query("etl/apply/snapshots-passed"),
        {
            "known": plan.job_state.processed_through,
            "until": plan.until,
            "snapshots": list(plan.snapshots),
        },
    ).fetchone()
    return passed is not None and bool(passed[0])


def _advance(
    connection: Connection,
    settings: Settings,
    plan: Plan,
    corrected_from: dt.date | None,
    lives_from: dt.datetime | None = None,
) -> None:
    """Note how far the counts reach now, and which snapshots they leave behind."""
    state = plan.job_state
    corrected = None if corrected_from is None else instants.start_of(corrected_from)
    changed = [] if state.restates_from is None else [instants.start_of(state.restates_from)]
    customers: list[dt.datetime] = []
    whose: set[uuid.UUID | None] = set()
    if state.customers_from is not None:
        customers.append(instants.start_of(state.customers_from))
        noted = {"known": state.processed_through}
        whose |= _whose(connection, settings, "etl/apply/customers-noted", noted)
    if lives_from is not None:
        customers.append(lives_from)
        whose.add(None)
    if corrected is not None:
        match untold.note(connection, settings, plan):
            case untold.Noted.NOT:
                changed.append(corrected)
            case untold.Noted.WITH_LIVES:
                customers.append(corrected)
                days = {
                    "processed_day": instants.day_of(state.processed_through),
                    "recount": plan.recount_multirange,
                }
                whose |= _whose(connection, settings, "etl/apply/customers-corrected", days)
    if plan.until > state.processed_through and _passes_snapshots(connection, plan):
        # Backfilled from rows that no run had taken in; some may have come since.
        changed.append(state.processed_through)
    connection.execute(
        query("etl/apply/state-advance"),
        {
            "until": plan.until,
            "after": min(changed, default=None),
            "customers_after": min(customers, default=None),
            "customers_of": None if None in whose else list(whose),
            "corrected_from": corrected,
            "touched": state.touched_notes > 0,
        },
    )
    changed += customers
    if corrected is not None:
        changed.append(corrected)
    if changed:
        connection.execute(query("etl/backfill-changed"), {"after": min(changed)})
    connection.execute(
        query("etl/apply/days-settle"), {"processed_through": state.processed_through}
    )


def _whose(
    connection: Connection, settings: Settings, statement: str, values: dict[str, Any]
) -> set[uuid.UUID | None]:
    """Ask whose customers are to be compared; None among them: anybody's."""
    told = {"told_events": archived.told(settings)}
    return {
        consumer
        for (consumer,) in connection.execute(query(statement, settings.sources, **told), values)
    }


@contextmanager
def timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    """Note how long the block took, in seconds, as one of a run's steps."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[step] = round(time.monotonic() - started, 3)
