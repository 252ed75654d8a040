"""The user's own tables: their columns, and whether they are as the product needs them.

`SOURCES` is the register of the columns that the product knows: what a table must have is
checked by it, here and by the doctor, and what an import takes from a file is read by it.
"""

from __future__ import annotations

from dataclasses import dataclass

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import SourceError
from consumer_analytics.sql import query

#: The types that a column may have in the user's table, by the type that files are read as.
_TYPES = {
    "uuid": frozenset({"uuid"}),
    "text": frozenset({"text", "character varying", "character", "USER-DEFINED", "name"}),
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

    kind: str
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


def require_usable(connection: Connection, source_schema: str) -> None:
    """Check that the source tables are there, with the columns we rely on and all their rows.

    Raises:
        SourceError: a table or column is missing, has another type, or rows are
            hidden from this login; the message names it.
    """
    require_columns(connection, source_schema)
    require_all_rows(connection, source_schema)


def require_columns(connection: Connection, source_schema: str) -> None:
    """Check that the source tables are there, with the columns we rely on.

    Raises:
        SourceError: a table or column is missing, or has another type; the
            message names it.
    """
    # The catalogue itself: the standard's views over it cost a new session ten times as much.
    rows = connection.execute(
        query("etl/sources/columns"), {"schema": source_schema, "tables": list(SOURCES)}
    ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    for table, columns in SOURCES.items():
        if table not in types:
            raise SourceError(
                f"source table {source_schema}.{table} does not exist or this login may not "
                "read it; create it, grant SELECT, or set CONSUMER_ANALYTICS_SOURCE_SCHEMA"
            )
        for column, known in columns.items():
            if not known.required:
                continue
            kind = types[table].get(column)
            if kind is None:
                raise SourceError(
                    f"source table {source_schema}.{table} has no column {column}; "
                    "add it, or offer a view with the columns the product reads"
                )
            if kind not in known.types:
                raise SourceError(
                    f"column {source_schema}.{table}.{column} is {kind}; "
                    f"it must be {' or '.join(sorted(known.types))}"
                )


def require_all_rows(connection: Connection, source_schema: str) -> None:
    """Check that this login sees every row of the source tables.

    Raises:
        SourceError: row-level security hides some; the message names the table.
    """
    filtered = connection.execute(
        query("etl/sources/filtered"), {"tables": list(SOURCES), "schema": source_schema}
    ).fetchone()
    if filtered is not None:
        raise SourceError(
            f"row-level security hides rows of {source_schema}.{filtered[0]} from login "
            f"{filtered[1]}, so figures would be too low; give the login BYPASSRLS"
        )
