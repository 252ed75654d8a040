"""Tables on disk: what they take, and making the room of removed rows free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.errors import Diagnostic

from consumer_analytics.db.connection import Connection, scalar_of


@dataclass(frozen=True)
class Removed:
    """What a statement removed.

    Attributes:
        rows: how many.
        bytes: their own size.
    """

    rows: int
    bytes: int


def removed(connection: Connection, statement: sql.Composed, values: Mapping[str, Any]) -> Removed:
    """Run a statement that removes rows and answers how many, and their size."""
    row = connection.execute(statement, values).fetchone()
    return Removed(row[0], row[1]) if row else Removed(0, 0)


def size(connection: Connection, tables: Sequence[str]) -> int:
    """Return what tables take on disk, indexes and all, in bytes."""
    taken: int = scalar_of(connection, "operations/tables/size", {"tables": list(tables)})
    return taken


def vacuum(connection: Connection, tables: Sequence[str]) -> list[str]:
    """Make the room of removed rows free; return why that could not be done now."""
    notices: list[str] = []

    def hear(notice: Diagnostic) -> None:
        notices.append(str(notice.message_primary))

    connection.add_notice_handler(hear)
    try:
        for table in tables:
            connection.execute(
                sql.SQL("vacuum (analyze) {}").format(sql.Identifier(*table.split(".")))
            )
    finally:
        connection.remove_notice_handler(hear)
    if notices:
        return [f"the server will reuse their room once autovacuum has come by ({notices[0]})"]
    return []
