"""A slow, obviously right recount of a snapshot, in plain Python.

It shares no code with the engine and takes the contract literally: today's
customers with the lifecycle events from T on undone, one by one, the last
first; events before T counted one by one.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg

LIFECYCLE = ("customer_creation", "customer_status_change", "customer_deletion")
NONE = "(none)"


class Sources:
    """All rows of the three source tables, read once."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str = "public") -> None:
        """Read everything."""
        connection.execute("set timezone = 'UTC'")
        self.consumers = connection.execute(
            f"select consumer_id, created_at::timestamptz from {schema}.consumers"
        ).fetchall()
        self.customers = connection.execute(
            "select customer_id, consumer_id, status, created_at::timestamptz "
            f"from {schema}.customers"
        ).fetchall()
        self.events = connection.execute(
            "select event_id, customer_id, consumer_id, event_type, payload_json, "
            f"created_at::timestamptz from {schema}.customer_events"
        ).fetchall()
        told = defaultdict(list)
        for event in self.events:
            if event[3] in LIFECYCLE and event[1] is not None:
                told[event[1]].append(event)
        #: Each customer's lifecycle events, in their order, which is the same at any instant.
        self.lifecycles = {customer: _in_order(events) for customer, events in told.items()}


def _named(text: str | None) -> str:
    return text if text is not None and text.strip() else NONE


