"""Roles with no more rights than their work needs, and row-level security for tenants.

Six roles without a login, which logins are made members of:

* owner: owns the product's objects and migrates them;
* etl: reads the sources and writes the figures, makes and changes no object;
* maintenance: does what etl does, and removes the revisions of snapshots that are thinned;
* reader: reads all snapshots, their history, and the watermark;
* dashboard: reads what a reader does, and what became of runs, backfills and incidents;
* tenant: reads the snapshots of its own consumers, and nothing else.

Applying is idempotent, one transaction, and leaves exactly these rights on the
product's objects: what the roles had besides is taken back, and nothing is everybody's to call.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from consumer_analytics.db import brief_locks, locks, session
from consumer_analytics.db.connection import Connection, connected, scalar
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.schema import require_current
from consumer_analytics.errors import BusyError, RolesError, UsageError
from consumer_analytics.settings import Settings, variable
from consumer_analytics.sql import INTERNAL, query

KINDS = ("owner", "etl", "maintenance", "reader", "dashboard", "tenant")
PREFIX = "consumer_analytics"

#: What users read, and what each role may do with it. Everything else is internal.
PUBLIC: dict[str, dict[str, tuple[str, ...]]] = {
    "consumer_analytics": {
        "etl": ("select", "insert", "update", "delete"),
        "reader": ("select",),
        "tenant": ("select",),
    },
    "consumer_analytics_revisions": {
        "etl": ("select", "insert"),
        "reader": ("select",),
        "tenant": ("select",),
    },
    "consumer_analytics_history": {
        "etl": ("select",),
        "reader": ("select",),
        "tenant": ("select",),
    },
    "consumer_analytics_as_reported": {
        "etl": ("select",),
        "reader": ("select",),
        "tenant": ("select",),
    },
    "consumer_analytics_reported_at": {
        "etl": ("execute",),
        "reader": ("execute",),
        "tenant": ("execute",),
    },
    "consumer_analytics_now": {
        "etl": ("select",),
        "reader": ("select",),
        "tenant": ("select",),
    },
    "sla_miss": {
        "etl": ("select",),
        "reader": ("select",),
    },
    "etl_job_watermarks": {
        "etl": ("select", "insert", "update"),
        "reader": ("select",),
    },
}
#: The snapshots as columns, by grain. The whole system's is nothing for tenants.
for _view in ("", "_latest", "_system", "_events", "_statuses", "_revisions"):
    PUBLIC[f"consumer_analytics_flat{_view}"] = {
        role: ("select",)
        for role in ("etl", "reader", "tenant")
        if (role, _view) != ("tenant", "_system")
    }
#: What the dashboard shows besides: runs, backfills, incidents, and how fresh it all is.
_SHOWN = frozenset(
    {
        "alembic_version",
        "anomalies",
        "archive",
        "backfills",
        "checks",
        "deadline_misses",
        "incident_changes",
        "incidents",
        "runs",
        "state",
        "task_failures",
        "watermark_changes",
    }
)
#: And of the sources: names, and when events came, to count what waits. Nothing else that a
#: table of the user's may hold.
_SOURCE_COLUMNS = {
    "consumers": ("consumer_id", "name", "status", "created_at"),
    "customer_events": ("created_at",),
}
#: Internal tables that only a migration writes, and the one that says who is who.
_READ_ONLY = frozenset({"alembic_version"})
_TENANTS = "tenants"
_OUT_OF_REACH = frozenset({_TENANTS})
#: Tables that are there to be locked, which takes the right to write to them.
_LOCKED = {
    Lock.JOB.value: ("update",),
    Lock.CAPTURE.value: ("update",),
    Lock.SHARDS.value: ("update",),
    Lock.LOOKS.value: ("select", "update"),
}
#: Internal functions, and who calls them. The others are called by triggers and migrations alone.
_CALLED = {
    "total": ("etl",),
    "chain_start": ("etl",),
    "forget_thinned_revisions": ("maintenance",),
    "own_consumers": ("tenant",),
    # What the database takes the sources to be called, which each run holds against its settings.
    "source_names": ("etl",),
    # Behind a view, by which alone they reach it.
    "figures_now": ("etl", "reader", "tenant"),
}
#: Whose members a tenant must not become: as such it would be no tenant.
_NOT_TENANTS = ("etl", "maintenance", "reader", "dashboard")
#: From this version on a membership says whether SET ROLE is part of it.
_SET_OPTION = 160_000
_GUARDED = ("consumer_analytics", "consumer_analytics_revisions")
_LONGEST_NAME = 63


@dataclass(frozen=True)
class Grant:
    """A right of a role.

    Attributes:
        role: one of `KINDS`; of what has changed, the role's name.
        kind: of the object: database, schema, table, view, sequence, function,
            `columns` (of a table), role (membership in one), or `policy`.
        name: the object's, with its schema; the database's is left out.
        privileges: in lower case; `owner` for what the role owns.
        source: schema and name of a source table, where it is about one.
        columns: the table's columns, where it is about some alone.
    """

    role: str
    kind: str
    name: str
    privileges: tuple[str, ...]
    source: tuple[str, str] | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class AppliedRoles:
    """What was done.

    Attributes:
        roles: kind to the role's name.
        grants: all rights that the roles have now.
        tenants: login to its consumers.
        warnings: what lets a tenant see more than it should.
        made: the roles that were not there before, by name.
        given: rights that a role had not before, by role, kind and name of the object.
        taken: rights that a role has no more, likewise.
    """

    roles: dict[str, str]
    grants: tuple[Grant, ...]
    tenants: dict[str, list[str]]
    warnings: tuple[str, ...]
    made: tuple[str, ...] = ()
    given: tuple[Grant, ...] = ()
    taken: tuple[Grant, ...] = ()


@dataclass(frozen=True)
class _Object:
    kind: str
    schema: str | None
    name: str
    arguments: str
    owner: str

    @property
    def identifier(self) -> sql.Composable:
        plain = sql.Identifier(*(part for part in (self.schema, self.name) if part))
        if self.kind != "function":
            return plain
        # As PostgreSQL itself wrote them.
        return plain + sql.SQL("(") + sql.SQL(self.arguments) + sql.SQL(")")

    @property
    def shown(self) -> str:
        name = f"{self.schema}.{self.name}" if self.schema else self.name
        return f"{name}({self.arguments})" if self.kind == "function" else name


def names(prefix: str = PREFIX) -> dict[str, str]:
    """Return the roles' names: kind to name.

    Raises:
        UsageError: the prefix makes no name that needs no quotes.
    """
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", prefix) or prefix.startswith("pg_"):
        raise UsageError(f"{prefix!r} cannot begin a role's name; use lower case, digits and _")
    if len(prefix) + max(len(kind) for kind in KINDS) + 1 > _LONGEST_NAME:
        raise UsageError(f"the prefix {prefix!r} is too long for a role's name")
    return {kind: f"{prefix}_{kind}" for kind in KINDS}


def apply(
    settings: Settings,
    *,
    prefix: str = PREFIX,
    add_tenants: Iterable[tuple[str, uuid.UUID]] = (),
    remove_tenants: Iterable[str] = (),
) -> AppliedRoles:
    """Create the roles where they are missing, and give each exactly its rights.

    Args:
        settings: for the database, as a login that may create roles.
        prefix: what the roles' names begin with.
        add_tenants: logins and consumers whose snapshots they may read.
        remove_tenants: logins that are no tenants any more.

    Raises:
        RolesError: this login may not, or a login named does not exist.
        SchemaError: the schema is not this version's.
        BusyError: a migration is at work.
    """
    roles = names(prefix)
    with connected(settings, "roles", as_admin=True) as connection:
        # A superuser reads what others own: tables, but no views, which would run their code.
        connection.execute(query("db/roles-no-views"))
        session.trust_nobody(connection)
        try:
            _refuse_planted(connection, Lock.MIGRATE.value)
            require_current(connection)
            with connection.transaction():
                _take_turn(connection)
                return brief_locks.work(
                    connection,
                    lambda: _apply(connection, settings, roles, add_tenants, remove_tenants),
                    tables=[[one] for one in _altered(connection, roles)],
                    mode="access exclusive",
                    seconds=settings.lock_wait,
                    refused="the roles were not made",
                    before=_sequences(connection, roles["owner"]),
                )
        except psycopg.errors.InsufficientPrivilege as error:
            raise RolesError(
                f"this login may not make the roles: {error.diag.message_primary}; nothing was "
                "changed, run it as a superuser: for this one command with that login's address in "
                f"{variable('database_url')}"
            ) from None


def _take_turn(connection: Connection) -> None:
    try:
        locks.take(connection, Lock.MIGRATE, waits=False)
    except psycopg.errors.LockNotAvailable:
        raise BusyError("a migration is at work; run again when it is done") from None


def _apply(
    connection: Connection,
    settings: Settings,
    roles: dict[str, str],
    add_tenants: Iterable[tuple[str, uuid.UUID]],
    remove_tenants: Iterable[str],
) -> AppliedRoles:
    connection.execute(
        sql.SQL("lock table {} in share row exclusive mode").format(
            sql.Identifier(INTERNAL, _TENANTS)
        )
    )
    _refuse_planted(connection, _TENANTS)
    before = _held(connection, roles)
    made = [name for name in roles.values() if not _exists(connection, name)]
    for name in made:
        connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))
    objects = _objects(connection)
    grants = [*_common(settings), *_own(objects), *_rights(objects)]
    _take_over(connection, roles["owner"], objects)
    _take_back(connection, roles, objects)
    database = scalar(connection, "select current_database()")
    by_name = {one.shown: one for one in objects}
    for grant in grants:
        if grant.privileges != ("owner",):
            connection.execute(
                _statement(
                    grant,
                    roles,
                    by_name,
                    database,
                    has_set_option=_has_set_option(connection),
                )
            )
    for table in _GUARDED:
        _guard(connection, table, roles["tenant"])
        grants.append(
            Grant("tenant", "policy", f"public.{table}", ("its own consumers' rows only",))
        )
    _set_tenants(connection, roles, add_tenants, remove_tenants)
    tenants = _tenants(connection)
    _confine(connection, roles, tenants)
    after = _held(connection, roles)
    return AppliedRoles(
        roles,
        tuple(sorted(grants, key=lambda one: (KINDS.index(one.role), one.kind, one.name))),
        tenants,
        tuple(_warnings(connection, roles["tenant"])),
        tuple(made),
        _by_object(after - before),
        _by_object(before - after),
    )


#: A right: of which role, on what kind of object, which one, and to do what with it.
_Right = tuple[str, str, str, str]


def _held(connection: Connection, roles: dict[str, str]) -> set[_Right]:
    """Return the rights that the roles have, as the catalog tells them."""
    return set(connection.execute(query("db/roles-rights"), {"roles": [*roles.values()]}))


def _by_object(rights: Iterable[_Right]) -> tuple[Grant, ...]:
    """Return rights by role and object."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for *whose, privilege in sorted(rights):
        found.setdefault((whose[0], whose[1], whose[2]), []).append(privilege)
    return tuple(Grant(*whose, tuple(privileges)) for whose, privileges in found.items())


