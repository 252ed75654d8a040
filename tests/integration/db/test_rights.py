"""Nobody gets further than his rights, however he tries."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from alembic.script import ScriptDirectory
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Cli, Database
from tests.integration.operations.test_doctor import examined
from tests.support import lanes
from tests.support.roles import Roles

from consumer_analytics.db import connection as db
from consumer_analytics.db import locks, roles, schema, tags
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import BusyError, RolesError
from consumer_analytics.etl import capture, run
from consumer_analytics.monitoring.incidents.notifying import look_and_note
from consumer_analytics.operations.doctor.findings import Verdict

INTERNAL = "consumer_analytics_internal"

#: What each role may do with what, besides the owner, who may do everything: select, insert,
#: update, delete. Members of `maintenance` may what `etl` may, those of `dashboard` what `reader`.
STATE = {"etl": "siud"}
SHOWN = {"etl": "siud", "dashboard": "s"}
READ = {"etl": "s", "reader": "s", "tenant": "s"}
RELATIONS: dict[str, dict[str, str]] = {
    "public.consumer_analytics": {"etl": "siud", "reader": "s", "tenant": "s"},
    "public.consumer_analytics_revisions": {"etl": "si", "reader": "s", "tenant": "s"},
    "public.etl_job_watermarks": {"etl": "siu", "reader": "s"},
    "public.consumer_analytics_as_reported": READ,
    "public.consumer_analytics_history": READ,
    "public.consumer_analytics_now": READ,
    "public.consumer_analytics_flat": READ,
    "public.consumer_analytics_flat_events": READ,
    "public.consumer_analytics_flat_latest": READ,
    "public.consumer_analytics_flat_revisions": READ,
    "public.consumer_analytics_flat_statuses": READ,
    "public.consumer_analytics_flat_system": {"etl": "s", "reader": "s"},
    "public.sla_miss": {"etl": "s", "reader": "s"},
    f"{INTERNAL}.accepted_events": STATE,
    f"{INTERNAL}.alembic_version": {"etl": "s", "dashboard": "s"},
    f"{INTERNAL}.anomalies": SHOWN,
    f"{INTERNAL}.anomaly_looks": STATE,
    f"{INTERNAL}.archive": SHOWN,
    f"{INTERNAL}.archived_counts": STATE,
    f"{INTERNAL}.archived_events": STATE,
    f"{INTERNAL}.archived_files": STATE,
    f"{INTERNAL}.audited_snapshots": STATE,
    f"{INTERNAL}.backfills": SHOWN,
    f"{INTERNAL}.capture_lock": {"etl": "u"},
    f"{INTERNAL}.capture_threshold": {"etl": "su"},
    f"{INTERNAL}.capture_unsure": STATE,
    f"{INTERNAL}.changed_events": STATE,
    f"{INTERNAL}.checks": SHOWN,
    f"{INTERNAL}.clean_audits": STATE,
    f"{INTERNAL}.contradicted_deletions": STATE,
    f"{INTERNAL}.counters": STATE,
    f"{INTERNAL}.deadline_misses": SHOWN,
    f"{INTERNAL}.deleted_customers": STATE,
    f"{INTERNAL}.event_days": STATE,
    f"{INTERNAL}.event_totals": STATE,
    f"{INTERNAL}.extracted_customers": STATE,
    f"{INTERNAL}.extracted_events": STATE,
    f"{INTERNAL}.extracts": STATE,
    f"{INTERNAL}.federation": STATE,
    f"{INTERNAL}.incident_changes": SHOWN,
    f"{INTERNAL}.incidents": SHOWN,
    f"{INTERNAL}.job_lock": {"etl": "u"},
    f"{INTERNAL}.looks_lock": {"etl": "su"},
    f"{INTERNAL}.mails": STATE,
    f"{INTERNAL}.maintenance": STATE,
    f"{INTERNAL}.noted_changes": STATE,
    f"{INTERNAL}.owed_snapshots": STATE,
    f"{INTERNAL}.runs": SHOWN,
    f"{INTERNAL}.state": SHOWN,
    f"{INTERNAL}.sharded_runs": STATE,
    f"{INTERNAL}.shards": STATE,
    f"{INTERNAL}.shards_awaited": STATE,
    f"{INTERNAL}.shards_lock": {"etl": "u"},
    f"{INTERNAL}.task_failures": SHOWN,
    f"{INTERNAL}.tenants": {},
    f"{INTERNAL}.thinned_snapshots": STATE,
    f"{INTERNAL}.touched_customers": STATE,
    f"{INTERNAL}.touched_days": STATE,
    f"{INTERNAL}.transaction_horizons": STATE,
    f"{INTERNAL}.undated_births": STATE,
    f"{INTERNAL}.untold_events": STATE,
    f"{INTERNAL}.vanished_events": STATE,
    f"{INTERNAL}.watermark_changes": SHOWN,
    f"{INTERNAL}.written_apart": STATE,
    f"{INTERNAL}.written_snapshots": STATE,
}
#: Who may call what, and put what on a table as a trigger, besides the owner.
FUNCTIONS: dict[str, set[str]] = {
    "public.consumer_analytics_reported_at(timestamp with time zone)": {"etl", "reader", "tenant"},
    f"{INTERNAL}.alarm_raised()": set(),
    f"{INTERNAL}.backfill_moved()": set(),
    f"{INTERNAL}.capture_consumers()": set(),
    f"{INTERNAL}.capture_deleted_customers()": set(),
    f"{INTERNAL}.capture_deleted_events()": set(),
    f"{INTERNAL}.capture_inserted_customers()": set(),
    f"{INTERNAL}.capture_inserted_events()": set(),
    f"{INTERNAL}.capture_truncated()": set(),
    f"{INTERNAL}.capture_truncating_customers()": set(),
    f"{INTERNAL}.capture_updated_customers()": set(),
    f"{INTERNAL}.capture_updated_events()": set(),
    f"{INTERNAL}.chain_start(text[], text[], text)": {"etl"},
    f"{INTERNAL}.count_run(consumer_analytics_internal.runs)": set(),
    f"{INTERNAL}.count_up(text, text[], double precision)": set(),
    # For nobody's calls: what instant and whose figures are asked for, they do not ask.
    f"{INTERNAL}.figures_at(timestamp with time zone, uuid[])": set(),
    f"{INTERNAL}.figures_now()": {"etl", "dashboard"},
    f"{INTERNAL}.forget_thinned_revisions(timestamp with time zone[])": {"maintenance"},
    f"{INTERNAL}.guard_capture()": set(),
    f"{INTERNAL}.is_plain_type(oid)": set(),
    f"{INTERNAL}.keep_noted()": set(),
    # The policy of tenants calls it; by name it is out of their reach.
    f"{INTERNAL}.own_consumers()": set(),
    f"{INTERNAL}.revisions_came()": set(),
    f"{INTERNAL}.run_ended()": set(),
    f"{INTERNAL}.settled()": set(),
    f"{INTERNAL}.source_names()": {"etl"},
    f"{INTERNAL}.total(bigint)": {"etl"},
}
ABOVE = {"maintenance": "etl", "dashboard": "reader"}
#: A login that may connect, and nothing else.
NOBODY = "nobody"

ATTEMPT = """
create function pg_temp.attempt(statements text[]) returns setof text language plpgsql as $$
declare
    statement text;
