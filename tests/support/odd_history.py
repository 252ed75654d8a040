"""A platform whose snapshots lie as they do after years of use, in 55 days.

Days, then weeks between them, then a gap; some restated, some thinned, some taken back; a consumer
that came late, one that nobody registered, and one that was backfilled by itself by the hour.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid

from tests.conftest import Database

from consumer_analytics import backfill
from consumer_analytics.calendar.days import start_of_day
from consumer_analytics.etl import run
from consumer_analytics.operations import snapshots, thinning
from consumer_analytics.reconcile import sweep

FIRST = dt.date(2025, 3, 1)
LAST = dt.date(2025, 4, 24)
#: One that is always there, one that came late, and one that `consumers` does not have.
OLD, LATE, STRANGE = (uuid.UUID(int=n) for n in (0xA1, 0xB2, 0xC3))
#: Five of its 32 customers are active: a half that binary fractions round away.
FIVES = uuid.UUID(int=0xD4)
CAME_LATE = dt.date(2025, 4, 3)
TYPES = [f"type {n:02}" for n in range(15)]

_CUSTOMER = """
insert into customers (customer_id, consumer_id, status, created_at)
values (%s, %s, %s, %s)
"""
_EVENT = """
insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at)
values (gen_random_uuid(), gen_random_uuid(), %s, %s, %s)
"""


def make(database: Database) -> None:
    """Fill a migrated database with the history; its days are those of the configured zone."""
    settings = database.settings
    zone = settings.zone
    shuffled = random.Random(18)

    def at(day: dt.date, hours: float = 0) -> dt.datetime:
        return start_of_day(day, zone) + dt.timedelta(hours=hours)

    def past(start: dt.date, end: dt.date, interval: str, *consumers: uuid.UUID) -> None:
        request = backfill.request_of(start, end, interval, consumers=[str(c) for c in consumers])
        backfill.backfill(connection, settings, request)

    with database.connect(writes_sources=True) as connection:
        for consumer, created in ((OLD, FIRST), (LATE, CAME_LATE), (FIVES, FIRST)):
            connection.execute(
                "insert into consumers (consumer_id, name, created_at) values (%s, %s, %s)",
                [consumer, f"consumer {consumer.int:X}", at(created, 1)],
            )
        for consumer in (OLD, LATE, STRANGE):
            begins = CAME_LATE if consumer == LATE else FIRST
            days = (LAST - begins).days
            for _ in range(40):
                when = at(begins, 2 + shuffled.random() * 24 * days)
                status = shuffled.choice(["ACTIVE", "INACTIVE", "BLOCKED"])
                connection.execute(_CUSTOMER, [uuid.uuid4(), consumer, status, when])
            for _ in range(300):
                when = at(begins, 2 + shuffled.random() * 24 * days)
                connection.execute(_EVENT, [consumer, shuffled.choice(TYPES), when])
        for n in range(32):
            connection.execute(
                _CUSTOMER, [uuid.uuid4(), FIVES, "ACTIVE" if n < 5 else "INACTIVE", at(FIRST, 1)]
            )
        past(FIRST, dt.date(2025, 3, 11), "daily")
        past(dt.date(2025, 3, 2), dt.date(2025, 4, 13), "weekly")
        for day in range(10):
            run.run(connection, settings, at=at(LAST - dt.timedelta(days=9 - day), 3 * (day % 3)))
        # The clocks of Berlin go forward within these.
        past(dt.date(2025, 3, 28), dt.date(2025, 3, 31), "daily", OLD, STRANGE)
        for _ in range(9):
            connection.execute(_EVENT, [OLD, "came late", at(dt.date(2025, 3, 5), 12)])
        sweep.sweep(connection, settings, days=60)
        kept = (dt.datetime.now(dt.UTC).date() - dt.date(2025, 3, 9)).days
        thinning.thin(
            connection,
            settings.replaced({"keep_snapshots_days": kept, "keep_daily_snapshots_days": kept}),
        )
        snapshots.remove(
            connection,
            settings,
            snapshots.Selection((at(LAST - dt.timedelta(days=4), 3 * (5 % 3)),)),
            who="test",
            reason="a mistake",
        )
        # An old instant again: it moves nothing.
        run.run(connection, settings, at=at(dt.date(2025, 3, 4)))
