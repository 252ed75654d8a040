"""Corrections of the counts that snapshots do not tell yet: so many events of a day more, or less.

What a correction changes of the figures of events is known: each snapshot of its consumer since,
and the whole system's, by so many. That costs a few rows, where computing snapshots again costs
all consumers. Where lifecycle events are among it, what snapshots say of customers is compared
besides. What cannot be proved of a row by the counts is given up: all
snapshots since are computed again then, as they are after any other correction.
"""

from __future__ import annotations

import datetime as dt
from enum import Enum

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.etl import vanished
from consumer_analytics.etl.plan import Plan
from consumer_analytics.etl.rendering import lay_apart
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


class Noted(Enum):
    """Whether corrections could be noted; and whether there are lifecycle events among them."""

    NOT = 0
    ALONE = 1
    WITH_LIVES = 2


def note(connection: Connection, settings: Settings, plan: Plan) -> Noted:
    """Note what a plan's fold has corrected, if it can be.

    Within the transaction that has folded: `event_changes` is there.
    """
    known = plan.job_state.processed_through
    if plan.job_state.watermark < known:
        # One that was set back by hand has all snapshots since looked at again.
        return Noted.NOT
    return Noted(
        scalar_of(
            connection,
            "etl/untold/note",
            {
                "processed_day": instants.day_of(known),
                "recount": plan.recount_multirange,
                "known": known,
                "most": vanished.MOST_TOLD,
            },
            sources=settings.sources,
        )
    )


def give_up(connection: Connection) -> None:
    """Have all snapshots that anything waits for computed again, within the caller's transaction.

    Whoever writes snapshots that are there already from the counts of now calls it first: what
    waits would be added to them a second time.
    """
    connection.execute(query("etl/untold/give-up"))


def reach(connection: Connection) -> tuple[dt.datetime, dt.datetime] | None:
    """Return between which instants snapshots wait for something; None where nothing waits.

    After the beginning of the first day that waits to be told, up to where snapshots had come.
    """
    row = connection.execute(query("etl/untold/since")).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def tell(
    connection: Connection,
    settings: Settings,
    reason: str,
    waiting: tuple[dt.datetime, dt.datetime],
    known: dt.datetime,
    restate_after: dt.datetime | None,
) -> tuple[int, list[tuple[dt.datetime, dt.datetime | None]]]:
    """Add what waits to the snapshots that it concerns, or give up; nothing waits then.

    Within the caller's transaction, under the job's lock.

    Args:
        connection: in a transaction.
        settings: where the source is.
        reason: kept with what a snapshot said before.
        waiting: what `reach` says.
        known: how far the counts reach.
        restate_after: snapshots after this instant are computed again in any case; None: none are.

    Returns:
        Snapshot rows restated, those that join a snapshot included, and the snapshots that have to
        be computed instead, each with the start of its window.
    """
    first, last = waiting
    connection.execute("drop table if exists pg_temp.untold_rows")
    if vanished.concerns(connection, first):
        give_up(connection)
        return 0, []
    concerned = query("etl/untold/concerned", settings.sources)
    last = last if restate_after is None else min(last, restate_after)
    connection.execute(concerned, {"first": first, "last": last})
    counted = {"last_day": instants.day_of(known), "known": known}
    if not scalar_of(connection, "etl/untold/sure", counted, sources=settings.sources):
        give_up(connection)
        return 0, []
    lay_apart(connection, query("etl/untold/rendered"))
    connection.execute(query("etl/untold/forget"))
    restated: int = scalar_of(connection, "shared/snapshots-insert")
    restated += connection.execute(query("shared/snapshots-restate"), {"reason": reason}).rowcount
    return restated, connection.execute(query("etl/untold/cut")).fetchall()
