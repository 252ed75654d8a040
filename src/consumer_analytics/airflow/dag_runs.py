"""Runs of our DAGs as Airflow has them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Cursor
from psycopg.rows import class_row

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query


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
        return self.state == "failed"


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
            query(
                "airflow/dag_runs/troubled", "public", **tables.named("dag_run", "task_instance")
            ),
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
        query("airflow/dag_runs/timed", "public", **tables.named("dag_run", "task_instance")),
        {"dag": dag, "limit": limit},
    )
