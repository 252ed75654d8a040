"""Small random histories, consistent as a real application's would be."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from typing import Any

import psycopg

STATUSES = ["ACTIVE", "INACTIVE", "BLOCKED", "PENDING_AML"]
TYPES = ["login", "purchase", "refund"]


def random_history(
    connection: psycopg.Connection[Any],
    rng: random.Random,
    begin: dt.datetime,
    end: dt.datetime,
    *,
    consumers: int = 4,
    customers: int = 25,
    events: int = 150,
    step: dt.timedelta = dt.timedelta(minutes=37),
) -> None:
    """Fill the source tables: creations, changes, deletions, ties, rows without a consumer.

    Times fall on multiples of `step`, so that many rows share a microsecond
    with each other and with the instants that tests ask for.
    """
    steps = int((end - begin) / step)

    def moment(low: int = 0) -> int:
        return rng.randrange(low, steps)

    def at(place: int) -> dt.datetime:
        return begin + place * step

    def identity() -> uuid.UUID:
        return uuid.UUID(int=rng.getrandbits(128))

    tenants: list[uuid.UUID | None] = [identity() for _ in range(consumers)]
    known = tenants[:-1]  # the last one is in no consumers row
    event_rows: list[tuple[Any, ...]] = []
    customer_rows: list[tuple[Any, ...]] = []

    def event(
        customer: uuid.UUID | None, consumer: Any, kind: Any, place: int, payload: dict[str, Any]
    ) -> None:
        event_rows.append((identity(), customer, consumer, kind, json.dumps(payload), at(place)))

    for _ in range(customers):
        customer, tenant = identity(), rng.choice([*tenants, None])
        place = moment()
        for life in range(rng.choice([1, 1, 1, 2])):
            if place >= steps:
                break
            born, status = place, rng.choice(STATUSES)
            event(customer, tenant, "customer_creation", born, {"status": status})
            gone = False
            for _ in range(rng.choice([0, 0, 1, 2, 4])):
                place = min(place + rng.choice([0, 0, 1, 9, 60]), steps - 1)
                new = rng.choice([other for other in STATUSES if other != status])
                event(
                    customer,
                    tenant,
                    "customer_status_change",
                    place,
                    {"old_status": status, "new_status": new},
                )
                status = new
            if life == 0 and rng.random() < 0.4:
                place = min(place + rng.choice([0, 1, 30]), steps - 1)
                event(customer, tenant, "customer_deletion", place, {"status": status})
                gone = True
                place += rng.choice([1, 5, 40])
            if not gone:
                customer_rows.append((customer, tenant, status, at(born), at(place)))
                break
    for _ in range(events):
        tenant = rng.choice([*tenants, None])
        kind = rng.choice([*TYPES, None, " "])
        event(None if rng.random() < 0.2 else identity(), tenant, kind, moment(), {})
    rng.shuffle(event_rows)
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into consumers (consumer_id, name, created_at) values (%s, %s, %s)",
            [(tenant, f"consumer {i}", at(moment())) for i, tenant in enumerate(known)],
        )
        cursor.executemany(
            "insert into customers (customer_id, consumer_id, status, created_at, updated_at) "
            "values (%s, %s, %s, %s, %s)",
            customer_rows,
        )
        cursor.executemany(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            "values (%s, %s, %s, %s, %s, %s)",
            event_rows,
        )
