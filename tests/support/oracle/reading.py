"""The source tables, read whole, and what the product wrote."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from decimal import Decimal
from typing import Any

import psycopg
from tests.support.oracle.lives import Customer, Event, Row
from tests.support.oracle.moments import AFTER_ALL, BEFORE_ALL, Moment


class Sources:
    """All rows of the three source tables, read once.

    Attributes:
        consumers: each with the time of its row.
        customers: all that tells of each customer.
        events: those that have a time.
        creations_vanished: nobody; what has vanished the sources do not tell.
    """

    creations_vanished: tuple[uuid.UUID | None, ...] = ()

    def __init__(self, connection: psycopg.Connection[Any], schema: str = "public") -> None:
        """Read everything."""
        connection.execute("set timezone = 'UTC'")
        at = "extract(epoch from created_at::timestamptz)"
        self.consumers: list[tuple[uuid.UUID, Moment | None]] = [
            (consumer, _moment(created))
            for consumer, created in connection.execute(
                f"select consumer_id, {at} from {schema}.consumers"
            )
        ]
        self.rows = {
            customer: Row(consumer, status, _moment(created))
            for customer, consumer, status, created in connection.execute(
                f"select customer_id, consumer_id, status::text, {at} from {schema}.customers"
            )
        }
        self.events = [
            Event(event_id, customer, consumer, kind, payload, created)
            for event_id, customer, consumer, kind, payload, seconds in connection.execute(
                "select event_id, customer_id, consumer_id, event_type::text, payload_json, "
                f"{at} from {schema}.customer_events"
            )
            if (created := _moment(seconds)) is not None
        ]
        told: dict[uuid.UUID, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.customer is not None:
                told[event.customer].append(event)
        self.customers = {
            one: Customer(self.rows.get(one), told.get(one, ())) for one in {*self.rows, *told}
        }


def _moment(seconds: Decimal | None) -> Moment | None:
    if seconds is None:
        return None
    if seconds.is_infinite():
        return AFTER_ALL if seconds > 0 else BEFORE_ALL
    return int(seconds * 1_000_000)


def stored(
    connection: psycopg.Connection[Any], at: dt.datetime
) -> dict[str | None, dict[str, Any]]:
    """Return what the product wrote for an instant, in the oracle's shape."""
    rows = connection.execute(
        "select consumer_id, metrics_json from public.consumer_analytics "
        "where snapshot_timestamp = %s",
        [at],
    )
    return {
        None if consumer is None else str(consumer): shaped(metrics) for consumer, metrics in rows
    }


def shaped(metrics: dict[str, Any]) -> dict[str, Any]:
    """Put a document into the oracle's shape: its figures, provenance aside."""
    figures = dict(metrics)
    stats = figures.pop("incremental_stats")
    figures.pop("snapshot_source")
    figures.pop("etl_job")
    for key in ("new_customers_in_window", "new_events_in_window"):
        figures[key] = stats[key]
    return figures
