"""Sources as people have them: what is accepted works everywhere, the rest is named."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Cli, Database
from tests.integration.reconcile.test_sweep import BEGIN, DAY, END, tamper
from tests.support import lanes
from tests.support.history import STATUSES, TYPES, random_history

from consumer_analytics import backfill
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import SourceError
from consumer_analytics.etl import capture, run, sources
from consumer_analytics.mapping import PLAIN
from consumer_analytics.operations import doctor
from consumer_analytics.operations.doctor.findings import Context, Finding, Verdict
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.reporting import consumers, ranges
from consumer_analytics.settings import PREFIX

LIFECYCLE = ["customer_creation", "customer_status_change", "customer_deletion"]
WORDS = [*STATUSES, *TYPES, *LIFECYCLE, " ", "Login", "a new type", "retyped", "FIXED", "CLOSED"]
#: What the columns are made of, and what has to be there for it.
KINDS = {
    "text": "",
    "varchar(60)": "",
    "char(60)": "",
    "name": "",
    "word": f"create type word as enum ({', '.join(f'{word!r}' for word in WORDS)})",
    "domain_text": "create domain domain_text as text check (value <> 'never')",
    "domain_varchar": "create domain domain_varchar as varchar(60)",
    "domain_enum": (
        f"create type word as enum ({', '.join(f'{word!r}' for word in WORDS)}); "
        "create domain domain_enum as word; "
    ),
    "domain_domain": "create domain inner_one as text; create domain domain_domain as inner_one",
    "citext": "create extension citext",
}


#: The figures of columns of text, by server and whether capture watched: for every kind the same.
OF_TEXT: dict[tuple[str, bool], dict[Any, Any]] = {}


def make(database: Database, kind: str) -> None:
    """Make status and event type of a kind."""
    with database.connect_admin() as admin:
        if KINDS[kind]:
            try:
                admin.execute(f"set role {psycopg.conninfo.conninfo_to_dict(database.url)['user']}")
                if kind == "citext":
                    admin.execute("reset role")
                admin.execute(KINDS[kind])
            except psycopg.errors.FeatureNotSupported:
                pytest.skip("this server has no citext")
    for table, column in (
        ("consumers", "status"),
        ("customers", "status"),
        ("customer_events", "event_type"),
    ):
        database.execute(
            f"alter table {table} alter {column} drop default, "
            f"alter {column} type {kind} using {column}::{kind}"
        )


def checked(database: Database) -> None:
    with connected(database.settings, "audit") as connection:
        found = audit.audit(connection, database.settings)
    assert (found.differences, found.missing, found.double) == (0, 0, 0), found.listed


def play(database: Database, *, watched: bool) -> dict[Any, Any]:
    """Do all that reads the sources; return every figure."""
    rng = random.Random(4)
    settings = database.settings
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END, customers=20, events=80)
        connection.execute(
            "insert into customer_events (event_id, event_type, created_at) values "
            "('00000000-0000-0000-0000-000000000001', 'Login', %s)",
            [BEGIN + DAY],
        )
    if watched:
        with database.connect("capture") as connection:
            capture.enable(connection, settings)
    for at in (BEGIN + 3 * DAY, END - DAY):
        with connected(settings, "run") as connection:
            run.run(connection, settings, at=at)
    checked(database)
    with database.connect() as connection:
        tamper(connection, rng, BEGIN + DAY)
    with connected(settings, "run") as connection:
        run.run(connection, settings, at=END)
    with connected(settings, "sweep") as connection:
        sweep.sweep(connection, settings, since=BEGIN.date())
    with connected(settings, "backfill") as connection:
        backfill.backfill(
            connection, settings, backfill.request_of("2025-03-01", "2025-03-08", "daily")
        )
    checked(database)
    return {
        (consumer, at): figures
        for consumer, at, figures in database.rows(
            "select consumer_id, snapshot_timestamp, metrics_json from consumer_analytics"
        )
    }


@pytest.mark.parametrize(
    ("kind", "watched"),
    # The one that is most of them at once first.
    lanes.seldom(
        2,
        lanes.each_once(
            ["domain_enum", *(kind for kind in KINDS if kind not in {"text", "domain_enum"})],
            [True, False],
            every=9,
        ),
    ),
)
@pytest.mark.both_versions
def test_status_and_type_of_any_kind_give_the_same_figures(
    new_database: Any, kind: str, watched: bool
) -> None:
    database = new_database()
    make(database, kind)
    on = (database.server.origin, watched)
    if on not in OF_TEXT:
        OF_TEXT[on] = play(new_database(), watched=watched)
    assert play(database, watched=watched) == OF_TEXT[on]


@pytest.mark.parametrize(
    "kind", lanes.first(1, ["char(60)", "word", "domain_enum", "domain_varchar", "citext"])
)
@pytest.mark.both_versions
def test_files_and_the_doctor_know_every_kind(
    database: Database, cli: Cli, kind: str, tmp_path: Path
) -> None:
    make(database, kind)
    one, two, three = (uuid.UUID(int=n) for n in (1, 2, 3))
    at = "2025-03-01T00:00:00Z"
    for name, text in {
        "consumers": f"consumer_id,name,status,created_at\n{one},A,ACTIVE,{at}\n",
        "customers": f"customer_id,consumer_id,status,created_at\n{two},{one},BLOCKED,{at}\n",
        "customer_events": "event_id,customer_id,consumer_id,event_type,payload_json,created_at\n"
        f'{three},{two},{one},customer_creation,"{{""status"": ""ACTIVE""}}",{at}\n',
    }.items():
        (tmp_path / f"{name}.csv").write_text(text)
    for _ in range(2):
        result = cli("import", str(tmp_path))
        assert result.exit_code == 0, result.stderr
    assert cli("run").exit_code == 0
    assert database.rows(
        "select metrics_json -> 'customers_by_status_all_consumers', "
        "metrics_json -> 'events_by_type_all_consumers' "
        "from consumer_analytics where consumer_id is null"
    ) == [({"BLOCKED": 1}, {"customer_creation": 1})]
    assert found(database, "source-columns").verdict is Verdict.OK
    # An enumeration may lack words that a simulated history has; that is said in a line.
    told = cli("simulate", "--consumers", "2", "--customers", "5", "--events", "20", "--append")
    if "enum" in kind or kind == "word":
        assert told.exit_code == 1
        assert "invalid input value for enum" in told.stderr
        assert told.stderr.count("\n") == 1
    else:
        assert told.exit_code == 0, told.stderr


@pytest.mark.parametrize(
    ("kind", "says"),
    [("integer", "is integer"), ("text[]", "is text[]"), ("pair", "is pair")],
)
def test_what_is_no_word_is_refused_by_name(database: Database, kind: str, says: str) -> None:
    database.execute(
        "create type pair as (a text, b text); "
        f"alter table customers drop column status; alter table customers add status {kind}"
    )
    with database.connect() as connection, pytest.raises(SourceError) as refused:
        run.run(connection, database.settings)
    assert f"column public.customers.status {says}" in str(refused.value)


@pytest.mark.both_versions
def test_a_collation_that_takes_words_for_one_is_refused_by_name(
    database: Database, cli: Cli
) -> None:
    """No pattern may be looked for under it, and words told apart here are one there."""
    try:
        database.execute(
            "create collation loose (provider = icu, locale = 'und-u-ks-level2', "
            "deterministic = false); create domain word as varchar(40) collate loose; "
            "create collation strict (provider = icu, locale = 'tr'); "
            # What is not read may have any.
            "alter table consumers alter name type text collate loose; "
            "alter table customers alter status type text collate strict; "
            "alter table customer_events alter event_type type word"
        )
    except psycopg.errors.FeatureNotSupported:
        pytest.skip("this server has no ICU")
    for command in (["run"], ["capture", "enable"], ["sweep"]):
        result = cli(*command)
        assert result.exit_code == 1
        assert "public.customer_events.event_type has the collation loose" in result.stderr
        assert result.stderr.count("\n") == 1
    finding = found(database, "source-columns")
    assert finding.verdict is Verdict.PROBLEM
    assert finding.fix is not None
    # What it prescribes works.
    database.execute(finding.fix.command)
    database.execute("insert into consumers values (gen_random_uuid(), 'Bank', null, '2025-03-01')")
    for command in (["capture", "enable"], ["run"], ["audit"]):
        assert cli(*command).exit_code == 0
    with database.connect() as connection:
        listed = consumers.page(connection, PLAIN, ranges.parse("all"), search="bank", sort="name")
    assert [row.name for row in listed.rows] == ["Bank"]


def found(database: Database, check: str, **changes: Any) -> Finding:
    """Return what the doctor says of one thing."""
    settings = database.settings.replaced(changes)
    with connected(settings, "doctor") as connection:
        (one,) = (one for one in doctor.CHECKS if one.name == check)
        return doctor.look(one, Context(settings, connection))


# -- what rows are read from ---------------------------------------------------------------------


@pytest.fixture
def foreign(database: Database) -> str:
    """Return a name for a foreign table with the columns of the events; nothing is behind it."""
    with database.connect_admin() as admin:
        admin.execute(
            "create foreign data wrapper nothing; create server elsewhere foreign data wrapper "
            "nothing; grant usage on foreign server elsewhere to public"
        )
    return (
        "create foreign table {} (event_id uuid, customer_id uuid, consumer_id uuid, "
        "event_type text, payload_json jsonb, created_at timestamptz) server elsewhere"
    )


def refusal(database: Database, **changes: Any) -> str:
    settings = database.settings.replaced(changes)
    with connected(settings, "run") as connection, pytest.raises(SourceError) as refused:
        run.run(connection, settings)
    return str(refused.value)


def test_a_foreign_table_is_refused_wherever_it_is(database: Database, foreign: str) -> None:
    database.execute("alter table customer_events rename to kept")
    database.execute(foreign.format("customer_events"))
    assert "read from public.customer_events, a foreign table" in refusal(database)
    database.execute("drop foreign table customer_events")

    database.execute(foreign.format("shard"))
    database.execute(
        "create view inner_one as select * from kept union all select * from shard; "
        "create view customer_events as select * from inner_one"
    )
    says = refusal(database)
    assert "customer_events is read from public.shard, a foreign table" in says
    assert "ACCEPT_UNSAFE_SOURCES" in says
    assert "\n" not in says
    database.execute("drop view customer_events; drop view inner_one")

    database.execute(
        "create table customer_events (like kept including defaults) "
        "partition by range (created_at); drop foreign table shard"
    )
    database.execute(
        "create foreign table shard partition of customer_events "
        "for values from ('2025-01-01') to ('2026-01-01') server elsewhere"
    )
    assert "public.shard, a foreign table" in refusal(database)


def test_a_materialized_view_is_refused_unless_the_operator_knows(
    database: Database, cli: Cli
) -> None:
    database.execute(
        "alter table customers rename to people; insert into people (customer_id, consumer_id, "
        "status, created_at) values (gen_random_uuid(), gen_random_uuid(), 'ACTIVE', '2025-03-01');"
        "create materialized view copied as select * from people; "
        "create view customers as select * from copied"
    )
    for arguments in (
        ["run"],
        ["sweep"],
        ["audit"],
        ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-02"],
        ["capture", "enable"],
    ):
        result = cli(*arguments)
        assert result.exit_code == 1, arguments
        assert "public.copied, a materialized view" in result.stderr
        assert result.stderr.count("\n") == 1
    assert found(database, "source-in-flight").verdict is Verdict.PROBLEM

    known = {f"{PREFIX}ACCEPT_UNSAFE_SOURCES": "true"}
    for command in ("run", "sweep", "status"):
        result = cli(command, env=known)
        assert result.exit_code == 0, result.stderr
        assert "public.copied, a materialized view" in result.stderr
    assert cli("status", "--json", env=known).json["source_concerns"] != []
    finding = found(database, "source-in-flight", accept_unsafe_sources=True)
    assert finding.verdict is Verdict.WARNING


@pytest.mark.parametrize("invoker", ["false", "true"])
def test_row_security_below_a_view_is_refused(database: Database, invoker: str) -> None:
    """A view reads as its owner, or as whoever asks."""
    owner = f"view_owner_{uuid.uuid4().hex[:8]}"
    login = psycopg.conninfo.conninfo_to_dict(database.url)["user"]
    database.execute(
        "alter table customer_events rename to kept; alter table kept enable row level security; "
        "insert into kept (event_id, event_type) values (gen_random_uuid(), 'hidden')"
    )
    with database.connect_admin() as admin:
        admin.execute(
            f"create role {owner}; grant select on kept to {owner}; "
            f"grant create on schema public to {owner}; set role {owner}; "
            f"create view customer_events with (security_invoker = {invoker}) "
            f"as select * from kept; grant select on customer_events to {login}; reset role"
        )
        try:
            if invoker == "true":
                # Its owner passes, and may read it where it asks itself.
                with database.connect() as connection:
                    assert sources.concerns(connection, PLAIN) == []
                admin.execute("alter table kept force row level security")
                reader = login
            else:
                reader = owner
            says = refusal(database)
            assert "hides rows of public.kept, which customer_events is read from, from " in says
            assert f"from role {reader}, so figures" in says
            assert "\n" not in says
            finding = found(database, "schema-row-security")
            assert finding.verdict is Verdict.PROBLEM
            assert finding.fix is not None
            assert finding.fix.command.replace('"', "") == f"ALTER ROLE {reader} BYPASSRLS;"
            admin.execute(f"alter role {reader} bypassrls")
            try:
                with database.connect() as connection:
                    assert sources.concerns(connection, PLAIN) == []
            finally:
                admin.execute(f"alter role {reader} nobypassrls")
        finally:
            admin.execute(f"drop owned by {owner}; drop role {owner}")


def test_partitioned_inherited_and_viewed_tables_work(database: Database) -> None:
    database.execute(
        "alter table customer_events rename to kept; "
        "create table customer_events (like kept including defaults) "
        "partition by range (created_at); "
        "create table early partition of customer_events for values from (minvalue) "
        "to ('2025-03-03') partition by list (event_type); "
        "create table early_rest partition of early default; "
        "create table late partition of customer_events default; "
        "create table more (extra text) inherits (customers); "
        "alter table consumers rename to tenants; create view consumers as select * from tenants"
    )
    with database.connect() as connection:
        assert sources.concerns(connection, PLAIN) == []
        random_history(connection, random.Random(5), BEGIN, END)
        connection.execute(
            "insert into more (customer_id, status, created_at) "
            "values (gen_random_uuid(), 'ACTIVE', %s)",
            [BEGIN + dt.timedelta(hours=1)],
        )
    with connected(database.settings, "run") as connection:
        run.run(connection, database.settings, at=END)
    checked(database)
