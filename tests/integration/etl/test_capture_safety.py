"""Capture harms no application: it is tried first, fails without failing it, and waits for it."""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.conftest import Cli, Database
from tests.integration.etl.test_capture import LATE, TENANT, application, enable, notes, wrong
from tests.integration.etl.test_sources import found
from tests.integration.reconcile.test_sweep import BEGIN, DAY, END, go, history
from tests.support import lanes

from consumer_analytics.errors import SourceError
from consumer_analytics.etl import capture
from consumer_analytics.operations.doctor.findings import Verdict

BREAK = "alter table consumer_analytics_internal.touched_customers add check (false) not valid"
DELETIONS = (
    "insert into customer_events select gen_random_uuid(), gen_random_uuid(), null, event_type, "
    "payload_json, created_at from customer_events where event_type = 'customer_deletion'"
)
MEND = (
    "alter table consumer_analytics_internal.touched_customers "
    "drop constraint touched_customers_check"
)


MOST_CUSTOMERS = (
    "delete from customers where customer_id::text > "
    "(select min(other.customer_id::text) from customers as other "
    "where other.consumer_id is not distinct from customers.consumer_id)"
)


def everything(database: Database) -> bool:
    """Tell whether the next run counts everything again."""
    return database.rows(
        "select true from consumer_analytics_internal.touched_days where day = '-infinity'"
    ) == [(True,)]


# -- a trigger that fails ------------------------------------------------------------------------


@pytest.mark.both_versions
@pytest.mark.parametrize(
    "statement",
    lanes.first(
        2,
        [
            "update customers set status = 'WRONG'",
            # Not all of a consumer's: of one that has none left the past stays.
            MOST_CUSTOMERS,
            DELETIONS,
            "update customer_events set event_type = 'x' where event_type like '%status_change'",
            "delete from customer_events",
        ],
    ),
)
def test_a_trigger_that_fails_has_everything_counted_again(
    database: Database, statement: str
) -> None:
    history(database)
    enable(database)
    database.execute(BREAK)
    with application(database) as session:
        changed = session.execute(statement).rowcount
        assert changed > 0
    assert everything(database)
    database.execute(MEND)
    if "delete from customer_events" not in statement:
        go(database, END + DAY)
        assert wrong(database) == []
        assert notes(database) == (0, 0)


def test_after_a_failure_the_transaction_goes_on_and_may_be_undone(database: Database) -> None:
    history(database)
    enable(database)
    database.execute(BREAK)
    with application(database) as session:
        session.execute("insert into consumers (consumer_id) values (%s)", [TENANT])
        session.execute("update customers set status = 'WRONG'")
        session.rollback()
    assert not everything(database)
    with application(database) as session:
        session.execute("insert into consumers (consumer_id) values (%s)", [TENANT])
        session.execute("update customers set status = 'WRONG'")
    assert database.rows("select count(*) from consumers where consumer_id = %s", [TENANT]) == [
        (1,)
    ]
    assert everything(database)


@pytest.mark.parametrize(
    ("code", "passes"), [("40001", True), ("40P01", True), ("57014", True), ("P0001", False)]
)
def test_what_a_writer_is_to_try_again_or_has_asked_for_comes_through(
    database: Database, code: str, passes: bool
) -> None:
    history(database)
    enable(database)
    database.execute(
        "create function fail() returns trigger language plpgsql as "
        f"$$ begin raise exception 'as asked' using errcode = '{code}'; end $$; "
        "create trigger fail before insert on consumer_analytics_internal.touched_customers "
        "execute function fail()"
    )
    with application(database) as session:
        if passes:
            with pytest.raises(psycopg.Error) as told:
                session.execute("update customers set status = 'WRONG'")
            assert told.value.sqlstate == code
            session.rollback()
        else:
            session.execute("update customers set status = 'WRONG'")
    assert everything(database) is not passes


