"""Shards that are written to all the time, one of which goes down: none lost, none double."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database, Server
from tests.integration.shards.conftest import NAMES, Federation
from tests.support import lanes, scratch
from tests.support.writers import Application

from consumer_analytics.errors import ShardsError
from consumer_analytics.fields import Secret
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.settings import Settings
from consumer_analytics.shards import audits, repairs, runs

TENANTS = [uuid.UUID(int=0xACE0 + n) for n in range(5)]


@pytest.fixture
def fragile(federation: Federation, tmp_path: Path) -> Iterator[tuple[Federation, Any]]:
    """Return shards of which one is on a server of its own, and that server."""
    folder = scratch.folder("ca-test-")
    embedded = EmbeddedPostgres(folder, options={"shared_buffers": "64MB", "fsync": "off"})
    try:
        embedded.start()
        server = Server(embedded.conninfo(SUPERUSER, "postgres"), "private")
        server.prepare()
        name = server.create(server.template)
        url = server.url(name)
        settings = Settings(database_url=Secret(url), home=tmp_path / "home")
        shards = {**federation.shards, "north": Database(url, settings, server, name)}
        made = replace(federation, shards=shards)
        made.write_file()
        yield made, embedded
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Writing:
    """Applications that write to all shards, some consumers in each."""

    federation: Federation
    per_shard: int
    applications: dict[str, Application] = field(default_factory=dict)
    done: int = 0

    def start(self, name: str, seed: int) -> None:
        """Let one write to a shard."""
        application = Application(self.federation.shards[name].url, seed, writers=self.per_shard)
        application.tenants = list(TENANTS)
        if self.federation.shards[name].rows("select count(*) from consumers") != [(0,)]:
            # It goes on where another one was cut off.
            application.tenants = [uuid.UUID(int=seed), *TENANTS]
            for tenant in TENANTS[:-1]:
                self.federation.shards[name].execute(
                    "delete from consumers where consumer_id = %s", [tenant]
                )
        self.applications[name] = application
        application.start()

    def stop(self, name: str, *, cut_off: bool = False) -> None:
        """Let a shard's end; one that was cut off leaves what it has prepared."""
        application = self.applications.pop(name)
        if not cut_off:
            self.done += sum(application.stop().values())
            return
        application.stopping.set()
        with contextlib.suppress(psycopg.OperationalError, AssertionError):
            application.stop()
        with psycopg.connect(self.federation.shards[name].url, autocommit=True) as connection:
            for (gid,) in connection.execute(
                "select gid from pg_prepared_xacts where database = current_database()"
            ).fetchall():
                connection.execute(sql.SQL("commit prepared {}").format(gid))

    def stop_all(self) -> None:
        """Let all end."""
        for name in list(self.applications):
            self.stop(name)


def wait_until_up(shard: Database) -> None:
    """Wait for a server that comes up."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with psycopg.connect(shard.url):
                return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def restart_during_load(federation: Federation, embedded: Any) -> str:
    """Restart the server of a shard while a run loads in it; return what the run says of that."""
    north = federation.shards["north"]
    locker = psycopg.connect(north.url)
    locker.execute("lock table consumer_analytics_internal.event_days in exclusive mode")
    watcher = psycopg.connect(north.url, autocommit=True)

    def strike() -> None:
        while watcher.execute(
            "select count(*) from pg_locks where not granted and relation = "
            "'consumer_analytics_internal.event_days'::regclass"
        ).fetchone() == (0,):
            time.sleep(0.05)
        done = embedded._run(
            "pg_ctl", "restart", "-D", str(embedded.data), "-m", "immediate", "-w",
            "-l", str(embedded.data / "restart.log"),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    thread = threading.Thread(target=strike)
    thread.start()
    with pytest.raises(ShardsError) as failed:
        runs.run(federation.settings.replaced({"holdback_wait": 0.2}))
    thread.join()
    for session in (locker, watcher):
        with contextlib.suppress(psycopg.Error):
            session.close()
    wait_until_up(north)
    return str(failed.value)


def keep_running(federation: Federation, seconds: float, least: int) -> list[Any]:
    """Run again and again for a while, waiting for nobody for long."""
    summaries: list[Any] = []
    begun = time.monotonic()
    while time.monotonic() < begun + seconds or len(summaries) < least:
        settings = federation.settings.replaced({"holdback_wait": 0.2 * (len(summaries) % 3)})
        summaries.append(runs.run(settings).whole)
    return summaries


def require_as_one(federation: Federation) -> int:
    """When all is quiet: run, sweep, and require what one database says."""
    runs.run(federation.settings)
    repairs.sweep(federation.settings, lambda _: None)
    found = audits.audit(federation.settings)
    assert found.clean, [one.listed for one in (*found.shards.values(), found.together)]
    federation.replay()
    return federation.require_equal()


@pytest.mark.long
def test_a_few_writers_in_each_shard(federation: Federation) -> None:
    writing = Writing(federation, 2)
    for seed, name in enumerate(NAMES):
        writing.start(name, seed)
    summaries = keep_running(federation, 3.0, 3)
    writing.stop_all()
    assert sum(one.new_events for one in summaries) > 0
    assert require_as_one(federation) > 10


@pytest.mark.long
# Who writes to the server that goes down.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("seed", lanes.first(0, range(2), long=1))
def test_sixteen_writers_transactions_across_the_instant_and_a_restart_in_the_middle(
    fragile: tuple[Federation, Any], seed: int
) -> None:
    federation, embedded = fragile
    north = federation.shards["north"]
    writing = Writing(federation, 6)
    for number, name in enumerate(NAMES):
        writing.start(name, 100 * seed + number)
    summaries = keep_running(federation, 6.0, 4)
    # Open across the instant in one shard, written before and after it.
    holder = psycopg.connect(federation.shards["west"].url)
    holder.execute(
        "insert into customer_events (event_id, consumer_id, event_type) values (%s, %s, 'across')",
        [uuid.uuid4(), TENANTS[0]],
    )
    ((began,),) = holder.execute("select now()").fetchall()
    held = runs.run(federation.settings.replaced({"holdback_wait": 0.5})).whole
    assert held.window is not None
    assert held.window[1] <= began
    assert "west" in {one["shard"] for one in held.held_back_by}
    published = federation.instants()
    failure = restart_during_load(federation, embedded)
    assert failure.startswith("shard north: ")
    assert federation.instants() == published
    writing.stop("north", cut_off=True)
    holder.execute(
        "insert into customer_events (event_id, consumer_id, event_type) values (%s, %s, 'across')",
        [uuid.uuid4(), TENANTS[0]],
    )
    holder.commit()
    holder.close()
    writing.start("north", 100 * seed + 50)
    told: list[str] = []
    runs.run(federation.settings, notify=told.append)
    assert any("is finished first" in line for line in told)
    summaries += keep_running(federation, 5.0, 3)
    writing.stop_all()
    assert {holder["kind"] for one in summaries for holder in one.held_back_by} >= {"session"}
    assert require_as_one(federation) > 60
    ((across,),) = federation.analytics.rows(
        "select metrics_json -> 'events_by_type_all_consumers' -> 'across' "
        "from consumer_analytics where consumer_id is null "
        "order by snapshot_timestamp desc limit 1"
    )
    assert across == 2
    assert north.rows("select count(*) from customer_events")[0][0] > 100
    assert isinstance(began, dt.datetime)