def _warnings(connection: Connection, tenant: str) -> Iterator[str]:
    """Yield what lets anybody see or do more than his role may, and who sees nothing."""
    for login, consumer in connection.execute(query("db/tenants-unknown")):
        yield (
            f"{login} is a tenant of {consumer}, of which no snapshot tells: is the id right, or "
            "has no run met this consumer yet?"
        )
    for (view,) in connection.execute(query("db/roles-unsafe-views"), {"tenant": tenant}):
        yield (
            f"view {view} shows tenants all rows; make it a security_invoker view, or take "
            f"the right to read it from {tenant}"
        )
    for escape in escapes(connection):
        yield f"{escape.says}; {escape.remedy}"
    if scalar(connection, "select has_schema_privilege('public', 'public', 'create')"):
        yield (
            "everybody may create functions and tables in schema public, which sessions of the "
            "product look into: REVOKE CREATE ON SCHEMA public FROM PUBLIC"
        )


@dataclass(frozen=True)
class Escape:
    """A way in which a tenant's login could see all consumers.

    Attributes:
        login: the tenant's.
        role: as which it sees them: one that it may become, or itself.
    """

    login: str
    role: str

    @property
    def says(self) -> str:
        """What it is, in a line."""
        if self.login == self.role:
            return f"tenant {self.login} sees all consumers: row-level security does not hold it"
        return f"tenant {self.login} can become {self.role} by SET ROLE, and see all consumers"

    @property
    def remedy(self) -> str:
        """What to do about it."""
        if self.login == self.role:
            return "make it no superuser, no owner, and without BYPASSRLS and CREATEROLE"
        return (
            f"take from it the role that leads there, or, from PostgreSQL 16 on, grant that "
            f"WITH SET FALSE (\\drg {self.login} lists its roles)"
        )


