"""What the backfill DAG's tasks do: check what was asked for, then do it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from consumer_analytics import backfill as engine
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import UsageError
from consumer_analytics.orchestration.dag_runs import TriggeredRun
from consumer_analytics.orchestration.failures import in_a_line
from consumer_analytics.settings import settings
from consumer_analytics.shards import backfills as over_shards

log = logging.getLogger(__name__)

SOURCE = "airflow_backfill"
PARAMETERS = ("start_date", "end_date", "interval")
_SECONDS_BETWEEN_LINES = 10.0


def request_of(params: Mapping[str, Any], dag_run: TriggeredRun) -> engine.Request:
    """Make a request of a DAG run's parameters.

    Raises:
        UsageError: there is one that is unknown, missing or unusable.
    """
    given = {**params, **(dag_run.conf or {})}
    if unknown := sorted(set(given) - set(PARAMETERS)):
        raise UsageError(f"parameter {unknown[0]!r} is unknown; there are {', '.join(PARAMETERS)}")
    for name in PARAMETERS:
        if given.get(name) in (None, ""):
            raise UsageError(f"parameter {name} is missing")
    return engine.request_of(
        *(given[name] for name in PARAMETERS),
        source=SOURCE,
        who=str(getattr(dag_run, "triggering_user_name", None) or dag_run.run_id),
    )


def check(params: Mapping[str, Any], dag_run: TriggeredRun) -> dict[str, Any]:
    """Check the parameters and log what will be done; nothing is written.

    Raises:
        UsageError: they cannot be used; trying again would not help.
    """
    with in_a_line("refused"):
        request = request_of(params, dag_run)
        estimate = _estimate(request)
    log.info(
        "%s to %s, %s: %s periods, about %s snapshots; reads about %s events, writes about %.0f MB",
        request.start,
        request.end,
        request.interval,
        f"{estimate.periods:,}",
        f"{estimate.snapshots:,}",
        f"{estimate.rows_to_scan:,}",
        estimate.bytes_to_write / 1e6,
    )
    return {
        "periods": estimate.periods,
        "snapshots_estimated": estimate.snapshots,
        "rows_to_scan_estimated": estimate.rows_to_scan,
        "bytes_to_write_estimated": estimate.bytes_to_write,
    }


def write(params: Mapping[str, Any], dag_run: TriggeredRun) -> dict[str, int]:
    """Write the snapshots; a try after one that was stopped goes on where it was."""
    request = request_of(params, dag_run)
    with in_a_line("stopped"):
        result = _write(request)
    figures = {
        "periods": result.periods,
        "snapshots_written": result.snapshots_written,
        "snapshots_untouched": result.snapshots_untouched,
        "snapshots_restated": result.snapshots_restated,
    }
    log.info("%s", ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in figures.items()))
    log.info("seconds: %s", ", ".join(f"{step} {took}" for step, took in result.seconds.items()))
    return figures


def _estimate(request: engine.Request) -> engine.Estimate:
    if settings().shards_file is not None:
        told: list[engine.Estimate] = []
        over_shards.backfill(settings(), request, dry_run=True, told=told.append)
        return told[0]
    with connected(settings(), "airflow backfill check") as connection:
        return engine.estimate_of(connection, settings(), request)


def _write(request: engine.Request) -> engine.BackfillResult:
    how: dict[str, Any] = {"notify": log.warning, "progress": _lines()}
    if settings().shards_file is not None:
        done = over_shards.backfill(settings(), request, **how)
        if done is None:
            raise RuntimeError("a backfill that is no dry run tells what it did")
        return done.whole
    with connected(settings(), "airflow backfill", works_long=True) as connection:
        return engine.backfill(connection, settings(), request, **how)


def _lines() -> Callable[[int, int], None]:
    """Return a progress function that logs a line now and then."""
    said = time.monotonic()

    def progress(done: int, total: int) -> None:
        nonlocal said
        if done == total or time.monotonic() - said >= _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            log.info("periods: %s of %s", f"{done:,}", f"{total:,}")

    return progress
