"""Intervals of a backfill: how a range of days is cut into periods.

`INTERVALS` is the register. The command's help, the DAG's form, the checks of what is
asked for, the audit and the documentation read it: an interval is one entry here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from consumer_analytics.calendar.days import start_of_day
from consumer_analytics.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """How a range is cut.

    Attributes:
        name: what requests, records and forms call it, such as `weekly`.
        period: what one period is called in a sentence, such as `week`.
        begin: when a period begins: of a range's first day, how many periods lie
            between, and the zone; in UTC, strictly ascending with their number where
            the zone has each of its days. Beyond the last day of the calendar it may
            return that day.
    """

    name: str
    period: str
    begin: Callable[[dt.date, int, ZoneInfo], dt.datetime]


def days(count: int) -> Callable[[dt.date, int, ZoneInfo], dt.datetime]:
    """Return where periods of so many days of the zone's calendar begin."""

    def begin(first: dt.date, periods: int, zone: ZoneInfo) -> dt.datetime:
        day = min(first.toordinal() + periods * count, dt.date.max.toordinal())
        return start_of_day(dt.date.fromordinal(day), zone)

    return begin


#: Every interval there is, by name; the first is the one that is meant where none is named.
INTERVALS: dict[str, Interval] = {
    interval.name: interval
    for interval in (
        Interval("daily", "day", days(1)),
        Interval("weekly", "week", days(7)),
    )
}


def default() -> str:
    """Return the name of the interval that is meant where none is named."""
    return next(iter(INTERVALS))


def choices() -> str:
    """Return the periods as a sentence names them: `day or week`."""
    return " or ".join(interval.period for interval in INTERVALS.values())


def interval_of(name: Any) -> Interval:
    """Return the interval of that name.

    Raises:
        UsageError: there is none.
    """
    interval = INTERVALS.get(name) if isinstance(name, str) else None
    if interval is None:
        raise UsageError(f"interval {name!r} is unknown; it is {' or '.join(INTERVALS)}")
    return interval
