"""Rows in flight while runs look: none is lost, none is counted early."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.support import lanes, oracle
from tests.support.writers import KINDS, Application

from consumer_analytics.calendar import instants
from consumer_analytics.db import tags
from consumer_analytics.db.connection import connected
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import HoldbackBlindError
from consumer_analytics.etl import holdback, run
from consumer_analytics.fields import Secret
from consumer_analytics.orchestration import tasks

TENANT = uuid.UUID(int=1)
_A_MINUTE = 60.0


def go(database: Any, at: dt.datetime | None = None, **changes: Any) -> dict[str, Any]:
    """Run the ETL, waiting for nobody unless told to."""
    settings = database.settings.replaced({"holdback_wait": 0, **changes})
    with connected(settings, "test run") as connection:
        return run.run(connection, settings, at=at).as_json()


def differences(database: Any) -> list[Any]:
    """Compare every snapshot there is with a recount as of its instant, taken now."""
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        snapshots = connection.execute(
            "select snapshot_timestamp, "
            "(metrics_json #>> '{incremental_stats,window_start}')::timestamptz "
            "from consumer_analytics where consumer_id is null order by 1"
        ).fetchall()
        return [
            (str(at), consumer, _only_where(stored.get(consumer), truth.get(consumer)))
            for at, start in snapshots
            for stored, truth in [
                (oracle.stored(connection, at), oracle.snapshot(sources, at, start))
            ]
            for consumer in stored.keys() | truth.keys()
            if stored.get(consumer) != truth.get(consumer)
        ]


def _only_where(stored: Any, truth: Any) -> Any:
    if stored is None or truth is None:
        return "missing" if stored is None else "too many"
    return {key: (stored[key], truth[key]) for key in truth if stored[key] != truth[key]}


def insert_event(connection: psycopg.Connection[Any]) -> None:
    """Insert an event at the default time: its transaction's start."""
    connection.execute(
        "insert into customer_events (event_id, customer_id, consumer_id, event_type) "
        "values (%s, %s, %s, 'login')",
        [uuid.uuid4(), uuid.uuid4(), TENANT],
    )


def counted(database: Any) -> int:
    """Return how many events the latest snapshot has."""
    return int(
        database.rows(
            "select (metrics_json ->> 'total_events_all_consumers')::int from consumer_analytics "
            "where consumer_id is null order by snapshot_timestamp desc limit 1"
        )[0][0]
    )


@contextmanager
def session(database: Any, name: str = "the application") -> Iterator[psycopg.Connection[Any]]:
    """Open a session of the application, in autocommit."""
    with psycopg.connect(database.url, autocommit=True, application_name=name) as connection:
        yield connection


def unprotected(*_: Any) -> list[holdback.Holder]:
    """Take the holdback's place and let everything pass."""
    return []


# -- many writers ----------------------------------------------------------------


def run_beside_writers(
    database: Any,
    *,
    seconds: float,
    seed: int,
    waits: tuple[float, ...],
    hard: Callable[[list[Any]], bool],
) -> tuple[Any, list[Any]]:
    """Let runs follow each other beside a busy application, one row of them for each wait.

    Args:
        database: whose tables the application writes to.
        seconds: how long at least.
        seed: of what the application does.
        waits: for transactions in flight.
        hard: tells of the runs' summaries whether it was hard enough; until it says so it
            goes on, for a minute at most.

    Returns:
        How many transactions of each kind there were, and all runs' summaries.
    """
    application = Application(database.url, seed)
    summaries: list[dict[str, Any]] = []
    failures: list[BaseException] = []
    over = threading.Event()

    def keep_running(wait: float) -> None:
        try:
            while not over.is_set():
                summaries.append(go(database, holdback_wait=wait))
        except BaseException as error:  # noqa: BLE001  (told below)
            failures.append(error)

    runners = [threading.Thread(target=keep_running, args=[wait]) for wait in waits]
    application.start()
    try:
        for runner in runners:
            runner.start()
        begun = time.monotonic()
        over.wait(seconds)
        while not (failures or hard(list(summaries))) and time.monotonic() < begun + _A_MINUTE:
            over.wait(0.5)
    finally:
        written = application.stop()
        over.set()
        for runner in runners:
            runner.join(60)
    if failures:
        raise failures[0]
    summaries.append(go(database))
    return written, summaries


