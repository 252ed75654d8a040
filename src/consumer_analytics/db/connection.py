"""Connections: one place that opens them, and sets what every session needs."""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, LiteralString, NoReturn, TypeVar

import psycopg
from psycopg import IsolationLevel, sql, waiting
from psycopg.abc import AdaptContext, Buffer, PQGen
from psycopg.adapt import Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.generators import fetch_many
from psycopg.pq import Format, TransactionStatus
from psycopg.rows import dict_row
from psycopg.types.datetime import (
    DateDumper,
    DateLoader,
    DatetimeDumper,
    TimestamptzLoader,
)
from psycopg.types.json import set_json_loads

from consumer_analytics import secret_files
from consumer_analytics.db import documents, session, silence
from consumer_analytics.errors import (
    ConnectionLostError,
    DatabaseUnreachableError,
    SettingsError,
    SuperuserError,
    UnsupportedDatabaseError,
    one_line,
)
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import query

_T = TypeVar("_T")

#: Tells, for the command line, which database each session is of, and which one is waited for.
log = logging.getLogger(__name__)

#: UNIQUE NULLS NOT DISTINCT came with PostgreSQL 15.
OLDEST_SERVER = 15

#: "Before everything" and "after everything", as PostgreSQL's -infinity and infinity. A row may
#: be stamped with a year before Christ, or after 9999: for us it lies there as well.
MINUS_INFINITY = dt.datetime.min.replace(tzinfo=dt.UTC)
INFINITY = dt.datetime.max.replace(tzinfo=dt.UTC)

#: What our sessions' names begin with. Holdback knows our readers by it.
APPLICATION = "consumer-analytics"
#: Where the URL does not say otherwise: notice a server that is gone.
_PATIENCE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 45_000,
}

#: How long a cancelled statement may take to end before its session is closed: it is asked to this
#: often, as one that the server has not begun yet does not hear it.
_TIMES_TO_ASK = 10
#: In seconds: less than the server lets a transaction of ours be idle.
_LONGEST_PAUSE = 30.0
_SECONDS_TO_END = 0.5
#: A server that has not answered until then is told of.
_SECONDS_IN_SILENCE = 2.0


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A session whose statement ends with the interrupt that ends the wait for it.

    Attributes:
        pooled: whether a pooler stands between, who may hand the session on when it is closed.
        asked_by: the connection string by which the server is asked, in another session, whether
            it is still at work where it has long said nothing; None: it is waited for.
        pause: how long it pauses after each statement, as a share of the time that it took.
        shard: the name of the shard that it is of, where it works for all of them.
    """

    pooled = False
    asked_by: str | None = None
    pause = 0.0
    shard: str | None = None

    def execute(self, *args: Any, **kwargs: Any) -> psycopg.Cursor[tuple[Any, ...]]:
        """Execute a statement as psycopg does, then leave the server to others for a while."""
        if not self.pause:
            return super().execute(*args, **kwargs)
        began = time.monotonic()
        cursor = super().execute(*args, **kwargs)
        time.sleep(min(self.pause * (time.monotonic() - began), _LONGEST_PAUSE))
        return cursor

    def close(self) -> None:
        """Close it; one that a pooler keeps is given back as it was."""
        if (
            self.pooled
            and not self.closed
            and self.info.transaction_status is TransactionStatus.IDLE
        ):
            session.reset(self)
        super().close()

    def wait(self, gen: PQGen[_T], *args: Any, **kwargs: Any) -> _T:
        """Wait as psycopg does, and leave no statement at work behind an interrupt.

        psycopg cancels the statement and reads on where it was; it cannot where the interrupt
        came while it was not waiting but looking at an answer. Whoever ends the transaction
        would then fail with "another command is already in progress".
        """
        try:
            return super().wait(self._watched(gen), *args, **kwargs)
        except Exception:
            raise
        except BaseException:
            # Somebody's, or the end of the time that Airflow gives a task.
            if self.info.transaction_status is TransactionStatus.ACTIVE:
                self._end_statement()
            raise

    def _watched(self, gen: PQGen[_T]) -> PQGen[_T]:
        """Wait no longer than a minute for a server that is not at work for us."""
        # A pooler makes process ids up.
        if self.asked_by is None or self.pooled:
            return gen
        asked = partial(silence.is_at_work, self.asked_by, self.info.backend_pid)
        return silence.watched(gen, asked, self._give_up)

    def _give_up(self) -> NoReturn:
        # What was sent is in the other side's hands: an end that asks nobody.
        self.pgconn.finish()
        raise psycopg.OperationalError(
            "it has not answered for a while, and is not at work on what it was asked"
        )

    def _end_statement(self) -> None:
        """Cancel what is at work and read its answer to the end; a COPY is its block's to end."""
        for _ in range(_TIMES_TO_ASK):
            with suppress(psycopg.Error):
                self.cancel_safe(timeout=_SECONDS_TO_END)
                waiting.wait(fetch_many(self.pgconn), self.pgconn.socket, timeout=_SECONDS_TO_END)
                return
        # In an unknown state; the server rolls back.
        self.close()


