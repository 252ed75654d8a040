"""The user's own tables: whether a run can read them, and read them fast."""

from __future__ import annotations

import contextlib

import psycopg
from psycopg import sql

from consumer_analytics.db.connection import scalar_of
from consumer_analytics.errors import SourceError
from consumer_analytics.etl import sources, vanished
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    UnexaminableError,
    Verdict,
    ok,
)
from consumer_analytics.sql import SOURCE_TABLES, query

_EVENTS = "customer_events"
#: Events that are named.
_LISTED = 3


def columns(context: Context) -> Finding:
    """Tell whether the source tables have what a run reads."""
    schema = context.settings.source_schema
    try:
        sources.require_columns(context.database, schema)
    except SourceError as error:
        return Finding(
            Verdict.PROBLEM,
            "a source table is not as a run needs it",
            (str(error),),
            "the table was changed, is in another schema, or this login may not read it",
            Fix("set CONSUMER_ANALYTICS_SOURCE_SCHEMA, grant SELECT, or offer a view"),
        )
    return ok(f"the tables in schema {schema} have every column that is read")


def in_flight(context: Context) -> Finding:
    """Tell whether the sources are tables of this database, or read from such alone."""
    unsafe = [
        concern
        for concern in sources.concerns(context.database, context.settings.source_schema)
        if concern.kind != "filtered"
    ]
    if not unsafe:
        return ok("the sources are read from tables of this database alone")
    accepted = context.settings.accept_unsafe_sources
    return Finding(
        Verdict.WARNING if accepted else Verdict.PROBLEM,
        "a source hides rows in flight",
        tuple(
            f"{concern.source} is read from {concern.name}, {concern.kind}" for concern in unsafe
        ),
        "a foreign table or a materialized view shows a row when a run may have passed its time; "
        + (
            "the setting says that you know: sweep often"
            if accepted
            else "runs refuse to work with it"
        ),
        Fix(
            "read tables of this database, such as logical replication keeps here"
            + ("" if accepted else ", or set CONSUMER_ANALYTICS_ACCEPT_UNSAFE_SOURCES=true")
        ),
    )


def index(context: Context) -> Finding:
    """Tell whether the events can be read by their time."""
    connection = context.database
    schema = context.settings.source_schema
    row = connection.execute(
        query("operations/doctor/events-index"), {"schema": schema, "table": _EVENTS}
    ).fetchone()
    if row is None:
        raise UnexaminableError(f"there is no table {schema}.{_EVENTS}: see source-columns")
    kind, rows, owned, usable, broken, expression = row
    if kind not in {"r", "p"}:
        return ok(f"{schema}.{_EVENTS} is no table: its own tables' indexes are not looked at")
    if usable is not None:
        return ok(f"index {usable} leads with created_at")
    if expression is not None:
        return Finding(
            Verdict.WARNING,
            f"{schema}.{_EVENTS} has no usable index on created_at",
            (f"about {rows:,} rows", "created_at is a virtual generated column"),
            "PostgreSQL builds no index on such a column; one on its expression serves as well",
            Fix(
                sql.SQL("create index {}on {} (({}));")
                .format(
                    sql.SQL("concurrently " if kind == "r" else ""),
                    sql.Identifier(schema, _EVENTS),
                    sql.SQL(expression),
                )
                .as_string(connection)
            ),
        )
    return Finding(
        Verdict.WARNING,
        f"{schema}.{_EVENTS} has no usable index on created_at",
        (f"about {rows:,} rows", *(f"index {name} is not valid" for name in broken)),
        "building it was interrupted"
        if broken
        else "it was dropped, or the table was made without: every run reads the whole table",
        Fix(
            _create(context, kind).as_string(connection) + ";",
            # An index changes no row; whose the table is decides whether it is ours to make.
            _make_index if owned and kind == "r" else None,
        ),
    )


def _create(context: Context, kind: str) -> sql.Composed:
    return sql.SQL("create index {}on {} (created_at)").format(
        # What it can't do on a partitioned table.
        sql.SQL("concurrently " if kind == "r" else ""),
        sql.Identifier(context.settings.source_schema, _EVENTS),
    )


