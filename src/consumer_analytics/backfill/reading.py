"""Reading: all that is needed is laid out as cells in temporary tables, in one transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import psycopg
from psycopg import sql

from consumer_analytics.backfill import columns, customers, events
from consumer_analytics.backfill.job import Job
from consumer_analytics.backfill.sources import EventSources
from consumer_analytics.backfill.transfer import Share, exchange
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.etl import job_state
from consumer_analytics.etl.figures import Figures
from consumer_analytics.etl.job_state import JobState
from consumer_analytics.etl.shape import Shape, shape_of
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Reading:
    """What has been read of a range, and is to be written.

    Attributes:
        figures: laid out in the temporary tables of the session that has read them.
        state: where the job stood then.
        bounds: of the periods.
    """

    figures: Figures
    state: JobState
    bounds: tuple[dt.datetime, ...]


def make_room(connection: Connection) -> None:
    """Give a session memory for its temporary tables: only before it has the first of them.

    One that a pooler has kept may have had some.
    """
    with suppress(psycopg.errors.InvalidParameterValue), connection.transaction():
        connection.execute("select set_config('temp_buffers', '64MB', false)")


def read(
    connection: Connection,
    job: Job,
    bounds: tuple[dt.datetime, ...],
    share: Share | None = None,
) -> Reading:
    """Lay out the cells of the periods, within the caller's transaction.

    Args:
        connection: its temporary tables are used, and outlive the transaction.
        job: the backfill at work.
        bounds: of the periods.
        share: this session's, where there are two.

    Returns:
        What is to be written.
    """
    make_room(connection)
    # Of the cells only sizes and widths matter.
    connection.execute("select set_config('default_statistics_target', '10', false)")
    if share is not None:
        # A worker of the one session would take its core from the other, which has more to read.
        connection.execute("set local max_parallel_workers_per_gather = 0")
    figures = Figures(connection, job.settings, bounds, job.request.source, stays=True)
    state = job_state.read(connection)
    with job.counts.timed("read"):
        _lay_out(connection, job, figures, state, bounds, share)
    return Reading(figures, state, bounds)


def _lay_out(
    connection: Connection,
    job: Job,
    figures: Figures,
    state: JobState,
    bounds: tuple[dt.datetime, ...],
    share: Share | None,
) -> None:
    """Count customers and events into the figures' cells, within the caller's transaction."""
    settings, request, counts = job.settings, job.request, job.counts
    types = share.types if share is not None else columns.types(connection, settings)
    before, after = 0, len(bounds) - 1
    once, statuses = False, None
    connection.execute("drop table if exists pg_temp.backfill_counted, pg_temp.backfill_customers")
    changes = query("shared/customers-changes", table=customers.CHANGES, lifetime=sql.SQL(""))
    connection.execute(changes)
    if share is None or not share.first:
        with counts.timed("read events"):
            sources = EventSources(state, bounds)
            once = events.count(connection, settings, sources, bounds, types, request)
    if share is None or share.first:
        with counts.timed("read customers"):
            statuses = customers.count(connection, settings, state, bounds, job.corrected)
    if share is not None:
        with counts.timed("exchange"):
            statuses, once = exchange(connection, share, statuses, once=once)
        before, after = (0, share.middle) if share.first else (share.middle, after)
    with counts.timed("lay out"):
        connection.execute("analyze pg_temp.backfill_customers")
        named: Sequence[str] = statuses or scalar(
            connection, "select array(select distinct status from pg_temp.backfill_customers)"
        )
        shape = shape_of(types, named, settings.sources.words)
        others = not once and scalar_of(connection, "backfill/rest-exists", {"types": list(types)})
        shape = Shape(shape.types, shape.statuses, shape.rest or others)
        figures.lay_out(
            shape,
            sql.SQL("(select * from {} where slot <= {})").format(customers.CHANGES, after),
            sql.SQL("({})").format(query("backfill/rest")),
            event_cells=lambda: events.cells(connection, shape, once=once),
            with_customer_cells=statuses is not None,
            consumers=request.consumers,
            before=before,
        )
        connection.execute(
            "analyze pg_temp.event_cells (consumer_id, slot); "
            "analyze pg_temp.customer_cells (consumer_id, slot); "
            "analyze pg_temp.listed_consumers; analyze pg_temp.figures_before (consumer_id); "
            "drop table pg_temp.backfill_customers; "
            "drop table if exists pg_temp.backfill_counted"
        )
