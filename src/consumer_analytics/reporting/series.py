"""Figures over time: of the system, of a consumer."""

from __future__ import annotations

import datetime as dt
import itertools
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from psycopg import sql

from consumer_analytics.db import documents
from consumer_analytics.db.connection import Connection
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.sql import query

#: Points of a chart, where nobody says otherwise, and at most.
POINTS = 200
MOST_POINTS = 400
#: Event types, or statuses, told one by one; the rest is summed up as `OTHER`.
MOST_NAMES = 12
#: The same in a file of all snapshots.
MOST_COLUMNS = 200
OTHER = "(other)"
_FETCHED_AT_ONCE = 1_000

Source = Literal["live", "backfilled"]
#: The instants of the first and of the last snapshot.
Bounds = tuple[dt.datetime, dt.datetime]


@dataclass(frozen=True)
class Point:
    """A snapshot, as a chart shows it.

    A figure that the snapshot does not have, as somebody edited it, is None, and by name empty.

    Attributes:
        at: the snapshot's instant.
        since: the instant of the snapshot before it, of those shown; what `events` counts from.
            None for a snapshot at the range's very beginning, which the range starts from, and
            for the first of all.
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
        events: events since the snapshot before, of those shown; None where `since` is. They add
            up to what happened in the range.
        events_by_type: the same by type; empty where `since` is None.
    """

    at: dt.datetime
    since: dt.datetime | None
    source: Source
    revised: bool
    customers: int | None
    active: int | None
    inactive: int | None
    active_ratio: float | None
    customers_by_status: dict[str, int]
    consumers: int | None
    average_lifetime_days: float | None
    total_events: int | None
    events: int | None
    events_by_type: dict[str, int]


@dataclass(frozen=True)
class Series:
    """A chart's data.

    Attributes:
        consumer_id: whose; None for the whole system.
        range: the range's name, or `custom`.
        since: where it begins, as it was chosen; None without snapshots.
        until: where it ends, as it was chosen; None without snapshots.
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

    def __init__(self, at: dt.datetime, metrics: Any, revised: bool) -> None:
        """Take a row of the snapshots.

        Args:
            at: its instant.
            metrics: its `metrics_json`; somebody may have written into it whatever JSON can say.
            revised: whether it was restated.
        """
        self.at = at
        self.metrics: dict[str, Any] = metrics if isinstance(metrics, dict) else {}
        self.revised = revised
        self._suffix = "_all_consumers" if "snapshot_type" in self.metrics else ""
        self._lacks: tuple[Any, Any] = (None, None)
        self._counts: dict[str, dict[str, int] | None] = {}

    @classmethod
    def of_nothing(cls, at: dt.datetime) -> Document:
        """Return what a consumer that was not there yet had: nothing, which is no figure amiss."""
        made = cls(at, {}, False)
        made._lacks = (0, {})
        return made

    def count(self, key: str) -> int | None:
        """Return a figure such as `total_customers`; None where there is no number."""
        return documents.count(self.metrics.get(key + self._suffix, self._lacks[0]))

    def counts(self, key: str) -> dict[str, int] | None:
        """Return figures by name, such as `events_by_type`; None where there are none."""
        # Asked twice: for the snapshot's own point, and for the one after it.
        try:
            return self._counts[key]
        except KeyError:
            told = documents.counts(self.metrics.get(key + self._suffix, self._lacks[1]))
            self._counts[key] = told
            return told

    @property
    def consumers(self) -> int | None:
        """Consumers in the system; None for a consumer's own document."""
        return documents.count(self.metrics.get("consumers_in_system"))

    @property
    def average_lifetime_days(self) -> float | None:
        """Mean age of the customers."""
        return documents.number(self.metrics.get("avg_customer_lifetime_days"))

    @property
    def source(self) -> Source:
        """Who wrote it."""
        written_by = str(self.metrics.get("snapshot_source", ""))
        return "backfilled" if written_by.endswith("backfill") else "live"

    @property
    def ratio(self) -> float | None:
        """Active by customers, four decimals: the snapshot's own figure where it has one."""
        own = documents.number(self.metrics.get("system_wide_active_ratio"))
        if own is not None:
            return float(own)
        active, customers = self.count("active_customers"), self.count("total_customers")
        return None if active is None or customers is None else ratio(active, customers)