def escapes(connection: Connection) -> list[Escape]:
    """Return how tenants could see all consumers, by what the catalog has of their roles."""
    return [Escape(*row) for row in connection.execute(query("db/tenants-escapes"))]


def _altered(connection: Connection, roles: dict[str, str]) -> list[sql.Identifier]:
    """Return the tables that are not the owner's yet, or not guarded.

    No views: to lock one locks what it reads, and that may be the application's.
    """
    unguarded = [table for table in _GUARDED if not _is_guarded(connection, table, roles["tenant"])]
    return [
        sql.Identifier(one.schema or "", one.name)
        for one in _objects(connection)
        if one.kind == "table" and (_unquoted(one.owner) != roles["owner"] or one.name in unguarded)
    ]


def _sequences(connection: Connection, owner: str) -> list[sql.Composed]:
    """Return statements that lock the sequences which are not the owner's, and change nothing.

    Triggers of capture read one before they write to tables.
    """
    return [
        sql.SQL("alter sequence {} owner to {}").format(
            one.identifier, sql.Identifier(_unquoted(one.owner))
        )
        for one in _objects(connection)
        if one.kind == "sequence" and _unquoted(one.owner) != owner
    ]


def _exists(connection: Connection, role: str) -> bool:
    return bool(scalar(connection, "select count(*) from pg_roles where rolname = %s", role))


