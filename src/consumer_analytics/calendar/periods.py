"""Periods of a backfill: whole days or weeks in the configured time zone."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from zoneinfo import ZoneInfo

from consumer_analytics.errors import UsageError

#: Days of a period, by the interval's name.
INTERVALS = {"daily": 1, "weekly": 7}
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


def parse_date(value: Any, name: str) -> dt.date:
    """Read a day such as `2025-10-01`.

    Raises:
        UsageError: it is none; the message names the parameter.
    """
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value.strip()):
        try:
            return dt.date.fromisoformat(value.strip())
        except ValueError:
            raise UsageError(f"{name} {value!r} is not a day of the calendar") from None
    raise UsageError(f"{name} {value!r} is not a date; write it like 2025-10-01")


def parse_interval(value: Any) -> str:
    """Check the name of an interval.

    Raises:
        UsageError: there is none of that name.
    """
    if value not in INTERVALS:
        raise UsageError(f"interval {value!r} is unknown; it is {' or '.join(INTERVALS)}")
    return str(value)


def start_of_day(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the first moment of a day in a zone, in UTC.

    Where the clocks jump over midnight that is the moment of the jump; where
    midnight comes twice, the first one.
    """
    try:
        return dt.datetime.combine(day, dt.time.min, zone).astimezone(dt.UTC)
    except OverflowError:
        raise UsageError(f"{day.isoformat()} lies outside of the calendar") from None


def bounds(start: dt.date, end: dt.date, interval: str, zone: ZoneInfo) -> tuple[dt.datetime, ...]:
    """Return where the periods of a range begin, and where the last one ends.

    Args:
        start: the first day.
        end: the day after the last one; the last period is clipped there.
        interval: `daily` or `weekly`.
        zone: whose days.

    Returns:
        Instants in UTC, ascending; each but the first is the end of a period.

    Raises:
        UsageError: the range is empty or the interval unknown.
    """
    if end <= start:
        raise UsageError(
            f"end_date {end.isoformat()} is not after start_date {start.isoformat()}; "
            "end_date is the first day that is left out"
        )
    step = INTERVALS[parse_interval(interval)]
    days = [start + dt.timedelta(days=n) for n in range(0, (end - start).days, step)]
    found: list[dt.datetime] = []
    for day in [*days, end]:
        instant = start_of_day(day, zone)
        # A zone that once jumped over a whole day has no period there.
        if not found or instant > found[-1]:
            found.append(instant)
    return tuple(found)
