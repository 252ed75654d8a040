"""What the schedule asked for, and since when the watermark has been behind it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.calendar import days
from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.etl import watermark
from consumer_analytics.formatting import moment
from consumer_analytics.settings import Settings

#: A run with a deadline is late only after it; its own alarm comes first.
_MARGIN = dt.timedelta(minutes=1)
_USUAL_DEADLINE = 600.0


@dataclass(frozen=True)
class Due:
    """What the schedule asked for.

    Attributes:
        instant: the last instant due; None before the first.
        following: the next one.
        since: since when the watermark has been behind; None where it is not.
        missed: the first instant due that it has not reached.
        moved: who set the watermark back by hand, and when; empty where nobody did.
    """

    instant: dt.datetime | None
    following: dt.datetime | None
    since: dt.datetime | None = None
    missed: dt.datetime | None = None
    moved: str = ""


def due_of(
    settings: Settings, mark: watermark.Watermark, installed: dt.datetime | None, at: dt.datetime
) -> Due:
    """Return what was due at an instant, the first of which is not before the installation."""
    schedule = Schedule(settings.schedule, settings.zone)
    if schedule.timeless:
        return Due(None, None)
    instant = schedule.last(at)
    following = schedule.after(instant)
    # The first day is due itself.
    start = days.start_of_day(settings.start_date, settings.zone)
    floor = start - dt.timedelta(microseconds=1)
    if mark.last_run_at is None and mark.reach == watermark.EPOCH:
        # It has never run, and nothing was due before there was anything to run.
        floor = max(floor, installed if installed is not None and installed <= at else floor)
    if instant <= floor:
        return Due(None, following)
    if mark.reach >= instant:
        return Due(instant, following)
    missed = schedule.after(max(mark.reach, floor))
    moved_at, who = mark.moved_by_hand or (None, "")
    if moved_at is None or mark.is_ahead:
        return Due(instant, following, missed, missed)
    moved_at = min(moved_at, at)
    since = max(missed, moved_at)
    if mark.processed_through is not None and mark.processed_through < instant:
        # It was behind before, which setting it does not change.
        since = min(since, schedule.after(max(mark.processed_through, floor)))
    moved = f"the watermark was set by hand at {moment(moved_at)} ({who})"
    return Due(instant, following, since, missed, moved)


def grace(settings: Settings) -> dt.timedelta:
    """Return how long a run may take before what it has not done yet is pending."""
    return dt.timedelta(seconds=settings.deadline or _USUAL_DEADLINE) + _MARGIN