def _make_index(context: Context) -> str:
    """Build the index beside the writers; leave no half of one behind."""
    connection = context.database
    values = {"schema": context.settings.source_schema, "table": _EVENTS}
    _drop_broken(context, values)
    try:
        connection.execute(_create(context, "r"))
    except psycopg.Error:
        with contextlib.suppress(psycopg.Error):
            _drop_broken(context, values)
        raise
    return f"built an index on {_EVENTS} (created_at), beside its writers"


def _drop_broken(context: Context, values: dict[str, str]) -> None:
    row = context.database.execute(query("operations/doctor/events-index"), values).fetchone()
    for name in row[4] if row else ():
        context.database.execute(
            sql.SQL("drop index concurrently {}").format(
                sql.Identifier(context.settings.source_schema, name)
            )
        )


def times(context: Context) -> Finding:
    """Tell whether every row of the source tables has a time."""
    connection, schema = context.database, context.settings.source_schema
    nullable = {
        table
        for (table,) in connection.execute(
            query("operations/doctor/times-nullable"), {"schema": schema}
        )
    }
    counts = connection.execute(
        query("operations/doctor/rows-undated", schema),
        {table: table in nullable for table in SOURCE_TABLES},
    ).fetchone() or (0, 0, 0)
    undated = [(table, n) for table, n in zip(SOURCE_TABLES, counts, strict=True) if n]
    if not undated:
        return ok("every row has a time")
    return Finding(
        Verdict.WARNING,
        "rows have no created_at, and count nowhere",
        tuple(f"{n:,} rows of {table}" for table, n in undated),
        "the column may be empty, and somebody wrote it so",
        Fix(f"give them a time; then: alter table {schema}.… alter created_at set not null"),
    )


def lifecycle(context: Context) -> Finding:
    """Tell whether lifecycle events can be read, where a run has come upon some that cannot."""
    connection = context.database
    nothing = ok("every lifecycle event that a run has read can be read")
    if not scalar_of(connection, "operations/doctor/lifecycle-noted"):
        return nothing
    rows = connection.execute(
        query("operations/doctor/lifecycle-unreadable", context.settings.source_schema),
        {"limit": _LISTED},
    ).fetchall()
    if not rows:
        return nothing
    return Finding(
        Verdict.WARNING,
        f"{rows[0][-1]:,} lifecycle events say nothing of any customer, and are passed over",
        tuple(
            f"{event}: {kind} of {at}: "
            + ("no customer_id" if strange else "its payload does not say what it must")
            for event, kind, at, strange, _ in rows
        ),
        "payload_json is no object, such as JSON that was written as a string, a status change "
        "lacks old_status, or customer_id is empty",
        Fix(
            "mend these rows of customer_events and whoever writes them, then sweep their days: "
            "consumer-analytics sweep --since DATE"
        ),
    )


def losses(context: Context) -> Finding:
    """Tell how much of what was counted the source no longer holds, and whether it is back."""
    found = vanished.listing(context.database, vanished.EVERYTHING, limit=_LISTED)
    if not found.notes:
        return ok("nothing that was counted has vanished from the source")
    told = f"{found.events:,} events have vanished from the source, and stay counted"
    if not found.came_back:
        return ok(told)
    return Finding(
        Verdict.WARNING,
        f"{told}; {found.came_back:,} have come to where some had vanished, and count beside those",
        (),
        "they came late, or rows were restored: then they count twice",
        Fix(
            "where they were restored: consumer-analytics sweep --restored; "
            "`consumer-analytics vanished` lists them"
        ),
    )


CHECKS = (
    Check("source-columns", "have the source tables what a run reads?", columns),
    Check("source-in-flight", "does a source hide rows in flight?", in_flight),
    Check("source-index", "can the events be read by their time?", index),
    Check("source-times", "has every row a time?", times),
    Check("source-lifecycle", "can the lifecycle events be read?", lifecycle),
    Check("source-vanished", "has anything that was counted vanished?", losses),
)