def holders(summaries: list[Any]) -> set[str]:
    """Return what kinds of transactions have held runs back."""
    return {holder["kind"] for summary in summaries for holder in summary["held_back_by"]}


def test_nobody_is_looked_for_before_the_instant_has_settled(database: Any) -> None:
    # A transaction's start is fixed a moment before others can see it.
    go(database)
    ((waited,),) = database.rows(
        "select max(observed_at) - (select max(reached_at) from consumer_analytics_internal.runs) "
        "from consumer_analytics_internal.transaction_horizons"
    )
    assert waited >= dt.timedelta(milliseconds=200)


@pytest.mark.both_versions
def test_every_snapshot_beside_sixteen_writers_equals_a_recount(database: Any) -> None:
    def hard(summaries: list[Any]) -> bool:
        return len(summaries) > 5 and holders(summaries) == {"session", "prepared"}

    # Two at once, so that runs also meet each other.
    written, summaries = run_beside_writers(
        database, seconds=8, seed=20250301, waits=(0.05, 0.6), hard=hard
    )

    assert differences(database) == []
    assert (
        counted(database)
        == database.rows("select count(*) from customer_events where consumer_id is not null")[0][0]
    )
    assert database.rows("select count(*) from consumer_analytics_revisions") == [(0,)]
    # It must have been hard: all kinds of transactions, and runs that had to stop short.
    assert written.keys() == KINDS.keys()
    assert hard(summaries)
    assert not summaries[-1]["held_back_by"]


@lanes.LONG
def test_the_same_without_the_protection_loses_rows(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holdback, "wait_until_settled", unprotected)
    # One only: a run that comes second recounts its day, and finds again what was lost.
    run_beside_writers(
        database,
        seconds=4,
        seed=20250301,
        waits=(0,),
        hard=lambda summaries: len(summaries) > 5,
    )
    assert differences(database)


