"""The doctor: each fault made for real, told with its cause at once, made good where that is safe.

A fault's test asks twice: the first call names the cause, the second finds nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import socket
import subprocess
import uuid
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import TransactionStatus
from tests.conftest import COMMAND, command_environment
from tests.support import airflow_tables, lanes
from tests.support.checks import touched_rows
from tests.support.history import random_history
from tests.support.mail_server import mail_server
from tests.support.tools import require

from consumer_analytics.airflow.dag_ids import DAGS, ETL
from consumer_analytics.db import connection as db
from consumer_analytics.db import locks, roles, schema
from consumer_analytics.db.connection import Connection
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import capture, extract, run
from consumer_analytics.fields import Secret
from consumer_analytics.local import doctor as local
from consumer_analytics.operations import doctor
from consumer_analytics.operations.doctor import snapshots
from consumer_analytics.operations.doctor.findings import Context, Examined, Verdict, ok
from consumer_analytics.reconcile import audit

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def examined(database: Any, *, fix: bool = False, **changes: Any) -> dict[str, Examined]:
    """Let the doctor look; return what it found, by check."""
    settings = database.settings.replaced(changes)
    try:
        connection = db.connect(settings, "doctor", as_admin=True)
    except ConsumerAnalyticsError as error:
        context = Context(settings, refusal=error)
        return {one.check.name: one for one in doctor.examine(context, doctor.CHECKS, fix=fix)}
    with connection:
        context = Context(settings, connection)
        return {one.check.name: one for one in doctor.examine(context, doctor.CHECKS, fix=fix)}


def found(database: Any, **options: Any) -> dict[str, Examined]:
    """Return only what is not as it should be."""
    return {
        name: one
        for name, one in examined(database, **options).items()
        if one.finding.verdict is not Verdict.OK
    }


def only(database: Any, name: str, **options: Any) -> Examined:
    """Return the only finding, which must be this check's."""
    those = found(database, **options)
    assert list(those) == [name], {key: one.finding for key, one in those.items()}
    return those[name]


