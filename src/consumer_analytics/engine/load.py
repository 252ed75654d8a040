"""The load: fold what was extracted, write the snapshots, move the watermark.

All of it is one transaction, under the job's lock. The extracts count only if
the job still stands where they found it; otherwise, or where nobody made them,
they are made inside the load, so that figures never depend on the order in which
things happened.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.engine import capture, extract, figures, instants, plan, watermark
from consumer_analytics.engine.database import LOCK_JOB, Connection, consistent, scalar, scalar_of
from consumer_analytics.engine.opened import Run
from consumer_analytics.engine.plan import Plan
from consumer_analytics.errors import BusyError
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Snapshots restated together; the SQL's cost grows with the square of it.
_RESTATED_AT_ONCE = 16
#: Someone may set the watermark by hand in the very moment; then look again.
_TRIES = 5


@dataclass(frozen=True)
class Written:
    """What a plan has changed.

    Attributes:
        inserted: snapshot rows that were not there yet.
        restated: rows that said something else, or should not be there.
        unknown_consumers: who has a snapshot and is not registered.
        corrections: what the recounted days brought to light: `from` (the first day
            corrected, or None), `found` and `vanished` events.
    """

    inserted: int = 0
    restated: int = 0
    unknown_consumers: tuple[str, ...] = ()
    corrections: dict[str, Any] = field(default_factory=dict)


@contextmanager
def job_lock(connection: Connection, settings: Settings, *, shared: bool = False) -> Iterator[None]:
    """Hold the job's lock for the block: one writer of figures at a time.

    Shared, it keeps out those who hold it alone: what a backfill writes is new.

    The lock belongs to the session, so that the transaction inside takes its
    snapshot only after the turn has come, and a killed process leaves none.

    Raises:
        BusyError: another one still works after `lock_wait` seconds.
    """
    connection.execute(
        "select set_config('lock_timeout', %s, false)",
        [f"{max(1, int(settings.lock_wait * 1000))}"],
    )
    try:
        connection.execute(
            "select pg_advisory_lock_shared(%s, 0)" if shared else "select pg_advisory_lock(%s, 0)",
            [LOCK_JOB],
        )
    except psycopg.errors.LockNotAvailable:
        raise busy(connection, settings) from None
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute(
                "select pg_advisory_unlock_shared(%s, 0)"
                if shared
                else "select pg_advisory_unlock(%s, 0)",
                [LOCK_JOB],
            )


def busy(connection: Connection, settings: Settings) -> BusyError:
    """Return the error of a run whose turn did not come; it names the one at work."""
    return BusyError(
        f"another run is still at work after {settings.lock_wait:g} s"
        f"{_who_has_it(connection)}; run again when it is done"
    )


def _who_has_it(connection: Connection) -> str:
    row = connection.execute(query("job-lock-holder"), {"lock": LOCK_JOB}).fetchone()
    return f" (pid {row[0]}, {row[1]})" if row else ""


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
    with _timed(seconds, "lock"):
        mark = watermark.read(connection, for_update=True)
        stands = extract.standing(connection, settings)
        made = plan.for_run(connection, stands, run.reached_at)
    extracts = extract.left_for(run.run_id)
    told: dict[str, Any] = {}
    for part in extract.PARTS:
        found = connection.execute(
            query("extracts-find"),
            {"plan": Jsonb(made.as_json()), "run_id": run.run_id, "part": part},
        ).fetchone()
        if found is None or not found[1]:
            if found is not None:
                notify(f"the extract of {part} is stale, extracting again")
                extract.forget(connection, run.run_id, part)
            told[part] = extract.extract_part(connection, settings, made, part)
            extracts = replace(extracts, **{part: getattr(extract.OWN, part)})
        else:
            told[part] = found[0]
        seconds[f"extract_{part}"] = told[part]["seconds"]

    done = write(
        connection, settings, extracts, made, run.snapshot_source, f"run {run.run_key}", seconds
    )
    with _timed(seconds, "finish"):
        bad_rows = _bad_rows(connection, settings, done, told["customers"])
        summary = {
            "run_key": run.run_key,
            "window_start": made.bounds[0].isoformat() if made.snapshots else None,
            "window_end": run.reached_at.isoformat() if made.snapshots else None,
            "requested": run.requested_at.isoformat(),
            "rows_read": told["events"]["rows_read"],
            "new_events": _events_in_windows(connection, made),
            "new_customers": told["customers"].get("new_customers", 0),
            "snapshots_written": done.inserted,
            "snapshots_restated": done.restated,
            "held_back_by": list(run.held_back_by),
            "corrections": done.corrections,
            "not_recountable": [at.isoformat() for at in not_recountable(made)],
            "bad_rows": bad_rows,
            "seconds": seconds,
        }
        _finish(connection, run, made, mark, summary)
    return summary


def write(
    connection: Connection,
    settings: Settings,
    extracts: extract.Extracts,
    made: Plan,
    snapshot_source: str,
    reason: str,
    seconds: dict[str, float],
) -> Written:
    """Fold what was extracted for a plan and write the plan's snapshots.

    Within the caller's transaction, under the job's lock.
    """
    values = {
        "bounds": list(made.bounds),
        "recount": made.recount_multirange,
        "start_day": made.start_day if made.start_day > dt.date.min else "-infinity",
        "processed_day": _day_or_infinite(made.standing.processed_through),
        "unseen_from": _unseen_from(made.standing.processed_through),
        "advances": made.until > made.standing.processed_through,
        "snapshot_source": snapshot_source,
        "job": watermark.JOB,
        "reason": reason,
        "recountable_from": made.standing.purged_before,
        "snapshots": list(made.snapshots),
    }
    connection.execute("drop table if exists pg_temp.event_slots, pg_temp.event_changes")
    with _timed(seconds, "fold"):
        for name in ("events-slots", "events-changes"):
            connection.execute(query(name, extracted_events=extracts.events), values)
        corrected_from, found, vanished, of_many_days = connection.execute(
            query("events-fold"), values
        ).fetchone() or (None, 0, 0, False)
        changes = query("events-changes-of-days" if of_many_days else "events-changes-of-a-day")
        connection.execute(query("events-fold-totals", changes=changes))
        connection.execute(query("events-fold-stray"))
        if vanished:
            connection.execute(query("events-forget-zeros"))
        _advance(connection, made, corrected_from)
        capture.catch_up(connection, made.standing.processed_through, made.until)
    done = Written()
    if made.snapshots:
        with _timed(seconds, "write"):
            snapshots = figures.of_plan(
                connection, settings, extracts.customers, made, snapshot_source
            )
            done = _write_snapshots(connection, settings, made, values, snapshots)
    return replace(
        done,
        corrections={
            "from": corrected_from.isoformat() if corrected_from else None,
            "found": found,
            "vanished": vanished,
        },
    )


def _write_snapshots(
    connection: Connection,
    settings: Settings,
    made: Plan,
    values: dict[str, Any],
    snapshots: tuple[sql.Composable, dict[str, Any]],
) -> Written:
    """Insert a plan's snapshots; where some are there, restate those that say something else."""

    def unknown_in(rendered: sql.Composable) -> sql.Composed:
        return query("rows-unknown-consumers", settings.source_schema, rendered=rendered)

    rendered, bound = snapshots
    inserted = 0
    spared = bool(not_recountable(made))
    if not spared and not scalar_of(connection, "snapshots-are-there", values):
        new = query(
            "snapshots-insert-new",
            rendered=rendered,
            unknown_consumers=unknown_in(sql.SQL("rendered")),
        )
        rows, inserted, unknown = connection.execute(new, bound).fetchone() or (0, 0, None)
        if inserted == rows:
            return Written(inserted, 0, tuple(unknown or ()))
    connection.execute("drop table if exists pg_temp.rendered_snapshots")
    connection.execute(query("snapshots-rendered", rendered=rendered), bound)
    if spared:
        connection.execute(query("snapshots-spare-purged"), values)
    inserted += connection.execute(query("snapshots-insert")).rowcount
    restated = connection.execute(query("snapshots-restate"), values).rowcount
    restated += connection.execute(query("snapshots-withdraw"), values).rowcount
    unknown = scalar(connection, unknown_in(sql.Identifier("pg_temp", "rendered_snapshots")))
    return Written(inserted, restated, tuple(unknown or ()))


