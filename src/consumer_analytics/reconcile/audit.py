"""The audit: recount everything from the sources and compare it with all that is kept.

It counts by itself: events in one scan by consumer, type, day and instant, with
nothing taken from the counts that runs keep (but for days that the source was
purged of), and puts the figures of every snapshot together in a query of its
own. Only what state a customer was in at an instant it asks of the same query
as runs do. All of it is one read-only transaction that sees one moment.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.calendar import instants, periods
from consumer_analytics.db import schema
from consumer_analytics.db.connection import (
    INFINITY,
    MINUS_INFINITY,
    Connection,
    consistent,
    scalar,
)
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import job_state, lives, sources, vanished
from consumer_analytics.etl.apply import apply
from consumer_analytics.etl.customers import count_customers
from consumer_analytics.etl.events import extract_events
from consumer_analytics.etl.extract import OWN
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import TimeRange, plan_recount, plan_restatement
from consumer_analytics.etl.restate import restate, restate_these
from consumer_analytics.etl.revisions import flat
from consumer_analytics.formatting import moment
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: The customers' changes at the instants that are compared, as an extract has them.
_CUSTOMERS = sql.Identifier("pg_temp", "audit_customers")
#: Snapshots put together at once: what bounds the space on disk.
_SNAPSHOTS_AT_ONCE = 64


@dataclass(frozen=True)
class AuditDifference:
    """One figure that is not what the sources say.

    Attributes:
        where: `day` or `total` (the internal counts), or `snapshot`.
        consumer_id: whose; None for rows without a consumer and for the whole
            system.
        figure: the event type, or the key in `metrics_json`, such as
            `events_by_type.login`; `row` for a row that is missing, doubled or
            one too many.
        at: the day or the snapshot's instant; None for a total.
        kept: what the database says.
        recounted: what the sources say.
    """

    where: str
    consumer_id: str | None
    figure: str
    at: dt.datetime | str | None
    kept: Any
    recounted: Any

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "where": self.where,
            "consumer_id": self.consumer_id,
            "figure": self.figure,
            "at": self.at,
            "kept": self.kept,
            "recounted": self.recounted,
        }


@dataclass
class AuditResult:
    """What an audit found.

    Attributes:
        events: how many events before `processed_through` the recount went by.
        snapshots: how many snapshots were compared.
        rows: how many of their rows.
        missing: events that the source has and the counts by day lack.
        double: events that the counts by day have and the source does not.
        differences: how many figures differ.
        listed: the first of them.
        wrong_snapshots: instants with a difference.
        doubled_rows: rows that are there more than once, each further one counted.
        noted_as_vanished: events that are counted and that the source no longer has.
        awaiting: notes of late rows, or an interrupted restating, that the next
            run repairs by itself.
    """

    processed_through: dt.datetime = MINUS_INFINITY
    events: int = 0
    snapshots: int = 0
    rows: int = 0
    missing: int = 0
    double: int = 0
    differences: int = 0
    listed: list[AuditDifference] = field(default_factory=list)
    wrong_snapshots: list[dt.datetime] = field(default_factory=list)
    doubled_rows: int = 0
    noted_as_vanished: int = 0
    awaiting: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return self.differences == 0

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "clean": self.clean,
            "processed_through": self.processed_through,
            "events_recounted": self.events,
            "snapshots_compared": self.snapshots,
            "rows_compared": self.rows,
            "missing": self.missing,
            "double": self.double,
            "differences": self.differences,
            "first_differences": [one.as_json() for one in self.listed],
            "wrong_snapshots": self.wrong_snapshots,
            "noted_as_vanished": self.noted_as_vanished,
            "awaiting_next_run": self.awaiting,
        }


def audit(
    connection: Connection,
    settings: Settings,
    *,
    lower: dt.datetime | None = None,
    upper: dt.datetime | None = None,
    limit: int = 100,
    notify: Callable[[str], None] = lambda _: None,
) -> AuditResult:
    """Recount everything and compare.

    Args:
        connection: in autocommit.
        settings: where the source is.
        lower: compare snapshots and days from here on; None for all.
        upper: compare snapshots up to here, this one included; None for all.
        limit: how many differences to list; all are counted.
        notify: told how far it is.

    Raises:
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    schema.require_current(connection)
    sources.require_usable(connection, settings, notify)
    # A read-only transaction may fill temporary tables, but not make them.
    connection.execute(query("reconcile/audit/tables"))
    connection.execute(query("shared/customers-changes", table=_CUSTOMERS, lifetime=sql.SQL("")))
    connection.read_only = True
    options = (lower or MINUS_INFINITY, upper or INFINITY, limit)
    try:
        with consistent(connection):
            result = _audit(connection, settings, *options, notify=notify)
        if result.double and _note_losses(connection, settings, notify):
            connection.execute("truncate audit_events, audit_customers, audit_figures")
            with consistent(connection):
                result = _audit(connection, settings, *options, notify=notify)
        return result
    finally:
        if not connection.closed:
            connection.read_only = None
            connection.execute(query("reconcile/audit/forget"))


