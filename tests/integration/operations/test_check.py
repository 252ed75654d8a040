"""The check before anything is written: by a login that may only read, in a database without us."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.conftest import Cli, Database
from tests.support import lanes, pooler

from consumer_analytics.db import connection as db
from consumer_analytics.db import schema
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import run
from consumer_analytics.fields import Secret
from consumer_analytics.operations import check, doctor
from consumer_analytics.operations.check.estimate import estimate
from consumer_analytics.operations.doctor.findings import Context, Examined, Verdict
from consumer_analytics.settings import PREFIX

TABLES = """
create table consumers (
    consumer_id uuid primary key, name text, status text, created_at timestamptz not null
);
create table customers (
    customer_id uuid primary key,
    consumer_id uuid,
    status text,
    created_at timestamptz not null,
    updated_at timestamptz
);
create table customer_events (
    event_id uuid primary key,
    customer_id uuid,
    consumer_id uuid,
    event_type text,
    payload_json jsonb,
    created_at timestamptz not null
);
create index events_by_time on customer_events (created_at);
create index events_by_customer on customer_events (customer_id);
insert into consumers
select gen_random_uuid(), 'Consumer ' || n, 'ACTIVE', '2025-01-01' from generate_series(1, 5) as n;
insert into customers
select gen_random_uuid(), consumer_id, 'ACTIVE', '2025-02-01'
from consumers, generate_series(1, 40);
insert into customer_events
select
    gen_random_uuid(), customer_id, consumer_id, 'type ' || n % 4, '{}',
    '2025-03-01'::timestamptz + n * interval '6 hours'
from customers, generate_series(0, 99) as n;
analyze consumers, customers, customer_events
"""


@dataclass
class Own:
    """A database that we have not been set up in, and a login that may only read the sources.

    Attributes:
        database: as its owner sees it.
        seen: as the login does.
        login: its name.
    """

    database: Database
    seen: Database
    login: str

    def admin(self, statement: str) -> None:
        """Run statements as the server's admin; `{login}` is the login."""
        with self.database.connect_admin() as admin:
            admin.execute(statement.replace("{login}", self.login))

    def look(self, **changes: Any) -> dict[str, Examined]:
        """Let the check look, as the command does; return what it found, by name."""
        settings = self.seen.settings.replaced(changes)
        try:
            connection = db.connect(settings, "check", as_admin=True)
        except ConsumerAnalyticsError as error:
            context = Context(settings, refusal=error)
            return {one.check.name: one for one in check.examine(context, lambda _: None)}
        with connection:
            check.read_only(connection)
            context = Context(settings, connection)
            return {one.check.name: one for one in check.examine(context, lambda _: None)}

    def found(self, **changes: Any) -> dict[str, Examined]:
        """Return only what is not as it should be."""
        return {
            name: one for name, one in self.look(**changes).items() if one.verdict is not Verdict.OK
        }


@pytest.fixture
def own(empty_database: Database) -> Iterator[Own]:
    if empty_database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    # In a session that does not stay: some tests are about who else is there.
    with empty_database.connect() as connection:
        connection.execute(TABLES)
    name = f"ca_test_{uuid.uuid4().hex[:8]}"
    url = make_conninfo(empty_database.url, user=name, password="")
    settings = empty_database.settings.replaced({"database_url": Secret(url)})
    seen = Database(url, settings, empty_database.server, empty_database.name)
    made = Own(empty_database, seen, name)
    made.admin(
        "create role {login} login; grant pg_read_all_stats to {login};"
        "grant select on consumers, customers, customer_events to {login}"
    )
    yield made
    made.admin("drop owned by {login}; drop role {login}")


def catalogue(database: Database) -> list[Any]:
    """Return all that there is: objects, rights, settings and rows, each as it was last written."""
    with database.connect_admin() as admin:
        return [
            admin.execute(statement).fetchall()
            for statement in (
                "select oid, relacl::text from pg_class order by 1",
                "select oid, xmin from pg_namespace order by 1",
                "select oid, xmin from pg_proc order by 1",
                "select setdatabase, setrole, setconfig from pg_db_role_setting order by 1, 2",
                "select ctid, xmin from consumers order by 1",
                "select ctid, xmin from customers order by 1",
                "select ctid, xmin from customer_events order by 1",
            )
        ]


