"""What Airflow's metadata says of a DAG, where this database has it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection, named_row, scalar
from consumer_analytics.sql import query

DAG = "consumer_analytics_etl"
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
    """

    run_id: str
    state: str
    since: dt.datetime | None


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

    @classmethod
    def read(cls, connection: Connection, tables: AirflowTables, at: dt.datetime) -> DagRuns:
        """Read what the tables say of our DAG."""
        row = named_row(
            connection,
            query(
                "monitoring/observation/dag-runs", "public", **tables.named("dag_run", "dag", "job")
            ),
            dag=DAG,
            now=at,
        )
        return cls(
            is_paused=bool(row["is_paused"]),
            has_import_errors=bool(row["has_import_errors"]),
            scheduler_seen_at=row["scheduler_seen_at"],
            failed=row["failed"],
            finished=None
            if row["run_id"] is None
            else FinishedDagRun(row["run_id"], row["state"], row["start_date"], row["end_date"]),
            working=None
            if row["working_run_id"] is None
            else WorkingDagRun(row["working_run_id"], row["working_state"], row["working_since"]),
        )

    def scheduler_is_silent(self, at: dt.datetime) -> bool:
        """Tell whether the scheduler has not been heard of for a while."""
        seen = self.scheduler_seen_at
        return seen is not None and at - seen > _SCHEDULER_SILENT


@dataclass(frozen=True)
class Airflow:
    """Airflow's metadata, where this database has it.

    Attributes:
        tables: where; None where it is elsewhere, or cannot be read.
        reason: why it cannot be read, though it is here.
        runs: what it says of the DAG; None where it cannot be read.
    """

    tables: AirflowTables | None
    reason: str | None
    runs: DagRuns | None

    @classmethod
    def read(cls, connection: Connection, at: dt.datetime) -> Airflow:
        """Find Airflow's tables and read what they say of our DAG."""
        tables = AirflowTables.find(connection)
        if tables is None:
            return cls(None, None, None)
        if not tables.readable:
            login = scalar(connection, "select current_user")
            return cls(
                None,
                f"login {login} may not read Airflow's tables: GRANT USAGE ON SCHEMA "
                f"{tables.schema} and SELECT ON ALL TABLES IN SCHEMA {tables.schema} TO it",
                None,
            )
        return cls(tables, None, DagRuns.read(connection, tables, at))

    @property
    def finished(self) -> FinishedDagRun | None:
        """The run that ended last; None where Airflow has none, or cannot be read."""
        return self.runs.finished if self.runs is not None else None

    @property
    def working(self) -> WorkingDagRun | None:
        """The run that is under way; None where there is none, or nobody knows."""
        return self.runs.working if self.runs is not None else None
