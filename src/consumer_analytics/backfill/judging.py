"""Judging, before a backfill reads, what the source has lost of what it will read.

What has vanished stays counted, and what was reported before it stays: a backfill must not take
the loss for the truth. It looks at the source's oldest row, as a run does, and where it reads
days from the source that runs have counted, whether they still hold as much. So it does with
the lifecycle events since its first instant, from which it tells the customers.
"""

from __future__ import annotations

import datetime as dt

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.db.connection import Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import archived, job_state, vanished
from consumer_analytics.etl.plan import multirange
from consumer_analytics.settings import Settings


def judge(
    connection: Connection, settings: Settings, request: Request, bounds: tuple[dt.datetime, ...]
) -> int:
    """Note what has vanished of the days that a backfill reads.

    The job's lock is taken only where there is something to judge.

    Returns:
        How many events are newly noted.
    """
    with consistent(connection):
        if not _lacks(connection, settings, bounds):
            return 0
    by = f"backfill of {request.start} to {request.end}"
    with job_lock(connection, settings):
        judged = vanished.look(connection, settings, by)
        for lacking in (_lacking, _lives_lacking):
            days = lacking(connection, settings, bounds)
            if days is not None:
                judged += vanished.judge_days(connection, settings, days, days, by)
    return judged.noted


def _lacks(connection: Connection, settings: Settings, bounds: tuple[dt.datetime, ...]) -> bool:
    if vanished.needs_look(connection, settings):
        return True
    return any(
        lacking(connection, settings, bounds) is not None for lacking in (_lives_lacking, _lacking)
    )


def _lives_lacking(
    connection: Connection, settings: Settings, bounds: tuple[dt.datetime, ...]
) -> str | None:
    if len(bounds) == 1:
        return None
    known = job_state.read(connection).processed_through
    return vanished.lives_lacking(connection, settings, bounds[1], known)


def _lacking(
    connection: Connection, settings: Settings, bounds: tuple[dt.datetime, ...]
) -> str | None:
    """Return the days that hold less than was counted, of those that are read from the source."""
    if len(bounds) == 1:
        return None
    sources = EventSources(job_state.read(connection), bounds)
    if not sources.cut:
        return None
    cut = multirange(sources.cut)
    held = archived.held(connection, settings, cut, [sources.known], by_day=True)
    days: str | None = scalar_of(
        connection,
        "backfill/days-lacking",
        {"cut": cut, "known": sources.known},
        sources=settings.sources,
        **held,
    )
    return days
