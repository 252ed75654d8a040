"""Which days are read from where: the counts that runs keep, or the source."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import MINUS_INFINITY
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import TimeRange, merged

_ONE_DAY = dt.timedelta(days=1)


class EventSources:
    """Which days come from the counts that runs keep, and what from the source.

    Days that no instant cuts are taken from `event_days`; days that one cuts,
    and all rows that runs have not taken in, from the source. A day is read
    from one of them alone.

    Attributes:
        known: how far runs have taken the source in.
        ranges: what is read of the source.
        first_day: the first UTC day that is not wholly before the range.
        days: the days taken from the counts, ascending, from `first_day` on.
        cut: the days that runs have taken in and that an instant cuts, as stretches.
    """

    def __init__(self, state: JobState, bounds: tuple[dt.datetime, ...]) -> None:
        """Decide it.

        Args:
            state: where the job stands.
            bounds: of the periods.
        """
        known, last = state.processed_through, bounds[-1]
        self.known = known
        self.first_day = instants.day_of(bounds[0])
        cut = {
            instants.day_of(bound)
            for bound in bounds
            if bound < known and not instants.is_midnight(bound)
        }
        self.cut = stretches = merged([(day, day + _ONE_DAY) for day in cut])
        self.ranges = [
            TimeRange(instants.start_of(lower), min(instants.start_of(upper), last))
            for lower, upper in stretches
        ]
        if last > known:
            if self.ranges and self.ranges[-1].upper >= known:
                self.ranges[-1] = TimeRange(self.ranges[-1].lower, last)
            else:
                self.ranges.append(TimeRange(known, last))
        self.days: list[dt.date] = []
        if known > MINUS_INFINITY:
            day, final = self.first_day, min(instants.day_of(known), instants.day_of(last))
            while day <= final:
                if not any(lower <= day < upper for lower, upper in stretches):
                    self.days.append(day)
                day += _ONE_DAY
