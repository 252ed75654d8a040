"""What Airflow's metadata says of a DAG, where this database has it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from consumer_analytics.engine.database import Connection, named_row, scalar
from consumer_analytics.sql import query

DAG = "consumer_analytics_etl"
_SCHEDULER_SILENT = dt.timedelta(minutes=2)


@dataclass(frozen=True)
class Airflow:
    """Airflow's metadata, where this database has it.

    Attributes:
        schema: where; None where it is elsewhere.
        reason: why it cannot be read, though it is here.
        known: what it says of the DAG (`health-dag-runs.sql`); empty where unreadable.
    """

    schema: str | None
    reason: str | None
    known: dict[str, Any]

    @classmethod
    def read(cls, connection: Connection, at: dt.datetime, dag: str = DAG) -> Airflow:
        """Find Airflow's tables and read what they say of a DAG."""
        found = connection.execute(query("health-airflow-tables")).fetchone()
        if found is None:
            return cls(None, None, {})
        schema, readable = found
        if not readable:
            login = scalar(connection, "select current_user")
            return cls(
                schema,
                f"login {login} may not read Airflow's tables: GRANT USAGE ON SCHEMA {schema} and "
                f"SELECT ON ALL TABLES IN SCHEMA {schema} TO it",
                {},
            )
        tables = {name: sql.Identifier(schema, name) for name in ("dag_run", "dag", "job")}
        known = named_row(connection, query("health-dag-runs", "public", **tables), dag=dag, now=at)
        return cls(schema, None, known)

    def is_silent(self, at: dt.datetime) -> bool:
        """Tell whether the scheduler has not been heard of for a while."""
        seen: dt.datetime | None = self.known.get("scheduler_seen_at")
        return seen is not None and at - seen > _SCHEDULER_SILENT

    @property
    def runs_it(self) -> bool:
        """Whether it has finished a run of the DAG."""
        return self.known.get("run_id") is not None
