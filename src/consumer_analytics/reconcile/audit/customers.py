"""Customers: each one's lives, built forward from birth to end, and asked at every instant.

What happened to a customer is laid out in order of time, cut into lives, and each life into
stretches of one status. Where a figure is asked for, it is how many stretches lie over the
instant.
"""

from __future__ import annotations

import datetime as dt

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def build(
    connection: Connection,
    settings: Settings,
    bounds: list[dt.datetime],
    *,
    with_vanished: bool,
) -> None:
    """Build the lives of all customers, and place them by the bounds.

    Args:
        connection: in the audit's transaction.
        settings: where the source is.
        bounds: instants and starts of windows, ascending.
        with_vanished: whether to heed that events have vanished.
    """
    sources = settings.sources
    is_noted = sql.Literal(with_vanished)
    connection.execute(query("reconcile/audit/customers/marks", sources))
    connection.execute("analyze audit_marks")
    connection.execute(
        query("reconcile/audit/customers/marks-remembered", sources, is_noted=is_noted)
    )
    connection.execute(query("reconcile/audit/customers/others", sources))
    connection.execute("analyze audit_others")
    connection.execute(query("reconcile/audit/customers/lives", sources, is_noted=is_noted))
    connection.execute("analyze audit_lives")
    connection.execute(query("reconcile/audit/customers/steps"), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/births"), {"bounds": bounds})
    connection.execute(query("reconcile/audit/customers/owners", sources))
    connection.execute("analyze audit_steps; analyze audit_births; analyze audit_owners")
    connection.execute(query("reconcile/audit/customers/changes"))
    connection.execute("analyze audit_changes (is_whole, consumer_id, place)")