@pytest.fixture
def healthy(database: Any) -> Any:
    """Return a database with three snapshots."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(7), BEGIN, END)
        with db.connected(database.settings, "test") as connection:
            for day in (2, 3, 4):
                run.run(connection, database.settings, at=BEGIN + day * DAY)

    database.prepared("healthy", fill)
    return database


def everything(database: Any) -> dict[str, Any]:
    """Return the physical state of all rows and of the schema."""
    with database.connect("look", writes_sources=False) as connection:
        tables = connection.execute(
            "select format('%I.%I', nspname, relname) from pg_class "
            "join pg_namespace on pg_namespace.oid = relnamespace "
            "where relkind = 'r' and nspname in ('public', 'consumer_analytics_internal')"
        ).fetchall()
        assert len(tables) > 15
        rows = {
            table: connection.execute(
                f"select t.ctid, t.xmin, t::text from {table} as t order by 1"
            ).fetchall()
            for (table,) in tables
        }
        catalogs = {
            catalog: connection.execute(f"select oid, xmin from {catalog} order by 1").fetchall()
            for catalog in ("pg_constraint", "pg_policy", "pg_proc", "pg_namespace")
        }
        indexes = connection.execute(
            "select indexrelid, xmin from pg_index where indrelid >= 16384 order by 1"
        ).fetchall()
        return {**rows, **catalogs, "pg_index": indexes, **touched_rows(connection)}


# -- healthy -------------------------------------------------------------------


@pytest.mark.both_versions
def test_a_healthy_system_has_no_finding_and_fix_changes_nothing(healthy: Any) -> None:
    before = everything(healthy)
    assert found(healthy, fix=True) == {}
    assert everything(healthy) == before


def test_a_new_database_has_no_finding(database: Any) -> None:
    assert found(database) == {}


@pytest.mark.usefixtures("healthy")
def test_the_command_on_a_healthy_system(cli: Any) -> None:
    told = cli("doctor", "--fix")
    assert (told.exit_code, told.stderr) == (0, "")
    assert told.stdout.splitlines()[-1].endswith("checks, nothing found")
    answer = cli("doctor", "--json")
    assert answer.exit_code == 0
    assert (answer.json["verdict"], answer.json["found"]) == ("ok", 0)
    assert {one["verdict"] for one in answer.json["checks"]} == {"ok"}


# -- doubled snapshots ---------------------------------------------------------


def double(database: Any) -> None:
    """Drop the constraint; double the newest snapshot's rows, the whole system's twice over."""
    database.execute(
        "alter table consumer_analytics drop constraint consumer_analytics_once;"
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)"
        " select consumer_id, snapshot_timestamp, metrics_json || '{\"again\": 1}'"
        " from consumer_analytics where snapshot_timestamp ="
        " (select max(snapshot_timestamp) from consumer_analytics) order by analytics_id;"
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)"
        " select consumer_id, snapshot_timestamp, metrics_json || '{\"again\": 2}'"
        " from consumer_analytics where consumer_id is null and metrics_json ? 'again'"
    )


SNAPSHOTS = (
    "select analytics_id, consumer_id, snapshot_timestamp, metrics_json, xmin::text "
    "from consumer_analytics order by 1"
)


def test_rows_that_nobody_has_counted_are_not_told_as_none(healthy: Any) -> None:
    def told() -> str:
        with healthy.connect() as connection:
            return snapshots.once(Context(healthy.settings, connection)).says

    statistics = "update pg_class set reltuples = {} where oid = 'consumer_analytics'::regclass"
    with healthy.connect_admin() as admin:
        for known, words in ((-1, "in once"), (1, "in once (about 1 row)"), (9, "(about 9 rows)")):
            admin.execute(statistics.format(known))
            assert told().endswith(words)


@pytest.mark.both_versions
def test_doubled_snapshots(healthy: Any) -> None:
    before = healthy.rows(SNAPSHOTS)
    of_the_newest = sum(row[2] == END for row in before)
    double(healthy)
    one = only(healthy, "snapshots-once")
    assert one.finding.verdict is Verdict.PROBLEM
    assert (
        one.finding.says
        == f"{of_the_newest} snapshots are there more than once, {of_the_newest + 1} rows too many"
    )
    assert "(the whole system) at 2025-03-05" in one.finding.evidence[0]
    assert "dropped the constraint" in (one.finding.cause or "")

    treated = only(healthy, "snapshots-once", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert f"removed {of_the_newest + 1} doubled rows" in treated.done
    # The earliest rows are as they were, not written anew.
    assert healthy.rows(SNAPSHOTS) == before
    # Nothing is lost: what the others said is among the revisions.
    kept = healthy.rows(
        "select consumer_id, metrics_json ->> 'again', reason from consumer_analytics_revisions"
    )
    assert len(kept) == of_the_newest + 1
    assert sorted(again for consumer, again, _ in kept if consumer is None) == ["1", "2"]
    whole = next(row[0] for row in before if row[1] is None and row[2] == END)
    assert {reason.split(": ")[1] for consumer, _, reason in kept if consumer is None} == {
        f"doubled {whole}"
    }
    assert found(healthy) == {}
    with pytest.raises(psycopg.errors.UniqueViolation):
        healthy.execute(
            "insert into consumer_analytics (snapshot_timestamp, metrics_json) values (%s, '{}')",
            [END],
        )


def test_the_guides_own_repair_leaves_what_the_doctor_finds(healthy: Any) -> None:
    """Its DELETE compares consumers with `=`, which no NULL is."""
    double(healthy)
    healthy.execute(
        "DELETE FROM consumer_analytics a USING consumer_analytics b "
        "WHERE a.analytics_id > b.analytics_id AND a.consumer_id = b.consumer_id "
        "AND a.snapshot_timestamp = b.snapshot_timestamp"
    )
    one = only(healthy, "snapshots-once")
    assert one.finding.says == "1 snapshot is there more than once, 2 rows too many"
    assert "(the whole system)" in one.finding.evidence[0]


def test_a_dropped_constraint_without_doubled_rows(healthy: Any) -> None:
    healthy.execute("alter table consumer_analytics drop constraint consumer_analytics_once")
    one = only(healthy, "snapshots-once")
    assert one.finding.verdict is Verdict.WARNING
    assert one.finding.says == "nothing keeps a snapshot from being there twice"
    assert only(healthy, "snapshots-once", fix=True).treatment is not None
    assert found(healthy) == {}


def test_an_index_that_lets_nulls_in_twice_is_no_constraint(healthy: Any) -> None:
    healthy.execute("alter table consumer_analytics drop constraint consumer_analytics_once")
    healthy.execute("create unique index on consumer_analytics (consumer_id, snapshot_timestamp)")
    assert only(healthy, "snapshots-once").finding.verdict is Verdict.WARNING


def test_a_repair_that_is_interrupted_leaves_all_as_it_was(healthy: Any) -> None:
    """Somebody uses the table: nothing is removed without the constraint that follows."""
    double(healthy)
    before = healthy.rows(SNAPSHOTS)
    with healthy.connect() as other, other.transaction():
        other.execute("lock table consumer_analytics in share mode")
        those = found(healthy, fix=True, lock_wait=0.5)
    treated = those["snapshots-once"].treatment
    assert treated is not None
    assert not treated.worked
    assert "lock timeout" in treated.done
    assert healthy.rows(SNAPSHOTS) == before
    assert healthy.rows("select count(*) from consumer_analytics_revisions") == [(0,)]


def test_audit_keeps_what_it_removes_as_well(healthy: Any, cli: Any) -> None:
    double(healthy)
    assert cli("audit", "--repair").exit_code == 0
    assert healthy.rows(
        "select count(*) from consumer_analytics_revisions where metrics_json ? 'again'"
    ) != [(0,)]


# -- the schema ----------------------------------------------------------------


def test_migrations_behind(empty_database: Any) -> None:
    """A database of an older version: the last migrations are not there yet."""
    those = found(empty_database)
    assert those["schema-migrations"].finding.verdict is Verdict.PROBLEM
    assert "migrations are missing" in those["schema-migrations"].finding.says
    assert all(
        one.finding.verdict is Verdict.UNKNOWN
        for name, one in those.items()
        if name.startswith(("watermark", "snapshots"))
    )
    those = found(empty_database, fix=True)
    treated = those["schema-migrations"].treatment
    assert treated is not None
    assert treated.worked
    assert "0001_bookkeeping" in treated.done
    # What comes after is asked on the schema that is there now.
    assert list(those) == ["source-columns", "schema-migrations"] or list(those) == [
        "schema-migrations"
    ]
    assert found(empty_database) == {}


def test_a_newer_schema_is_left_alone(healthy: Any) -> None:
    healthy.execute(
        "update consumer_analytics_internal.alembic_version "
        "set version_num = '9999', product_version = '99.0'"
    )
    one = only(healthy, "schema-migrations", fix=True)
    assert one.finding.verdict is Verdict.PROBLEM
    assert "9999 of version 99.0" in one.finding.evidence[0]
    assert one.treatment is None


@contextlib.contextmanager
def runner(database: Any) -> Iterator[tuple[str, Any]]:
    """Make a login with exactly a run's rights; give its name and the database as it sees it."""
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    name = f"ca_test_{uuid.uuid4().hex[:8]}"
    login = sql.Identifier(name)
    with database.connect_admin() as admin:
        admin.execute(sql.SQL("create role {} login").format(login))
        try:
            url = make_conninfo(database.url, user=name, password="")
            settings = database.settings.replaced({"database_url": Secret(url)})
            with Connection.connect(url, autocommit=True) as session:
                lacking = roles.missing(session, settings)
            for statement in lacking:
                admin.execute(statement)
            yield name, type(database)(url, settings, database.server, database.name)
        finally:
            admin.execute(sql.SQL("drop owned by {}").format(login))
            admin.execute(sql.SQL("drop role {}").format(login))


