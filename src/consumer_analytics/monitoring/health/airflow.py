"""What Airflow's metadata says of a DAG, where this database has it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection, named_row, scalar
from consumer_analytics.sql import query

DAG = "consumer_analytics_etl"
_SCHEDULER_SILENT = dt.timedelta(minutes=2)


@dataclass(frozen=True)
class Airflow:
    """Airflow's metadata, where this database has it.

    Attributes:
        tables: where; None where it is elsewhere, or cannot be read.
        reason: why it cannot be read, though it is here.
        known: what it says of the DAG (`health-dag-runs.sql`); empty where unreadable.
    """

    tables: AirflowTables | None
    reason: str | None
    known: dict[str, Any]

    @classmethod
    def read(cls, connection: Connection, at: dt.datetime, dag: str = DAG) -> Airflow:
        """Find Airflow's tables and read what they say of a DAG."""
        tables = AirflowTables.find(connection)
        if tables is None:
            return cls(None, None, {})
        if not tables.readable:
            login = scalar(connection, "select current_user")
            return cls(
                None,
                f"login {login} may not read Airflow's tables: GRANT USAGE ON SCHEMA "
                f"{tables.schema} and SELECT ON ALL TABLES IN SCHEMA {tables.schema} TO it",
                {},
            )
        statement = query(
            "monitoring/health/dag-runs", "public", **tables.named("dag_run", "dag", "job")
        )
        return cls(tables, None, named_row(connection, statement, dag=dag, now=at))

    def is_silent(self, at: dt.datetime) -> bool:
        """Tell whether the scheduler has not been heard of for a while."""
        seen: dt.datetime | None = self.known.get("scheduler_seen_at")
        return seen is not None and at - seen > _SCHEDULER_SILENT

    @property
    def runs_it(self) -> bool:
        """Whether it has finished a run of the DAG."""
        return self.known.get("run_id") is not None
