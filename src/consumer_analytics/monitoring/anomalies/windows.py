"""The stretches of time that are compared: those that end now, and the like ones of weeks before.

A window of a day that ends on a Tuesday at 14:00 is like those that ended on Tuesdays at 14:00.
Each is the difference of two snapshots, so that nothing but snapshots is read, and windows are only
of such lengths as the schedule has snapshots for.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from consumer_analytics.calendar import days

#: How many like windows a window is held against, each a week before the one after it.
WEEKS = 8
_WEEK = 7
_HOUR = dt.timedelta(hours=1)
_DAY = dt.timedelta(days=1)
#: Lengths: what comes rarely takes long to be missed.
_HOURS = (1, 3, 6, 12)
_DAYS = (1, 2, 3, 7, 14, 28)
#: Of every day the spread is looked at, not only of those a week apart.
_DAILY = 1


@dataclass(frozen=True)
class Window:
    """A stretch of time.

    Attributes:
        hours: how long it is, on a clock that is not set.
        day: how many days before the newest of its length it ended; 0 for that one.
        begins: the instant of the snapshot before its first row.
        ends: the instant of the snapshot after its last one.
    """

    hours: int
    day: int
    begins: dt.datetime
    ends: dt.datetime


def ending_at(at: dt.datetime, period: dt.timedelta, zone: ZoneInfo) -> list[Window]:
    """Return the windows that end at an instant, and those that they are held against.

    Args:
        at: of a snapshot of the schedule.
        period: from the snapshot of the schedule before it: nothing shorter is looked at.
        zone: in which days have the same length of wall clock.
    """
    found: list[Window] = []
    for hours in _HOURS:
        if period <= hours * _HOUR < _DAY:
            for day in _likes(1):
                ends = days.days_before(at, day, zone)
                found.append(Window(hours, day, ends - hours * _HOUR, ends))
    for length in _DAYS:
        if length * _DAY + _HOUR >= period:
            likes = range(WEEKS * _WEEK + 1) if length == _DAILY else _likes(length)
            found += [
                Window(
                    24 * length,
                    day,
                    days.days_before(at, day + length, zone),
                    days.days_before(at, day, zone),
                )
                for day in likes
            ]
    return found


def _likes(length: int) -> list[int]:
    """Return on which days before the newest one windows of so many days end: it, and the like."""
    first = -(-length // _WEEK)
    return [0, *(_WEEK * week for week in range(first, first + WEEKS))]
