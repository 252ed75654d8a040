"""Through a pooler: in session mode all works, in transaction mode the commands say so at once."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import COMMAND, Cli, Database, command_environment
from tests.support import lanes, pooler
from tests.support.checks import wrong_snapshots

from consumer_analytics.settings import PREFIX

COMMANDS = (
    ["run"],
    ["migrate"],
    ["migrate", "--check"],
    ["sweep"],
    ["audit"],
    ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
    ["capture", "enable"],
    ["status"],
    ["health"],
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a folder with one file of each table."""
    one, two = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2))
    texts = {
        "consumers": f"consumer_id,name,created_at\n{one},A,2025-03-01T00:00:00Z\n",
        "customers": "customer_id,consumer_id,status,created_at\n"
        f"{two},{one},ACTIVE,2025-03-01T01:00:00Z\n",
        "customer_events": "event_id,customer_id,consumer_id,event_type,payload_json,created_at\n"
        + "".join(
            f'00000000-0000-0000-0000-00000000010{n},{two},{one},login,"{{}}",2025-03-0{n}T02:00:00Z\n'
            for n in range(1, 6)
        ),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


@pytest.fixture(params=lanes.first(1, [1, 5]))
def pooled(request: Any, database: Database) -> Iterator[str]:
    """Return the address of a pooler in session mode, with sessions for one or for some."""
    with pooler.between(database, "session", request.param) as url:
        yield url


def held(database: Database) -> list[tuple[Any, ...]]:
    """Return the advisory locks that sessions hold, whoever uses them now."""
    return database.rows(
        "select pid, classid from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid() "
        "and database = (select oid from pg_database where datname = current_database())"
    )


@pytest.mark.long
def test_in_session_mode_all_works(database: Database, pooled: str, files: Path, cli: Cli) -> None:
    through = {f"{PREFIX}DATABASE_URL": pooled}
    for arguments in (
        ["migrate", "--check"],
        ["import", str(files)],
        # On the session that has had temporary tables before.
        ["backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-03"],
        ["capture", "enable"],
        ["run", "--as-of", "2025-03-04T00:00:00Z"],
        ["run"],
        ["sweep", "--days", "10"],
        ["audit"],
        ["capture", "disable"],
        ["status"],
        ["watermark", "show"],
    ):
        result = cli(*arguments, env=through)
        assert result.exit_code == 0, (arguments, result.stderr)
        assert held(database) == []
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


def test_a_killed_command_leaves_no_lock_on_a_pooled_session(
    database: Database, pooled: str
) -> None:
    with psycopg.connect(database.url) as application:
        # What the run waits for, tagged as one that writes no source.
        application.execute("select now()")
        environment = command_environment({f"{PREFIX}DATABASE_URL": pooled})
        process = subprocess.Popen([COMMAND, "run"], env=environment, stderr=subprocess.DEVNULL)
        try:
            _await(lambda: held(database) != [])
        finally:
            process.kill()
            process.wait()
        _await(lambda: held(database) == [])


def _await(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(("mode", "size"), lanes.each_once(["transaction", "statement"], [1, 5]))
def test_in_transaction_mode_every_command_refuses_in_a_line_and_leaves_nothing(
    database: Database, cli: Cli, mode: str, size: int
) -> None:
    with pooler.between(database, mode, size) as url:
        for arguments in COMMANDS:
            result = cli(*arguments, env={f"{PREFIX}DATABASE_URL": url})
            assert result.exit_code == 1, arguments
            assert "pool_mode = session" in result.stderr
            assert result.stderr.count("\n") == 1
            assert held(database) == []
        # Nor are settings of ours left in a session that others use.
        with psycopg.connect(url, autocommit=True) as theirs:
            for name, value in (("work_mem", "4MB"), ("search_path", '"$user", public')):
                assert theirs.execute(f"show {name}").fetchone() == (value,)


def test_transaction_mode_is_recognised_while_others_are_busy(database: Database, cli: Cli) -> None:
    stop = threading.Event()

    def busy(url: str) -> None:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            while not stop.is_set():
                connection.execute("select pg_sleep(random() * 0.003)")
                connection.commit()

    with pooler.between(database, "transaction", 6) as url:
        others = [threading.Thread(target=busy, args=[url], daemon=True) for _ in range(5)]
        for one in others:
            one.start()
        time.sleep(0.1)
        try:
            for _ in range(5):
                result = cli("status", env={f"{PREFIX}DATABASE_URL": url})
                assert "pool_mode = session" in result.stderr
        finally:
            stop.set()
            for one in others:
                one.join()
    assert held(database) == []
