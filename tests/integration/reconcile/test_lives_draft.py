"""Customers' past, case by case (a draft)."""
from __future__ import annotations
import datetime as dt, json, uuid
from typing import Any
import pytest
from consumer_analytics import backfill
from consumer_analytics.etl import capture, run
from consumer_analytics.reconcile import sweep
from consumer_analytics.reconcile.audit import audit

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)
C, C2 = uuid.UUID(int=0xC1), uuid.UUID(int=0xC2)

def day(d: float) -> dt.datetime:
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=d - 1)

class World:
    def __init__(self, database: Any, captured: bool) -> None:
        self.db = database
        self.n = 0
        with database.connect() as c:
            c.execute("insert into consumers (consumer_id, name, created_at) values (%s,'a',%s),(%s,'b',%s)", [A, day(1), B, day(1)])
            if captured:
                capture.enable(c, database.settings)
    def event(self, d, kind, customer=C, consumer=A, payload=None, raw=None):
        self.n += 1
        self.db.execute("insert into customer_events (event_id, customer_id, consumer_id, event_type, payload_json, created_at) values (%s,%s,%s,%s,%s,%s)",
            [uuid.UUID(int=self.n), customer, consumer, kind, raw if raw is not None else json.dumps(payload or {}), day(d)])
    def row(self, d, customer=C, consumer=A, status="ACTIVE"):
        self.db.execute("insert into customers (customer_id, consumer_id, status, created_at) values (%s,%s,%s,%s)", [customer, consumer, status, day(d)])
    def gone(self, customer=C):
        self.db.execute("delete from customers where customer_id=%s", [customer])
    def run(self, d):
        with self.db.connect("run", writes_sources=False) as c:
            return run.run(c, self.db.settings, at=day(d)).as_json()
    def sweep(self, **o):
        with self.db.connect("sweep", writes_sources=False) as c:
            return sweep.sweep(c, self.db.settings, **o)
    def audit(self):
        with self.db.connect() as c:
            r = audit(c, self.db.settings)
            return r.differences
    def total(self, d, consumer=A, key="total_customers"):
        with self.db.connect() as c:
            row = c.execute("select metrics_json -> %s from consumer_analytics where consumer_id = %s and snapshot_timestamp = %s", [key, consumer, day(d)]).fetchone()
            return row and row[0]

@pytest.fixture(params=[False, True], ids=["without", "captured"])
def world(database, request):
    return World(database, request.param)

def test_restored(world):
    world.row(2); world.event(2, "customer_creation", payload={"status": "ACTIVE"})
    world.run(3)
    world.gone(); world.event(5, "customer_deletion", payload={"status": "ACTIVE"})
    world.run(6)
    world.row(2); world.event(8, "customer_creation", payload={"status": "ACTIVE"})
    world.run(9)
    world.sweep(since=day(1).date())
    assert [world.total(d) for d in (3, 6, 9)] == [1, 0, 1]
    assert world.total(9, key="avg_customer_lifetime_days") == 1.0

def test_c2(world):
    world.row(1, C2); world.event(1, "customer_creation", C2, payload={"status": "ACTIVE"})
    for d in range(2, 6): world.run(d)
    world.row(6); world.event(6, "customer_creation", payload={"status": "ACTIVE"})
    world.run(6); world.run(7)
    assert (world.total(7), world.total(7, key="avg_customer_lifetime_days")) == (2, 3.5)
    world.gone(C2); world.event(7.5, "customer_deletion", C2, payload={"status": "ACTIVE"})
    world.run(8)
    world.db.execute("delete from customer_events where created_at < %s", [day(6)])
    world.run(9)
    with world.db.connect() as c:
        backfill.run_backfill(c, world.db.settings, backfill.Request(day(6).date(), day(9).date())) if hasattr(backfill, "run_backfill") else None
    world.sweep()
    assert (world.total(7), world.total(7, key="avg_customer_lifetime_days")) == (2, 3.5)

def test_no_creation(world):
    world.run(5); world.run(18)
    world.row(20); world.event(20, "login"); world.event(20.5, "login")
    world.run(21); world.run(22)
    world.gone(); world.event(23, "customer_deletion", payload={"status": "ACTIVE"})
    world.run(24)
    world.sweep(days=10)
    assert [world.total(d) for d in (5, 18, 21, 22, 24)] == [0, 0, 1, 1, 0]

def test_null_consumer(world):
    world.row(1); world.event(1, "customer_creation", payload={"status": "ACTIVE"})
    world.run(3)
    world.event(4, "customer_status_change", consumer=None, payload={"old_status": "ACTIVE", "new_status": "INACTIVE"})
    world.db.execute("update customers set status='INACTIVE'")
    world.run(5)
    world.gone(); world.event(6, "customer_deletion", payload={"status": "INACTIVE"})
    world.run(7); world.sweep(since=day(1).date())
    assert [world.total(d) for d in (3, 5, 7)] == [1, 1, 0]
    assert world.total(3, key="customers_by_status") == {"ACTIVE": 1}
    assert world.total(5, key="customers_by_status") == {"INACTIVE": 1}
    assert world.audit() == 0

def test_moved(world):
    world.row(1); world.event(1, "customer_creation", payload={"status": "ACTIVE"})
    world.run(3)
    world.db.execute("update customers set consumer_id = %s", [B])
    world.event(4, "customer_status_change", consumer=B, payload={"old_status": "ACTIVE", "new_status": "INACTIVE"})
    world.db.execute("update customers set status='INACTIVE'")
    world.run(5)
    world.gone(); world.event(6, "customer_deletion", consumer=B, payload={"status": "INACTIVE"})
    world.run(7); world.sweep(since=day(1).date())
    assert [(world.total(d, A), world.total(d, B)) for d in (3, 5, 7)] == [(0, 1), (0, 1), (0, 0)]

@pytest.mark.parametrize("raw", ['"{\\"old_status\\": \\"X\\"}"', "[1]", "null", "5"])
def test_unreadable(world, raw):
    world.row(1); world.event(1, "customer_creation", payload={"status": "ACTIVE"})
    world.event(4, "customer_status_change", raw=raw)
    for d in (3, 5): world.run(d)
    world.sweep(since=day(1).date())
    assert world.total(3, key="customers_by_status") == {"ACTIVE": 1}

def test_late_deletion_of_nobody(world):
    for d in (3, 5, 7, 9): world.run(d)
    world.event(8, "customer_deletion", payload={"status": "ACTIVE"})
    world.run(10); world.sweep(since=day(1).date())
    assert [world.total(d) for d in (3, 5, 7, 9, 10)] == [0] * 5

def test_fresh_contradiction(database):
    world = World(database, True)
    world.row(1); world.event(1, "customer_creation", payload={"status": "ACTIVE"})
    world.run(3)
    world.event(4, "customer_status_change", payload={"old_status": "BLOCKED", "new_status": "ACTIVE"})
    world.run(5)
    assert world.total(3, key="customers_by_status") == {"BLOCKED": 1}
    assert world.total(5, key="customers_by_status") == {"ACTIVE": 1}
    assert world.audit() == 0

@pytest.mark.parametrize("payload,then", [({}, "ACTIVE"), ({"status": "PENDING"}, "PENDING")])
def test_late_creation(world, payload, then):
    world.row(2)
    world.event(5, "customer_creation", payload=payload)
    for d in (3, 6): world.run(d)
    world.sweep(since=day(1).date())
    assert world.total(3, key="customers_by_status") == {then: 1}
    assert world.total(6, key="customers_by_status") == {"ACTIVE": 1}
    assert world.total(6, key="avg_customer_lifetime_days") == 4.0
