"""Counting the customers' changes into cells: one row per consumer and slot."""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from consumer_analytics.backfill import columns, judging
from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import lives
from consumer_analytics.etl.customers import count_cells, count_customers
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.plan import Plan, TimeRange
from consumer_analytics.etl.shape import shape_of
from consumer_analytics.settings import Settings

#: The changes as one row for each status, where statuses do not all have a column.
CHANGES = sql.Identifier("pg_temp", "backfill_customers")


def count(
    connection: Connection,
    settings: Settings,
    state: JobState,
    bounds: tuple[dt.datetime, ...],
    corrected: str,
) -> tuple[str, ...] | None:
    """Count the customers' changes by consumer and slot into `customer_cells`.

    Returns:
        The statuses, each with a column; None where there are too many, or one
        that nobody thought of: then `backfill_customers` has a row for each.

    Raises:
        LivesLackingError: lifecycle events are gone that nobody has noted.
    """
    if state.processed_through < bounds[1]:
        # No run has taken in yet what ended before the first instant.
        ended = [TimeRange(state.processed_through, bounds[1])]
        lives.remember(connection, settings, ended, looking_back=True)
    counted = _count(connection, settings, state, bounds)
    judging.require_lives(connection, settings, state, bounds[1], corrected)
    return counted


def _count(
    connection: Connection,
    settings: Settings,
    state: JobState,
    bounds: tuple[dt.datetime, ...],
) -> tuple[str, ...] | None:
    """Count them as `count` does, from what lifecycle events there are."""
    shape = shape_of((), columns.statuses(connection, settings), settings.sources.words)
    if not shape.rest:
        statuses = dict(zip(shape.statuses, shape.customer_columns, strict=True))
        if count_cells(connection, settings, bounds, statuses, apart_from_before=True):
            return shape.statuses
    plan = Plan(state, bounds, state.processed_through, (), ())
    count_customers(connection, settings, plan, CHANGES)
    return None
