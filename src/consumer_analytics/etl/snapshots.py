"""The snapshots of a plan, as one query that answers them."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.figures import Figures
from consumer_analytics.etl.plan import Plan
from consumer_analytics.etl.rendering import render
from consumer_analytics.etl.shape import shape_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def snapshots_of_plan(
    connection: Connection,
    settings: Settings,
    extracted_customers: sql.Composable,
    plan: Plan,
    snapshot_source: str,
) -> tuple[sql.Composed, dict[str, Any]]:
    """Compose what answers the snapshots of a plan, the system's last; `event_slots` is there.

    Within the caller's transaction.

    Returns:
        The query, and its values.
    """
    figures = Figures(connection, settings, plan.bounds, snapshot_source)
    types, statuses = connection.execute(
        query("etl/snapshots/names", extracted_customers=extracted_customers)
    ).fetchone() or ((), ())
    last = len(plan.snapshots)
    figures.lay_out(
        shape_of(types, statuses, settings.sources.words),
        sql.SQL("({})").format(
            query("etl/snapshots/customers-moved", extracted_customers=extracted_customers)
        ),
        sql.SQL("({})").format(query("etl/snapshots/events-moved", last=sql.Literal(last))),
    )
    figures.accumulate(1, last)
    consumers, whole, values = render(figures, 1)
    return sql.SQL("{}{}\nunion all\n{}").format(
        figures.parts, consumers, whole
    ), figures.values | values
