"""The dashboard's sessions with the database: few, kept open, and able to read only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout
from pydantic_core import from_json

from consumer_analytics.db import documents, own_names
from consumer_analytics.db.connection import Connection, connect, parameters, prepare
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.settings import Settings

#: As many pages are read at once; more wait their turn.
_MOST = 8
#: Seconds that one waits for a session before it is told that there is none.
_PATIENCE = 3.0


class SlowQueryError(ConsumerAnalyticsError):
    """The query took too long and was given up; choose a shorter range, or try again."""


class NoSessionError(ConsumerAnalyticsError):
    """All sessions with the database are in use; try again."""


class Pool:
    """A pool of sessions; each use of one is a read-only transaction on one state of the data."""

    def __init__(self, settings: Settings) -> None:
        """Describe it; nothing is opened before it is asked for."""
        self.settings = _for_reading(settings)
        self._pool: ConnectionPool[Connection] | None = None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Hand out a session for a `with` block, in a transaction.

        Raises:
            ConsumerAnalyticsError: there is none to be had; see `connect`.
            NoSessionError: all are in use.
            SlowQueryError: a query ran into the time limit.
            SourceError: the database takes the sources to be called otherwise than settings say.
        """
        try:
            with (
                self._opened().connection() as connection,
                own_names.explaining(connection, self.settings),
            ):
                yield connection
        except PoolTimeout:
            raise self._why() from None
        except psycopg.errors.QueryCanceled:
            raise SlowQueryError(
                f"the query took longer than {self.settings.dashboard_statement_timeout:g} s and "
                "was given up; choose a shorter range"
            ) from None

    def _opened(self) -> ConnectionPool[Connection]:
        if self._pool is None:
            self._pool = ConnectionPool(
                # Read when a session is opened: an embedded server may have come up since.
                lambda: parameters(self.settings, "dashboard"),
                connection_class=Connection,
                kwargs={"autocommit": True},
                min_size=0,
                max_size=_MOST,
                timeout=_PATIENCE,
                max_idle=300,
                configure=self._configure,
                check=_begin,
                name="dashboard",
                open=True,
            )
        return self._pool

    def _configure(self, connection: Connection) -> None:
        prepare(connection, self.settings)
        # Twice as fast as the standard library's: a chart is two hundred documents.
        set_json_loads(_read, connection)
        milliseconds = max(1, round(self.settings.dashboard_statement_timeout * 1000))
        connection.execute(
            "select set_config('default_transaction_read_only', 'on', false), "
            # All queries of a page see the same rows.
            "set_config('default_transaction_isolation', 'repeatable read', false), "
            "set_config('statement_timeout', %s, false), "
            # They find their rows by an index whatever the values: working that out for each
            # value takes longer than reading the rows.
            "set_config('plan_cache_mode', 'force_generic_plan', false)",
            [str(milliseconds)],
        )

    def _why(self) -> ConsumerAnalyticsError:
        """Return why no session could be had, by asking for one as the command line does."""
        try:
            connect(self.settings, "dashboard").close()
        except ConsumerAnalyticsError as error:
            return error
        return NoSessionError(
            f"the dashboard is busy: no session with the database came free in {_PATIENCE:g} s"
        )

    def close(self) -> None:
        """Close all sessions."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None


def _read(text: bytes | str) -> Any:
    try:
        return from_json(text)
    except ValueError:
        return documents.read(text)


def _begin(connection: Connection) -> None:
    """Begin a transaction; a session that cannot is gone, and the pool hands out another one.

    The pool ends the transaction when it takes the session back.
    """
    connection.execute("begin", prepare=False)


def _for_reading(settings: Settings) -> Settings:
    """Return the settings with the database URL that the dashboard reads through."""
    if settings.dashboard_database_url is None:
        return settings
    return settings.replaced(
        {
            "database_url": settings.dashboard_database_url,
            "database_password_file": settings.dashboard_database_password_file,
        }
    )
