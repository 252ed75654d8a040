"""The tests' way of starting the command is the command: the same answers, and a process alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
from tests.conftest import COMMAND, Database, command_environment
from tests.support import crashes, lanes
from tests.support.warm_command import WarmCommand

from consumer_analytics.settings import PREFIX


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmCommand]:
    made = WarmCommand(COMMAND)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("arguments", "changes", "stdin"),
    lanes.first(
        2,
        [
            (["watermark", "show", "--json"], {}, ""),
            # It asks on the terminal's behalf, and is told no.
            (["watermark", "reset"], {}, "n\n"),
            (["backfill", "list"], {"COLUMNS": "60"}, ""),
            (["run", "--as-of", "never"], {}, ""),
            (["status"], {f"{PREFIX}TIMEZONE": "Mars/Base"}, ""),
        ],
    ),
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_it_says_what_the_installed_command_says(
    warm: WarmCommand,
    database: Database,
    arguments: list[str],
    changes: dict[str, str],
    stdin: str,
) -> None:
    environment = command_environment({f"{PREFIX}DATABASE_URL": database.url, **changes})
    cold = subprocess.run(
        [COMMAND, *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Twice: the second has nothing of the first's.
    for _ in range(2):
        assert warm(arguments, environment, stdin, 60) == (
            cold.returncode,
            cold.stdout,
            cold.stderr,
        )


@pytest.mark.long
def test_one_that_takes_too_long_is_killed(warm: WarmCommand, database: Database) -> None:
    environment = command_environment({f"{PREFIX}DATABASE_URL": database.url})
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        crashes.locked(database, "customer_events", "access exclusive") as locker,
    ):
        began = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            warm(["run"], environment, "", 5)
        assert time.monotonic() - began < 30
        # Gone, so that its session ends as soon as it may.
        locker.execute("rollback")
        crashes.wait_for(
            watcher,
            "select 1 where not exists (select from pg_stat_activity "
            "where application_name = 'consumer-analytics run' and datname = current_database())",
            [],
        )
    assert database.rows("select count(*) from consumer_analytics") == [(0,)]
