"""Runs over several shards: as if one database had all their rows."""

from __future__ import annotations

import datetime as dt
import json
import threading
import uuid
from typing import Any

import psycopg
import pytest
from tests.conftest import Database
from tests.integration.shards.conftest import NAMES, Federation

from consumer_analytics.errors import ConsumerAnalyticsError, ShardsError, UsageError

A, B, C, STRANGER = (uuid.UUID(int=n) for n in (0xA, 0xB, 0xC, 0xF))


def add_consumer(shard: Database, consumer: uuid.UUID, at: str = "2025-01-01") -> None:
    """Register a consumer."""
    shard.execute("insert into consumers values (%s, 'one', 'ACTIVE', %s)", [consumer, at])


def add_customer(
    shard: Database,
    consumer: uuid.UUID | None,
    at: str,
    status: str = "ACTIVE",
    number: int | None = None,
) -> uuid.UUID:
    """Add a customer, with the event that tells of it."""
    customer = uuid.uuid4() if number is None else uuid.UUID(int=number)
    shard.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, %s, %s)",
        [customer, consumer, status, at],
    )
    add_event(shard, consumer, at, "customer_creation", customer, {"status": status})
    return customer


def add_event(
    shard: Database,
    consumer: uuid.UUID | None,
    at: str,
    kind: str | None = "login",
    customer: uuid.UUID | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Add an event."""
    shard.execute(
        "insert into customer_events values (%s, %s, %s, %s, %s, %s)",
        [uuid.uuid4(), customer, consumer, kind, json.dumps(payload or {}), at],
    )


def fill(federation: Federation) -> None:
    """Give A to one shard, B to two and C to all; and somebody without a row anywhere."""
    east, west, north = (federation.shards[name] for name in NAMES)
    add_consumer(east, A)
    for shard in (east, west):
        add_consumer(shard, B)
    # Registered in one shard, with rows in all.
    add_consumer(north, C, "2025-01-02 03:04:05.678901")
    for day, shard in enumerate((east, west, north), 1):
        for hour in range(3):
            add_customer(shard, C, f"2025-01-0{day} 0{hour}:07:01.000{day}", "BLOCKED")
            add_event(shard, C, f"2025-01-0{day} 1{hour}:00", "purchase")
    add_customer(east, A, "2025-01-02 10:00")
    add_customer(east, B, "2025-01-02 11:11:11.111111", "INACTIVE")
    add_customer(west, B, "2025-01-03 12:34:56.789")
    # A life in one shard: created, changed, deleted, and begun again.
    gone = add_customer(west, B, "2025-01-01 08:00")
    add_event(
        west,
        B,
        "2025-01-02 09:00",
        "customer_status_change",
        gone,
        {"old_status": "ACTIVE", "new_status": "BLOCKED"},
    )
    add_event(west, B, "2025-01-03 09:00", "customer_deletion", gone, {"status": "BLOCKED"})
    west.execute("delete from customers where customer_id = %s", [gone])
    # At one instant in two shards, and exactly at a snapshot's.
    for shard in (east, north):
        add_event(shard, C, "2025-01-03 00:00", "tie")
        add_event(shard, None, "2025-01-02 23:59:59.999999", None)
        add_customer(shard, None, "2025-01-02 23:59:59.999999", "PENDING_AML")
    add_event(north, STRANGER, "2025-01-02 05:00", " ")


def test_what_is_published_is_what_one_database_would_say(federation: Federation) -> None:
    fill(federation)
    for at in ("2025-01-02T00:00Z", "2025-01-03T00:00Z", "2025-01-04T06:00Z"):
        summary = federation.run(at)
        federation.unite()
        federation.run_alone(at)
        assert summary.shards.keys() == set(NAMES)
    assert federation.require_equal() == 3 * 4 + 2
    mark = "select last_processed_timestamp, last_run_status from etl_job_watermarks"
    assert federation.analytics.rows(mark) == federation.alone.rows(mark)
    ((told,),) = federation.analytics.rows("select metadata_json from etl_job_watermarks")
    ((known,),) = federation.alone.rows("select metadata_json from etl_job_watermarks")
    for name in ("window_start", "window_end", "new_events", "new_customers", "bad_rows"):
        assert told[name] == known[name], name