@pytest.mark.parametrize("protected", [True, False])
def test_a_row_of_a_transaction_open_across_a_run(
    database: Any, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(holdback, "wait_until_settled", unprotected)
    with session(database) as writer:
        insert_event(writer)
        writer.execute("begin")
        writer.execute("select 1")
        time.sleep(0.3)
        go(database)
        insert_event(writer)
        writer.execute("commit")
    go(database)
    assert counted(database) == (2 if protected else 1)
    assert (differences(database) == []) is protected


# -- who holds a run back --------------------------------------------------------


@pytest.mark.both_versions
@pytest.mark.parametrize(
    "begin",
    lanes.first(
        1, ["begin", "begin isolation level repeatable read read only", "begin; savepoint one"]
    ),
)
def test_an_open_transaction_holds_runs_back_to_its_start(database: Any, begin: str) -> None:
    with session(database) as writer:
        insert_event(writer)
        time.sleep(0.25)
        writer.execute(begin)
        began = writer.execute("select now()").fetchone()
        time.sleep(0.25)
        for _ in range(2):
            summary = go(database)
            assert dt.datetime.fromisoformat(summary["window_end"]) == (began or [])[0]
            assert [holder["pid"] for holder in summary["held_back_by"]] == [
                writer.info.backend_pid
            ]
        writer.execute("rollback")
    summary = go(database)
    assert summary["held_back_by"] == []
    assert differences(database) == []


def test_a_run_waits_for_a_transaction_that_ends_in_time(database: Any) -> None:
    told: list[str] = []
    with session(database) as writer:
        writer.execute("begin")
        insert_event(writer)

        def commit() -> None:
            writer.execute("commit")

        timer = threading.Timer(1.6, commit)
        timer.start()
        settings = database.settings.replaced({"holdback_wait": 30})
        with connected(settings, "test run") as connection:
            summary = run.run(connection, settings, notify=told.append).as_json()
        timer.join()
    assert summary["held_back_by"] == []
    assert counted(database) == 1
    assert len(told) == 1
    assert told[0].startswith("waiting up to 30 s for pid ")
    assert "(the application, user " in told[0]


def test_holders_are_told_on_the_command_line_in_metadata_and_in_the_log(
    database: Any, cli: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(database)
    with session(database, "nightly [red]job[/red]") as writer:
        pid = writer.info.backend_pid
        user = writer.info.user
        writer.execute("begin")
        insert_event(writer)
        time.sleep(0.25)
        no_wait = {"CONSUMER_ANALYTICS_HOLDBACK_WAIT": "0"}
        started = time.monotonic()
        done = cli("run", env=no_wait)
        assert time.monotonic() - started < 10
        assert done.exit_code == 0, done.stderr
        assert (
            f"held back by pid {pid} (nightly [red]job[/red], user {user}, idle in transaction), "
            "open for "
        ) in done.stderr
        assert "last statement begun " in done.stderr
        assert "stopped short of " in done.stderr

        [holder] = cli("run", "--json", env=no_wait).json["held_back_by"]
        [(kept,)] = database.rows(
            "select metadata_json -> 'held_back_by' -> 0 from etl_job_watermarks"
        )
        assert holder == kept
        assert holder["pid"] == pid
        assert holder["user"] == user
        assert holder["application_name"] == "nightly [red]job[/red]"
        assert holder["state"] == "idle in transaction"
        assert holder["age_seconds"] > 0.2
        began, query_start = (
            dt.datetime.fromisoformat(holder[key]) for key in ("transaction_start", "query_start")
        )
        assert began <= query_start <= dt.datetime.now(dt.UTC)

        dag_run = DagRun("consumer_analytics_etl", "manual", None, dt.datetime.now(dt.UTC))
        settings = database.settings.replaced({"holdback_wait": 0})
        monkeypatch.setattr(tasks, "settings", lambda: settings)
        with caplog.at_level(logging.INFO):
            tasks.extract_customer_counts(dag_run)
            tasks.load_consumer_analytics(dag_run)
        assert f"held back by pid {pid} (nightly [red]job[/red], user {user}, " in caplog.text
        assert "stopped short of " in caplog.text


def test_one_that_gives_no_name_is_told_so() -> None:
    now = dt.datetime.now(dt.UTC)
    nameless = holdback.Holder("session", now, 7, "app", "", "active", now, now)
    assert nameless.describe().startswith("pid 7 (no application name, user app, active), ")


@dataclass
class DagRun:
    dag_id: str
    run_id: str
    logical_date: dt.datetime | None
    run_after: dt.datetime


# -- prepared transactions --------------------------------------------------------


@pytest.mark.both_versions
@pytest.mark.parametrize("end", lanes.first(1, ["commit", "rollback"]))
def test_a_prepared_transaction_holds_runs_back_until_it_ends(database: Any, end: str) -> None:
    with session(database) as writer:
        insert_event(writer)
        time.sleep(0.25)
        go(database)
        writer.execute("begin")
        insert_event(writer)
        began = writer.execute("select now()").fetchone()
        writer.execute("prepare transaction 'two-phase'")
        insert_event(writer)
        time.sleep(0.25)
        for _ in range(3):
            summary = go(database)
            [holder] = summary["held_back_by"]
            assert holder["kind"] == "prepared"
            assert holder["application_name"] == "two-phase"
            assert dt.datetime.fromisoformat(summary["window_end"]) <= (began or [])[0]
        assert counted(database) == 1
        writer.execute(sql.SQL(f"{end} prepared 'two-phase'"))
    go(database)
    assert counted(database) == (3 if end == "commit" else 2)
    assert differences(database) == []


def test_one_prepared_before_the_first_run_stops_everything_and_says_so(
    database: Any, cli: Any
) -> None:
    with session(database) as writer:
        insert_event(writer)
        writer.execute("begin")
        insert_event(writer)
        writer.execute("prepare transaction 'forgotten'")
        done = cli("run", env={"CONSUMER_ANALYTICS_HOLDBACK_WAIT": "0"})
        assert done.exit_code == 0, done.stderr
        assert "nothing could be processed yet" in done.stdout
        assert "held back by prepared transaction 'forgotten' of user " in done.stderr
        assert "of unknown age" in done.stderr
        assert database.rows("select count(*) from consumer_analytics") == [(0,)]
        writer.execute("commit prepared 'forgotten'")
    go(database)
    assert counted(database) == 2
    assert differences(database) == []


@pytest.mark.long
def test_one_that_began_after_a_late_runs_instant_and_was_prepared_later(database: Any) -> None:
    """A run as of yesterday says nothing about who began today."""
    with session(database) as writer:
        yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        writer.execute("begin")
        insert_event(writer)
        time.sleep(0.5)
        assert go(database, yesterday)["held_back_by"] == []
        writer.execute("prepare transaction 'later'")
        [holder] = go(database)["held_back_by"]
        assert holder["kind"] == "prepared"
        writer.execute("commit prepared 'later'")
    go(database)
    assert counted(database) == 1
    assert differences(database) == []


@pytest.fixture
def other_login(database: Any) -> Iterator[Callable[..., str]]:
    """Return a function that makes logins: `other_login("grant …")`, and returns their names."""
    if database.server.role is None:
        pytest.skip("the test server's admin may not create logins")
    made: list[str] = []

    def make(*grants: str) -> str:
        name = f"ca_test_{uuid.uuid4().hex[:8]}"
        with database.connect_admin() as admin:
            admin.execute(sql.SQL("create role {} login").format(sql.Identifier(name)))
            made.append(name)
            for grant in grants:
                admin.execute(
                    sql.SQL("grant {} to {}").format(sql.SQL(grant), sql.Identifier(name))
                )
        return name

    yield make
    with database.connect_admin() as admin:
        for name in made:
            if admin.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone():
                admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(name)))
                admin.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