begin
    foreach statement in array statements loop
        begin
            execute statement;
            -- Taken back.
            raise exception using errcode = 'CA001';
        exception
            when sqlstate 'CA001' then return next '';
            when others then return next sqlerrm;
        end;
    end loop;
end
$$
"""
#: PostgreSQL's own words for a right that is missing.
DENIED = (
    "permission denied",
    "must be owner",
    "cannot insert into view",
    "cannot update view",
    "cannot delete from view",
    "cannot update column",
    "is not a table",
)


@pytest.fixture
def given(database: Database) -> Iterator[Roles]:
    """Return the roles, applied to an empty database."""
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    made = Roles(database)
    try:
        made.apply()
        yield made
    finally:
        made.clean()


def user(url: str) -> str:
    return str(conninfo_to_dict(url)["user"])


@contextmanager
def as_(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set statement_timeout = '20s'")
        yield connection


def attempts(url: str, statements: list[str]) -> list[bool]:
    """Try statements, each taken back again; tell which of them the login may do."""
    with as_(url) as connection:
        connection.execute(ATTEMPT)
        said = connection.execute("select * from pg_temp.attempt(%s)", [statements]).fetchall()
    return [not any(word in text for word in DENIED) for (text,) in said]


def logins(made: Roles) -> dict[str, str]:
    return {kind: made.login(kind) for kind in roles.KINDS} | {NOBODY: made.login()}


# -- every object, as every role ---------------------------------------------------------------


@pytest.mark.both_versions
def test_each_role_may_do_with_each_relation_what_the_table_above_says(given: Roles) -> None:
    there = given.database.rows(
        """
        select nspname || '.' || relname, relkind::text, (
            select quote_ident(attname) from pg_attribute
            where attrelid = c.oid and attnum > 0 and attidentity = '' and not attisdropped
            order by attnum desc limit 1
        )
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind in ('r', 'p', 'v', 'm', 'f', 'S')
            and (nspname = %s or nspname = 'public')
            and relname not in ('consumers', 'customers', 'customer_events')
            -- Those of identity columns go with their tables.
            and not exists (select from pg_depend where objid = c.oid and deptype = 'i'
                and classid = 'pg_class'::regclass and refobjsubid > 0)
        order by 1
        """,
        [INTERNAL],
    )
    assert [name for name, _, _ in there] == sorted(RELATIONS), "say above who may do what with it"
    expected: dict[tuple[str, str], bool] = {}
    statements: list[str] = []
    for name, kind, column in there:
        ways = {"s": f"select from {name} limit 0", "lock": f"lock table {name} in exclusive mode"}
        if kind == "S":
            ways = {"s": f"select last_value from {name}", "u": f"select setval('{name}', 1)"}
        else:
            ways |= {
                "i": f"insert into {name} default values",
                "d": f"delete from {name} where false",
                "t": f"truncate {name}",
            }
            if column:
                ways["u"] = f"update {name} set {column} = {column} where false"
        for way, statement in ways.items():
            statements.append(statement)
            for role in (*roles.KINDS, NOBODY):
                rights = RELATIONS[name].get(role, "") + RELATIONS[name].get(
                    ABOVE.get(role, ""), ""
                )
                expected[role, statement] = (
                    role == "owner"
                    or way in rights
                    or (way == "lock" and bool({"u", "d"} & set(rights)))
                )
    views = tuple(f" {name} " for name, kind, _ in there if kind == "v")
    wrong = []
    for role, url in logins(given).items():
        for statement, may in zip(statements, attempts(url, statements), strict=True):
            if role == "owner" and any(view in f"{statement} " for view in views):
                # What a view is decides what can be done to it, not whose it is.
                continue
            if may != expected[role, statement]:
                wrong.append((role, statement, "may" if may else "may not"))
    assert wrong == []


@pytest.mark.both_versions
def test_each_role_may_call_each_function_that_the_table_above_says(given: Roles) -> None:
    there = given.database.rows(
        """
        select
            nspname || '.' || proname || '(' || oidvectortypes(proargtypes) || ')',
            nspname || '.' || proname,
            prorettype = 'trigger'::regtype,
            array(select format_type(t, null) from unnest(proargtypes) as t),
            coalesce(has_function_privilege('public', p.oid, 'execute'), false),
            not prosecdef or proconfig @> array['search_path=pg_catalog, pg_temp']
        from pg_proc p join pg_namespace n on n.oid = pronamespace
        where nspname in ('public', %s)
        order by 1
        """,
        [INTERNAL],
    )
    assert [one[0] for one in there] == sorted(FUNCTIONS), "say above who may call it"
    assert [one[0] for one in there if one[4]] == [], "REVOKE EXECUTE … FROM PUBLIC"
    assert [one[0] for one in there if not one[5]] == [], "SET search_path = pg_catalog, pg_temp"
    statements = []
    for _, name, is_trigger, arguments, _, _ in there:
        values = ", ".join(f"null::{one}" for one in arguments)
        statements.append(
            f"create temporary table mine (); create trigger mine after insert on mine "
            f"execute function {name}()"
            if is_trigger
            else f"select {name}({values})"
        )
    for role, url in logins(given).items():
        may = {one[0] for one, does in zip(there, attempts(url, statements), strict=True) if does}
        allowed = {
            name
            for name, whose in FUNCTIONS.items()
            if role == "owner" or {role, ABOVE.get(role, role)} & whose
        }
        assert may == allowed, role


# -- code of one role with the rights of another --------------------------------------------------


def test_no_function_of_ours_runs_a_type_of_somebody_elses(given: Roles) -> None:
    """A trigger of capture on a table of one's own, with a column that runs one's own code."""
    for kind in ("etl", "dashboard", "reader", "tenant"):
        with as_(given.login(kind)) as connection:
            connection.execute("create temporary table mine (consumer_id uuid, created_at text)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(
                    "create trigger mine after insert on mine "
                    "referencing new table as new_rows for each statement "
                    f"execute function {INTERNAL}.capture_consumers()"
                )


@pytest.mark.both_versions
def test_capture_runs_no_code_of_whoever_owns_the_sources(given: Roles) -> None:
    """A column that comes to be of a type with a cast is not read: everything is counted again."""
    database = given.database
    given.login(options="createrole")
    application = user(given.login())
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    with database.connect_admin() as admin:
        name = sql.Identifier(application)
        admin.execute(sql.SQL("create schema theirs authorization {}").format(name))
        admin.execute(sql.SQL("grant create on schema public to {}").format(name))
        for table in ("consumers", "customers", "customer_events"):
            admin.execute(sql.SQL(f"alter table {table} owner to {{}}").format(name))
    url = psycopg.conninfo.make_conninfo(database.url, user=application, password="")
    with as_(url) as connection:
        connection.execute(
            """
            create type theirs.status as (value text);
            create table theirs.ran (as_whom text);
            grant insert on theirs.ran to public;
            grant usage on schema theirs to public;
            create function theirs.plain(theirs.status) returns text language plpgsql as $$
            begin insert into theirs.ran values (current_user); return ($1).value; end $$;
            create cast (theirs.status as text) with function theirs.plain(theirs.status);
            alter table customers alter column status type theirs.status using null;
            """
        )
        connection.execute(
            "insert into customers (customer_id, status) values (gen_random_uuid(), row('a'))"
        )
        connection.execute("update customers set status = row('ACTIVE')::theirs.status")
        connection.execute("delete from customers")
        assert connection.execute("select * from theirs.ran").fetchall() == []
    assert database.rows(f"select distinct day::text from {INTERNAL}.touched_days") == [
        ("-infinity",)
    ]


PLANTED = {
    "trigger": (
        (
            "create trigger planted before insert on {table} "
            "for each row execute function {schema}.planted()"
        ),
        "trigger planted",
    ),
    "rule": ("create rule planted as on insert to {table} do also select 1", "rule planted"),
    "default": (
        "alter table {table} alter added_by set default {schema}.planted_text()",
        "function consumer_analytics_internal.planted_text()",
    ),
    "operator": (
        (
            "create operator {schema}.=== (leftarg = uuid, rightarg = uuid, "
            "function = {schema}.planted_check); alter table {table} "
            "add constraint planted check (consumer_id operator({schema}.===) consumer_id)"
        ),
        "operator consumer_analytics_internal.===(uuid,uuid)",
    ),
    "domain": (
        (
            "create domain {schema}.planted as uuid "
            "check ({schema}.planted_check(value, value)); "
            "alter table {table} add constraint planted "
            "check (consumer_id::{schema}.planted is not null)"
        ),
        "type consumer_analytics_internal.planted",
    ),
    "child": (
        (
            "create table {schema}.child () inherits ({table}); create trigger planted "
            "before delete on {schema}.child for each row execute function {schema}.planted()"
        ),
        "a table that inherits from it, consumer_analytics_internal.child",
    ),
    "foreign key": (
        (
            "create table {schema}.child (login regrole, consumer_id uuid, constraint child_fkey "
            "foreign key (login, consumer_id) references {table} on delete cascade)"
        ),
        "foreign key child_fkey of consumer_analytics_internal.child",
    ),
}


@pytest.mark.parametrize("what", lanes.first(3, PLANTED))
def test_what_the_owner_planted_does_not_run_as_whoever_runs_roles(given: Roles, what: str) -> None:
    statement, named = PLANTED[what]
    login = given.login()
    with as_(given.login("owner")) as owner:
        owner.execute(sql.SQL("set role {}").format(sql.Identifier(f"{given.prefix}_owner")))
        owner.execute(
            f"create table {INTERNAL}.ran (as_whom text);"
            f"create function {INTERNAL}.planted() returns trigger language plpgsql as $$begin "
            f"reset role; insert into {INTERNAL}.ran values (current_user); return new; end$$;"
            f"create function {INTERNAL}.planted_text() returns text language plpgsql as $$begin "
            f"reset role; insert into {INTERNAL}.ran values (current_user); return ''; end$$;"
            f"create function {INTERNAL}.planted_check(uuid, uuid) returns bool "
            f"language plpgsql as $$begin reset role; "
            f"insert into {INTERNAL}.ran values (current_user); return true; "
            "end$$"
        )
        owner.execute(statement.format(table=f"{INTERNAL}.tenants", schema=INTERNAL))
        with pytest.raises(RolesError, match="nothing was changed") as refusal:
            given.apply(add_tenants=[(user(login), uuid.uuid4())])
        assert named in str(refusal.value)
        assert owner.execute(f"select * from {INTERNAL}.ran").fetchall() == []


def test_what_lies_in_public_is_not_called_by_whoever_runs_roles(given: Roles) -> None:
    """Who may create there could put what fits a call better than PostgreSQL's own function."""
    database = given.database
    database.execute(
        """
        create table public.ran (as_whom text);
        create function public.format(text, name, name) returns text language plpgsql as $$
        begin insert into public.ran values (current_user); return ''; end $$;
        create view public.unsafe as select * from public.consumer_analytics
        """
    )
    database.execute(f"grant select on public.unsafe to {given.prefix}_tenant")
    [warning] = given.apply().warnings
    assert warning.startswith("view public.unsafe shows tenants all rows")
    assert database.rows("select * from public.ran") == []


