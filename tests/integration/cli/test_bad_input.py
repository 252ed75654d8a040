"""What goes wrong ends with one clear line, a non-zero exit code and nothing half-written."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import COMMAND, command_environment
from tests.support import lanes

from consumer_analytics import fields
from consumer_analytics.settings import Settings, variable

PREFIX = "CONSUMER_ANALYTICS_"


def one_line(result: Any) -> str:
    """Return the error line; fail where there is more, or a traceback."""
    lines: list[str] = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.exit_code not in {0, None}
    assert "Traceback" not in result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("TIMEZONE", "Mars/Olympus", "'Mars/Olympus' is not an IANA time zone"),
        ("HOLDBACK_WAIT", "soon", "CONSUMER_ANALYTICS_HOLDBACK_WAIT"),
        ("HOLDBACK_WAIT", "-1", "CONSUMER_ANALYTICS_HOLDBACK_WAIT"),
        ("AIRFLOW_PORT", "99999", "CONSUMER_ANALYTICS_AIRFLOW_PORT"),
        ("START_DATE", "yesterday", "CONSUMER_ANALYTICS_START_DATE"),
        ("HOLDBACK_WIAT", "5", "did you mean CONSUMER_ANALYTICS_HOLDBACK_WAIT?"),
        ("DATABASE_URL", "mysql://x", "is not a PostgreSQL URL"),
        ("DATABASE_PASSWORD_FILE", "/nowhere/secret", "No such file"),
    ],
)
def test_settings(cli: Any, variable: str, value: str, says: str) -> None:
    env = {PREFIX + variable: value}
    if variable == "DATABASE_PASSWORD_FILE":
        env[PREFIX + "DATABASE_URL"] = "postgresql://someone@localhost/x"
    result = cli("status", env=env)
    assert says in one_line(result)
    assert result.exit_code == 2


def test_unreachable_server(cli: Any) -> None:
    url = "postgresql://someone:hush@127.0.0.1:9/analytics"
    line = one_line(cli("run", env={PREFIX + "DATABASE_URL": url}))
    assert "cannot be reached" in line
    assert "127.0.0.1" in line
    assert "hush" not in line
    url = "postgresql://someone:hush@127.0.0.1:9,127.0.0.1:10/analytics"
    assert one_line(cli("run", env={PREFIX + "DATABASE_URL": url})) == (
        "error: the database cannot be reached: 127.0.0.1 port 9, 127.0.0.1 port 10: Connection "
        f"refused; start the server, or check host and port in {PREFIX}DATABASE_URL"
    )


def test_unknown_database(cli: Any, database: Any) -> None:
    url = re.sub(r"dbname=\S+", "dbname=nowhere", database.url)
    line = one_line(cli("run", env={PREFIX + "DATABASE_URL": url}))
    assert '"nowhere" does not exist' in line


def test_a_library_that_the_server_has_not(cli: Any, database: Any) -> None:
    """The advice was to start the server, which had answered."""
    with database.connect_admin() as connection:
        connection.execute(f"alter database {database.name} set session_preload_libraries = 'nope'")
    line = one_line(cli("status"))
    assert line.startswith("error: the database lets no session begin: ")
    assert 'FATAL: could not access file "nope": No such file or directory; the server ' in line
    assert "session_preload_libraries" in line
    assert "start the server" not in line


def test_no_database_at_all(cli: Any, tmp_path: Any) -> None:
    line = one_line(cli("run", env={PREFIX + "DATABASE_URL": "", PREFIX + "HOME": str(tmp_path)}))
    assert "consumer-analytics up" in line
    assert PREFIX + "DATABASE_URL" in line


@pytest.mark.parametrize("command", [["run"], ["status"], ["watermark", "show"]])
def test_a_database_without_our_schema(cli: Any, new_database: Any, command: list[str]) -> None:
    bare = new_database(migrated=False)
    line = one_line(cli(*command, env={PREFIX + "DATABASE_URL": bare.url}))
    assert "consumer-analytics migrate" in line


def test_a_schema_made_by_other_files(cli: Any, database: Any) -> None:
    database.execute("update consumer_analytics_internal.alembic_version set checksums[3] = 'x'")
    assert "0003_outputs" in one_line(cli("run"))
    assert "0003_outputs" in one_line(cli("migrate"))


def test_a_schema_from_the_future(cli: Any, database: Any) -> None:
    database.execute(
        "update consumer_analytics_internal.alembic_version set version_num = '9999', "
        "product_version = '99.0', checksums = checksums || array['x']"
    )
    line = one_line(cli("run"))
    assert "migration 9999 of version 99.0" in line
    assert "install the newer version" in line
    assert one_line(cli("migrate")) == line


def test_somebody_elses_table(cli: Any, new_database: Any) -> None:
    taken = new_database(migrated=False)
    taken.execute("create table public.consumer_analytics (theirs int)")
    result = cli("migrate", env={PREFIX + "DATABASE_URL": taken.url})
    assert "public.consumer_analytics exists" in one_line(result)
    assert taken.rows("select count(*) from pg_tables where schemaname = 'public'") == [(1,)]


def test_a_missing_source_table(cli: Any, database: Any) -> None:
    database.execute("drop table customers")
    assert "source table public.customers does not exist" in one_line(cli("run"))


def test_a_missing_column(cli: Any, database: Any) -> None:
    database.execute("alter table customer_events drop column payload_json")
    assert "public.customer_events has no column payload_json" in one_line(cli("run"))


def test_a_column_of_another_type(cli: Any, database: Any) -> None:
    database.execute("alter table customers alter column created_at type text")
    line = one_line(cli("run"))
    assert "public.customers.created_at is text" in line


def test_only_some_source_tables(cli: Any, new_database: Any) -> None:
    partial = new_database(migrated=False)
    partial.execute("create table public.customers (customer_id uuid primary key)")
    cli("migrate", env={PREFIX + "DATABASE_URL": partial.url})
    line = one_line(cli("run", env={PREFIX + "DATABASE_URL": partial.url}))
    assert "source table public.consumers does not exist" in line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tomorrow-ish", "is not a time"),
        ("2999-01-01", "future"),
        ("0001-01-01T00:00+14", "calendar"),
    ],
)
def test_times(cli: Any, text: str, says: str) -> None:
    result = cli("run", "--as-of", text)
    assert says in one_line(result)
    assert result.exit_code == 2


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("status --revisions --limit 0", "--limit must be a whole number, 1 or more, and is '0'; "),
        ("sweep --days x --json", "--days must be a whole number, 1 or more, and is 'x'; "),
        ("serve --port 99999", "--port must be a whole number from 0 to 65535, and is '99999'; "),
        ("alerts digest --week x", "--week must be a day of the calendar, such as 2025-11-03, "),
        ("import", "missing argument 'DIR'; `consumer-analytics import --help` tells"),
        ("archive --json", "missing option '--through'; `consumer-analytics archive --help` tells"),
        ("run --as-off x", "no such option: --as-off (there is: --as-of); `consumer-analytics run"),
        ("run now", "got unexpected extra argument(s) (now); `consumer-analytics run --help` "),
        ("serve --port", "option '--port' requires an argument"),
        ("snapshots prune", "no such command 'prune'; `consumer-analytics snapshots --help` "),
        ("--nope", "no such option: --nope; `consumer-analytics --help` tells"),
        ("backfill --json list", "--json before `list` belongs to `consumer-analytics backfill` "),
        ("backfill --start-date 2025-10-01 --dry-run list", "--start-date, --dry-run before `list"),
    ],
)
def test_what_it_is_called_with(cli: Any, command: str, says: str) -> None:
    """What Typer refuses came in a box, in the validator's words."""
    result = cli(*command.split())
    assert one_line(result).startswith(f"error: {says}")
    assert (result.exit_code, result.stdout) == (2, "")


