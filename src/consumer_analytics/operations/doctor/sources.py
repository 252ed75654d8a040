"""The user's own tables: whether a run can read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import LiteralString

from psycopg import sql

from consumer_analytics.db.connection import scalar, scalar_of
from consumer_analytics.etl import sources, vanished
from consumer_analytics.operations.doctor import indexes
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    Verdict,
    ok,
)
from consumer_analytics.settings import PREFIX
from consumer_analytics.sql import SOURCE_TABLES, query, source_table

#: Events that are named.
_LISTED = 3


def columns(context: Context) -> Finding:
    """Tell whether the source tables have what a run reads."""
    names = context.settings.sources
    lacking = sources.lacks(context.database, names)
    if not lacking:
        virtual = sources.virtual_columns(context.database, names)
        return ok(
            f"the tables in schema {names.schema} have every column that is read",
            *(f"{column} is worked out whenever it is read" for column in virtual),
        )
    return Finding(
        Verdict.PROBLEM,
        "a source table is not as a run needs it",
        tuple(one.says for one in lacking),
        "the table was changed, is in another schema, or this login may not read it",
        Fix("\n".join(_mending(context, lacking))),
    )


def _mending(context: Context, lacking: Sequence[sources.Lack]) -> Iterator[str]:
    """Yield what mends what the source tables lack: statements, or a setting."""
    connection, schema = context.database, context.settings.sources.schema
    login = sql.Identifier(scalar(connection, "select current_user"))
    rows = connection.execute(
        query("operations/doctor/source-tables"),
        {"tables": list(SOURCE_TABLES), "schema": schema},
    ).fetchall()
    here = {table: (names, may) for place, table, names, _, may in rows if place == schema}
    elsewhere = sorted({place for place, *_ in rows if place != schema})

    def said(text: LiteralString, *parts: sql.Composable) -> str:
        return sql.SQL(text).format(*parts).as_string(connection)

    if any(not usable for place, _, _, usable, _ in rows if place == schema):
        yield said("GRANT USAGE ON SCHEMA {} TO {};", sql.Identifier(schema), login)
    if not here:
        settings = [f"export {PREFIX}SOURCE_SCHEMA={shlex.quote(one)}" for one in elsewhere]
        makes = "consumer-analytics migrate   # makes them where there is none of them"
        yield "\n".join(settings or [makes])
        return
    for one in lacking:
        table = source_table(context.settings.sources, one.table)
        known = sources.SOURCES[one.table].get(one.column or "")
        if one.table not in here:
            yield f"create table {schema}.{one.table}, or offer a view of that name"
        elif one.column is None or known is None:
            if not here[one.table][1]:
                yield said("GRANT SELECT ON {} TO {};", table, login)
        elif one.column not in here[one.table][0]:
            kind = sql.SQL(known.kind)
            yield said("ALTER TABLE {} ADD {} {};", table, sql.Identifier(one.column), kind)
        elif "has no column" in one.says:
            yield said("GRANT SELECT ({}) ON {} TO {};", sql.Identifier(one.column), table, login)
        else:
            kind = sql.SQL(known.kind)
            yield said(
                "ALTER TABLE {} ALTER {} TYPE {};   -- or offer a view that casts it",
                *(table, sql.Identifier(one.column), kind),
            )


def in_flight(context: Context) -> Finding:
    """Tell whether the sources are tables of this database, or read from such alone."""
    unsafe = [
        concern
        for concern in sources.concerns(context.database, context.settings.sources)
        if concern.kind != "filtered"
    ]
    if not unsafe:
        rows = context.database.execute(
            query("operations/doctor/source-kinds"),
            {"tables": list(SOURCE_TABLES), "schema": context.settings.sources.schema},
        )
        return ok(
            "the sources are read from tables of this database alone",
            *(f"{table} is a {kind}" for table, kind in rows),
        )
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


def zone(context: Context) -> Finding:
    """Tell in which zone times without one are written: they are read as UTC."""
    connection = context.database
    naive = connection.execute(
        query("operations/doctor/times-naive"),
        {"tables": list(SOURCE_TABLES), "schema": context.settings.sources.schema},
    ).fetchall()
    if not naive:
        return ok("every time has a zone")
    names = ", ".join(f"{table}.created_at" for table, _, _ in naive)
    by_default = [one for one in naive if one[2]]
    zones = connection.execute(query("operations/doctor/zones-of-sessions")).fetchall()
    if not by_default or not zones:
        return ok(f"{names} has no zone, and is read as UTC")
    return Finding(
        Verdict.WARNING,
        "times without a zone are read as UTC, and sessions have another one",
        (
            *(f"{table}.created_at is by default {default}" for table, default, _ in by_default),
            *(f"sessions of {whose} are in {zone}" for whose, zone in zones),
        ),
        "such a default is the clock of the session that writes; rows lie hours off, and near a "
        "snapshot in another one",
        Fix(
            "\n".join(
                sql.SQL("ALTER TABLE {} ALTER created_at SET DEFAULT (now() AT TIME ZONE 'UTC');")
                .format(source_table(context.settings.sources, table))
                .as_string(connection)
                for table, _, _ in by_default
            )
            + "\n-- or timestamptz, USING created_at AT TIME ZONE the writers' zone, which rights "
            "old rows, too"
        ),
    )


def times(context: Context) -> Finding:
    """Tell whether every row of the source tables has a time."""
    connection, schema = context.database, context.settings.sources.schema
    nullable = {
        table
        for (table,) in connection.execute(
            query("operations/doctor/times-nullable"), {"schema": schema}
        )
    }
    counts = connection.execute(
        query("operations/doctor/rows-undated", context.settings.sources),
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
        query("operations/doctor/lifecycle-unreadable", context.settings.sources),
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
    *indexes.CHECKS,
    Check("source-zone", "are times without a zone written in UTC?", zone),
    Check("source-times", "has every row a time?", times),
    Check("source-lifecycle", "can the lifecycle events be read?", lifecycle),
    Check("source-vanished", "has anything that was counted vanished?", losses),
)
