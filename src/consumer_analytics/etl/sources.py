"""The user's own tables: their columns, and whether they are as the product needs them.

`SOURCES` is the register of the columns that the product knows: what a table must have is
checked by it, here and by the doctor, and what an import takes from a file is read by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.errors import SourceError
from consumer_analytics.mapping import Sources
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import query

#: The types that a column may have in the user's table, by the type that files are read as; a
#: domain over one of these as well.
_TYPES = {
    "uuid": frozenset({"uuid"}),
    # Statements read them as text: an enumeration takes no word that is not its own, and citext
    # would make one type of two.
    "text": frozenset({"text", "character varying", "character", "name", "enum", "citext"}),
    "timestamptz": frozenset({"timestamp with time zone", "timestamp without time zone"}),
    "jsonb": frozenset({"jsonb", "json"}),
}


@dataclass(frozen=True)
class SourceColumn:
    """A column of a source table.

    Attributes:
        kind: what it holds, as the type that a file's values are read as: `uuid`, `text`,
            `timestamptz` or `jsonb`.
        required: whether the table must have it: the product reads it.
        in_file: whether the header of a file to import must name it.
        filled: whether each row of such a file must have a value in it.
    """

    kind: LiteralString
    required: bool = False
    in_file: bool = False
    filled: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The types that it may have in the user's table, as PostgreSQL names them."""
        return _TYPES[self.kind]


#: The source tables in the order in which an import fills them; the first column of each is
#: its key.
SOURCES: dict[str, dict[str, SourceColumn]] = {
    "consumers": {
        "consumer_id": SourceColumn("uuid", required=True, in_file=True, filled=True),
        "name": SourceColumn("text"),
        "status": SourceColumn("text"),
        "created_at": SourceColumn("timestamptz", required=True),
    },
    "customers": {
        "customer_id": SourceColumn("uuid", required=True, in_file=True, filled=True),
        "consumer_id": SourceColumn("uuid", required=True, in_file=True),
        "status": SourceColumn("text", required=True),
        "created_at": SourceColumn("timestamptz", required=True, in_file=True, filled=True),
        "updated_at": SourceColumn("timestamptz"),
    },
    "customer_events": {
        "event_id": SourceColumn("uuid", required=True, in_file=True, filled=True),
        "customer_id": SourceColumn("uuid", required=True),
        "consumer_id": SourceColumn("uuid", required=True, in_file=True),
        "event_type": SourceColumn("text", required=True, in_file=True),
        "payload_json": SourceColumn("jsonb", required=True),
        "created_at": SourceColumn("timestamptz", required=True, in_file=True, filled=True),
    },
}


@dataclass(frozen=True)
class Concern:
    """Something below a source that may hide rows from a run.

    Attributes:
        source: the source table.
        name: the table or view below it, or itself, with its schema.
        kind: `foreign`, `materialized`, or `filtered` by row security.
        reader: as whose the rows are read there.
    """

    source: str
    name: str
    kind: str
    reader: str

    def describe(self) -> str:
        """Say in a sentence what it is, and what follows."""
        if self.kind == "filtered":
            return (
                f"row-level security hides rows of {self.name}, which {self.source} is read from, "
                f"from role {self.reader}, so figures would be too low"
            )
        what = "a foreign table" if self.kind == "foreign" else "a materialized view"
        return (
            f"source {self.source} is read from {self.name}, {what}: rows in flight there are not "
            "waited for, and those that a run has passed by come only with a sweep"
        )


def require_usable(
    connection: Connection, settings: Settings, notify: Callable[[str], None] = lambda _: None
) -> None:
    """Check that the source tables are there, with the columns we rely on and all their rows.

    Args:
        connection: in autocommit.
        settings: where the sources are, and whether unsafe ones are accepted.
        notify: told of those that are.

    Raises:
        SourceError: a table or column is missing, has another type, or rows are or may be
            hidden from this login; the message names it.
    """
    require_columns(connection, settings.sources)
    for line in require_all_rows(connection, settings):
        notify(line)