@pytest.mark.parametrize(
    ("taken", "told"),
    lanes.first(
        2,
        [
            (
                "select on table public.customers",
                'GRANT select ON table "public"."customers" TO "{}"',
            ),
            (
                "usage on schema consumer_analytics_internal",
                'GRANT usage ON schema "consumer_analytics_internal" TO "{}"',
            ),
            (
                "update on table public.etl_job_watermarks",
                'GRANT update ON table "public"."etl_job_watermarks" TO "{}"',
            ),
            ("pg_read_all_stats", 'GRANT "pg_read_all_stats" TO "{}"'),
        ],
    ),
)
def test_grants_missing(healthy: Any, taken: str, told: str) -> None:
    with runner(healthy) as (name, seen):
        assert found(seen) == {}
        with healthy.connect_admin() as admin:
            admin.execute(sql.SQL("revoke {} from {}").format(sql.SQL(taken), sql.Identifier(name)))
        one = examined(seen, fix=True)["schema-grants"]
        assert one.finding.verdict is Verdict.PROBLEM
        assert [line.lower() for line in one.finding.evidence] == [f"{told.format(name).lower()};"]
        # Who may do what is not ours to say.
        assert one.treatment is None
        with healthy.connect_admin() as admin:
            for line in one.finding.evidence:
                admin.execute(line)
        assert found(seen) == {}


def test_row_security_on_the_sources(healthy: Any) -> None:
    with runner(healthy) as (name, seen):
        healthy.execute("alter table customers enable row level security")
        one = only(seen, "schema-row-security", fix=True)
        assert one.finding.evidence == ("public.customers",)
        assert "BYPASSRLS" in (one.finding.fix.command if one.finding.fix else "")
        assert name in one.finding.says
        assert one.treatment is None
        healthy.execute("alter table customers disable row level security")
        assert found(seen) == {}