# -- a login that may only read --------------------------------------------------


@pytest.mark.both_versions(each_change=True)
def test_all_is_well_and_nothing_is_written(own: Own) -> None:
    before = catalogue(own.database)
    told = Cli(own.seen)("check", "--json")
    assert told.exit_code == 0, told.stdout + told.stderr
    assert catalogue(own.database) == before
    assert (told.json["verdict"], told.json["found"]) == ("ok", 0)
    costs = told.json["estimates"]
    assert costs["rows_estimated"] == {"consumers": 5, "customers": 200, "customer_events": 20_000}
    assert (costs["first_event"][:10], costs["last_event"][:10]) == ("2025-03-01", "2025-03-25")
    assert costs["days"] == 25
    assert costs["first_run"]["events_estimated"] == 20_000
    assert costs["first_run"]["seconds_estimated"] > 0
    assert costs["backfill_of_a_year"]["snapshots_estimated"] == 6 * 25


def test_events_that_nobody_has_analyzed_are_told_by_their_size(own: Own) -> None:
    own.admin(
        "create table loaded as select * from customer_events; drop table customer_events;"
        "alter table loaded rename to customer_events; grant select on customer_events to {login};"
        "create index on customer_events (created_at)"
    )
    costs = Cli(own.seen)("check", "--json").json["estimates"]
    for told in (
        costs["rows_estimated"]["customer_events"],
        costs["first_run"]["events_estimated"],
        costs["backfill_of_a_year"]["events_estimated"],
    ):
        assert 20_000 / 3 < told < 20_000 * 3


def test_of_an_empty_database_it_says_what_makes_the_tables_and_that_little_takes_no_time(
    empty_database: Database,
) -> None:
    cli = Cli(empty_database)
    done = cli("check")
    told = done.stdout
    assert "consumer-analytics migrate" in told
    assert "create table" not in told
    # A warning: what a run lacks is made by the next command.
    assert done.exit_code == 1
    assert "warning  source-columns" in told
    assert cli("migrate").exit_code == 0
    costs = cli("check", "--json").json["estimates"]
    assert costs["first_run"]["events_estimated"] == 0
    assert costs["first_run"]["seconds_estimated"] < 2


def test_people_get_a_table(own: Own) -> None:
    told = Cli(own.seen)("check").stdout
    assert "ok       source-columns" in told
    assert "customer_events is a table" in told
    assert "nothing of ours is here yet, and this login may not make it" in told
    assert "about 5 consumers, 200 customers, 20,000 customer_events from 2025-03-01" in told
    assert f"{len(check.CHECKS)} checks, nothing found" in told
    assert "the first run" in told
    assert "a daily backfill of 25 days" in told


