"""Print what is told of simulated years, how late, and what for nothing."""

from __future__ import annotations

import argparse
import secrets
import statistics
import time

from tests.conftest import Servers
from tests.support.anomalies.rates import ENOUGH, Rates, Told, judge_year
from tests.support.anomalies.years import KINDS, year

from consumer_analytics.db.connection import connected
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings

BUCKETS = ((0.0, 2.0), (2.0, 20.0), (20.0, 50.0), (50.0, 100.0), (100.0, float("inf")))


def row(kind: str, low: float, high: float, told: list[Told]) -> str:
    """Return a line of the table: one kind, consumers of one size."""
    late = [one.days for one in told if one.days is not None]
    first = sum(one.days is not None and one.periods <= 1 for one in told)
    missed = [one.missed for one in told if one.days is not None]
    size = f"{low:g} to {high:g}" if high < float("inf") else f"{low:g} and more"
    line = f"{kind:<9} {size:<13} {len(told):>5} {len(late):>5} {first:>7}"
    if late:
        line += f" {statistics.median(late):>7g} {max(late):>5} {statistics.median(missed):>9.0f}"
    return line


def table(rates: Rates) -> str:
    """Return what came of it as text."""
    lines = ["kind      events a day    put  told at once median   max  missed until then"]
    for kind in KINDS:
        for low, high in BUCKETS:
            told = [one for one in rates.told if one.kind == kind and low <= one.daily < high]
            if told:
                lines.append(row(kind, low, high, told))
    alarms = ", ".join(f"{n} {kind}" for kind, n in sorted(rates.false_alarms.items())) or "none"
    lines.append(
        f"false alarms: {alarms}; {rates.per_thousand_weeks:.2f} per 1,000 consumer-weeks "
        f"({rates.weeks:,.0f} of them)"
    )
    return "\n".join(lines)


def main() -> None:
    """Play as many years as asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.anomalies", description=__doc__)
    parser.add_argument("--years", type=int, default=1, help="how many")
    parser.add_argument("--seed", type=int, default=None, help="of the first; else drawn by lot")
    parser.add_argument("--consumers", type=int, default=200)
    parser.add_argument("--days", type=int, default=485)
    parser.add_argument("--score", type=float, default=None, help="not the setting's")
    parser.add_argument("--examples", action="store_true", help="of what was for nothing, or late")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    servers, rates = Servers(), Rates()
    try:
        server = servers.get("main")
        name = server.create(server.template)
        settings = Settings(database_url=Secret(server.url(name)))
        if given.score is not None:
            settings = settings.replaced({"anomaly_score": given.score})
        for number in range(seed, seed + given.years):
            started = time.monotonic()
            consumers = year(number, consumers=given.consumers, days=given.days)
            with connected(settings, "anomalies", writes_sources=True) as connection:
                rates.add(judge_year(connection, settings, consumers))
            print(f"seed {number}: {time.monotonic() - started:.0f} s", flush=True)
    finally:
        servers.close()
    if given.examples:
        print(*rates.examples, sep="\n")
        large = (one for one in rates.told if one.daily >= ENOUGH)
        print(*(one for one in large if not one.days or one.periods > 1), sep="\n")
    print(table(rates))


if __name__ == "__main__":
    main()
