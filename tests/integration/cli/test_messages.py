"""What ends a command on the server is told in our words, whatever the command was doing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.conftest import COMMAND, Cli, Database, command_environment
from tests.support import crashes, lanes

from consumer_analytics.etl import capture
from consumer_analytics.settings import PREFIX

ENDED = {
    "select pg_cancel_backend(%s)": "somebody ended the statement on the database server",
    "select pg_terminate_backend(%s)": (
        "the connection to the database was lost: somebody ended the session, or the database "
        "server is shutting down"
    ),
}
#: Each with a table that it comes to.
COMMANDS = {
    "run": "customer_events",
    "sweep": "consumer_analytics_internal.state",
    "audit": "consumer_analytics_internal.state",
    "backfill --start-date 2025-01-01 --end-date 2025-01-03": "customer_events",
    "capture disable": "consumer_analytics_internal.capture_unsure",
    "import {files}": "consumers",
    "migrate": "consumer_analytics_internal.alembic_version",
    "status": "consumer_analytics",
    "archive --through 2024-12-01": "consumer_analytics_internal.state",
    "snapshots list": "consumer_analytics",
    "snapshots remove --at 2025-01-01 --yes": "consumer_analytics",
    "watermark show": "etl_job_watermarks",
    "watermark set 2025-01-01 --yes": "etl_job_watermarks",
    "watermark reset --yes": "etl_job_watermarks",
    "vanished": "consumer_analytics_internal.vanished_events",
    "capture enable": "consumer_analytics_internal.capture_unsure",
    "capture status": "consumer_analytics_internal.capture_unsure",
    "health": "etl_job_watermarks",
    "incidents": "consumer_analytics_internal.incidents",
    "alerts check": "consumer_analytics_internal.incidents",
    "backfill list": "consumer_analytics_internal.backfills",
    "simulate --consumers 1 --customers 10 --events 10 --days 2": "customers",
    "status --revisions": "consumer_analytics_revisions",
}


@pytest.mark.parametrize(
    ("command", "ends"), lanes.seldom(2, lanes.each_once(COMMANDS, ENDED, every=4))
)
def test_it_says_what_happened_and_what_to_do(
    database: Database, tmp_path: Path, command: str, ends: str
) -> None:
    (tmp_path / "consumers.csv").write_text(
        "consumer_id,name,status,created_at\n"
        "7d444840-9dc0-11d1-b245-5ffdce74fad2,One,ACTIVE,2025-01-01T00:00:00Z\n"
    )
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'login', '2024-12-31')"
    )
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        crashes.locked(database, COMMANDS[command], "access exclusive") as locker,
        subprocess.Popen(
            [COMMAND, *command.format(files=tmp_path).split()],
            env=command_environment(
                {
                    f"{PREFIX}DATABASE_URL": database.url,
                    # Of those alone that know of an archive.
                    **({f"{PREFIX}LAKE_URL": f"file://{tmp_path}"} if "archive" in command else {}),
                }
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        try:
            pid = crashes.parked(locker, watcher)
            with database.connect_admin() as admin:
                admin.execute(ends, [pid])
            _, told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 1
    last = told.splitlines()[-1]
    assert last.startswith(f"error: {ENDED[ends]}"), told
    assert "; nothing is half-written, run it again" in last


def test_a_run_says_that_it_restated_what_it_restated(database: Database, cli: Cli) -> None:
    """One looks at all snapshots since a note; where none comes out otherwise, it says nothing."""
    put = (
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'login', %s)"
    )
    database.execute(put, ["2025-01-01"])
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    for day in ("2025-01-02", "2025-01-03", "2025-01-04"):
        assert cli("run", "--as-of", day).exit_code == 0
    # Noted, and gone again before anybody counts it.
    database.execute(put, ["2025-01-01 12:00"])
    database.execute("delete from customer_events where created_at = '2025-01-01 12:00'")
    noted = "select count(*) > 0 from consumer_analytics_internal.touched_days"
    assert database.rows(noted) == [(True,)]
    done = cli("run", "--as-of", "2025-01-05")
    assert (done.exit_code, "restat" in done.stdout + done.stderr) == (0, False), done.stderr
    database.execute(put, ["2025-01-01 12:00"])
    done = cli("run", "--as-of", "2025-01-06")
    # It is what the run did, and warns of nothing.
    assert done.stderr.startswith("restated 8 rows of ")


def test_an_error_steers_no_terminal(cli: Cli) -> None:
    done = cli("import", "/no\x1b[31mwhere")
    assert done.exit_code != 0
    assert "\\x1b[31mwhere" in done.stderr
    assert "\x1b" not in done.stderr


#: Commands that need to know how far runs have counted, or that tell it.
KNOWING = (
    "run",
    "sweep",
    "audit",
    "audit --repair",
    "audit --since-last",
    "backfill --start-date 2025-01-01 --end-date 2025-01-03",
    "status",
    "health",
    "vanished",
    "capture status",
    "capture enable",
    "snapshots list",
    "watermark show",
    "watermark reset --yes",
    "maintenance",
)


def test_without_the_jobs_state_a_command_says_so_in_one_line(database: Database, cli: Cli) -> None:
    database.execute("delete from consumer_analytics_internal.state")
    for command in KNOWING:
        done = cli(*command.split())
        assert (done.exit_code, done.stdout) == (1, ""), (command, done)
        said = done.stderr.splitlines()
        assert len(said) == 1, command
        assert said[0].startswith(
            "error: consumer_analytics_internal.state has no row consumer_analytics_daily"
        )
        assert said[0].endswith("`consumer-analytics doctor --fix` puts it back")