def test_a_writer_s_own_time_limit_holds_while_it_waits_for_a_note(database: Database) -> None:
    history(database)
    enable(database)
    with database.connect() as holder, application(database) as session, holder.transaction():
        holder.execute("lock table consumer_analytics_internal.touched_days")
        session.execute("set statement_timeout = '100ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(LATE, [TENANT, BEGIN])


@pytest.mark.both_versions
def test_instants_that_a_column_s_domain_does_not_take_are_not_tried(database: Database) -> None:
    database.execute(
        "create domain ours as timestamptz not null "
        "check (value between '2000-01-01' and '2100-01-01')"
    )
    for table in ("consumers", "customers", "customer_events"):
        database.execute(f"alter table {table} alter created_at type ours")
    history(database, 67)
    enable(database)
    with application(database) as session:
        change(session)
    go(database, END + DAY)
    assert wrong(database) == []
    assert notes(database) == (0, 0)
    # A trigger that fails is refused as ever.
    with database.connect() as connection:
        capture.disable(connection, database.settings)
    database.execute(BREAK)
    with pytest.raises(SourceError, match="its triggers fail on rows of public: new row"):
        enable(database)


@pytest.mark.long
def test_a_column_named_like_a_variable_of_ours_is_none(database: Database) -> None:
    for table in ("consumers", "customers", "customer_events"):
        database.execute(f"alter table {table} add below timestamptz default 'infinity'")
    history(database, 64)
    enable(database)
    with application(database) as session:
        change(session)
    assert not everything(database)
    go(database, END + DAY)
    assert wrong(database) == []


def test_every_function_of_capture_is_guarded(database: Database) -> None:
    rows = database.rows(
        "select proname, prosrc ~ 'capture_trial' and prosrc ~ 'transaction_rollback', "
        "prosecdef, array_to_string(proconfig, ' ') ~ 'search_path' from pg_proc "
        "where pronamespace = 'consumer_analytics_internal'::regnamespace "
        "and prorettype = 'trigger'::regtype and proname like 'capture%'"
    )
    assert {one.function for one in capture.TRIGGERS} == {name for name, *_ in rows}
    assert all(all(rest) for _, *rest in rows), rows


# -- tried before they are put in place ----------------------------------------------------------


def change(session: Any) -> None:
    """Let rows come late and change, in each of the tables."""
    for day in (0, 3):
        session.execute(LATE, [TENANT, BEGIN + day * DAY])
    session.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
        [TENANT, BEGIN + DAY],
    )
    session.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'late', %s)",
        [uuid.uuid4(), BEGIN + DAY],
    )
    session.execute("update customer_events set event_type = 'other' where event_type = 'login'")
    session.execute(
        "update customer_events set created_at = created_at + interval '1 day' "
        "where event_type = 'refund' and created_at < '2025-03-05'"
    )


def triggers(database: Database) -> int:
    (row,) = database.rows("select count(*) from pg_trigger where tgname like '%capture%'")
    return int(row[0])


def test_triggers_that_would_fail_are_not_put_in_place(database: Database) -> None:
    history(database, 65)
    database.execute(BREAK)
    with pytest.raises(SourceError, match="its triggers fail on rows of public: new row"):
        enable(database)
    assert triggers(database) == 0
    assert notes(database) == (0, 0)
    database.execute(MEND)
    enable(database)
    assert notes(database) == (0, 0)
    assert database.rows(
        "select count(*) from consumer_analytics_internal.deleted_customers "
        "where deleted_at > '2025-04-01'"
    ) == [(0,)]


VIRTUAL = {
    "customer_events.created_at": (
        "alter table customer_events add at timestamptz default now(), drop column created_at; "
        "alter table customer_events add created_at timestamptz "
        "generated always as (at) {}"
    ),
    "customer_events.event_type": (
        "alter table customer_events add kind text, drop column event_type; "
        "alter table customer_events add event_type text generated always as (lower(kind)) {}"
    ),
    "customers.status": (
        "alter table customers add state text, drop column status; "
        "alter table customers add status text generated always as (upper(state)) {}"
    ),
}