def whose(consumer: uuid.UUID | None) -> sql.Composable:
    """Return the condition that finds a consumer's snapshots, or the system's."""
    return sql.SQL("consumer_id is null" if consumer is None else "consumer_id = %(consumer)s")


def whom(consumer: uuid.UUID | None) -> dict[str, uuid.UUID]:
    """Return the value that `whose` names; none for the system's."""
    return {} if consumer is None else {"consumer": consumer}


def bounds(connection: Connection) -> Bounds | None:
    """Return the first and the last snapshot's instant, whosever; None without snapshots."""
    row = connection.execute(query("reporting/bounds")).fetchone()
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
    """Return a consumer's figures over a range, as `system`: the same range."""
    return _series(connection, consumer_id, span, points, known)


def _series(
    connection: Connection,
    consumer_id: uuid.UUID | None,
    span: Range,
    points: int,
    known: Bounds | None,
) -> Series:
    shown = None if consumer_id is None else str(consumer_id)
    found = known or bounds(connection)
    if found is None:
        return Series(shown, span.name, None, None, False, [], [], [])
    since, until = span.bounds(*found)
    begins, ends = span.held(*found)
    rows = connection.execute(
        query("reporting/series", whose=whose(consumer_id)),
        {**whom(consumer_id), **sliced(begins, ends, points)},
    ).fetchall()
    read = [Document(*row[:3]) for row in rows]
    start = _start(connection, consumer_id, read[0].at, begins) if read else None
    inside = [document for document in read if document.at >= begins]
    base = next((one for one in reversed(read) if one.at <= begins), start)
    types = _types(inside, base)
    statuses = _statuses(inside)
    return Series(
        consumer_id=shown,
        range=span.name,
        since=since,
        until=until,
        sampled=bool(rows and rows[0][3]),
        event_types=types,
        statuses=statuses,
        points=list(_points(read, start, begins, types, statuses)),
    )


@dataclass(frozen=True)
class WholeSeries:
    """All snapshots of a range.

    Attributes:
        event_types: the types of `events_by_type`, those with most events first.
        statuses: the statuses of `customers_by_status`, the most frequent first.
        points: the snapshots, the oldest first, as the server sends them.
    """

    event_types: list[str]
    statuses: list[str]
    points: Iterator[Point]


def every(connection: Connection, consumer_id: uuid.UUID | None, span: Range) -> WholeSeries:
    """Return all snapshots of a range: of the system, or of a consumer.

    In a transaction of the caller's: the rows come through a cursor of the server's.
    """
    found = bounds(connection)
    if found is None:
        return WholeSeries([], [], iter(()))
    begins, ends = span.held(*found)
    values = {**whom(consumer_id), "since": begins, "until": ends}
    names: dict[str, list[str]] = {"status": [], "type": []}
    for kind, name in connection.execute(
        query("reporting/series-names", whose=whose(consumer_id)), values
    ):
        names[kind].append(name)
    types, statuses = (_shortened(names[kind], MOST_COLUMNS) for kind in ("type", "status"))
    return WholeSeries(
        types, statuses, _every(connection, consumer_id, values, begins, types, statuses)
    )


def _every(
    connection: Connection,
    consumer_id: uuid.UUID | None,
    values: dict[str, Any],
    begins: dt.datetime,
    types: list[str],
    statuses: list[str],
) -> Iterator[Point]:
    with connection.cursor("dashboard_series") as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        cursor.execute(query("reporting/series-all", whose=whose(consumer_id)), values)
        read = (Document(*row) for row in cursor)
        first = next(read, None)
        if first is not None:
            start = _start(connection, consumer_id, first.at, begins)
            yield from _points(itertools.chain([first], read), start, begins, types, statuses)


def _start(
    connection: Connection, consumer_id: uuid.UUID | None, first: dt.datetime, begins: dt.datetime
) -> Document | None:
    """Return what a consumer that came within the range had before it came: nothing.

    Args:
        connection: to the product's database.
        consumer_id: whose; the system has always been there.
        first: the first of its snapshots that is shown, or is before those.
        begins: where the range begins.
    """
    if consumer_id is None or first <= begins:
        return None
    row = connection.execute(query("reporting/before"), {"consumer": consumer_id}).fetchone()
    return Document.of_nothing(row[0]) if row and row[0] is not None else None


