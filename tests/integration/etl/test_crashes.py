"""Killed at every step, and whatever else can happen: the next run needs no hand."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import shutil
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, Self

import psutil
import psycopg
import pytest
from psycopg import IsolationLevel
from tests.support import lanes, oracle, scratch
from tests.support.crashes import Child, locked, parked, wait_for
from tests.support.history import random_history
from tests.support.runs import WAYS

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected, scalar
from consumer_analytics.errors import ConnectionLostError, HoldbackBlindError
from consumer_analytics.etl import extract, job_state, load, run
from consumer_analytics.etl.plan import plan_run
from consumer_analytics.fields import Secret
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.mapping import PLAIN
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.reporting import freshness, status
from consumer_analytics.reporting.ranges import Range

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 12, tzinfo=dt.UTC)
INTERNAL = "consumer_analytics_internal"
READ, WRITE = "access exclusive", "share"

#: Locks taken one after the other: the run is let on to the next when it waits at one.
RUN_POINTS: dict[str, list[tuple[str, str]]] = {
    "schema check": [(f"{INTERNAL}.alembic_version", READ)],
    "where it stands": [(f"{INTERNAL}.state", READ)],
    "holdback": [(f"{INTERNAL}.transaction_horizons", WRITE)],
    "open": [(f"{INTERNAL}.runs", WRITE)],
    "open, status": [("etl_job_watermarks", WRITE)],
    "read customers": [("customers", READ)],
    "leave customers": [(f"{INTERNAL}.extracted_customers", WRITE)],
    "leave events": [(f"{INTERNAL}.extracted_events", WRITE)],
    "end of extract": [(f"{INTERNAL}.extracts", WRITE)],
    "fold days": [(f"{INTERNAL}.event_days", WRITE)],
    "fold totals": [(f"{INTERNAL}.event_totals", WRITE)],
    "advance": [(f"{INTERNAL}.state", WRITE)],
    "write snapshots": [("consumer_analytics", WRITE)],
    "keep revisions": [("consumer_analytics_revisions", WRITE)],
    "pay what is owed": [(f"{INTERNAL}.owed_snapshots", WRITE)],
    "move the watermark": [("customers", READ), ("etl_job_watermarks", WRITE)],
    "finish": [("customers", READ), (f"{INTERNAL}.runs", WRITE)],
    "restate": [
        ("customers", READ),
        (f"{INTERNAL}.runs", WRITE),
        ("consumer_analytics_revisions", WRITE),
    ],
}
#: Points of steps only: a run in one go hands nothing over, and holds `customers` until its load
#: is done.
ONLY_IN_STEPS = {"leave customers", "leave events", "end of extract", "restate"}


class Stopped:
    """A child that waits at the last of some points; within a `with` block."""

    def __init__(
        self, database: Any, watcher: Connection, points: list[tuple[str, str]], work: Any
    ) -> None:
        with ExitStack() as held:
            locker = held.enter_context(locked(database, *points[0]))
            self.child = Child(database, work)
            for table, mode in points[1:]:
                parked(locker, watcher)
                following = held.enter_context(locked(database, table, mode))
                locker.execute("rollback")
                locker = following
            self.backend = parked(locker, watcher)
            self.locker = locker
            self._held = held.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.close()


def kill_process(child: Child, _watcher: Connection, _backend: int) -> None:
    child.kill()


def kill_backend(child: Child, watcher: Connection, backend: int) -> None:
    watcher.execute("select pg_terminate_backend(%s)", [backend])
    assert child.join() == 1


KILLS = {"process": kill_process, "backend": kill_backend}


def filled(database: Any) -> None:
    """Fill the sources, and have two days reported."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(17), BEGIN, END, events=120)
        for day in (2, 3):
            go(database, BEGIN + dt.timedelta(days=day))

    database.prepared(filled, fill)


def late_row(database: Any) -> None:
    """Bring a row from before everything, and have the next run find it and restate."""
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        f"values ('{uuid.uuid4()}', '{uuid.UUID(int=1)}', 'late', '2025-03-01 12:00+00'); "
        "update etl_job_watermarks set last_processed_timestamp = '1970-01-01'"
    )


