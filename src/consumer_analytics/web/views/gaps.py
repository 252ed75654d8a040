"""Days of a range that have no snapshots, and what a backfill of them is called."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.calendar import days
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import Bounds

#: No more is offered at once: the form takes any range.
_LONGEST = dt.timedelta(days=3_660)


@dataclass(frozen=True)
class Gap:
    """Days of a range before which, or in which, there is no snapshot.

    Attributes:
        empty: whether the range has no snapshot at all.
        until: the instant before which it has none.
        start: the first of the days.
        end: the day after the last one.
        may_start: whether whoever looks may start a backfill of them.
    """

    empty: bool
    until: dt.datetime
    start: dt.date
    end: dt.date
    may_start: bool


def gap(span: Range, known: Bounds, zone: dt.tzinfo, *, empty: bool, may_start: bool) -> Gap | None:
    """Return what a range lacks at its beginning; None where it lacks nothing that could be.

    Args:
        span: the range.
        known: the instants of the first and of the last snapshot of all.
        zone: whose days.
        empty: whether it has no snapshot at all.
        may_start: whether whoever looks may start a backfill.
    """
    since, until = span.bounds(*known)
    now = dt.datetime.now(dt.UTC)
    ends = min(until if empty else known[0], now)
    try:
        start, end = days.day_of(max(since, ends - _LONGEST), zone), days.day_of(ends, zone)
    except OverflowError:
        return None
    return Gap(empty, ends, start, end, may_start) if start < end else None
