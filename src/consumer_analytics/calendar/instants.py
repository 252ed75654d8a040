"""Instants: how people write them, and the server's own clock."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.errors import UsageError

#: How instants end that we have written for people, who give them back as they stand.
_UTC = " UTC"


def parse(text: str, zone: ZoneInfo) -> dt.datetime:
    """Read an instant such as `2025-11-03`, `2025-11-03 06:00` or `2025-11-03T06:00:00Z`.

    Args:
        text: ISO 8601, or as `formatting` writes one; a date alone is its first moment.
        zone: the zone meant where the text names none.

    Returns:
        The instant, in UTC.

    Raises:
        UsageError: the text is not an instant.
    """
    plain = text.strip()
    if plain.endswith(_UTC):
        plain = f"{plain.removesuffix(_UTC)}+00:00"
    try:
        value = dt.datetime.fromisoformat(plain)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time; write it like 2025-11-03 or 2025-11-03T06:00:00Z"
        ) from None
    try:
        return with_zone(value, zone).astimezone(dt.UTC)
    except OverflowError:
        raise UsageError(f"{text!r} lies outside of the calendar") from None


def with_zone(value: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
    """Return an instant: where a value is a time on a clock only, it is this zone's clock."""
    return value if value.tzinfo else value.replace(tzinfo=zone)


def now(connection: Connection) -> dt.datetime:
    """Return the server's clock, the only one that the engine goes by."""
    value: dt.datetime = scalar(connection, "select clock_timestamp()")
    return value


def day_of(instant: dt.datetime) -> dt.date:
    """Return the UTC day that holds the instant."""
    return instant.astimezone(dt.UTC).date()


def start_of(day: dt.date) -> dt.datetime:
    """Return the first moment of a UTC day."""
    return dt.datetime.combine(day, dt.time.min, tzinfo=dt.UTC)


def is_midnight(instant: dt.datetime) -> bool:
    """Tell whether the instant is the first moment of a UTC day."""
    return instant == start_of(day_of(instant))
