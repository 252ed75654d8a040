"""Writing: whole instants in chunks, each in one transaction under the job's lock."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from consumer_analytics.backfill import record, several, windows
from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.reading import Reading
from consumer_analytics.backfill.result import SnapshotCounts
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.db.locks import job_lock
from consumer_analytics.etl import restate as restating
from consumer_analytics.etl import untold, vanished
from consumer_analytics.etl.rendering import lay_apart, render
from consumer_analytics.sql import query

#: Rows of a chunk: what a kill loses, and how long a run may have to wait.
_ROWS_AT_ONCE = 100_000
_TRIES = 5
#: What stands for the consumers that have rows, where only some are asked for.
_CHOSEN: LiteralString = "owners (consumer_id) as (select unnest(%(consumers)s::uuid[]))"


def write(connection: Connection, job: Job, reading: Reading, slots: tuple[int, int]) -> None:
    """Write the snapshots of some slots of what was laid out, a chunk at a time.

    Args:
        connection: the session that has read them.
        job: the backfill at work.
        reading: what they are written from.
        slots: the first and the last.
    """
    first, last = slots
    consumers = scalar(connection, "select count(*) from pg_temp.listed_consumers")
    step = max(1, _ROWS_AT_ONCE // (consumers + 1))
    for start in range(first, last + 1, step):
        if job.stopped.is_set():
            return
        end = min(start + step - 1, last)
        _chunk(connection, job, reading, (start, end), carry=end < last)
        job.progress(job.counts.written.periods)
    reading.figures.forget()


def restate(connection: Connection, job: Job) -> None:
    """Restate what was written from counts that have changed since."""
    with job.counts.timed("restate"):
        reason = f"backfill {job.backfill_id}"
        restated = restating.restate(connection, job.settings, reason, job.notify)
        written = SnapshotCounts(restated=restated)
        job.counts.add(written)
        record.advance(connection, job.backfill_id, written)


def _chunk(
    connection: Connection, job: Job, reading: Reading, span: tuple[int, int], *, carry: bool
) -> None:
    """Write the snapshots of some slots, in one transaction; `carry` where more come after them."""
    counts, figures = job.counts, reading.figures
    with counts.timed("sum up"):
        figures.accumulate(*span)
    for attempt in range(_TRIES):
        try:
            _write_chunk(connection, job, reading, span)
            break
        except (psycopg.errors.SerializationFailure, psycopg.errors.UniqueViolation):
            # Another backfill has written to the same instants in the meantime.
            if attempt == _TRIES - 1:
                raise
    with counts.timed("carry"):
        if carry:
            figures.carry(*span)
        figures.forget_span()


def _write_chunk(connection: Connection, job: Job, reading: Reading, span: tuple[int, int]) -> None:
    counts, request = job.counts, job.request
    first, last = span
    bounds = reading.bounds
    consumers, whole, values = render(reading.figures, first)
    rendered: list[sql.Composable] = [consumers]
    if request.consumers is None:
        rendered.append(whole)
    waited = time.monotonic()
    # Runs keep out writers of other instants too, these do not.
    with job_lock(connection, job.settings, shared=True):
        counts.add_seconds("wait", time.monotonic() - waited)
        if untold.reach(connection) is not None:
            untold.give_up(connection)
        outdated = _mark_outdated(connection, job, reading, bounds[last])
        with counts.timed("write"):
            chosen = list(request.consumers or ())
            ends = {"from": bounds[first], "until": bounds[last], "consumers": chosen}
            refused: tuple[dt.datetime, ...] = ()
            if (
                several.concerns(request)
                or vanished.concerns(connection, bounds[first])
                or scalar_of(connection, "backfill/occupied", ends)
            ):
                written, refused = _merge(connection, job, reading, span, rendered, values)
                # Rows of other windows than these: what is new in theirs.
                again = scalar_of(connection, "shared/state-restate-from") is not None
                outdated = outdated or (written.restated + written.new > 0 and again)
            else:
                written = _insert(connection, job, rendered, values)
            if several.concerns(request):
                several.note(connection, request, bounds[first - 1 : last + 1], refused)
    written += SnapshotCounts(periods=last - first + 1 - len(refused))
    # In a transaction of its own: two sessions may be done at the same time. And not beside a run,
    # which notes here what it corrects: it would lose its turn if the record changed under it.
    with job_lock(connection, job.settings, shared=True, sees_commits=True):
        record.advance(connection, job.backfill_id, written)
    counts.add(written, outdated=outdated)


def _insert(
    connection: Connection, job: Job, rendered: list[sql.Composable], values: dict[str, Any]
) -> SnapshotCounts:
    """Write to a range that has no snapshot."""
    alone = sql.Literal(job.request.consumers is not None)
    return SnapshotCounts(
        new=sum(
            scalar_of(connection, "backfill/insert", values, rendered=part, alone=alone)
            for part in rendered
        )
    )


def _merge(
    connection: Connection,
    job: Job,
    reading: Reading,
    span: tuple[int, int],
    rendered: list[sql.Composable],
    values: dict[str, Any],
) -> tuple[SnapshotCounts, tuple[dt.datetime, ...]]:
    """Write to a range that has snapshots: insert what is missing, restate what differs.

    Returns:
        What was written, and instants that the source no longer tells.
    """
    reason = {"reason": f"backfill {job.backfill_id}"}
    there = {"snapshots": list(reading.bounds[span[0] : span[1] + 1])}
    lay_apart(connection, sql.SQL("\nunion all\n").join(rendered), values)
    refused: tuple[dt.datetime, ...] = ()
    if vanished.concerns(connection, reading.bounds[span[0]]):
        refused = vanished.freeze(
            connection, job.settings, there["snapshots"], job.request.consumers
        )
        there = {"snapshots": [at for at in there["snapshots"] if at not in refused]}
    vanished.keep_means(connection, job.settings)
    chosen = list(job.request.consumers or ())
    alone = windows.alone(connection, reading, there["snapshots"]) if chosen else []
    vanished.hold_gone(connection, job.settings, absent=(chosen, alone))
    if several.concerns(job.request):
        several.put_off(connection, job)
    rows = scalar(connection, "select count(*) from pg_temp.rendered_snapshots")
    if chosen:
        windows.leave_whole(connection, job, reading, there["snapshots"])
    restated = connection.execute(query("shared/snapshots-restate"), reason).rowcount
    if restated:
        windows.put_off(connection, job, reading)
    withdrawn = 0
    if alone:
        withdraw = query("shared/snapshots-withdraw", owners=sql.SQL(_CHOSEN))
        values = {**reason, "snapshots": alone, "consumers": chosen}
        withdrawn = connection.execute(withdraw, values).rowcount
    elif not chosen and scalar_of(connection, "shared/snapshots-are-there", there):
        withdrawn = connection.execute(
            query("shared/snapshots-withdraw"),
            {**reason, **there},
        ).rowcount
    new = scalar_of(connection, "shared/snapshots-insert")
    counts = SnapshotCounts(new=new, restated=restated + withdrawn, untouched=rows - restated - new)
    return counts, refused


def _mark_outdated(connection: Connection, job: Job, reading: Reading, until: dt.datetime) -> bool:
    """See to it that what is written from counts that have changed since is looked at again."""
    after: dt.datetime | None = scalar_of(
        connection,
        "backfill/outdated",
        {"id": job.backfill_id, "known": reading.state.processed_through},
    )
    if after is None or after >= until:
        return False
    connection.execute(query("shared/state-restate-after"), {"after": after})
    return True
