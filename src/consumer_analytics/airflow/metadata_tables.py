"""Airflow's own tables, where this database has them."""

from __future__ import annotations

from dataclasses import dataclass

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
        found = connection.execute(query("airflow/tables")).fetchone()
        return None if found is None else cls(*found)

    def named(self, *names: str) -> dict[str, sql.Composable]:
        """Return tables by their names, for a query file that names them in braces."""
        return {name: sql.Identifier(self.schema, name) for name in names}