def go(database: Any, at: dt.datetime | None = None) -> dict[str, Any]:
    with database.session("test run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def require_exact(database: Any, only: dt.datetime | None = None) -> int:
    """Check every snapshot there is, or one, against a recount; return how many there are."""
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        snapshots = [
            at
            for (at,) in connection.execute(
                "select snapshot_timestamp from consumer_analytics where consumer_id is null"
            )
        ]
        for at in snapshots if only is None else [only]:
            assert oracle.without_window(oracle.stored(connection, at)) == oracle.without_window(
                oracle.snapshot(sources, at)
            ), at
        assert (
            connection.execute(f"select sum(n) from {INTERNAL}.event_totals").fetchone()
            == connection.execute(
                "select count(*) from customer_events where created_at < "
                f"(select processed_through from {INTERNAL}.state)"
            ).fetchone()
        )
    return len(snapshots)


# -- runs, sweeps and repairs --------------------------------------------------


@pytest.mark.parametrize(
    ("kill", "way", "half"),
    lanes.first(
        1,
        [
            ("process", "steps", 1),
            ("process", "steps", 0),
            ("backend", "one go", 0),
            ("backend", "one go", 1),
        ],
    ),
)
def test_a_run_killed_at_every_step_is_made_good_by_the_next(
    database: Any, kill: str, way: str, half: int
) -> None:
    """At every second step for each change, and at the others in the long lane."""
    filled(database)
    points_of_way = {
        name: points
        for number, (name, points) in enumerate(RUN_POINTS.items())
        if number % 2 == half and (way == "steps" or name not in ONLY_IN_STEPS)
    }
    at = BEGIN + dt.timedelta(days=3)
    with database.connect("watcher", writes_sources=False) as watcher:
        for name, points in points_of_way.items():
            at += dt.timedelta(hours=7)
            late_row(database)

            def work(connection: Connection, settings: Any, at: dt.datetime = at) -> None:
                WAYS[way](connection, settings, at)

            with Stopped(database, watcher, points, work) as stopped:
                KILLS[kill](stopped.child, watcher, stopped.backend)
            summary = go(database, at)
            assert summary["held_back_by"] == [], name
            assert database.rows(
                "select last_processed_timestamp, last_run_status from etl_job_watermarks"
            ) == [(at, "success")], name
            require_exact(database, at)
    assert require_exact(database) == len(points_of_way) + 2


@lanes.LONG
def test_a_run_killed_at_random_moments(database: Any) -> None:
    filled(database)
    rng = random.Random(99)
    at = BEGIN + dt.timedelta(days=3)
    for _ in range(6):
        at += dt.timedelta(hours=5)
        late_row(database)
        child = Child(database, lambda c, s, at=at: run.run(c, s, at=at))  # type: ignore[misc]
        time.sleep(rng.random() * 0.4)
        child.kill()
        go(database, at)
    require_exact(database)


def _sweep(connection: Connection, settings: Any) -> None:
    sweep.sweep(connection, settings, since=BEGIN.date())


def _repair(connection: Connection, settings: Any) -> None:
    audit.repair(connection, settings, audit.audit(connection, settings))


@pytest.mark.parametrize(
    ("work", "kill"),
    lanes.first(
        1, [(_repair, "backend"), (_sweep, "process"), (_sweep, "backend"), (_repair, "process")]
    ),
)
def test_a_sweep_or_repair_killed_at_every_step_leaves_the_next_to_do_it(
    database: Any, work: Callable[[Connection, Any], None], kill: str
) -> None:
    filled(database)
    points = [
        ("customer_events", READ),
        ("customers", READ),
        (f"{INTERNAL}.event_days", WRITE),
        (f"{INTERNAL}.event_totals", WRITE),
        (f"{INTERNAL}.state", WRITE),
        ("consumer_analytics", WRITE),
        ("consumer_analytics_revisions", WRITE),
    ]
    with database.connect("watcher", writes_sources=False) as watcher:
        for point in points:
            late_row(database)
            database.execute(
                "update etl_job_watermarks set last_processed_timestamp = '2025-03-04'"
            )
            with Stopped(database, watcher, [point], work) as stopped:
                KILLS[kill](stopped.child, watcher, stopped.backend)
            with connected(database.settings, "test") as connection:
                work(connection, database.settings)
            require_exact(database)


def test_a_killed_process_keeps_its_locks_for_seconds_only(database: Any) -> None:
    """Its backend may be in the middle of a statement that would take an hour."""
    filled(database)
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        Stopped(
            database,
            watcher,
            [(f"{INTERNAL}.event_days", WRITE)],
            lambda connection, settings: run.run(connection, settings, at=END),
        ) as stopped,
    ):
        stopped.child.kill()
        gone = "select 1 where not exists (select from pg_stat_activity where pid = %s)"
        started = time.monotonic()
        assert states(database)[0] == "running"
        wait_for(watcher, gone, [stopped.backend])
        assert time.monotonic() - started < 10
    # It is told as what it is, at once, and is settled by the next.
    assert states(database)[0] == "interrupted"
    with database.connect("run") as connection:
        (latest, *_) = status.read(connection, PLAIN, consumers=0).runs or [{}]
        assert (latest["state"], latest["finished_at"]) == ("interrupted", None)
        run.run(connection, database.settings, at=END)
    assert states(database)[:2] == ["success", "interrupted"]
    assert database.rows(
        f"select state, summary ->> 'error_type' from {INTERNAL}.runs order by run_id desc limit 2"
    ) == [("success", None), ("interrupted", "Killed")]


