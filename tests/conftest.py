"""Fixtures shared by all tests: real servers, a migrated database per test, the real command.

Two servers: `main`, on which everything runs, and `other`, on which tests with
`@pytest.mark.both_versions` run as well. `main` is the embedded PostgreSQL 18,
or the server of CONSUMER_ANALYTICS_TEST_DATABASE_URL; `other` is the oldest one
this machine has where `main` is new, and the newest where it is old. `between` is the
packaged PostgreSQL 16, for the lane of hours.
"""

from __future__ import annotations

import copy
import json
import os
import re
import secrets
import select
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from tests.support import bound_values, lanes, scratch
from tests.support.reaper import Reaper
from tests.support.warm_command import WarmCommand

import consumer_analytics
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connect, connected
from consumer_analytics.fields import Secret
from consumer_analytics.local.embedded_postgres import (
    SUPERUSER,
    EmbeddedPostgres,
    packaged_binaries,
)
from consumer_analytics.settings import PREFIX, Settings

TEST_URL = f"{PREFIX}TEST_DATABASE_URL"
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
NEWEST = 18
#: Packaged too, and neither the oldest that is supported nor the newest.
BETWEEN = 16
T = TypeVar("T")
AIRFLOW_HOME = pytest.StashKey[Path]()
#: Stops a server and removes it, once nobody uses it any more.
STOP = """
import pathlib, shutil
from consumer_analytics.local.embedded_postgres import EmbeddedPostgres
folder, binaries = map(pathlib.Path, arguments)
EmbeddedPostgres(folder, binaries=binaries).stop()
shutil.rmtree(folder)
"""
DAGS = Path(consumer_analytics.__file__).with_name("dags")


@pytest.fixture(scope="session", autouse=True)
def _given_what_is_used() -> Iterator[None]:
    """Let every statement of ours fail that is given a value which it does not name."""
    with pytest.MonkeyPatch.context() as patch:
        bound_values.watch(patch)
        yield


# -- servers -------------------------------------------------------------------


