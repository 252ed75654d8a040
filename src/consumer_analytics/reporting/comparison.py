"""Several consumers side by side, at the same instants."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import UsageError
from consumer_analytics.mapping import Sources
from consumer_analytics.reporting import series
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.sql import query

#: Consumers compared at most.
MOST_COMPARED = 8


@dataclass(frozen=True)
class ComparedConsumer:
    """A consumer among those compared; its lists are as long as the comparison's `at`.

    Attributes:
        consumer_id: as text.
        name: as `consumers` has it; None where it has none.
        customers: customers at each instant; None where it has no snapshot.
        active: of those, the ones with status ACTIVE.
        active_ratio: active ÷ customers, four decimals; 0 without customers.
        total_events: events before each instant.
        events: events since the instant before; None for the first one.
    """

    consumer_id: str
    name: str | None
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
        since: where it begins; None without snapshots.
        until: where it ends; None without snapshots.
        at: the instants, the oldest first.
        consumers: in the order asked for.
    """

    range: str
    since: dt.datetime | None
    until: dt.datetime | None
    at: list[dt.datetime]
    consumers: list[ComparedConsumer]


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
    wanted = list(dict.fromkeys(consumer_ids))
    if not 1 <= len(wanted) <= MOST_COMPARED:
        raise UsageError(f"name 1 to {MOST_COMPARED} consumers to compare")
    names: dict[str, str | None] = dict(
        connection.execute(query("reporting/names", sources), {"consumers": wanted}).fetchall()
    )
    found = known or series.bounds(connection, None)
    since, until = span.bounds(*found) if found else (None, None)
    at = series.instants(connection, since, until, points) if since and until else []
    rows: dict[str, list[tuple[Any, ...]]] = {str(one): [] for one in wanted}
    for whom, _, *figures in connection.execute(
        query("reporting/compare"), {"consumers": wanted, "instants": at}
    ):
        rows[whom].append(tuple(figures))
    return Comparison(
        span.name,
        since,
        until,
        at,
        [
            ComparedConsumer(
                whom,
                names.get(whom),
                [one[0] for one in figures],
                [one[1] for one in figures],
                [None if n is None else ratio(active or 0, n) for n, active, _ in figures],
                [one[2] for one in figures],
                _differences([one[2] for one in figures]),
            )
            for whom, figures in rows.items()
        ],
    )


def _differences(totals: list[int | None]) -> list[int | None]:
    """Return what each total has over the one before it; None where either is missing."""
    pairs = zip([None, *totals[:-1]], totals, strict=True) if totals else ()
    return [None if old is None or new is None else new - old for old, new in pairs]