@pytest.mark.long
def test_a_process_that_stands_still_keeps_nobody_waiting(
    database: Any,
) -> None:
    """Stopped, as behind a connection that swallows everything: it is not seen to be gone."""
    filled(database)
    points = [(f"{INTERNAL}.event_days", WRITE)]

    def work(connection: Connection, settings: Any) -> None:
        connection.execute("set idle_in_transaction_session_timeout = '2s'")
        run.run(connection, settings, at=END)

    with (
        database.connect("watcher", writes_sources=False) as watcher,
        Stopped(database, watcher, points, work) as stopped,
    ):
        os.kill(stopped.child.process.pid or 0, signal.SIGSTOP)
    patient = replace(database, settings=database.settings.replaced({"lock_wait": 30.0}))
    try:
        assert go(patient, END)["snapshots_written"] > 0
    finally:
        stopped.child.kill()
    require_exact(database)
    with database.connect() as connection:
        shown = connection.execute("show idle_in_transaction_session_timeout").fetchone()
        assert shown == ("45s",)


def states(database: Any) -> list[str]:
    """Return what the page about freshness says became of the latest runs."""
    with database.connect("dashboard", writes_sources=False) as connection:
        shown = freshness.read(connection, Range("all"), points=10)
        return [one.state for one in shown.runs]


# -- migrations ----------------------------------------------------------------

OBJECTS = (
    "select nspname, relname, relkind::text from pg_class "
    "join pg_namespace n on n.oid = relnamespace "
    "where nspname in ('public', 'consumer_analytics_internal') order by 1, 2"
)