@dataclass
class Server:
    """A PostgreSQL server that databases are made on.

    Attributes:
        admin_url: a login that may create databases; a superuser, except
            where the user's own test server gives us less.
        origin: where it comes from, for the report's header.
    """

    admin_url: str
    origin: str
    #: The plain login that owns the databases; None: the admin itself.
    role: str | None = None
    password: str | None = None
    #: The migrated database that tests' databases are copies of.
    template: str = ""
    #: How a copy is made: file by file, where the files lie in memory and nothing waits for a
    #: disk; it takes half as long, and so does dropping it.
    copying: str = "wal_log"
    made: list[str] = field(default_factory=list)
    #: Sessions that are kept for a database, to be closed before it goes or is copied.
    kept: dict[str, list[Connection]] = field(default_factory=dict)
    #: Databases that were filled once and are copied, and what filling them answered.
    filled: dict[Hashable, tuple[str, Any]] = field(default_factory=dict)

    def connect_admin(self, database: str | None = None) -> Connection:
        """Connect as admin, in autocommit."""
        info = (
            self.admin_url if database is None else make_conninfo(self.admin_url, dbname=database)
        )
        return Connection.connect(info, autocommit=True)

    @property
    def version(self) -> int:
        """The major version."""
        with self.connect_admin() as connection:
            return connection.info.server_version // 10_000

    def prepare(self) -> None:
        """Make the owner and the migrated template of every test's database."""
        with self.connect_admin() as connection:
            row = connection.execute(
                "select rolsuper from pg_roles where rolname = current_user"
            ).fetchone()
            assert row is not None
            if row[0]:
                # Tests work as the product does: not as a superuser.
                self.role = f"ca_test_{secrets.token_hex(4)}"
                self.password = secrets.token_hex(16)
                name = sql.Identifier(self.role)
                connection.execute(
                    sql.SQL("create role {} login password {}").format(name, self.password)
                )
                connection.execute(sql.SQL("grant pg_read_all_stats to {}").format(name))
        template = self.create(None)
        schema.migrate(Settings(database_url=Secret(self.url(template))))
        self.template = template

    def url(self, database: str) -> str:
        """Return the owner's connection string for a database."""
        parts = {**conninfo_to_dict(self.admin_url), "dbname": database}
        if self.role is not None:
            parts |= {"user": self.role, "password": self.password}
        return make_conninfo("", **parts)

    def create(self, template: str | None, name: str | None = None) -> str:
        """Create a database, with a name of its own where none is given; return the name."""
        name = name or f"ca_test_{secrets.token_hex(6)}"
        statement = sql.SQL("create database {} template {} strategy {}").format(
            sql.Identifier(name), sql.Identifier(template or "template0"), self.copying
        )
        if self.role is not None:
            statement += sql.SQL(" owner {}").format(sql.Identifier(self.role))
        with self.connect_admin() as connection:
            connection.execute(statement)
        self.made.append(name)
        return name

    def drop(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self.release(name)
        with self.connect_admin() as connection:
            for (gid,) in connection.execute(
                "select gid from pg_prepared_xacts where database = %s", [name]
            ).fetchall():
                # Only from inside its database can it be ended.
                with self.connect_admin(name) as inside:
                    inside.execute(sql.SQL("rollback prepared {}").format(gid))
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
        self.made.remove(name)

    def release(self, name: str) -> None:
        """Close the sessions that are kept for a database."""
        for session in self.kept.pop(name, []):
            session.close()

    def clean(self) -> None:
        """Drop all that the tests made."""
        for name in list(self.made):
            self.drop(name)
        if self.role is not None:
            with self.connect_admin() as connection:
                connection.execute(
                    sql.SQL("drop role if exists {}").format(sql.Identifier(self.role))
                )


class Servers:
    """The session's servers, each started when the first test asks for it."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._running: dict[str, Server] = {}
        self._reapers: list[Reaper] = []

    def get(self, name: str) -> Server:
        """Return the server `main`, `other` or `between`, prepared."""
        if name not in self._running:
            ways = {"main": self._main, "other": self._other, "between": self._between}
            server = ways[name]()
            # Known before it is prepared, so that a failure is cleaned up as well.
            self._running[name] = server
            server.prepare()
        return self._running[name]

    def _main(self) -> Server:
        if url := os.environ.get(TEST_URL):
            return Server(url, TEST_URL)
        return self._embed(None, f"embedded PostgreSQL {NEWEST}")

    def _other(self) -> Server:
        if self.get("main").version < NEWEST:
            return self._embed(None, f"embedded PostgreSQL {NEWEST}")
        binaries, origin = oldest_binaries()
        return self._embed(binaries, origin)

    def _between(self) -> Server:
        return self._embed(packaged_binaries(BETWEEN), f"embedded PostgreSQL {BETWEEN}")

    def _embed(self, binaries: Path | None, origin: str) -> Server:
        folder = scratch.folder("ca-test-")
        embedded = EmbeddedPostgres(
            folder,
            binaries=binaries,
            options={
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "shared_buffers": "256MB",
                # It may lie in memory.
                "max_wal_size": "512MB",
            },
        )
        self._reapers.append(Reaper(STOP, folder, embedded.binaries))
        embedded.start()
        return Server(embedded.conninfo(SUPERUSER, "postgres"), origin, copying="file_copy")

    def close(self) -> None:
        """Drop what was made on servers that stay; stop and remove the others."""
        for server in self._running.values():
            if server.origin == TEST_URL:
                server.clean()
        for reaper in self._reapers:
            reaper.reap()


def oldest_binaries() -> tuple[Path, str]:
    """Return the oldest supported server's programs on this machine, and what they are."""
    if (DEBIAN_15 / "initdb").exists():
        return DEBIAN_15, "PostgreSQL 15 of this machine"
    return (
        packaged_binaries(BETWEEN),
        f"embedded PostgreSQL {BETWEEN} (no PostgreSQL 15 on this machine)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Make the tests independent of the developer's settings, and stoppable."""
    for variable in list(os.environ):
        if variable.startswith((PREFIX, "AIRFLOW", "PG")) and variable != TEST_URL:
            del os.environ[variable]

    # Set before anything imports Airflow, which would make its folder in the user's home.
    config.stash[AIRFLOW_HOME] = Path(tempfile.mkdtemp(prefix="ca-test-airflow-"))
    os.environ |= {
        "AIRFLOW_HOME": str(config.stash[AIRFLOW_HOME]),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__LOAD_DEFAULT_CONNECTIONS": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # A CI's timeout must not leave servers behind. A script that starts the suite in the
    # background starts it, and so all that it starts, with SIGINT ignored.
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove what Airflow has made, and end what starts commands."""
    _WARM.close()
    shutil.rmtree(config.stash[AIRFLOW_HOME], ignore_errors=True)


def pytest_report_header() -> list[str]:
    """Say loudly which servers the tests run on."""
    if os.environ.get(TEST_URL):
        return [
            f"main server: {TEST_URL}",
            "other server: the newest or oldest besides",
        ]
    return [
        f"main server: embedded PostgreSQL {NEWEST}",
        f"other server: {oldest_binaries()[1]}",
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests marked `both_versions` on both servers, on the other one in the long lane.

    The one between stands in the lane of hours, as the other does of what takes long on each.
    """
    marker = metafunc.definition.get_closest_marker("both_versions")
    if marker is not None and "server" in metafunc.fixturenames:
        where = lanes.HOURS if marker.kwargs.get("hours") else lanes.LONG
        other = pytest.param("other", marks=[] if marker.kwargs.get("each_change") else where)
        between = pytest.param("between", marks=lanes.HOURS)
        metafunc.parametrize("server", ["main", other, between], indirect=True)


#: What takes longest stands first, so that no worker is left alone with it at the end.
LONGEST_FIRST = (
    "tests/e2e/",
    "tests/web/",
    "tests/integration/backfill/test_year.py",
    "tests/integration/reconcile/test_lives.py",
    "tests/integration/reconcile/test_zoo.py",
    "tests/dags/",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep together what shares something dear."""
    from tests.support.scheduling import Scheduling

    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    def place(item: pytest.Item) -> int:
        return next(
            (n for n, start in enumerate(LONGEST_FIRST) if item.nodeid.startswith(start)),
            len(LONGEST_FIRST),
        )

    items.sort(key=place)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Return the session's servers; all stopped after the last test."""
    running = Servers()
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def server(servers: Servers, request: pytest.FixtureRequest) -> Server:
    """Return the server that this test runs on."""
    return servers.get(getattr(request, "param", "main"))


# -- databases -----------------------------------------------------------------


@dataclass(frozen=True)
class Database:
    """A test's own database.

    Attributes:
        url: libpq's connection string of its owner, who is no superuser.
        settings: settings for it, all others at their defaults.
        server: where it is.
        name: its name.
    """

    url: str
    settings: Settings
    server: Server
    name: str
    _sessions: dict[tuple[Any, ...], Connection] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @contextmanager
    def connect(
        self, purpose: str = "test", *, writes_sources: bool = True
    ) -> Iterator[Connection]:
        """Open a session as the product does, in autocommit."""
        with connected(self.settings, purpose, writes_sources=writes_sources) as connection:
            yield connection

    @contextmanager
    def connect_admin(self) -> Iterator[Connection]:
        """Open a session as the server's admin, in autocommit."""
        with self.server.connect_admin(self.name) as connection:
            yield connection

    def rows(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Return what a query answers."""
        return self._session().execute(statement, values).fetchall()

    def execute(self, statement: str, values: Any = None) -> None:
        """Run a statement (several, where there are no values)."""
        self._session().execute(statement, values)

    @contextmanager
    def session(self, purpose: str) -> Iterator[Connection]:
        """Lend a session as the product has it, which the next to ask for the purpose has too.

        For what a test does again and again: all that a run asks is planned in half of the time
        where another has been.
        """
        session = self._session(purpose, writes_sources=False)
        try:
            yield session
        except BaseException:
            # Whatever it holds goes with it.
            session.close()
            raise

    def _session(self, purpose: str = "test", *, writes_sources: bool = True) -> Connection:
        """Return a session that this thread keeps: a new one costs as much as twenty queries."""
        who = (os.getpid(), threading.get_ident(), purpose)
        session = self._sessions.get(who)
        if session is None or not _is_idle(session):
            session = connect(self.settings, purpose, writes_sources=writes_sources)
            if writes_sources:
                # Tests change the columns that a prepared statement would remember.
                session.prepare_threshold = None
            self._sessions[who] = session
            self.server.kept.setdefault(self.name, []).append(session)
        return session

    def prepared(self, what: Hashable, fill: Callable[[], T]) -> T:
        """Fill it as another test was; from the second time on it becomes a copy instead.

        A copy costs less than a run does. What it held before is lost, and nobody may be connected
        meanwhile.

        Args:
            what: names the content; whoever gives the same name fills alike.
            fill: fills this database.

        Returns:
            What filling it returned, or a copy of that.
        """
        if what not in self.server.filled:
            answer = fill()
            self.server.release(self.name)
            self.server.filled[what] = (self.server.create(self.name), copy.deepcopy(answer))
            return answer
        template, answer = self.server.filled[what]
        self.server.drop(self.name)
        self.server.create(template, self.name)
        return copy.deepcopy(answer)


def _is_idle(session: Connection) -> bool:
    """Tell whether a session may be used again: nothing is open in it, and its server is there."""
    if session.closed or session.info.transaction_status != TransactionStatus.IDLE:
        return False
    # A server that goes says so before it is asked.
    return not select.select([session.fileno()], [], [], 0)[0]


@pytest.fixture
def new_database(server: Server, tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Return a function that makes databases: `new_database(migrated=True, **settings)`."""
    made: list[str] = []

    def make(*, migrated: bool = True, **changes: Any) -> Database:
        name = server.create(server.template if migrated else None)
        made.append(name)
        values = {
            "database_url": Secret(server.url(name)),
            "home": tmp_path / "home",
            **changes,
        }
        return Database(server.url(name), Settings(**values), server, name)

    yield make
    for name in made:
        server.drop(name)


@pytest.fixture
def database(new_database: Callable[..., Database]) -> Database:
    """Return a migrated database with no rows in its source tables."""
    return new_database()


@pytest.fixture
def empty_database(new_database: Callable[..., Database]) -> Database:
    """Return a database with nothing in it, not even our tables."""
    return new_database(migrated=False)


@pytest.fixture(scope="module")
def file_session(servers: Servers) -> Iterator[Connection]:
    """Return a session in a migrated database that a file's tests share."""
    server = servers.get("main")
    name = server.create(server.template)
    settings = Settings(database_url=Secret(server.url(name)))
    with connected(settings, "test", writes_sources=True) as session:
        yield session
    server.drop(name)


@pytest.fixture
def trial(file_session: Connection) -> Iterator[Connection]:
    """Return that session in a transaction that leaves nothing behind.

    For statements on a few rows: such a test takes milliseconds.
    """
    with file_session.transaction(force_rollback=True):
        yield file_session


# -- the command ---------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """What a run of the command left."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, as the JSON document it is."""
        return json.loads(self.stdout)


#: The command as it is installed beside this Python.
COMMAND = Path(sys.executable).with_name("consumer-analytics")
_WARM = WarmCommand(COMMAND)


def command_environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a plain environment for the command: no colours, no terminal's width.

    How full this machine's disks are is no finding.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not re.match(rf"{PREFIX}|AIRFLOW|PG|FORCE_COLOR|COLUMNS|PYTHONWARNINGS", name)
    }
    ours = {"NO_COLOR": "1", "COLUMNS": "200", f"{PREFIX}DISK_WARNING": "0"}
    return {**environment, **ours, **(changes or {})}


class Cli:
    """Runs `consumer-analytics` as a user does: a process of its own."""

    def __init__(self, database: Database) -> None:
        """Run it against `database`."""
        self._environment = {
            f"{PREFIX}DATABASE_URL": database.url,
            f"{PREFIX}HOME": str(database.settings.home),
        }

    def __call__(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        stdin: str = "",
        timeout: float = 60,
    ) -> Result:
        """Run the command with these arguments and wait for it to end."""
        environment = command_environment({**self._environment, **(env or {})})
        return Result(*_WARM(list(map(str, arguments)), environment, stdin, timeout))


@pytest.fixture
def cli(database: Database) -> Cli:
    """Return the command, set up for the test's database: `cli("run", "--as-of", …)`."""
    return Cli(database)
