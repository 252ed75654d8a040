"""Airflow's own tables, where this database has them."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query


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
        row = connection.execute(query("airflow/tables")).fetchone()
        return None if row is None else cls(*row)

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
