"""Rows of other windows than a backfill's periods, which are written after all else.

A row keeps the window that it was first written for. Where a backfill of other periods restates
it, what is new in its own window may have changed, too, and only that window tells.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from dataclasses import replace

from consumer_analytics.backfill.job import Counts, Job
from consumer_analytics.backfill.reading import Reading
from consumer_analytics.db.connection import Connection
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