def _objects(connection: Connection) -> list[_Object]:
    return [
        _Object(*row)
        for row in connection.execute(query("db/roles-objects"), {"public": list(PUBLIC)})
    ]


def _common(settings: Settings) -> Iterator[Grant]:
    """Yield what has nothing to do with our own objects."""
    # Temporary tables hold what a run is about to write.
    yield Grant("owner", "database", "", ("connect", "create", "temporary"))
    yield Grant("etl", "database", "", ("connect", "temporary"))
    yield Grant("reader", "database", "", ("connect",))
    yield Grant("tenant", "database", "", ("connect",))
    yield Grant("owner", "schema", "public", ("usage", "create"))
    for role in ("etl", "reader", "tenant"):
        yield Grant(role, "schema", "public", ("usage",))
    # The owner's functions read the sources for those who may see the figures of this moment.
    for role in ("owner", "etl"):
        for schema in settings.sources.schemas:
            if schema != "public":
                yield Grant(role, "schema", schema, ("usage",))
        for table in settings.sources.tables:
            yield Grant(role, "table", table.shown, ("select",), (table.schema, table.name))
        # To see when other sessions' transactions began: rows in flight.
        yield Grant(role, "role", "pg_read_all_stats", ("member",))
    for known, read in _SOURCE_COLUMNS.items():
        table = settings.sources[known]
        columns = tuple(table.own[column] for column in read if column in table.own)
        if table.schema != "public":
            yield Grant("dashboard", "schema", table.schema, ("usage",))
        yield Grant(
            "dashboard",
            "columns",
            f"{table.shown} ({', '.join(columns)})",
            ("select",),
            (table.schema, table.name),
            columns,
        )
    yield Grant("dashboard", "role", "reader", ("member",))
    yield Grant("maintenance", "role", "etl", ("member",))