@dataclass(frozen=True)
class Lack:
    """Something that the source tables lack for a run.

    Attributes:
        says: what, and where, in a sentence.
        table: the source table.
        column: its column; None where it is the table.
    """

    says: str
    table: str
    column: str | None = None


def lacks(connection: Connection, sources: Sources) -> list[Lack]:
    """Return which tables and columns that we rely on are missing, or have another type."""
    types: dict[str, dict[str, str]] = {}
    for table, column, known_as, _ in _columns(connection, sources):
        types.setdefault(table, {})[column] = known_as
    found = []
    for table, columns in SOURCES.items():
        if table not in types:
            found.append(
                Lack(
                    f"source table {sources.schema}.{table} does not exist or this login may not "
                    "read it; create it, grant SELECT, or set CONSUMER_ANALYTICS_SOURCE_SCHEMA",
                    table,
                )
            )
            continue
        for column, known in columns.items():
            kind = types[table].get(column)
            if not known.required or kind in known.types:
                continue
            found.append(
                Lack(
                    f"source table {sources.schema}.{table} has no column {column}; "
                    "add it, or offer a view with the columns the product reads"
                    if kind is None
                    else f"column {sources.schema}.{table}.{column} is {kind}; "
                    f"it must be {' or '.join(sorted(known.types))}",
                    table,
                    column,
                )
            )
    return found


def require_columns(connection: Connection, sources: Sources) -> None:
    """Check that the source tables are there, with the columns we rely on.

    Raises:
        SourceError: a table or column is missing, or has another type; the
            message names it.
    """
    if lacking := lacks(connection, sources):
        raise SourceError(lacking[0].says)


def virtual_columns(connection: Connection, sources: Sources) -> list[str]:
    """Return the columns we rely on that are worked out whenever they are read (PostgreSQL 18)."""
    return [
        f"{table}.{column}"
        for table, column, _, is_virtual in _columns(connection, sources)
        if is_virtual and column in SOURCES[table] and SOURCES[table][column].required
    ]


def _columns(connection: Connection, sources: Sources) -> list[tuple[str, str, str, bool]]:
    # The catalogue itself: the standard's views over it cost a new session ten times as much.
    return connection.execute(
        query("etl/sources/columns"), {"schema": sources.schema, "tables": list(SOURCES)}
    ).fetchall()


def concerns(connection: Connection, sources: Sources) -> list[Concern]:
    """Return what lies below the sources and may hide rows from this login."""
    rows = connection.execute(
        query("etl/sources/concerns"), {"tables": list(SOURCES), "schema": sources.schema}
    )
    return [Concern(*row) for row in rows]


def require_all_rows(connection: Connection, settings: Settings) -> list[str]:
    """Check that this login sees every row of the source tables, also those in flight.

    Returns:
        What hides rows in flight and is accepted all the same, a line each.

    Raises:
        SourceError: rows are or may be hidden; the message names the table.
    """
    lines = []
    for concern in concerns(connection, settings.sources):
        if concern.kind == "filtered":
            raise SourceError(f"{concern.describe()}; give {concern.reader} BYPASSRLS")
        if not settings.accept_unsafe_sources:
            raise SourceError(
                f"{concern.describe()}; read tables of this database, or say by "
                f"{PREFIX}ACCEPT_UNSAFE_SOURCES=true that you know"
            )
        lines.append(concern.describe())
    return lines


def first_row_after(
    connection: Connection, settings: Settings, at: dt.datetime
) -> dt.datetime | None:
    """Return the time of the first row that is or was there, if it lies after an instant.

    None also where the instant has its snapshot, or where there has been no row at all.
    """
    # A look into an index, mostly.
    if scalar_of(connection, "etl/sources/rows-until", {"at": at}, sources=settings.sources):
        return None
    first: dt.datetime | None = scalar_of(
        connection, "etl/sources/rows-first", sources=settings.sources
    )
    return first