@pytest.mark.parametrize("kill", lanes.first(1, KILLS))
def test_a_migration_killed_at_any_moment_is_finished_by_the_next(
    new_database: Callable[..., Any], kill: str
) -> None:
    whole = new_database().rows(OBJECTS)
    rng = random.Random(3)
    reached = set()
    for _ in range(4):
        empty = new_database(migrated=False)
        child = Child(empty, lambda _, settings: schema.migrate(settings))
        wanted = rng.randrange(1, len(schema.migrations()) + 1)
        with empty.connect("watcher", writes_sources=False) as watcher:
            # When so many are applied, or a little later.
            wait_for(
                watcher,
                "select count(*) from pg_class join pg_namespace n on n.oid = relnamespace "
                "where nspname = 'consumer_analytics_internal' having count(*) >= %s",
                [wanted * 3],
            )
            time.sleep(rng.random() * 0.05)
            if kill == "process":
                child.kill()
            else:
                watcher.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where "
                    "application_name = 'consumer-analytics migrate' "
                    "and datname = current_database()"
                )
                child.join()
            # The backend of a killed process ends its statement first.
            wait_for(
                watcher,
                "select 1 where not exists (select from pg_stat_activity where "
                "application_name = 'consumer-analytics migrate' and datname = %s)",
                [empty.name],
            )
        with empty.connect() as connection:
            there = schema.applied(connection)
            reached.add(0 if there is None else len(there.checksums))
        schema.migrate(empty.settings)
        assert schema.migrate(empty.settings) == []
        assert empty.rows(OBJECTS) == whole
        go(empty)
    assert min(reached) < len(schema.migrations()), "all were too late"


# -- the three steps, in any order ----------------------------------------------


@pytest.mark.parametrize("seed", lanes.first(1, range(6)))
def test_steps_killed_retried_and_cleared_in_any_order_give_one_figure(
    database: Any, seed: int
) -> None:
    rng = random.Random(seed)
    filled(database)
    instants = {
        f"dag:{number}": BEGIN + dt.timedelta(days=3 + number, hours=rng.choice([0, 7]))
        for number in range(3)
    }

    def step(key: str, name: str) -> None:
        with connected(database.settings, f"step {name}") as connection:
            opened = run.open_run(
                connection, database.settings, at=instants[key], run_key=key, source="airflow_etl"
            )
            if name == "load":
                load.load(connection, database.settings, opened)
                return
            if name == "killed":
                # All of an extract but its end.
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
                connection.execute("begin isolation level repeatable read")
                state = job_state.read(connection)
                plan = plan_run(connection, state, opened.reached_at)
                part = rng.choice((extract.CUSTOMERS, extract.EVENTS))
                extract.forget(connection, opened.run_id, part)
                part.make(connection, database.settings, plan)
                extract.hand_over(connection, opened.run_id, part)
                return
            if name == "failed":
                run.record_failure(connection, key, ValueError("a step of the test"))
                return
            getattr(extract, name)(connection, database.settings, opened)

    names = ["customers", "events", "load", "killed", "failed"]
    for _ in range(14):
        if rng.random() < 0.2:
            go(database, BEGIN + dt.timedelta(days=3, hours=rng.randrange(100)))
        elif rng.random() < 0.15:
            late_row(database)
        else:
            step(rng.choice(list(instants)), rng.choice(names))
    keys = [*instants, *instants]
    rng.shuffle(keys)
    for key in keys:
        for name in rng.sample(["customers", "events"], rng.randrange(3)):
            step(key, name)
        step(key, "load")
    require_exact(database)
    stored = {at for (at,) in database.rows("select snapshot_timestamp from consumer_analytics")}
    assert set(instants.values()) <= stored
    assert database.rows(f"select count(*) from {INTERNAL}.extracts") == [(0,)]


def test_a_try_taken_for_dead_and_the_load_that_clears_its_extract_do_not_block_each_other(
    database: Any,
) -> None:
    filled(database)
    with connected(database.settings, "test") as connection:
        opened = run.open_run(connection, database.settings, at=END, source="cli_etl")
        extract.customers(connection, database.settings, opened)
        extract.events(connection, database.settings, opened)
    waiting = (
        "select pid from pg_stat_activity where cardinality(pg_blocking_pids(pid)) > 0 "
        "and application_name = 'consumer-analytics child' and query like '%%delete from%%'"
    )
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        # It has dropped what it extracted before, and waits to read the sources again.
        Stopped(
            database, watcher, [("customers", READ)], lambda c, s: extract.customers(c, s, opened)
        ) as twin,
    ):

        def clear(connection: Connection, _: Any) -> None:
            with connection.transaction():
                extract.forget_all(connection, opened.run_id)

        clearing = Child(database, clear)
        wait_for(watcher, waiting, [])
        twin.locker.execute("rollback")
        assert [twin.child.join(), clearing.join()] == [0, 0]
    go(database, END)
    require_exact(database)