def _note_losses(connection: Connection, settings: Settings, notify: Callable[[str], None]) -> bool:
    """Note what has vanished since anything last looked; return whether anything has."""
    notify("judging what the source no longer has")
    connection.read_only = False
    try:
        with job_lock(connection, settings), consistent(connection):
            by = f"audit at {instants.now(connection).isoformat(timespec='seconds')}"
            return vanished.judge_everything(connection, settings, by).noted > 0
    except psycopg.errors.InsufficientPrivilege:
        # A login that may only read: what has vanished is told as double until a run has seen it.
        return False
    finally:
        if not connection.closed:
            connection.read_only = True


def _audit(
    connection: Connection,
    settings: Settings,
    lower: dt.datetime,
    upper: dt.datetime,
    limit: int,
    *,
    notify: Callable[[str], None],
) -> AuditResult:
    state = job_state.read(connection)
    result = AuditResult(
        processed_through=state.processed_through,
        noted_as_vanished=vanished.total(connection),
        awaiting=bool(scalar(connection, query("reconcile/audit/awaiting"))),
    )

    def differs(difference: AuditDifference) -> None:
        result.differences += 1
        if len(result.listed) < limit:
            result.listed.append(difference)

    marks = connection.execute(
        query("reconcile/audit/instants"),
        {
            "lower": lower,
            "upper": upper,
            "backfilled": _backfilled(connection),
        },
    ).fetchall()
    lost = vanished.refused(connection, [at for at, *_ in marks])
    snapshots = [(at, start) for at, start, _ in marks if at not in lost]
    bounds = sorted({mark for pair in snapshots for mark in pair if mark is not None})
    partial = [at for at, _, partial in marks if partial]
    notify("recounting the events")
    _recount_events(connection, settings, state, bounds, result)
    _compare_counts(connection, _day(lower), _day(upper), result, differs)
    for consumer, at, rows in _stream(
        connection, "reconcile/audit/doubled", {"lower": lower, "upper": upper}
    ):
        result.doubled_rows += rows - 1
        result.wrong_snapshots.append(at)
        differs(AuditDifference("snapshot", consumer, "row", at, f"{rows} rows", "1 row"))

    for begin in range(0, len(snapshots), _SNAPSHOTS_AT_ONCE):
        chunk = snapshots[begin : begin + _SNAPSHOTS_AT_ONCE]
        notify(f"comparing snapshots from {moment(chunk[0][0])} on")
        _put_together(connection, settings, state, chunk, bounds, partial)
        result.snapshots += len(chunk)
        result.rows += scalar(connection, "select count(*) from audit_figures")
        _compare_snapshots(connection, [at for at, _ in chunk], result, differs)
    result.wrong_snapshots = sorted(set(result.wrong_snapshots))
    return result


def _recount_events(
    connection: Connection,
    settings: Settings,
    state: JobState,
    bounds: list[dt.datetime],
    result: AuditResult,
) -> None:
    """Count all events by the bounds, and what the source was purged of as it was counted once."""
    # Two sorts or hashes of this size at most; what does not fit goes to disk.
    connection.execute("select set_config('work_mem', '256MB', true)")
    connection.execute(
        query("reconcile/audit/events", settings.source_schema),
        {
            "bounds": bounds,
            "processed_through": state.processed_through,
            "until": max([state.processed_through, *bounds]),
        },
    )
    connection.execute(query("reconcile/audit/vanished"), {"bounds": bounds})
    connection.execute("analyze audit_events")
    result.events = scalar(
        connection, "select coalesce(sum(n), 0)::bigint from audit_events where counted"
    )


def _compare_counts(
    connection: Connection,
    from_day: dt.date | str,
    to_day: dt.date | str,
    result: AuditResult,
    differs: Callable[[AuditDifference], None],
) -> None:
    """Compare the counts by day and the totals with the events that were counted."""
    for consumer, kind, day, kept, recounted in _stream(
        connection, "reconcile/audit/days", {"from_day": from_day, "to_day": to_day}
    ):
        result.missing += max(recounted - kept, 0)
        result.double += max(kept - recounted, 0)
        differs(AuditDifference("day", consumer, kind, day, kept, recounted))
    for consumer, kind, kept, recounted in _stream(connection, "reconcile/audit/totals"):
        differs(AuditDifference("total", consumer, kind, None, kept, recounted))


def _backfilled(connection: Connection) -> list[dt.datetime]:
    """Return the instants that were backfilled for all consumers."""
    return sorted(
        {
            at
            for start, end, interval, zone in connection.execute(query("reconcile/audit/backfills"))
            for at in periods.bounds_in(start, end, interval, zone)[1:]
        }
    )


