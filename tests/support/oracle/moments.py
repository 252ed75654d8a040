"""Instants as whole microseconds, so that years before Christ and both infinities are numbers."""

from __future__ import annotations

import datetime as dt
import math

#: Microseconds since 1970; an infinity is a float.
Moment = int | float

BEFORE_ALL = -math.inf
AFTER_ALL = math.inf
DAY = 86_400_000_000

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(at: dt.datetime) -> int:
    """Return an instant as a number."""
    return (at - _EPOCH) // dt.timedelta(microseconds=1)


def instant(at: int) -> dt.datetime:
    """Return a number as an instant."""
    return _EPOCH + dt.timedelta(microseconds=at)


def midnight(at: int) -> int:
    """Return the start of an instant's UTC day."""
    return at // DAY * DAY
