"""Figures over time: of the system, of a consumer."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.sql import query

#: Points of a chart, where nobody says otherwise, and at most.
POINTS = 200
MOST_POINTS = 400
#: Event types, or statuses, told one by one; the rest is summed up as `OTHER`.
MOST_NAMES = 12
OTHER = "(other)"

Source = Literal["live", "backfilled"]
#: The instants of the first and of the last snapshot.
Bounds = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Point:
    """A snapshot, as a chart shows it.

    Attributes:
        at: the snapshot's instant.
        since: the instant of the snapshot shown before it; what `events` counts from. None
            for the first snapshot of all.
        source: `live` for one that a run wrote, `backfilled` for one that a backfill wrote.
        revised: whether it was restated: it said something else before.
        customers: customers that existed at the instant.
        active: of those, the ones with status ACTIVE.
        inactive: of those, the ones with status INACTIVE.
        active_ratio: active ÷ customers, four decimals; 0 without customers.
        customers_by_status: every status with its number.
        consumers: consumers in the system; None for a consumer's own series.
        average_lifetime_days: mean age of the customers, in days; None for the system's series,
            and where there are no customers.
        total_events: events before the instant.
        events: events since the snapshot shown before; None for the first of all.
        events_by_type: the same by type.
    """

    at: dt.datetime
    since: dt.datetime | None
    source: Source
    revised: bool
    customers: int
    active: int
    inactive: int
    active_ratio: float
    customers_by_status: dict[str, int]
    consumers: int | None
    average_lifetime_days: float | None
    total_events: int
    events: int | None
    events_by_type: dict[str, int]


@dataclass(frozen=True)
class Series:
    """A chart's data.

    Attributes:
        consumer_id: whose; None for the whole system.
        range: the range's name, or `custom`.
        since: where it begins; None without snapshots.
        until: where it ends; None without snapshots.
        sampled: whether there are more snapshots than points: each point is then the last
            snapshot of its slice of the range, and its events are those since the point before.
        event_types: the types of `events_by_type`, those with most events first.
        statuses: the statuses of `customers_by_status`, the most frequent first.
        points: the snapshots, the oldest first.
    """

    consumer_id: str | None
    range: str
    since: dt.datetime | None
    until: dt.datetime | None
    sampled: bool
    event_types: list[str]
    statuses: list[str]
    points: list[Point]


class Document:
    """A snapshot's row, its figures under one name whether system's or consumer's."""

    def __init__(self, at: dt.datetime, metrics: dict[str, Any], revised: bool) -> None:
        """Take a row of the snapshots.

        Args:
            at: its instant.
            metrics: its `metrics_json`.
            revised: whether it was restated.
        """
        self.at = at
        self.metrics = metrics
        self.revised = revised
        self._suffix = "_all_consumers" if "snapshot_type" in metrics else ""

    def count(self, key: str) -> int:
        """Return a figure such as `total_customers`."""
        return self.metrics.get(key + self._suffix) or 0

    def counts(self, key: str) -> dict[str, int]:
        """Return figures by name, such as `events_by_type`."""
        return self.metrics.get(key + self._suffix) or {}

    @property
    def source(self) -> Source:
        """Who wrote it."""
        written_by = str(self.metrics.get("snapshot_source", ""))
        return "backfilled" if written_by.endswith("backfill") else "live"

    @property
    def ratio(self) -> float:
        """Active by customers, four decimals: the snapshot's own figure where it has one."""
        own = self.metrics.get("system_wide_active_ratio")
        if own is not None:
            return float(own)
        return ratio(self.count("active_customers"), self.count("total_customers"))


def whose(consumer: uuid.UUID | None) -> sql.Composable:
    """Return the condition that finds a consumer's snapshots, or the system's."""
    return sql.SQL("consumer_id is null" if consumer is None else "consumer_id = %(consumer)s")


def whom(consumer: uuid.UUID | None) -> dict[str, uuid.UUID]:
    """Return the value that `whose` names; none for the system's."""
    return {} if consumer is None else {"consumer": consumer}


def bounds(connection: Connection, consumer: uuid.UUID | None) -> Bounds | None:
    """Return the first and the last snapshot's instant, or None without snapshots."""
    row = connection.execute(
        query("reporting/bounds", whose=whose(consumer)), whom(consumer)
    ).fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


