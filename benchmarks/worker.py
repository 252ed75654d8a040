"""A process that works in one session of ours: takes a line of JSON, answers one.

python -m benchmarks.worker URL SETTINGS (as JSON)
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import peak_mb
from benchmarks.systems import loop
from consumer_analytics import backfill
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import capture, run
from consumer_analytics.fields import Secret
from consumer_analytics.ingest import importer
from consumer_analytics.reconcile import sweep
from consumer_analytics.reconcile.audit import audit
from consumer_analytics.settings import Settings


def _do(
    connection: Connection, settings: Settings, work: str, values: dict[str, Any]
) -> dict[str, float]:
    """Do a piece of work; return how many seconds each of its steps took."""
    match work:
        case "run":
            at = dt.datetime.fromisoformat(values["at"]) if values.get("at") else None
            return run.run(connection, settings, at=at).seconds
        case "backfill":
            request = backfill.request_of(values["start"], values["end"], "daily")
            return backfill.backfill(connection, settings, request).seconds
        case "sweep":
            dates = [dt.date.fromisoformat(day) for day in values.get("dates", ())]
            since = None if dates else dt.date.fromisoformat(values["since"])
            sweep.sweep(connection, settings, since=since, dates=dates)
        case "capture":
            capture.enable(connection, settings)
        case "audit":
            found = audit(connection, settings, since_last=values.get("since_last", False))
            if not found.clean:
                raise RuntimeError(f"the audit finds {found.differences:,} differences")
        case "import":
            with connected(settings, "import", writes_sources=True) as writer:
                importer.import_directory(writer, settings, Path(values["folder"]))
        case "loop":
            start, end = (dt.date.fromisoformat(values[name]) for name in ("start", "end"))
            loop.periods(connection, start, end)
        case _:
            raise LookupError(work)
    return {}


def main() -> None:
    """Work until standard input ends."""
    settings = Settings(database_url=Secret(sys.argv[1]), **json.loads(sys.argv[2]))
    with connected(settings, "benchmark", works_long=True) as connection:
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