@pytest.mark.parametrize(
    ("column", "kind"), lanes.each_once(sorted(VIRTUAL), ["virtual", "stored"], every=2)
)
def test_generated_columns(database: Database, cli: Cli, column: str, kind: str) -> None:
    if database.server.version < 18 and kind == "virtual":
        pytest.skip("PostgreSQL 18 brought them")
    database.execute(VIRTUAL[column].format(kind))
    table, _, name = column.partition(".")
    behind = {"created_at": "at", "event_type": "kind", "status": "state"}[name]
    key = "event_id" if table == "customer_events" else "customer_id"
    value = "now()" if name == "created_at" else "'Login'"

    def insert() -> None:
        database.execute(
            f"insert into {table} ({key}, {behind}) values (gen_random_uuid(), {value})"
        )

    insert()
    if kind == "virtual":
        with pytest.raises(SourceError) as refused:
            enable(database)
        assert f"{column}: a virtual generated column" in str(refused.value)
        assert triggers(database) == 0
    else:
        enable(database)
    insert()
    database.execute(f"update {table} set {behind} = {behind}")
    time.sleep(0.01)
    for arguments in (["run"], ["sweep"], ["audit"]):
        result = cli(*arguments)
        assert result.exit_code == 0, result.stderr
    counted = table.removeprefix("customer_")
    assert database.rows(
        f"select metrics_json ->> 'unattributed_{counted}' from consumer_analytics "
        "where consumer_id is null"
    ) == [("2",)]
    if column != "customer_events.created_at":
        return
    finding = found(database, "source-index")
    assert finding.verdict is Verdict.WARNING
    assert finding.fix is not None
    # What it prescribes PostgreSQL takes, and uses.
    database.execute(finding.fix.command)
    assert found(database, "source-index").verdict is Verdict.OK


# -- rows that are written past the table above --------------------------------------------------


def test_rows_written_to_a_partition_or_an_inheriting_table_directly_are_seen(
    database: Database, cli: Cli
) -> None:
    database.execute(
        "alter table customer_events rename to kept; "
        "create table customer_events (like kept including defaults) "
        "partition by range (created_at); create schema parts; "
        "create table parts.early partition of customer_events for values from (minvalue) "
        "to ('2025-03-03') partition by list (event_type); "
        "create table parts.early_rest partition of parts.early default; "
        "create table late partition of customer_events default; "
        "create table more (extra text) inherits (customers)"
    )
    history(database, 66)
    enable(database)
    with application(database) as session:
        change(session)
        for table in ("parts.early", "parts.early_rest", "customer_events"):
            session.execute(LATE.replace("customer_events", table), [TENANT, BEGIN + DAY])
        session.execute(LATE.replace("customer_events", "late"), [TENANT, BEGIN + 4 * DAY])
        session.execute(
            "insert into more (customer_id, status, created_at) "
            "values (gen_random_uuid(), 'ACTIVE', %s)",
            [BEGIN + DAY],
        )
    go(database, END + DAY)
    assert wrong(database) == []
    assert notes(database) == (0, 0)
    with application(database) as session:
        session.execute("update parts.early_rest set event_type = 'x' where event_type = 'late'")
        session.execute("update only more set status = 'BLOCKED'")
    assert notes(database) != (0, 0)
    go(database, END + 2 * DAY)
    assert wrong(database) == []

    # A partition that comes later is not watched by itself.
    assert cli("capture", "status", "--json").json["state"] == "on"
    database.execute("create table parts.logins partition of parts.early for values in ('logins')")
    told = cli("capture", "status", "--json").json
    assert told["state"] == "incomplete"
    assert "parts.logins.consumer_analytics_capture_insert" in told["missing_triggers"]
    assert cli("capture", "enable", "--json").json["state"] == "on"
    assert cli("capture", "disable", "--json").json["state"] == "off"
    assert triggers(database) == 0


