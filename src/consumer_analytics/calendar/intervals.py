"""Intervals of a backfill: how a range of days is cut into periods.

`INTERVALS` is the register. The command's help, the DAG's form, the checks of what is
asked for, the audit and the documentation read it: an interval is one entry here.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from consumer_analytics.calendar.days import start_of_day
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import one_of

_HOUR = dt.timedelta(hours=1)
_MONTHS = 12


@dataclass(frozen=True)
class Interval:
    """How a range is cut.

    Attributes:
        name: what requests, records and forms call it, such as `weekly`.
        period: what one period is called in a sentence, such as `week`.
        begins: when the periods of a range begin, one after the other: of its first day and
            the zone; in UTC, ascending, until the calendar ends.
    """

    name: str
    period: str
    begins: Callable[[dt.date, ZoneInfo], Iterator[dt.datetime]]


def days(count: int) -> Callable[[dt.date, ZoneInfo], Iterator[dt.datetime]]:
    """Return how periods of so many days of the zone's calendar begin."""

    def begins(first: dt.date, zone: ZoneInfo) -> Iterator[dt.datetime]:
        for day in range(first.toordinal(), dt.date.max.toordinal() + 1, count):
            yield start_of_day(dt.date.fromordinal(day), zone)

    return begins


def hours(first: dt.date, zone: ZoneInfo) -> Iterator[dt.datetime]:
    """Yield where hours begin, counted from each day's beginning, so that ranges agree.

    A day has as many as pass in it, 23 to 25. Where clocks change by less than an hour its last
    one is as much shorter.
    """
    begin = start_of_day(first, zone)
    for day in range(first.toordinal() + 1, dt.date.max.toordinal() + 1):
        following = start_of_day(dt.date.fromordinal(day), zone)
        while begin < following:
            yield begin
            begin += _HOUR
        begin = following


def months(first: dt.date, zone: ZoneInfo) -> Iterator[dt.datetime]:
    """Yield where months begin that each have the first day's number, or the last that there is."""
    for number in range(first.month - 1, (dt.MAXYEAR - first.year + 1) * _MONTHS):
        year, month = first.year + number // _MONTHS, number % _MONTHS + 1
        last = calendar.monthrange(year, month)[1]
        yield start_of_day(dt.date(year, month, min(first.day, last)), zone)


#: Every interval there is, by name; the first is the one that is meant where none is named.
INTERVALS: dict[str, Interval] = {
    interval.name: interval
    for interval in (
        Interval("daily", "day", days(1)),
        Interval("weekly", "week", days(7)),
        Interval("monthly", "month", months),
        Interval("hourly", "hour", hours),
    )
}


def default() -> str:
    """Return the name of the interval that is meant where none is named."""
    return next(iter(INTERVALS))


def choices() -> str:
    """Return the periods as a sentence names them: `day, week or month`."""
    return one_of([interval.period for interval in INTERVALS.values()])


def interval_of(name: Any) -> Interval:
    """Return the interval of that name.

    Raises:
        UsageError: there is none.
    """
    interval = INTERVALS.get(name) if isinstance(name, str) else None
    if interval is None:
        raise UsageError(f"interval {name!r} is unknown; it is {one_of(list(INTERVALS))}")
    return interval