def test_the_session_can_write_nothing(own: Own) -> None:
    with db.connected(own.database.settings, "check") as connection:
        check.read_only(connection)
        for statement in ("delete from customers", "create table mine ()"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                connection.execute(statement)


def test_whoever_owns_the_database_is_told_to_migrate(own: Own) -> None:
    with db.connected(own.database.settings, "check") as connection:
        says = check.ours(Context(own.database.settings, connection)).says
    assert says == (
        "nothing of ours is here yet; this login may make it: consumer-analytics migrate"
    )


# -- what a run would be refused for, or be slow by ------------------------------

#: A fault, the check that finds it, its verdict, what mends it, and whether that is SQL.
FAULTS = {
    "no right": (
        "revoke select on customers from {login}",
        "source-columns",
        Verdict.PROBLEM,
        'GRANT SELECT ON "public"."customers" TO "{login}";',
    ),
    "no right to a column": (
        """
        revoke select on customers from {login};
        grant select (customer_id, consumer_id, created_at) on customers to {login}
        """,
        "source-columns",
        Verdict.PROBLEM,
        'GRANT SELECT ("status") ON "public"."customers" TO "{login}";',
    ),
    "no right to the schema": (
        "revoke usage on schema public from public",
        "source-columns",
        Verdict.PROBLEM,
        'GRANT USAGE ON SCHEMA "public" TO "{login}";',
    ),
    "no column": (
        "alter table customer_events drop payload_json",
        "source-columns",
        Verdict.PROBLEM,
        (
            'ALTER TABLE "public"."customer_events" ADD "payload_json" jsonb;   '
            "-- empty in every row: one that was renamed or dropped has to come back instead"
        ),
    ),
    "another type": (
        "alter table customers alter status type bytea using status::bytea",
        "source-columns",
        Verdict.PROBLEM,
        (
            'ALTER TABLE "public"."customers" ALTER "status" TYPE text;   '
            "-- or offer a view that casts it"
        ),
    ),
    "row security": (
        "alter table customers enable row level security",
        "schema-row-security",
        Verdict.PROBLEM,
        'ALTER ROLE "{login}" BYPASSRLS;',
    ),
    "no index": (
        "drop index events_by_time",
        "source-index",
        Verdict.WARNING,
        'create index concurrently on "public"."customer_events" (created_at);',
    ),
    "no index by customer": (
        """
        drop index events_by_customer;
        create index on customer_events (customer_id) where event_type = 'customer_creation'
        """,
        "source-customer-index",
        Verdict.WARNING,
        'create index concurrently on "public"."customer_events" (customer_id);',
    ),
    "rows without a time": (
        """
        alter table customers alter created_at drop not null;
        update customers set created_at = null
        """,
        "source-times",
        Verdict.WARNING,
        'give them a time; then: ALTER TABLE "public"."customers" ALTER created_at SET NOT NULL',
    ),
    "namesake": (
        "create table consumer_analytics ()",
        "schema-migrations",
        Verdict.PROBLEM,
        "install the release that made it, or use another database",
    ),
    "sessions unseen": (
        "revoke pg_read_all_stats from {login}",
        "database-sessions",
        Verdict.WARNING,
        'GRANT pg_read_all_stats TO "{login}";   -- as a superuser',
    ),
}


@pytest.mark.parametrize("fault", lanes.first(6, FAULTS))
def test_a_fault_is_found_and_what_mends_it(own: Own, fault: str) -> None:
    made, name, verdict, mends = FAULTS[fault]
    own.admin(made)
    found = own.found()
    one = found.pop(name)
    assert one.verdict is verdict
    assert one.finding.fix is not None
    mends = mends.replace("{login}", own.login)
    assert one.finding.fix.command == mends
    # What depends on columns is not asked; nothing else is found.
    assert {other.verdict for other in found.values()} <= {Verdict.UNKNOWN}
    assert all(key.startswith("source-") or fault == "no right to the schema" for key in found)
    if mends.partition("   --")[0].endswith(";"):
        own.admin(mends.replace("TYPE text", "TYPE text using null"))
        assert own.found() == {}


def test_tables_in_another_schema_are_found_there(own: Own) -> None:
    own.admin(
        'create schema "the app"; grant usage on schema "the app" to {login};'
        + ";".join(
            f'alter table {table} set schema "the app"'
            for table in ("consumers", "customers", "customer_events")
        )
    )
    one = own.found()["source-columns"]
    assert len(one.finding.evidence) == 3
    assert one.finding.fix is not None
    assert one.finding.fix.command == f"export {PREFIX}SOURCE_SCHEMA='the app'"
    assert own.found(source_schema="the app") == {}


@pytest.mark.long
def test_times_without_a_zone_whose_writers_have_another(own: Own) -> None:
    own.admin("alter table customer_events alter created_at type timestamp")
    assert own.look()["source-zone"].finding.says == (
        "customer_events.created_at has no zone, and is read as UTC"
    )
    own.admin("alter table customer_events alter created_at set default now()")
    assert own.found() == {}
    own.admin("alter role {login} set timezone = 'Europe/Berlin'")
    found = own.found()
    assert list(found) == ["source-zone"]
    assert found["source-zone"].finding.evidence == (
        "customer_events.created_at is by default now()",
        f"sessions of {own.login} are in Europe/Berlin",
    )
    fix = found["source-zone"].finding.fix
    assert fix is not None
    own.admin(fix.command.splitlines()[0])
    assert own.found() == {}


def test_nulls_are_told_with_what_becomes_of_them(own: Own) -> None:
    assert own.look()["source-nulls"].finding.evidence == ()
    own.admin(
        "update customer_events set consumer_id = null where event_type = 'type 1';"
        "analyze customer_events"
    )
    finding = own.look()["source-nulls"].finding
    assert finding.verdict is Verdict.OK
    assert finding.evidence == (
        (
            "about 25.00 % of customer_events.consumer_id: counted as unattributed, for the whole "
            "system alone"
        ),
    )


def test_views_and_what_hides_rows_in_flight(own: Own) -> None:
    own.admin(
        "alter table customers rename to people;"
        "create view customers as select * from people; grant select on customers to {login}"
    )
    look = own.look()
    assert look["source-in-flight"].verdict is Verdict.OK
    assert "customers is a view" in look["source-in-flight"].finding.evidence
    own.admin(
        "drop view customers; create materialized view customers as select * from people;"
        "grant select on customers to {login}"
    )
    assert {name: one.verdict for name, one in own.found().items()} == {
        "source-in-flight": Verdict.PROBLEM
    }


@pytest.mark.parametrize("kind", ["open", "prepared"])
def test_an_old_transaction_holds_a_run_back(own: Own, kind: str) -> None:
    """Where there is nothing of ours that could have noted when a prepared one began."""
    with own.database.server.connect_admin(own.database.name) as other:
        other.execute("begin")
        other.execute("delete from customer_events where false")
        if kind == "prepared":
            other.execute("prepare transaction 'left behind'")
        one = own.found(holdback_wait=0)["watermark-transactions"]
        assert one.verdict in {Verdict.WARNING, Verdict.PROBLEM}
        assert one.finding.fix is not None
        ends = "ROLLBACK PREPARED 'left behind'" if kind == "prepared" else "pg_terminate_backend"
        assert ends in one.finding.fix.command
        other.execute("rollback prepared 'left behind'" if kind == "prepared" else "rollback")


def test_sessions_that_cannot_be_seen_are_a_problem_while_they_are_there(own: Own) -> None:
    own.admin("revoke pg_read_all_stats from {login}")
    with own.database.connect():
        found = own.found()
        assert found["database-sessions"].verdict is Verdict.PROBLEM
        assert own.database.server.role is not None
        assert own.database.server.role in found["database-sessions"].finding.evidence[0]
        assert found["watermark-transactions"].verdict is Verdict.PROBLEM
        assert Cli(own.seen)("check").exit_code == 2


def test_a_run_refuses_as_soon_as_sessions_are_there_that_cannot_be_seen(own: Own) -> None:
    own.admin("revoke pg_read_all_stats from {login}")
    with db.connected(own.seen.settings, "check") as connection:
        hidden = connection.execute(
            "select count(*) from pg_stat_activity where backend_type = 'client backend' "
            "and usesysid <> (select oid from pg_roles where rolname = current_user)"
        ).fetchone()
        assert hidden is not None
    (found,) = (one for one in own.found().values() if one.check.name == "database-sessions")
    assert found.finding.cause is not None
    assert ("as soon as another login is connected" in found.finding.cause) == (
        found.verdict is Verdict.WARNING
    )


def test_rights_that_are_lacking_after_an_installation_are_summed_up(own: Own) -> None:
    assert Cli(own.database)("migrate").exit_code == 0
    (found,) = (one for one in own.found().values() if one.check.name == "schema-grants")
    assert found.verdict is Verdict.PROBLEM
    evidence, fix = found.finding.evidence, found.finding.fix
    assert len(evidence) == 6
    assert re.fullmatch(r"and \d\d+ more", evidence[-1])
    assert fix is not None
    assert len(fix.command.splitlines()) <= 2


@pytest.mark.long
def test_a_lock_is_not_explained_by_a_check_that_there_is_not(own: Own) -> None:
    with own.database.connect() as other:
        other.execute("begin; lock table customer_events in access exclusive mode")
        said = " ".join(one.finding.says for one in own.found().values())
    named = set(re.findall(r"see ([a-z]+-[a-z-]+)", said))
    assert "another session has locked a table" in said
    assert named <= {one.name for one in check.CHECKS}


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pooler_is_told_of(own: Own, mode: str) -> None:
    with pooler.between(own.database, mode) as url:
        told = Cli(own.seen)("check", "--json", env={f"{PREFIX}DATABASE_URL": url}).json
    checks = {one["check"]: one for one in told["checks"]}
    if mode == "session":
        assert checks["database-pooler"]["says"].startswith("a pooler stands between")
        assert told["verdict"] == "ok"
    else:
        assert checks["database"]["verdict"] == "problem"
        assert checks["database"]["fix"]["command"].startswith("pool_mode = session")
        assert told["estimates"] is None


def test_a_database_that_is_not_there(own: Own) -> None:
    url = make_conninfo(own.seen.url, dbname="nothing_of_this_name")
    told = Cli(own.seen)("check", env={f"{PREFIX}DATABASE_URL": url})
    assert told.exit_code == 2
    assert "the database cannot be used" in told.stdout
    assert "what it will take cannot be told" in told.stdout
    assert "1 check, 1 finding" in told.stdout, "one is enough"
    assert "Traceback" not in told.stderr


# -- one voice with the doctor, and with what comes ------------------------------


def test_the_doctor_says_the_same_in_the_same_words(own: Own) -> None:
    schema.migrate(own.database.settings)
    own.admin(
        "alter table customers enable row level security;"
        "drop index events_by_time;"
        "revoke select on consumers from {login}"
    )
    with db.connect(own.seen.settings, "doctor", as_admin=True) as connection:
        context = Context(own.seen.settings, connection)
        doctors = {one.check.name: one for one in doctor.examine(context, doctor.CHECKS)}
    ours = own.look()
    same = {"schema-migrations", "schema-grants", "schema-row-security", "source-columns"}
    assert {ours[name].finding.says for name in same} == {
        doctors[name].finding.says for name in same
    }
    for name in same | {"database-sessions", "database-pooler"}:
        assert ours[name].finding == doctors[name].finding
    assert {ours[name].verdict for name in same} == {Verdict.UNKNOWN, Verdict.PROBLEM}


def test_what_it_will_take_is_about_what_it_takes(own: Own) -> None:
    with db.connected(own.database.settings, "check") as connection:
        costs = estimate(connection, own.database.settings, indexed=True)
    schema.migrate(own.database.settings)
    with db.connected(own.database.settings, "run") as connection:
        assert run.run(connection, own.database.settings).rows_read == costs.first_run.events
    ((cells, size),) = own.database.rows(
        "select (select count(*) from consumer_analytics_internal.event_days), "
        "(select sum(pg_relation_size(oid)) from pg_class where oid in ("
        "'consumer_analytics'::regclass, 'consumer_analytics_internal.event_days'::regclass))"
    )
    assert cells == 5 * 25 * 4
    assert size / 3 < costs.first_run.bytes < size * 3


@pytest.mark.parametrize("indexed", [True, False])
def test_without_an_index_the_days_are_the_planners(own: Own, indexed: bool) -> None:
    with db.connected(own.seen.settings, "check") as connection:
        costs = estimate(connection, own.seen.settings, indexed=indexed)
    assert costs.days == 25
    assert costs.sampled == costs.year.events == 20_000


def test_tables_that_nobody_has_analyzed_are_counted_where_they_are_small(own: Own) -> None:
    own.admin(
        "create table loaded (like consumers); insert into loaded select * from consumers;"
        "drop table consumers; alter table loaded rename to consumers;"
        "create table held (like customer_events) with (autovacuum_enabled = off);"
        "insert into held select * from customer_events;"
        "drop table customer_events; alter table held rename to customer_events;"
        "grant select on consumers, customer_events to {login}"
    )
    told = Cli(own.seen)("check").stdout
    # Without an index by time, too.
    assert "customer_events has no usable index on created_at" in told
    assert "about 0 rows" not in told
    assert "about 5 consumers, 200 customers, 20,000 customer_events from 2025-03-01" in told
    assert "a daily backfill of 25 days" in told


@pytest.mark.long
def test_what_nobody_can_tell_is_said(own: Own) -> None:
    own.admin(
        "create table held (like customer_events) with (autovacuum_enabled = off);"
        "insert into held select gen_random_uuid(), customer_id, consumer_id, event_type,"
        " payload_json, created_at from customer_events cross join generate_series(1, 6);"
        "drop table customer_events; alter table held rename to customer_events;"
        "grant select on customer_events to {login}"
    )
    told = Cli(own.seen)("check").stdout
    assert "how many days there are is not known" in told


def test_nothing_in_the_sources_takes_nothing(own: Own) -> None:
    own.admin("truncate consumers, customers, customer_events; analyze")
    told = Cli(own.seen)("check", "--json")
    assert told.exit_code == 0
    costs = told.json["estimates"]
    assert (costs["first_event"], costs["events_sampled"]) == (None, 0)