def system(
    connection: Connection, span: Range, points: int = POINTS, *, known: Bounds | None = None
) -> Series:
    """Return the whole system's figures over a range.

    Args:
        connection: to the product's database.
        span: the range.
        points: points of the chart, at most.
        known: the `bounds`, where the transaction has asked for them already.
    """
    return _series(connection, None, span, points, known)


def consumer(
    connection: Connection,
    consumer_id: uuid.UUID,
    span: Range,
    points: int = POINTS,
    *,
    known: Bounds | None = None,
) -> Series:
    """Return a consumer's figures over a range, as `system`; it ends at its own latest snapshot."""
    return _series(connection, consumer_id, span, points, known)


def _series(
    connection: Connection,
    consumer_id: uuid.UUID | None,
    span: Range,
    points: int,
    known: Bounds | None,
) -> Series:
    shown = None if consumer_id is None else str(consumer_id)
    found = known or bounds(connection, consumer_id)
    if found is None:
        return Series(shown, span.name, None, None, False, [], [], [])
    since, until = span.bounds(*found)
    rows = connection.execute(
        query("reporting/series", whose=whose(consumer_id)),
        {**whom(consumer_id), "since": since, "until": until, "points": points},
    ).fetchall()
    documents = [Document(*row[:3]) for row in rows]
    before = documents.pop(0) if documents and documents[0].at < since else None
    types = _types(documents, before)
    statuses = _statuses(documents)
    series: list[Point] = []
    for document in documents:
        series.append(_point(document, before, types, statuses))
        before = document
    is_sampled = bool(rows and rows[0][3])
    return Series(shown, span.name, since, until, is_sampled, types, statuses, series)


def _types(documents: list[Document], before: Document | None) -> list[str]:
    """Return the event types that a chart tells one by one, those with most events first."""
    if not documents:
        return []
    key = "events_by_type"
    earlier = before.counts(key) if before else {}
    grown = {name: n - earlier.get(name, 0) for name, n in documents[-1].counts(key).items()}
    # Others may have been there and be gone: what they counted was taken back.
    for name in set().union(*(document.counts(key) for document in documents)):
        grown.setdefault(name, 0)
    return _told(grown)


def _statuses(documents: list[Document]) -> list[str]:
    """Return the statuses that a chart tells one by one, the most frequent first."""
    if not documents:
        return []
    key = "customers_by_status"
    latest = dict(documents[-1].counts(key))
    for name in set().union(*(document.counts(key) for document in documents)):
        latest.setdefault(name, 0)
    return _told(latest)


def _told(counts: dict[str, int]) -> list[str]:
    names = [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    return names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], OTHER]


def _folded(
    counts: dict[str, int], names: list[str], earlier: dict[str, int] | None = None
) -> dict[str, int]:
    """Return the counts of these names, all others summed up where `OTHER` is the last.

    Args:
        counts: by name.
        names: what is told.
        earlier: what is taken off, by name.
    """
    less = earlier or {}
    if not names or names[-1] != OTHER:
        return {name: counts.get(name, 0) - less.get(name, 0) for name in names}
    named = {name: counts.get(name, 0) - less.get(name, 0) for name in names[:-1]}
    named[OTHER] = sum(counts.values()) - sum(less.values()) - sum(named.values())
    return named


def _point(
    document: Document, before: Document | None, types: list[str], statuses: list[str]
) -> Point:
    events = document.count("total_events")
    by_type = document.counts("events_by_type")
    lifetime = document.metrics.get("avg_customer_lifetime_days")
    return Point(
        at=document.at,
        since=before.at if before else None,
        source=document.source,
        revised=document.revised,
        customers=document.count("total_customers"),
        active=document.count("active_customers"),
        inactive=document.count("inactive_customers"),
        active_ratio=document.ratio,
        customers_by_status=_folded(document.counts("customers_by_status"), statuses),
        consumers=document.metrics.get("consumers_in_system"),
        average_lifetime_days=lifetime,
        total_events=events,
        events=events - before.count("total_events") if before else None,
        events_by_type=_folded(by_type, types, before.counts("events_by_type")) if before else {},
    )


def instants(
    connection: Connection, since: dt.datetime, until: dt.datetime, points: int
) -> list[dt.datetime]:
    """Return the instants of the system's snapshots in a range, at most `points` of them."""
    rows = connection.execute(
        query("reporting/instants"), {"since": since, "until": until, "points": points}
    )
    return [at for (at,) in rows]
