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
    assert {wall.time() for wall in walls} <= {dt.time(0), dt.time(1)}, "clocks jump over midnight"


@pytest.mark.parametrize("name", INTERVALS)
def test_a_range_up_to_the_end_of_the_calendar_ends(name: str) -> None:
    bounds = periods.bounds(dt.date(9999, 12, 1), dt.date.max, name, ZoneInfo("UTC"))
    assert bounds[-1] == dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@pytest.mark.parametrize("name", ["hourly", "", None, 7, ["daily"]])
def test_another_is_refused_with_those_that_there_are(name: object) -> None:
    with pytest.raises(UsageError, match="is unknown; it is daily or weekly"):
        backfill.request_of("2025-03-01", "2025-03-09", name)


def test_an_entry_more_is_offered_by_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from consumer_analytics.cli import backfill as command

    assert "--interval daily|weekly " in _help(command.app)
    monkeypatch.setitem(
        INTERVALS, "fortnightly", Interval("fortnightly", "fortnight", intervals.days(14))
    )
    try:
        shown = _help(importlib.reload(command).app)
        assert "--interval daily|weekly|fortnightly " in shown
        assert intervals.choices() == "day or week or fortnight"
    finally:
        monkeypatch.undo()
        importlib.reload(command)


def _help(app: typer.Typer) -> str:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0, shown.output
    return " ".join(shown.output.split())