def _day_or_infinite(instant: dt.datetime) -> dt.date | str:
    return "-infinity" if instant.year == dt.MINYEAR else instants.day_of(instant)


def _unseen_from(processed_through: dt.datetime) -> dt.date | str:
    """Return the first day of which nothing was counted before this instant."""
    day = _day_or_infinite(processed_through)
    if isinstance(day, str) or instants.is_midnight(processed_through):
        return day
    return day + dt.timedelta(days=1)


def not_recountable(made: Plan) -> list[dt.datetime]:
    """Return the plan's instants that the source can no longer tell: it was purged since."""
    horizon = made.standing.purged_before
    return [at for at in made.snapshots if horizon is not None and at < horizon]


def _passes_snapshots(connection: Connection, made: Plan) -> bool:
    passed = connection.execute(
        query("snapshots-passed"),
        {
            "known": made.standing.processed_through,
            "until": made.until,
            "snapshots": list(made.snapshots),
        },
    ).fetchone()
    return passed is not None and bool(passed[0])


def _advance(connection: Connection, made: Plan, corrected_from: dt.date | None) -> None:
    """Note how far the counts reach now, and which snapshots they leave behind."""
    stands = made.standing
    changed = [
        instants.start_of(day) for day in (stands.restates_from, corrected_from) if day is not None
    ]
    if made.until > stands.processed_through and _passes_snapshots(connection, made):
        # Backfilled from rows that no run had taken in; some may have come since.
        changed.append(stands.processed_through)
    connection.execute(
        query("state-advance"),
        {
            "until": made.until,
            "purged": stands.purged_before,
            "after": min(changed, default=None),
            "touched": stands.touched_notes > 0,
            "job": watermark.JOB,
        },
    )
    if changed:
        connection.execute(query("backfill-changed"), {"after": min(changed)})
    connection.execute(query("days-settle"), {"processed_through": stands.processed_through})


