"""The check before anything is written: what a run needs of a database, and what it would cost.

For a database that the product has not been set up in, and a login that may do no more than read
the source tables. The questions are the doctor's, which asks them of a system that is at work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.operations.doctor import CHECKS as DOCTORS
from consumer_analytics.operations.doctor import look, schema, sources
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Examined,
    Finding,
    Verdict,
    ok,
)
from consumer_analytics.sql import query

_LOCKED = "ask again when its transaction has ended (pg_locks names it)"
#: What needs longer is not worth it before anything is set up.
_SECONDS = 10


def read_only(connection: Connection) -> None:
    """Let each transaction of a session, in autocommit, be one that can write nothing."""
    connection.execute("select set_config('default_transaction_read_only', 'on', false)")


def ours(context: Context) -> Finding:
    """Tell whether our own tables are there, or who can make them."""
    found = schema.migrations(context)
    if context.is_migrated or not found.evidence or found.fix is None or found.fix.apply is None:
        return found
    if scalar_of(context.database, "operations/check/may-migrate"):
        return ok("nothing of ours is here yet; this login may make it: consumer-analytics migrate")
    return ok(
        "nothing of ours is here yet, and this login may not make it",
        "the database's owner does: consumer-analytics migrate, then consumer-analytics roles",
        f"and lets this login run: GRANT consumer_analytics_etl TO {context.database.info.user};",
    )


def grants(context: Context) -> Finding:
    """Tell whether this login has the rights that a run needs, where there is anything of ours."""
    if context.is_migrated:
        return schema.grants(context)
    return ok("rights on what is ours come with it: consumer-analytics roles")


def columns(context: Context) -> Finding:
    """Tell what the source tables lack; where there is none, `migrate` will make them."""
    found = sources.columns(context)
    if found.fix is None or found.fix.command != sources.MAKES:
        return found
    return replace(
        found,
        verdict=Verdict.WARNING,
        says="there is no source table yet: migrate makes them, empty",
        cause="the database is new, or the tables are in another one",
    )


def nulls(context: Context) -> Finding:
    """Tell which columns hold NULLs, and what becomes of them, by the planner's statistics."""
    names = context.settings.sources
    rows = context.database.execute(
        query("operations/check/nulls", names),
        {
            "tables": [table for table, _ in _NULLS],
            "columns": [column for _, column in _NULLS],
        },
    ).fetchall()
    if not rows:
        return ok("by the planner's statistics no column that is read holds NULLs")
    return ok(
        "some columns hold NULLs: no run stops at them, none is dropped in silence",
        *(
            f"about {percent} % of {names[table].name}.{names[table].own[column]}: "
            f"{_NULLS[table, column]}"
            for table, column, percent in rows
        ),
    )


def _doctors(name: str) -> Check:
    return next(one for one in DOCTORS if one.name == name)


#: What becomes of NULLs, by table and column; those in `created_at` the doctor counts.
_NULLS = {
    ("customers", "consumer_id"): "counted as unattributed, for the whole system alone",
    ("customers", "status"): "counted as (none)",
    ("customer_events", "consumer_id"): "counted as unattributed, for the whole system alone",
    ("customer_events", "event_type"): "counted as (none)",
    ("customer_events", "customer_id"): "counted; of a lifecycle event, reported",
}
#: Those of the second list are about columns, and cannot be asked where these are lacking.
_FIRST = (
    *(one for one in DOCTORS if one.name.startswith("database")),
    Check("schema-migrations", "are our own tables there, or who can make them?", ours),
    Check("schema-grants", "has this login the rights that a run needs?", grants),
    replace(_doctors("source-columns"), look=columns),
)
_THEN = tuple(
    map(
        _doctors,
        (
            "schema-row-security",
            "source-in-flight",
            "source-index",
            "source-customer-index",
            "source-zone",
            "source-times",
        ),
    )
)
CHECKS = (
    *_FIRST,
    *_THEN,
    Check("source-nulls", "do columns that a run reads hold NULLs?", nulls),
    _doctors("watermark-transactions"),
)


def examine(context: Context, notify: Callable[[str], None]) -> Iterator[Examined]:
    """Ask each check; none writes, applies a fix or takes long.

    Args:
        context: what to look with; its session is one for `read_only`.
        notify: told what is being asked.
    """
    lacking = False
    for check in CHECKS:
        notify(check.asks)
        if lacking and check.name.startswith("source-"):
            reason = "cannot be told: the source tables lack something, see source-columns"
            yield Examined(check, Finding(Verdict.UNKNOWN, reason))
            continue
        finding = look(check, context, seconds=_SECONDS, locked=_LOCKED)
        lacking = lacking or (check.name == "source-columns" and finding.verdict is not Verdict.OK)
        yield Examined(check, finding)
        if context.connection is None:
            # One is enough: all others would say the same.
            return