def test_nor_by_who_migrates_or_by_the_doctor_as_a_superuser(
    given: Roles, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []

    def pending(connection: db.Connection) -> list[schema.Migration]:
        paths.append(db.scalar(connection, "show search_path"))
        return []

    monkeypatch.setattr(schema, "pending", pending)
    schema.migrate(given.database.settings)
    with db.connected(given.settings(given.admin_url), "doctor", as_admin=True) as connection:
        pending(connection)
    assert paths == ["pg_catalog", "pg_catalog"]


def test_who_is_a_tenant_is_written_by_the_owners_role(given: Roles) -> None:
    """Not by the superuser who runs `roles`: what the table's owner may not, he is refused."""
    login = given.login()
    with given.database.connect_admin() as admin:
        admin.execute(
            sql.SQL(f"revoke insert on {INTERNAL}.tenants from {{}}").format(
                sql.Identifier(f"{given.prefix}_owner")
            )
        )
    with pytest.raises(RolesError, match="permission denied for table tenants"):
        given.apply(add_tenants=[(user(login), uuid.uuid4())])


# -- tenants ---------------------------------------------------------------------------------------


@pytest.mark.both_versions
def test_a_tenant_who_is_also_a_reader_does_not_become_one(given: Roles) -> None:
    """From PostgreSQL 16 on it cannot; before, it is told by `roles` and the doctor."""
    database = given.database
    consumer = uuid.uuid4()
    database.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
        "values (%s, now(), '{}'), (gen_random_uuid(), now(), '{}'), (null, now(), '{}')",
        [consumer],
    )
    url = given.login("reader")
    applied = given.apply(add_tenants=[(user(url), consumer)])
    reader = sql.Identifier(f"{given.prefix}_reader")
    with as_(url) as connection:
        mine = "select consumer_id from consumer_analytics"
        assert connection.execute(mine).fetchall() == [(consumer,)]
        if connection.info.server_version >= 160_000:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql.SQL("set role {}").format(reader))
            assert applied.warnings == ()
            # By another way, which is not ours to close.
            with database.connect_admin() as admin:
                between = f"{given.prefix}_between"
                given.made.append(between)
                admin.execute(sql.SQL("create role {}").format(sql.Identifier(between)))
                for role, member in ((f"{given.prefix}_reader", between), (between, user(url))):
                    admin.execute(
                        sql.SQL("grant {} to {}").format(
                            sql.Identifier(role), sql.Identifier(member)
                        )
                    )
            connection.execute(sql.SQL("set role {}").format(reader))
            assert len(connection.execute(mine).fetchall()) == 3
            applied = given.apply()
    told = f"tenant {user(url)} can become {given.prefix}_reader by SET ROLE, and see all consumers"
    assert any(told in warning for warning in applied.warnings)
    found = examined(database)["schema-tenants"]
    assert found.finding.verdict is Verdict.PROBLEM
    assert told in found.finding.evidence


