"""Our own tables: whether they are this version's, and whether this login may use them."""

from __future__ import annotations

from psycopg import sql

from consumer_analytics.db import roles, schema
from consumer_analytics.db.connection import scalar
from consumer_analytics.errors import SchemaError
from consumer_analytics.etl import sources
from consumer_analytics.formatting import counted
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    UnexaminableError,
    Verdict,
    ok,
)
from consumer_analytics.operations.thinning import Policy
from consumer_analytics.operations.upgrade import upgrade
from consumer_analytics.sql import INTERNAL, query

#: Rights that are named of those that are lacking: one who has none lacks more than a hundred.
_SHOWN = 5
_GROUP = roles.names()["etl"]
#: Whose members may also remove what thinned snapshots said before.
_THINS = roles.names()["maintenance"]


def migrations(context: Context) -> Finding:
    """Tell whether all migrations of this version are there, and no others."""
    if not scalar(
        context.database,
        "select coalesce(bool_and(has_schema_privilege(oid, 'usage')), true) from pg_namespace "
        "where nspname = %s",
        INTERNAL,
    ):
        raise UnexaminableError(f"this login may not look into {INTERNAL}: see schema-grants")
    try:
        pending = schema.pending(context.database)
    except SchemaError as error:
        return Finding(
            Verdict.PROBLEM,
            "the schema is not one that this version knows",
            (str(error),),
            "the database was made by another version or another product",
            Fix("install the release that made it, or use another database"),
        )
    if not pending:
        return ok(f"all {len(schema.migrations())} migrations are there")
    return Finding(
        Verdict.PROBLEM,
        f"{len(pending)} of {len(schema.migrations())} migrations are missing",
        tuple(one.name for one in pending),
        "the product was installed or updated and the database was not; every command that "
        "writes refuses to work",
        Fix("consumer-analytics migrate", _migrate),
    )


def _migrate(context: Context) -> str:
    applied = upgrade(context.settings)
    return f"applied {', '.join(one.name for one in applied) or 'nothing'}"


def grants(context: Context) -> Finding:
    """Tell whether this login has every right that a run needs."""
    connection = context.database
    lacking, group = roles.missing(connection, context.settings), _GROUP
    if not lacking and Policy.of(context.settings).thins:
        lacking, group = roles.missing(connection, context.settings, "maintenance"), _THINS
    if not lacking:
        return ok("this login has every right that a run needs")
    login = scalar(connection, "select current_user")
    member = connection.execute(
        "select pg_has_role(current_user, oid, 'member') from pg_roles where rolname = %s", [group]
    ).fetchone()
    if member is None:
        cause = "they were never granted, or were taken back"
    elif member[0]:
        cause = f"role {group}, which this login is a member of, has lost rights"
    else:
        cause = f"this login is no member of role {group}, which has them"
    makes = "consumer-analytics roles   # as a superuser"
    joins = (
        sql.SQL("GRANT {} TO {};")
        .format(sql.Identifier(group), sql.Identifier(login))
        .as_string(connection)
    )
    command = f"{makes}\n{joins}" if member is None else makes if member[0] else joins
    shown = [f"{statement};" for statement in lacking[:_SHOWN]]
    if len(lacking) > _SHOWN:
        shown.append(f"and {len(lacking) - _SHOWN} more")
    # Who may do what is for a person to say.
    return Finding(
        Verdict.PROBLEM,
        f"login {login} lacks {counted(len(lacking), 'right')}",
        tuple(shown),
        cause,
        Fix(command),
    )


def tenants(context: Context) -> Finding:
    """Tell whether a tenant could see other consumers than its own."""
    escapes = roles.escapes(context.database)
    if not escapes:
        return ok("no tenant can see more than its own consumers")
    return Finding(
        Verdict.PROBLEM,
        f"{counted(len({one.login for one in escapes}), 'tenant')} could see all consumers",
        tuple(one.says for one in escapes),
        "they have another role beside the tenants'; as that one they are no tenants any more",
        # Which of the two a login is to be is for a person to say.
        Fix("\n".join(f"-- {one.login}: {one.remedy}" for one in escapes)),
    )


def row_security(context: Context) -> Finding:
    """Tell whether row-level security hides rows of any table from this login."""
    connection = context.database
    login = scalar(connection, "select current_user")
    hidden = [
        concern
        for concern in sources.concerns(connection, context.settings.sources)
        if concern.kind == "filtered"
    ]
    if hidden:
        return Finding(
            Verdict.PROBLEM,
            f"row-level security hides source rows from login {login}",
            tuple(
                concern.name
                if concern.reader == login
                else f"{concern.name}, read as {concern.reader}"
                for concern in hidden
            ),
            "a policy on a source table, or on one that a view reads, holds for this login or for "
            "the view's owner, so figures would be too low and runs refuse to work",
            Fix(
                "\n".join(
                    sql.SQL("ALTER ROLE {} BYPASSRLS;")
                    .format(sql.Identifier(reader))
                    .as_string(connection)
                    for reader in sorted({concern.reader for concern in hidden})
                )
            ),
        )
    ours = connection.execute(query("operations/doctor/hidden-rows")).fetchall()
    if not ours:
        return ok("row-level security hides no row from this login")
    return Finding(
        Verdict.PROBLEM,
        f"row-level security hides snapshots from login {login}",
        tuple(f"{schema_}.{table}" for schema_, table, _ in ours),
        "the policy `everybody` of these tables is gone",
        Fix(
            "\n".join(f"{_policy(*one[:2]).as_string(connection)};" for one in ours),
            _restore_policies if all(owned for *_, owned in ours) else None,
        ),
    )


def _policy(schema_: str, table: str) -> sql.Composed:
    return sql.SQL("create policy everybody on {} using (true) with check (true)").format(
        sql.Identifier(schema_, table)
    )


def _restore_policies(context: Context) -> str:
    rows = context.database.execute(query("operations/doctor/hidden-rows")).fetchall()
    with context.database.transaction():
        for schema_, table, *_ in rows:
            context.database.execute(_policy(schema_, table))
    return f"made the policy again on {', '.join(table for _, table, *_ in rows)}"


CHECKS = (
    Check("schema-migrations", "is the schema this version's?", migrations),
    Check("schema-grants", "has this login the rights that a run needs?", grants),
    Check("schema-row-security", "does row-level security hide rows?", row_security),
    Check("schema-tenants", "could a tenant see other consumers?", tenants),
)
