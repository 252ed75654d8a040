"""What changes tables that an application uses leaves its transactions alone, and its readers."""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database
from tests.integration.etl.test_capture import enable
from tests.integration.reconcile.test_sweep import END, go
from tests.support import lanes
from tests.support.roles import Roles

from consumer_analytics.db import brief_locks, schema
from consumer_analytics.errors import BusyError
from consumer_analytics.etl import capture
from consumer_analytics.sql import INTERNAL

WRITERS, READERS = 8, 2
#: Longer than any of them does on a busy machine, shorter than a lock that is waited for.
NOTICED = 1.0


class Application(threading.Thread):
    """A session that writes or reads the source tables in an order of its own."""

    def __init__(self, url: str, seed: int, stop: threading.Event, *, reads: bool) -> None:
        super().__init__(daemon=True)
        self.url, self.rng, self.stop, self.reads = url, random.Random(seed), stop, reads
        self.done, self.longest, self.errors = 0, 0.0, list[psycopg.Error]()

    def run(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as session:
            while not self.stop.is_set():
                try:
                    with session.transaction():
                        for table in self.rng.sample(sorted(WRITE), 2 if self.reads else 3):
                            began = time.monotonic()
                            session.execute(READ.format(table) if self.reads else WRITE[table])
                            self.longest = max(self.longest, time.monotonic() - began)
                            time.sleep(self.rng.random() * 0.01)
                    self.done += 1
                    time.sleep(self.rng.random() * 0.05)
                except psycopg.Error as error:
                    self.errors.append(error)


READ = "select count(*) from {}"
WRITE = {
    "consumers": "insert into consumers (consumer_id) values (gen_random_uuid())",
    "customers": (
        "insert into customers (customer_id, created_at) values (gen_random_uuid(), '2020-01-01')"
    ),
    "customer_events": (
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', '2020-01-01')"
    ),
}


@contextmanager
def application(database: Database) -> Iterator[list[Application]]:
    """Let an application work for the block; nothing of it may fail, and no reader may wait."""
    stop = threading.Event()
    sessions = [
        Application(database.url, n, stop, reads=n >= WRITERS) for n in range(WRITERS + READERS)
    ]
    for one in sessions:
        one.start()
    try:
        while not all(one.done for one in sessions):
            time.sleep(0.01)
        yield sessions
    finally:
        stop.set()
        for one in sessions:
            one.join()
    assert [error for one in sessions for error in one.errors] == []
    assert max(one.longest for one in sessions if one.reads) < NOTICED


def switch(database: Database) -> None:
    for one in (capture.enable, capture.disable):
        with database.connect("capture") as connection:
            one(connection, database.settings)


def alter(database: Database) -> None:
    """What a migration does: it is tried within Alembic's transaction."""
    tables = ["touched_days", "touched_customers"]
    with database.connect("migrate") as connection, connection.transaction():
        brief_locks.work(
            connection,
            lambda: [
                connection.execute(f"alter table {INTERNAL}.{table} set (fillfactor = 90)")
                for table in tables
            ],
            tables=[[sql.Identifier(INTERNAL, table)] for table in tables],
            mode="access exclusive",
            seconds=5,
            refused="not altered",
        )


@pytest.mark.parametrize("change", lanes.first(1, [switch, alter]))
def test_the_application_and_its_readers_notice_nothing(
    database: Database, change: Callable[[Database], None]
) -> None:
    if change is alter:
        enable(database)
        go(database, END)
    with application(database):
        for _ in range(2):
            began = time.monotonic()
            change(database)
            assert time.monotonic() - began < 2 * (5 + 1)


def test_roles_are_made_beside_an_application(database: Database) -> None:
    made = Roles(database)
    enable(database)
    go(database, END)
    try:
        with application(database):
            made.apply()
            made.apply()
    finally:
        made.clean()


@pytest.mark.parametrize(
    ("command", "mode", "state"),
    lanes.first(
        1,
        [
            ("enable", "row exclusive", "off"),
            ("enable", "access exclusive", "off"),
            ("disable", "row exclusive", "incomplete"),
        ],
    ),
)
def test_who_is_in_the_way_is_named_in_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, command: str, mode: str, state: str
) -> None:
    monkeypatch.setattr(capture, "_DDL_SECONDS", 1.0)
    if command == "disable":
        enable(database)
    with (
        psycopg.connect(database.url, application_name="billing") as session,
        database.connect("capture") as connection,
    ):
        session.execute(f"lock table customers in {mode} mode")
        began = time.monotonic()
        told = f"capture was not {command}d: customers is held by pid {session.info.backend_pid} "
        with pytest.raises(BusyError, match=re.escape(f"{told}(billing, user ")):
            getattr(capture, command)(connection, database.settings)
        assert time.monotonic() - began < 4
        session.rollback()
        assert capture.status(connection, database.settings).state == state


def test_every_migration_says_what_it_alters() -> None:
    altered = {one.version: one.altered for one in schema.migrations()}
    assert altered["0018"] == [f"{INTERNAL}.deleted_customers", f"{INTERNAL}.touched_customers"]
