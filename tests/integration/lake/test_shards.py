"""Archives of several shards: purged, and all figures as one database would have them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Database
from tests.integration.shards.conftest import Federation
from tests.integration.shards.test_chosen import KilledError
from tests.integration.shards.test_removals import day, run_both
from tests.integration.shards.test_runs import C, add_customer, add_event, fill
from tests.support.kill import kill_during

from consumer_analytics import backfill
from consumer_analytics.errors import ShardsError
from consumer_analytics.etl import run as etl_run
from consumer_analytics.operations import archive as one_archive
from consumer_analytics.operations.archive import ArchiveResult
from consumer_analytics.reconcile import audit
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.settings import Settings
from consumer_analytics.shards import archives, audits, backfills, repairs, runs

THROUGH = dt.date(2025, 1, 3)
SINCE = dt.date(2025, 1, 1)
_FILES = "select count(*) from consumer_analytics_internal.archived_files"


class Lake:
    """Shards and one database that has all of their rows, each with an archive."""

    def __init__(self, federation: Federation, folder: Path) -> None:
        """Fill them, and let days be closed."""
        self.federation = federation
        self.folder = folder
        self.settings = federation.settings.replaced({"lake_url": (folder / "all").as_uri()})
        self.alone: Settings = federation.alone.settings.replaced(
            {"lake_url": (folder / "one").as_uri()}
        )
        fill(federation)
        federation.unite()
        run_both(federation, 2, 4, 20)

    def archive_alone(self, through: dt.date = THROUGH) -> ArchiveResult:
        with self.federation.alone.connect(writes_sources=False) as connection:
            return one_archive.archive(connection, self.alone, through)

    def run_both(self, at: dt.datetime) -> None:
        """Run over the shards, and in the database that has all rows."""
        runs.run(self.settings, at=at, named=True)
        with self.federation.alone.connect(writes_sources=False) as connection:
            etl_run.run(connection, self.alone, at=at, named=True)

    def backfill_both(self, start: str, end: str, **changes: Any) -> None:
        """Backfill over the shards, and in the database that has all rows."""
        asked = backfill.request_of(start, end, "daily")
        backfills.backfill(self.settings.replaced(changes), asked)
        with self.federation.alone.connect(writes_sources=False) as connection:
            backfill.backfill(connection, self.alone.replaced(changes), asked)

    def sweep_both(self) -> None:
        """Sweep all days, over the shards, and in the database that has all rows."""
        repairs.sweep(self.settings, lambda _: None, since=SINCE)
        with self.federation.alone.connect(writes_sources=False) as connection:
            sweep(connection, self.alone, since=SINCE)

    def purge(self) -> None:
        """Delete what is archived, everywhere."""
        for database in self.databases:
            database.execute("delete from customer_events where created_at < '2025-01-04'")

    @property
    def databases(self) -> tuple[Database, ...]:
        """Those that have rows."""
        return (*self.federation.shards.values(), self.federation.alone)

    def require_same(self) -> None:
        """Require the same figures, and audits that find nothing."""
        self.federation.require_equal()
        told = audits.audit(self.settings)
        assert told.clean, json.dumps(told.as_json(), default=str, indent=1)
        with self.federation.alone.connect(writes_sources=False) as connection:
            assert audit.audit(connection, self.alone).clean


@pytest.fixture
def lake(federation: Federation, tmp_path: Path) -> Lake:
    """Return shards with closed days, and one database that has their rows."""
    return Lake(federation, tmp_path)


def noon(number: int) -> dt.datetime:
    """Return the middle of a day of January."""
    return day(number) + dt.timedelta(hours=12)


@pytest.mark.long
def test_what_is_purged_then_is_told_as_one_database_tells_it(lake: Lake) -> None:
    told = archives.archive(lake.settings, THROUGH)
    alone = lake.archive_alone()
    assert (told.whole.rows, told.whole.first_day) == (alone.rows, alone.first_day)
    assert {name for name, one in told.shards.items() if one.files} == {"east", "west", "north"}
    for name, one in told.shards.items():
        of = list((lake.folder / "all" / name / "customer_events").rglob("*.parquet"))
        assert len(of) == one.files
    lake.purge()
    # Cut by instants, which reads the files; and whole.
    lake.run_both(noon(3))
    lake.backfill_both("2025-01-01", "2025-01-06")
    lake.backfill_both("2025-01-01", "2025-01-06", timezone="Europe/Berlin")
    lake.sweep_both()
    lake.require_same()
    # What comes late is found, and taken along by the next one.
    for database in (lake.federation.shards["west"], lake.federation.alone):
        add_event(database, C, "2025-01-02 12:00", "late")
        add_customer(database, C, "2025-01-02 13:00", number=0xC1)
    lake.sweep_both()
    lake.require_same()
    told = archives.archive(lake.settings, dt.date(2025, 1, 5))
    assert (told.whole.late_rows, told.shards["east"].late_rows) == (2, 0)
    assert lake.archive_alone(dt.date(2025, 1, 5)).late_rows == 2
    lake.purge()
    lake.run_both(noon(2))
    lake.require_same()
    with pytest.raises(ShardsError, match=r"^shard east: days before 2025-01-06 are archived, and"):
        runs.run(lake.federation.settings, at=noon(4), named=True)


@pytest.mark.long
def test_what_one_shard_has_not_archived_is_told_all_the_same(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = one_archive._archive_day

    def dies_in_west(connection: Any, settings: Any, files: Any, at: dt.date, result: Any) -> Any:
        if connection.shard == "west" and at == dt.date(2025, 1, 2):
            raise KilledError
        return work(connection, settings, files, at, result)

    with monkeypatch.context() as patch:
        patch.setattr(one_archive, "_archive_day", dies_in_west)
        with pytest.raises(KilledError):
            archives.archive(lake.settings, THROUGH)
    reach = "select first_day::text from consumer_analytics_internal.archive"
    assert {name: one.rows(reach) for name, one in lake.federation.shards.items()} == {
        "east": [("2025-01-04",)],
        "west": [("2025-01-02",)],
        "north": [("2025-01-04",)],
    }
    lake.archive_alone()
    lake.run_both(noon(2))
    lake.backfill_both("2025-01-01", "2025-01-06", timezone="Europe/Berlin")
    lake.require_same()
    archives.archive(lake.settings, THROUGH)
    assert lake.federation.shards["west"].rows(reach) == [("2025-01-04",)]
    lake.purge()
    lake.run_both(noon(3))
    lake.require_same()


@pytest.mark.long
def test_runs_go_on_while_shards_archive(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    work = one_archive._archive_day
    ran: list[Any] = []

    def runs_between(connection: Any, settings: Any, files: Any, at: dt.date, result: Any) -> Any:
        if connection.shard == "north" and not ran:
            ran.append(runs.run(lake.settings, at=noon(2), named=True))
        return work(connection, settings, files, at, result)

    monkeypatch.setattr(one_archive, "_archive_day", runs_between)
    archives.archive(lake.settings, THROUGH)
    assert len(ran) == 1
    lake.archive_alone()
    with lake.federation.alone.connect(writes_sources=False) as connection:
        etl_run.run(connection, lake.alone, at=noon(2), named=True)
    lake.purge()
    lake.run_both(noon(3))
    lake.require_same()


@pytest.mark.long
def test_a_command_that_is_killed_in_a_shard(lake: Lake, federated: Callable[..., Any]) -> None:
    west = lake.federation.shards["west"]
    env = {"CONSUMER_ANALYTICS_LAKE_URL": str(lake.settings.lake_url)}
    arguments = ("archive", "--through", THROUGH.isoformat())
    with psycopg.connect(west.url) as locker:
        locker.execute("lock table consumer_analytics_internal.archived_files in share mode")
        kill_during(
            west,
            "operations/archive/file-note",
            *arguments,
            env={
                **env,
                "CONSUMER_ANALYTICS_SHARDS_FILE": str(lake.federation.file),
                "CONSUMER_ANALYTICS_DATABASE_URL": lake.federation.analytics.url,
            },
        )
    # Its file lies there, and counts for nothing.
    assert west.rows(_FILES) == [(0,)]
    assert list((lake.folder / "all" / "west").rglob("*.parquet"))
    done = federated(*arguments, env=env)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines[:-1]] == [
        f"archived   shard {name}" for name in lake.federation.shards
    ]
    assert lines[-1].endswith("all days before 2025-01-04, which may be purged in every shard")
    lake.archive_alone()
    lake.purge()
    lake.run_both(noon(3))
    lake.require_same()


@pytest.mark.long
def test_where_one_shard_cannot_nothing_is_archived_anywhere(
    lake: Lake, federated: Callable[..., Any]
) -> None:
    env = {"CONSUMER_ANALYTICS_LAKE_URL": str(lake.settings.lake_url)}
    unset = federated("archive", "--through", "2025-01-03")
    assert unset.exit_code == 2
    assert "nothing says where to: set CONSUMER_ANALYTICS_LAKE_URL" in unset.stderr
    still_open = federated("archive", "--through", "2025-01-19", env=env)
    assert "shard east: 2025-01-19 is still open" in still_open.stderr
    lake.federation.shards["north"].execute(
        "alter table customer_events rename column event_type to kind"
    )
    lacking = federated("archive", "--through", "2025-01-03", env=env)
    assert "error: shard north: " in lacking.stderr
    for shard in lake.federation.shards.values():
        assert shard.rows(_FILES) == [(0,)]
    assert not lake.folder.joinpath("all").exists()
    spark = {**env, "CONSUMER_ANALYTICS_SPARK_REMOTE": "sc://127.0.0.1:1"}
    assert "are read by DuckDB: unset CONSUMER_ANALYTICS_SPARK_REMOTE" in (
        federated("run", env=spark).stderr
    )


@pytest.mark.long
def test_a_day_that_vanished_in_one_shard_stops_its_archive_alone(lake: Lake) -> None:
    west = lake.federation.shards["west"]
    west.execute("delete from customer_events where event_type = 'purchase'")
    repairs.sweep(lake.settings, lambda _: None, since=SINCE)
    with pytest.raises(ShardsError, match=r"^shard west: .* of 2025-01-02 vanished and stayed"):
        archives.archive(lake.settings, THROUGH)
    assert audits.audit(lake.settings).clean
    assert lake.federation.shards["east"].rows(_FILES) != [(0,)]