#: Psycopg's own, in C where that is installed. A subclass of the one in `psycopg.types` would not
#: be: rows with times in them would take five times as long.
_FINITE = (
    psycopg.adapters.get_loader(psycopg.adapters.types["timestamptz"].oid, Format.TEXT)
    or TimestamptzLoader
)
_FINITE_DATE = (
    psycopg.adapters.get_loader(psycopg.adapters.types["date"].oid, Format.TEXT) or DateLoader
)


class _TimestamptzLoader(Loader):
    """Loads timestamps beyond Python's calendar, infinite ones too, as its ends."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._finite = _FINITE(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._finite(data)
        except psycopg.DataError:
            return MINUS_INFINITY if _is_before_christ(data) else INFINITY


class _DateLoader(Loader):
    """Loads dates beyond Python's calendar, infinite ones too, as its ends."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._finite = _FINITE_DATE(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._finite(data)
        except psycopg.DataError:
            return dt.date.min if _is_before_christ(data) else dt.date.max


def _is_before_christ(data: Buffer) -> bool:
    """Tell on which side of Python's calendar a time lies that is not in it."""
    raw = bytes(data)
    return raw == b"-infinity" or raw.endswith(b" BC")


class _DateDumper(DateDumper):
    """Writes the ends of Python's calendar as infinite dates."""

    def dump(self, obj: dt.date) -> Any:
        if obj == dt.date.max:
            return b"infinity"
        if obj == dt.date.min:
            return b"-infinity"
        return super().dump(obj)


class _TimestamptzDumper(DatetimeDumper):
    """Writes the ends of Python's calendar as infinite timestamps."""

    def dump(self, obj: dt.datetime) -> Any:
        if obj == INFINITY:
            return b"infinity"
        if obj == MINUS_INFINITY:
            return b"-infinity"
        return super().dump(obj)


def conninfo(settings: Settings) -> str:
    """Return libpq's connection string for the configured database.

    Raises:
        SettingsError: the URL cannot be parsed, or a password file is unreadable.
        DatabaseUnreachableError: no URL is set and the embedded server is not there.
    """
    if settings.database_url is None:
        try:
            directory = _embedded_socket(settings)
        except OSError:
            raise DatabaseUnreachableError(
                "no database: start the embedded one with `consumer-analytics up`, "
                "or set CONSUMER_ANALYTICS_DATABASE_URL"
            ) from None
        return make_conninfo("", host=directory, port=5432, user="analytics", dbname="analytics")
    url = settings.database_url.get_secret_value()
    if _looks_torn(url):
        raise SettingsError(
            "CONSUMER_ANALYTICS_DATABASE_URL has an @ that is not its only one before the host; "
            "write special characters of the password as %40 (@), %2F (/), %3F (?), %23 (#)"
        )
    try:
        parts = conninfo_to_dict(url)
    except (psycopg.ProgrammingError, UnicodeError):
        # Their own messages may repeat the password.
        raise SettingsError(
            "CONSUMER_ANALYTICS_DATABASE_URL is not a PostgreSQL URL "
            "(postgresql://user:password@host:port/database)"
        ) from None
    if settings.database_password_file is not None and "password" not in parts:
        parts["password"] = secret_files.line_for(
            "CONSUMER_ANALYTICS_DATABASE_PASSWORD_FILE", settings.database_password_file
        )
    return make_conninfo("", **parts)