def url_of(database: Any, login: str) -> str:
    """Return the connection string of a login that has no password."""
    return psycopg.conninfo.make_conninfo(database.url, user=login, password="")


@pytest.mark.long
def test_one_of_a_login_that_was_dropped_since(
    database: Any, other_login: Callable[..., str]
) -> None:
    go(database)
    login = other_login("insert on customer_events")
    with psycopg.connect(url_of(database, login), autocommit=True) as writer:
        writer.execute("begin")
        insert_event(writer)
        writer.execute("prepare transaction 'orphan'")
    with database.connect_admin() as admin:
        admin.execute(sql.SQL("drop owned by {}").format(sql.Identifier(login)))
        admin.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))
        [holder] = go(database, holdback_ignore_roles="somebody")["held_back_by"]
        assert holder["user"] == "(dropped)"
        admin.execute("commit prepared 'orphan'")
    go(database)
    assert counted(database) == 1


@pytest.mark.long
@pytest.mark.both_versions
def test_one_that_was_prepared_as_somebody_who_can_only_read(
    database: Any, other_login: Callable[..., str]
) -> None:
    """SET ROLE decides whose a prepared transaction is; who has written before was another."""
    only_reads = other_login("select on customer_events")
    writes = other_login("insert on customer_events", only_reads)
    go(database)
    with psycopg.connect(url_of(database, writes), autocommit=True) as writer:
        writer.execute("begin")
        insert_event(writer)
        writer.execute(sql.SQL("set local role {}").format(sql.Identifier(only_reads)))
        writer.execute("prepare transaction 'disguised'")
    with psycopg.connect(url_of(database, only_reads), autocommit=True) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from customer_events")
        reader.execute("prepare transaction 'harmless'")
    with database.connect_admin() as admin:
        time.sleep(0.25)
        [holder] = go(database)["held_back_by"]
        assert (holder["application_name"], holder["user"]) == ("disguised", only_reads)
        admin.execute("commit prepared 'disguised'")
        time.sleep(0.25)
        assert go(database)["held_back_by"] == []
        admin.execute("rollback prepared 'harmless'")
    assert counted(database) == 1
    assert differences(database) == []


