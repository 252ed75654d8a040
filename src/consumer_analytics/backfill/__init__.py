"""Backfill: the snapshots of any past range, by the same figures as a run's.

    judge ──> estimate ──> record ──> wait until settled ──> read (one transaction) ──> write chunks

Reading lays out all that is needed in temporary tables. Each chunk is whole
instants, written in one transaction under the job's lock, so that readers,
runs and a kill see instants complete or not at all. Nothing here moves the
watermark, nor the counts that runs keep.

In the order of the work:

* `request`: what is asked for;
* `judging`: what the source has lost of the days that it will read;
* `estimate`: what it will write and read, before it does anything;
* `record`: what was asked for and what came of it, kept and listed;
* `holdback`: waiting for transactions that may still commit into the range;
* `job`: what the steps below share;
* `sessions`: whether one session reads and writes, or two side by side;
* `reading`: laying out the cells, which are
    * `sources`: which days come from the runs' counts, and which from the source,
    * `columns`: which event types and statuses get a column,
    * `customers` and `events`: counted by consumer and slot,
    * `transfer`: what two sessions hand each other of that;
* `writing`: in chunks; then again what was outdated meanwhile;
* `several`: what chosen consumers take where several databases do it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import psycopg

from consumer_analytics.backfill import holdback, judging, record, sessions, windows
from consumer_analytics.backfill.estimate import Estimate, estimate_of
from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.record import BackfillRecord, records
from consumer_analytics.backfill.request import Request, request_of
from consumer_analytics.backfill.result import BackfillResult
from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import HeldBackError
from consumer_analytics.etl import vanished
from consumer_analytics.formatting import counted, moment
from consumer_analytics.settings import Settings

#: So often lifecycle events may go while they are read.
_TRIES = 5

__all__ = [
    "BackfillRecord",
    "BackfillResult",
    "Estimate",
    "Request",
    "backfill",
    "describe_skipped",
    "describe_skipped_days",
    "estimate_of",
    "records",
    "request_of",
]


def backfill(
    connection: Connection,
    settings: Settings,
    request: Request,
    *,
    notify: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> BackfillResult:
    """Write the snapshots of a range.

    Args:
        connection: in autocommit.
        settings: for the zone and the source's schema.
        request: what is asked for.
        notify: told what a person should know.
        progress: told how many periods are done, of how many.

    Returns:
        What came of it.

    Raises:
        UsageError: the range cannot be used; nothing was written.
        HeldBackError: transactions that are still open kept it from the last
            periods; those before are written.
        ConsumerAnalyticsError: as runs do.
    """
    estimate = estimate_of(connection, settings, request)
    if judging.judge(connection, settings, request, estimate.bounds):
        estimate = estimate_of(connection, settings, request)
    if estimate.is_skipped:
        notify(describe_skipped(request, settings.timezone))
    if estimate.skipped:
        notify(f"left out {describe_skipped_days(estimate, settings.timezone)}")
    _tell_what_is_left_out(estimate, notify)
    backfill_id = record.begin(connection, settings, request, estimate.periods)
    job = Job(settings, request, backfill_id, notify, lambda done: progress(done, estimate.periods))
    try:
        for attempt in range(1, _TRIES + 1):
            if _filled(connection, job, estimate, is_last=attempt == _TRIES):
                break
            job.corrected = judging.judge_lives(connection, settings, request, estimate.bounds[1])
            estimate = estimate_of(connection, settings, request)
            _tell_what_is_left_out(estimate, notify)
            record.revise(connection, backfill_id, estimate.periods)
    except BaseException as error:
        failed = isinstance(error, Exception) and not isinstance(error, HeldBackError)
        state = "failed" if failed else "interrupted"
        record.close(connection, backfill_id, state, job.counts.seconds, error)
        raise
    finally:
        _tidy(connection, backfill_id)
    counts = job.counts
    record.close(connection, backfill_id, "done", counts.seconds)
    return BackfillResult(
        backfill_id=backfill_id,
        start_date=request.start,
        end_date=request.end,
        interval=request.interval,
        timezone=settings.timezone,
        periods=counts.written.periods,
        periods_purged=len(estimate.refused),
        not_recountable=estimate.refused,
        periods_before_first_row=estimate.empty,
        snapshots_written=counts.written.new,
        snapshots_untouched=counts.written.untouched,
        snapshots_restated=counts.written.restated,
        seconds=counts.seconds,
    )


def describe_skipped(request: Request, zone: str) -> str:
    """Say of a range that no day of it was ever there, and why."""
    return (
        f"there is nothing to write: {zone} skipped {request.start} to {request.end}, where it "
        "moved to the other side of the date line"
    )


def describe_skipped_days(estimate: Estimate, zone: str) -> str:
    """Say which days of a range are left out, as they never were."""
    days = ", ".join(map(str, estimate.skipped))
    return f"{counted(len(estimate.skipped), 'day')} that {zone} skipped: {days}"


def _tell_what_is_left_out(estimate: Estimate, notify: Callable[[str], None]) -> None:
    if estimate.empty and estimate.first_row is not None:
        notify(
            f"{counted(estimate.empty, 'period is', 'periods are')} left out, "
            f"as nothing was there before the first row, of "
            f"{moment(estimate.first_row)}"
        )
    if estimate.refused:
        notify(
            f"{counted(len(estimate.refused), 'period is', 'periods are')} left out, "
            f"as events have vanished that would be needed; "
            f"ending at {vanished.named(estimate.refused)}"
        )


def _filled(connection: Connection, job: Job, estimate: Estimate, *, is_last: bool) -> bool:
    """Fill what is settled, unless its own reading shows that lifecycle events are gone."""
    try:
        if estimate.periods:
            _fill(connection, job, estimate)
    except judging.LivesLackingError:
        if is_last:
            raise
        # What was written before that, if anything, is right and stays.
        job.begin_again()
        return False
    return True


def _fill(connection: Connection, job: Job, estimate: Estimate) -> None:
    """Fill what is settled; then say what was not."""
    job.progress(job.counts.written.periods)
    bounds, held = holdback.settled(connection, job.settings, estimate.bounds, job.notify)
    if len(bounds) > 1:
        sessions.fill(connection, job, bounds, estimate.rows_to_scan)
        for of_window, window in windows.left(job):
            sessions.fill(connection, of_window, window, estimate.rows_to_scan)
            job.counts.add(replace(of_window.counts.written, periods=0))
    if held is not None:
        raise held


def _tidy(connection: Connection, backfill_id: int) -> None:
    """Leave nothing in the session, where that still works."""
    if connection.closed:
        return
    with suppress(psycopg.Error):
        record.untag(connection, backfill_id)
        connection.execute("drop table if exists pg_temp.backfill_counted, pg_temp.figures_carried")
