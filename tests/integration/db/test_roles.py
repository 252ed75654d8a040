"""Roles: each can do its work and nothing more, and no tenant sees another's rows."""

from __future__ import annotations

import datetime as dt
import random
import runpy
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.support.history import random_history
from tests.support.roles import Roles

from consumer_analytics.db import connection as db
from consumer_analytics.db import roles, schema
from consumer_analytics.errors import RolesError, SuperuserError
from consumer_analytics.etl import run
from consumer_analytics.fields import Secret
from consumer_analytics.operations import thinning
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.sql import INTERNAL
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "reference" / "roles.md"
SCRIPT = ROOT / "tools" / "reference.py"


@pytest.fixture
def made(database: Any) -> Iterator[Roles]:
    """Return the roles, applied to a database with snapshots of four consumers."""
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(5), BEGIN, END)
        with db.connected(database.settings, "test") as connection:
            for day in (2, 3, 4):
                run.run(connection, database.settings, at=BEGIN + dt.timedelta(days=day))
        with database.connect() as connection:
            # A late row, so that there are revisions.
            connection.execute(
                "insert into customer_events (event_id, consumer_id, event_type, created_at) "
                "select gen_random_uuid(), consumer_id, 'late', %s from consumers",
                [BEGIN + dt.timedelta(days=1)],
            )
            connection.execute(
                "update etl_job_watermarks set last_processed_timestamp = '1970-01-01'"
            )
        with db.connected(database.settings, "test") as connection:
            run.run(connection, database.settings, at=END)
            connection.execute(
                "insert into consumer_analytics_internal.deadline_misses "
                "(dag_id, run_id, execution_date, deadline_at, noticed_at) "
                "values ('consumer_analytics_etl', 'late', now(), now(), now())"
            )

    database.prepared("roles", fill)
    found = Roles(database)
    try:
        found.apply()
        yield found
    finally:
        found.clean()


@pytest.fixture
def consumers(made: Roles) -> list[uuid.UUID]:
    """Return the consumers that have snapshots."""
    return [
        consumer
        for (consumer,) in made.database.rows(
            "select distinct consumer_id from consumer_analytics "
            "where consumer_id is not null order by 1"
        )
    ]


@pytest.fixture
def tenant(made: Roles, consumers: list[uuid.UUID]) -> str:
    """Return the connection string of a tenant: the first consumer's."""
    url = made.login()
    made.apply(add_tenants=[(made.made[-1], consumers[0])])
    return url


