"""Which snapshots a change is between: the same ones on every page, whosever figures they are."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from consumer_analytics.db.connection import Connection
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Between:
    """The instants of the system's snapshots that a range's figures come from.

    A consumer that has no row at one of them was not there yet: it had nothing.

    Attributes:
        at: the last one at or before the range's end; None where there is none.
        before: the last one at or before its beginning, which levels are compared with; None
            where there is none, or where it is the same as `at`.
        earlier: the last one at least as long before `before` as that is before `at`; what
            happened between these two is compared with what happened since. None where there is
            none.
    """

    at: dt.datetime | None
    before: dt.datetime | None
    earlier: dt.datetime | None


def between(connection: Connection, since: dt.datetime, until: dt.datetime) -> Between:
    """Return the snapshots that the changes over a range are between.

    Args:
        connection: to the product's database.
        since: where the range begins.
        until: where it ends.
    """
    row = connection.execute(
        query("reporting/between"), {"since": since, "until": until}
    ).fetchone()
    at, before, earlier = row or (None, None, None)
    return Between(at, None, None) if before == at else Between(at, before, earlier)
