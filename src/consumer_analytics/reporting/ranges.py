"""Which stretch of time is looked at.

A range ends at the latest snapshot, not at the clock: "30 days" compares that
snapshot with the one 30 days before it, whenever it is looked at. It is the same range
on every page: where snapshots begin and end is asked of all of them, whosever they are.

What happened in a range happened between the last snapshots at or before its ends: a
snapshot at its very beginning is what the range starts from, and counts nothing in it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.calendar import instants
from consumer_analytics.errors import UsageError

#: Name to length; None is all there is.
NAMED: dict[str, dt.timedelta | None] = {
    "1d": dt.timedelta(days=1),
    "7d": dt.timedelta(days=7),
    "30d": dt.timedelta(days=30),
    "90d": dt.timedelta(days=90),
    "1y": dt.timedelta(days=365),
    "all": None,
}
DEFAULT = "30d"
_MOMENT = dt.timedelta(microseconds=1)


@dataclass(frozen=True)
class Range:
    """A stretch of time as somebody asked for it.

    Attributes:
        name: a key of `NAMED`, or `custom`.
        since: its beginning, where named by date; inclusive.
        until: its end, where named by date; inclusive, as snapshots are instants.
    """

    name: str = DEFAULT
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def bounds(self, earliest: dt.datetime, latest: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """Return beginning and end as they were chosen, given the first and the last snapshot.

        An end that nobody chose is where the snapshots end, or else the other end of the range.
        """
        if self.name == "custom":
            since = self.since or min(earliest, self.until or earliest)
            return since, self.until or max(latest, since)
        length = NAMED[self.name]
        if length is None:
            return earliest, latest
        return _before(latest, length), latest

    def held(self, earliest: dt.datetime, latest: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
        """Return the part of the range that may hold snapshots; an instant beside them where none.

        What is cut into slices: of a range from the year 1 on, one slice would hold everything.
        """
        since, until = self.bounds(earliest, latest)
        if until < earliest:
            return (earliest - _MOMENT,) * 2
        if since > latest:
            return (latest + _MOMENT,) * 2
        return max(since, earliest), min(until, latest)


def _before(instant: dt.datetime, length: dt.timedelta) -> dt.datetime:
    try:
        return instant - length
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def parse(
    name: str | None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    zone: dt.tzinfo = dt.UTC,
) -> Range:
    """Return the range that a name, or dates, ask for; 30 days where nothing does.

    Args:
        name: a key of `NAMED`.
        since: the beginning.
        until: the end.
        zone: the one meant where a time names none.

    Raises:
        UsageError: the name is unknown, both are given, or the end lies before the beginning.
    """
    if since is None and until is None:
        if (name or DEFAULT) not in NAMED:
            raise UsageError(f"range {name!r} is unknown; use one of {', '.join(NAMED)}")
        return Range(name or DEFAULT)
    if name not in (None, "", "custom"):
        raise UsageError("give a range by its name or by from and to, not both")
    since, until = _aware(since, zone), _aware(until, zone)
    if since is not None and until is not None and until < since:
        raise UsageError("the range ends before it begins")
    return Range("custom", since, until)


def _aware(instant: dt.datetime | None, zone: dt.tzinfo) -> dt.datetime | None:
    if instant is None:
        return None
    try:
        return instants.with_zone(instant, zone).astimezone(dt.UTC)
    except OverflowError:
        raise UsageError(
            f"{instant.isoformat()} is out of range; use a year from 1 to 9999"
        ) from None
