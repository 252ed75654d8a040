"""Is it fresh, and what went wrong: lag, runs by task, failed runs, backfills."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from psycopg import Cursor

from consumer_analytics.airflow import dag_runs
from consumer_analytics.airflow.dag_ids import ETL, EXTRACT_CUSTOMERS, EXTRACT_EVENTS, LOAD
from consumer_analytics.airflow.dag_runs import TimedTask
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.backfill.record import BackfillRecord
from consumer_analytics.db.connection import Connection
from consumer_analytics.db.tags import Tag
from consumer_analytics.etl import watermark
from consumer_analytics.monitoring.observation import Observation
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.sql import query

POINTS = 200
RUNS = 30
BACKFILLS = 20
_FETCHED_AT_ONCE = 1_000
#: The engine's own steps, by the task that takes them: where Airflow's tables are elsewhere.
_STEPS = {
    EXTRACT_CUSTOMERS: ("extract_customers",),
    EXTRACT_EVENTS: ("extract_events",),
    LOAD: ("lock", "fold", "write", "finish"),
}


@dataclass(frozen=True)
class Step:
    """A task of a run.

    Attributes:
        task: its id, such as `extract_event_counts`.
        state: as Airflow tells it; None where the engine tells.
        began: seconds after the run's beginning.
        seconds: how long it took; None while it goes on.
        tries: how often it was tried; None where the engine tells.
    """

    task: str
    state: str | None
    began: float
    seconds: float | None
    tries: int | None


@dataclass(frozen=True)
class TimedRun:
    """A run and its tasks, for a Gantt view.

    Attributes:
        run: its key, or Airflow's run id.
        began_at: when it began.
        state: such as `success`, `failed`, `running`.
        seconds: how long it took; None while it goes on.
        steps: its tasks in the order in which they began.
    """

    run: str
    began_at: dt.datetime
    state: str
    seconds: float | None
    steps: list[Step]


@dataclass(frozen=True)
class FailedRun:
    """A run that failed.

    Attributes:
        run: its key.
        source: who ran it, such as `airflow_etl`.
        opened_at: when it began.
        finished_at: when it failed.
        requested_at: the instant it was for.
        error_type: the exception's type, where it was noted.
        error: its message.
    """

    run: str
    source: str
    opened_at: dt.datetime
    finished_at: dt.datetime | None
    requested_at: dt.datetime
    error_type: str | None
    error: str | None


@dataclass(frozen=True)
class Reached:
    """Where the watermark was after a run.

    Attributes:
        at: when the run ended.
        watermark: where it left the watermark: a run for an older instant leaves it where it was.
        lag_seconds: `at` less `watermark`: the watermark's age then, not judged by the schedule.
        lag_before_seconds: its age a moment before the run ended; None for the first run of all.
        watermark_before: where the run before it had left it, whether that is shown or not.
    """

    at: dt.datetime
    watermark: dt.datetime
    lag_seconds: float
    lag_before_seconds: float | None
    watermark_before: dt.datetime | None


@dataclass(frozen=True)
class BackfillProgress:
    """A backfill and how far it is.

    Attributes:
        backfill_id: its number.
        start_date: first day, inclusive.
        end_date: last day, exclusive.
        period: the interval, such as `daily`.
        timezone: in which its days are.
        consumers: how many consumers it is for; None for all and the whole system.
        state: running, done, failed or interrupted.
        periods: snapshots' instants it is to write.
        periods_done: and those it has.
        percent: the same in per cent, one decimal; 100 where there is none to write.
        snapshots_written: rows it has written.
        snapshots_restated: rows it found different and restated.
        requested_by: who asked for it.
        started_at: when it began.
        finished_at: when it ended; None while it goes on.
    """

    backfill_id: int
    start_date: dt.date
    end_date: dt.date
    period: str
    timezone: str
    consumers: int | None
    state: str
    periods: int
    periods_done: int
    percent: float
    snapshots_written: int
    snapshots_restated: int
    requested_by: str
    started_at: dt.datetime
    finished_at: dt.datetime | None


@dataclass(frozen=True)
class Freshness:
    """What the freshness page shows.

    Attributes:
        now: the server's clock.
        watermark: what has been processed up to; None before the first run.
        watermark_age_seconds: its age; None before the first run.
        last_run_at: when the last run ended or failed.
        last_run_status: pending, running, success or failed.
        latest_snapshot: the instant of the latest snapshot.
        range: the range of `reached` and `failed`, which ends now.
        since: its beginning, as it was chosen.
        until: its end.
        timed_by: who timed the runs: `airflow`, or `engine` where Airflow's tables are elsewhere.
        runs: the latest runs with their tasks, the newest first.
        failed: the failed runs of the range, the newest first, at most `RUNS`.
        failed_in_all: how many there are.
        reached: the watermark over the range, the oldest first.
        sampled: whether there were more runs than points: each is then the last of its slice.
        backfills: the latest ones, the newest first.
    """

    now: dt.datetime
    watermark: dt.datetime | None
    watermark_age_seconds: float | None
    last_run_at: dt.datetime | None
    last_run_status: str
    latest_snapshot: dt.datetime | None
    range: str
    since: dt.datetime
    until: dt.datetime
    timed_by: str
    runs: list[TimedRun]
    failed: list[FailedRun]
    failed_in_all: int
    reached: list[Reached]
    sampled: bool
    backfills: list[BackfillProgress]


def read(
    connection: Connection, span: Range, points: int = POINTS, *, seen: Observation | None = None
) -> Freshness:
    """Return how fresh the figures are, and what the latest runs and backfills did.

    Args:
        connection: in a transaction, where all of it is to see one state of the data.
        span: the range, which ends now.
        points: of `reached`, at most.
        seen: health's in the same transaction, if there was one: nothing is read twice.
    """
    mark = seen.mark if seen else watermark.read_with_reach(connection)
    tables = seen.airflow.tables if seen else AirflowTables.find(connection)
    now = mark.read_at
    first, latest = connection.execute(query("reporting/ends")).fetchone() or (None, None)
    since, until = span.bounds(first or now, now)
    begins, ends = span.held(first or now, now)
    is_set = mark.reach > watermark.EPOCH
    ranged = {"since": begins, "until": ends}
    # Asked for at once, the longest last: while it is answered the others' answers are read.
    with connection.pipeline():
        tasks = None if tables is None else _airflow_tasks(connection, tables)
        timed = connection.execute(query("reporting/runs-timed"), {"limit": RUNS})
        failed = connection.execute(query("reporting/runs-failed"), {**ranged, "limit": RUNS})
        backfills = connection.execute(
            query("shared/backfill-list"), {"tag": Tag.BACKFILL.value, "limit": BACKFILLS}
        )
        counted = connection.execute(query("reporting/runs-counted"), {**ranged, "points": points})
        reached = connection.execute(query("reporting/watermark"), {**ranged, "slices": points})
        by_airflow = _airflow_runs(tasks) if tasks else []
        failed_in_all, went_well = counted.fetchone() or (0, 0)
        marks = [_reached(*row) for row in reached]
        return Freshness(
            now=now,
            watermark=mark.reach if is_set else None,
            watermark_age_seconds=_seconds(mark.reach, now) if is_set else None,
            last_run_at=mark.last_run_at,
            last_run_status=mark.last_run_status,
            latest_snapshot=latest,
            range=span.name,
            since=since,
            until=until,
            timed_by="airflow" if by_airflow else "engine",
            runs=by_airflow or [_engine_run(*row) for row in timed],
            failed=[FailedRun(*row) for row in failed],
            failed_in_all=failed_in_all,
            backfills=[_progress(BackfillRecord(*row)) for row in backfills],
            reached=marks,
            sampled=went_well > len(marks),
        )


def backfills(connection: Connection, limit: int = BACKFILLS) -> list[BackfillProgress]:
    """Return the latest backfills and how far they are, the newest first."""
    rows = connection.execute(
        query("shared/backfill-list"), {"tag": Tag.BACKFILL.value, "limit": limit}
    )
    return [_progress(BackfillRecord(*row)) for row in rows]


def every_mark(connection: Connection, span: Range) -> Iterator[Reached]:
    """Yield where every run of a range left the watermark, the oldest first.

    In a transaction of the caller's: the rows come through a cursor of the server's.
    """
    yield from (_reached(*row) for row in _every(connection, "watermark-all", span))


def every_failure(connection: Connection, span: Range) -> Iterator[FailedRun]:
    """Yield every failed run of a range, the newest first; as `every_mark`."""
    yield from (FailedRun(*row) for row in _every(connection, "runs-failed", span, limit=None))


def _every(
    connection: Connection, statement: str, span: Range, **values: Any
) -> Iterator[tuple[Any, ...]]:
    now = watermark.read(connection).read_at
    first, _ = connection.execute(query("reporting/ends")).fetchone() or (None, None)
    begins, ends = span.held(first or now, now)
    with connection.cursor("dashboard_freshness") as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        cursor.execute(query(f"reporting/{statement}"), {"since": begins, "until": ends, **values})
        yield from cursor


def _seconds(since: dt.datetime, until: dt.datetime) -> float:
    # Not by `round(…, 3)`, which takes twice as long.
    return round((until - since).total_seconds() * 1000) / 1000


def _airflow_tasks(connection: Connection, tables: AirflowTables) -> Cursor[TimedTask] | None:
    """Ask for the tasks of the latest DAG runs; None where they may not be read."""
    if not tables.readable:
        return None
    return dag_runs.timed(connection, tables, ETL, limit=RUNS)


def _airflow_runs(tasks: Iterable[TimedTask]) -> list[TimedRun]:
    runs: dict[str, TimedRun] = {}
    for task in tasks:
        began, ended = task.run_started_at, task.run_ended_at
        run = runs.setdefault(
            task.run_id,
            TimedRun(
                task.run_id, began, task.run_state, _seconds(began, ended) if ended else None, []
            ),
        )
        started_at, ended_at = task.task_started_at, task.task_ended_at
        if task.task_id is not None and started_at is not None:
            run.steps.append(
                Step(
                    task.task_id,
                    task.task_state,
                    _seconds(began, started_at),
                    _seconds(started_at, ended_at) if ended_at else None,
                    task.tries,
                )
            )
    return list(runs.values())


def _engine_run(
    key: str,
    state: str,
    opened: dt.datetime,
    finished: dt.datetime | None,
    seconds: dict[str, Any] | None,
) -> TimedRun:
    return TimedRun(
        key,
        opened,
        "running" if state == "open" else state,
        _seconds(opened, finished) if finished else None,
        _engine_steps(seconds or {}),
    )


def _engine_steps(seconds: dict[str, Any]) -> list[Step]:
    """Return what the engine timed itself; it tells how long, and the order tells when."""
    found: list[Step] = []
    began = 0.0
    for task, steps in _STEPS.items():
        timed = [float(seconds[step] or 0) for step in steps if step in seconds]
        if timed:
            took = round(sum(timed), 3)
            found.append(Step(task, None, round(began, 3), took, None))
            began += took
    return found


def _reached(at: dt.datetime, mark: dt.datetime, before: dt.datetime | None) -> Reached:
    return Reached(at, mark, _seconds(mark, at), _seconds(before, at) if before else None, before)


def _progress(one: BackfillRecord) -> BackfillProgress:
    return BackfillProgress(
        backfill_id=one.backfill_id,
        start_date=one.start_date,
        end_date=one.end_date,
        period=one.interval,
        timezone=one.timezone,
        consumers=None if one.consumers is None else len(one.consumers),
        state=one.state,
        periods=one.periods,
        periods_done=one.periods_done,
        # Down: what is not done is no 100 %.
        percent=1000 * one.periods_done // one.periods / 10 if one.periods else 100.0,
        snapshots_written=one.snapshots_written,
        snapshots_restated=one.snapshots_restated,
        requested_by=one.requested_by,
        started_at=one.started_at,
        finished_at=one.finished_at,
    )
