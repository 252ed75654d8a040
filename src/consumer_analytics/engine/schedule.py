"""When the schedule is due: the instants of a cron expression, as Airflow has them.

Airflow counts on the wall clock of the schedule's zone: `0 0 * * *` is midnight
in winter and in summer. An hour that the clocks skip, or pass twice, is taken
as Airflow takes it, so that what is due here is what is run there.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from croniter import croniter

from consumer_analytics.settings import QUARTERLY, TIMELESS_SCHEDULES

#: Airflow's presets that croniter has otherwise, or lacks.
_PRESETS = {QUARTERLY: "0 0 1 */3 *"}
_MICROSECOND = dt.timedelta(microseconds=1)


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
        """Return the first instant after this one, in UTC."""
        local = instant.astimezone(self._zone)
        wall = local.replace(tzinfo=None)
        cron = croniter(self._cron, start_time=wall)
        found: dt.datetime = cron.get_next(dt.datetime)
        if cron.expanded[1] == ["*"]:
            # Every hour: those that the clocks pass twice are due twice.
            return (local.astimezone(dt.UTC) + (found - wall)).astimezone(dt.UTC)
        return self._instant(found)

    def last(self, instant: dt.datetime) -> dt.datetime:
        """Return the last instant at or before this one, in UTC."""
        found = self._before(instant)
        while (following := self.after(found)) <= instant:
            found = following
        return found

    def _before(self, instant: dt.datetime) -> dt.datetime:
        """Return some instant of the schedule that is not after this one, and not long before."""
        wall = instant.astimezone(self._zone).replace(tzinfo=None) + _MICROSECOND
        cron = croniter(self._cron, start_time=wall)
        while True:
            # On a wall clock that is set back, what was earlier may come later.
            found = self._instant(cron.get_prev(dt.datetime))
            if found <= instant:
                return found

    def _instant(self, wall: dt.datetime) -> dt.datetime:
        """Return the instant of a wall clock's time.

        Of a time that comes twice the later one is meant; one that is skipped
        comes as much after the gap as it lies in it.
        """
        late = wall.replace(tzinfo=self._zone, fold=1)
        early = late.replace(fold=0)
        if late.utcoffset() != early.utcoffset():
            return max(late.astimezone(dt.UTC), early.astimezone(dt.UTC))
        return late.astimezone(dt.UTC)
