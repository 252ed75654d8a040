"""The events that wait to be processed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from consumer_analytics.db import own_names
from consumer_analytics.db.connection import Connection, named_row
from consumer_analytics.errors import SourceError
from consumer_analytics.etl import sources, watermark
from consumer_analytics.sql import query

if TYPE_CHECKING:
    import datetime as dt

    from consumer_analytics.monitoring.observation.due import Due
    from consumer_analytics.settings import Settings

#: Counting goes no further than this.
MOST_EVENTS = 1_000_000


@dataclass(frozen=True)
class Backlog:
    """Events that are not processed yet, each counted up to `MOST_EVENTS`.

    Attributes:
        due: from before the last instant due; 0 where the watermark has reached it.
        all: from before now, whatever the schedule; None where they cannot be counted.
        reason: why they cannot be counted; None where they are.
    """

    due: int
    all: int | None
    reason: str | None = None

    @classmethod
    def count(
        cls,
        connection: Connection,
        settings: Settings,
        mark: watermark.Watermark,
        due: Due,
        at: dt.datetime,
    ) -> Backlog:
        """Count the events that wait at an instant.

        Where a run could not read them either, all else is to be seen and told as ever.
        """
        try:
            # A savepoint: what was seen before is judged all the same.
            with connection.transaction():
                counted = named_row(
                    connection,
                    query("monitoring/observation/events-pending", settings.sources),
                    watermark=mark.reach,
                    due=due.instant if due.since is not None else None,
                    now=at,
                    limit=MOST_EVENTS,
                )
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
            lacking = _lacking(connection, settings)
            if not lacking:
                raise
            return cls(0, None, "; ".join(lacking))
        return cls(counted["pending"], counted["backlog"])


def _lacking(connection: Connection, settings: Settings) -> list[str]:
    """Return what the sources lack, where the database takes them to be called as we do."""
    if settings.shards_file is not None:
        return []
    try:
        with connection.transaction():
            if own_names.adopted(connection) is not None:
                own_names.require_adopted(connection, settings.sources)
            return [one.says for one in sources.lacks(connection, settings.sources)]
    except (psycopg.Error, SourceError):
        # Who called says how they are called.
        return []
