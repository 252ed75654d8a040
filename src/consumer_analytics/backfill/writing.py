"""Writing: whole instants in chunks, each in one transaction under the job's lock."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.backfill import record
from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.reading import Read
from consumer_analytics.db.connection import Connection, consistent, scalar, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import restate as restating
from consumer_analytics.etl import watermark
from consumer_analytics.sql import query

#: Rows of a chunk: what a kill loses, and how long a run may have to wait.
_ROWS_AT_ONCE = 100_000
_TRIES = 5


def write(connection: Connection, job: Job, found: Read, slots: tuple[int, int]) -> None:
    """Write the snapshots of some slots of what was laid out, a chunk at a time.

    Args:
        connection: the session that has read them.
        job: the backfill at work.
        found: what they are written from.
        slots: the first and the last.
    """
    first, last = slots
    consumers = scalar(connection, "select count(*) from pg_temp.listed_consumers")
    step = max(1, _ROWS_AT_ONCE // (consumers + 1))
    for start in range(first, last + 1, step):
        if job.stopped.is_set():
            return
        end = min(start + step - 1, last)
        _chunk(connection, job, found, (start, end), carry=end < last)
        job.progress(job.counts.periods)
    found.figures.forget()


def restate(connection: Connection, job: Job) -> None:
    """Restate what was written from counts that have changed since."""
    with job.counts.timed("restate"), job_lock(connection, job.settings):
        reason = f"backfill {job.backfill_id}"
        restated = restating.restate(connection, job.settings, reason, job.notify)
        job.counts.restated += restated
        record.advance(
            connection, job.backfill_id, periods=0, written=0, restated=restated, untouched=0
        )


def _chunk(
    connection: Connection, job: Job, found: Read, span: tuple[int, int], *, carry: bool
) -> None:
    """Write the snapshots of some slots, in one transaction; `carry` where more come after them."""
    counts, figures = job.counts, found.figures
    with counts.timed("sum up"):
        figures.accumulate(*span)
    for attempt in range(_TRIES):
        try:
            _write_chunk(connection, job, found, span)
            break
        except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation):
            # Another backfill has written to the same instants in the meantime.
            if attempt == _TRIES - 1:
                raise
    with counts.timed("carry"):
        if carry:
            figures.carry(*span)
        figures.forget_span()


def _write_chunk(connection: Connection, job: Job, found: Read, span: tuple[int, int]) -> None:
    counts, request = job.counts, job.request
    first, last = span
    stands, bounds = found.stands, found.bounds
    consumers, whole, values = found.figures.rendered(first)
    rendered: list[sql.Composable] = [consumers]
    if request.consumers is None:
        rendered.append(whole)
    values |= {
        "id": job.backfill_id,
        "job": watermark.JOB,
        "known": stands.processed_through,
        "from": bounds[first],
        "until": bounds[last],
        "snapshots": list(bounds[first : last + 1]),
        "recountable_from": stands.purged_before,
        "reason": f"backfill {job.backfill_id}",
    }
    done = {"periods": last - first + 1, "written": 0, "restated": 0, "untouched": 0}
    waited = time.monotonic()
    # Runs keep out writers of other instants too, these do not.
    with job_lock(connection, job.settings, shared=True), consistent(connection):
        counts.add("wait", time.monotonic() - waited)
        outdated = _mark_outdated(connection, values)
        with counts.timed("write"):
            if scalar_of(connection, "backfill/occupied", values):
                _merge(connection, rendered, values, done, whole=request.consumers is None)
            else:
                for part in rendered:
                    inserted = connection.execute(query("backfill/insert", rendered=part), values)
                    done["written"] += inserted.rowcount
    # In a transaction of its own: two sessions may be done at the same time.
    record.advance(connection, job.backfill_id, **done)
    with counts.lock:
        counts.outdated = counts.outdated or outdated
        counts.periods += done["periods"]
        counts.written += done["written"]
        counts.restated += done["restated"]
        counts.untouched += done["untouched"]


def _merge(
    connection: Connection,
    rendered: list[sql.Composable],
    values: dict[str, Any],
    done: dict[str, int],
    *,
    whole: bool,
) -> None:
    """Write to a range that has snapshots: insert what is missing, restate what differs."""
    connection.execute("drop table if exists pg_temp.rendered_snapshots")
    union = sql.SQL("\nunion all\n").join(rendered)
    connection.execute(query("shared/snapshots-rendered", rendered=union), values)
    connection.execute("analyze pg_temp.rendered_snapshots (consumer_id, snapshot_timestamp)")
    rows = scalar(connection, "select count(*) from pg_temp.rendered_snapshots")
    restated = connection.execute(query("shared/snapshots-restate"), values).rowcount
    done["restated"] = restated
    if whole and scalar_of(connection, "shared/snapshots-are-there", values):
        done["restated"] += connection.execute(query("shared/snapshots-withdraw"), values).rowcount
    done["written"] = connection.execute(query("shared/snapshots-insert"), values).rowcount
    done["untouched"] = rows - restated - done["written"]


def _mark_outdated(connection: Connection, values: dict[str, Any]) -> bool:
    """See to it that what is written from counts that have changed since is looked at again."""
    after: dt.datetime | None = scalar_of(connection, "backfill/outdated", values)
    if after is None or after >= values["until"]:
        return False
    connection.execute(query("shared/state-restate-after"), {"after": after, "job": watermark.JOB})
    return True
