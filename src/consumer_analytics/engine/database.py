"""Connections: one place that opens them, and sets what every session needs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.datetime import DatetimeDumper, TimestamptzLoader

from consumer_analytics.errors import (
    ConnectionLostError,
    DatabaseUnreachableError,
    SettingsError,
    UnsupportedDatabaseError,
)
from consumer_analytics.settings import Settings

Connection = psycopg.Connection[tuple[Any, ...]]

#: UNIQUE NULLS NOT DISTINCT came with PostgreSQL 15.
OLDEST_SERVER = 15

#: "Before everything" and "after everything", as PostgreSQL's -infinity and infinity.
MINUS_INFINITY = dt.datetime.min.replace(tzinfo=dt.UTC)
INFINITY = dt.datetime.max.replace(tzinfo=dt.UTC)

#: Advisory lock classes (the first of two keys), so that they meet no one else's.
LOCK_READER = 0x0CA0
LOCK_JOB = 0x0CA1
LOCK_MIGRATE = 0x0CA2


class _TimestamptzLoader(TimestamptzLoader):
    """Loads infinite timestamps as the ends of Python's calendar."""

    def load(self, data: Any) -> dt.datetime:
        raw = bytes(data)
        if raw == b"infinity":
            return INFINITY
        if raw == b"-infinity":
            return MINUS_INFINITY
        return super().load(data)


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
        # The embedded server listens on a socket that its folder names.
        socket = settings.home / "postgres" / "socket"
        try:
            directory = socket.read_text(encoding="utf-8").strip()
        except OSError:
            raise DatabaseUnreachableError(
                "no database: start the embedded one with `consumer-analytics up`, "
                "or set CONSUMER_ANALYTICS_DATABASE_URL"
            ) from None
        return make_conninfo("", host=directory, port=5432, user="analytics", dbname="analytics")
    try:
        parts = conninfo_to_dict(settings.database_url.get_secret_value())
    except psycopg.ProgrammingError:
        # psycopg's own message may repeat the password.
        raise SettingsError(
            "CONSUMER_ANALYTICS_DATABASE_URL is not a PostgreSQL URL "
            "(postgresql://user:password@host:port/database)"
        ) from None
    if settings.database_password_file is not None and "password" not in parts:
        try:
            with settings.database_password_file.open(encoding="utf-8") as file:
                parts["password"] = file.readline().rstrip("\r\n")
        except OSError as error:
            raise SettingsError(
                f"CONSUMER_ANALYTICS_DATABASE_PASSWORD_FILE: {error.strerror}: {error.filename}"
            ) from None
    return make_conninfo("", **parts)


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split())


def connect(settings: Settings, purpose: str, *, writes_sources: bool = False) -> Connection:
    """Open a session, in autocommit, with times in UTC.

    Args:
        settings: where to.
        purpose: shown in `pg_stat_activity` behind the product's name.
        writes_sources: whether this session may write rows to the source
            tables. One that may not holds a lock that says so, and runs do
            not wait for its transactions.

    Raises:
        DatabaseUnreachableError: with the server's or libpq's own reason.
        UnsupportedDatabaseError: the server is older than PostgreSQL 15.
    """
    info = make_conninfo(
        conninfo(settings),
        application_name=f"consumer-analytics {purpose}",
        connect_timeout=conninfo_to_dict(conninfo(settings)).get("connect_timeout", 10),
    )
    try:
        connection = psycopg.connect(info, autocommit=True)
    except psycopg.OperationalError as error:
        raise DatabaseUnreachableError(
            f"the database cannot be reached: {_one_line(error)}; "
            "check CONSUMER_ANALYTICS_DATABASE_URL"
        ) from None
    if connection.info.server_version < OLDEST_SERVER * 10_000:
        version = connection.info.server_version // 10_000
        connection.close()
        raise UnsupportedDatabaseError(
            f"the server is PostgreSQL {version}; {OLDEST_SERVER} or newer is needed"
        )
    connection.adapters.register_loader("timestamptz", _TimestamptzLoader)
    connection.adapters.register_dumper(dt.datetime, _TimestamptzDumper)
    # UTC makes `timestamp` columns and dates mean what the contract says; JIT
    # costs more than it gives on statements this short.
    connection.execute(
        "select set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false), "
        "set_config('jit', 'off', false), set_config('work_mem', '64MB', false), "
        "set_config('client_min_messages', 'warning', false)"
    )
    if not writes_sources:
        connection.execute("select pg_advisory_lock_shared(%s, 0)", [LOCK_READER])
    return connection


@contextmanager
def connected(
    settings: Settings, purpose: str, *, writes_sources: bool = False
) -> Iterator[Connection]:
    """Open a session for a `with` block, and close it after.

    Raises:
        ConnectionLostError: the server went away in the middle.
    """
    connection = connect(settings, purpose, writes_sources=writes_sources)
    try:
        yield connection
    except psycopg.OperationalError as error:
        if connection.broken or connection.closed:
            raise ConnectionLostError(
                f"the connection to the database was lost: {_one_line(error)}; "
                "nothing was half-written, run again"
            ) from error
        raise
    finally:
        connection.close()


def scalar(connection: Connection, statement: sql.Composable | str, *values: Any) -> Any:
    """Run a statement that answers one row, and return its first column."""
    row = connection.execute(statement, values or None).fetchone()  # type: ignore[arg-type]
    if row is None:
        raise LookupError("the statement answered no row")
    return row[0]