def test_an_instant_from_before_the_first_row_is_refused_where_a_person_names_it(
    cli: Any, database: Any
) -> None:
    # Of an empty database zeros can be said.
    assert cli("run", "--as-of", "2025-01-01").exit_code == 0
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), gen_random_uuid(), 'login', '2025-03-01 12:00')"
    )
    refused = cli("run", "--as-of", "1960-01-01")
    assert refused.exit_code == 2
    assert one_line(refused) == (
        "error: 1960-01-01T00:00:00+00:00 lies before the first row, of "
        "2025-03-01T12:00:00+00:00: there is nothing to write; name a later instant"
    )
    assert cli("run", "--as-of", "2025-02-28").exit_code == 2
    # Its snapshot is there: it is restated.
    assert cli("run", "--as-of", "2025-01-01").exit_code == 0
    assert cli("run", "--as-of", "2025-03-01T12:00:00Z").exit_code == 0
    assert cli("run", "--as-of", "2025-03-02").exit_code == 0
    # What was counted and is gone was there.
    database.execute("delete from customer_events")
    assert "first row" not in cli("run", "--as-of", "2025-03-01T18:00:00Z").stderr
    assert cli("run", "--as-of", "1960-01-01").exit_code == 2
    assert database.rows(
        "select snapshot_timestamp::text from consumer_analytics where consumer_id is null "
        "order by 1"
    ) == [
        (f"{stamp}+00",)
        for stamp in (
            "2025-01-01 00:00:00",
            "2025-03-01 12:00:00",
            "2025-03-02 00:00:00",
        )
    ]


def test_a_watermark_is_not_moved_without_a_yes(cli: Any, database: Any) -> None:
    before = database.rows("select * from etl_job_watermarks")
    for answer in ("n\n", ""):
        result = cli("watermark", "reset", stdin=answer)
        assert result.exit_code == 2
        assert "not confirmed" in result.stderr
        assert result.stdout == ""
    assert database.rows("select * from etl_job_watermarks") == before