def _finish(
    connection: Connection,
    run: Run,
    made: Plan,
    mark: watermark.Watermark,
    summary: dict[str, Any],
) -> None:
    if made.snapshots:
        connection.execute(query("snapshots-settle"), {"snapshots": list(made.snapshots)})
    if run.named and run.reached_at < run.requested_at:
        connection.execute(
            query("snapshots-owe"),
            {"at": run.requested_at, "key": run.run_key, "source": run.snapshot_source},
        )
    connection.execute(
        query("watermark-advance"),
        {
            "to": max(mark.last_processed_timestamp, run.reached_at),
            "records": summary["new_events"] + summary["new_customers"],
            "summary": Jsonb(summary),
            "job": watermark.JOB,
        },
    )
    connection.execute(query("runs-finish"), {"summary": Jsonb(summary), "run_id": run.run_id})
    forget_extracts(connection, run.run_id)


def _events_in_windows(connection: Connection, made: Plan) -> int:
    """Return how many events the run's windows hold; `write` has left them by slot."""
    count: int = scalar_of(connection, "events-in-windows", {"last": len(made.snapshots)})
    return count


def forget_extracts(connection: Connection, run_id: int) -> None:
    """Drop what was extracted for a run, and what given-up runs left behind.

    The extracts' own rows come first, as where an extract begins.
    """
    stale = connection.execute(query("extracts-stale"), {"run_id": run_id}).fetchall()
    if not stale:
        return
    ids = sorted(one for (one,) in stale)
    for table in ("extracts", "extracted_events", "extracted_customers"):
        connection.execute(query("extracts-forget", table=sql.Identifier(table)), {"run_ids": ids})


def _bad_rows(
    connection: Connection, settings: Settings, done: Written, customers: dict[str, Any]
) -> dict[str, Any]:
    """Return the kinds of rows that the contract tolerates but wants told, where there are any."""
    row = connection.execute(query("rows-bad", settings.source_schema)).fetchone()
    names = ("unattributed_events", "untyped_events", "future_events")
    found: dict[str, Any] = dict(zip(names, row or (), strict=False))
    found["unknown_consumers"] = list(done.unknown_consumers)
    found["unattributed_customers"] = customers.get("unattributed_customers", 0)
    found["future_customers"] = customers.get("future_customers", 0)
    return {name: value for name, value in found.items() if value}


