"""An interrupt ends the statement that it came into, wherever in it that was."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg.abc import PQGen
from tests.conftest import Database

from consumer_analytics.db.connection import Connection


def interrupt(send: Callable[[], None] = lambda: None) -> PQGen[None]:
    """Send what is to be sent, and be interrupted in Python's own work on it, not in a wait."""
    yield from ()
    send()
    raise KeyboardInterrupt


def statement(connection: Connection) -> None:
    """Be interrupted in a statement that only ends when it is cancelled."""
    with connection.transaction():
        connection.execute("create temporary table made (n int)")
        connection.wait(interrupt(lambda: connection.pgconn.send_query(b"select pg_sleep(600)")))


def copy(connection: Connection) -> None:
    """Be interrupted while rows come."""
    rows = "copy (select generate_series(1, 10000000)) to stdout"
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(rows) as rest:
        rest.read()
        connection.wait(interrupt())


@pytest.mark.parametrize("work", [statement, copy])
def test_the_session_works_again(database: Database, work: Callable[[Connection], None]) -> None:
    with database.connect() as connection:
        with pytest.raises(KeyboardInterrupt):
            work(connection)
        assert connection.execute("select to_regclass('pg_temp.made')").fetchone() == (None,)