@pytest.mark.long
@pytest.mark.both_versions
def test_what_is_done_to_a_detached_partition_corrects_nothing(
    database: Database, cli: Cli
) -> None:
    """Its rows have vanished, as a purge takes them; its triggers go with the others."""
    database.execute(
        "drop table customer_events; create table customer_events (event_id uuid, "
        "customer_id uuid, consumer_id uuid, event_type text, payload_json jsonb, "
        "created_at timestamptz) partition by range (created_at); "
        "create table old partition of customer_events for values from (minvalue) "
        "to ('2025-03-02'); create table new partition of customer_events default; "
        "insert into customer_events select gen_random_uuid(), null, "
        "'00000000-0000-0000-0000-000000000001', 'login', '{}', "
        "'2025-03-01 12:00Z'::timestamptz + n * interval '1 day' from generate_series(0, 30) as n"
    )
    enable(database)
    assert cli("run", "--as-of", "2025-04-10").exit_code == 0
    before = database.rows("select metrics_json from consumer_analytics")
    database.execute("alter table customer_events detach partition old")
    database.execute("update old set consumer_id = null")
    database.execute("update old set event_type = 'anonymous'; delete from old; truncate old")
    assert notes(database) == (0, 0)
    assert cli("run", "--as-of", "2025-04-10").exit_code == 0
    assert cli("sweep", "--since", "2025-03-01").exit_code == 0
    assert database.rows("select metrics_json from consumer_analytics") == before
    listed = cli("vanished", "--json").json
    assert listed["events"] == 1
    # What is a partition again is watched again.
    database.execute(
        "alter table customer_events attach partition old for values from (minvalue) "
        "to ('2025-03-02')"
    )
    assert cli("capture", "status", "--json").json["state"] == "on"
    database.execute(LATE.replace("customer_events", "old"), [TENANT, dt.date(2025, 3, 1)])
    assert notes(database) != (0, 0)
    database.execute("alter table customer_events detach partition old")
    assert cli("capture", "disable").exit_code == 0
    assert triggers(database) == 0


# -- locks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("switch", lanes.first(0, [capture.enable, capture.disable], long=1))
def test_it_gives_up_before_a_writer_looks_for_a_deadlock(
    database: Database, switch: Callable[[Any, Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that has one table and asks for another: it waits for less than its second."""
    monkeypatch.setattr(capture, "_DDL_SECONDS", 1.0)
    if switch is capture.disable:
        enable(database)
    with application(database) as session:
        session.execute("insert into consumers (consumer_id) values (%s)", [uuid.uuid4()])
        # Ours has begun with customer_events, or customers, and waits for consumers.
        raised: list[BaseException] = []

        def change() -> None:
            try:
                with database.connect("capture") as connection:
                    switch(connection, database.settings)
            except BaseException as error:  # noqa: BLE001  (looked at below)
                raised.append(error)

        other = threading.Thread(target=change)
        other.start()
        longest = 0.0
        for _ in range(15):
            began = time.monotonic()
            session.execute(LATE, [TENANT, BEGIN])
            session.execute("insert into customers (customer_id) values (gen_random_uuid())")
            longest = max(longest, time.monotonic() - began)
            time.sleep(0.05)
        other.join()
    assert [type(one).__name__ for one in raised] == ["BusyError"]
    assert longest < 0.9


@pytest.mark.long
def test_readers_do_not_wait_and_are_not_waited_for(database: Database, cli: Cli) -> None:
    with application(database) as reader:
        for table in ("consumers", "customers", "customer_events"):
            reader.execute(f"select count(*) from {table}")
        began = time.monotonic()
        assert cli("capture", "enable", "--json").json["state"] == "on"
        assert time.monotonic() - began < 4
        told = cli("capture", "disable", "--json")
        # Off at once; dropped when nobody reads.
        assert told.json["state"] == "off"
        assert "is off, and still there" in told.stderr
        assert triggers(database) == len(capture.TRIGGERS)
        began = time.monotonic()
        with database.connect() as other:
            other.execute("select count(*) from customer_events")
        assert time.monotonic() - began < 2
        with application(database) as writer:
            writer.execute(LATE, [TENANT, BEGIN])
    assert notes(database) == (0, 0)
    assert cli("capture", "disable").exit_code == 0
    assert triggers(database) == 0
