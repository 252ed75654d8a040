"""Local days where clocks are strange, or their rules are changed: what is written stays right."""

from __future__ import annotations

import contextlib
import datetime as dt
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.support import lanes

from consumer_analytics import backfill
from consumer_analytics.calendar import days
from consumer_analytics.etl import run
from consumer_analytics.operations import thinning
from consumer_analytics.reconcile.audit import audit

DAY = dt.timedelta(days=1)
#: Around the change of the clocks in autumn.
FIRST, LAST = dt.date(2025, 10, 29), dt.date(2025, 11, 6)


@contextlib.contextmanager
def other_rules(folder: Path, name: str, as_in: str) -> Iterator[None]:
    """Have another zone's rules under a name, as after an update of the zone data."""
    file = folder / name
    file.parent.mkdir(parents=True)
    file.write_bytes(Path("/usr/share/zoneinfo", as_in).read_bytes())
    zoneinfo.reset_tzpath([folder, *zoneinfo.TZPATH])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        yield
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()


def midnights(zone: str) -> list[dt.datetime]:
    """Return the ends of the days that are filled."""
    number = (LAST - FIRST).days
    return [days.start_of_day(FIRST + n * DAY, ZoneInfo(zone)) for n in range(1, number + 1)]


def fill(database: Any, zone: str) -> None:
    """Put an event into each hour, run, and backfill the days of a zone."""
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'login', hour "
        "from generate_series('2025-10-25'::timestamptz, '2025-11-10', '1 hour') as hour"
    )
    settings = database.settings.replaced({"timezone": zone})
    request = backfill.request_of(FIRST.isoformat(), LAST.isoformat(), "daily")
    with database.connect() as connection:
        run.run(connection, settings)
        backfill.backfill(connection, settings, request)


def at_midnights(database: Any) -> dict[dt.datetime, int]:
    """Return the events of the whole system at each instant but the run's own."""
    return dict(
        database.rows(
            "select snapshot_timestamp, (metrics_json -> 'total_events_all_consumers')::int "
            "from consumer_analytics "
            "where consumer_id is null and snapshot_timestamp < '2025-12-01'"
        )
    )


@pytest.mark.parametrize("zone", lanes.first(1, ["America/Havana", "America/Vancouver"]))
def test_what_is_written_audited_and_thinned_is_the_same_days(database: Any, zone: str) -> None:
    fill(database, zone)
    begin = dt.datetime(2025, 10, 25, tzinfo=dt.UTC)
    hour = dt.timedelta(hours=1)
    right = {at: (at - begin) // hour for at in midnights(zone)}
    assert len({at - before for before, at in zip(right, [*right][1:], strict=False)}) == 2
    assert at_midnights(database) == right
    settings = database.settings.replaced({"timezone": zone, "keep_snapshots_days": 1})
    with database.connect() as connection:
        # Snapshots of the hours around, second midnights too.
        for at in midnights(zone):
            for beside in (at - hour, at + hour):
                if beside < midnights(zone)[-1]:
                    run.run(connection, settings, at=beside)
        assert audit(connection, settings).clean
        thinning.thin(connection, settings)
        assert at_midnights(database) == right
        assert audit(connection, settings).clean


def test_after_a_change_of_the_rules_a_row_that_is_gone_is_missed_all_the_same(
    database: Any, tmp_path: Path
) -> None:
    zone = "America/Vancouver"
    fill(database, zone)
    gone = midnights(zone)[-1]
    database.execute(
        "delete from consumer_analytics where consumer_id is null and snapshot_timestamp = %s",
        [gone],
    )
    settings = database.settings.replaced({"timezone": zone})
    with (
        other_rules(tmp_path, zone, "Etc/GMT+7"),
        database.connect() as connection,
    ):
        assert midnights(zone)[-1] != gone
        result = audit(connection, settings)
        assert gone in result.wrong_snapshots
        assert {one.figure for one in result.listed if one.consumer_id is None} == {"row"}
