"""The systems that are measured, each on the same terms."""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod

from benchmarks.measure import Measured
from benchmarks.server import Database


class System(ABC):
    """Something that counts events and customers by consumer, period by period.

    Attributes:
        name: what the tables call it.
        less: what it does less than ours; empty where it does the same.
        table: where its snapshots are (`consumer_id`, `snapshot_timestamp`, `events_by_type`), to
            be compared with ours; None where it keeps none.
    """

    name: str
    less: str = ""
    table: str | None = None

    @abstractmethod
    def prepare(self, database: Database, until: dt.date | None) -> None:
        """Take the history before a day in, unmeasured, or none of it."""

    @abstractmethod
    def day(self, database: Database, day: dt.date) -> Measured:
        """Take one more day in and write the snapshot at its end."""

    @abstractmethod
    def backfill(self, database: Database, start: dt.date, end: dt.date) -> Measured:
        """Write the snapshots of all days of a range; what is before it was taken in."""

    def close(self) -> None:  # noqa: B027  (most keep nothing)
        """End what it keeps running."""
