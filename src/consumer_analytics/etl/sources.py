"""The user's own tables: whether they are as the product needs them."""

from __future__ import annotations

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import SourceError
from consumer_analytics.sql import query

#: The columns each table must have, and the types each may have.
_ANY_TIME = frozenset({"timestamp with time zone", "timestamp without time zone"})
_UUID = frozenset({"uuid"})
_TEXT = frozenset({"text", "character varying", "character", "USER-DEFINED", "name"})
_JSON = frozenset({"jsonb", "json"})
REQUIRED: dict[str, dict[str, frozenset[str]]] = {
    "consumers": {"consumer_id": _UUID, "created_at": _ANY_TIME},
    "customers": {
        "customer_id": _UUID,
        "consumer_id": _UUID,
        "status": _TEXT,
        "created_at": _ANY_TIME,
    },
    "customer_events": {
        "event_id": _UUID,
        "customer_id": _UUID,
        "consumer_id": _UUID,
        "event_type": _TEXT,
        "payload_json": _JSON,
        "created_at": _ANY_TIME,
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
        query("etl/sources/columns"), {"schema": source_schema, "tables": list(REQUIRED)}
    ).fetchall()
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in rows:
        types.setdefault(table, {})[column] = kind
    for table, columns in REQUIRED.items():
        if table not in types:
            raise SourceError(
                f"source table {source_schema}.{table} does not exist or this login may not "
                "read it; create it, grant SELECT, or set CONSUMER_ANALYTICS_SOURCE_SCHEMA"
            )
        for column, allowed in columns.items():
            kind = types[table].get(column)
            if kind is None:
                raise SourceError(
                    f"source table {source_schema}.{table} has no column {column}; "
                    "add it, or offer a view with the columns the product reads"
                )
            if kind not in allowed:
                raise SourceError(
                    f"column {source_schema}.{table}.{column} is {kind}; "
                    f"it must be {' or '.join(sorted(allowed))}"
                )


def require_all_rows(connection: Connection, source_schema: str) -> None:
    """Check that this login sees every row of the source tables.

    Raises:
        SourceError: row-level security hides some; the message names the table.
    """
    filtered = connection.execute(
        query("etl/sources/filtered"), {"tables": list(REQUIRED), "schema": source_schema}
    ).fetchone()
    if filtered is not None:
        raise SourceError(
            f"row-level security hides rows of {source_schema}.{filtered[0]} from login "
            f"{filtered[1]}, so figures would be too low; give the login BYPASSRLS"
        )