@pytest.mark.long
def test_one_of_a_login_whose_right_to_write_was_taken_away_since(
    database: Any, other_login: Callable[..., str]
) -> None:
    login = other_login("insert on customer_events")
    with psycopg.connect(url_of(database, login), autocommit=True) as writer:
        writer.execute("begin")
        insert_event(writer)
        with database.connect_admin() as admin:
            admin.execute(
                sql.SQL("revoke insert on customer_events from {}").format(sql.Identifier(login))
            )
        time.sleep(0.25)
        [holder] = go(database)["held_back_by"]
        assert holder["user"] == login
        writer.execute("commit")
        writer.execute("begin")
        writer.execute("create temporary table mine (id int); insert into mine values (1)")
        time.sleep(0.25)
        assert go(database)["held_back_by"] == []
    assert counted(database) == 1
    assert differences(database) == []


# -- who does not, and who cannot be seen ------------------------------------------


def test_our_own_readers_hold_nobody_back(database: Any) -> None:
    with database.connect(writes_sources=False) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from customer_events")
        time.sleep(0.25)
        assert go(database)["held_back_by"] == []


def test_our_tag_in_anothers_session_does_not_hide_its_transaction(database: Any) -> None:
    """A pooler may hand a session on with the locks that it holds."""
    with session(database) as writer:
        tags.put(writer, Tag.READER)
        writer.execute("begin")
        insert_event(writer)
        time.sleep(0.25)
        assert [holder["pid"] for holder in go(database)["held_back_by"]] == [
            writer.info.backend_pid
        ]


def test_ignored_logins_hold_nobody_back(database: Any, other_login: Callable[..., str]) -> None:
    login = other_login("update on consumers")
    with psycopg.connect(url_of(database, login), autocommit=True) as reader:
        reader.execute("begin")
        reader.execute("select 1")
        time.sleep(0.25)
        assert len(go(database)["held_back_by"]) == 1
        assert go(database, holdback_ignore_roles=f"x, {login}")["held_back_by"] == []


def test_what_an_ignored_login_prepared_holds_nobody_back_either(
    database: Any, other_login: Callable[..., str]
) -> None:
    login = other_login("insert on customer_events")
    with psycopg.connect(url_of(database, login), autocommit=True) as writer:
        writer.execute("begin")
        insert_event(writer)
        writer.execute("prepare transaction 'ignored'")
        time.sleep(0.25)
        try:
            assert len(go(database)["held_back_by"]) == 1
            assert go(database, holdback_ignore_roles=login)["held_back_by"] == []
        finally:
            writer.execute("rollback prepared 'ignored'")


def test_several_transactions_in_one_message_are_never_out_of_sight(database: Any) -> None:
    """Between two of them no transaction is open, and the next began when the message came."""
    with session(database) as writer, database.connect(writes_sources=False) as watcher:
        pid = writer.info.backend_pid
        thread = threading.Thread(target=writer.execute, args=["begin; commit;" * 60_000])
        thread.start()
        while not holdback.observe(watcher, instants.now(watcher), []):
            assert thread.is_alive(), "the message was over before it was seen"
        looks = 0
        while True:
            looked_at = instants.now(watcher)
            holders = holdback.observe(watcher, looked_at, [])
            if (
                not holders
                and watcher.execute(
                    "select 1 from pg_stat_activity where pid = %s and state = 'idle'", [pid]
                ).fetchone()
            ):
                break
            looks += 1
            assert [holder.pid for holder in holders] == [pid], looks
        thread.join()
        assert looks > 3


@pytest.mark.long
def test_a_session_that_does_not_track_its_activity_holds_runs_back(database: Any) -> None:
    if database.server.role is None:
        pytest.skip("only a superuser may switch track_activities off")
    go(database)
    with database.connect_admin() as writer:
        writer.execute("set track_activities = off")
        go_on = go(database)
        assert go_on["held_back_by"] == []
        writer.execute("begin")
        insert_event(writer)
        time.sleep(0.25)
        summary = go(database)
        [holder] = summary["held_back_by"]
        assert holder["kind"] == "untracked"
        assert holder["pid"] == writer.info.backend_pid
        # Switched on again in the middle, the transaction still has no start to be seen.
        writer.execute("set track_activities = on")
        assert [holder["kind"] for holder in go(database)["held_back_by"]] == ["untracked"]
        writer.execute("commit")
    go(database)
    assert counted(database) == 1
    assert differences(database) == []


