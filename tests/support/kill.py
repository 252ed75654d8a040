"""Kill the command in the middle of a statement, as a power cut would."""

from __future__ import annotations

import subprocess
import time
from typing import Any

from tests.conftest import COMMAND, Database, command_environment

_SESSIONS = (
    "select pid, query from pg_stat_activity where application_name like 'consumer-analytics %' "
    "and datname = current_database() and pid <> pg_backend_pid()"
)


def kill_during(
    database: Database, statement: str, *arguments: Any, env: dict[str, str] | None = None
) -> None:
    """Start `consumer-analytics`, kill it while it runs the query file `statement` in a database.

    Returns when the server has noticed that its client is gone.
    """
    with database.server.connect_admin(database.name) as watcher:
        others = {pid for pid, _ in watcher.execute(_SESSIONS)}

        def queries() -> list[str]:
            return [query for pid, query in watcher.execute(_SESSIONS) if pid not in others]

        process = subprocess.Popen(
            [str(COMMAND), *map(str, arguments)],
            env=command_environment(
                {"CONSUMER_ANALYTICS_DATABASE_URL": database.url, **(env or {})}
            ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        deadline = time.monotonic() + 60
        with process:
            while not any(f" {statement} " in query for query in queries()):
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.002)
            process.kill()
            process.wait()
            while queries():
                assert time.monotonic() < deadline
                time.sleep(0.05)
