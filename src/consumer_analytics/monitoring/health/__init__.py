"""Whether all is well: four measures, each judged by its limits, and the cause where it is not.

    dag_runtime     how long the last finished run of `consumer_analytics_etl` took
    failed_runs     how many of its runs failed within 24 hours
    watermark_lag   how long the watermark has been behind what the schedule was due to reach
    pending_events  events from before that instant that are not processed yet

Nothing is written. Everything is a function of the database and an instant, so
that another clock than the server's can be given.

In the order of the work:

* `look`: what one look sees: the watermark, the engine's record of runs, and
    * `airflow`: what Airflow's metadata says, where this database has it,
    * `due`: what the schedule asked for, and since when that is late;
* `causes`: why the figures are as fresh as they are;
* `measures`: the four of them, judged;
* `models`: what comes of that.
"""

from __future__ import annotations

import datetime as dt

from psycopg.pq import TransactionStatus

from consumer_analytics.db.connection import Connection, consistent
from consumer_analytics.formatting import seconds
from consumer_analytics.monitoring.health import measures
from consumer_analytics.monitoring.health.airflow import DAG, Airflow
from consumer_analytics.monitoring.health.causes import freshness
from consumer_analytics.monitoring.health.due import grace
from consumer_analytics.monitoring.health.models import (
    MEASURES,
    MOST_EVENTS,
    STATES,
    Cause,
    Health,
    Measure,
    judge,
    worst,
)
from consumer_analytics.monitoring.health.observation import Look
from consumer_analytics.settings import Settings

__all__ = [
    "DAG",
    "MEASURES",
    "MOST_EVENTS",
    "STATES",
    "Airflow",
    "Cause",
    "Health",
    "Look",
    "Measure",
    "grace",
    "judge",
    "of",
    "read",
    "worst",
]


def read(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Take all measures and judge them.

    Args:
        connection: in autocommit; within a transaction it is the caller's whether all of it
            sees one state of the data.
        settings: for the schedule and the limits.
        now: the instant to judge at; None for the server's clock.

    Raises:
        SchemaError: `etl_job_watermarks` lacks the job's row.
    """
    if connection.info.transaction_status is TransactionStatus.INTRANS:
        return of(Look.take(connection, settings, now))
    # One look: a run may commit between two of these statements.
    with consistent(connection):
        return of(Look.take(connection, settings, now))


def of(look: Look) -> Health:
    """Judge what a look sees; in the transaction that it was taken in."""
    cause = freshness(look)
    waiting = measures.waiting(look)
    taken = (
        measures.runtime(look),
        measures.failed(look),
        measures.lag(look, cause),
        measures.pending(look, cause, waiting),
    )
    watermark = look.mark.last_processed_timestamp
    return Health(
        at=look.at,
        state=worst([one.state for one in taken]),
        cause=cause,
        measures=taken,
        watermark=watermark,
        due=look.due.instant,
        next_due=look.due.following,
        behind_since=look.due.since,
        watermark_age_seconds=seconds(look.at - watermark),
        backlog_events=waiting.backlog,
        last_run=measures.last_run(look),
    )