def _embedded_socket(settings: Settings) -> str:
    """Return where the embedded server of a home listens, which its folder names."""
    return (settings.home / "postgres" / "socket").read_text(encoding="utf-8").strip()


def _looks_torn(url: str) -> bool:
    """Tell whether a password with an @ or a / in it has torn a URL into wrong parts.

    libpq would take the rest of the password for a host, and print it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in {"postgresql", "postgres"}:
        return False
    authority, _, path = rest.partition("?")[0].partition("/")
    return authority.count("@") > 1 or "@" in path


def connect(
    settings: Settings,
    purpose: str,
    *,
    writes_sources: bool = False,
    as_admin: bool = False,
    works_long: bool = False,
) -> Connection:
    """Open a session, in autocommit, with times in UTC.

    Args:
        settings: where to.
        purpose: shown in `pg_stat_activity` behind the product's name.
        writes_sources: whether this session may write rows to the source
            tables. One that may not is tagged so, and runs do not wait for
            its transactions.
        as_admin: whether a superuser is welcome: for making schema and roles.
        works_long: whether it does what may be told to take less of the server: runs,
            backfills, sweeps and audits.

    Raises:
        DatabaseUnreachableError: with the server's or libpq's own reason.
        SuperuserError: the login is a superuser and nobody said that it may be.
        UnsupportedDatabaseError: the server is older than PostgreSQL 15.
        TransactionPoolingError: a pooler lends its sessions for a transaction at a time.
        SessionError: a setting that figures depend on cannot be set.
    """
    address = parameters(settings, purpose)
    try:
        with _telling_that_it_waits(address):
            connection = Connection.connect(address, autocommit=True)
    except psycopg.OperationalError as error:
        from consumer_analytics.db import refusals

        advice = _advice(str(error))
        what = "lets no session begin" if advice == _PRELOADED else "cannot be reached"
        raise DatabaseUnreachableError(
            f"the database {what}: {refusals.told(error)}; {advice}"
        ) from None
    try:
        prepare(connection, settings, writes_sources=writes_sources, as_admin=as_admin)
        if works_long:
            _be_polite(connection, settings)
    except BaseException:
        connection.close()
        raise
    asks = f"{APPLICATION} check of a silent server"
    connection.asked_by = make_conninfo(address, application_name=asks)
    told = connection.info
    _tell_what_is_passed_over(settings, told.host)
    log.debug("database %s at %s:%s, as %s", told.dbname, told.host, told.port, told.user)
    return connection


@contextmanager
def _telling_that_it_waits(address: str) -> Iterator[None]:
    """Log whom a `with` block waits for, should no answer come."""
    asked = conninfo_to_dict(address)
    teller = threading.Timer(
        _SECONDS_IN_SILENCE,
        log.info,
        (
            "no answer yet from %s; it is waited for %s s",
            asked.get("host", "the database"),
            asked["connect_timeout"],
        ),
    )
    # Nothing waits for it: an interrupt ends the command at once.
    teller.daemon = True
    teller.start()
    try:
        yield
    finally:
        teller.cancel()


def _tell_what_is_passed_over(settings: Settings, host: str) -> None:
    """Say that the server of a home that somebody named is not the one that is used."""
    named = os.environ.get(f"{PREFIX}HOME")
    if settings.database_url is None or not named:
        return
    try:
        own = _embedded_socket(settings)
    except OSError:
        return
    if own != host:
        log.warning(
            "%sDATABASE_URL is set, and so the server of %sHOME, %s, is not used",
            PREFIX,
            PREFIX,
            named,
        )


#: It answers, and ends each session of this database or login before anything is asked of it.
_PRELOADED = (
    "the server has no such library: correct what session_preload_libraries or "
    "local_preload_libraries name, set for the database, the login or the server"
)
#: What to do about a server that does not let us in. It says why in words alone, for which there
#: is no other sign before the session is there; the first that is found counts.
_ADVICE = {
    "could not access file": _PRELOADED,
    "could not load library": _PRELOADED,
    "starting up": "it is starting: run it again in a moment",
    "recovery": "it is recovering: run it again in a moment",
    "not yet accepting connections": "it is starting: run it again in a moment",
    "shutting down": "run it again when it is up again",
    "too many": "run it again when others have ended, or have its max_connections raised",
    "connection slots": "run it again when others have ended, or have its max_connections raised",
    "password": "check login and password in CONSUMER_ANALYTICS_DATABASE_URL, or the file that "
    "CONSUMER_ANALYTICS_DATABASE_PASSWORD_FILE names",
    "authentication failed": "check the login in CONSUMER_ANALYTICS_DATABASE_URL",
    "pg_hba.conf": "have the server let this login in from here (pg_hba.conf)",
    "database ": "create the database, or let CONSUMER_ANALYTICS_DATABASE_URL name another",
    "role ": "create the login, or let CONSUMER_ANALYTICS_DATABASE_URL name another",
    "SSL": "check sslmode and certificates in CONSUMER_ANALYTICS_DATABASE_URL",
    "translate host name": "check the host in CONSUMER_ANALYTICS_DATABASE_URL",
    "resolve": "check the host in CONSUMER_ANALYTICS_DATABASE_URL",
    "refused": "start the server, or check host and port in CONSUMER_ANALYTICS_DATABASE_URL",
    "No such file": "start the server, or check host and port in CONSUMER_ANALYTICS_DATABASE_URL",
    "timeout": "see whether the server is up and a firewall lets this through",
    "closed the connection": "run it again; the server's log tells why",
}


def _advice(said: str) -> str:
    # Behind the address, whose names could be any of these words.
    reason = said.rpartition("FATAL:")[2] if "FATAL:" in said else said.rpartition("failed:")[2]
    return next(
        (advice for words, advice in _ADVICE.items() if words in reason),
        "check CONSUMER_ANALYTICS_DATABASE_URL",
    )


def parameters(settings: Settings, purpose: str) -> str:
    """Return the connection string of a session of ours; `purpose` is shown in its name.

    Raises:
        SettingsError: the URL cannot be parsed, or a password file is unreadable.
        DatabaseUnreachableError: no URL is set and the embedded server is not there.
    """
    parts = {**_PATIENCE, **conninfo_to_dict(conninfo(settings))}
    parts["application_name"] = f"{APPLICATION} {purpose}"
    return make_conninfo("", **parts)


def prepare(
    connection: Connection,
    settings: Settings,
    *,
    writes_sources: bool = False,
    as_admin: bool = False,
) -> None:
    """Make a new connection, in autocommit, a session of ours; see `connect`.

    Raises:
        SuperuserError: the login is a superuser and nobody said that it may be.
        UnsupportedDatabaseError: the server is older than PostgreSQL 15.
        TransactionPoolingError: a pooler lends its sessions for a transaction at a time.
        SessionError: a setting that figures depend on cannot be set.
    """
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        version = connection.info.server_version // 10_000
        raise UnsupportedDatabaseError(
            f"the server is PostgreSQL {version}; {OLDEST_SERVER} or newer is needed"
        )
    _refuse_superuser(connection, settings, as_admin=as_admin)
    connection.adapters.register_loader("timestamptz", _TimestamptzLoader)
    connection.adapters.register_dumper(dt.datetime, _TimestamptzDumper)
    connection.adapters.register_loader("date", _DateLoader)
    connection.adapters.register_dumper(dt.date, _DateDumper)
    set_json_loads(documents.read, connection)
    connection.pooled = session.set_up(
        connection, lambda: parameters(settings, "pooler check"), reader=not writes_sources
    )
    if as_admin and connection.info.parameter_status("is_superuser") == "on":
        session.trust_nobody(connection)


def _refuse_superuser(connection: Connection, settings: Settings, *, as_admin: bool) -> None:
    """Refuse to work as a superuser on another machine's server, unless that is wanted.

    A server on this machine (a socket, the loopback) is a developer's.
    """
    if as_admin or settings.allow_superuser:
        return
    if connection.info.parameter_status("is_superuser") != "on":
        return
    host, address = connection.info.host, connection.info.hostaddr
    if host.startswith(("/", "@")) or address == "::1" or address.startswith("127."):
        return
    raise SuperuserError(
        f"login {connection.info.user} is a superuser of the server at {host}; use a login in the "
        "role that `consumer-analytics roles` makes for runs, or set "
        "CONSUMER_ANALYTICS_ALLOW_SUPERUSER=true"
    )


def _be_polite(connection: Connection, settings: Settings) -> None:
    """Let a session take no more of the server than it is told to."""
    if settings.workers is not None:
        connection.execute(
            "select set_config('max_parallel_workers_per_gather', %s, false)",
            [str(settings.workers)],
        )
    connection.pause = settings.pause


@contextmanager
def connected(
    settings: Settings,
    purpose: str,
    *,
    writes_sources: bool = False,
    as_admin: bool = False,
    works_long: bool = False,
) -> Iterator[Connection]:
    """Open a session for a `with` block, and close it after.

    Raises:
        ConnectionLostError: the server went away in the middle.
    """
    connection = connect(
        settings,
        purpose,
        writes_sources=writes_sources,
        as_admin=as_admin,
        works_long=works_long,
    )
    try:
        yield connection
    except psycopg.Error as error:
        if connection.closed and isinstance(
            error, psycopg.OperationalError | psycopg.InternalError
        ):
            why = (
                one_line(error)
                if error.sqlstate
                else "the server stopped or answers no longer, or something between has closed it; "
                "nothing is half-written, run it again"
            )
            raise ConnectionLostError(f"the connection to the database was lost: {why}") from error
        raise
    finally:
        connection.close()


def wait_long(connection: psycopg.Connection[Any]) -> None:
    """Let the current transaction wait between statements for as long as it takes.

    For one that keeps nobody waiting, and waits for something else than the database.
    """
    connection.execute("set local idle_in_transaction_session_timeout = 0")


@contextmanager
def consistent(connection: Connection) -> Iterator[None]:
    """Begin a transaction for a `with` block, all of whose statements see the same rows.

    Args:
        connection: in autocommit, and in no transaction.
    """
    connection.isolation_level = IsolationLevel.REPEATABLE_READ
    try:
        with connection.transaction():
            yield
    finally:
        if not connection.closed:
            connection.isolation_level = None


def scalar(connection: Connection, statement: sql.Composable | str, *values: Any) -> Any:
    """Run a statement that answers one row, and return its first column."""
    row = connection.execute(statement, values or None).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row[0]


def scalar_of(
    connection: Connection,
    name: LiteralString,
    values: dict[str, Any] | None = None,
    **parts: Any,
) -> Any:
    """Run a query file that answers one row, and return its first column."""
    row = connection.execute(query(name, **parts), values).fetchone()
    return None if row is None else row[0]


def permitted(read: Callable[[], _T]) -> _T | None:
    """Return what a read of a session in autocommit returns; None where its login may not."""
    try:
        return read()
    except psycopg.errors.InsufficientPrivilege:
        return None


def named_row(connection: Connection, statement: sql.Composed, **values: Any) -> dict[str, Any]:
    """Run a statement that answers one row, and return it by its columns' names."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(statement, values).fetchone()
    if row is None:
        raise LookupError("the statement answered no row")
    return row