@pytest.mark.both_versions
def test_two_dag_runs_their_twin_and_the_command_line_at_once_give_one_figure(
    database: Any, cli: Any
) -> None:
    filled(database)
    at = BEGIN + dt.timedelta(days=5)
    for number in range(3):
        at += dt.timedelta(hours=9)
        late_row(database)

        def dag_run(key: str, at: dt.datetime = at) -> Callable[[Connection, Any], Any]:
            return lambda c, s: run.run(c, s, at=at, run_key=key, source="airflow_etl")

        # The first and its twin: a try that the orchestrator took for dead, and the next.
        keys = [f"dag:a{number}", f"dag:a{number}", f"dag:b{number}"]
        children = [Child(database, dag_run(key)) for key in keys]
        done = cli("run", "--as-of", at.isoformat())
        assert done.exit_code == 0, done.stderr
        assert [child.join() for child in children] == [0, 0, 0]
        assert database.rows(
            "select last_processed_timestamp, last_run_status from etl_job_watermarks"
        ) == [(at, "success")]
        assert database.rows(
            "select count(*) - count(distinct consumer_id) from consumer_analytics "
            "where snapshot_timestamp = %s",
            [at],
        ) == [(1,)]
    require_exact(database)


def test_a_run_that_gives_up_its_turn_says_so_and_leaves_the_others_status(
    database: Any, cli: Any
) -> None:
    filled(database)
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        Stopped(
            database,
            watcher,
            [(f"{INTERNAL}.event_days", WRITE)],
            lambda connection, settings: run.run(connection, settings, at=END),
        ) as first,
    ):
        second = cli("run", "--as-of", "2025-03-05", env={"CONSUMER_ANALYTICS_LOCK_WAIT": "1"})
        assert second.exit_code == 1
        assert "another run is still at work after 1 s" in second.stderr
        assert f"pid {first.backend}" in second.stderr
        first.locker.execute("rollback")
        assert first.child.join() == 0
    assert database.rows(
        "select last_processed_timestamp, last_run_status from etl_job_watermarks"
    ) == [(END, "success")]
    require_exact(database)


# -- the server itself ------------------------------------------------------------


