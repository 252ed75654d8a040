"""Runs of our DAGs as Airflow has them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Cursor
from psycopg.rows import class_row

from consumer_analytics.airflow import states
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection, named_row, scalar
from consumer_analytics.sql import query

_SCHEDULER_SILENT = dt.timedelta(minutes=2)


@dataclass(frozen=True)
class FinishedDagRun:
    """The DAG run that ended last.

    Attributes:
        run_id: its id.
        state: `success` or `failed`.
        started_at: when its first task could start.
        ended_at: when it ended.
    """

    run_id: str
    state: str
    started_at: dt.datetime
    ended_at: dt.datetime


@dataclass(frozen=True)
class WorkingDagRun:
    """The DAG run that is under way.

    Attributes:
        run_id: its id.
        state: `running` or `queued`.
        since: when it started, or was queued; None where Airflow does not tell.
        is_newer_again: whether it had ended before, is for a later instant than the run that ended
            last, and was cleared.
    """

    run_id: str
    state: str
    since: dt.datetime | None
    is_newer_again: bool = False


@dataclass(frozen=True)
class DagRuns:
    """What Airflow knows of a DAG and its runs.

    Attributes:
        is_paused: whether nobody takes its runs up.
        has_import_errors: whether its file cannot be read.
        scheduler_seen_at: when a scheduler gave its latest sign of life; None where none did.
        failed: how many of its runs failed within 24 hours.
        finished: the run that ended last; None before the first.
        working: the run that is under way; None where none is.
    """

    is_paused: bool
    has_import_errors: bool
    scheduler_seen_at: dt.datetime | None
    failed: int
    finished: FinishedDagRun | None
    working: WorkingDagRun | None

    def scheduler_is_silent(self, at: dt.datetime) -> bool:
        """Tell whether the scheduler has not been heard of for a while."""
        seen = self.scheduler_seen_at
        return seen is not None and at - seen > _SCHEDULER_SILENT


@dataclass(frozen=True)
class TroubledRun:
    """A DAG run that failed, or that has been under way for long.

    Attributes:
        state: `failed`, `queued` or `running`.
        dag_id: its DAG.
        run_id: the run.
        at: when it failed, or since when it is under way.
        failed_tasks: those that failed, by their names, where the run failed.
    """

    state: str
    dag_id: str
    run_id: str
    at: dt.datetime
    failed_tasks: str | None

    @property
    def has_failed(self) -> bool:
        """Whether it has ended, and failed."""
        return self.state == states.FAILED


@dataclass(frozen=True)
class TimedTask:
    """How long a task of a DAG run took, and the run itself.

    Attributes:
        run_id: the run.
        run_state: the run's state.
        run_started_at: when the run began.
        run_ended_at: when it ended; None while it goes on.
        task_id: the task; None where the run has none.
        task_state: its state; None where it has not begun.
        task_started_at: when it began; None where it has not.
        task_ended_at: when it ended; None while it goes on.
        tries: how often it was tried.
    """

    run_id: str
    run_state: str
    run_started_at: dt.datetime
    run_ended_at: dt.datetime | None
    task_id: str | None
    task_state: str | None
    task_started_at: dt.datetime | None
    task_ended_at: dt.datetime | None
    tries: int | None


@dataclass(frozen=True)
class MissedDeadline:
    """A DAG run that had not ended when its deadline passed.

    Attributes:
        dag_id: its DAG.
        run_id: the run.
        task_id: the task that it was at; None where that is not known.
        execution_date: the run's logical date, else the instant that it was to run after.
        deadline_at: when it should have ended.
    """

    dag_id: str
    run_id: str
    task_id: str | None
    execution_date: dt.datetime
    deadline_at: dt.datetime


def latest(connection: Connection, tables: AirflowTables, dag: str, at: dt.datetime) -> DagRuns:
    """Return what Airflow knows of a DAG and its runs.

    Args:
        connection: of a login that may read Airflow's tables.
        tables: where those are.
        dag: which DAG.
        at: the instant that failures within 24 hours are counted from.
    """
    row = named_row(
        connection,
        query("airflow/dag_runs/latest", None, **tables.named("dag_run", "dag", "job")),
        dag=dag,
        now=at,
    )
    finished = working = None
    if row["run_id"] is not None:
        finished = FinishedDagRun(row["run_id"], row["state"], row["start_date"], row["end_date"])
    if row["working_run_id"] is not None:
        working = WorkingDagRun(
            row["working_run_id"],
            row["working_state"],
            row["working_since"],
            row["is_newer_again"],
        )
    return DagRuns(
        is_paused=bool(row["is_paused"]),
        has_import_errors=bool(row["has_import_errors"]),
        scheduler_seen_at=row["scheduler_seen_at"],
        failed=row["failed"],
        finished=finished,
        working=working,
    )


def missed_deadlines(
    connection: Connection,
    tables: AirflowTables,
    *,
    dag: str,
    allowed: dt.timedelta | None,
    now: dt.datetime,
) -> list[MissedDeadline]:
    """Return the missed deadlines of our DAGs that we have not kept yet.

    Those that Airflow noticed; and those of runs that were queued again, as by clearing, of which
    it keeps none.

    Args:
        connection: of a login that may read Airflow's tables.
        tables: where those are.
        dag: whose runs have a deadline.
        allowed: how long after it was queued such a run may end; None: without a deadline.
        now: the instant to judge at.
    """
    named = tables.named("deadline", "dag_run", "task_instance")
    with connection.cursor(row_factory=class_row(MissedDeadline)) as cursor:
        return cursor.execute(
            query("airflow/dag_runs/missed-deadlines", None, **named),
            {"dag": dag, "allowed": allowed, "now": now},
        ).fetchall()


def is_under_way(connection: Connection, tables: AirflowTables, dag: str, run: str) -> bool:
    """Tell whether a DAG run is there and has not ended."""
    return bool(
        scalar(
            connection,
            query("airflow/dag_runs/under-way", None, **tables.named("dag_run")),
            dag,
            run,
        )
    )


def went_well_since(
    connection: Connection, tables: AirflowTables, dag: str, since: dt.datetime | None
) -> bool:
    """Tell whether a run of a DAG has ended well after an instant."""
    return bool(
        scalar(
            connection,
            query("airflow/dag_runs/went-well", None, **tables.named("dag_run")),
            dag,
            since,
        )
    )


def troubled(
    connection: Connection, tables: AirflowTables, dags: Sequence[str], *, long: dt.timedelta
) -> list[TroubledRun]:
    """Return the last finished run of each DAG where it failed, and runs under way for long.

    Args:
        connection: of a login that may read Airflow's tables.
        tables: where those are.
        dags: of which DAGs.
        long: how long a run may take.
    """
    with connection.cursor(row_factory=class_row(TroubledRun)) as cursor:
        return cursor.execute(
            query("airflow/dag_runs/troubled", None, **tables.named("dag_run", "task_instance")),
            {"dags": list(dags), "long": long},
        ).fetchall()


def timed(
    connection: Connection, tables: AirflowTables, dag: str, *, limit: int
) -> Cursor[TimedTask]:
    """Ask how long each task of a DAG's latest runs took.

    Returns:
        The answer, the latest run's tasks first, in the order in which they began; in a
        pipeline it may still be on its way.
    """
    return connection.cursor(row_factory=class_row(TimedTask)).execute(
        query("airflow/dag_runs/timed", None, **tables.named("dag_run", "task_instance")),
        {"dag": dag, "limit": limit},
    )
