"""Snapshots with figures that only a digest tells: put right where it bears out what they were."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.db.connection import Connection
from consumer_analytics.reconcile.audit import customers, events, snapshots
from consumer_analytics.reconcile.audit.models import AuditResult
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def put_right(
    connection: Connection, settings: Settings, wrong: list[dt.datetime], reason: str
) -> int:
    """Put right what rows of these instants say that can be counted, beside what cannot.

    Runs keep what a row says of customers that the source can no longer tell: an edited row
    would be taken at its word. Here the digest decides.

    Args:
        connection: in a transaction, under the job's lock.
        settings: where the source is.
        wrong: instants with a difference, ascending.
        reason: kept with what the rows said.

    Returns:
        How many rows were put right.
    """
    if not wrong:
        return 0
    connection.execute(query("reconcile/audit/tables"))
    result = AuditResult()
    result.processed_through, _ = snapshots.awaited(connection)
    compared, bounds = snapshots.known(connection, wrong[0], wrong[-1], result, with_vanished=True)
    events.count(connection, settings, bounds, result, with_vanished=True)
    customers.build(connection, settings, bounds, with_vanished=True)
    chosen = sorted(set(compared) & set(wrong))
    rows = 0
    step = snapshots.at_once(connection, settings)
    for begin in range(0, len(chosen), step):
        chunk = chosen[begin : begin + step]
        snapshots.put_together(connection, settings, chunk, bounds, with_vanished=True)
        rows += connection.execute(
            query("reconcile/audit/proven/put-right"), {"reason": reason}
        ).rowcount
    connection.execute(query("reconcile/audit/forget"))
    return rows
