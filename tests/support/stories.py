"""What stories of customers are told with: days of January 2025, steps, and who looks again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable

from tests.support.zoo.ground import Ground

BEGIN = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
Step = Callable[[Ground], None]


def day(number: float) -> dt.datetime:
    """Return the start of a day of January, or an instant within it."""
    return BEGIN + dt.timedelta(days=number - 1)


def identity(name: str) -> uuid.UUID:
    """Return the id of a customer of this name."""
    return uuid.uuid5(uuid.NAMESPACE_OID, name)


def run(*days: float) -> Step:
    """Run for each of these days."""

    def step(on: Ground) -> None:
        for number in days:
            on.run(day(number))

    return step


def gone(name: str) -> Step:
    """Delete a customer's row, and nothing else."""

    def step(on: Ground) -> None:
        on.app.execute("delete from customers where customer_id = %s", [identity(name)])

    return step


def sweep(on: Ground) -> None:
    """Sweep all days."""
    on.sweep(day(1).date())


def alone(on: Ground) -> None:
    """Write each snapshot again by itself, the last one first."""
    for at in reversed(on.reported()):
        on.run(at)


def in_company(on: Ground) -> None:
    """Backfill all days at once."""
    on.backfill(day(1).date(), on.reported()[-1].date())
