"""What an earlier build computed: its figures come out again, its database is taken over as it is.

The recordings, and how they were made, are in tests/data/recorded.
"""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import Cli, Database, command_environment
from tests.data.recorded import history
from tests.support import checks
from tests.support.writers import Application

from consumer_analytics.db import schema
from consumer_analytics.errors import SchemaError
from consumer_analytics.local.embedded_postgres import packaged_binaries

RECORDED = Path(history.__file__).parent
ROOT = Path(__file__).parents[2]
#: Differences that a failure lists.
LISTED = 5


def recorded(name: str) -> str:
    return lzma.decompress((RECORDED / name).read_bytes()).decode()


def by_snapshot(lines: list[str]) -> dict[tuple[str, str, str], str | None]:
    """Return (chapter, instant, consumer) to the document's text, None where it was removed."""
    read = [json.loads(line) for line in lines]
    return {(chapter, at, consumer or "all"): text for chapter, consumer, at, text in read}


def differences(now: list[str], then: list[str]) -> list[str]:
    """Say which snapshots differ, in which keys, in which chapter first."""
    ours, theirs = by_snapshot(now), by_snapshot(then)
    found = []
    for key in sorted(ours.keys() | theirs.keys(), key=lambda key: (key not in theirs, key)):
        if ours.get(key, "none") == theirs.get(key, "none"):
            continue
        today, once = (json.loads(side.get(key) or "{}") for side in (ours, theirs))
        keys = [name for name in today.keys() | once.keys() if today.get(name) != once.get(name)]
        told = [f"{name}: {once.get(name)} -> {today.get(name)}" for name in sorted(keys)]
        found.append(f"{', '.join(key)}: {'; '.join(told) or 'spelt otherwise'}")
    return found


def test_a_recorded_history_comes_out_byte_for_byte(database: Database) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.recorded.history", database.url],
        cwd=ROOT,
        env=command_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    now, then = done.stdout.splitlines(), recorded("history.jsonl.xz").splitlines()
    if now != then:
        found = differences(now, then)
        pytest.fail("\n".join([f"{len(found)} snapshots differ:", *found[:LISTED]]))


def test_the_simulator_still_makes_the_recorded_rows(database: Database, cli: Cli) -> None:
    assert cli("simulate", *history.SIMULATED).exit_code == 0
    with database.connect() as connection:
        for table, path in history.SOURCES.items():
            with connection.cursor().copy(history.copy_out(table)) as copy:
                rows = b"".join(bytes(chunk) for chunk in copy)
            assert rows == lzma.decompress(path.read_bytes()), table


@pytest.mark.both_versions
def test_a_recorded_database_is_taken_over_as_it_is(
    empty_database: Database, tmp_path: Path
) -> None:
    restore(empty_database, tmp_path)
    cli = Cli(empty_database)
    with empty_database.connect() as connection:
        before = checks.figures(connection)
        revisions = connection.execute(REVISIONS).fetchall()
    assert len(before) > 500
    assert revisions

    for command in ("migrate", "run", "sweep", "audit"):
        done = cli(command, "--json")
        assert done.exit_code == 0, (command, done.stderr)
    assert done.json["clean"]

    with empty_database.connect() as connection:
        after = checks.figures(connection)
        assert {key: after[key] for key in before} == before
        assert connection.execute(REVISIONS).fetchall() == revisions
    assert cli("capture", "status", "--json").json["state"] == "on"

    # And it goes on: a late row is noted, the snapshots after it are restated.
    empty_database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), consumer_id, 'login', '2025-10-25 12:00Z' "
        "from consumers order by consumer_id limit 1"
    )
    done = cli("run", "--json")
    assert done.json["snapshots_restated"] > 0
    assert cli("audit").exit_code == 0


@pytest.mark.long
def test_a_recorded_database_is_taken_over_while_its_application_writes(
    empty_database: Database, tmp_path: Path
) -> None:
    restore(empty_database, tmp_path)
    cli = Cli(empty_database)
    application = Application(empty_database.url, seed=5, writers=8)
    application.start()
    try:
        migrated = cli("migrate")
        assert migrated.exit_code == 0, migrated.stderr
        # Some wait for those that are still open; none of them holds up the next.
        for _ in range(2):
            assert cli("run").exit_code == 0
    finally:
        # None of its transactions has failed.
        done = application.stop()
    assert sum(done.values()) > len(application.writers)
    for command in ("run", "sweep", "audit"):
        last = cli(command)
        assert last.exit_code == 0, (command, last.stdout, last.stderr)


def test_what_the_record_of_migrations_said_is_kept(
    empty_database: Database, tmp_path: Path
) -> None:
    restore(empty_database, tmp_path)
    internal = "consumer_analytics_internal"
    # A reader of the record, as a dashboard's login is.
    empty_database.execute(
        f"grant usage on schema {internal} to public; "
        f"grant select on {internal}.migrations to public"
    )
    then = empty_database.rows(
        f"select min(applied_at), array_agg(checksum order by version) from {internal}.migrations"
    )
    schema.migrate(empty_database.settings)
    (now,) = empty_database.rows(
        f"select installed_at, checksums[1:15], to_regclass('{internal}.migrations') "
        f"from {internal}.alembic_version"
    )
    assert (*then[0], None) == now
    assert empty_database.rows(
        f"select has_table_privilege('public', '{internal}.alembic_version', privilege) "
        "from unnest(array['select', 'update']) as privilege"
    ) == [(True,), (False,)]


def test_a_recorded_database_made_by_other_files_is_refused(
    empty_database: Database, tmp_path: Path
) -> None:
    restore(empty_database, tmp_path)
    empty_database.execute(
        "update consumer_analytics_internal.migrations set checksum = 'x' where version = '0007'"
    )
    with pytest.raises(SchemaError, match=r"migration 0007_roles .*checksums differ"):
        schema.migrate(empty_database.settings)
    assert empty_database.rows(
        "select version_num from consumer_analytics_internal.alembic_version"
    ) == [("0015",)]


REVISIONS = (
    "select consumer_id, snapshot_timestamp, metrics_json::text, reported_from, reason "
    "from consumer_analytics_revisions order by revision_id"
)


def restore(database: Database, folder: Path) -> None:
    """Read the recorded dump into an empty database, as its owner."""
    dump = folder / "year.sql"
    dump.write_text(recorded("year.sql.xz"), encoding="utf-8")
    program = packaged_binaries() / "psql"
    options = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction"]
    subprocess.run(
        [program, *options, f"--file={dump}", f"--dbname={database.url}"],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
