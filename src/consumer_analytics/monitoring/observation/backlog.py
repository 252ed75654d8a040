"""The events that wait to be processed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumer_analytics.db.connection import Connection, named_row
from consumer_analytics.etl import watermark
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
        all: from before now, whatever the schedule.
    """

    due: int
    all: int

    @classmethod
    def count(
        cls,
        connection: Connection,
        settings: Settings,
        mark: watermark.Watermark,
        due: Due,
        at: dt.datetime,
    ) -> Backlog:
        """Count the events that wait at an instant."""
        counted = named_row(
            connection,
            query("monitoring/observation/events-pending", settings.sources),
            watermark=mark.reach,
            due=due.instant if due.since is not None else None,
            now=at,
            limit=MOST_EVENTS,
        )
        return cls(counted["pending"], counted["backlog"])