def _own(objects: list[_Object]) -> Iterator[Grant]:
    for one in objects:
        yield Grant("owner", one.kind, one.shown, ("owner",))


def _rights(objects: list[_Object]) -> Iterator[Grant]:
    for one in objects:
        if one.schema == "public":
            for role, privileges in PUBLIC[one.name].items():
                yield Grant(role, one.kind, one.shown, privileges)
        elif one.kind == "schema":
            yield Grant("etl", one.kind, one.shown, ("usage",))
            yield Grant("maintenance", one.kind, one.shown, ("usage",))
            yield Grant("dashboard", one.kind, one.shown, ("usage",))
        elif one.kind == "sequence":
            yield Grant("etl", one.kind, one.shown, ("select", "update"))
        elif one.name in _LOCKED:
            yield Grant("etl", one.kind, one.shown, _LOCKED[one.name])
        elif one.kind in {"table", "view"} and one.name not in _OUT_OF_REACH:
            every = ("select", "insert", "update", "delete")
            yield Grant(
                "etl", one.kind, one.shown, ("select",) if one.name in _READ_ONLY else every
            )
            if one.name in _SHOWN:
                yield Grant("dashboard", one.kind, one.shown, ("select",))
        elif one.kind == "function" and one.name in _CALLED:
            yield from (
                Grant(role, one.kind, one.shown, ("execute",)) for role in _CALLED[one.name]
            )


def missing(connection: Connection, settings: Settings, role: str = "etl") -> list[str]:
    """Return what this session's login lacks of a role's own rights, as the statements for it.

    Read-only. Rights that come with ownership or from a group count as well.
    """
    objects = _objects(connection)
    needed = [
        (grant, privilege)
        for grant in [*_common(settings), *_rights(objects)]
        if grant.role == role and grant.name not in KINDS
        for privilege in grant.privileges
    ]
    by_name = {one.shown: one for one in objects}
    lacking = connection.execute(
        query("db/grants-missing"),
        {
            "kinds": [grant.kind for grant, _ in needed],
            "schemas": [_schema_of(grant, by_name) for grant, _ in needed],
            "names": [_name_of(grant, by_name) for grant, _ in needed],
            "privileges": [privilege for _, privilege in needed],
        },
    ).fetchall()
    login = scalar(connection, "select current_user")
    database = scalar(connection, "select current_database()")
    return [
        _statement(
            replace(grant, role="etl", privileges=(privilege,)),
            {"etl": login},
            by_name,
            database,
            has_set_option=False,
        ).as_string(connection)
        for (place,) in lacking
        for grant, privilege in [needed[place - 1]]
    ]


def _schema_of(grant: Grant, objects: dict[str, _Object]) -> str | None:
    if grant.source is not None:
        return grant.source[0]
    if grant.name in objects:
        return objects[grant.name].schema
    return grant.name.split(".", 1)[0] if "." in grant.name else None


def _name_of(grant: Grant, objects: dict[str, _Object]) -> str:
    if grant.source is not None:
        return grant.source[1]
    if grant.name in objects:
        return objects[grant.name].name
    return grant.name.split(".", 1)[-1]


