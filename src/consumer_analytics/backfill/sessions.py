"""One session or two: a long range is read and written by two that see the same snapshot."""

from __future__ import annotations

import bisect
import datetime as dt
from itertools import accumulate

import psycopg

from consumer_analytics.backfill import columns, estimate
from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.reading import Reading, make_room, read
from consumer_analytics.backfill.transfer import Share
from consumer_analytics.backfill.writing import restate, write
from consumer_analytics.db import side_by_side
from consumer_analytics.db.connection import Connection, connected, consistent
from consumer_analytics.db.side_by_side import Pipe
from consumer_analytics.sql import query

#: From so many rows on, two sessions are worth what they have to hand each other.
_ROWS_FOR_TWO = 60_000
#: So many events are as much work as a row.
_EVENTS_PER_ROW = 40
_BOUNDS_OF_TWO_PERIODS = 3
_TRIES = 5


def fill(connection: Connection, job: Job, bounds: tuple[dt.datetime, ...], events: int) -> None:
    """Read and write periods that are settled.

    Args:
        connection: in autocommit; the first session.
        job: the backfill at work.
        bounds: of the periods.
        events: to be read from the source, as estimated.
    """
    make_room(connection)
    rows = (len(bounds) - 1) * estimate.registered(connection, job.settings, job.request)
    work = rows + events // _EVENTS_PER_ROW
    fill_in = _fill_in_two
    is_small = work < _ROWS_FOR_TWO or len(bounds) < _BOUNDS_OF_TWO_PERIODS
    if is_small or job.settings.workers == 0:
        fill_in = _fill_in_one
    for attempt in range(_TRIES):
        try:
            fill_in(connection, job, bounds)
            break
        except psycopg.errors.SerializationFailure:
            # Somebody else has remembered the same lives: they are known now.
            if attempt == _TRIES - 1 or job.counts.written.periods:
                raise
            job.stopped.clear()
    if job.counts.outdated:
        restate(connection, job)


def _fill_in_one(connection: Connection, job: Job, bounds: tuple[dt.datetime, ...]) -> None:
    with consistent(connection):
        reading = read(connection, job, bounds)
    write(connection, job, reading, (1, len(bounds) - 1))


def _fill_in_two(connection: Connection, job: Job, bounds: tuple[dt.datetime, ...]) -> None:
    """Fill a long range in two sessions that read the same snapshot.

    One reads the customers, the other the events; then each has what it lacks
    from the other, and writes half of the instants.
    """
    middle, last = _middle(connection, job, bounds), len(bounds) - 1
    pipes = Pipe(job.stopped), Pipe(job.stopped)
    types = columns.types(connection, job.settings)

    def part(span: tuple[int, int], *, first: bool) -> side_by_side.Part[Reading]:
        share = Share(first, middle, types, *pipes)
        return side_by_side.Part(
            lambda session: read(session, job, bounds, share),
            lambda session, reading: write(session, job, reading, span),
        )

    with connected(job.settings, "backfill, second session", works_long=True) as second:
        parts = part((1, middle), first=True), part((middle + 1, last), first=False)
        side_by_side.work(connection, second, job.stopped, parts)


def _middle(connection: Connection, job: Job, bounds: tuple[dt.datetime, ...]) -> int:
    """Return the slot up to which about half of the rows will be."""
    joined: dict[int, int] = dict(
        connection.execute(
            query("backfill/joined", job.settings.sources),
            {"bounds": list(bounds), "consumers": list(job.request.consumers or ()) or None},
        ).fetchall()
    )
    last = len(bounds) - 1
    there = list(accumulate(joined.get(slot, 0) for slot in range(last + 1)))[1:]
    rows = list(accumulate(there))
    if not rows[-1]:
        return last // 2
    return min(max(1, bisect.bisect_left(rows, rows[-1] / 2) + 1), last - 1)
