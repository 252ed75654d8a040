"""The job's state: how far the counts reach, and what they have to be told again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from consumer_analytics.db.connection import MINUS_INFINITY, Connection
from consumer_analytics.etl import watermark
from consumer_analytics.sql import query


@dataclass(frozen=True)
class JobState:
    """Where the job stands: how far it has come, and what has changed below that.

    Attributes:
        watermark: as `etl_job_watermarks` has it, whoever wrote it.
        processed_through: how far the counts by day have taken the source in.
        version: of those counts.
        touched: days that something below `processed_through` has changed.
        touched_notes: how many notes say so: with the version, it tells one
            reading of them from another.
        restates_from: the first of these days whose notes can concern more than
            the day's own counts; None where no note does.
        customers_from: the first of these days since which customers may be others than
            snapshots say, and nothing else; None where no note says so.
    """

    watermark: dt.datetime
    processed_through: dt.datetime
    version: int
    touched: tuple[dt.date, ...]
    touched_notes: int
    restates_from: dt.date | None
    customers_from: dt.date | None = None

    @property
    def asks_to_count_again(self) -> bool:
        """Whether days are to be counted again: by a watermark set back, or by notes."""
        return self.watermark < self.processed_through or self.touched_notes > 0


def read(connection: Connection) -> JobState:
    """Read the job's state, within the caller's transaction."""
    processed, version, touched, notes, restates_from, customers_from = connection.execute(
        query("etl/job_state/read")
    ).fetchone() or (MINUS_INFINITY, 0, [], 0, None, None)
    return JobState(
        watermark.read(connection).last_processed_timestamp,
        processed,
        version,
        tuple(touched),
        notes,
        restates_from,
        customers_from,
    )


def restate_from(connection: Connection, at: dt.datetime) -> None:
    """See to it that snapshots from an instant on are looked at again."""
    after = {"after": at - dt.timedelta(microseconds=1)}
    connection.execute(query("shared/state-restate-after"), after)


@dataclass(frozen=True)
class ToCompare:
    """What snapshots say of customers, to be compared with who there was.

    Attributes:
        after: those after this instant.
        consumers: whose customers; None: everybody's.
        until: where they are some consumers', up to this instant: what was written later knew of
            what had come. None where they are everybody's.
    """

    after: dt.datetime
    consumers: Sequence[uuid.UUID] | None
    until: dt.datetime | None


def to_compare(connection: Connection) -> ToCompare | None:
    """Return where snapshots are to be compared with customers; None: nowhere."""
    row = connection.execute(query("etl/job_state/customers-after")).fetchone()
    return None if row is None else ToCompare(*row)