def _has_set_option(connection: Connection) -> bool:
    return connection.info.server_version >= _SET_OPTION


def _membership(role: str, member: str, *, has_set_option: bool) -> sql.Composed:
    """Compose a membership that gives a role's rights, and not the role itself where that goes."""
    statement = "grant {} to {}"
    if has_set_option:
        statement += " with inherit true, set false"
    return sql.SQL(statement).format(sql.Identifier(role), sql.Identifier(member))


def _statement(
    grant: Grant,
    roles: dict[str, str],
    objects: dict[str, _Object],
    database: str,
    *,
    has_set_option: bool,
) -> sql.Composed:
    to = sql.Identifier(roles[grant.role])
    if grant.kind == "role":
        role = roles.get(grant.name, grant.name)
        return _membership(role, roles[grant.role], has_set_option=has_set_option)
    if grant.kind == "columns" and grant.source is not None:
        return sql.SQL("grant select ({}) on {} to {}").format(
            sql.SQL(", ").join(map(sql.Identifier, grant.columns)),
            sql.Identifier(*grant.source),
            to,
        )
    if grant.kind == "database":
        target: sql.Composable = sql.Identifier(database)
    elif grant.source is not None:
        target = sql.Identifier(*grant.source)
    elif grant.kind == "schema":
        target = sql.Identifier(grant.name)
    elif grant.name in objects:
        target = objects[grant.name].identifier
    else:
        target = sql.Identifier(*grant.name.split(".", 1))
    kind = "table" if grant.kind == "view" else grant.kind
    return sql.SQL("grant {} on {} {} to {}").format(
        sql.SQL(", ").join(map(sql.SQL, grant.privileges)),
        sql.SQL(kind),
        target,
        to,
    )


def _take_over(connection: Connection, owner: str, objects: list[_Object]) -> None:
    """Make the owner's role own everything; who owned it before becomes its member."""
    to = sql.Identifier(owner)
    login = scalar(connection, "select current_user")
    is_super = connection.info.parameter_status("is_superuser") == "on"
    database = scalar(connection, "select current_database()")
    before = {_unquoted(one.owner) for one in objects} - {owner}
    for name in sorted(before | (set() if is_super else {login})):
        if not scalar(
            connection,
            "select rolsuper or pg_has_role(oid, %s, 'usage') from pg_roles where rolname = %s",
            owner,
            name,
        ):
            connection.execute(sql.SQL("grant {} to {}").format(to, sql.Identifier(name)))
    # An owner must be able to create where its objects are.
    connection.execute(
        sql.SQL("grant create on database {} to {}").format(sql.Identifier(database), to)
    )
    connection.execute(sql.SQL("grant usage, create on schema public to {}").format(to))
    for one in objects:
        if _unquoted(one.owner) != owner:
            connection.execute(
                sql.SQL("alter {} {} owner to {}").format(
                    sql.SQL(one.kind),
                    one.identifier,
                    to,
                )
            )


def _unquoted(name: str) -> str:
    """Return a role's name from the way PostgreSQL writes it in SQL."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _take_back(connection: Connection, roles: dict[str, str], objects: list[_Object]) -> None:
    """Take from the roles all rights on the product's objects; from everybody, to call them."""
    these = sql.SQL(", ").join(sql.Identifier(roles[kind]) for kind in KINDS if kind != "owner")
    for one in objects:
        if one.kind == "function":
            connection.execute(
                sql.SQL("revoke all on function {} from public").format(one.identifier)
            )
        connection.execute(
            sql.SQL("revoke all on {} {} from {}").format(
                sql.SQL("table" if one.kind == "view" else one.kind),
                one.identifier,
                these,
            )
        )


def _guard(connection: Connection, table: str, tenant: str) -> None:
    """Limit the tenants' role to its own rows, whatever else it may be granted."""
    if _is_guarded(connection, table, tenant):
        return
    connection.execute(
        query(
            "db/tenants-policy",
            policy=sql.Identifier(_policy(tenant)),
            table=sql.Identifier("public", table),
            tenant=sql.Identifier(tenant),
            own_consumers=sql.Identifier(INTERNAL, "own_consumers"),
        )
    )


