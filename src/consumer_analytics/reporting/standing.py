"""Where things stand, and the change against the period before."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer_analytics.db import documents
from consumer_analytics.db.connection import Connection
from consumer_analytics.formatting import percent_of
from consumer_analytics.reporting.changes import between
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import (
    Bounds,
    Document,
    Source,
    bounds,
    grown,
    whom,
    whose,
)
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Figure:
    """A figure, and what it was a period earlier.

    Attributes:
        value: as of the latest snapshot; None where somebody edited that and it has no number.
        before: a period earlier; None where no snapshot is that old, or has no number.
        change: value less before; None without one of them.
        change_percent: the change in per cent of `before`, one decimal; None without `before`,
            or where that is 0.
    """

    value: int | float | None
    before: int | float | None
    change: int | float | None
    change_percent: float | None


@dataclass(frozen=True)
class CurrentFigures:
    """The latest snapshot of the system or of a consumer.

    Attributes:
        consumer_id: whose; None for the whole system.
        at: the snapshot's instant: the system's last one of the range, or an earlier one where the
            consumer has none there; None without snapshots, and then all is empty.
        source: who wrote it.
        revised: whether it was restated.
        range: the range that it is compared over, or `custom`.
        compared_with: the instant of the snapshot that levels are compared with: the system's last
            one at or before the range's beginning; None where there is none. A consumer that has
            no row there was not there yet, and had nothing.
        customers: customers at the instant.
        active: of those, the ones with status ACTIVE.
        active_ratio: active ÷ customers; its change is in the ratio's own unit.
        events: events between `compared_with` and `at`, against as long a time before that.
            All events, and nothing to compare with, without `compared_with`.
        consumers: consumers in the system; None for a consumer.
        total_events: all events before the instant; None where the snapshot has no number.
        average_lifetime_days: mean age of the customers; None for the system.
        customers_by_status: every status with its number.
        events_by_type: every type with its events, of all time.
        unattributed_events: rows whose `consumer_id` is NULL; 0 for a consumer; None where the
            system's snapshot has no number.
        unattributed_customers: the same for customers.
    """

    consumer_id: str | None
    at: dt.datetime | None
    source: Source | None
    revised: bool
    range: str
    compared_with: dt.datetime | None
    customers: Figure | None
    active: Figure | None
    active_ratio: Figure | None
    events: Figure | None
    consumers: Figure | None
    total_events: int | None
    average_lifetime_days: float | None
    customers_by_status: dict[str, int]
    events_by_type: dict[str, int]
    unattributed_events: int | None
    unattributed_customers: int | None


def figure(value: float | None, before: float | None, digits: int = 0) -> Figure:
    """Return a figure with its change, rounded to `digits` decimals where there are any."""
    if value is None or before is None:
        return Figure(value, before, None, None)
    change = round(value - before, digits) if digits else value - before
    return Figure(value, before, change, percent_of(change, before) if before else None)


def system(connection: Connection, span: Range, *, known: Bounds | None = None) -> CurrentFigures:
    """Return where the whole system stands.

    Args:
        connection: to the product's database.
        span: what the change is over.
        known: the system's `bounds`, where the transaction has asked for them already.
    """
    return _standing(connection, None, span, known)


def consumer(
    connection: Connection, consumer_id: uuid.UUID, span: Range, *, known: Bounds | None = None
) -> CurrentFigures:
    """Return where a consumer stands, as `system`, at the same snapshots."""
    return _standing(connection, consumer_id, span, known)


def _standing(
    connection: Connection, consumer_id: uuid.UUID | None, span: Range, known: Bounds | None
) -> CurrentFigures:
    shown = None if consumer_id is None else str(consumer_id)
    found = known or bounds(connection)
    now, before, earlier = (
        _documents(connection, consumer_id, *span.bounds(*found)) if found else (None, None, None)
    )
    if now is None:
        return CurrentFigures(
            shown, None, None, False, span.name, None, None, None, None, None, None, 0, None,
            {}, {}, 0, 0,
        )  # fmt: skip
    return CurrentFigures(
        consumer_id=shown,
        at=now.at,
        source=now.source,
        revised=now.revised,
        range=span.name,
        compared_with=before.at if before else None,
        customers=_level(now, before, "total_customers"),
        active=_level(now, before, "active_customers"),
        active_ratio=figure(now.ratio, before.ratio if before else None, 4),
        events=_flow(now, before, earlier),
        consumers=None
        if consumer_id is not None
        else figure(now.consumers, before.consumers if before else None),
        total_events=now.count("total_events"),
        average_lifetime_days=now.average_lifetime_days,
        customers_by_status=now.counts("customers_by_status") or {},
        events_by_type=now.counts("events_by_type") or {},
        unattributed_events=_stray(now, consumer_id, "unattributed_events"),
        unattributed_customers=_stray(now, consumer_id, "unattributed_customers"),
    )


def _documents(
    connection: Connection,
    consumer_id: uuid.UUID | None,
    since: dt.datetime,
    until: dt.datetime,
) -> tuple[Document | None, Document | None, Document | None]:
    """Return the snapshot of a range, the one it is compared with, and one as long before that."""
    instants = between(connection, since, until)
    at = instants.at
    there = _at(connection, consumer_id, [instants.at, instants.before, instants.earlier])
    if consumer_id is not None and at not in there:
        # It is gone, or only a backfill of its own has written it.
        at = connection.execute(
            query("reporting/latest"), {"consumer": consumer_id, "until": until}
        ).fetchone()[0]  # type: ignore[index]  # an aggregate has a row
        there |= _at(connection, consumer_id, [at])
    if at is None or instants.before is None or instants.before >= at:
        return there.get(at), None, None
    return (
        there.get(at),
        _or_nothing(there, instants.before),
        _or_nothing(there, instants.earlier),
    )


def _at(
    connection: Connection, consumer_id: uuid.UUID | None, instants: Sequence[dt.datetime | None]
) -> dict[dt.datetime | None, Document]:
    """Return the snapshots at some instants, where there are any."""
    return {
        row[0]: Document(*row)
        for row in connection.execute(
            query("reporting/documents", whose=whose(consumer_id)),
            {**whom(consumer_id), "instants": [at for at in instants if at is not None]},
        )
    }


def _or_nothing(
    there: Mapping[dt.datetime | None, Document], at: dt.datetime | None
) -> Document | None:
    """Return the snapshot at an instant; one with nothing in it where the consumer has none."""
    return None if at is None else there.get(at) or Document.of_nothing(at)


def _level(now: Document, before: Document | None, key: str) -> Figure:
    return figure(now.count(key), before.count(key) if before else None)


def _flow(now: Document, before: Document | None, earlier: Document | None) -> Figure:
    key = "total_events"
    if before is None:
        return figure(now.count(key), None)
    compared = None if earlier is None else grown(before.count(key), earlier.count(key))
    return figure(grown(now.count(key), before.count(key)), compared)


def _stray(now: Document, consumer_id: uuid.UUID | None, key: str) -> int | None:
    """Return how many rows are nobody's: of the system's snapshots alone."""
    return 0 if consumer_id is not None else documents.count(now.metrics.get(key))