def _put_together(
    connection: Connection,
    settings: Settings,
    state: JobState,
    chunk: list[tuple[dt.datetime, dt.datetime | None]],
    bounds: list[dt.datetime],
    partial: list[dt.datetime],
) -> None:
    """Put together what the rows of some snapshots must say, into `audit_figures`."""
    plan = plan_restatement(connection, state, [at for at, _ in chunk], chunk[0][1])
    connection.execute("delete from audit_customers")
    count_customers(connection, settings, plan, into=_CUSTOMERS, read_only=True)
    connection.execute("analyze audit_customers")
    connection.execute("delete from audit_figures")
    connection.execute(
        query("reconcile/audit/figures", settings.source_schema),
        {
            "all_bounds": bounds,
            "bounds": list(plan.bounds),
            "snapshots": list(plan.snapshots),
            "window_starts": [start for _, start in chunk],
        },
    )
    connection.execute(query("reconcile/audit/partial"), {"partial": partial})
    connection.execute(query("reconcile/audit/frozen"))
    windows = {"snapshots": [at for at, _ in chunk], "starts": [start for _, start in chunk]}
    connection.execute(query("reconcile/audit/windows-cut"), windows)


def _compare_snapshots(
    connection: Connection,
    snapshots: list[dt.datetime],
    result: AuditResult,
    differs: Callable[[AuditDifference], None],
) -> None:
    """Compare the rows of some snapshots with what they must say."""
    for consumer, at, kept, true in _stream(
        connection, "reconcile/audit/compare", {"snapshots": snapshots}
    ):
        result.wrong_snapshots.append(at)
        if kept is None or true is None:
            rows = ("no row", "a row") if kept is None else ("a row", "no row")
            differs(AuditDifference("snapshot", consumer, "row", at, *rows))
            continue
        kept_figures, true_figures = dict(flat(kept)), dict(flat(true))
        for key in sorted(kept_figures.keys() | true_figures.keys()):
            if kept_figures.get(key) != true_figures.get(key):
                differs(
                    AuditDifference(
                        "snapshot", consumer, key, at, kept_figures.get(key), true_figures.get(key)
                    )
                )


def _stream(
    connection: Connection, name: str, values: dict[str, Any] | None = None
) -> Iterator[tuple[Any, ...]]:
    """Yield a query's rows some at a time: differences may be as many as rows."""
    with connection.cursor(f"audit {name}") as cursor:
        cursor.itersize = 1000
        cursor.execute(query(name), values)
        yield from cursor


def _day(instant: dt.datetime) -> dt.date | str:
    if instant == MINUS_INFINITY:
        return "-infinity"
    return "infinity" if instant == INFINITY else instants.day_of(instant)


@dataclass(frozen=True)
class RepairResult:
    """What a repair has changed.

    Attributes:
        events_found: events that the counts lacked.
        events_vanished: events that the counts had and the source does not.
        totals_corrected: totals that were not the sum of their days.
        rows_removed: doubled snapshot rows.
        snapshots_restated: snapshot rows that said something else.
    """

    events_found: int
    events_vanished: int
    totals_corrected: int
    rows_removed: int
    snapshots_restated: int

    def as_json(self) -> dict[str, int]:
        """Return it for `--json`."""
        return asdict(self)


def repair(
    connection: Connection,
    settings: Settings,
    result: AuditResult,
    *,
    accepted: vanished.Choice | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> RepairResult:
    """Repair what an audit found: counts, totals, doubled rows, snapshots.

    Each step is whole by itself: where it is interrupted, another audit finds
    what is left.
    """
    with job_lock(connection, settings):
        reason = f"audit at {instants.now(connection).isoformat(timespec='seconds')}"
        with consistent(connection):
            repaired = _repair_counts(
                connection,
                settings,
                reason,
                doubled=result.doubled_rows > 0,
            )
            if accepted is not None:
                vanished.take_off(connection, accepted, restored=False)
        restated = restate(connection, settings, reason, notify)
        restated += restate_these(connection, settings, result.wrong_snapshots, reason, notify)
    return replace(repaired, snapshots_restated=restated)


def _repair_counts(
    connection: Connection, settings: Settings, reason: str, *, doubled: bool
) -> RepairResult:
    """Count all days again, make the totals their sum, and take doubled rows away."""
    state = job_state.read(connection)
    vanished.look(connection, settings, reason)
    vanished.disbelieve(connection)
    plan = plan_recount(state, dt.date.min)
    extract_events(connection, settings, plan)
    written = apply(connection, settings, OWN, plan, "cli_etl", reason, {})
    totals = scalar(connection, query("reconcile/audit/totals-rebuild"))
    if totals:
        connection.execute(query("shared/extracts-outdate"))
    everything = [TimeRange(MINUS_INFINITY, state.processed_through)]
    lives.remember(connection, settings, everything, looking_back=True)
    removed = 0
    if doubled:
        removed = connection.execute(
            query("shared/snapshots-undouble"), {"reason": reason}
        ).rowcount
    return RepairResult(
        events_found=written.corrections.found,
        events_vanished=written.corrections.vanished,
        totals_corrected=totals,
        rows_removed=removed,
        snapshots_restated=0,
    )
