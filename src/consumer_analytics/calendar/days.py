"""Days of a time zone: where they begin, and which one an instant lies in."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from consumer_analytics.errors import UsageError


def start_of_day(day: dt.date, zone: ZoneInfo) -> dt.datetime:
    """Return the first moment of a day in a zone, in UTC.

    Where the clocks jump over midnight that is the moment of the jump; where
    midnight comes twice, the first one.

    Raises:
        UsageError: the calendar ends before.
    """
    try:
        return dt.datetime.combine(day, dt.time.min, zone).astimezone(dt.UTC)
    except OverflowError:
        raise UsageError(f"{day.isoformat()} lies outside of the calendar") from None


def day_of(instant: dt.datetime, zone: ZoneInfo) -> dt.date:
    """Return the day of a zone that holds the instant."""
    return instant.astimezone(zone).date()
