"""Days of a time zone: where they begin, which one an instant lies in, and periods of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from consumer_analytics.errors import UsageError

_MICROSECOND = dt.timedelta(microseconds=1)
_DAY = dt.timedelta(days=1)


def start_of_day(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the first moment of a day in a zone, in UTC.

    Where the clocks jump over midnight that is the moment of the jump; where
    midnight comes twice, the first one.

    Raises:
        UsageError: the calendar ends before.
    """
    try:
        return midnight(day, zone).astimezone(dt.UTC)
    except OverflowError:
        raise UsageError(f"{day.isoformat()} lies outside of the calendar") from None


def midnight(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return a day's midnight on a zone's own clock, with the zone: schedules go by that."""
    return dt.datetime.combine(day, dt.time.min, zone)


def day_of(instant: dt.datetime, zone: dt.tzinfo) -> dt.date:
    """Return the day of a zone that holds the instant.

    Raises:
        OverflowError: the calendar ends before.
    """
    return instant.astimezone(zone).date()


def day_ended_by(instant: dt.datetime, zone: ZoneInfo) -> dt.date:
    """Return the day of a zone that a snapshot of this instant is of: a midnight ends its day.

    Of two midnights the first does, and the second where the first has no snapshot: there
    schedules go by the later one. Where the clocks jump over midnight, or over a whole day, the
    moment of the jump ends the day before it.
    """
    wall = clock(instant, zone)
    if wall.date() > dt.date.min and is_second_midnight(instant, zone):
        return wall.date() - _DAY
    return day_of(instant - _MICROSECOND, zone)


def is_second_midnight(instant: dt.datetime, zone: ZoneInfo) -> bool:
    """Tell whether the clocks show midnight at an instant, as they did once before that day."""
    wall = clock(instant, zone)
    return wall.time() == dt.time.min and instant > start_of_day(wall.date(), zone)


def clock(instant: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return what the clocks of a zone show at an instant, without the zone."""
    return instant.astimezone(zone).replace(tzinfo=None)


def days_before(instant: dt.datetime, number: int, zone: dt.tzinfo) -> dt.datetime:
    """Return when, so many days before, the clocks of a zone showed what they show at an instant.

    Raises:
        OverflowError: the calendar begins later.
    """
    wall = clock(instant, zone) - number * _DAY
    return wall.replace(tzinfo=zone).astimezone(dt.UTC)


@dataclass(frozen=True)
class Period:
    """A period of days of the calendar.

    Attributes:
        days: how long it is, on average.
        first_day: of the period that holds a day.
    """

    days: float
    first_day: Callable[[dt.date], dt.date]


#: Periods by their names; weeks begin on Monday.
PERIODS = {
    "day": Period(1, lambda day: day),
    "week": Period(7, lambda day: day - dt.timedelta(days=day.weekday())),
    "month": Period(365.2425 / 12, lambda day: day.replace(day=1)),
}
