"""Periods of a backfill: a range of days of the configured zone, cut by an interval."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import Any
from zoneinfo import ZoneInfo

from consumer_analytics.calendar.days import start_of_day
from consumer_analytics.calendar.intervals import interval_of
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import counted

#: Periods of a backfill: a century of hours.
MOST = 1_000_000
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


def bounds_in(start: dt.date, end: dt.date, interval: str, zone: str) -> tuple[dt.datetime, ...]:
    """Do what `bounds` does, of a zone by its IANA name, as records have it."""
    return bounds(start, end, interval, ZoneInfo(zone))


def bounds(start: dt.date, end: dt.date, interval: str, zone: ZoneInfo) -> tuple[dt.datetime, ...]:
    """Return where the periods of a range begin, and where the last one ends.

    Args:
        start: the first day.
        end: the day after the last one; the last period is clipped there.
        interval: the name of an interval, such as `daily`.
        zone: whose days.

    Returns:
        Instants in UTC, ascending; each but the first is the end of a period.

    Raises:
        UsageError: the range is empty or too long, or the interval unknown.
    """
    require_range(start, end)
    last = start_of_day(end, zone)
    begins = itertools.takewhile(
        lambda instant: instant < last, interval_of(interval).begins(start, zone)
    )
    some = list(itertools.islice(begins, MOST + 1))
    if len(some) > MOST:
        raise UsageError(
            f"{start} to {end}, {interval}, is more than {counted(MOST, 'period')}; begin later, "
            "or end earlier: nothing is written of what lies before the first row"
        )
    result: list[dt.datetime] = []
    for instant in (*some, last):
        # A zone that once jumped over a whole day has no period there.
        if not result or instant > result[-1]:
            result.append(instant)
    return tuple(result)


def skipped_days(
    start: dt.date, end: dt.date, zone: ZoneInfo, after: dt.datetime
) -> tuple[dt.date, ...]:
    """Return the days of a range that never were: the zone moved over the date line.

    Args:
        start: the first day.
        end: the day after the last one.
        zone: whose days.
        after: only those that would have begun later.
    """
    one = dt.timedelta(days=1)
    days = (start + n * one for n in range((end - start).days))
    begins = ((day, start_of_day(day, zone), start_of_day(day + one, zone)) for day in days)
    return tuple(day for day, begin, until in begins if begin == until and begin > after)


def require_range(start: dt.date, end: dt.date) -> None:
    """Check that a range has a day.

    Raises:
        UsageError: it has none.
    """
    if end <= start:
        raise UsageError(
            f"end_date {end.isoformat()} is not after start_date {start.isoformat()}; "
            "end_date is the first day that is left out"
        )