def test_a_tenant_is_held_by_row_security_or_told(given: Roles) -> None:
    url = given.login(options="bypassrls")
    applied = given.apply(add_tenants=[(user(url), uuid.uuid4())])
    assert any(f"tenant {user(url)} sees all consumers" in one for one in applied.warnings)
    plain = given.login()
    applied = given.apply(add_tenants=[(user(plain), uuid.uuid4())])
    assert not any(f"tenant {user(plain)} sees" in one for one in applied.warnings)


def test_a_tenant_does_not_become_the_tenants_role(given: Roles) -> None:
    url = given.login()
    given.apply(add_tenants=[(user(url), uuid.uuid4())])
    with as_(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(f"{given.prefix}_tenant")))


# -- locks and idle transactions ---------------------------------------------------------------


@contextmanager
def obstructive(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Do all that a login that may only connect can do to stop us, for the block."""
    with as_(url) as connection:
        # Every class of locks that the product has had, alone and with every likely key.
        connection.execute(
            "select pg_advisory_lock(class, key) from unnest(%s::int[]) as class, "
            "generate_series(0, 20) as key",
            [[0x0CA0, 0x0CA1, 0x0CA2, 0x0CA3, 0x0CA4, 0x0DA1, 0x0EA1]],
        )
        connection.execute("begin")
        connection.execute("select 1")
        yield connection


@pytest.mark.both_versions
def test_a_login_that_may_connect_neither_stops_nor_delays_anything(given: Roles, cli: Cli) -> None:
    database = given.database
    database.execute("insert into consumers values (gen_random_uuid(), 'A')")
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": given.login("etl")}
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    with obstructive(given.login()):
        for command in (
            ["run"],
            ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
            ["sweep"],
            ["alerts", "check"],
        ):
            done = cli(*command, env=mine)
            assert done.exit_code in (0, 1), (command, done.stderr)
            assert "Traceback" not in done.stderr
            assert done.exit_code == 0 or command == ["alerts", "check"], (command, done.stderr)
        assert database.rows(
            f"select held_back_by::text, state from {INTERNAL}.runs order by run_id limit 1"
        ) == [("[]", "success")]
        assert given.apply().roles


@pytest.mark.parametrize("kind", ["reader", "dashboard", "tenant", NOBODY])
def test_a_login_that_may_only_read_cannot_lock_what_runs_lock(given: Roles, kind: str) -> None:
    url = given.login() if kind == NOBODY else given.login(kind)
    statements = [
        f"lock table {INTERNAL}.{lock.value} in {mode} mode"
        for lock in Lock
        for mode in ("row share", "row exclusive", "share", "exclusive", "access exclusive")
    ]
    statements += [
        "select from public.etl_job_watermarks for update",
        "lock table public.etl_job_watermarks in row exclusive mode",
        "lock table public.consumer_analytics in share mode",
    ]
    assert attempts(url, statements) == [False] * len(statements)


@pytest.mark.long
def test_advisory_locks_can_be_taken_from_everybody(given: Roles, cli: Cli) -> None:
    """But for the two that the page on roles names: the rest could fill the table of locks."""
    needed = (
        "pg_try_advisory_lock_shared(integer,integer)",
        "pg_advisory_unlock_shared(integer,integer)",
    )
    etl = sql.Identifier(f"{given.prefix}_etl")
    with given.database.connect_admin() as admin:
        functions = admin.execute(
            "select oid::regprocedure::text from pg_proc "
            "where pronamespace = 'pg_catalog'::regnamespace and proname like '%advisory%'"
        ).fetchall()
        assert len(functions) > 15
        for (function,) in functions:
            admin.execute(sql.SQL(f"revoke execute on function {function} from public"))
        for function in needed:
            admin.execute(sql.SQL(f"grant execute on function {function} to {{}}").format(etl))
    given.database.execute("insert into consumers values (gen_random_uuid(), 'A')")
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": given.login("etl")}
    for command in (
        ["run"],
        ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
        ["sweep"],
        ["audit"],
    ):
        done = cli(*command, env=mine)
        assert done.exit_code == 0, (command, done.stderr)
    with as_(given.login("reader")) as reader, pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select pg_advisory_lock(1)")


def test_who_waits_in_vain_is_told_who_has_the_lock(database: Database) -> None:
    settings = database.settings.replaced({"lock_wait": 0.1})
    with (
        database.connect("run", writes_sources=False) as other,
        database.connect("run", writes_sources=False) as connection,
    ):
        with locks.job_lock(other, settings):
            named = f"pid {other.info.backend_pid}, consumer-analytics run"
            with pytest.raises(BusyError, match=named):
                run.run(connection, settings)
            # Those who share it wait for him as well, and he for them.
            with (
                pytest.raises(BusyError, match=named),
                locks.job_lock(connection, settings, shared=True),
            ):
                pass
        with locks.job_lock(other, settings, shared=True):
            with locks.job_lock(connection, settings, shared=True):
                pass
            with pytest.raises(BusyError, match=named), locks.job_lock(connection, settings):
                pass
        run.run(connection, settings)


def test_nothing_is_seen_before_the_turn_has_come(database: Database) -> None:
    """The lock takes no snapshot: what the one before has committed is there."""
    with (
        database.connect("run", writes_sources=False) as connection,
        locks.job_lock(connection, database.settings),
    ):
        database.execute("insert into consumers values (gen_random_uuid(), 'A')")
        assert connection.execute("select count(*) from consumers").fetchone() == (1,)
        database.execute("insert into consumers values (gen_random_uuid(), 'B')")
        assert connection.execute("select count(*) from consumers").fetchone() == (1,)


def test_one_who_noted_in_between_makes_the_other_look_again(database: Database) -> None:
    looks: list[int] = []

    def look() -> Any:
        looks.append(len(looks))
        if len(looks) == 1:
            with database.connect() as other:
                look_and_note(other, lambda: None, lambda _: None)  # type: ignore[arg-type, return-value]
        return looks[-1]

    with database.connect() as connection:
        assert look_and_note(connection, look, lambda _: len(looks)) == 2
    assert looks == [0, 1], "the first look was from before what the other noted"


# -- who holds a run back --------------------------------------------------------------------------


def held_back_by(database: Database) -> list[str]:
    """Return the logins that hold a run back now."""
    settings = database.settings.replaced({"holdback_wait": 0.0})
    with database.connect("run", writes_sources=False) as connection:
        at = connection.execute("select clock_timestamp()").fetchone()
        assert at is not None
        opened = run.open_run(connection, settings, at=at[0], run_key=str(uuid.uuid4()))
    return [str(one["user"]) for one in opened.held_back_by]


@contextmanager
def idle(url: str, *before: str) -> Iterator[str]:
    """Keep a transaction open in a session of this login; yield its name."""
    with as_(url) as connection:
        for statement in before:
            connection.execute(statement)
        connection.execute("begin")
        connection.execute("select 1")
        yield user(url)


@pytest.mark.both_versions
def test_who_cannot_write_the_sources_holds_no_run_back(given: Roles) -> None:
    database = given.database
    for kind in ("reader", "dashboard", "tenant", "etl", "maintenance"):
        with idle(given.login(kind)):
            assert held_back_by(database) == [], kind
    with idle(given.login()):
        assert held_back_by(database) == []


WRITERS: dict[str, list[str]] = {
    "a right on a source": ["grant insert on customer_events to {login}"],
    "a right on a column": ["grant update (status) on customers to {login}"],
    "a right of everybody": ["grant delete on consumers to public"],
    "another table": [
        "create table staging (at timestamptz)",
        "grant insert on staging to {login}",
    ],
    "a view": ["create view events as table customer_events", "grant insert on events to {login}"],
    "a function": [
        (
            "create function put() returns void language sql security definer as "
            "'insert into public.customer_events (event_id) values (gen_random_uuid())'"
        ),
    ],
    "a role": ["grant insert on customer_events to {role}", "grant {role} to {login}"],
    "a role of a role": [
        "grant insert on customer_events to {role}",
        "grant {role} to {between}",
        "grant {between} to {login}",
    ],
    "the owner": [
        "alter table customer_events owner to {role}",
        "grant select on customer_events to public",
        "grant {role} to {login}",
    ],
    "a predefined role": ["grant pg_write_all_data to {login}"],
}


@pytest.mark.both_versions
def test_who_could_write_the_sources_in_any_way_holds_a_run_back(given: Roles) -> None:
    """A reader besides: what it may not write as itself, it may write as another."""
    database = given.database
    for what, statements in WRITERS.items():
        url = given.login("reader", options="noinherit")
        names = {
            name: sql.Identifier(one)
            for name, one in (
                ("login", user(url)),
                ("role", user(given.login())),
                ("between", user(given.login())),
            )
        }
        with database.connect_admin() as admin:
            before = admin.execute(
                "select oid::regclass::text, relacl::text from pg_class where relacl is not null"
            ).fetchall()
            assert before
            for statement in statements:
                admin.execute(sql.SQL(statement).format(**names))
            with idle(url) as login:
                assert held_back_by(database) == [login], what
                settings = database.settings.replaced({"holdback_ignore_roles": login})
                with database.connect("run", writes_sources=False) as connection:
                    opened = run.open_run(connection, settings, at=None, run_key=what)
                assert opened.held_back_by == (), what
            admin.execute("revoke delete on consumers from public")
            admin.execute("drop table if exists staging")
            admin.execute("drop view if exists events")
            admin.execute("drop function if exists put()")


@pytest.mark.both_versions
def test_a_superuser_and_a_forged_tag_hold_a_run_back(given: Roles) -> None:
    database = given.database
    with idle(given.login(options="superuser")) as login:
        assert held_back_by(database) == [login]
    url = given.login()
    with database.connect_admin() as admin:
        admin.execute(
            sql.SQL("grant insert on customer_events to {}").format(sql.Identifier(user(url)))
        )
    with as_(url) as writer:
        writer.execute("set application_name = 'consumer-analytics run'")
        tags.put(writer, Tag.READER)
        writer.execute("begin")
        assert held_back_by(database) == [user(url)]


@pytest.mark.both_versions
def test_a_prepared_transaction_of_one_who_cannot_write_holds_no_run_back(given: Roles) -> None:
    database = given.database
    with database.connect_admin() as admin:
        (most,) = admin.execute("show max_prepared_transactions").fetchone() or ("0",)
    if most == "0":
        pytest.skip("the server prepares no transactions")
    url = given.login("reader")
    gid = uuid.uuid4().hex
    with as_(url) as reader:
        reader.execute("begin")
        reader.execute("select pg_current_xact_id()")
        reader.execute(f"prepare transaction '{gid}'")
        assert held_back_by(database) == []
        reader.execute(f"rollback prepared '{gid}'")


def test_looking_stays_cheap_with_readers_about(given: Roles) -> None:
    """A look is asked for ten times a second while a run waits; most finds are readers."""
    database = given.database
    with database.connect("run", writes_sources=False) as connection, idle(given.login("reader")):
        from consumer_analytics.etl import holdback

        at = dt.datetime.now(dt.UTC)
        took = []
        for _ in range(5):
            started = dt.datetime.now(dt.UTC)
            holdback.look(connection, at, [])
            took.append(dt.datetime.now(dt.UTC) - started)
    assert min(took) < dt.timedelta(milliseconds=100)


# -- revisions ------------------------------------------------------------------------------------


def test_etl_erases_no_revision_by_pretending_to_thin(given: Roles) -> None:
    database = given.database
    database.execute(
        "insert into consumer_analytics_revisions "
        "(analytics_id, snapshot_timestamp, metrics_json, reported_from, reason) "
        "values (1, '2025-01-01', '{}', '2025-01-01', 'test')"
    )
    with as_(given.login("etl")) as etl:
        etl.execute(
            f"insert into {INTERNAL}.thinned_snapshots (snapshot_timestamp, rows_removed) "
            "values ('2025-01-01', 1)"
        )
        etl.execute("delete from consumer_analytics")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            etl.execute(f"select * from {INTERNAL}.forget_thinned_revisions('{{2025-01-01}}')")
    assert database.rows("select count(*) from consumer_analytics_revisions") == [(1,)]


# -- a database of before ----------------------------------------------------------------------


@pytest.mark.long
def test_an_upgrade_takes_rights_and_needs_no_new_ones(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    """What was granted before 0022 goes on working; what everybody could call nobody can."""
    database = empty_database
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    before = tuple(one for one in schema.migrations() if one.version <= "0021")
    revisions = ScriptDirectory._upgrade_revs

    def until(script: ScriptDirectory, _: str, current: str) -> Any:
        return revisions(script, "0021", current)

    with monkeypatch.context() as patched:
        patched.setattr(schema, "migrations", lambda: before)
        patched.setattr(ScriptDirectory, "_upgrade_revs", until)
        assert len(schema.migrate(database.settings)) == len(before)
    made = Roles(database)
    url = made.login()
    login = sql.Identifier(user(url))
    try:
        with database.connect_admin() as admin:
            for statement in (
                f"grant usage on schema {INTERNAL} to {{}}",
                f"grant select, insert, update, delete on all tables in schema {INTERNAL} to {{}}",
                f"grant select, update on all sequences in schema {INTERNAL} to {{}}",
                "grant select, insert, update, delete on consumer_analytics to {}",
                "grant select, insert on consumer_analytics_revisions to {}",
                "grant select, insert, update on etl_job_watermarks to {}",
                "grant select on consumers, customers, customer_events to {}",
                f"grant execute on function {INTERNAL}.forget_thinned_revisions to {{}}",
                "grant pg_read_all_stats to {}",
            ):
                admin.execute(sql.SQL(statement).format(login))
        assert [one.version for one in schema.migrate(database.settings)][:1] == ["0022"]
        settings = made.settings(url)
        with db.connected(settings, "run") as connection:
            run.run(connection, settings)
        for command in (
            ["run"],
            ["sweep"],
            ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
        ):
            done = cli(*command, env={"CONSUMER_ANALYTICS_DATABASE_URL": url})
            assert done.exit_code == 0, (command, done.stderr)
        assert (
            database.rows(
                "select proname from pg_proc join pg_namespace n on n.oid = pronamespace "
                "where nspname in ('public', %s) and has_function_privilege('public', pg_proc.oid, "
                "'execute')",
                [INTERNAL],
            )
            == []
        )
        with as_(url) as login_, pytest.raises(psycopg.errors.InsufficientPrivilege):
            login_.execute(f"select {INTERNAL}.forget_thinned_revisions('{{}}')")
        # Capture's functions as a new database has them.
        fresh = "select proname, prosrc from pg_proc where proname like 'capture\\_%' order by 1"
        assert all("is_plain_type" in source for _, source in database.rows(fresh))
    finally:
        made.clean()


@pytest.mark.long
def test_two_migrations_at_once_and_roles_meanwhile(
    empty_database: Database, database: Database
) -> None:
    with database.connect("migrate") as other, other.transaction():
        locks.take(other, Lock.MIGRATE)
        with pytest.raises(BusyError, match="a migration is at work"):
            roles.apply(database.settings)
    with empty_database.connect("migrate") as other:
        other.execute(f"create schema {INTERNAL}")
        other.execute(
            f"create table {INTERNAL}.alembic_version (version_num varchar(32) primary key)"
        )
        with other.transaction():
            locks.take(other, Lock.MIGRATE)
            with pytest.raises(BusyError, match="another `consumer-analytics migrate` is at work"):
                schema.migrate(empty_database.settings)
    assert schema.migrate(empty_database.settings)
