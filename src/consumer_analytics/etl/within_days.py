"""Within days: whether snapshots of instants inside a day say what there was before them.

Events are counted by UTC day. One that is moved within its day past an instant that was reported,
or one that goes where another comes, changes no day's count: what differs is what the snapshot of
that instant says. Whoever counts days again asks here, before what was counted is folded in.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.etl import archived
from consumer_analytics.etl.plan import Plan
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query


def look(
    connection: Connection, settings: Settings, plan: Plan, consumers: Sequence[Any] | None = None
) -> None:
    """Have snapshots restated that say other events, of the days that a plan counts again.

    Within the caller's transaction, under the job's lock. Where no snapshot lies within one of the
    days, no event is read.

    Args:
        connection: in a transaction.
        settings: where the source is.
        plan: which days.
        consumers: only their events; None: all.
    """
    if not plan.recount:
        return
    connection.execute("drop table if exists pg_temp.cuts")
    connection.execute(query("etl/within_days/cuts"), {"days": plan.recount_multirange})
    if not scalar(connection, "select exists (select from pg_temp.cuts)"):
        return
    wanted = sql.SQL("true")
    values: dict[str, Any] = {}
    if consumers is not None:
        wanted = sql.SQL("consumer_id = any(%(consumers)s)")
        values["consumers"] = list(consumers)
    days, cuts = connection.execute(query("etl/within_days/cut-days")).fetchone() or ("{}", [])
    held = archived.held(connection, settings, days, cuts)
    first = query("etl/within_days/first", settings.sources, wanted=wanted, **held)
    (moved,) = connection.execute(first, values or None).fetchone() or (None,)
    if moved is not None:
        after = moved - dt.timedelta(microseconds=1)
        connection.execute(query("shared/state-restate-after"), {"after": after})
        connection.execute(query("etl/backfill-changed"), {"after": after})


def look_where_asked(connection: Connection, settings: Settings, plan: Plan) -> None:
    """Do as `look` does where somebody has asked for days to be counted again.

    By setting the watermark back, or by changes that capture noted, with whose events they are
    about. Days of other plans are read again for the sake of what these write.

    Args:
        connection: in a transaction.
        settings: where the source is.
        plan: which days.
    """
    state = plan.job_state
    if state.watermark < state.processed_through:
        look(connection, settings, plan)
    elif state.touched_notes:
        look(connection, settings, plan, scalar_of(connection, "etl/within_days/whom"))