def test_help_is_what_many_type_first(cli: Any) -> None:
    for path in ([], ["audit"], ["watermark", "set"]):
        asked = cli("help", *path)
        assert asked.exit_code == 0
        assert asked.stdout == cli(*path, "--help").stdout


def test_nothing_vanished_of_what_was_asked_for_is_not_nothing_vanished(cli: Any) -> None:
    assert cli("vanished").stdout == "nothing is noted as vanished\n"
    for asked in (["--type", "purchse"], ["--since", "2025-01-01"]):
        assert cli("vanished", *asked).stdout == "nothing that you ask for is noted as vanished\n"


def test_unknown_commands_and_options(cli: Any) -> None:
    for arguments in (["frobnicate"], ["run", "--frobnicate"]):
        result = cli(*arguments)
        assert result.exit_code == 2
        assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "command", ["vanished --type", "sweep --accept-purged --type", "watermark reset --yes --reason"]
)
def test_what_is_no_text(cli: Any, command: str) -> None:
    # As Python has a byte that is no UTF-8.
    refused = cli(*command.split(), "\udcff")
    assert one_line(refused).endswith("is no text in UTF-8")
    assert refused.exit_code == 2


def test_a_watermark_of_the_future_is_said_to_be_one(cli: Any) -> None:
    ahead = cli("watermark", "set", "2999-01-01", "--yes")
    assert (ahead.exit_code, "lies in the future" in ahead.stderr) == (0, True)
    assert "from there" not in ahead.stdout
    said = cli("status").stdout.splitlines()
    assert said[0] == "watermark  2999-01-01 00:00:00 UTC"
    assert said[1].startswith("ahead      the watermark was set by hand at ")
    assert said[1].endswith(" to 2999-01-01 00:00:00 UTC, but nothing is processed yet")
    assert said[1] in cli("watermark", "show").stdout.replace("ahead              ", "ahead      ")
    assert cli("run").stdout.startswith("window     1970-01-01 00:00:00 UTC to ")
    back = cli("watermark", "set", "2025-01-01", "--yes")
    assert ("from there" in back.stdout, back.stderr) == (True, "")
    assert "ahead" not in cli("status").stdout


def test_a_watermark_beyond_what_is_processed_is_said_to_be_one(cli: Any) -> None:
    assert cli("run", "--as-of", "2025-02-01").exit_code == 0
    ahead = cli("watermark", "set", "2025-02-02", "--yes")
    assert (ahead.exit_code, "is beyond what is processed" in ahead.stderr) == (0, True)


def test_a_failed_run_leaves_the_watermark_and_says_why(cli: Any, database: Any) -> None:
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'x', '2025-01-01')"
    )
    # A snapshot that cannot be written fails the run at its last step.
    database.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'the disk is full, say'; end $$;"
        "create trigger refuse before insert on consumer_analytics "
        "for each row execute function refuse()"
    )
    assert "the disk is full, say" in one_line(cli("run", "--as-of", "2025-02-01"))
    rows = database.rows(
        "select last_processed_timestamp = '1970-01-01', last_run_status, "
        "metadata_json ->> 'error_type', metadata_json ->> 'error' from etl_job_watermarks"
    )
    assert rows[0][:3] == (True, "failed", "RaiseException")
    assert "the disk is full, say" in rows[0][3]
    database.execute("drop trigger refuse on consumer_analytics")
    assert cli("run", "--as-of", "2025-02-01").exit_code == 0
    assert database.rows(
        "select last_processed_timestamp = '2025-02-01', last_run_status from etl_job_watermarks"
    ) == [(True, "success")]


@pytest.mark.parametrize("flags", lanes.first(1, [[], ["--json"]]))
def test_output_that_finds_no_room(database: Any, flags: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [COMMAND, "status", *flags],
            env=command_environment({PREFIX + "DATABASE_URL": database.url}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


#: What reads settings, each in its own way.
READERS = (
    "run", "status", "health", "doctor", "check", "sweep", "audit", "maintenance --dry-run",
    "alerts check", "incidents", "vanished", "snapshots list", "metrics", "metrics --rules",
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("end", ["most", "least"])
def test_every_number_can_be_what_it_may_be(cli: Any, end: str) -> None:
    assert cli("simulate", "--customers", "50", "--events", "500").exit_code == 0
    ends = {}
    for one in dataclasses.fields(Settings):
        bounds = fields.described(one)
        least = bounds.ge if bounds.gt is None else bounds.gt + 0.001
        # Ports are somebody's.
        if least is None or "port" in one.name:
            continue
        ends[variable(one.name)] = f"{bounds.le if end == 'most' else least:.15g}"
    for command in READERS:
        done = cli(*command.split(), env=ends)
        assert "Traceback" not in done.stderr, (command, done.stderr)
        # Those that judge may find that nothing is as it should be.
        judges = command in {"health", "doctor", "check"}
        if command == "metrics" and end == "least":
            assert "METRICS_TIMEOUT is that time" in done.stderr
            continue
        assert done.exit_code == 0 or (judges and not done.stderr), (command, done.stderr)
