"""What was noticed, what is known, and what is over."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg.rows import class_row

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.formatting import count, counted, moment
from consumer_analytics.monitoring.anomalies.judging import Judgement
from consumer_analytics.sql import query

_HOUR = dt.timedelta(hours=1)
_LEAST_DAY = 23


@dataclass(frozen=True)
class KindOfAnomaly:
    """How a kind is told.

    Attributes:
        label: what a table calls it.
        title: what stands behind a consumer's name in a subject line.
    """

    label: str
    title: str


KINDS: Mapping[str, KindOfAnomaly] = {
    "silent": KindOfAnomaly("No events", "is silent"),
    "fewer": KindOfAnomaly("Fewer events", "has fewer events than usual"),
    "more": KindOfAnomaly("More events", "has more events than usual"),
    "customers": KindOfAnomaly("Lost customers", "loses customers"),
    "type": KindOfAnomaly("New type", "is flooded by a new type of events"),
}


@dataclass(frozen=True)
class Anomaly:
    """Something that is, or was, odd with a consumer.

    Attributes:
        anomaly_id: its number in this database.
        consumer_id: whose.
        kind: `silent`, `fewer`, `more`, `customers` or `type`.
        event_type: the type that floods; None for the other kinds.
        begins: where the window begins in which it was noticed.
        ends: where that ends: the instant of the snapshot that showed it.
        observed: events in the window, of the type where there is one; or customers lost.
        expected: what is usual in such a window; of all types.
        low: the least that is usual.
        high: the most.
        seen_at: the last snapshot that still showed it.
        over_at: the first that did not; None while it lasts.
    """

    anomaly_id: int
    consumer_id: uuid.UUID
    kind: str
    event_type: str | None
    begins: dt.datetime
    ends: dt.datetime
    observed: float
    expected: float
    low: float
    high: float
    seen_at: dt.datetime
    over_at: dt.datetime | None

    @property
    def label(self) -> str:
        """What a table calls it."""
        return KINDS[self.kind].label

    @property
    def text(self) -> str:
        """What was noticed, in a sentence without its full stop."""
        window = f"in the {self._length} to {moment(self.ends, to='minutes')}"
        observed = round(self.observed)
        if self.kind == "customers":
            return f"{counted(observed, 'customer')} lost {window}, where {self.usual} are usual"
        if self.kind == "type":
            return f"{counted(observed, 'event')} of {self.event_type!r}, new this week, {window}"
        events = "no events" if not observed else counted(observed, "event")
        return f"{events} {window}, where {self.usual} are usual"

    @property
    def _length(self) -> str:
        hours = round((self.ends - self.begins) / _HOUR)
        # A day of the clock may have an hour more or less.
        count_, what = (hours, "hour") if hours < _LEAST_DAY else (round(hours / 24), "day")
        return what if count_ == 1 else counted(count_, what)

    @property
    def usual(self) -> str:
        """What is usual in such a window, and the range of that."""
        low, high = (count(round(max(one, 0))) for one in (self.low, self.high))
        return f"{count(round(max(self.expected, 0)))} ({low} to {high})"


def note(connection: Connection, judgement: Judgement) -> list[Anomaly]:
    """Keep what is odd at a snapshot, and what is not any more, in the caller's transaction.

    Returns:
        What is odd now, as it is kept.
    """
    windows = judgement.windows
    with connection.cursor() as cursor:
        cursor.executemany(
            query("monitoring/anomalies/note"),
            [
                {
                    "consumer": one.consumer_id,
                    "kind": one.kind,
                    "event_type": one.event_type,
                    "begins": windows[one.hours].begins,
                    "ends": windows[one.hours].ends,
                    "observed": one.observed,
                    "expected": one.expected,
                    "low": one.low,
                    "high": one.high,
                    "at": judgement.at,
                }
                for one in judgement.oddities
            ],
        )
    close_all(connection, judgement.at)
    connection.execute(query("monitoring/anomalies/looks-note"), {"at": judgement.at})
    return still_open(connection)


def close_all(connection: Connection, at: dt.datetime) -> None:
    """Note as over whatever a snapshot does not show."""
    connection.execute(query("monitoring/anomalies/close"), {"at": at})


def judged_to(connection: Connection) -> dt.datetime | None:
    """Return the newest snapshot at which consumers were judged; None where none was."""
    at: dt.datetime | None = scalar_of(connection, "monitoring/anomalies/looks")
    return at


def still_open(connection: Connection) -> list[Anomaly]:
    """Return what is odd now, by consumer."""
    with connection.cursor(row_factory=class_row(Anomaly)) as cursor:
        return cursor.execute(query("monitoring/anomalies/open")).fetchall()


def of_consumer(connection: Connection, consumer_id: uuid.UUID, limit: int) -> list[Anomaly]:
    """Return what is and was odd with a consumer, what lasts first, then the newest."""
    with connection.cursor(row_factory=class_row(Anomaly)) as cursor:
        return cursor.execute(
            query("monitoring/anomalies/of-consumer"), {"consumer": consumer_id, "limit": limit}
        ).fetchall()
