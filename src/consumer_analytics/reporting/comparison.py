"""Several consumers side by side, at the same instants."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import UsageError
from consumer_analytics.mapping import Sources
from consumer_analytics.reporting import consumers, series
from consumer_analytics.reporting.changes import between
from consumer_analytics.reporting.consumers import ConsumerRow
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.reporting.series import grown
from consumer_analytics.sql import query

#: Consumers compared at most.
MOST_COMPARED = 8
_FETCHED_AT_ONCE = 1_000


@dataclass(frozen=True)
class ComparedConsumer:
    """A consumer among those compared; its lists are as long as the comparison's `at`.

    Attributes:
        consumer_id: as text.
        name: as `consumers` has it; None where it has none.
        standing: its row of the table, at the comparison's `latest`; None without a snapshot there.
        customers: customers at each instant; None where it has no snapshot, or no number there.
        active: of those, the ones with status ACTIVE.
        active_ratio: active ÷ customers, four decimals; 0 without customers.
        total_events: events before each instant.
        events: events since the snapshot before, of those shown; None without a snapshot, at the
            range's very beginning, which the range starts from, and at the first snapshot of all.
    """

    consumer_id: str
    name: str | None
    standing: ConsumerRow | None
    customers: list[int | None]
    active: list[int | None]
    active_ratio: list[float | None]
    total_events: list[int | None]
    events: list[int | None]


@dataclass(frozen=True)
class Comparison:
    """Several consumers at the same instants.

    Attributes:
        range: the range's name, or `custom`.
        since: where it begins, as it was chosen; None without snapshots.
        until: where it ends, as it was chosen; None without snapshots.
        latest: the instant that `standing` is as of; None without snapshots.
        compared_with: the instant that its changes are since; None where no snapshot is that old.
        sampled: whether there are more snapshots than instants: each is then the last of its
            slice of the range.
        at: the instants, the oldest first.
        consumers: in the order asked for.
    """

    range: str
    since: dt.datetime | None
    until: dt.datetime | None
    latest: dt.datetime | None
    compared_with: dt.datetime | None
    sampled: bool
    at: list[dt.datetime]
    consumers: list[ComparedConsumer]


class ComparedPoint(NamedTuple):
    """A consumer at one instant; the same figures as `ComparedConsumer` has lists of."""

    consumer_id: str
    at: dt.datetime
    customers: int | None
    active: int | None
    active_ratio: float | None
    total_events: int | None
    events: int | None


def compare(
    connection: Connection,
    sources: Sources,
    consumer_ids: list[uuid.UUID],
    span: Range,
    points: int = series.POINTS,
    *,
    known: series.Bounds | None = None,
) -> Comparison:
    """Return several consumers' figures over a range, at the system's snapshots.

    Args:
        connection: to the product's database.
        sources: where `consumers` is, for the names.
        consumer_ids: who is compared.
        span: the range.
        points: instants, at most.
        known: the system's `bounds`, where the transaction has asked for them already.

    Raises:
        UsageError: none is named, or more than `MOST_COMPARED`.
    """
    wanted = _wanted(consumer_ids)
    names = _names(connection, sources, wanted)
    found = known or series.bounds(connection)
    if found is None:
        nobody = [
            ComparedConsumer(str(one), names.get(str(one)), None, [], [], [], [], [])
            for one in wanted
        ]
        return Comparison(span.name, None, None, None, None, False, [], nobody)
    since, until = span.bounds(*found)
    begins, ends = span.held(*found)
    instants = between(connection, since, until)
    at, sampled = series.instants(connection, begins, ends, points)
    asked = at if instants.before is None else sorted({instants.before, *at})
    rows = connection.execute(
        query("reporting/compare"), {"consumers": wanted, "instants": asked}
    ).fetchall()
    figures: dict[str, list[ComparedPoint]] = {str(one): [] for one in wanted}
    for point in _points(rows, begins):
        figures[point.consumer_id].append(point)
    standing = {
        row.consumer_id: row for row in consumers.rows(connection, sources, wanted, instants)
    }
    return Comparison(
        range=span.name,
        since=since,
        until=until,
        latest=instants.at,
        compared_with=instants.before,
        sampled=sampled,
        at=at,
        consumers=[
            ComparedConsumer(
                whom,
                names.get(whom),
                standing.get(whom),
                [point.customers for point in own],
                [point.active for point in own],
                [point.active_ratio for point in own],
                [point.total_events for point in own],
                [point.events for point in own],
            )
            for whom, own in figures.items()
        ],
    )


def every(
    connection: Connection, sources: Sources, consumer_ids: list[uuid.UUID], span: Range
) -> tuple[dict[str, str | None], Iterator[ComparedPoint]]:
    """Return several consumers' names, and their figures at all of a range's snapshots.

    In a transaction of the caller's: the rows come through a cursor of the server's.

    Args:
        connection: to the product's database.
        sources: where `consumers` is, for the names.
        consumer_ids: who is compared.
        span: the range.

    Raises:
        UsageError: none is named, or more than `MOST_COMPARED`.
    """
    wanted = _wanted(consumer_ids)
    return _names(connection, sources, wanted), _every(connection, wanted, span)


def _every(connection: Connection, wanted: list[uuid.UUID], span: Range) -> Iterator[ComparedPoint]:
    found = series.bounds(connection)
    if found is None:
        return
    begins, ends = span.held(*found)
    with connection.cursor("dashboard_compare") as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        cursor.execute(
            query("reporting/compare-all"), {"consumers": wanted, "since": begins, "until": ends}
        )
        yield from _points(cursor, begins)


def _wanted(consumer_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    wanted = list(dict.fromkeys(consumer_ids))
    if not 1 <= len(wanted) <= MOST_COMPARED:
        raise UsageError(f"name 1 to {MOST_COMPARED} consumers to compare")
    return wanted


def _names(
    connection: Connection, sources: Sources, wanted: list[uuid.UUID]
) -> dict[str, str | None]:
    rows = connection.execute(query("reporting/names", sources), {"consumers": wanted})
    return dict(rows.fetchall())


def _points(rows: Iterable[tuple[Any, ...]], begins: dt.datetime) -> Iterator[ComparedPoint]:
    """Yield the points of a range, each with the events since the snapshot before it.

    Args:
        rows: of `compare`, each consumer's together, the oldest first; the first instant may lie
            before the range.
        begins: where the range begins.
    """
    whose, before = None, None
    for whom, at, customers, active, total, is_there in rows:
        if whom != whose:
            whose, before = whom, None
        if at >= begins:
            yield ComparedPoint(
                whom,
                at,
                customers,
                active,
                None if customers is None or active is None else ratio(active, customers),
                total,
                grown(total, before) if at > begins else None,
            )
        # One that has no row was not there yet, and had no events.
        before = total if is_there else 0