def _policy(tenant: str) -> str:
    return f"only_own_{tenant}"[:_LONGEST_NAME]


def _is_guarded(connection: Connection, table: str, tenant: str) -> bool:
    return (
        connection.execute(
            query("db/tenants-policy-there"),
            {"table": table, "name": _policy(tenant), "tenant": tenant},
        ).fetchone()
        is not None
    )


def _set_tenants(
    connection: Connection,
    roles: dict[str, str],
    add: Iterable[tuple[str, uuid.UUID]],
    remove: Iterable[str],
) -> None:
    owner, removed = roles["owner"], list(remove)
    for login in removed:
        _require_login(connection, login)
        _execute_as(connection, owner, "db/tenants-remove", {"login": login})
    for login, consumer in add:
        _require_login(connection, login)
        _execute_as(connection, owner, "db/tenants-add", {"login": login, "consumer": consumer})
    for login in removed:
        connection.execute(
            sql.SQL("revoke {} from {}").format(
                sql.Identifier(roles["tenant"]), sql.Identifier(login)
            )
        )
    for login in _tenants(connection):
        connection.execute(
            _membership(roles["tenant"], login, has_set_option=_has_set_option(connection))
        )


def _refuse_planted(connection: Connection, table: str) -> None:
    """Refuse a table of ours on which its owner has put code of his own.

    Whoever runs this may be a superuser, and whatever the owner has put there (a trigger, a rule, a
    default, a constraint, a type, a table that inherits) would run in this session.

    Raises:
        RolesError: there is such code on the table.
    """
    name = f"{INTERNAL}.{table}"
    rows = connection.execute(query("db/roles-planted"), {"table": name})
    planted = [what for (what,) in rows]
    if planted:
        raise RolesError(
            f"{name} has {', '.join(planted)}, which is not the product's and would "
            "run with this login's rights; nothing was changed, drop it first"
        )


def _execute_as(
    connection: Connection, owner: str, name: LiteralString, values: dict[str, Any]
) -> None:
    """Write to the owner's table of tenants, as the owner.

    SET ROLE gives this session the owner's rights, but cannot keep code of the owner's from taking
    the role off again: there is none on the table, see `_refuse_planted`.
    """
    connection.execute(sql.SQL("set local role {}").format(sql.Identifier(owner)))
    connection.execute(query(name), values)
    connection.execute("set local role none")


def _confine(connection: Connection, roles: dict[str, str], tenants: Iterable[str]) -> None:
    """Leave tenants that are members of other roles of ours these roles' rights, not the roles.

    As a reader by SET ROLE one is no tenant any more, and sees all. By inheriting, the limit stays.
    Before PostgreSQL 16 there is no such membership.
    """
    if not _has_set_option(connection):
        return
    values = {"logins": list(tenants), "roles": [roles[kind] for kind in _NOT_TENANTS]}
    for role, member, grantor in connection.execute(
        query("db/tenants-memberships"), values
    ).fetchall():
        connection.execute(
            sql.SQL("grant {} to {} with set false granted by {}").format(
                sql.Identifier(role), sql.Identifier(member), sql.Identifier(grantor)
            )
        )


def _require_login(connection: Connection, login: str) -> None:
    if not _exists(connection, login):
        raise RolesError(
            f"login {login!r} does not exist; nothing was changed. Create it first, for example: "
            "CREATE ROLE … LOGIN PASSWORD …"
        )


def _tenants(connection: Connection) -> dict[str, list[str]]:
    """Return the tenants' logins and their consumers."""
    logins: dict[str, list[str]] = {}
    for login, consumer in connection.execute(query("db/tenants-list")):
        logins.setdefault(login, []).append(consumer)
    return logins
