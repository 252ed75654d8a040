"""Simulated years of consumers: snapshots a day, from rhythms that are known."""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["silence", "halving", "doubling", "loss", "flood"]
KINDS: tuple[Kind, ...] = ("silence", "halving", "doubling", "loss", "flood")
FIRST = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
#: Days until anything is put in: by then everybody's rhythm can be known.
SETTLED = 120
#: How much of a week's events come on each of its days, from Monday on.
WEEKS = (
    (1.0, 1.05, 1.1, 1.05, 1.0, 0.9, 0.9),
    (1.3, 1.35, 1.3, 1.3, 1.2, 0.3, 0.25),
    (1.4, 1.4, 1.4, 1.4, 1.4, 0.0, 0.0),
    (0.7, 0.7, 0.8, 0.9, 1.2, 1.5, 1.2),
)


@dataclass(frozen=True)
class Incident:
    """What is put into a consumer's days.

    Attributes:
        kind: what.
        first: the first day of it.
        last: the last.
    """

    kind: Kind
    first: int
    last: int


@dataclass
class Consumer:
    """A consumer, and what it is like.

    Attributes:
        consumer_id: its id.
        level: events of a mean day in the beginning.
        week: its weekdays.
        noise: the standard deviation of a day's own factor, as a logarithm.
        batch: events that come together; 1 where each comes by itself.
        growth: a week's factor.
        begins: its first day; it takes three weeks to get to its level.
        feast: what a common holiday makes of its events.
        incident: what is put in; None for the clean ones.
        expected: what each day would have, without noise and without the incident.
        events: what each day has.
        of_new_type: of those, the ones of a type that was not there before.
        customers: at the end of each day.
    """

    consumer_id: uuid.UUID
    level: float
    week: tuple[float, ...]
    noise: float
    batch: int
    growth: float
    begins: int
    feast: float
    incident: Incident | None
    expected: list[float] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    of_new_type: list[int] = field(default_factory=list)
    customers: list[int] = field(default_factory=list)


def year(seed: int, *, consumers: int = 200, days: int = 485, odd: float = 0.4) -> list[Consumer]:
    """Return consumers with their days; the same seed gives the same ones.

    Args:
        seed: chooses one of many years.
        consumers: how many.
        days: how many days, the first `SETTLED` of them before anything is put in.
        odd: into which part of the consumers something is put.
    """
    random_ = random.Random(seed)
    holidays = _holidays(random_, days)
    made = []
    for number in range(consumers):
        incident = None
        if random_.random() < odd:
            first = random_.randrange(SETTLED, days - 40)
            last = first + random_.randrange(9, 21)
            incident = Incident(KINDS[number % len(KINDS)], first, last)
        one = Consumer(
            consumer_id=uuid.UUID(int=random_.getrandbits(128), version=4),
            level=math.exp(random_.uniform(math.log(0.3), math.log(4_000))),
            week=random_.choice(WEEKS),
            noise=random_.choices((0.0, 0.05, 0.1, 0.2), (3, 3, 3, 1))[0],
            batch=random_.choices((1, 25), (19, 1))[0],
            growth=math.exp(random_.gauss(0.004, 0.01)),
            begins=0 if random_.random() < 0.9 else random_.randrange(days),
            feast=random_.choices((0.15, 0.5, 0.9, 1.5), (4, 3, 2, 1))[0]
            * random_.uniform(0.7, 1.3),
            incident=incident,
        )
        _live(random_, one, days, holidays)
        made.append(one)
    return made


def _holidays(random_: random.Random, days: int) -> set[int]:
    """Return ten single holidays a year, and the eight days around its end."""
    found = {random_.randrange(days) for _ in range(round(days * 10 / 365))}
    for begin in range(352, days, 365):
        found |= set(range(begin, min(begin + 8, days)))
    return found


def _live(random_: random.Random, one: Consumer, days: int, holidays: set[int]) -> None:
    customers = max(int(one.level * random_.uniform(2, 8)), 5)
    for day in range(days):
        mean = 0.0
        if day >= one.begins:
            ramp = min((day - one.begins + 1) / 21, 1) if one.begins else 1
            mean = one.level * one.week[day % 7] * one.growth ** (day / 7) * ramp
        expected = mean * (one.feast if day in holidays else 1)
        inside = one.incident is not None and one.incident.first <= day <= one.incident.last
        kind = one.incident.kind if inside and one.incident is not None else None
        factor = {"silence": 0.0, "halving": 0.5, "doubling": 2.0}.get(kind or "", 1.0)
        rate = expected * factor * math.exp(random_.gauss(0, one.noise) - one.noise**2 / 2)
        flood = poisson(random_, max(expected, 0.0)) if kind == "flood" else 0
        if kind == "loss" and one.incident is not None and day == one.incident.first:
            customers -= int(customers * 0.4)
        if mean:
            customers += poisson(random_, customers * 0.004) - poisson(random_, customers * 0.003)
        one.expected.append(expected)
        one.events.append(one.batch * poisson(random_, rate / one.batch) + flood)
        one.of_new_type.append(flood)
        one.customers.append(customers)


def poisson(random_: random.Random, mean: float) -> int:
    """Draw from a Poisson distribution; from a normal one where that makes no difference."""
    if mean > 500:
        return max(round(random_.gauss(mean, math.sqrt(mean))), 0)
    limit, product, count = math.exp(-mean), random_.random(), 0
    while product > limit:
        product *= random_.random()
        count += 1
    return count


def snapshots(consumers: list[Consumer]) -> Iterator[tuple[uuid.UUID | None, dt.datetime, str]]:
    """Yield the snapshots of all days: a consumer's, and each day the whole system's."""
    days = max(len(one.events) for one in consumers)
    for number in range(days + 1):
        yield None, FIRST + number * DAY, json.dumps({"snapshot_type": "GLOBAL"})
    for one in consumers:
        total = new = 0
        for day, events in enumerate(one.events):
            total += events
            new += one.of_new_type[day]
            if day < one.begins:
                continue
            types = {"login": (total - new) * 7 // 10, "pay": total - new - (total - new) * 7 // 10}
            yield (
                one.consumer_id,
                FIRST + (day + 1) * DAY,
                json.dumps(
                    {
                        "total_events": total,
                        "total_customers": one.customers[day],
                        "events_by_type": types | ({"import_v2": new} if new else {}),
                    }
                ),
            )
