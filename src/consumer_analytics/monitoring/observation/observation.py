"""One look at the system: everything that is seen of it at an instant."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.airflow.dag_ids import ETL, run_key
from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import watermark
from consumer_analytics.formatting import seconds
from consumer_analytics.monitoring.observation.airflow import Airflow
from consumer_analytics.monitoring.observation.backlog import Backlog
from consumer_analytics.monitoring.observation.due import Due, due_of
from consumer_analytics.monitoring.observation.runs import EngineRuns
from consumer_analytics.settings import Settings


@dataclass(frozen=True)
class LastRun:
    """The last finished run, as Airflow has it, else as the engine has it.

    Attributes:
        run: its key.
        state: `success` or `failed`.
        started_at: when it began.
        finished_at: when it ended.
        seconds: how long it took.
        source: who tells: `airflow`, or `runs` (the engine's own record).
    """

    run: str
    state: str
    started_at: dt.datetime
    finished_at: dt.datetime
    seconds: float
    source: str


@dataclass(frozen=True)
class Observation:
    """What is seen at an instant.

    Attributes:
        connection: the session that looked.
        settings: for the schedule and the limits.
        at: the instant.
        mark: the watermark, and how far the counts reach; what is judged is the lesser of both.
        engine: what the engine's own record says of runs.
        airflow: what Airflow's says.
        due: what the schedule asked for.
        backlog: the events that wait.
    """

    connection: Connection
    settings: Settings
    at: dt.datetime
    mark: watermark.Watermark
    engine: EngineRuns
    airflow: Airflow
    due: Due
    backlog: Backlog

    @classmethod
    def take(
        cls, connection: Connection, settings: Settings, now: dt.datetime | None = None
    ) -> Observation:
        """Look at the system, in the caller's transaction.

        Args:
            connection: in a transaction, where all of it is to see one state of the data.
            settings: for the schedule and the limits.
            now: the instant to look at; None for the server's clock.

        Raises:
            SchemaError: `etl_job_watermarks` lacks the job's row.
        """
        mark = watermark.read_with_reach(connection)
        at = now or mark.read_at
        engine = EngineRuns.read(connection, settings, mark, at)
        due = due_of(settings, mark, engine.installed_at, at)
        return cls(
            connection=connection,
            settings=settings,
            at=at,
            mark=mark,
            engine=engine,
            airflow=Airflow.read(connection, at),
            due=due,
            backlog=Backlog.count(connection, settings, mark, due, at),
        )

    @property
    def last_run(self) -> LastRun | None:
        """The last finished run; None before the first."""
        by_airflow, by_engine = self.airflow.finished, self.engine.finished
        if by_airflow is not None:
            return LastRun(
                run=run_key(ETL, by_airflow.run_id),
                state=by_airflow.state,
                started_at=by_airflow.started_at,
                finished_at=by_airflow.ended_at,
                seconds=seconds(by_airflow.ended_at - by_airflow.started_at),
                source="airflow",
            )
        if by_engine is not None:
            return LastRun(
                run=by_engine.run_key,
                state=by_engine.state,
                started_at=by_engine.opened_at,
                finished_at=by_engine.finished_at,
                seconds=seconds(by_engine.finished_at - by_engine.opened_at),
                source="runs",
            )
        return None
