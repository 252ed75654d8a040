"""Judging, before a backfill reads, what the source has lost of what it will read.

What has vanished stays counted, and what was reported before it stays: a backfill must not take
the loss for the truth. It looks at the source's oldest row, as a run does, and where it reads
days from the source that runs have counted, whether they still hold as much.

The lifecycle events since its first instant, from which it tells the customers, are read once: what
is lacking of them is seen while they are (`require_lives`), and judged before all is read again.
"""

from __future__ import annotations

import datetime as dt

from consumer_analytics.backfill.request import Request
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.db.connection import Connection, consistent, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import archived, job_state, lives, vanished
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import multirange
from consumer_analytics.settings import Settings


class LivesLackingError(ConsumerAnalyticsError):
    """Lifecycle events go while they are read: nothing is half-written, run it again."""


def judge(
    connection: Connection, settings: Settings, request: Request, bounds: tuple[dt.datetime, ...]
) -> int:
    """Note what has vanished of the days that a backfill reads.

    The job's lock is taken only where there is something to judge.

    Returns:
        How many events are newly noted.
    """
    with consistent(connection):
        if (
            not vanished.needs_look(connection, settings)
            and _lacking(connection, settings, bounds) is None
        ):
            return 0
    by = _named(request)
    with job_lock(connection, settings):
        judged = vanished.look(connection, settings, by)
        days = _lacking(connection, settings, bounds)
        if days is not None:
            judged += vanished.judge_days(connection, settings, days, days, by)
    return judged.noted


def require_lives(
    connection: Connection,
    settings: Settings,
    state: JobState,
    first: dt.datetime,
    corrected: str,
) -> None:
    """Check that no lifecycle event that tells of a backfill's customers is gone unnoted.

    Within the transaction that has just read them, by `lives.remember_since`.

    Args:
        connection: in that transaction.
        settings: where the source is.
        state: where the job stands there.
        first: the backfill's first instant.
        corrected: the days of which is known that they lack some: by corrections.

    Raises:
        LivesLackingError: some are gone; `judge_lives` notes which.
    """
    known, read = state.processed_through, lives.laid_apart_of_days_since(first)
    if (
        vanished.lives_lacking(connection, settings, first, known, read, corrected=corrected)
        is None
    ):
        return
    # What tells of no customer was counted, too, and is not among what was read.
    if vanished.lives_lacking(connection, settings, first, known, corrected=corrected) is not None:
        raise LivesLackingError


def judge_lives(
    connection: Connection, settings: Settings, request: Request, first: dt.datetime
) -> str:
    """Note what has vanished of the lifecycle events since an instant, under the job's lock.

    Returns:
        The days that lack some all the same, by corrections, which the sweep takes in.
    """
    with job_lock(connection, settings):
        known = job_state.read(connection).processed_through
        vanished.judge_lives(connection, settings, first, known, _named(request))
        return vanished.lives_lacking(connection, settings, first, known) or "{}"


def _named(request: Request) -> str:
    return f"backfill of {request.start} to {request.end}"


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
