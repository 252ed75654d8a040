"""A process that works in one session of ours: takes a line of JSON, answers one.

python -m benchmarks.worker URL
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from typing import Any

from benchmarks.measure import peak_mb
from benchmarks.systems import loop
from consumer_analytics import backfill
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import capture, run
from consumer_analytics.fields import Secret
from consumer_analytics.reconcile import sweep
from consumer_analytics.reconcile.audit import audit
from consumer_analytics.settings import Settings


def _do(
    connection: Connection, settings: Settings, work: str, values: dict[str, Any]
) -> dict[str, float]:
    """Do a piece of work; return how many seconds each of its steps took."""
    if work == "run":
        at = dt.datetime.fromisoformat(values["at"]) if values.get("at") else None
        return run.run(connection, settings, at=at).seconds
    if work == "backfill":
        request = backfill.request_of(values["start"], values["end"], "daily")
        return backfill.backfill(connection, settings, request).seconds
    if work == "sweep":
        sweep.sweep(connection, settings, since=dt.date.fromisoformat(values["since"]))
        return {}
    if work == "capture":
        capture.enable(connection, settings)
        return {}
    if work == "audit":
        found = audit(connection, settings, since_last=values.get("since_last", False))
        if not found.clean:
            raise RuntimeError(f"the audit finds {found.differences:,} differences")
        return {}
    if work == "loop":
        loop.periods(
            connection, dt.date.fromisoformat(values["start"]), dt.date.fromisoformat(values["end"])
        )
        return {}
    raise LookupError(work)


def main() -> None:
    """Work until standard input ends."""
    settings = Settings(database_url=Secret(sys.argv[1]))
    with connected(settings, "benchmark") as connection:
        for line in sys.stdin:
            values = json.loads(line)
            work = values.pop("work")
            began = time.perf_counter()
            seconds = _do(connection, settings, work, values)
            took = time.perf_counter() - began
            answer = {
                "seconds": took,
                "peak_mb": peak_mb(),
                "detail": seconds,
            }
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