def restate(
    connection: Connection,
    settings: Settings,
    reason: str,
    notify: Callable[[str], None] = lambda _: None,
    *,
    accept_purged: bool = False,
) -> int:
    """Restate the snapshots that the counts have outgrown, some at a time.

    Called under the job's lock. Where it is interrupted the next call goes on.
    Snapshots from before what the source was purged of stay as they were
    reported, unless `accept_purged` says otherwise.

    Returns:
        Snapshot rows restated.
    """
    restated = 0
    while True:
        with consistent(connection):
            after = scalar_of(connection, "state-restate-from", {"job": watermark.JOB})
            if after is None:
                return restated
            stands = extract.standing(connection, settings, accept_purged=accept_purged)
            found = connection.execute(
                query("snapshots-outgrown"),
                {
                    "after": after,
                    "recountable_from": stands.purged_before,
                    "until": stands.processed_through,
                    "limit": _RESTATED_AT_ONCE,
                },
            ).fetchall()
            chunk = _windows_in_a_row(found)
            more = len(found) == _RESTATED_AT_ONCE or len(chunk) < len(found)
            # First, so that what the recount below may find moves it back again.
            connection.execute(
                query("state-restated"),
                {"after": chunk[-1][0] if more else None, "job": watermark.JOB},
            )
            if chunk:
                notify(_restating(chunk))
                restated += _restate_chunk(connection, settings, stands, chunk, reason)


def restate_these(
    connection: Connection,
    settings: Settings,
    snapshots: list[dt.datetime],
    reason: str,
    notify: Callable[[str], None] = lambda _: None,
    *,
    accept_purged: bool = False,
) -> int:
    """Restate snapshots by their instants, whatever the counts say, some at a time.

    Called under the job's lock. Rows that are missing at these instants are
    inserted, which is told as restated here.

    Returns:
        Snapshot rows restated.
    """
    restated = 0
    reach = watermark.processed_through(connection)
    # Later ones a run computes anew when it comes to them.
    left = sorted(at for at in snapshots if at <= reach)
    while left:
        with consistent(connection):
            stands = extract.standing(connection, settings, accept_purged=accept_purged)
            windows = connection.execute(
                query("snapshots-windows"), {"snapshots": left[:_RESTATED_AT_ONCE]}
            ).fetchall()
            chunk = _windows_in_a_row(windows)
            notify(_restating(chunk))
            restated += _restate_chunk(connection, settings, stands, chunk, reason)
        left = left[len(chunk) :]
    return restated


def _restating(chunk: list[tuple[dt.datetime, dt.datetime | None]]) -> str:
    first = instants.moment(chunk[0][0])
    if len(chunk) == 1:
        return f"restating the snapshot of {first}"
    return f"restating {len(chunk)} snapshots from {first} on"


def _windows_in_a_row(
    found: list[tuple[Any, ...]],
) -> list[tuple[dt.datetime, dt.datetime | None]]:
    """Return the first snapshots whose windows follow each other, so that one pass counts them."""
    chunk: list[tuple[dt.datetime, dt.datetime | None]] = []
    for at, window_start in found:
        if chunk and window_start not in (None, chunk[-1][0]):
            break
        chunk.append((at, window_start))
    return chunk


def _restate_chunk(
    connection: Connection,
    settings: Settings,
    stands: plan.Standing,
    chunk: list[tuple[dt.datetime, dt.datetime | None]],
    reason: str,
) -> int:
    made = plan.for_restating(connection, stands, [at for at, _ in chunk], chunk[0][1])
    for part in extract.PARTS:
        extract.extract_part(connection, settings, made, part)
    # Rows that come in now take their provenance from the snapshot's global row.
    done = write(connection, settings, extract.OWN, made, "cli_etl", reason, {})
    return done.inserted + done.restated


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    finally:
        seconds[step] = round(time.monotonic() - started, 3)
