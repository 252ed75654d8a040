"""Intervals are entries of one register: what is asked, shown and cut reads it."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
from zoneinfo import ZoneInfo

import pytest
import typer
from typer.testing import CliRunner

from consumer_analytics import backfill
from consumer_analytics.calendar import intervals, periods
from consumer_analytics.calendar.intervals import INTERVALS, Interval
from consumer_analytics.errors import UsageError

ZONES = ["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"]


@pytest.mark.parametrize("name", INTERVALS)
@pytest.mark.parametrize("zone", ZONES)
def test_periods_meet_ascend_and_end_with_the_range(name: str, zone: str) -> None:
    """Over 2011 and 2018, when Samoa left out a day and Brazil jumped over midnight."""
    start, end = dt.date(2011, 12, 5), dt.date(2018, 12, 3)
    bounds = periods.bounds(start, end, name, ZoneInfo(zone))
    assert all(a < b for a, b in itertools.pairwise(bounds))
    walls = [bound.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for bound in bounds]
    assert (walls[0].date(), walls[-1].date()) == (start, end)
    if name != "hourly":
        times = {wall.time() for wall in walls}
        assert times <= {dt.time(0), dt.time(1)}, "clocks jump over midnight"


def cut(start: str, end: str, interval: str, zone: str) -> list[str]:
    """Return where periods begin and end, on the zone's clocks."""
    bounds = periods.bounds(
        dt.date.fromisoformat(start), dt.date.fromisoformat(end), interval, ZoneInfo(zone)
    )
    return [bound.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M") for bound in bounds]


def test_months_have_the_first_days_number_or_the_last_that_there_is() -> None:
    assert cut("2024-01-31", "2024-06-15", "monthly", "Europe/Berlin") == [
        "01-31 00:00", "02-29 00:00", "03-31 00:00", "04-30 00:00", "05-31 00:00", "06-15 00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "zone", "periods"),
    [
        ("2025-03-30", "Europe/Berlin", 23),
        ("2025-10-26", "Europe/Berlin", 25),
        ("2025-07-01", "Asia/Kathmandu", 24),
        # Clocks go by half an hour there: the last hour of the day is one.
        ("2025-04-06", "Australia/Lord_Howe", 25),
        ("2025-10-05", "Australia/Lord_Howe", 24),
    ],
)
def test_hours_are_those_that_pass_and_begin_with_the_day(
    day: str, zone: str, periods: int
) -> None:
    following = (dt.date.fromisoformat(day) + dt.timedelta(days=1)).isoformat()
    ends = cut(day, following, "hourly", zone)
    assert len(ends) == periods + 1
    assert (ends[0], ends[-1]) == (f"{day[5:]} 00:00", f"{following[5:]} 00:00")
    later = (dt.date.fromisoformat(day) - dt.timedelta(days=3)).isoformat()
    assert cut(later, following, "hourly", zone)[-len(ends) :] == ends, "ranges agree"


@pytest.mark.parametrize("name", INTERVALS)
def test_a_range_up_to_the_end_of_the_calendar_ends(name: str) -> None:
    bounds = periods.bounds(dt.date(9999, 12, 1), dt.date.max, name, ZoneInfo("UTC"))
    assert bounds[-1] == dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


def test_a_range_of_more_periods_than_anybody_has_is_refused_before_they_are_cut() -> None:
    # All of them would take minutes, and gigabytes.
    with pytest.raises(UsageError, match="0002-01-01 to 9999-01-01, hourly, is more than 1,000,"):
        periods.bounds(dt.date(2, 1, 1), dt.date(9999, 1, 1), "hourly", ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize("name", ["yearly", "", None, 7, ["daily"]])
def test_another_is_refused_with_those_that_there_are(name: object) -> None:
    with pytest.raises(UsageError, match="is unknown; it is daily, weekly, monthly or hourly"):
        backfill.request_of("2025-03-01", "2025-03-09", name)


def test_an_entry_more_is_offered_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from consumer_analytics.cli import backfill as command

    assert "--interval daily|weekly|monthly|hourly " in _help(command.app)
    monkeypatch.setitem(
        INTERVALS, "fortnightly", Interval("fortnightly", "fortnight", intervals.days(14))
    )
    try:
        shown = _help(importlib.reload(command).app)
        assert "--interval daily|weekly|monthly|hourly|fortnightly " in shown
        assert intervals.choices() == "day, week, month, hour or fortnight"
    finally:
        monkeypatch.undo()
        importlib.reload(command)


def _help(app: typer.Typer) -> str:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.output.split())
