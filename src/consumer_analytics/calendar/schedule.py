"""When the schedule is due: the instants of a cron expression, as Airflow has them.

Airflow counts on the wall clock of the schedule's zone: `0 0 * * *` is midnight
in winter and in summer. An hour that the clocks skip, or pass twice, is taken
as Airflow takes it, so that what is due here is what is run there.
"""

from __future__ import annotations

import datetime as dt
from copy import copy
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from croniter import croniter

from consumer_analytics.db.connection import INFINITY
from consumer_analytics.settings import QUARTERLY, TIMELESS_SCHEDULES

#: Airflow's presets that croniter has otherwise, or lacks.
_PRESETS = {QUARTERLY: "0 0 1 */3 *"}
_MICROSECOND = dt.timedelta(microseconds=1)
#: The calendar ends before a schedule of leap days comes again.
_LAST_YEAR = dt.MAXYEAR - 9
#: Answers that are kept: a chart of the lag asks for two hundred, nearly the same ones each time.
_REMEMBERED = 4_096


class Schedule:
    """The instants at which a job is due.

    Attributes:
        expression: as the setting has it.
        timeless: whether it has no instants of its own (`@once`, `@continuous`).
    """

    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        """Take a cron expression or a preset, and the zone whose wall clock it means."""
        self.expression = expression
        self.timeless = expression in TIMELESS_SCHEDULES
        self._cron = _PRESETS.get(expression, expression)
        self._zone = zone

    def after(self, instant: dt.datetime) -> dt.datetime:
        """Return the first instant after this one, in UTC; near the calendar's end its end."""
        if instant.year > _LAST_YEAR:
            return INFINITY
        return _after(self._cron, self._zone, instant.astimezone(dt.UTC))

    def last(self, instant: dt.datetime) -> dt.datetime:
        """Return the last instant at or before this one, in UTC."""
        # From the hour on: health is asked for every few seconds, and this is remembered.
        hour = instant.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
        last = _before(self._cron, self._zone, hour)
        while last < (following := self.after(last)) <= instant:
            last = following
        return last


@cache
def _parsed(cron: str) -> croniter:
    return croniter(cron)


def _times(cron: str, wall: dt.datetime) -> croniter:
    """Return an expression's times from a wall clock's time on: a copy, as each is counted on."""
    times = copy(_parsed(cron))
    times.set_current(wall, force=True)
    return times


@lru_cache(maxsize=_REMEMBERED)
def _after(cron: str, zone: ZoneInfo, instant: dt.datetime) -> dt.datetime:
    """Return the first instant after this one; both in UTC, where no two instants are equal."""
    wall = instant.astimezone(zone).replace(tzinfo=None)
    times = _times(cron, wall)
    following: dt.datetime = times.get_next(dt.datetime)
    if times.expanded[1] == ["*"]:
        # Every hour: those that the clocks pass twice are due twice.
        return instant + (following - wall)
    return _instant(following, zone)


@lru_cache(maxsize=_REMEMBERED)
def _before(cron: str, zone: ZoneInfo, instant: dt.datetime) -> dt.datetime:
    """Return some instant of the schedule that is not after this one, and not long before."""
    wall = instant.astimezone(zone).replace(tzinfo=None) + _MICROSECOND
    times = _times(cron, wall)
    while True:
        # On a wall clock that is set back, what was earlier may come later.
        earlier = _instant(times.get_prev(dt.datetime), zone)
        if earlier <= instant:
            return earlier


def _instant(wall: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the instant of a wall clock's time.

    Of a time that comes twice the later one is meant; one that is skipped
    comes as much after the gap as it lies in it.
    """
    late = wall.replace(tzinfo=zone, fold=1)
    early = late.replace(fold=0)
    if late.utcoffset() != early.utcoffset():
        return max(late.astimezone(dt.UTC), early.astimezone(dt.UTC))
    return late.astimezone(dt.UTC)