def ask(url: str, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def refused_to_migrate(cli: Any, url: str) -> str:
    """Migrate, which must be refused; return what the error says to do."""
    done = cli("migrate", env={"CONSUMER_ANALYTICS_DATABASE_URL": url})
    assert done.exit_code == 1, done.stdout
    line: str = done.stderr
    assert line.startswith("error: this login may not migrate: permission denied for ")
    return line.partition("; ")[2].removesuffix("\n")


def test_who_may_not_migrate_is_told_what_lets_him(
    made: Roles, cli: Any, new_database: Callable[..., Any]
) -> None:
    """By the cause: not of the owner's role, or no right to create where there is nothing yet."""
    owner = f"{made.prefix}_owner"
    made.database.execute(
        "update consumer_analytics_internal.alembic_version "
        "set version_num = '0037', checksums = checksums[:37]"
    )
    for member in ("reader", "etl"):
        url = made.login(member)
        assert refused_to_migrate(cli, url) == (
            f"run it as a member of {owner}, which owns what is there, or have granted: "
            f"GRANT {owner} TO {made.made[-1]}"
        )
    bare = new_database(migrated=False)
    url, login = make_conninfo(made.login(), dbname=bare.name), made.made[-1]
    as_owner = "run it as the database's owner, or have granted: "
    of_database = f"GRANT CREATE ON DATABASE {bare.name} TO {login}"
    of_schema = f"GRANT USAGE, CREATE ON SCHEMA public TO {login}"
    assert refused_to_migrate(cli, url) == f"{as_owner}{of_database}; {of_schema}"
    bare.execute(of_database)
    assert refused_to_migrate(cli, url) == f"{as_owner}{of_schema}"
    bare.execute(of_schema)
    env = {"CONSUMER_ANALYTICS_DATABASE_URL": url}
    assert cli("migrate", env=env).exit_code == 0
    # So that the login can be dropped.
    with bare.connect_admin() as admin:
        admin.execute(f"drop owned by {login} cascade")


# -- applying ------------------------------------------------------------------


@pytest.mark.both_versions
def test_applied_twice_the_second_changes_nothing(made: Roles) -> None:
    rights = (
        "select c.relname, c.relacl::text, c.relowner::regrole::text, c.xmin::text "
        "from pg_class c join pg_namespace n on n.oid = relnamespace "
        "where nspname in ('public', 'consumer_analytics_internal') order by 1"
    )
    without_xmin = [row[:3] for row in made.database.rows(rights)]
    first = made.apply()
    assert [row[:3] for row in made.database.rows(rights)] == without_xmin
    assert made.apply() == first


def test_what_a_role_had_besides_is_taken_back(made: Roles) -> None:
    with made.database.connect_admin() as admin:
        admin.execute(
            sql.SQL("grant truncate on consumer_analytics to {}").format(
                sql.Identifier(f"{made.prefix}_reader")
            )
        )
    made.apply()
    url = made.login("reader")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(url, "truncate consumer_analytics")


def test_the_command_says_what_has_changed(made: Roles, cli: Any) -> None:
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": made.admin_url, "COLUMNS": "80"}
    done = cli("roles", "--prefix", made.prefix, env=mine)
    assert done.stdout.splitlines()[0] == "nothing has changed"
    assert len(done.stdout.splitlines()) == 2
    reader = f"{made.prefix}_reader"
    with made.database.connect_admin() as admin:
        for change in (
            "grant truncate on consumer_analytics to {}",
            "revoke select on sla_miss, consumer_analytics_history from {}",
        ):
            admin.execute(sql.SQL(change).format(sql.Identifier(reader)))
    assert cli("roles", "--prefix", made.prefix, env=mine).stdout.splitlines()[:-1] == [
        "given",
        f"  {reader}",
        "    select: view public.consumer_analytics_history, view public.sla_miss",
        "taken back",
        f"  {reader}",
        "    truncate: table public.consumer_analytics",
    ]
    told = cli("roles", "--prefix", made.prefix, "--json", env=mine).json
    assert (told["made"], told["given"], told["taken"]) == ([], [], [])


@pytest.mark.long
def test_the_command_lists_every_right_within_a_terminal(made: Roles, cli: Any) -> None:
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": made.admin_url, "COLUMNS": "80"}
    done = cli("roles", "--prefix", made.prefix, "--all", env=mine)
    assert done.exit_code == 0, done.stderr
    # A function's name with its arguments is not broken.
    wide = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert [line for line in wide if "function" not in line] == []
    assert f"{made.prefix}_etl" in done.stdout
    assert "pg_read_all_stats" in done.stdout
    told = cli("roles", "--prefix", made.prefix, "--json", env=mine).json
    applied = made.apply()
    assert told["roles"] == applied.roles
    assert len(told["grants"]) == len(applied.grants)
    assert {"role", "kind", "name", "privileges"} <= told["grants"][0].keys()


def test_a_tenant_is_told_in_few_lines_and_an_id_that_nobody_knows_is_named(
    made: Roles, consumers: list[uuid.UUID], cli: Any
) -> None:
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": made.admin_url}
    made.login()
    login, stranger = made.made[-1], uuid.uuid4()
    for consumer, warned in ((consumers[0], False), (stranger, True)):
        done = cli("roles", "--prefix", made.prefix, "--tenant", f"{login}={consumer}", env=mine)
        assert done.exit_code == 0, done.stderr
        assert str(consumer) in done.stdout
        assert len(done.stdout.splitlines()) == 2
        assert (f"{login} is a tenant of {stranger}, of which no snapshot" in done.stderr) == warned


def test_a_login_that_may_not_is_told_so(made: Roles, cli: Any) -> None:
    done = cli("roles", env={"CONSUMER_ANALYTICS_DATABASE_URL": made.login("etl")})
    assert done.exit_code == 1
    assert "run it as a superuser: for this one command" in done.stderr
    # To whoever has no right at all as well.
    done = cli("roles", env={"CONSUMER_ANALYTICS_DATABASE_URL": made.login()})
    assert "permission denied for schema" in done.stderr
    assert "run it as a superuser: for this one command" in done.stderr
    done = cli("status", env={"CONSUMER_ANALYTICS_DATABASE_URL": made.login()})
    assert done.exit_code == 1
    assert "permission denied" in done.stderr
    assert "`consumer-analytics doctor` lists the rights" in done.stderr
    done = cli("roles", "--tenant", "nobody")
    assert done.exit_code == 2
    with pytest.raises(RolesError, match="does not exist"):
        made.apply(add_tenants=[("no such login", uuid.uuid4())])


def without_changes(cli: Any) -> dict[str, Any]:
    known = cli("watermark", "show", "--json").json
    hidden = ("changes", "processed_through")
    return {name: value for name, value in known.items() if name not in hidden}


def test_a_reader_asks_for_the_status_and_is_told_of_snapshots(
    made: Roles, consumers: list[uuid.UUID], cli: Any
) -> None:
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": made.login("reader")}
    done = cli("status", env=mine)
    assert done.exit_code == 0, done.stderr
    assert str(consumers[0]) in done.stdout
    assert "storage    not told to this login" in done.stdout
    told = cli("status", "--json", env=mine).json
    assert {one["consumer_id"] for one in told["consumers"]} >= {str(one) for one in consumers}
    assert {one["name"] for one in told["consumers"]} == {None}
    assert (told["runs"], told["storage"]) == (None, None)
    # What snapshots said before, and how far they are, is a reader's as well.
    said = "no snapshot was ever restated" in cli("status", "--revisions").stdout
    told = cli("status", "--revisions", env=mine)
    assert (told.exit_code, said) == (0, "no snapshot was ever restated" in told.stdout)
    assert "moved by hand      not told" in cli("watermark", "show", env=mine).stdout
    mark = cli("watermark", "show", "--json", env=mine).json
    assert (mark.pop("changes"), mark.pop("processed_through")) == (None, None)
    assert mark == without_changes(cli)


@pytest.mark.both_versions
def test_the_catalog_grants_what_the_command_says_and_the_page_lists_it(made: Roles) -> None:
    """Object by object, from PostgreSQL's own tables, both ways."""
    said = made.apply()
    granted: set[tuple[str, str, str]] = set()
    for grant in said.grants:
        if grant.kind in {"table", "view", "sequence", "function", "schema", "columns"}:
            for privilege in grant.privileges:
                if privilege != "owner":
                    granted.add((grant.role, grant.name.replace('"', ""), privilege))
    in_catalog = set()
    rows = made.database.rows(
        """
        select acl.grantee::regrole::text, object.name, lower(acl.privilege_type)
        from (
            select nspname || '.' || relname, relacl, relowner
            from pg_class join pg_namespace n on n.oid = relnamespace
            union all
            select nspname || '.' || proname || '(' ||
                pg_get_function_identity_arguments(p.oid) || ')', proacl, proowner
            from pg_proc p join pg_namespace n on n.oid = pronamespace
            union all
            select nspname, nspacl, nspowner from pg_namespace
            union all
            select
                format(
                    '%%s.%%s (%%s)', nspname, relname, string_agg(attname, ', ' order by attnum)
                ),
                attacl::text::aclitem[],
                relowner
            from pg_attribute
            join pg_class c on c.oid = attrelid
            join pg_namespace n on n.oid = relnamespace
            where attacl is not null
            group by nspname, relname, attacl::text, relowner
        ) as object (name, acl, owner)
        cross join lateral aclexplode(object.acl) as acl
        where acl.grantee <> 0 and acl.grantee <> object.owner
            and acl.grantee::regrole::text like %s
        """,
        [f"{made.prefix}\\_%"],
    )
    for role, name, privilege in rows:
        in_catalog.add((role.removeprefix(f"{made.prefix}_"), name, privilege))
    # The owner's rights on what is not its own.
    assert in_catalog == granted
    assert written_page(said) == PAGE.read_text(encoding="utf-8"), (
        "docs/reference/roles.md is not what the catalog has; run `python tools/reference.py`"
    )


def written_page(said: roles.AppliedRoles) -> str:
    """Return the page as the script of the reference writes it."""
    page: str = runpy.run_path(str(SCRIPT))["roles"](said)
    return page


# -- dashboard -----------------------------------------------------------------


@pytest.mark.both_versions
def test_the_dashboard_login_serves_every_page(made: Roles, consumers: list[uuid.UUID]) -> None:
    settings = made.database.settings.replaced(
        {"dashboard_database_url": Secret(made.login("dashboard"))}
    )
    app = create_app(settings, authenticator=NoCredentials())
    with TestClient(app) as browser:
        asked = 0
        for route in app.routes:
            path = str(getattr(route, "path", "")).replace("{consumer_id}", str(consumers[0]))
            if isinstance(route, APIRoute) and "GET" in route.methods:
                answer = browser.get(path, params={"consumer": str(consumers[0])})
                assert answer.status_code == 200, (path, answer.text)
                asked += 1
        assert asked > 20
        assert browser.get("/api/v1/consumers").json()["matching"] == len(consumers)


def test_a_dashboard_login_reads_nothing_else_and_writes_nothing(made: Roles) -> None:
    url = made.login("dashboard")
    assert ask(url, "select count(*) from consumer_analytics")[0][0] > 0
    assert ask(url, "select consumer_id, name from consumers")
    assert ask(url, "select count(created_at) from customer_events")[0][0] > 0
    for statement in (
        "select payload_json from customer_events",
        "select customer_id from customer_events",
        "select * from customers",
        "select * from consumer_analytics_internal.tenants",
        "select * from consumer_analytics_internal.mails",
        "update consumer_analytics set metrics_json = '{}'",
        "delete from consumer_analytics_internal.runs",
        "update etl_job_watermarks set last_processed_timestamp = now()",
        "create table public.mine ()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, statement)


# -- owner and etl -------------------------------------------------------------


@pytest.mark.both_versions
def test_the_etl_login_does_all_of_a_runs_work(made: Roles, cli: Any) -> None:
    url = made.login("etl")
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": url}
    for command in (
        ["run"],
        ["run", "--as-of", "2025-03-04T11:00:00Z"],
        ["status"],
        ["watermark", "reset", "--yes", "--reason", "test"],
        ["run"],
        ["sweep", "--since", "2025-03-01"],
        ["audit"],
        ["audit", "--repair"],
        ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
        ["capture", "status"],
        ["metrics"],
        ["migrate"],
    ):
        done = cli(*command, env=mine)
        assert done.exit_code == 0, (command, done.stderr)
    with made.database.connect() as connection:
        assert connection.execute("select last_run_status from etl_job_watermarks").fetchone() == (
            "success",
        )


REFUSED = [
    "create table public.mine ()",
    "create schema mine",
    "create table consumer_analytics_internal.mine ()",
    "drop table public.consumer_analytics",
    "truncate public.consumer_analytics",
    "alter table public.consumer_analytics disable row level security",
    "insert into public.customer_events (event_id) values (gen_random_uuid())",
    "update public.customers set status = 'x'",
    "delete from public.consumers",
    "delete from public.consumer_analytics_revisions",
    "delete from public.etl_job_watermarks",
    "update consumer_analytics_internal.alembic_version set version_num = '9'",
    "select * from consumer_analytics_internal.tenants",
]


def thin(settings: Any) -> MaintenancePart:
    settings = settings.replaced({"keep_snapshots_days": 1})
    settings = settings.replaced({"keep_daily_snapshots_days": 1})
    with db.connected(settings, "maintenance") as connection:
        return thinning.thin(connection, settings)


def test_the_maintenance_login_thins_snapshots_with_their_revisions_and_removes_no_others(
    made: Roles,
) -> None:
    url = made.login("maintenance")
    count = "select count(*) from public.consumer_analytics_revisions"
    before = ask(made.database.url, count)
    assert before != [(0,)]
    every = "(select array_agg(snapshot_timestamp) from public.consumer_analytics_revisions)"
    forget = "select removed from consumer_analytics_internal.forget_thinned_revisions"
    assert ask(url, f"{forget}({every})") == [(0,)]
    assert ask(made.database.url, count) == before
    part = thin(made.settings(url))
    assert part.removed > 0
    # It does not own the tables: the server will do the rest when it comes by.
    assert "autovacuum" in part.notes[-1]
    assert ask(made.database.url, count) != before


def test_the_etl_login_can_do_nothing_else(made: Roles) -> None:
    url = made.login("etl")
    for statement in REFUSED:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, statement)


def test_owners_migrate_and_own_everything(made: Roles) -> None:
    assert schema.migrate(made.settings(made.login("owner"))) == []
    # Who owned it before still does.
    assert schema.migrate(made.database.settings) == []
    assert made.database.rows(
        "select distinct relowner::regrole::text from pg_class "
        "join pg_namespace n on n.oid = relnamespace where nspname = %s and relkind = 'r'",
        [INTERNAL],
    ) == [(f"{made.prefix}_owner",)]


# -- readers -------------------------------------------------------------------


def test_a_reader_sees_all_snapshots_and_nothing_internal(made: Roles) -> None:
    url = made.login("reader")
    for table in roles.PUBLIC:
        if table.endswith("_reported_at"):
            continue
        everything = made.database.rows(f"select count(*) from {table}")
        assert everything[0][0] > 0
        assert ask(url, f"select count(*) from {table}") == everything
    assert ask(url, "select count(*) from consumer_analytics_reported_at(now())")[0][0] > 0
    for statement in (
        "select * from consumers",
        "select * from consumer_analytics_internal.state",
        "update consumer_analytics set metrics_json = '{}'",
        "update etl_job_watermarks set last_processed_timestamp = now()",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ask(url, statement)


READABLE = (
    "consumer_analytics",
    "consumer_analytics_revisions",
    "consumer_analytics_history",
    "consumer_analytics_as_reported",
    "consumer_analytics_reported_at(now())",
    "consumer_analytics_now",
)


@pytest.mark.both_versions
def test_a_tenant_reads_its_own_rows_only(
    made: Roles, tenant: str, consumers: list[uuid.UUID]
) -> None:
    for relation in READABLE:
        own = made.database.rows(
            f"select count(*) from {relation} where consumer_id = %s", [consumers[0]]
        )
        assert own[0][0] > 0
        assert made.database.rows(f"select count(*) from {relation}") > own
        assert ask(tenant, f"select count(*) from {relation}") == own
        assert ask(tenant, f"select distinct consumer_id from {relation}") == [(consumers[0],)]
        assert ask(tenant, f"select 1 from {relation} where consumer_id is null") == []


@pytest.mark.long
def test_a_tenant_may_have_several_consumers_and_lose_them(
    made: Roles, tenant: str, consumers: list[uuid.UUID]
) -> None:
    login = made.made[-1]
    made.apply(add_tenants=[(login, consumers[1])])
    assert ask(tenant, "select distinct consumer_id from consumer_analytics order by 1") == [
        (consumers[0],),
        (consumers[1],),
    ]
    assert made.apply(remove_tenants=[login]).tenants == {}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(tenant, "select * from consumer_analytics")


def test_a_member_of_the_tenants_role_who_is_nobodys_sees_nothing(made: Roles) -> None:
    assert ask(made.login("tenant"), "select count(*) from consumer_analytics") == [(0,)]


def test_a_tenant_who_is_also_a_reader_stays_a_tenant(
    made: Roles, consumers: list[uuid.UUID]
) -> None:
    url = made.login("reader")
    made.apply(add_tenants=[(made.made[-1], consumers[0])])
    assert ask(url, "select distinct consumer_id from consumer_analytics") == [(consumers[0],)]


def test_a_new_login_of_the_same_name_inherits_nothing(
    made: Roles, tenant: str, consumers: list[uuid.UUID]
) -> None:
    login = sql.Identifier(made.made[-1])
    with made.database.connect_admin() as admin:
        admin.execute(sql.SQL("drop role {}").format(login))
        admin.execute(sql.SQL("create role {} login").format(login))
        admin.execute(
            sql.SQL("grant {} to {}").format(sql.Identifier(f"{made.prefix}_tenant"), login)
        )
    assert consumers
    assert ask(tenant, "select count(*) from consumer_analytics") == [(0,)]


def leak(statements: list[str]) -> Callable[[str, uuid.UUID], list[Any]]:
    """Try statements one after the other, and return all rows and notices that come."""

    def attempt(url: str, other: uuid.UUID) -> list[Any]:
        seen: list[Any] = []
        with psycopg.connect(url, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: seen.append(notice.message_primary))
            for statement in statements:
                try:
                    cursor = connection.execute(
                        sql.SQL(statement.replace("OTHER", "{0}")).format(str(other))
                    )
                    if cursor.description:
                        seen.extend(cursor.fetchall())
                except psycopg.Error as error:
                    seen.append(error.diag.message_primary)
        return seen

    return attempt


COUNT = "select 'leaked' from consumer_analytics where consumer_id is distinct from OWN limit 1"
ATTEMPTS = {
    "setting": ["set consumer_analytics.consumer_id = OTHER", "set row_security = off", COUNT],
    "set role": ["set role reader_role", "set role postgres", COUNT],
    "session": ["set session authorization postgres", COUNT],
    "reset": ["reset role", "reset session authorization", "discard all", COUNT],
    "function": [
        (
            "create function pg_temp.peek(c uuid, m jsonb) returns boolean language plpgsql "
            "cost 0.0000001 as $$begin raise notice 'leaked %', c; return true; end$$"
        ),
        (
            "select count(*) from consumer_analytics "
            "where consumer_id = OTHER and pg_temp.peek(consumer_id, metrics_json)"
        ),
        (
            "select 'leaked' from consumer_analytics_history "
            "where pg_temp.peek(consumer_id, metrics_json) and consumer_id = OTHER"
        ),
    ],
    "operator": [
        (
            "select 'leaked' from consumer_analytics where consumer_id = OTHER "
            "and 1 / (case when consumer_id = OTHER then 0 else 1 end) = 1"
        ),
    ],
    "view": [
        "create temp view mine as select * from consumer_analytics",
        "select 'leaked' from mine where consumer_id is distinct from OWN",
    ],
    "prepared": [
        "prepare p as " + COUNT,
        "set plan_cache_mode = force_generic_plan",
        "execute p",
    ],
    "copy": [
        "create temp table stolen as select * from consumer_analytics",
        "select 'leaked' from stolen where consumer_id is distinct from OWN",
    ],
    "update": [
        (
            "update consumer_analytics set created_at = now() where consumer_id = OTHER "
            "returning 'leaked'"
        ),
        "delete from consumer_analytics where consumer_id = OTHER returning 'leaked'",
    ],
    "lock": ["select 'leaked' from consumer_analytics where consumer_id = OTHER for update"],
    "mapping": [
        (
            "insert into consumer_analytics_internal.tenants (login, consumer_id) "
            "values (session_user::regrole, OTHER)"
        ),
        "select 'leaked' from consumer_analytics_internal.tenants",
        "select 'leaked' from consumer_analytics_internal.state",
        COUNT,
    ],
    "shadow": [
        (
            "create function pg_temp.own_consumers() returns uuid[] language sql "
            "as $$select array[OTHER::uuid]$$"
        ),
        "set search_path = pg_temp, public",
        COUNT,
    ],
    "statistics": [
        (
            "select 'leaked' from pg_stats where tablename = 'consumer_analytics' "
            "and attname in ('consumer_id', 'metrics_json')"
        ),
    ],
    "global row": ["select 'leaked' from consumer_analytics where consumer_id is null"],
    "sources": ["select 'leaked' from consumers", "select 'leaked' from customer_events"],
    "policy": ["alter table consumer_analytics disable row level security", COUNT],
}


#: Ways that lead somewhere for who may see all: then the attempt is a real one.
REAL = {"function", "view", "prepared", "copy", "global row", "operator"}


@pytest.mark.both_versions
def test_no_way_around_it(made: Roles, tenant: str, consumers: list[uuid.UUID]) -> None:
    reader = made.login("reader")
    with made.database.connect_admin() as admin:
        admin.execute("analyze consumer_analytics")
    for way, attempts in ATTEMPTS.items():
        statements = [
            statement.replace("OWN", f"'{consumers[0]}'::uuid")
            .replace("{", "{{")
            .replace("}", "}}")
            for statement in attempts
        ]
        seen = leak(statements)(tenant, consumers[1])
        shown = [str(one) for one in seen]
        assert not [one for one in shown if "leaked" in one or str(consumers[1]) in one], (
            way,
            seen,
        )
        assert "division by zero" not in shown, way
        if way in REAL:
            shown = [str(one) for one in leak(statements)(reader, consumers[1])]
            assert [one for one in shown if "leaked" in one or "division" in one], (way, shown)


def test_copy_out_gives_a_tenant_its_own_rows(
    made: Roles, tenant: str, consumers: list[uuid.UUID]
) -> None:
    assert made.made
    with psycopg.connect(tenant) as connection, connection.cursor() as cursor:
        for source in ("consumer_analytics", "(select * from consumer_analytics_history)"):
            with cursor.copy(sql.SQL(f"copy {source} to stdout")) as copy:
                text = b"".join(bytes(block) for block in copy).decode()
            assert str(consumers[0]) in text
            assert str(consumers[1]) not in text


def test_a_view_that_lets_tenants_see_more_is_warned_of(made: Roles) -> None:
    made.database.execute("create view everything as select * from consumer_analytics")
    made.database.execute(f"grant select on everything to {made.prefix}_tenant")
    [warning] = made.apply().warnings
    assert "public.everything" in warning
    made.database.execute("alter view everything set (security_invoker = true)")
    assert made.apply().warnings == ()


def test_row_level_security_costs_the_others_nothing(made: Roles) -> None:
    for kind in ("etl", "reader"):
        plan = ask(made.login(kind), "explain select * from consumer_analytics")
        assert "Filter" not in str(plan)


# -- superusers -----------------------------------------------------------------


def test_a_superuser_is_refused_on_another_machine_unless_wanted(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.server.role is None:
        pytest.skip("the test server's admin may be no superuser")
    admin = database.settings.replaced(
        {"database_url": Secret(make_conninfo(database.server.admin_url, dbname=database.name))}
    )
    # This machine's own server is a developer's.
    with db.connected(admin, "test"):
        pass
    monkeypatch.setattr(psycopg.ConnectionInfo, "host", "db.example.com")
    monkeypatch.setattr(psycopg.ConnectionInfo, "hostaddr", "192.0.2.7")
    with pytest.raises(SuperuserError, match="CONSUMER_ANALYTICS_ALLOW_SUPERUSER"):
        db.connect(admin, "test")
    with db.connected(admin.replaced({"allow_superuser": True}), "test"):
        pass
    with db.connected(admin, "migrate", as_admin=True):
        pass
    with db.connected(database.settings, "test"):
        pass
