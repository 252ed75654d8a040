"""The figures of this moment, in the keys of a snapshot."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import SourceError, one_line
from consumer_analytics.sql import query

_VIEW = "consumer_analytics_now"


@dataclass(frozen=True)
class MomentRow:
    """What a snapshot row would say if it were written now.

    Attributes:
        consumer_id: whose; None for the whole system.
        metrics_json: the figures, under the keys of a snapshot.
    """

    consumer_id: str | None
    metrics_json: dict[str, Any]


@dataclass(frozen=True)
class Moment:
    """The figures of this moment, over what is committed.

    Attributes:
        at: the instant that the figures are as of; None where there is no row to see.
        settled_to: the instant before which nothing can change any more by what is still to be
            committed; None where that cannot be told.
        unsettled_because: why it cannot be told.
        rows: the whole system's first, for those who may see it; then the consumers'.
    """

    at: dt.datetime | None
    settled_to: dt.datetime | None
    unsettled_because: str | None
    rows: list[MomentRow]


def read(connection: Connection, only: Sequence[uuid.UUID] | None) -> Moment:
    """Return the figures of this moment.

    Args:
        connection: in a transaction that has asked nothing yet: it is made READ COMMITTED, since
            what is settled can only be told by looking before reading.
        only: whose; None for all, and the whole system.

    Raises:
        SourceError: a source is no table, or not there.
    """
    connection.execute("set transaction isolation level read committed")
    values = {"only": None if only is None else list(only)}
    try:
        rows = connection.execute(query("reporting/moment"), values).fetchall()
    except psycopg.errors.FeatureNotSupported as error:
        raise SourceError(error.diag.message_primary or one_line(error)) from None
    except psycopg.errors.UndefinedTable as error:
        lacking = error.diag.message_primary or one_line(error)
        if _VIEW in lacking:
            raise
        # No migration would bring it back.
        raise SourceError(
            f"a source table is not there ({lacking}): `consumer-analytics doctor` says more"
        ) from None
    at, settled_to, because = rows[0][1:4] if rows else (None, None, None)
    return Moment(
        at,
        settled_to,
        because,
        [MomentRow(None if row[0] is None else str(row[0]), row[4]) for row in rows],
    )
