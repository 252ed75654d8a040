"""Source tables under names of their own: the same figures as under the product's names."""

from __future__ import annotations

import csv
import datetime as dt
import random
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg import sql
from psycopg.types.json import Jsonb
from tests.conftest import Cli, Database
from tests.support import lanes, own_names
from tests.support.history import random_history
from tests.support.own_names import WORDS
from tests.support.plans import Plans
from tests.support.roles import Roles

from consumer_analytics import backfill
from consumer_analytics.db import own_names as kept
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connect, connected
from consumer_analytics.errors import SchemaError, SourceError
from consumer_analytics.etl import capture, run, vanished
from consumer_analytics.ingest import simulate
from consumer_analytics.ingest.importer import import_directory
from consumer_analytics.mapping import PLAIN, SOURCES, Words, load
from consumer_analytics.operations import check
from consumer_analytics.operations.check.estimate import estimate
from consumer_analytics.operations.doctor import CHECKS, look
from consumer_analytics.operations.doctor.findings import Context, Verdict
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import PREFIX
from consumer_analytics.sql import source_rows
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials

UNTIL = dt.datetime(2025, 3, 11, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
PLAN = simulate.SimulationPlan(
    until=UNTIL, consumers=3, customers=60, events=500, days=10, seed=7, event_types=3
)
SNAPSHOTS = """
select consumer_id, snapshot_timestamp, metrics_json
from consumer_analytics
order by snapshot_timestamp, consumer_id
"""
NOW = """
select consumer_id, metrics_json
from consumer_analytics_internal.figures_at('2025-03-15', null)
order by consumer_id
"""
#: What an application does: rows that come late, change and go, and lifecycle events beside them.
CHANGES = """
set search_path = application, public;
insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select
    gen_random_uuid(), customer_id, consumer_id, 'login', '{}', created_at + interval '1 hour'
from customers
order by customer_id
limit 5;
update customer_events set event_type = 'search'
where event_type = 'login' and created_at < '2025-03-05';
delete from customer_events where event_type = 'page_view' and created_at < '2025-03-03';
update customers set status = 'MERGED'
where customer_id = (select min(customer_id::text)::uuid from customers);
delete from customers where customer_id = (select max(customer_id::text)::uuid from customers);
insert into customers (customer_id, consumer_id, status, created_at)
select '<new>', min(consumer_id::text)::uuid, '<active>', '2025-03-04'
from customers;
insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select
    gen_random_uuid(),
    customer_id,
    consumer_id,
    '<customer_status_change>',
    jsonb_build_object('<old_status_key>', '<inactive>', '<new_status_key>', '<active>'),
    '2025-03-06'
from customers
where customer_id = '<new>';
insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select
    gen_random_uuid(),
    '<gone>',
    consumer_id,
    told.event_type,
    jsonb_build_object('<status_key>', '<inactive>'),
    told.at::timestamptz
from customers
cross join (
    values ('<customer_creation>', '2025-03-03'), ('<customer_deletion>', '2025-03-07')
) as told (event_type, at)
where customer_id = '<new>';
reset search_path;
"""


@pytest.fixture
def mapped(new_database: Callable[..., Database], tmp_path: Path) -> Database:
    """Return a migrated database whose source tables have the most hostile names."""
    database = new_database(migrated=False, sources_file=own_names.mapping_file(tmp_path))

    def fill() -> None:
        own_names.make_tables(database)
        schema.migrate(database.settings)

    database.prepared("own names", fill)
    return database


def words_of(database: Database) -> Words:
    return database.settings.sources.words


def change(database: Database, nth: int) -> None:
    """Let an application change rows, in the database's own words."""
    text = CHANGES
    own = {"new": str(uuid.UUID(int=nth)), "gone": str(uuid.UUID(int=100 + nth))}
    for name, word in [*words_of(database).items(), *own.items()]:
        text = text.replace(f"<{name}>", word.replace("'", "''"))
    database.execute(text)


def figures(database: Database, statement: str = SNAPSHOTS) -> list[tuple[Any, ...]]:
    """Return what figures say, in the product's words."""
    known = {
        own: getattr(Words(), name)
        for name, own in words_of(database).items()
        if not name.endswith("_key")
    }

    def told(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {known.get(key, key): n for key, n in value.items()}

    return [
        (*whose, {key: told(value) for key, value in metrics.items()})
        for *whose, metrics in database.rows(statement)
    ]


def steps(database: Database) -> Iterator[object]:
    """Do all that changes figures, and yield what they are after each step."""
    settings = database.settings
    with database.connect() as connection:
        made = simulate.simulate(connection, settings, PLAN)
        yield made.events, made.customers, made.status_changes
        run.run(connection, settings, at=UNTIL - 2 * DAY)
        yield figures(database)
        backfill.backfill(
            connection, settings, backfill.request_of("2025-03-02", "2025-03-08", "daily")
        )
        yield figures(database)
        capture.enable(connection, settings)
        assert capture.status(connection, settings).state == "on"
        change(database, 1)
        notes = database.rows(
            "select consumer_id, day, restates from consumer_analytics_internal.touched_days "
            "order by 1, 2, 3"
        )
        # A trigger that fails has everything counted again.
        assert notes
        assert all(day != dt.date.min for _, day, _ in notes)
        yield notes
        run.run(connection, settings, at=UNTIL)
        yield figures(database)
        capture.disable(connection, settings)
        change(database, 2)
        sweep.sweep(connection, settings, since=dt.date(2025, 3, 1))
        yield figures(database)
        found = audit.audit(connection, settings)
        assert found.differences == 0, found
        yield found.snapshots, found.rows, found.counted, found.in_source, found.vanished
        yield figures(database, NOW)
        # Purged, lifecycle events and all: they stay counted, until somebody takes them off.
        database.execute(
            "set search_path = application, public; "
            "delete from customer_events where created_at < '2025-03-03'; reset search_path"
        )
        run.run(connection, settings, at=UNTIL + DAY)
        yield figures(database)
        assert audit.audit(connection, settings).differences == 0
        listed = vanished.listing(connection, vanished.EVERYTHING, limit=5)
        yield listed.events, listed.notes
        sweep.sweep(connection, settings, accepted=vanished.EVERYTHING)
        yield figures(database)


@pytest.mark.both_versions
def test_every_step_leaves_the_same_figures(database: Database, mapped: Database) -> None:
    for plain, own in zip(steps(database), steps(mapped), strict=True):
        assert own == plain
    # Told under the user's own words.
    ((types, statuses),) = mapped.rows(
        "select metrics_json -> 'events_by_type_all_consumers', "
        "metrics_json -> 'customers_by_status_all_consumers' "
        "from consumer_analytics where consumer_id is null order by snapshot_timestamp desc limit 1"
    )
    assert {WORDS.customer_creation, WORDS.customer_status_change, WORDS.customer_deletion} < set(
        types
    )
    assert {WORDS.active, WORDS.inactive, "MERGED"} < set(statuses)
    assert not {"customer_status_change", "INACTIVE"} & {*types, *statuses}
    # Of the product's names it has made no table, and no other has a row too many.
    assert mapped.rows("select to_regclass('public.customers')") == [(None,)]


@lanes.LONG
@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_history_leaves_the_same_figures(
    database: Database, mapped: Database, seed: int
) -> None:
    begin = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
    with database.connect() as connection:
        random_history(connection, random.Random(seed), begin, begin + 6 * DAY)
    copied(database, mapped)
    for one in (database, mapped):
        with one.connect() as connection:
            for days in (2, 4, 7):
                run.run(connection, one.settings, at=begin + days * DAY)
            assert audit.audit(connection, one.settings).differences == 0
    assert figures(mapped) == figures(database)
    assert figures(mapped, NOW) == figures(database, NOW)


def copied(database: Database, mapped: Database) -> None:
    """Copy the rows of the product's tables into the mapped ones, in their own words."""
    own = {getattr(Words(), name): word for name, word in WORDS.items()}
    keys = {
        "customer_status_change": {"old_status": "old_status_key", "new_status": "new_status_key"},
        "customer_creation": {"status": "status_key"},
        "customer_deletion": {"status": "status_key"},
    }

    def payload(kind: str | None, said: Any) -> Any:
        if kind not in keys or not isinstance(said, dict):
            return said
        return {
            getattr(WORDS, keys[kind][key]): own.get(value, value) if value else value
            for key, value in said.items()
            if key in keys[kind]
        }

    with mapped.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "insert into application.consumers values (%s, %s, %s)",
            database.rows("select consumer_id, name, created_at from consumers"),
        )
        cursor.executemany(
            "insert into application.customers values (%s, %s, %s, %s)",
            [
                (customer, consumer, own.get(status, status), at)
                for customer, consumer, status, at in database.rows(
                    "select customer_id, consumer_id, status, created_at from customers"
                )
            ],
        )
        cursor.executemany(
            "insert into application.customer_events values (%s, %s, %s, %s, %s, %s)",
            [
                (*ids, own.get(kind, kind), Jsonb(payload(kind, said)), at)
                for *ids, kind, said, at in database.rows(
                    "select event_id, customer_id, consumer_id, event_type, payload_json, "
                    "created_at from customer_events"
                )
            ],
        )


@lanes.LONG
def test_statements_read_the_tables_by_the_same_plans(
    database: Database, mapped: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = simulate.SimulationPlan(UNTIL, consumers=10, customers=1_500, events=30_000, days=60)
    own = {one.name: one.known for one in mapped.settings.sources.tables}
    seen: list[set[tuple[str, str, str]]] = []
    for one in (database, mapped):
        names = {known: known for known in SOURCES} if one is database else own
        with one.connect() as connection:
            simulate.simulate(connection, one.settings, plan)
            for table in one.settings.sources.tables:
                connection.execute(
                    sql.SQL("vacuum analyze {}").format(sql.Identifier(table.schema, table.name))
                )
            run.run(connection, one.settings, at=UNTIL - DAY)
            change(one, 1)
            with monkeypatch.context() as patch:
                plans = Plans(patch)
                run.run(connection, one.settings, at=UNTIL)
                sweep.sweep(connection, one.settings, days=3)
        seen.append(
            {
                (scan.statement, scan.kind, names[scan.table])
                for scan in plans.scans
                if scan.table in names
            }
        )
    assert seen[0] == seen[1]
    assert any("Index" in kind for _, kind, _ in seen[0])


ONE_TENANT = """
[consumers.columns]
name = { missing = true }
status = { missing = true }
created_at = { constant = 2025-01-01T00:00:00Z }
[customers.columns]
consumer_id = { constant = "%(tenant)s" }
status = { constant = "ACTIVE" }
updated_at = { missing = true }
[customer_events.columns]
consumer_id = { constant = "%(tenant)s" }
payload_json = { constant = { status = "ACTIVE" } }
"""


@lanes.LONG
def test_constants_stand_for_what_a_database_of_one_tenant_lacks(
    database: Database, tmp_path: Path
) -> None:
    tenant, anna, gone = (str(uuid.UUID(int=n)) for n in (1, 2, 3))
    database.execute(
        "alter table consumers drop name, drop status, drop created_at; "
        "alter table customers drop consumer_id, drop status, drop updated_at; "
        "alter table customer_events drop consumer_id, drop payload_json"
    )
    text = ONE_TENANT.replace("%(tenant)s", tenant)
    one = Database(
        database.url,
        database.settings.replaced({"sources_file": own_names.mapping_file(tmp_path, text)}),
        database.server,
        database.name,
    )
    schema.migrate(one.settings)
    with one.connect() as connection:
        capture.enable(connection, one.settings)
        run.run(connection, one.settings, at=UNTIL - DAY)
        database.execute(
            f"""
            insert into consumers values ('{tenant}');
            insert into customers values ('{anna}', '2025-03-01');
            insert into customer_events (event_id, customer_id, event_type, created_at)
            select gen_random_uuid(), '{gone}', kind, at::timestamptz
            from (
                values ('customer_creation', '2025-03-02'), ('customer_deletion', '2025-03-04')
            ) as told (kind, at)
            """
        )
        run.run(connection, one.settings, at=UNTIL)
        backfill.backfill(
            connection, one.settings, backfill.request_of("2025-03-02", "2025-03-05", "daily")
        )
        assert audit.audit(connection, one.settings).differences == 0
        ((now,),) = one.rows(
            "select metrics_json ->> 'active_customers' from consumer_analytics_now "
            f"where consumer_id = '{tenant}'"
        )
    active = dict(
        one.rows(
            "select to_char(snapshot_timestamp, 'MM-DD'), "
            "(metrics_json ->> 'active_customers')::int from consumer_analytics "
            f"where consumer_id = '{tenant}'"
        )
    )
    assert now == "1"
    assert active == {"03-03": 2, "03-04": 2, "03-05": 1, "03-10": 1, "03-11": 1}


@pytest.mark.both_versions
@lanes.LONG
def test_files_are_imported_under_the_products_names(mapped: Database, tmp_path: Path) -> None:
    shop, anna, event = (str(uuid.UUID(int=n)) for n in (1, 2, 3))
    files = {
        "consumers": [["consumer_id", "name", "status"], [shop, "Shop", "NEW"]],
        "customers": [
            ["customer_id", "consumer_id", "status", "created_at", "updated_at"],
            [anna, shop, WORDS.active, "2025-03-01T08:00:00Z", "2025-03-02T08:00:00Z"],
        ],
        "customer_events": [
            ["event_id", "customer_id", "consumer_id", "event_type", "payload_json", "created_at"],
            [event, anna, shop, WORDS.customer_creation, "{}", "2025-03-01T08:00:00Z"],
        ],
    }
    for table, rows in files.items():
        with (tmp_path / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    with mapped.connect() as connection:
        run.run(connection, mapped.settings, at=UNTIL)
        first = import_directory(connection, mapped.settings, tmp_path)
        again = import_directory(connection, mapped.settings, tmp_path)
    assert [one.inserted for one in first.tables] == [1, 1, 1]
    assert [one.already_there for one in again.tables] == [1, 1, 1]
    assert [one.ignored_columns for one in first.tables] == [["status"], ["updated_at"], []]
    assert first.touched_days > 0
    assert mapped.rows("select * from application.customers") == [
        (uuid.UUID(anna), uuid.UUID(shop), WORDS.active, dt.datetime(2025, 3, 1, 8, tzinfo=dt.UTC))
    ]


@lanes.LONG
def test_roles_and_pages_follow_the_names(mapped: Database) -> None:
    if mapped.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    made = Roles(mapped)
    try:
        with mapped.connect() as connection:
            simulate.simulate(connection, mapped.settings, PLAN)
        made.apply()
        # A run's login has the rights to run, and the dashboard's to show names.
        with connect(made.settings(made.login("etl")), "run") as connection:
            run.run(connection, mapped.settings, at=UNTIL)
        settings = made.settings(made.login("dashboard"))
        app = create_app(settings, authenticator=NoCredentials())
        with TestClient(app, base_url="http://127.0.0.1") as client:
            rows = client.get("/api/v1/consumers?sort=name&direction=asc").json()["rows"]
            assert [one["name"] for one in rows] == sorted(one["name"] for one in rows)
            assert len(rows) == 3
            who = client.get(f"/api/v1/consumers/{rows[0]['consumer_id']}").json()
            assert who["consumer"]["name"] == rows[0]["name"]
            assert client.get("/").status_code == 200
            assert client.get("/api/v1/freshness").status_code == 200
        with connect(settings, "test") as connection, pytest.raises(psycopg.errors.Error):
            connection.execute("select consumer_id from people.customer_events")
        # Nobody else reaches the tables, or calls what reads their rows for capture.
        for kind in ("reader", "tenant"):
            with psycopg.connect(made.login(kind), autocommit=True) as connection:
                for statement in (
                    "select from people.customer_events",
                    'select "%" from log.customers',
                    "select consumer_analytics_internal.source_names()",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(statement)
        called = mapped.rows(
            "select proname::text, rolname::text from pg_proc, pg_roles "
            "where pronamespace = 'consumer_analytics_internal'::regnamespace "
            "and proname like '%%_named' and rolname like %s "
            "and has_function_privilege(pg_roles.oid, pg_proc.oid, 'execute')",
            [f"{made.prefix}_%"],
        )
        assert {role for _, role in called} == {f"{made.prefix}_owner"}
        assert len(called) == len(kept.CAPTURE)
    finally:
        made.clean()


@lanes.LONG
def test_findings_follow_the_names(mapped: Database) -> None:
    with mapped.connect() as connection:
        simulate.simulate(connection, mapped.settings, PLAN)
        run.run(connection, mapped.settings, at=UNTIL)
    with mapped.connect() as connection:
        connection.execute('drop index log."customers_at\\time_idx"')
        context = Context(mapped.settings, connection)
        found = {
            one.name: look(one, context)
            for one in CHECKS
            if one.name.startswith(("source-", "schema-"))
        }
        wrong = {name: one for name, one in found.items() if one.verdict is not Verdict.OK}
        assert list(wrong) == ["source-index"], wrong
        index = wrong["source-index"]
        assert index.says == "log.customers has no usable index on at\\time"
        assert index.fix is not None
        assert index.fix.command == 'create index concurrently on "log"."customers" ("at\\time");'
        assert index.fix.apply is not None
        index.fix.apply(context)
        assert look(next(one for one in CHECKS if one.name == "source-index"), context).verdict is (
            Verdict.OK
        )
        costs = estimate(connection, mapped.settings, indexed=True)
        assert costs.rows["customer_events"] > 100
        check.read_only(connection)
        looked = {one.check.name: one.verdict for one in check.examine(context, lambda _: None)}
        assert looked["source-columns"] is Verdict.OK


@pytest.mark.both_versions
@lanes.LONG
def test_the_command_follows_the_file(mapped: Database) -> None:
    cli = Cli(mapped)
    env = {f"{PREFIX}SOURCES_FILE": str(mapped.settings.sources_file)}
    for command in (
        ["simulate", "--customers", "20", "--events", "200", "--days", "5"],
        ["run"],
        ["capture", "enable"],
        ["audit"],
        ["status"],
        ["metrics"],
    ):
        done = cli(*command, env=env)
        assert done.exit_code == 0, done
    # Another file, or none, is another database's.
    refused = cli("run")
    assert refused.exit_code == 1
    assert "the database takes consumers to be " in refused.stderr


# -- what bad input gets --------------------------------------------------------------------------


def test_without_the_file_it_is_told_what_the_database_takes_the_sources_to_be(
    mapped: Database,
) -> None:
    taken = kept.shown(mapped.settings.sources)
    forgotten = mapped.settings.replaced({"sources_file": None, "source_schema": "public"})
    with connected(forgotten, "test") as connection:
        with pytest.raises(SourceError, match=f"takes consumers to be {taken.partition(',')[0]}"):
            run.run(connection, forgotten, at=UNTIL)
        context = Context(forgotten, connection)
        found = {
            one.name: look(one, context)
            for one in CHECKS
            if one.name in {"source-columns", "source-names"}
        }
    assert f"the database: {taken}" in found["source-names"].evidence
    # Nobody is told to make tables that are there under other names.
    fix = found["source-columns"].fix
    assert fix is not None
    assert fix.command.endswith(f"the database takes the sources to be {taken}")


@pytest.mark.parametrize(
    "command",
    lanes.first(1, ["status", "alerts check", "health", "metrics", "/api/v1/freshness/health"]),
)
def test_without_the_file_what_only_reads_names_the_cause(mapped: Database, command: str) -> None:
    """It looked for tables of the product's names, and said that they are missing."""
    taken = kept.shown(mapped.settings.sources).partition(",")[0]
    told = f"the database takes consumers to be {taken}, the settings say public.consumers; set "
    with connected(mapped.settings, "test") as connection:
        run.run(connection, mapped.settings, at=UNTIL)
    if command.startswith("/"):
        forgotten = mapped.settings.replaced({"sources_file": None, "source_schema": "public"})
        app = create_app(forgotten, authenticator=NoCredentials())
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.get(command)
        assert (answer.status_code, answer.json()["detail"][: len(told)]) == (503, told)
        return
    done = Cli(mapped)(*command.split())
    assert done.exit_code == 1
    assert told in done.stderr
    assert "is missing" not in done.stderr


def test_without_the_file_nobody_is_told_that_capture_is_off(mapped: Database) -> None:
    forgotten = mapped.settings.replaced({"sources_file": None, "source_schema": "public"})
    with connected(mapped.settings, "test") as connection:
        capture.enable(connection, mapped.settings)
        for ask in (capture.status, capture.disable):
            with pytest.raises(SourceError, match="takes consumers to be "):
                ask(connection, forgotten)
        watched = next(one for one in CHECKS if one.name == "source-capture")
        assert look(watched, Context(forgotten, connection)).verdict is Verdict.UNKNOWN
        assert capture.status(connection, mapped.settings).state == "on"


def test_names_are_held_against_what_migrate_wrote_down(
    database: Database, cli: Cli, tmp_path: Path
) -> None:
    database.execute(
        "create schema crm; create table crm.consumers (like consumers); "
        "create table crm.customers (like customers); "
        "create table crm.customer_events (like customer_events)"
    )
    moved = database.settings.replaced({"source_schema": "crm"})
    with connected(moved, "test") as connection:
        with pytest.raises(SourceError, match=r"takes consumers to be public\.consumers.*migrate"):
            run.run(connection, moved, at=UNTIL)
        names = next(one for one in CHECKS if one.name == "source-names")
        assert look(names, Context(moved, connection)).verdict is Verdict.PROBLEM
        checked = cli("migrate", "--check", env={f"{PREFIX}SOURCE_SCHEMA": "crm"})
        assert (checked.exit_code, checked.stdout) == (1, "missing  the names of the sources\n")
        assert schema.migrate(moved) == []
        run.run(connection, moved, at=UNTIL)
        assert look(names, Context(moved, connection)).verdict is Verdict.OK
    mapping = own_names.mapping_file(tmp_path, 'schema = "crm"\n[values]\nACTIVE = "live"\n')
    worded = database.settings.replaced({"sources_file": mapping})
    with connected(worded, "test") as connection:
        with pytest.raises(SourceError, match="takes active to be ACTIVE, the settings say live"):
            run.run(connection, worded, at=UNTIL)
        schema.migrate(worded)
        run.run(connection, worded, at=UNTIL)


@pytest.mark.parametrize(
    ("text", "says"),
    lanes.first(
        1,
        [
            pytest.param(
                '[customers.columns]\nstatus = "state"\n',
                "public.customers has no state",
                id="column",
            ),
            pytest.param(
                '[customers]\ntable = "clients"\n',
                "table public.clients does not exist",
                id="table",
            ),
            pytest.param(
                '[consumers]\nschema = "crm"\n', "table crm.consumers does not exist", id="schema"
            ),
        ],
    ),
)
def test_what_a_mapping_names_must_be_there(
    database: Database, tmp_path: Path, text: str, says: str
) -> None:
    settings = database.settings.replaced({"sources_file": own_names.mapping_file(tmp_path, text)})
    with pytest.raises(SchemaError) as refused:
        schema.migrate(settings)
    assert says in str(refused.value)
    with connected(settings, "test") as connection, pytest.raises(SourceError) as of_a_run:
        run.run(connection, settings, at=UNTIL)
    assert "\n" not in str(of_a_run.value)


@lanes.LONG
def test_a_column_that_is_missing_must_be_said_to_be(database: Database, tmp_path: Path) -> None:
    database.execute(
        "alter table consumers rename name to title; alter table consumers drop status"
    )
    columns = '[consumers.columns]\nname = "title"\n'
    lacking = database.settings.replaced(
        {"sources_file": own_names.mapping_file(tmp_path, columns)}
    )
    schema_says = r"public\.consumers has no status"
    with pytest.raises(SchemaError, match=schema_says):
        schema.migrate(lacking)
    (tmp_path / "said").mkdir()
    said = database.settings.replaced(
        {
            "sources_file": own_names.mapping_file(
                tmp_path / "said", f"{columns}status = {{ missing = true }}\n"
            )
        }
    )
    schema.migrate(said)
    with connected(said, "test") as connection:
        run.run(connection, said, at=UNTIL)


def test_ids_that_are_no_uuids_are_refused(database: Database, tmp_path: Path) -> None:
    database.execute(
        "alter table customers rename customer_id to id; "
        "alter table customers alter id type text using id::text"
    )
    mapping = own_names.mapping_file(tmp_path, '[customers.columns]\ncustomer_id = "id"\n')
    settings = database.settings.replaced({"sources_file": mapping})
    schema.migrate(settings)
    with connected(settings, "test") as connection, pytest.raises(SourceError) as refused:
        run.run(connection, settings, at=UNTIL)
    assert str(refused.value) == (
        "column public.customers.id is text; it must be uuid, since what is counted and "
        "remembered is kept under ids that are UUIDs"
    )


# -- what is made from the product's own ----------------------------------------------------------


@lanes.LONG
def test_captures_functions_differ_in_names_alone(mapped: Database) -> None:
    rows = dict(
        mapped.rows(
            "select proname::text, prosrc from pg_proc "
            "where pronamespace = 'consumer_analytics_internal'::regnamespace"
        )
    )
    sources = mapped.settings.sources
    words = {
        sql.Literal(word).as_string(None).strip(): f"'{name}'"
        for name, word in WORDS.items()
        if name.startswith("customer_")
    }
    any_word = "|".join(map(re.escape, words))
    for plain, known in kept.CAPTURE.items():
        own = rows[kept.function(plain, sources)]
        assert kept.function(plain, PLAIN) == plain
        # Back to front: what was put in makes the first again.
        required = [name for name, column in SOURCES[known].items() if column.required]
        for seen in ("old_rows", "new_rows"):
            read = source_rows(sources, known, columns=required, read=sql.Identifier(seen))
            own = own.replace(read.as_string(None), seen).replace(f"{seen} as {seen}", seen)
        own = re.sub(any_word, lambda found: words[found[0]], own)
        columns = [name for name in required if name in sources[known].own]
        names = sql.SQL(", ").join(sql.Literal(sources[known].own[name]) for name in columns)
        (read_ones,) = re.findall(r"attname in \(([^)]*)\)", rows[plain])
        assert own.replace(names.as_string(None), read_ones) == rows[plain]


@lanes.LONG
def test_who_may_replace_what_is_run(mapped: Database) -> None:
    """What the names say is run by a function of the owner's: nobody else can say them."""
    rights = mapped.rows(
        "select proname::text, proacl::text from pg_proc "
        "where pronamespace = 'consumer_analytics_internal'::regnamespace "
        "and (proname like '%_named' or proname = 'source_names')"
    )
    assert len(rights) == len(kept.CAPTURE) + 1
    owner = mapped.rows("select current_user::text")[0][0]
    assert {acl for _, acl in rights} == {f"{{{owner}=X/{owner}}}"}


def test_a_mapping_that_says_nothing_new_is_none(tmp_path: Path) -> None:
    mapping = own_names.mapping_file(
        tmp_path, '[customers.columns]\nstatus = "status"\n[values]\nACTIVE = "ACTIVE"\n'
    )
    assert load(mapping, "public") == PLAIN


# -- nothing of the file is run -------------------------------------------------------------------

#: Names that read like what capture's functions say, and words that would end a name or a list.
PLANTED = r"""
[customers.columns]
status = "'customer_creation'"
[customer_events.columns]
event_type = "from new_rows"
payload_json = "source_column.attname in (x)"
[values]
customer_creation = 'x" from old_rows; drop table public.kept; --'
customer_deletion = "') and ('"
"""


def test_no_word_or_name_gets_out_of_where_it_stands(database: Database, tmp_path: Path) -> None:
    """Where a name reads like a word, the word was put into the middle of it."""
    database.execute(
        """
        create table kept ();
        alter table customers rename status to "'customer_creation'";
        alter table customers drop updated_at;
        alter table consumers drop name, drop status;
        alter table customer_events rename event_type to "from new_rows";
        alter table customer_events rename payload_json to "source_column.attname in (x)";
        """
    )
    lacking = (
        "[consumers.columns]\nname = { missing = true }\nstatus = { missing = true }\n"
        + PLANTED.replace(
            "[customer_events", "updated_at = { missing = true }\n[customer_events", 1
        )
    )
    settings = database.settings.replaced(
        {"sources_file": own_names.mapping_file(tmp_path, lacking)}
    )
    schema.migrate(settings)
    created = settings.sources.words.customer_creation
    put = (
        'insert into customer_events (event_id, customer_id, consumer_id, "from new_rows", '
        '"source_column.attname in (x)", created_at) '
        "values (gen_random_uuid(), %s, %s, %s, %s, %s)"
    )
    tenant, early, late = uuid.UUID(int=1), uuid.UUID(int=2), uuid.UUID(int=3)
    with connected(settings, "test") as connection:
        capture.enable(connection, settings)
        for customer, at in ((early, UNTIL - 5 * DAY), (late, UNTIL - 3 * DAY)):
            database.execute(
                "insert into customers (customer_id, consumer_id, \"'customer_creation'\", "
                "created_at) values (%s, %s, 'ACTIVE', %s)",
                [customer, tenant, at],
            )
            database.execute(put, [customer, tenant, created, Jsonb({"status": "ACTIVE"}), at])
            run.run(connection, settings, at=UNTIL if customer == late else UNTIL - 4 * DAY)
        # What comes late, changes and goes is noted by each of capture's functions.
        database.execute(put, [early, tenant, created, Jsonb({}), UNTIL - 5 * DAY])
        database.execute(
            'update customer_events set "from new_rows" = %s where customer_id = %s', ["x", late]
        )
        database.execute("update customers set \"'customer_creation'\" = 'BLOCKED'")
        database.execute("delete from customers where customer_id = %s", [late])
        noted = database.rows(
            "select distinct customer_id from consumer_analytics_internal.touched_customers"
        )
        assert {one for (one,) in noted} == {early, late}
        run.run(connection, settings, at=UNTIL + DAY)
        assert audit.audit(connection, settings).differences == 0
    assert database.rows("select to_regclass('public.kept') is not null") == [(True,)]
