"""Days of a zone: each begins where the one before ends, whatever the clocks do at midnight."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from consumer_analytics.calendar import days
from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY
from consumer_analytics.operations.thinning import Policy, SnapshotInstant, Stage
from consumer_analytics.reconcile.audit import reading

HOUR = dt.timedelta(hours=1)
ZONES = [
    "UTC",
    "Europe/Berlin",
    # Midnight comes twice in autumn, and not at all in spring.
    "America/Havana",
    "Asia/Beirut",
    "America/Asuncion",
    "America/Vancouver",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
]


@pytest.mark.parametrize("name", ZONES)
def test_a_midnight_ends_one_day_and_begins_the_next(name: str) -> None:
    zone = ZoneInfo(name)
    for number in range(dt.date(2024, 1, 1).toordinal(), dt.date(2028, 1, 1).toordinal()):
        day = dt.date.fromordinal(number)
        begin = days.start_of_day(day, zone)
        assert days.day_of(begin, zone) == day
        assert days.day_of(begin - dt.timedelta.resolution, zone) == day - dt.timedelta(days=1)
        assert days.day_ended_by(begin, zone) == day - dt.timedelta(days=1)
        assert days.day_ended_by(begin + dt.timedelta.resolution, zone) == day


@pytest.mark.parametrize(
    ("name", "day", "begin"),
    [
        # From 01:00 back to 00:00: the first midnight.
        ("America/Havana", dt.date(2026, 11, 1), "2026-11-01 04:00"),
        # From 00:00 on to 01:00: the moment of the jump.
        ("America/Havana", dt.date(2026, 3, 8), "2026-03-08 05:00"),
    ],
)
def test_two_midnights_and_none(name: str, day: dt.date, begin: str) -> None:
    at = dt.datetime.fromisoformat(begin).replace(tzinfo=dt.UTC)
    zone = ZoneInfo(name)
    assert days.start_of_day(day, zone) == at
    assert days.day_ended_by(at, zone) == day - dt.timedelta(days=1)
    assert not days.is_second_midnight(at, zone)


def test_an_audit_compares_days_that_lie_in_its_range_as_a_whole() -> None:
    midnight = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    instants = [midnight, midnight + HOUR, MINUS_INFINITY, INFINITY]
    assert [reading.first_day(at) for at in instants] == [
        dt.date(2026, 1, 5),
        dt.date(2026, 1, 6),
        "-infinity",
        "infinity",
    ]


def test_a_second_midnight_is_in_the_middle_of_a_day_and_may_stand_for_the_first() -> None:
    first = dt.datetime(2026, 11, 1, 4, tzinfo=dt.UTC)
    zone = ZoneInfo("America/Havana")
    assert days.is_second_midnight(first + HOUR, zone)
    assert days.day_of(first + HOUR, zone) == dt.date(2026, 11, 1)
    assert days.day_ended_by(first + HOUR, zone) == dt.date(2026, 10, 31)
    assert days.day_ended_by(first + HOUR / 2, zone) == dt.date(2026, 11, 1)


@pytest.mark.parametrize("name", ["America/Havana", "Asia/Beirut", "America/Vancouver"])
def test_thinning_keeps_the_midnights_at_which_days_begin(name: str) -> None:
    zone = ZoneInfo(name)
    midnights = [days.start_of_day(dt.date(2026, 1, 1) + dt.timedelta(n), zone) for n in range(366)]
    hours = int((midnights[-1] - midnights[0]) / HOUR)
    there = [SnapshotInstant(midnights[0] + n * HOUR) for n in range(hours + 1)]
    policy = Policy((Stage(1, days.PERIODS["day"]),), zone)
    kept = policy.kept(there, midnights[-1] + dt.timedelta(days=3))
    assert [one.at for one in kept] == midnights


def test_thinning_keeps_the_midnight_from_which_a_zone_jumped_over_a_day() -> None:
    """It ends the day before, of which it is the last."""
    zone = ZoneInfo("Pacific/Apia")
    days_there = [dt.date(2011, 12, number) for number in (28, 29, 31)]
    midnights = [days.start_of_day(day, zone) for day in days_there]
    assert days.day_ended_by(midnights[-1], zone) == dt.date(2011, 12, 29)
    there = [SnapshotInstant(midnights[0] + n * HOUR) for n in range(49)]
    policy = Policy((Stage(1, days.PERIODS["day"]),), zone)
    assert [one.at for one in policy.kept(there, midnights[-1] + dt.timedelta(9))] == midnights


@pytest.mark.parametrize("name", ["America/Havana", "Asia/Beirut", "Europe/Berlin"])
def test_thinning_keeps_every_tick_of_a_daily_schedule(name: str) -> None:
    """Which is the second midnight, where there are two."""
    zone = ZoneInfo(name)
    ticks = [dt.datetime(2026, 1, 10, tzinfo=dt.UTC)]
    schedule = Schedule("@daily", zone)
    while len(ticks) < 366:
        ticks.append(schedule.after(ticks[-1]))
    policy = Policy((Stage(1, days.PERIODS["day"]),), zone)
    kept = policy.kept(map(SnapshotInstant, ticks[1:]), ticks[-1] + dt.timedelta(days=3))
    assert [one.at for one in kept] == ticks[1:]


@pytest.mark.parametrize("expression", ["@daily", "@hourly", "0 0 29 2 *"])
@pytest.mark.parametrize("name", ["UTC", "Asia/Kathmandu", "America/Havana"])
def test_a_schedule_ends_with_the_calendar(expression: str, name: str) -> None:
    schedule = Schedule(expression, ZoneInfo(name))
    end = dt.datetime.max.replace(tzinfo=dt.UTC)
    assert schedule.after(end) == end
    at = dt.datetime(9985, 1, 1, tzinfo=dt.UTC)
    for _ in range(3):
        assert at < schedule.after(at) <= end
        at = schedule.after(at)
