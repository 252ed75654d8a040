"""A snapshot: who there was, and what had happened, counted one by one."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from fractions import Fraction
from typing import Any, Protocol

from tests.support.oracle.lives import Customer, Event, Life, lives_of, named_type
from tests.support.oracle.moments import BEFORE_ALL, DAY, Moment, moment

#: What is counted of the lives of customers, so what stays where events of theirs have vanished.
OF_CUSTOMERS = (
    "total_customers",
    "active_customers",
    "inactive_customers",
    "customers_by_status",
    "avg_customer_lifetime_days",
    "new_customers_in_window",
)
_WINDOW = ("new_customers_in_window", "new_events_in_window")

Figures = dict[str | None, dict[str, Any]]


class Told(Protocol):
    """All that figures are a function of."""

    @property
    def consumers(self) -> Iterable[tuple[uuid.UUID, Moment | None]]:
        """Registered consumers, and when."""

    @property
    def customers(self) -> Mapping[uuid.UUID, Customer]:
        """What tells of each customer."""

    @property
    def events(self) -> Iterable[Event]:
        """What is in the source, and what has vanished."""

    @property
    def creations_vanished(self) -> Collection[uuid.UUID | None]:
        """Consumers of whom creation events have vanished."""


def snapshot(sources: Told, at: dt.datetime, window_start: dt.datetime | None = None) -> Figures:
    """Count everything as of an instant.

    Returns:
        Consumer id (None: the whole system) to its figures, under the keys of
        `metrics_json`, provenance aside.
    """
    then = moment(at)
    start = moment(window_start or dt.datetime.min.replace(tzinfo=dt.UTC))
    lives: dict[uuid.UUID | None, list[Life]] = defaultdict(list)
    present: set[uuid.UUID | None] = {
        consumer
        for consumer, created in sources.consumers
        if created is not None and created < then
    }
    for customer in sources.customers.values():
        for life in lives_of(customer, sources.creations_vanished):
            if life.holds(then):
                lives[life.consumer].append(life)
            if life.birth is not None and life.birth < then:
                present.add(life.consumer)
    types: dict[uuid.UUID | None, Counter[str]] = defaultdict(Counter)
    new_events: Counter[uuid.UUID | None] = Counter()
    for event in sources.events:
        if event.at < then:
            types[event.consumer][named_type(event.kind)] += 1
            new_events[event.consumer] += event.at >= start
    present |= set(types)
    present.discard(None)
    answer: Figures = {
        str(consumer): {
            **of_lives(lives[consumer], then, start),
            "total_events": sum(types[consumer].values()),
            "events_by_type": dict(types[consumer]),
            "new_events_in_window": new_events[consumer],
        }
        for consumer in present
    }
    answer[None] = whole(answer, len(lives[None]), sum(types[None].values()))
    return answer


def birthless(sources: Told, at: dt.datetime) -> set[uuid.UUID | None]:
    """Return who had customers at an instant of whom nothing tells when they were born."""
    return {
        life.consumer
        for customer in sources.customers.values()
        for life in lives_of(customer, sources.creations_vanished)
        if life.birth is None and life.holds(moment(at))
    }


def of_lives(lives: list[Life], at: Moment, start: Moment) -> dict[str, Any]:
    """Count a consumer's customers that existed at an instant."""
    statuses = Counter(life.status(at) for life in lives)
    births = [life.birth for life in lives if life.birth is not None]
    told = [at - birth for birth in births if birth != BEFORE_ALL]
    return {
        "total_customers": len(lives),
        "active_customers": statuses["ACTIVE"],
        "inactive_customers": statuses["INACTIVE"],
        "customers_by_status": {name: n for name, n in statuses.items() if n},
        "avg_customer_lifetime_days": (
            rounded(Fraction(int(sum(told)), len(told) * DAY), 2) if told else None
        ),
        "new_customers_in_window": sum(birth >= start for birth in births),
    }


def rounded(value: Fraction, places: int) -> float:
    """Round half away from zero, exactly."""
    scaled = abs(value) * 10**places
    whole_part = (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)
    return float(Fraction(whole_part, 10**places)) * (-1 if value < 0 else 1)


def whole(answer: Figures, unattributed_customers: int, unattributed_events: int) -> dict[str, Any]:
    """Add up the consumers' figures."""
    rows = [figures for consumer, figures in answer.items() if consumer is not None]
    by_status: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    for figures in rows:
        by_status.update(figures["customers_by_status"])
        by_type.update(figures["events_by_type"])
    total = sum(by_status.values())
    ratio = Fraction(by_status["ACTIVE"], total) if total else Fraction(0)
    return {
        "snapshot_type": "GLOBAL",
        "consumers_in_system": len(rows),
        "total_customers_all_consumers": total,
        "active_customers_all_consumers": by_status["ACTIVE"],
        "inactive_customers_all_consumers": by_status["INACTIVE"],
        "customers_by_status_all_consumers": {name: n for name, n in by_status.items() if n},
        "system_wide_active_ratio": rounded(ratio, 4),
        "total_events_all_consumers": sum(by_type.values()),
        "events_by_type_all_consumers": dict(by_type),
        "unattributed_customers": unattributed_customers,
        "unattributed_events": unattributed_events,
        "new_customers_in_window": sum(row["new_customers_in_window"] for row in rows),
        "new_events_in_window": sum(row["new_events_in_window"] for row in rows),
    }


def without_window(figures: Figures) -> Figures:
    """Leave the window's figures aside."""
    return {
        consumer: {key: value for key, value in metrics.items() if key not in _WINDOW}
        for consumer, metrics in figures.items()
    }