def _points(
    read: Iterable[Document],
    start: Document | None,
    begins: dt.datetime,
    types: list[str],
    statuses: list[str],
) -> Iterator[Point]:
    """Yield the snapshots of a range, each with what it brought since the one before.

    Args:
        read: the snapshots, the oldest first; the first may lie before the range.
        start: what was before all of them; None where nothing is known.
        begins: where the range begins; a snapshot at that instant brought nothing to it.
        types: the event types to tell.
        statuses: the statuses to tell.
    """
    before = start
    for document in read:
        if document.at >= begins:
            since = before if document.at > begins else None
            yield _point(document, since, types, statuses)
        before = document


def sliced(begins: dt.datetime, ends: dt.datetime, points: int) -> dict[str, Any]:
    """Return the values by which a range is cut: the point at its beginning, and a slice for each.

    Args:
        begins: where the range begins.
        ends: where it ends.
        points: points, at most.
    """
    return {"since": begins, "until": ends, "points": points, "slices": max(1, points - 1)}


def _types(read: list[Document], before: Document | None) -> list[str]:
    """Return the event types that a chart tells one by one, those with most events first."""
    counted = _counted(read, "events_by_type")
    if not counted:
        return []
    earlier = (before and before.counts("events_by_type")) or {}
    since = {name: n - earlier.get(name, 0) for name, n in counted[-1].items()}
    # Others may have been there and be gone: what they counted was taken back.
    for name in set().union(*counted):
        since.setdefault(name, 0)
    return _told(since)


def _statuses(read: list[Document]) -> list[str]:
    """Return the statuses that a chart tells one by one, the most frequent first."""
    counted = _counted(read, "customers_by_status")
    if not counted:
        return []
    latest = dict(counted[-1])
    for name in set().union(*counted):
        latest.setdefault(name, 0)
    return _told(latest)


def _counted(read: list[Document], key: str) -> list[dict[str, int]]:
    return [counts for document in read if (counts := document.counts(key)) is not None]


def _told(counts: dict[str, int]) -> list[str]:
    names = [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]
    return _shortened(names, MOST_NAMES)


def _shortened(names: list[str], most: int) -> list[str]:
    return names if len(names) <= most else [*names[: most - 1], OTHER]


def _folded(
    counts: dict[str, int] | None, names: list[str], less: dict[str, int] | None
) -> dict[str, int]:
    """Return the counts of these names, all others summed up where `OTHER` is the last.

    Args:
        counts: by name; None where they are missing, which leaves nothing to tell.
        names: what is told.
        less: what is taken off, by name; likewise.
    """
    if counts is None or less is None:
        return {}
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
    return Point(
        at=document.at,
        since=before.at if before else None,
        source=document.source,
        revised=document.revised,
        customers=document.count("total_customers"),
        active=document.count("active_customers"),
        inactive=document.count("inactive_customers"),
        active_ratio=document.ratio,
        customers_by_status=_folded(document.counts("customers_by_status"), statuses, {}),
        consumers=document.consumers,
        average_lifetime_days=document.average_lifetime_days,
        total_events=events,
        events=grown(events, before.count("total_events") if before else None),
        events_by_type=_folded(by_type, types, before.counts("events_by_type")) if before else {},
    )


def grown(value: int | None, before: int | None) -> int | None:
    """Return by how much a figure has grown; None where one of the two is missing."""
    return None if value is None or before is None else value - before


def instants(
    connection: Connection, begins: dt.datetime, ends: dt.datetime, points: int
) -> tuple[list[dt.datetime], bool]:
    """Return the instants of the system's snapshots in a range, at most `points` of them.

    Returns:
        The instants, the oldest first, and whether the range has more of them.
    """
    rows = connection.execute(query("reporting/instants"), sliced(begins, ends, points)).fetchall()
    return [at for at, _ in rows], bool(rows and rows[0][1])
