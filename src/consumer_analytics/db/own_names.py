"""The user's names within the database: for what reads his tables there, and does not ask settings.

That is capture, whose triggers see rows as they are in his tables, and the figures of this
moment. `migrate` writes down what the settings say, as a function that only the owner can
replace, since what it answers is run; beside each function of capture it puts one that
reads the same rows under his names. Commands that read the sources hold their settings against
what is written down.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.db import locks
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import SchemaError, SourceError
from consumer_analytics.mapping import SOURCES, Sources
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, SOURCE_TABLES, query, source_rows

#: Capture's functions, by the source table whose rows they see.
CAPTURE = {
    "capture_consumers": "consumers",
    "capture_inserted_customers": "customers",
    "capture_updated_customers": "customers",
    "capture_deleted_customers": "customers",
    "capture_truncating_customers": "customers",
    "capture_inserted_events": "customer_events",
    "capture_updated_events": "customer_events",
    "capture_deleted_events": "customer_events",
}
#: What a function of capture says of the rows that its trigger saw; which columns of the table it
#: reads, to know whether their types are harmless; and its words, as literals. All at once: what is
#: put in is the user's, and may read like any of it.
_PLACES = re.compile(
    r"\b(?P<where>from|join) (?P<rows>old_rows|new_rows)\b(?: as (?P<alias>\w+)\b)?"
    r"|(?P<columns>source_column\.attname in \([^)]*\))"
    r"|'(?P<word>customer_creation|customer_status_change|customer_deletion)'"
)
#: Columns that the figures of this moment read.
_OF_THE_MOMENT = {
    "consumers": ("consumer_id", "created_at"),
    "customers": tuple(name for name in SOURCES["customers"] if name != "updated_at"),
    "customer_events": tuple(SOURCES["customer_events"]),
}


def function(plain: str, sources: Sources) -> str:
    """Return the name of capture's function for tables of the user's names.

    Args:
        plain: the one for tables of the product's names.
        sources: the user's names.
    """
    return f"{plain}_named" if sources.is_mapped and plain in CAPTURE else plain


def shown(sources: Sources) -> str:
    """Return what the source tables are called, for messages."""
    return ", ".join(one.shown for one in sources.tables)


def described(sources: Sources) -> dict[str, Any]:
    """Return what the database keeps: the names, and what rows are read from by them."""
    rows = {
        known: source_rows(sources, known, columns=_OF_THE_MOMENT[known]).as_string(None)
        for known in SOURCE_TABLES
    }
    return {**sources.as_json(), "rows": rows}


def are_adopted(connection: Connection, sources: Sources) -> bool:
    """Tell whether the database takes the sources to be called so."""
    return bool(scalar_of(connection, "db/own_names/recorded") == described(sources))


def adopted(connection: Connection) -> str | None:
    """Return what the database takes the source tables to be, for messages.

    Returns:
        None where this login may not ask, or nobody has said it.
    """
    there = dict(_said(scalar_of(connection, "db/own_names/recorded")))
    return ", ".join(there[known] for known in SOURCE_TABLES) if there else None


def require_adopted(connection: Connection, sources: Sources) -> None:
    """Check that the database takes the sources to be called so.

    Raises:
        SourceError: it takes them to be called otherwise: what it counted, and what capture
            notes, may be other rows. The message names what differs.
    """
    recorded = scalar_of(connection, "db/own_names/recorded")
    there, here = (dict(_said(one)) for one in (recorded, sources.as_json()))
    # What rows are read from by these names is this version's, and not looked at.
    what = next((one for one in here if there.get(one) != here[one]), None)
    if what is not None:
        raise SourceError(
            f"the database takes {what} to be {there.get(what, 'nothing yet')}, the settings say "
            f"{here[what]}; set CONSUMER_ANALYTICS_SOURCES_FILE and "
            "CONSUMER_ANALYTICS_SOURCE_SCHEMA as before, or take the new names over: "
            "consumer-analytics migrate"
        )


@contextmanager
def explaining(connection: Connection, settings: Settings) -> Iterator[None]:
    """Say of a table or column that is missing in a `with` block whether it is called otherwise.

    For what only reads, and works on where a login may not ask for the names.

    Args:
        connection: in autocommit; a transaction that the block leaves open is rolled back.
        settings: what they say the sources are called.

    Raises:
        SourceError: the database takes the sources to be called otherwise; see `require_adopted`.
    """
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        # What figures of shards are put together in has no rows, under whatever names.
        if settings.shards_file is None and not connection.closed:
            connection.rollback()
            with suppress(psycopg.Error):
                if adopted(connection) is not None:
                    require_adopted(connection, settings.sources)
        raise


def _said(names: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Yield what a description says, one by one: of what, and how it is called."""
    if names is None:
        return
    for known, table in names["tables"].items():
        yield known, f"{table['schema']}.{table['table']}"
        for column, own in table["columns"].items():
            yield f"{known}.{column}", str(own)
    yield from names["words"].items()


