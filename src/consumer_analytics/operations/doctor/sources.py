"""The user's own tables: whether a run can read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import LiteralString

import psycopg
from psycopg import sql

from consumer_analytics.db import own_names
from consumer_analytics.db.connection import scalar, scalar_of
from consumer_analytics.etl import capture, sources, vanished
from consumer_analytics.formatting import counted
from consumer_analytics.mapping import SOURCES
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


#: What makes the source tables of a database that has none of them.
MAKES = "consumer-analytics migrate   # makes them where there is none of them"


def columns(context: Context) -> Finding:
    """Tell whether the source tables have what a run reads."""
    names = context.settings.sources
    lacking = sources.lacks(context.database, names)
    if not lacking:
        virtual = sources.virtual_columns(context.database, names)
        return ok(
            f"the tables in schema {' and '.join(names.schemas)} have every column that is read",
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
    connection, names = context.database, context.settings.sources
    login = sql.Identifier(scalar(connection, "select current_user"))
    rows = connection.execute(
        query("operations/doctor/source-tables", names), {"tables": list(SOURCE_TABLES)}
    ).fetchall()
    here = {known: (columns, may) for _, known, columns, _, may in rows if known is not None}
    elsewhere = sorted({place for place, known, *_ in rows if known is None})

    def said(text: LiteralString, *parts: sql.Composable) -> str:
        return sql.SQL(text).format(*parts).as_string(connection)

    for place in sorted({place for place, known, _, usable, _ in rows if known and not usable}):
        yield said("GRANT USAGE ON SCHEMA {} TO {};", sql.Identifier(place), login)
    if not here and (taken := _taken_otherwise(context)) is not None:
        yield (
            f"set {PREFIX}SOURCES_FILE and {PREFIX}SOURCE_SCHEMA as before: the database takes "
            f"the sources to be {taken}"
        )
        return
    if not here:
        settings = [f"export {PREFIX}SOURCE_SCHEMA={shlex.quote(one)}" for one in elsewhere]
        makes = MAKES
        if context.settings.sources_file is not None:
            path = shlex.quote(str(context.settings.sources_file))
            makes = f"say in {path} where they are and what they are called"
        yield "\n".join(settings or [makes])
        return
    for one in lacking:
        yield from _mending_of(context, one, here.get(one.table), login)


def _taken_otherwise(context: Context) -> str | None:
    """Return what the database takes the sources to be, where the settings say otherwise."""
    if not context.is_migrated:
        return None
    try:
        # A savepoint: `check` is in a transaction, and its login may have no rights on ours.
        with context.database.transaction():
            taken = own_names.adopted(context.database)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return None
    return taken if taken != own_names.shown(context.settings.sources) else None


def _mending_of(
    context: Context,
    lack: sources.Lack,
    here: tuple[list[str], bool] | None,
    login: sql.Identifier,
) -> Iterator[str]:
    """Yield what mends one thing: `here` is what columns the table has, and if it may be read."""
    names = context.settings.sources[lack.table]
    table = source_table(context.settings.sources, lack.table)

    def said(text: LiteralString, *parts: sql.Composable) -> str:
        return sql.SQL(text).format(*parts).as_string(context.database)

    if here is None:
        yield f"create table {names.shown}, or offer a view of that name"
        return
    if lack.column is None:
        if not here[1]:
            yield said("GRANT SELECT ON {} TO {};", table, login)
        return
    own = names.own[lack.column]
    column, kind = sql.Identifier(own), sql.SQL(SOURCES[lack.table][lack.column].kind)
    if own not in here[0]:
        # Followed for a column that was renamed, it made a run report every status as blank.
        yield said(
            "ALTER TABLE {} ADD {} {};   "
            "-- empty in every row: one that was renamed or dropped has to come back instead",
            *(table, column, kind),
        )
    elif "has no column" in lack.says:
        yield said("GRANT SELECT ({}) ON {} TO {};", column, table, login)
    elif "has the collation" in lack.says:
        yield said(
            'ALTER TABLE {} ALTER {} TYPE {} COLLATE "C";   -- or offer a view that has it so',
            *(table, column, kind),
        )
    else:
        yield said(
            "ALTER TABLE {} ALTER {} TYPE {};   -- or offer a view that casts it",
            *(table, column, kind),
        )


def names(context: Context) -> Finding:
    """Tell whether the database takes the sources to be called as the settings say."""
    tables = own_names.shown(context.settings.sources)
    if own_names.are_adopted(context.database, context.settings.sources):
        return ok(f"the database, too, takes the sources to be {tables}")
    return Finding(
        Verdict.PROBLEM,
        "the database takes the sources to be called otherwise than the settings say",
        (
            f"the database: {own_names.adopted(context.database) or 'nothing yet'}",
            f"the settings: {tables}",
        ),
        "names were changed since `migrate` wrote them down, or these settings are another "
        "database's; runs refuse to work",
        Fix("set the names as before, or take the new ones over: consumer-analytics migrate"),
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
            query("operations/doctor/source-kinds", context.settings.sources),
            {"tables": list(SOURCE_TABLES)},
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


def _column(name: str) -> sql.Composable:
    """Write a column's name, as people do where it is the usual one."""
    return sql.SQL("created_at") if name == "created_at" else sql.Identifier(name)


