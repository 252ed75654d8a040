"""Rows of other windows than a backfill's periods, which are written after all else.

A row keeps the window that it was first written for. Where a backfill of other periods restates
it, what is new in its own window may have changed, too, and only that window tells.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace

from consumer_analytics.backfill.job import Counts, Job
from consumer_analytics.backfill.reading import Reading
from consumer_analytics.backfill.result import SnapshotCounts
from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import job_state
from consumer_analytics.sql import query


def put_off(connection: Connection, job: Job, reading: Reading) -> None:
    """Note of which other windows rows are that runs have not come to: nobody else restates these.

    Within the transaction that has restated some of `rendered_snapshots`.
    """
    asked = {
        "known": reading.state.processed_through,
        "is_of_all": job.request.consumers is None,
    }
    job.put_off.update(connection.execute(query("backfill/later-windows"), asked))


def alone(
    connection: Connection, reading: Reading, snapshots: Sequence[dt.datetime]
) -> list[dt.datetime]:
    """Return those of some instants that runs have not come to, and that have no whole snapshot."""
    asked = {"snapshots": list(snapshots), "known": reading.state.processed_through}
    return [at for (at,) in connection.execute(query("backfill/alone"), asked)]


def leave_whole(
    connection: Connection, job: Job, reading: Reading, snapshots: Sequence[dt.datetime]
) -> None:
    """See to it that whole snapshots are summed again whose rows of chosen consumers will change.

    Likewise where a row should not be there: whether it goes, all rows together tell. Within the
    transaction that will write `rendered_snapshots`.
    """
    known = reading.state.processed_through
    asked = {
        "snapshots": list(snapshots),
        "consumers": list(job.request.consumers or ()),
        "known": known,
    }
    outgrown = connection.execute(query("backfill/whole-outgrown"), asked).fetchall()
    if outgrown and outgrown[0][0] <= known:
        job_state.restate_from(connection, outgrown[0][0])
        job.counts.add(SnapshotCounts(), outdated=True)
    # Nobody else restates those that runs have not come to.
    job.put_off.update((None, at, start) for at, start in outgrown if at > known)


def left(job: Job) -> Iterator[tuple[Job, tuple[dt.datetime, dt.datetime]]]:
    """Yield what is left of a backfill that has written all else: of each window, what to do."""
    windows: dict[tuple[dt.datetime, dt.datetime], set[uuid.UUID | None]] = {}
    for consumer, at, start in job.put_off:
        windows.setdefault((start, at), set()).add(consumer)
    for bounds, consumers in sorted(windows.items()):
        chosen = tuple(sorted(consumer for consumer in consumers if consumer is not None))
        request = replace(job.request, consumers=None if None in consumers else chosen)
        yield (
            Job(job.settings, request, job.backfill_id, job.notify, lambda _: None, Counts()),
            bounds,
        )