def require_there(connection: Connection, sources: Sources) -> None:
    """Check that the source tables and their columns are there, by the catalogue alone.

    Raises:
        SchemaError: one is not; nobody makes it.
    """
    needed = [(table.known, known) for table in sources.tables for known in table.needed]
    row = connection.execute(
        query("db/own_names/lacking", sources),
        {"tables": [known for known, _ in needed], "columns": [column for _, column in needed]},
    ).fetchone()
    if row is not None:
        what = f"table {row[0]} does not exist" if row[1] is None else f"{row[0]} has no {row[1]}"
        raise SchemaError(
            f"the settings name what is not there: {what}; `migrate` makes source tables on an "
            "empty database alone, and none of a mapping's: correct "
            "CONSUMER_ANALYTICS_SOURCES_FILE or CONSUMER_ANALYTICS_SOURCE_SCHEMA"
        )


def adopt(connection: Connection, sources: Sources) -> None:
    """Write down what the sources are called, and make capture's functions for it.

    Args:
        connection: the owner's of the product's schema, in autocommit.
        sources: the user's names.
    """
    with connection.transaction():
        locks.take(connection, Lock.MIGRATE)
        if sources.is_mapped:
            bodies = connection.execute(
                query("db/own_names/capture"), {"functions": list(CAPTURE)}
            ).fetchall()
            for plain, body in bodies:
                _define(connection, sources, plain, body)
        connection.execute(
            sql.SQL(
                "create or replace function {}() returns jsonb language sql immutable "
                "set search_path = pg_catalog, pg_temp return {}::jsonb"
            ).format(
                sql.Identifier(INTERNAL, "source_names"),
                sql.Literal(json.dumps(described(sources))),
            )
        )


def _define(connection: Connection, sources: Sources, plain: str, body: str) -> None:
    """Make a function of capture that reads rows under the user's names."""
    name = sql.Identifier(INTERNAL, function(plain, sources))
    # As the plain ones: see 0006_repairs.sql.
    connection.execute(
        sql.SQL(
            "create or replace function {}() returns trigger language plpgsql security definer "
            "set search_path = pg_catalog, pg_temp set timezone = 'UTC' as {}"
        ).format(name, sql.Literal(renamed(body, sources, CAPTURE[plain])))
    )
    connection.execute(sql.SQL("revoke all on function {}() from public").format(name))


def renamed(body: str, sources: Sources, known: str) -> str:
    """Return the body of a function of capture, reading a table's rows under the user's names.

    Args:
        body: as it reads a table of the product's names.
        sources: the user's names.
        known: the product's name of the table.

    Raises:
        SchemaError: it reads rows or columns in a way that is not known here.
    """
    required = [name for name, column in SOURCES[known].items() if column.required]
    own = sources[known].own
    listed = [sql.Literal(own[name]) for name in required if name in own]
    columns = sql.SQL(", ").join(listed).as_string(None)
    put: Counter[str] = Counter()

    def replaced(found: re.Match[str]) -> str:
        if found["word"]:
            return _literal(getattr(sources.words, found["word"]))
        put["columns" if found["columns"] else "rows"] += 1
        if found["columns"]:
            return f"source_column.attname in ({columns})"
        rows = source_rows(sources, known, columns=required, read=sql.Identifier(found["rows"]))
        return f"{found['where']} {rows.as_string(None)} as {found['alias'] or found['rows']}"

    named = _PLACES.sub(replaced, body)
    if not put["rows"] or put["columns"] != 1:
        raise SchemaError(f"capture's function for {known} is not as this version has it")
    return named


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None).strip()