def _in_order(events: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Order one customer's lifecycle events: by time, then by what they say, then by id."""
    ordered: list[tuple[Any, ...]] = []
    moments = defaultdict(list)
    for event in events:
        moments[event[5]].append(event)
    for at in sorted(moments):
        group = sorted(moments[at], key=lambda event: event[0])
        ordered += [event for event in group if event[3] == "customer_creation"]
        changes = [event for event in group if event[3] == "customer_status_change"]
        if not _cancel_out(changes):
            ordered += _chain(changes)
        ordered += [event for event in group if event[3] == "customer_deletion"]
    return ordered


def _cancel_out(changes: list[tuple[Any, ...]]) -> bool:
    """Tell whether changes of one microsecond lead back to where they began, wherever that is."""
    olds, news = (
        Counter(event[4].get(key) for event in changes) for key in ("old_status", "new_status")
    )
    return olds == news


def _chain(changes: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Order changes of one microsecond so that each starts where the one before ended."""
    if len(changes) < 2:
        return changes

    def extend(chain: list[tuple[Any, ...]], rest: list[tuple[Any, ...]]) -> Any:
        if not rest:
            return chain
        for index, event in enumerate(rest):
            if not chain or chain[-1][4].get("new_status") == event[4].get("old_status"):
                found = extend([*chain, event], rest[:index] + rest[index + 1 :])
                if found is not None:
                    return found
        return None

    return extend([], changes) or changes


def snapshot(
    sources: Sources, at: dt.datetime, window_start: dt.datetime | None = None
) -> dict[str | None, dict[str, Any]]:
    """Count everything as of an instant.

    Returns:
        Consumer id (None: the whole system) to its figures, under the keys of
        `metrics_json`, provenance aside.
    """
    start = window_start or dt.datetime.min.replace(tzinfo=dt.UTC)
    today = {row[0]: row for row in sources.customers}

    # customer -> (consumer, status, created)
    then: dict[Any, tuple[Any, str, dt.datetime | None]] = {}
    for customer in set(today) | set(sources.lifecycles):
        row = today.get(customer)
        state = (row[1], row[2], row[3]) if row else None
        lifecycle = sources.lifecycles.get(customer, [])
        for event in reversed(lifecycle):
            if event[5] < at:
                break
            payload = event[4] if isinstance(event[4], dict) else {}
            if event[3] == "customer_creation":
                state = None
            elif event[3] == "customer_deletion":
                births = [
                    e[5] for e in lifecycle if e[3] == "customer_creation" and e[5] <= event[5]
                ]
                state = (event[2], payload.get("status"), max(births, default=None))
            elif state is not None:
                state = (state[0], payload.get("old_status"), state[2])
        if state is not None and (state[2] is None or state[2] < at):
            then[customer] = (state[0], _named(state[1]), state[2])

    statuses: dict[Any, Counter[str]] = defaultdict(Counter)
    lifetimes: dict[Any, list[dt.timedelta]] = defaultdict(list)
    new_customers: Counter[Any] = Counter()
    for consumer, status, created in then.values():
        statuses[consumer][status] += 1
        if created is not None:
            lifetimes[consumer].append(at - created)
            if created >= start:
                new_customers[consumer] += 1

    before = [event for event in sources.events if event[5] < at]
    types: dict[Any, Counter[str]] = defaultdict(Counter)
    for (consumer, event_type), count in Counter((event[2], event[3]) for event in before).items():
        types[consumer][_named(event_type)] += count
    new_events = Counter(event[2] for event in before if event[5] >= start)

    present = {row[0] for row in sources.consumers if row[1] < at}
    present |= {consumer for consumer in statuses if statuses[consumer]} | set(types)
    present.discard(None)
    answer: dict[str | None, dict[str, Any]] = {}
    for consumer in present:
        counted = statuses[consumer]
        answer[str(consumer)] = {
            "total_customers": sum(counted.values()),
            "active_customers": counted["ACTIVE"],
            "inactive_customers": counted["INACTIVE"],
            "customers_by_status": {name: n for name, n in counted.items() if n},
            "avg_customer_lifetime_days": _mean_days(lifetimes[consumer]),
            "total_events": sum(types[consumer].values()),
            "events_by_type": dict(types[consumer]),
            "new_customers_in_window": new_customers[consumer],
            "new_events_in_window": new_events[consumer],
        }
    answer[None] = _whole(answer, statuses, types, present)
    return answer


def _mean_days(lengths: list[dt.timedelta]) -> float | None:
    if not lengths:
        return None
    microseconds = sum(length // dt.timedelta(microseconds=1) for length in lengths)
    days = Decimal(microseconds) / len(lengths) / 86_400_000_000
    return float(days.quantize(Decimal("0.01"), ROUND_HALF_UP))


def _whole(
    answer: dict[str | None, dict[str, Any]],
    statuses: dict[Any, Counter[str]],
    types: dict[Any, Counter[str]],
    present: set[Any],
) -> dict[str, Any]:
    by_status: Counter[str] = Counter()
    by_type: Counter[str] = Counter()
    for consumer in present:
        by_status.update(statuses[consumer])
        by_type.update(types[consumer])
    total = sum(by_status.values())
    ratio = Decimal(by_status["ACTIVE"]) / total if total else Decimal(0)
    return {
        "snapshot_type": "GLOBAL",
        "consumers_in_system": len(present),
        "total_customers_all_consumers": total,
        "active_customers_all_consumers": by_status["ACTIVE"],
        "inactive_customers_all_consumers": by_status["INACTIVE"],
        "customers_by_status_all_consumers": {name: n for name, n in by_status.items() if n},
        "system_wide_active_ratio": float(ratio.quantize(Decimal("0.0001"), ROUND_HALF_UP)),
        "total_events_all_consumers": sum(by_type.values()),
        "events_by_type_all_consumers": dict(by_type),
        "unattributed_customers": sum(statuses[None].values()),
        "unattributed_events": sum(types[None].values()),
        "new_customers_in_window": sum(answer[str(c)]["new_customers_in_window"] for c in present),
        "new_events_in_window": sum(answer[str(c)]["new_events_in_window"] for c in present),
    }


def stored(
    connection: psycopg.Connection[Any], at: dt.datetime
) -> dict[str | None, dict[str, Any]]:
    """Return what the product wrote for an instant, in the oracle's shape."""
    rows = connection.execute(
        "select consumer_id, metrics_json from public.consumer_analytics "
        "where snapshot_timestamp = %s",
        [at],
    )
    answer: dict[str | None, dict[str, Any]] = {}
    for consumer, metrics in rows:
        figures = dict(metrics)
        stats = figures.pop("incremental_stats")
        figures.pop("snapshot_source")
        figures.pop("etl_job")
        figures["new_customers_in_window"] = stats["new_customers_in_window"]
        figures["new_events_in_window"] = stats["new_events_in_window"]
        answer[None if consumer is None else str(consumer)] = figures
    return answer


def without_window(figures: dict[str | None, dict[str, Any]]) -> dict[str | None, dict[str, Any]]:
    """Leave the window's figures aside."""
    window = ("new_customers_in_window", "new_events_in_window")
    return {
        consumer: {key: value for key, value in metrics.items() if key not in window}
        for consumer, metrics in figures.items()
    }