@pytest.mark.both_versions
def test_a_login_that_cannot_see_others_is_refused_and_told_the_grant(
    database: Any, other_login: Callable[..., str], cli: Any
) -> None:
    login = other_login(
        "usage on schema consumer_analytics_internal",
        "all on all tables in schema consumer_analytics_internal",
        "all on all functions in schema consumer_analytics_internal",
        "all on all tables in schema public",
    )
    mine = {"CONSUMER_ANALYTICS_DATABASE_URL": url_of(database, login)}
    # With nobody else there nothing is hidden.
    done = cli("run", env=mine)
    assert done.exit_code == 0, done.stderr
    before = database.rows("select last_processed_timestamp from etl_job_watermarks")
    with session(database):
        done = cli("run", env=mine)
        assert done.exit_code == 1
        assert f"GRANT pg_read_all_stats TO {login}" in done.stderr
        assert "Traceback" not in done.stderr
        assert database.rows("select last_processed_timestamp from etl_job_watermarks") == before
        with database.connect_admin() as admin:
            admin.execute(sql.SQL("grant pg_read_all_stats to {}").format(sql.Identifier(login)))
        done = cli("run", env=mine)
        assert done.exit_code == 0, done.stderr


def test_blindness_is_noted_as_the_runs_failure(
    database: Any, other_login: Callable[..., str]
) -> None:
    login = other_login(
        "usage on schema consumer_analytics_internal",
        "all on all tables in schema consumer_analytics_internal",
        "execute on all functions in schema consumer_analytics_internal",
        "all on all tables in schema public",
    )
    settings = database.settings.replaced({"database_url": Secret(url_of(database, login))})
    with (
        session(database),
        connected(settings, "test run") as connection,
        pytest.raises(HoldbackBlindError, match="pg_read_all_stats"),
    ):
        run.run(connection, settings)


def test_looking_from_inside_a_transaction_is_refused(database: Any) -> None:
    with database.connect(writes_sources=False) as connection:
        connection.execute("begin")
        with pytest.raises(RuntimeError, match="outside"):
            holdback.observe(connection, dt.datetime.now(dt.UTC), [])


# -- what a held-back run owes ------------------------------------------------------


@pytest.mark.both_versions
def test_a_named_instant_that_was_held_back_gets_its_snapshot_from_the_next_run(
    database: Any,
) -> None:
    def stored_instants() -> list[dt.datetime]:
        rows = database.rows(
            "select snapshot_timestamp from consumer_analytics where consumer_id is null order by 1"
        )
        return [at for (at,) in rows]

    with session(database) as writer:
        insert_event(writer)
        time.sleep(0.25)
        writer.execute("begin")
        insert_event(writer)
        time.sleep(0.25)
        named = [dt.datetime.now(dt.UTC)]
        assert go(database, named[0])["held_back_by"]
        with session(database) as another:
            insert_event(another)
        time.sleep(0.25)
        named.append(dt.datetime.now(dt.UTC))
        assert go(database, named[1])["held_back_by"]
        # An instant that nobody named is owed to nobody.
        assert go(database)["held_back_by"]
        assert not set(named) & set(stored_instants())
        assert database.rows(
            "select snapshot_timestamp from consumer_analytics_internal.owed_snapshots order by 1"
        ) == [(at,) for at in named]
        writer.execute("commit")
    go(database)
    assert set(named) <= set(stored_instants())
    assert database.rows("select count(*) from consumer_analytics_internal.owed_snapshots") == [
        (0,)
    ]
    assert counted(database) == 3
    assert differences(database) == []
    metadata = json.dumps(database.rows("select metadata_json from etl_job_watermarks")[0][0])
    assert "held_back_by" in metadata
