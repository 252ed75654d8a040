"""The benchmark's own PostgreSQL, and the databases with simulated histories on it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg
from psycopg import sql

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.fields import Secret
from consumer_analytics.ingest import simulate
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.settings import Settings

#: Where every simulated history ends; new events come after it.
UNTIL = dt.date(2025, 1, 1)
DAYS = 365
FIRST_DAY = UNTIL - dt.timedelta(days=DAYS)
#: Larger histories are made for one work and dropped, not kept for the next time.
_LARGEST_KEPT = 20_000_000


@dataclass(frozen=True)
class History:
    """A simulated history, named by its sizes."""

    events: int
    consumers: int = 1_000
    customers: int = 200_000
    event_types: int = 12

    @property
    def database(self) -> str:
        """The name of the database that holds it."""
        return f"history_{self.events}_{self.consumers}_{self.customers}_{self.event_types}"

    def __str__(self) -> str:
        return (
            f"{self.events:,} events, {self.consumers:,} consumers, {self.customers:,} customers, "
            f"{self.event_types} types"
        )


@dataclass(frozen=True)
class Database:
    """A database to work in.

    Attributes:
        name: its name.
        url: libpq's connection string of its owner.
        settings: the product's settings for it.
        socket: the folder of the server's socket.
        history: what it holds.
    """

    name: str
    url: str
    settings: Settings
    socket: Path
    history: History

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a plain session, in autocommit."""
        return psycopg.connect(self.url, autocommit=True)

    @contextmanager
    def connected(self) -> Iterator[Connection]:
        """Open a session as the product does, which may write the sources."""
        with connected(self.settings, "benchmark", writes_sources=True) as connection:
            yield connection


class Server:
    """A PostgreSQL of the benchmark's own; its histories stay for the next time."""

    def __init__(self, folder: Path) -> None:
        """Describe it; nothing runs yet."""
        memory = psutil.virtual_memory().total // 2**20
        self.options = {
            "shared_buffers": f"{max(128, min(4096, memory // 6))}MB",
            "effective_cache_size": f"{memory // 2}MB",
            # As our sessions set it whatever the server's default is: what is compared with them
            # commits alike.
            "synchronous_commit": "on",
            "max_wal_size": "8GB",
            "checkpoint_timeout": "30min",
            "autovacuum": "off",
        }
        self._folder = folder
        self._embedded = EmbeddedPostgres(folder / "postgres", options=self.options)

    @property
    def binaries(self) -> Path:
        """The folder of its programs."""
        return self._embedded.binaries

    def __enter__(self) -> Self:
        self._embedded.start()
        with self._admin() as admin:
            admin.execute("grant pg_checkpoint to analytics")
        return self

    def __exit__(self, *_: object) -> None:
        self._embedded.stop()

    def version(self) -> str:
        """Return the server's version."""
        with self._admin() as connection:
            row = connection.execute("show server_version").fetchone()
        return str(row[0]) if row else ""

    def _admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self._embedded.conninfo(SUPERUSER, "postgres"), autocommit=True)

    def _database(self, name: str, history: History) -> Database:
        url = self._embedded.conninfo(database=name)
        settings = Settings(
            database_url=Secret(url),
            home=self._folder / "home",
        )
        return Database(name, url, settings, self._embedded.socket_dir, history)

    @contextmanager
    def history(self, history: History, name: str = "work") -> Iterator[Database]:
        """Give a database of the name with a history, dropped again at the end."""
        made: str | None = None
        if history.events <= _LARGEST_KEPT:
            made = self._kept(history)
        with self._admin() as admin:
            admin.execute(_sql("drop database if exists {} with (force)", name))
            admin.execute(
                _sql("create database {} owner analytics", name)
                if made is None
                else _sql("create database {} template {} owner analytics strategy file_copy",
                          name, made)
            )  # fmt: skip
        database = self._database(name, history)
        try:
            if made is None:
                _simulate(database)
            # One that was kept may be from before our latest migration.
            schema.migrate(database.settings)
            yield database
        finally:
            with self._admin() as admin:
                admin.execute(_sql("drop database if exists {} with (force)", name))

    @contextmanager
    def empty(self, history: History, name: str = "work") -> Iterator[Database]:
        """Give a database of the name without any rows, dropped again at the end."""
        with self._admin() as admin:
            admin.execute(_sql("drop database if exists {} with (force)", name))
            admin.execute(_sql("create database {} owner analytics", name))
        try:
            database = self._database(name, history)
            schema.migrate(database.settings)
            yield database
        finally:
            with self._admin() as admin:
                admin.execute(_sql("drop database if exists {} with (force)", name))

    def _kept(self, history: History) -> str:
        """Make the history where it is not there from an earlier time; return its name."""
        with self._admin() as admin:
            there = admin.execute(
                "select 1 from pg_database where datname = %s", [history.database]
            ).fetchone()
            if there:
                return history.database
            name = f"{history.database}_unfinished"
            admin.execute(_sql("drop database if exists {} with (force)", name))
            admin.execute(_sql("create database {} owner analytics", name))
            _simulate(self._database(name, history))
            admin.execute(_sql("alter database {} rename to {}", name, history.database))
        return history.database


def _sql(statement: str, *names: str) -> sql.Composed:
    return sql.SQL(statement).format(*map(sql.Identifier, names))


def _simulate(database: Database) -> None:
    print(f"  simulating {database.history}", flush=True)
    schema.migrate(database.settings)
    history = database.history
    plan = simulate.SimulationPlan(
        dt.datetime.combine(UNTIL, dt.time(), dt.UTC),
        consumers=history.consumers,
        customers=history.customers,
        events=history.events,
        event_types=history.event_types,
        days=DAYS,
    )
    with database.connected() as connection:
        simulate.simulate(connection, database.settings, plan)
        connection.execute("vacuum analyze consumers, customers, customer_events")
        connection.execute("checkpoint")


def instant(day: dt.date) -> dt.datetime:
    """Return a day's beginning, UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


#: New events look like the history's last ones, moved into one day in the order they had.
_NEW_EVENTS = """
insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select
    gen_random_uuid(),
    customer_id,
    consumer_id,
    event_type,
    payload_json,
    %(day)s::date::timestamp at time zone 'UTC'
    + interval '1 day' / %(events)s * (row_number() over (order by created_at, event_id) - 1)
from (
    select *
    from customer_events
    where created_at < %(until)s and event_type not like 'customer\\_%%'
    order by created_at desc
    limit %(events)s
) as latest
"""


def add_day(database: Database, day: dt.date, events: int) -> None:
    """Add one day of new events, as many as wanted, and let the server settle."""
    with database.connect() as connection:
        added = connection.execute(
            _NEW_EVENTS, {"day": day, "events": events, "until": instant(UNTIL)}
        ).rowcount
        if added != events:
            raise RuntimeError(f"{added} new events instead of {events}")
        connection.execute("vacuum (analyze, index_cleanup off) customer_events")
        connection.execute("checkpoint")
