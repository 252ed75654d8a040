"""An interrupt ends the statement that it came into, and the command, wherever that was started."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable

import pytest
from psycopg.abc import PQGen
from tests.conftest import COMMAND, Database, command_environment
from tests.support import crashes, lanes

from consumer_analytics.db.connection import Connection
from consumer_analytics.settings import PREFIX


def interrupt(raised: type[BaseException], send: Callable[[], None] = lambda: None) -> PQGen[None]:
    """Send what is to be sent, and be interrupted in Python's own work on it, not in a wait."""
    yield from ()
    send()
    raise raised


def statement(connection: Connection, raised: type[BaseException]) -> None:
    """Be interrupted in a statement that only ends when it is cancelled."""
    with connection.transaction():
        connection.execute("create temporary table made (n int)")
        sleep = b"select pg_sleep(600)"
        connection.wait(interrupt(raised, lambda: connection.pgconn.send_query(sleep)))


def copy(connection: Connection, raised: type[BaseException]) -> None:
    """Be interrupted while rows come."""
    rows = "copy (select generate_series(1, 10000000)) to stdout"
    with connection.transaction(), connection.cursor() as cursor, cursor.copy(rows) as rest:
        rest.read()
        connection.wait(interrupt(raised))


class OutOfTime(BaseException):
    """As Airflow raises it in a task whose time is up: no exception like others, no interrupt."""


@pytest.mark.parametrize("raised", [KeyboardInterrupt, OutOfTime])
@pytest.mark.parametrize("work", [statement, copy])
def test_the_session_works_again(
    database: Database,
    work: Callable[[Connection, type[BaseException]], None],
    raised: type[BaseException],
) -> None:
    with database.connect() as connection:
        with pytest.raises(raised):
            work(connection, raised)
        assert connection.execute("select to_regclass('pg_temp.made')").fetchone() == (None,)


#: How a shell starts a command for a person, and how one that runs a script starts what it puts
#: into the background: with SIGINT ignored, which the command inherits.
SHELLS = {
    "foreground": 'exec "$0" "$@"',
    "background": 'trap "" INT; exec "$0" "$@"',
}


@pytest.mark.parametrize("shell", lanes.first(1, SHELLS))
def test_a_command_ends_alike_wherever_it_was_started(database: Database, shell: str) -> None:
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        crashes.locked(database, "customer_events", "access exclusive") as locker,
        subprocess.Popen(
            ["sh", "-c", SHELLS[shell], COMMAND, "run"],
            env=command_environment({f"{PREFIX}DATABASE_URL": database.url}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as command,
    ):
        try:
            crashes.parked(locker, watcher)
            command.send_signal(signal.SIGINT)
            _, told = command.communicate(timeout=20)
        finally:
            command.kill()
    assert command.returncode == 130
    assert told == "stopped: nothing is half-written; the next run does it\n"
    assert database.rows("select count(*) from consumer_analytics") == [(0,)]
    assert database.rows(
        "select state, summary ->> 'error_type', last_run_status "
        "from consumer_analytics_internal.runs, etl_job_watermarks"
    ) == [("interrupted", "Stopped", "failed")]