def zone(context: Context) -> Finding:
    """Tell in which zone times without one are written: they are read as UTC."""
    connection = context.database
    naive = connection.execute(
        query("operations/doctor/times-naive", context.settings.sources),
        {"tables": list(SOURCE_TABLES)},
    ).fetchall()
    if not naive:
        return ok("every time has a zone")
    tables = context.settings.sources
    names = ", ".join(f"{tables[known].name}.{time}" for known, time, _, _ in naive)
    by_default = [(known, time, default) for known, time, default, its in naive if its]
    zones = connection.execute(query("operations/doctor/zones-of-sessions")).fetchall()
    if not by_default or not zones:
        return ok(f"{names} has no zone, and is read as UTC")
    return Finding(
        Verdict.WARNING,
        "times without a zone are read as UTC, and sessions have another one",
        (
            *(
                f"{tables[known].name}.{time} is by default {default}"
                for known, time, default in by_default
            ),
            *(f"sessions of {whose} are in {zone}" for whose, zone in zones),
        ),
        "such a default is the clock of the session that writes; rows lie hours off, and near a "
        "snapshot in another one",
        Fix(
            "\n".join(
                sql.SQL("ALTER TABLE {} ALTER {} SET DEFAULT (now() AT TIME ZONE 'UTC');")
                .format(source_table(tables, known), _column(time))
                .as_string(connection)
                for known, time, _ in by_default
            )
            + f"\n-- or timestamptz, USING {by_default[0][1]} AT TIME ZONE the writers' zone, "
            "which rights old rows, too"
        ),
    )


def times(context: Context) -> Finding:
    """Tell whether every row of the source tables has a time."""
    connection, names = context.database, context.settings.sources
    nullable = {
        table for (table,) in connection.execute(query("operations/doctor/times-nullable", names))
    }
    counts = connection.execute(
        query("operations/doctor/rows-undated", names),
        {table: table in nullable for table in SOURCE_TABLES},
    ).fetchone() or (0, 0, 0)
    undated = [(names[known], n) for known, n in zip(SOURCE_TABLES, counts, strict=True) if n]
    if not undated:
        return ok("every row has a time")
    return Finding(
        Verdict.WARNING,
        f"rows have no {' or '.join(dict.fromkeys(one.own['created_at'] for one, _ in undated))}, "
        "and count nowhere",
        tuple(f"{counted(n, 'row')} of {table.name}" for table, n in undated),
        "the column may be empty, and somebody wrote it so",
        Fix(
            "give them a time; then: "
            + "; ".join(
                sql.SQL("ALTER TABLE {} ALTER {} SET NOT NULL")
                .format(source_table(names, table.known), _column(table.own["created_at"]))
                .as_string(connection)
                for table, _ in undated
            )
        ),
    )


def lifecycle(context: Context) -> Finding:
    """Tell whether lifecycle events can be read, where a run has come upon some that cannot."""
    connection = context.database
    names = context.settings.sources
    events = names["customer_events"]
    nothing = ok("every lifecycle event that a run has read can be read")
    if not scalar_of(connection, "operations/doctor/lifecycle-noted"):
        return nothing
    rows = connection.execute(
        query("operations/doctor/lifecycle-unreadable", names),
        {"limit": _LISTED},
    ).fetchall()
    if not rows:
        return nothing
    return Finding(
        Verdict.WARNING,
        f"{counted(rows[0][-1], 'lifecycle event says', 'lifecycle events say')} "
        "nothing of any customer, and will be passed over",
        tuple(
            f"{event}: {kind} of {at}: "
            + ("no customer_id" if strange else "its payload does not say what it must")
            for event, kind, at, strange, _ in rows
        ),
        f"{events.shown_column('payload_json')} is no object, such as JSON that was written as a "
        f"string, a status change lacks {names.words.old_status_key}, or "
        f"{events.shown_column('customer_id')} is empty",
        Fix(
            f"mend these rows of {events.name} and whoever writes them, then sweep their days: "
            "consumer-analytics sweep --since DATE"
        ),
    )


def losses(context: Context) -> Finding:
    """Tell how much of what was counted the source no longer holds, and whether it is back."""
    found = vanished.listing(context.database, vanished.EVERYTHING, limit=_LISTED)
    if not found.notes:
        return ok("nothing that was counted has vanished from the source")
    gone = counted(found.events, "event has", "events have")
    told = f"{gone} vanished from the source: still counted"
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


def captured(context: Context) -> Finding:
    """Tell whether capture, where it is on, sees all that happens to the source tables."""
    found = capture.status(context.database, context.settings)
    if not found.faults:
        return ok(f"capture is {found.state}")
    return Finding(
        Verdict.WARNING,
        "capture is on, and does not see all that happens to the source tables",
        found.faults,
        "a partition or a trigger came later, as with an upgrade, or somebody switched one off",
        Fix("consumer-analytics capture enable   # as the login that owns the source tables"),
    )


CHECKS = (
    Check("source-columns", "have the source tables what a run reads?", columns),
    Check("source-names", "does the database take the sources to be called so?", names),
    Check("source-in-flight", "does a source hide rows in flight?", in_flight),
    *indexes.CHECKS,
    Check("source-capture", "does capture, where it is on, see everything?", captured),
    Check("source-zone", "are times without a zone written in UTC?", zone),
    Check("source-times", "has every row a time?", times),
    Check("source-lifecycle", "can the lifecycle events be read?", lifecycle),
    Check("source-vanished", "has anything that was counted vanished?", losses),
)