@pytest.fixture
def private(tmp_path: Path) -> Iterator[tuple[Any, EmbeddedPostgres]]:
    """Return a database on a server of its own, which the test may ill-treat."""
    from tests.conftest import Database, Server

    from consumer_analytics.settings import Settings

    folder = scratch.folder("ca-test-")
    embedded = EmbeddedPostgres(folder, options={"shared_buffers": "64MB"})
    try:
        embedded.start()
        server = Server(embedded.conninfo(SUPERUSER, "postgres"), "private")
        server.prepare()
        name = server.create(server.template)
        settings = Settings(database_url=Secret(server.url(name)), home=tmp_path / "home")
        yield Database(server.url(name), settings, server, name), embedded
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_up(database: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with database.server.connect_admin():
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def finish(database: Any, key: str, *steps: Callable[..., Any]) -> None:
    """Do the last steps of a run that was opened before."""
    with connected(database.settings, "test") as connection:
        found = run.find(connection, key, state="open")
        assert found is not None
        for step in (*steps, load.load):
            step(connection, database.settings, found)


@pytest.mark.long
def test_the_server_killed_or_restarted_in_the_middle_of_a_run(
    private: tuple[Any, EmbeddedPostgres],
) -> None:
    database, embedded = private
    filled(database)
    at = BEGIN + dt.timedelta(days=4)
    failures = []
    for blow in ("restart", "kill"):
        for table, mode in (("customers", READ), (f"{INTERNAL}.event_days", WRITE)):
            at += dt.timedelta(hours=11)
            late_row(database)
            with connected(database.settings, "test") as connection:
                opened = run.open_run(connection, database.settings, at=at, run_key=f"{at}")
                extract.events(connection, database.settings, opened)
            assert database.rows(f"select count(*) from {INTERNAL}.extracts") == [(1,)]
            locker = psycopg.connect(database.url)
            locker.execute(f"lock table {table} in {mode} mode")
            watching = psycopg.connect(database.url, autocommit=True)

            def strike(blow: str = blow, locker: Any = locker, watcher: Any = watching) -> None:
                backend = parked(locker, watcher)
                if blow == "kill":
                    # A backend that dies of SIGKILL takes the whole server down and up.
                    next(p for p in embedded.processes() if p.pid == backend).kill()
                    with contextlib.suppress(psycopg.OperationalError):
                        while True:
                            watcher.execute("select 1")
                            time.sleep(0.02)
                else:
                    done = embedded._run(
                        "pg_ctl", "restart", "-D", str(embedded.data), "-m", "immediate", "-w",
                        "-l", str(embedded.data / "restart.log"),
                    )  # fmt: skip
                    assert done.returncode == 0, done.stdout

            thread = Thread(target=strike)
            thread.start()
            with pytest.raises(ConnectionLostError) as lost:
                finish(database, f"{at}", extract.customers)
            failures.append(str(lost.value))
            thread.join()
            locker.close()
            watching.close()
            wait_until_up(database)
            # What the extracts had left is gone; the load extracts again.
            assert database.rows(f"select count(*) from {INTERNAL}.extracts") == [(0,)]
            finish(database, f"{at}")
            require_exact(database)
    assert len(failures) == 4
    for failure in failures:
        assert "the connection to the database was lost" in failure
        assert "nothing is half-written, run it again" in failure
        assert "\n" not in failure


@pytest.mark.long
def test_what_is_said_to_be_done_survives_a_machine_that_loses_what_was_not_synced(
    private: tuple[Any, EmbeddedPostgres],
) -> None:
    """Where the server's own default leaves commits to memory for seconds."""
    database, embedded = private
    filled(database)
    with database.connect_admin() as admin:
        admin.execute("alter system set synchronous_commit = off")
        admin.execute("alter system set wal_writer_delay = '10s'")
        admin.execute("select pg_reload_conf()")
    lost = 0
    for day in (4, 5, 6):
        at = BEGIN + dt.timedelta(days=day)
        on_disk = embedded.folder / "on_disk"
        with database.connect_admin() as admin:
            admin.execute("checkpoint")
            shutil.copytree(embedded.data, on_disk)
            done = go(database, at)
            # An application that is content with the default, to tell what such a machine loses.
            with psycopg.connect(database.url) as application:
                application.execute("create table witness ()")
            written = scalar(admin, "select pg_current_wal_insert_lsn() - '0/0'")
            synced = scalar(admin, "select pg_current_wal_flush_lsn() - '0/0'")
            segment = scalar(
                admin, "select setting::int from pg_settings where name = 'wal_segment_size'"
            )
        processes = embedded.processes()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, 10)
        _forget_what_was_not_synced(embedded.data, on_disk, int(synced), segment)
        embedded.start()
        wait_until_up(database)
        assert database.rows(
            "select count(*) from consumer_analytics where snapshot_timestamp = %s", [at]
        ) == [(done["snapshots_written"],)]
        assert database.rows("select last_processed_timestamp from etl_job_watermarks") == [(at,)]
        (witness,) = database.rows("select to_regclass('witness') is not null")
        assert witness == (synced >= written,)
        lost += not witness[0]
        database.execute("drop table if exists witness")
        require_exact(database)
    assert lost, "nothing that was not synced was lost: the test shows nothing"