def test_a_policy_of_ours_that_was_dropped(healthy: Any) -> None:
    healthy.execute("alter table consumer_analytics force row level security")
    healthy.execute("drop policy everybody on consumer_analytics")
    one = only(healthy, "schema-row-security")
    assert one.finding.evidence == ("public.consumer_analytics",)
    assert "policy `everybody`" in (one.finding.cause or "")
    treated = only(healthy, "schema-row-security", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert found(healthy) == {}


# -- the sources ---------------------------------------------------------------


def test_the_index_dropped(healthy: Any) -> None:
    healthy.execute("drop index customer_events_created_at_idx")
    one = only(healthy, "source-index")
    assert one.finding.verdict is Verdict.WARNING
    assert "every run reads the whole table" in (one.finding.cause or "")
    treated = only(healthy, "source-index", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert found(healthy) == {}


def test_no_index_is_offered_on_a_column_that_is_gone(healthy: Any) -> None:
    """`--fix` tried to build one; what is wrong is the column, which another check tells."""
    healthy.execute("alter table customer_events rename created_at to stamped")
    one = found(healthy, fix=True)["source-index"]
    assert one.finding.verdict is Verdict.UNKNOWN
    assert one.finding.says.endswith(
        "public.customer_events has no column created_at: see source-columns"
    )
    assert one.finding.fix is None
    assert one.treatment is None


def test_the_index_by_customer_dropped(healthy: Any) -> None:
    """One of some events alone does not serve: a life is told by all of them."""
    healthy.execute(
        "drop index customer_events_customer_idx; create index on customer_events (customer_id) "
        "where event_type = 'customer_creation'"
    )
    one = only(healthy, "source-customer-index")
    assert one.finding.verdict is Verdict.WARNING
    assert "by the next sweep" in (one.finding.cause or "")
    treated = only(healthy, "source-customer-index", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert found(healthy) == {}


@pytest.mark.long
def test_an_index_whose_building_was_interrupted(healthy: Any) -> None:
    """An old transaction keeps it from being finished; what is half there is no index."""
    healthy.execute("drop index customer_events_created_at_idx")
    with healthy.connect() as other, other.transaction():
        other.execute(
            "insert into customer_events (event_id, created_at) values (gen_random_uuid(), now())"
        )
        with healthy.connect() as builder:
            builder.execute("set statement_timeout = '500ms'")
            with pytest.raises(psycopg.errors.QueryCanceled):
                builder.execute("create index concurrently half on customer_events (created_at)")
    one = only(healthy, "source-index")
    assert "index half is not valid" in one.finding.evidence
    assert one.finding.cause == "building it was interrupted"
    assert only(healthy, "source-index", fix=True).treatment is not None
    assert found(healthy) == {}
    assert healthy.rows("select to_regclass('half')") == [(None,)]


def test_an_index_that_cannot_be_built_leaves_no_half_of_one(healthy: Any) -> None:
    healthy.execute("drop index customer_events_created_at_idx")
    with healthy.connect() as other, other.transaction():
        other.execute("lock table customer_events in share mode")
        those = found(healthy, fix=True, lock_wait=0.5)
    treated = those["source-index"].treatment
    assert treated is not None
    assert not treated.worked
    assert healthy.rows(
        "select count(*) from pg_index where indrelid = 'customer_events'::regclass "
        "and not indisvalid"
    ) == [(0,)]


def test_a_source_column_gone(healthy: Any) -> None:
    healthy.execute("alter table customers rename column status to state")
    one = examined(healthy)["source-columns"]
    assert one.finding.verdict is Verdict.PROBLEM
    assert "public.customers has no column status" in one.finding.evidence[0]
    # Added, it is empty, and the next run would write that nobody is active.
    assert one.finding.fix is not None
    assert "renamed or dropped has to come back" in one.finding.fix.command
    healthy.execute("alter table customers rename column state to status")
    assert found(healthy) == {}


# -- the watermark -------------------------------------------------------------


def test_a_trigger_of_capture_that_is_off(healthy: Any) -> None:
    with healthy.connect() as connection:
        capture.enable(connection, healthy.settings)
        assert found(healthy) == {}
        connection.execute(
            "drop trigger consumer_analytics_capture_truncating on customers; "
            "alter table customers disable trigger consumer_analytics_capture_insert"
        )
        one = only(healthy, "source-capture")
        assert one.finding.verdict is Verdict.WARNING
        assert one.finding.evidence == (
            "trigger customers.consumer_analytics_capture_insert is missing or disabled",
            "trigger customers.consumer_analytics_capture_truncating is missing or disabled",
        )
        # It is the owner's to switch on.
        assert only(healthy, "source-capture", fix=True).treatment is None
        capture.enable(connection, healthy.settings)
    assert found(healthy) == {}


def test_a_failed_run(healthy: Any) -> None:
    healthy.execute("alter table customers rename column status to state")
    with pytest.raises(ConsumerAnalyticsError):
        go(healthy)
    healthy.execute("alter table customers rename column state to status")
    healthy.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise 'no room for snapshots'; end $$"
    )
    healthy.execute(
        "create trigger refuse before insert on consumer_analytics execute function refuse()"
    )
    with pytest.raises(psycopg.errors.RaiseException):
        go(healthy)
    one = only(healthy, "watermark", fix=True)
    assert one.finding.verdict is Verdict.PROBLEM
    assert "no room for snapshots" in one.finding.evidence[0]
    assert one.treatment is None
    healthy.execute("drop trigger refuse on consumer_analytics")
    go(healthy)
    assert found(healthy) == {}


def go(database: Any, at: dt.datetime | None = None) -> dict[str, Any]:
    with db.connected(database.settings, "test") as connection:
        return run.run(connection, database.settings, at=at).as_json()


@pytest.mark.parametrize(
    ("to", "verdict", "says"),
    lanes.first(
        1,
        [
            ("1 year", Verdict.PROBLEM, "has not come yet"),
            ("-1 hour", Verdict.WARNING, "is beyond what is processed"),
        ],
    ),
)
def test_a_watermark_that_was_set_ahead(healthy: Any, to: str, verdict: Verdict, says: str) -> None:
    """The guide's fourth issue: the mark no longer says what has been taken in."""
    healthy.execute(
        "update etl_job_watermarks set last_processed_timestamp = now() + %s::interval, "
        "last_run_status = 'pending', "
        "metadata_json = jsonb_build_object('manual_override', true, 'override_at', now())",
        [to],
    )
    one = only(healthy, "watermark")
    assert one.finding.verdict is verdict
    assert one.finding.says.endswith(says)
    assert "set by an UPDATE by hand" in one.finding.evidence
    healthy.execute("update etl_job_watermarks set metadata_json = '{}'")
    told = only(healthy, "watermark").finding.evidence
    assert "set by an UPDATE that does not say whose it was" in told
    assert "begins where the counts end" in (one.finding.cause or "")
    treated = only(healthy, "watermark", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert "2025-03-05 00:00:00 UTC" in treated.done
    assert found(healthy) == {}
    assert go(healthy)["snapshots_written"] > 0


def test_a_run_that_was_killed(healthy: Any) -> None:
    with db.connected(healthy.settings, "run") as connection:
        run.open_run(connection, healthy.settings, at=None)
    assert found(healthy) == {}, "a moment between two tasks is no fault"
    healthy.execute(
        "update consumer_analytics_internal.runs set opened_at = opened_at - interval '1 hour' "
        "where state = 'open'"
    )
    one = only(healthy, "watermark")
    assert "no session of ours is" in one.finding.says
    treated = only(healthy, "watermark", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert found(healthy) == {}


def test_an_open_transaction(healthy: Any) -> None:
    with contextlib.closing(healthy_session(healthy, "nightly export")) as other:
        other.execute("select 1")
        pid = other.info.backend_pid
        one = only(healthy, "watermark-transactions", fix=True, holdback_wait=0)
        assert one.finding.verdict is Verdict.WARNING
        (line,) = one.finding.evidence
        assert line.startswith(f"pid {pid} (nightly export, user ")
        assert "idle in transaction" in line
        assert "open for" in line
        assert f"pg_terminate_backend({pid})" in (
            one.finding.fix.command if one.finding.fix else ""
        )
        # Somebody else's work is not ours to end.
        assert one.treatment is None
        assert other.info.transaction_status == TransactionStatus.INTRANS
        other.execute("select 1")
    assert found(healthy, holdback_wait=0) == {}


def healthy_session(database: Any, application: str) -> psycopg.Connection[Any]:
    return psycopg.connect(make_conninfo(database.url, application_name=application))


def test_a_transaction_that_has_locked_the_watermark(healthy: Any) -> None:
    with contextlib.closing(healthy_session(healthy, "psql")) as other:
        other.execute("update etl_job_watermarks set last_run_status = 'pending'")
        one = only(healthy, "watermark-transactions", holdback_wait=0)
        assert "it has written to etl_job_watermarks: runs wait for it" in one.finding.evidence[0]


def test_a_run_that_was_held_back(healthy: Any) -> None:
    with contextlib.closing(healthy_session(healthy, "nightly export")) as other:
        other.execute("select 1")
        settings = healthy.settings.replaced({"holdback_wait": 0.0})
        with db.connected(settings, "test") as connection:
            run.run(connection, settings)
        those = found(healthy, holdback_wait=0)
        assert list(those) == ["watermark", "watermark-transactions"]
        assert "nightly export" in those["watermark"].finding.evidence[1]
    go(healthy)
    assert found(healthy) == {}


def test_a_prepared_transaction(healthy: Any) -> None:
    with healthy.connect_admin() as admin:
        if admin.execute("show max_prepared_transactions").fetchone() == ("0",):
            pytest.skip("the server allows no prepared transactions")
    gid = f"ca_test_{uuid.uuid4().hex[:8]}"
    with healthy.connect() as other:
        other.execute("begin")
        other.execute("insert into customers (customer_id) values (gen_random_uuid())")
        other.execute(f"prepare transaction '{gid}'")
        one = only(healthy, "watermark-transactions", holdback_wait=0)
        assert f"'{gid}'" in one.finding.evidence[0]
        assert f"ROLLBACK PREPARED '{gid}'" in (one.finding.fix.command if one.finding.fix else "")
        settings = healthy.settings.replaced({"holdback_wait": 0.0})
        with db.connected(settings, "test") as connection:
            run.run(connection, settings)
        held = found(healthy, holdback_wait=0)["watermark"].finding.evidence[1]
        assert f"prepared transaction '{gid}'" in held
        other.execute(f"rollback prepared '{gid}'")
    go(healthy)
    assert found(healthy, holdback_wait=0) == {}


def test_a_stuck_lock(healthy: Any) -> None:
    """A session that a pooler has kept, or a process that hangs: whoever waits for it is let in."""
    with healthy.connect("airflow load_consumer_analytics", writes_sources=False) as other:
        other.execute("begin")
        locks.take(other, Lock.JOB)
        assert found(healthy) == {}, "one that is at work is not stuck"
        pid = other.info.backend_pid
        with healthy.connect() as clock:
            clock.execute("select pg_sleep(0.3)")
        one = only(healthy, "watermark-locks", lock_wait=0.1)
        assert one.finding.verdict is Verdict.PROBLEM
        assert (
            f"pid {pid} (consumer-analytics airflow load_consumer_analytics"
            in (one.finding.evidence[0])
        )
        treated = only(healthy, "watermark-locks", lock_wait=0.1, fix=True).treatment
        assert treated is not None
        assert treated.worked
        assert found(healthy, lock_wait=0.1) == {}
        with pytest.raises(psycopg.OperationalError):
            other.execute("select 1")
    assert go(healthy)["snapshots_written"] > 0


def test_a_table_that_is_locked_is_told_and_keeps_nobody(healthy: Any) -> None:
    with healthy.connect("test", writes_sources=False) as other, other.transaction():
        other.execute("lock table etl_job_watermarks in access exclusive mode")
        those = found(healthy)
    assert those["watermark"].finding.verdict is Verdict.UNKNOWN
    assert "locked a table" in those["watermark"].finding.says


@pytest.mark.long
def test_extracts_left_behind(healthy: Any) -> None:
    with db.connected(healthy.settings, "run") as connection:
        opened = run.open_run(connection, healthy.settings, at=None)
        extract.customers(connection, healthy.settings, opened)
        extract.events(connection, healthy.settings, opened)
    assert found(healthy) == {}, "the load of an open run may still come"
    healthy.execute(
        "update consumer_analytics_internal.runs set state = 'failed' where state = 'open'"
    )
    healthy.execute("update etl_job_watermarks set last_run_status = 'pending'")
    assert found(healthy) == {}, "so may another try of one that failed"
    healthy.execute(
        "update consumer_analytics_internal.runs set opened_at = opened_at - interval '2 days'"
    )
    one = only(healthy, "watermark-extracts")
    assert "extracts of 1 run that is gone" in one.finding.says
    treated = only(healthy, "watermark-extracts", fix=True).treatment
    assert treated is not None
    assert treated.worked
    assert healthy.rows("select count(*) from consumer_analytics_internal.extracted_events") == [
        (0,)
    ]
    assert found(healthy) == {}


# -- the server ----------------------------------------------------------------


def test_the_database_unreachable(cli: Any) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"postgresql://somebody@127.0.0.1:{probe.getsockname()[1]}/nothing"
        told = cli("doctor", "--json", env={"CONSUMER_ANALYTICS_DATABASE_URL": url})
    assert told.exit_code == 2
    first, *others = told.json["checks"]
    assert (first["check"], first["verdict"]) == ("database", "problem")
    assert "onnection" in first["evidence"][0]
    elsewhere = ("machine-", "mail-server", "digest-server", "alert-channels")
    assert {one["verdict"] for one in others if not one["check"].startswith(elsewhere)} == {
        "unknown"
    }
    assert "Traceback" not in told.stderr


def test_the_embedded_server_is_not_running(cli: Any, tmp_path: Any) -> None:
    told = cli(
        "doctor",
        env={
            "CONSUMER_ANALYTICS_DATABASE_URL": "",
            "CONSUMER_ANALYTICS_HOME": str(tmp_path / "nothing"),
        },
    )
    assert told.exit_code == 2
    assert "the embedded server is not running" in told.stdout
    assert "consumer-analytics up" in told.stdout
    # Whoever is woken reads what is wrong, not thirty lines that follow from it.
    assert "more checks need the database" in told.stdout
    assert "cannot be told" not in told.stdout


def test_the_command_tells_fixes_and_proves(healthy: Any, cli: Any) -> None:
    double(healthy)
    told = cli("doctor")
    assert told.exit_code == 2
    assert "problem  snapshots-once" in told.stdout
    assert "cause  somebody dropped the constraint" in told.stdout
    assert "--fix makes 1 of them good" in told.stdout
    fixed = cli("doctor", "--fix", "--json")
    assert fixed.exit_code == 0
    (one,) = [one for one in fixed.json["checks"] if one["verdict"] != "ok"]
    assert one["treatment"]["worked"] is True
    assert one["treatment"]["verdict_after"] == "ok"
    assert cli("doctor").exit_code == 0


def test_migrations_behind_by_the_last_one(healthy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An update of the product that brought a migration which the database has not seen."""
    known = schema.migrations()
    later = schema.Migration("9999", "9999_later", "select 1")
    monkeypatch.setattr(schema, "migrations", lambda: (*known, later))
    one = only(healthy, "schema-migrations")
    assert one.finding.says == f"1 of {len(known) + 1} migrations are missing"
    assert one.finding.evidence == ("9999_later",)


def test_what_is_never_touched_unasked(healthy: Any) -> None:
    """Without --fix nothing is changed, whatever is found."""
    double(healthy)
    healthy.execute("drop index customer_events_created_at_idx")
    before = everything(healthy)
    assert set(found(healthy)) == {"source-index", "snapshots-once"}
    assert everything(healthy) == before


# -- Airflow, as its own tables tell ---------------------------------------------


@pytest.fixture
def with_airflow(healthy: Any) -> Any:
    """Return the database with Airflow's tables: all components alive, all DAGs known."""
    healthy.prepared(
        "healthy, with Airflow",
        lambda: airflow_tables.create(healthy, *(dag for dag in DAGS if dag != ETL)),
    )
    heartbeat(healthy)
    return healthy


def heartbeat(database: Any) -> None:
    database.execute(
        "delete from airflow.job; insert into airflow.job (job_type, state, hostname, "
        "start_date, latest_heartbeat) select kind, 'running', 'airflow.example.com', now(), now() "
        "from unnest(array['SchedulerJob', 'DagProcessorJob', 'TriggererJob']) as kind"
    )


def test_airflow_that_is_well_has_no_finding(with_airflow: Any) -> None:
    assert found(with_airflow) == {}
    assert "schema airflow" in examined(with_airflow)["airflow-metadata"].finding.says


@pytest.mark.parametrize(
    ("fault", "verdict", "told"),
    lanes.first(
        2,
        [
            (
                (
                    "update airflow.job set latest_heartbeat = now() - interval '5 min' "
                    "where job_type = 'SchedulerJob'"
                ),
                Verdict.PROBLEM,
                "scheduler on airflow.example.com was last heard of at",
            ),
            (
                "update airflow.job set state = 'success' where job_type = 'DagProcessorJob'",
                Verdict.PROBLEM,
                "dag-processor on airflow.example.com was last heard of at",
            ),
            (
                "delete from airflow.job where job_type = 'TriggererJob'",
                Verdict.WARNING,
                "triggerer was never seen",
            ),
        ],
    ),
)
def test_a_component_without_heartbeat(
    with_airflow: Any, fault: str, verdict: Verdict, told: str
) -> None:
    with_airflow.execute(fault)
    one = only(with_airflow, "airflow-components", fix=True)
    assert one.finding.verdict is verdict
    assert one.finding.evidence[0].startswith(told)
    # They run elsewhere: nothing here can start them.
    assert one.treatment is None
    heartbeat(with_airflow)
    assert found(with_airflow) == {}


def test_a_dag_that_airflow_does_not_know(with_airflow: Any) -> None:
    with_airflow.execute(f"update airflow.dag set is_stale = true where dag_id = '{ETL}'")
    one = only(with_airflow, "airflow-dags")
    assert one.finding.verdict is Verdict.PROBLEM
    assert one.finding.says == f"Airflow does not know {ETL}"


FIRST_SEEN = "2025-03-10 06:00:00 UTC"
LET_RUN = ("2025-03-10 07:00", "patch_dag", ETL, "ops", '{"is_paused": false, "method": "PATCH"}')
BY_API = ("2025-03-11 07:00", "patch_dag", ETL, "ana", '{"is_paused": true, "method": "PATCH"}')


@pytest.fixture
def paused(with_airflow: Any) -> Any:
    """Return the database with the ETL paused, which Airflow saw first when its log had begun."""
    with_airflow.execute("update airflow.dag set is_paused = true where dag_id = %s", [ETL])
    with_airflow.execute(
        "insert into airflow.dag_version "
        "(id, dag_id, version_number, bundle_name, created_at, last_updated) "
        "values (gen_random_uuid(), %s, 1, 'dags', %s, now())",
        [ETL, FIRST_SEEN],
    )
    log(with_airflow, ("2025-03-10 05:59", "cli_scheduler", None, "root", "{}"))
    return with_airflow


def log(database: Any, *rows: tuple[str, str, str | None, str, str]) -> None:
    """Add to Airflow's log, as it writes it."""
    for at, event, dag_id, owner, extra in rows:
        database.execute(
            "insert into airflow.log (dttm, event, dag_id, owner, extra) "
            "values (%s, %s, %s, %s, %s)",
            [f"{at} UTC", event, dag_id, owner, extra],
        )


def test_a_dag_that_nobody_has_let_run(paused: Any) -> None:
    # What others were told is not its own.
    log(
        paused,
        ("2025-03-10 05:59", "cli_dag_pause", ".*", "root", '["--treat-dag-id-as-regex"]'),
        ("2025-03-11 07:00", "patch_dag", "other", "ana", '{"is_paused": true}'),
        ("2025-03-11 07:00", "patch_dag", ETL, "ana", '{"update_mask": "description"}'),
    )
    one = only(paused, "airflow-dags")
    assert one.finding.verdict is Verdict.PROBLEM
    assert one.finding.says == f"never let run: {ETL}"
    assert one.finding.evidence == (f"{ETL}: paused since Airflow first saw it at {FIRST_SEEN}",)


@pytest.mark.long
def test_a_dag_that_was_deleted_and_is_seen_anew(paused: Any) -> None:
    log(paused, ("2025-03-10 05:59:30", *LET_RUN[1:]))
    only(paused, "airflow-dags")
    log(paused, ("2025-03-10 05:59:40", *BY_API[1:]))
    only(paused, "airflow-paused")
    log(paused, ("2025-03-10 05:59:50", "patch_dags", None, "ana", '{"is_paused": false}'))
    only(paused, "airflow-dags")


@pytest.mark.parametrize(
    ("history", "told"),
    lanes.first(
        3,
        [
            (
                [LET_RUN, BY_API],
                "by ana at 2025-03-11 07:00:00 UTC, in the web interface or through the API",
            ),
            (
                [BY_API, ("2025-03-12 08:00", "cli_dag_pause", ETL, "root", "{}")],
                "by root at 2025-03-12 08:00:00 UTC, with `airflow dags pause`",
            ),
            (
                [
                    LET_RUN,
                    ("2025-03-12 08:00", "paused", ETL, "scheduler", "[('is_paused', True)]"),
                ],
                "by scheduler at 2025-03-12 08:00:00 UTC, since its runs kept failing",
            ),
            (
                [LET_RUN, ("2025-03-12 08:00", "patch_dags", None, "ana", '{"is_paused": true}')],
                "by ana at 2025-03-12 08:00:00 UTC, through the API, with others",
            ),
            (
                [
                    (
                        "2025-03-12 08:00",
                        "cli_dag_pause",
                        "consumer.*",
                        "root",
                        "['airflow', 'dags', 'pause', '--treat-dag-id-as-regex', 'consumer.*']",
                    )
                ],
                "by root at 2025-03-12 08:00:00 UTC, with `airflow dags pause`, with others",
            ),
            # Before it was deleted, and seen anew: still a decision.
            (
                [("2025-03-10 05:59:30", *BY_API[1:])],
                "by ana at 2025-03-10 05:59:30 UTC, in the web interface or through the API",
            ),
            # Past the log, such as by SQL.
            (
                [BY_API, ("2025-03-12 08:00", "cli_dag_unpause", ETL, "root", "{}")],
                (
                    "by whom is not known; last let run by root at 2025-03-12 08:00:00 UTC, "
                    "with `airflow dags unpause`"
                ),
            ),
        ],
    ),
)
def test_a_dag_that_somebody_has_paused(
    paused: Any, history: list[tuple[str, str, str | None, str, str]], told: str
) -> None:
    log(paused, *history)
    one = only(paused, "airflow-paused", fix=True)
    assert one.finding.verdict is Verdict.PROBLEM
    assert one.finding.says == f"paused: {ETL}"
    assert one.finding.evidence == (f"{ETL}: paused {told}",)
    assert one.finding.fix is not None
    assert one.finding.fix.command.startswith(f"airflow dags unpause {ETL}")
    assert one.finding.fix.apply is None


@pytest.mark.long
def test_a_pause_that_airflows_log_does_not_reach_back_to(paused: Any) -> None:
    """Its clean-up removes what is old: that nobody is named is no proof that nobody was."""
    paused.execute("update airflow.log set dttm = '2025-04-01 UTC'")
    one = only(paused, "airflow-paused")
    assert one.finding.evidence[0].endswith(
        "Airflow's log, which begins at 2025-04-01 00:00:00 UTC, does not tell"
    )
    paused.execute("update airflow.log set dttm = '2025-03-10 05:59 UTC'")
    only(paused, "airflow-dags")
    paused.execute("update airflow.dag_version set version_number = 2")
    only(paused, "airflow-paused")
    paused.execute("delete from airflow.log")
    one = only(paused, "airflow-paused")
    assert one.finding.evidence[0].endswith("Airflow's log is empty")


def test_a_log_that_this_login_may_not_read(paused: Any) -> None:
    with runner(paused) as (name, seen):
        paused.execute(
            f"grant usage on schema airflow to {name}; "
            f"grant select on all tables in schema airflow to {name}; "
            f"revoke select on airflow.log from {name}"
        )
        one = found(seen)["airflow-paused"]
    assert one.finding.verdict is Verdict.UNKNOWN
    assert "permission denied for table log: grant SELECT on all tables in schema airflow" in (
        one.finding.says
    )


def test_a_run_that_was_not_made(with_airflow: Any) -> None:
    overdue = "update airflow.dag set next_dagrun_create_after = now() - interval '{}'"
    with_airflow.execute(overdue.format("1 min"))
    assert found(with_airflow) == {}
    with_airflow.execute(overdue.format("1 hour") + f" where dag_id = '{ETL}'")
    one = only(with_airflow, "airflow-schedule")
    assert one.finding.says == f"not on schedule: {ETL}"
    assert "has not been made" in one.finding.evidence[0]


@pytest.mark.long
def test_a_run_that_stands_in_the_way_and_one_that_failed(with_airflow: Any) -> None:
    now = dt.datetime.now(dt.UTC)
    airflow_tables.add_run(with_airflow, now - 2 * DAY, state="running", seconds=None)
    one = only(with_airflow, "airflow-schedule")
    assert "has been running since" in one.finding.evidence[0]
    with_airflow.execute("delete from airflow.dag_run")
    airflow_tables.add_run(with_airflow, now - DAY, state="failed")
    one = only(with_airflow, "airflow-schedule")
    assert one.finding.says == f"the last run failed: {ETL}"
    assert f"until airflow tasks clear --only-failed --yes {ETL}; do" in (
        one.finding.fix.command if one.finding.fix else ""
    )
    airflow_tables.add_run(with_airflow, now)
    assert found(with_airflow) == {}


def test_import_errors_of_others_are_theirs(with_airflow: Any) -> None:
    broken = (
        "insert into airflow.import_error (timestamp, filename, bundle_name, stacktrace) "
        "values (now(), %s, 'dags', E'Traceback\\n  line 1\\nSyntaxError: invalid syntax\\n')"
    )
    with_airflow.execute(broken, ["others.py"])
    assert found(with_airflow) == {}
    with_airflow.execute(broken, ["consumer_analytics_etl.py"])
    one = only(with_airflow, "airflow-import-errors")
    assert one.finding.evidence == ("consumer_analytics_etl.py: SyntaxError: invalid syntax",)


@pytest.mark.long
def test_metadata_that_this_login_may_not_read(with_airflow: Any) -> None:
    with runner(with_airflow) as (_, seen):
        those = found(seen)
        assert those["airflow-metadata"].finding.verdict is Verdict.PROBLEM
        assert those["airflow-components"].finding.verdict is Verdict.UNKNOWN
        command = those["airflow-metadata"].finding.fix
        assert command is not None
        with_airflow.execute(command.command)
        assert found(seen) == {}


# -- mails -----------------------------------------------------------------------


@pytest.mark.long
def test_a_mail_server_that_lets_us_in_and_one_that_does_not(healthy: Any, tmp_path: Any) -> None:
    with mail_server(tmp_path) as server:
        settings = {**server.settings}
        assert found(healthy, **settings) == {}
        # Asked, not used: the doctor sends nothing.
        assert server.mails == []
        wrong = tmp_path / "wrong"
        wrong.write_text("not it\n")
        one = only(healthy, "mail-server", **{**settings, "smtp_password_file": wrong})
        assert one.finding.says == "no mail can be sent: it fails at login"
    one = only(healthy, "mail-server", **settings)
    assert one.finding.verdict is Verdict.PROBLEM
    assert one.finding.says == "no mail can be sent: it fails at connection"
    assert "alerts test" in (one.finding.fix.command if one.finding.fix else "")


def test_mails_that_wait(healthy: Any) -> None:
    healthy.execute(
        "insert into consumer_analytics_internal.mails "
        "(key, content, created_at, attempts, next_try_at, last_error) "
        "values ('k', '{}', now() - interval '1 hour', 3, now(), 'connection refused')"
    )
    one = only(healthy, "mail-waiting")
    assert one.finding.verdict is Verdict.WARNING
    assert one.finding.evidence == ("the last try: connection refused",)
    healthy.execute("update consumer_analytics_internal.mails set sent_at = now()")
    assert found(healthy) == {}


# -- this machine ------------------------------------------------------------------


@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize(
    ("offset", "verdict", "told"),
    lanes.first(
        1, [("+90s", "problem", "s behind this machine's"), ("-20s", "warning", "s ahead of this")]
    ),
)
def test_clocks_that_differ(
    database: Any, tmp_path: Path, offset: str, verdict: str, told: str
) -> None:
    done = subprocess.run(
        [str(require("faketime")), "-f", offset, str(COMMAND), "doctor", "--json"],
        env=command_environment(
            {
                "CONSUMER_ANALYTICS_DATABASE_URL": database.url,
                "CONSUMER_ANALYTICS_HOME": str(tmp_path),
            }
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    (one,) = [one for one in json.loads(done.stdout)["checks"] if one["verdict"] != "ok"]
    assert (one["check"], one["verdict"]) == ("database-clock", verdict)
    assert told in one["says"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_that_is_nearly_full(healthy: Any, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=10m", "none", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        settings = healthy.settings.replaced({"home": disk})
        with healthy.connect("doctor", writes_sources=False) as connection:
            context = Context(settings, connection)
            assert local.disks(context).verdict is Verdict.OK
            (disk / "logs").write_bytes(b"x" * (9_300 << 10))
            assert local.disks(context).verdict is Verdict.WARNING
            unasked = settings.replaced({"disk_warning": 0})
            assert local.disks(Context(unasked, connection)).verdict is Verdict.OK
            (disk / "more").write_bytes(b"x" * (700 << 10))
            finding = local.disks(context)
            assert finding.verdict is Verdict.PROBLEM
            assert finding.says == "the disk of home is nearly full"
            assert f"of 10.0 MiB free ({disk})" in finding.evidence[0]
    finally:
        subprocess.run(["umount", disk], check=True)


# -- time zones ----------------------------------------------------------------


@pytest.fixture
def other_rules(tmp_path: Path) -> Iterator[None]:
    """Have another zone's rules under the name of Vancouver, and a zone that nobody else has."""
    for name in ("America/Vancouver", "America/Nowhere"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        # All year at seven hours behind UTC, as Vancouver is from 2026 on by newer rules.
        file.write_bytes(Path("/usr/share/zoneinfo/Etc/GMT+7").read_bytes())
    zoneinfo.reset_tzpath([tmp_path, *zoneinfo.TZPATH])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


def test_zone_rules_that_are_the_servers_own(database: Any) -> None:
    finding = examined(database, timezone="Asia/Kathmandu")["database-zone"].finding
    assert finding == ok("the server's clocks of Asia/Kathmandu are ours")


@pytest.mark.usefixtures("other_rules")
def test_zone_rules_that_differ_from_the_servers_are_told(database: Any) -> None:
    finding = only(database, "database-zone", timezone="America/Vancouver").finding
    assert finding.verdict is Verdict.WARNING
    assert "America/Vancouver" in finding.says
    assert "here, " in finding.evidence[1]
    unknown = only(database, "database-zone", timezone="America/Nowhere").finding
    assert unknown.says == "the server does not know the time zone America/Nowhere"


@pytest.mark.long
def test_the_jobs_state_that_was_deleted(healthy: Any) -> None:
    """Counts without their end would be added to twice; the runs' records know it."""
    kept = "select processed_through from consumer_analytics_internal.state"
    before = healthy.rows(kept)
    healthy.execute("delete from consumer_analytics_internal.state")
    those = found(healthy)
    assert list(those) == ["watermark-state", "watermark"]
    assert those["watermark-state"].finding.verdict is Verdict.PROBLEM
    treated = examined(healthy, fix=True)["watermark-state"].treatment
    assert treated is not None
    assert treated.worked
    assert healthy.rows(kept) == before
    assert found(healthy) == {}
    go(healthy, END + DAY)
    with db.connected(healthy.settings, "audit") as connection:
        audited = audit.audit(connection, healthy.settings)
    assert audited.clean, audited.as_json()["first_differences"]


def test_state_that_no_run_tells_is_not_made_up(healthy: Any) -> None:
    healthy.execute("delete from consumer_analytics_internal.state")
    healthy.execute("delete from consumer_analytics_internal.runs")
    one = examined(healthy, fix=True)["watermark-state"]
    assert one.finding.fix is not None
    assert "from a backup" in one.finding.fix.command
    assert one.treatment is None
    assert healthy.rows("select count(*) from consumer_analytics_internal.state") == [(0,)]
