"""Airflow's own tables, where this database has them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query

#: Of its tables those that health and the dashboard read; none of them holds a secret, as its
#: connections and variables do.
READ = ("dag", "dag_run", "deadline", "job", "task_instance")
#: And those that the doctor reads besides: why a DAG is not there, who paused it.
_OF_THE_DOCTOR = ("dag_version", "import_error", "log")


@dataclass(frozen=True)
class AirflowTables:
    """Airflow's metadata in this database.

    Attributes:
        schema: where.
        readable: whether this login may read what is taken from them.
    """

    schema: str
    readable: bool

    @classmethod
    def find(cls, connection: Connection) -> AirflowTables | None:
        """Return where they are; None where they are in another database."""
        row = connection.execute(query("airflow/tables"), {"read": list(READ)}).fetchone()
        return None if row is None else cls(*row)

    @property
    def qualified(self) -> str:
        """Those that are read, each with its schema, as a GRANT has them."""
        return ", ".join(f"{self.schema}.{name}" for name in READ)

    def to_read(self, connection: Connection) -> list[str]:
        """Return the names of all tables that are read, of those that Airflow's version has."""
        names = [*READ, *_OF_THE_DOCTOR]
        rows = connection.execute(
            query("airflow/tables-there"), {"schema": self.schema, "names": names}
        )
        return [name for (name,) in rows]

    def named(self, *names: str) -> dict[str, sql.Composable]:
        """Return tables by their names, for a query file that names them in braces."""
        return {name: sql.Identifier(self.schema, name) for name in names}


def revision(connection: psycopg.Connection[tuple[object, ...]]) -> str | None:
    """Return the revision of the tables that Airflow's own login sees; None where it has none."""
    try:
        row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return str(row[0]) if row else None