def _forget_what_was_not_synced(data: Path, on_disk: Path, synced: int, segment: int) -> None:
    """Leave of a dead server's files what a disk is sure to hold.

    That is the files as they were at the last checkpoint, and of the log since then what was
    flushed. The rest of a segment is zeros, as a new one is.

    Args:
        data: the server's folder; replaced.
        on_disk: a copy of it, made after a checkpoint while nobody wrote; used up.
        synced: up to which byte the log was flushed.
        segment: bytes in a file of the log.
    """
    log = on_disk / "pg_wal"
    owner = data.stat()
    shutil.rmtree(log)
    shutil.copytree(data / "pg_wal", log)
    for file in log.iterdir():
        if len(file.name) != 24:
            continue
        per_id = 2**32 // segment
        begins = (int(file.name[8:16], 16) * per_id + int(file.name[16:], 16)) * segment
        kept = min(max(synced - begins, 0), segment)
        with file.open("r+b") as opened:
            opened.truncate(kept)
            opened.truncate(segment)
    for path in (on_disk, *on_disk.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(data)
    on_disk.rename(data)


def _fatal(data: Path) -> list[str]:
    logs = [one.read_text() for one in (data / "log").iterdir()]
    return [line for log in logs for line in log.splitlines() if "FATAL" in line]


@pytest.mark.long
def test_a_standby_promoted_in_the_middle_of_a_run_goes_on_exactly(
    private: tuple[Any, EmbeddedPostgres],
) -> None:
    database, embedded = private
    filled(database)
    late_row(database)
    place = scratch.folder("ca-test-")
    data, sockets = place / "standby", place / "run"
    sockets.mkdir(mode=0o700)
    for folder in (place, sockets):
        if embedded._user:
            os.chown(folder, embedded._user.pw_uid, embedded._user.pw_gid)
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        Stopped(
            database, watcher, [("consumer_analytics", WRITE)],
            lambda connection, settings: run.run(connection, settings, at=END),
        ) as stopped,
    ):  # fmt: skip
        # A standby may take its time.
        stopped.locker.execute("set idle_in_transaction_session_timeout = 0")
        copied = embedded._run(
            "pg_basebackup", "-D", str(data), "-R", "-X", "stream", "-c", "fast",
            "-d", embedded.conninfo(SUPERUSER, "postgres"),
        )  # fmt: skip
        assert copied.returncode == 0, copied.stdout
        # What the application commits while the run is at work comes over as well.
        late_row(database)
        started = embedded._run(
            "pg_ctl", "start", "-D", str(data), "-w", "-l", str(data / "start.log"),
            "-o", f"-c unix_socket_directories={sockets} -c listen_addresses=",
        )  # fmt: skip
        assert started.returncode == 0, _fatal(data)
        try:
            url = database.url.replace(str(embedded.socket_dir), str(sockets))
            assert url != database.url
            settings = database.settings.replaced({"database_url": Secret(url)})
            standby = replace(database, url=url, settings=settings)
            with database.connect("test") as connection:
                here = scalar(connection, "select pg_current_wal_lsn()")
            with Connection.connect(url, autocommit=True) as connection:
                wait_for(connection, "select 1 where pg_last_wal_replay_lsn() >= %s", [here])
            # The primary is lost with the run in it.
            stopped.child.kill()
            promoted = embedded._run("pg_ctl", "promote", "-D", str(data), "-w")
            assert promoted.returncode == 0, promoted.stdout
            done = go(standby, END)
            assert done["snapshots_written"] > 0
            require_exact(standby)
            with standby.connect() as connection:
                assert audit.audit(connection, settings).differences == 0
        finally:
            embedded._run("pg_ctl", "stop", "-D", str(data), "-m", "immediate", "-w")
            shutil.rmtree(place, ignore_errors=True)


@pytest.mark.long
def test_a_standby_is_refused(private: tuple[Any, EmbeddedPostgres]) -> None:
    database, embedded = private
    embedded.stop()
    (embedded.data / "standby.signal").touch()
    log = str(embedded.data / "standby.log")
    done = embedded._run("pg_ctl", "start", "-D", str(embedded.data), "-w", "-l", log)
    assert done.returncode == 0, done.stdout
    with (
        pytest.raises(HoldbackBlindError, match="standby"),
        connected(database.settings, "test") as connection,
    ):
        run.run(connection, database.settings)
