"""What Airflow's metadata says of a DAG, where this database has it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.airflow import dag_runs
from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.airflow.dag_runs import DagRuns, FinishedDagRun, WorkingDagRun
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection, scalar


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
                f"{tables.schema} and SELECT ON {tables.qualified} TO it",
                None,
            )
        return cls(tables, None, dag_runs.latest(connection, tables, ETL, at))

    @property
    def finished(self) -> FinishedDagRun | None:
        """The run that ended last; None where Airflow has none, or cannot be read."""
        return self.runs.finished if self.runs is not None else None

    @property
    def working(self) -> WorkingDagRun | None:
        """The run that is under way; None where there is none, or nobody knows."""
        return self.runs.working if self.runs is not None else None
