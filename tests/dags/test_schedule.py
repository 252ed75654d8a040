"""What is due by our reckoning is what Airflow runs: through clock changes, in any zone."""

from __future__ import annotations

import bisect
import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from tests.support import lanes

from consumer_analytics.calendar.schedule import Schedule

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 11, 10, tzinfo=dt.UTC)


def airflows(expression: str, zone: str) -> list[dt.datetime]:
    """Return the ticks from spring to autumn as Airflow's own timetable makes them."""
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable
    from pendulum import instance

    timetable = CronTriggerTimetable(expression, timezone=zone)
    restriction = TimeRestriction(instance(BEGIN), None, True)
    ticks: list[dt.datetime] = []
    last = None
    while not ticks or ticks[-1] < END:
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        assert info is not None
        last = info.data_interval
        ticks.append(dt.datetime.fromisoformat(info.run_after.isoformat()))
    return ticks


@pytest.mark.parametrize(
    "zone",
    lanes.first(
        1, ["Australia/Lord_Howe", "Europe/Berlin", "UTC", "America/New_York", "America/Havana"]
    ),
)
@pytest.mark.parametrize(
    "expression",
    [
        "@daily",
        pytest.param("@hourly", marks=lanes.LONG),
        "@weekly",
        "@monthly",
        "@quarterly",
        "30 2 * * *",
        "0 6 * * 1-5",
        "15 */6 * * *",
        "30 1,2,3 * * *",
    ],
)
def test_ticks_are_airflows(expression: str, zone: str) -> None:
    ticks = airflows(expression, zone)
    schedule = Schedule(expression, ZoneInfo(zone))
    ours = [ticks[0]]
    while len(ours) < len(ticks):
        ours.append(schedule.after(ours[-1]))
    assert ours == ticks


@pytest.mark.parametrize("zone", lanes.first(1, ["Australia/Lord_Howe", "Europe/Berlin"]))
@pytest.mark.parametrize(
    "expression", lanes.first(3, ["@daily", "30 2 * * *", "30 1,2,3 * * *", "*/30 * * * *"])
)
def test_last_is_the_latest_tick_that_is_not_after(expression: str, zone: str) -> None:
    schedule = Schedule(expression, ZoneInfo(zone))
    ticks = airflows(expression, zone)
    # Around the changes of the clocks, and somewhere in summer.
    for day in ((3, 30), (4, 6), (7, 1), (10, 5), (10, 26)):
        begin = dt.datetime(2025, *day, tzinfo=dt.UTC) - dt.timedelta(days=1)
        for minute in range(0, 2 * 24 * 60, 13):
            at = begin + dt.timedelta(minutes=minute)
            assert schedule.last(at) == ticks[bisect.bisect_right(ticks, at) - 1], at
    assert schedule.last(ticks[45]) == ticks[45]
    assert schedule.last(ticks[45] - dt.timedelta(microseconds=1)) == ticks[44]
