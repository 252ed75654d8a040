"""What the DAG's tasks do: the engine's steps, for one DAG run, with readable logs.

The tasks of a run share a run key, made of the DAG run's own names, so that
every try of every task arrives at the same one and no figures pass through
the orchestrator.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from consumer_analytics.airflow import dag_ids
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import extract, load, run
from consumer_analytics.etl.models import CustomerExtract, EventExtract, Run, RunSummary
from consumer_analytics.orchestration.dag_runs import DagRun
from consumer_analytics.orchestration.failures import in_a_line
from consumer_analytics.settings import Settings, settings
from consumer_analytics.shards import addresses, runs

log = logging.getLogger(__name__)

SOURCE = "airflow_etl"


def run_key(dag_run: DagRun) -> str:
    """Return the key under which the engine knows this DAG run."""
    return dag_ids.run_key(dag_run.dag_id, dag_run.run_id)


def instant(dag_run: DagRun) -> dt.datetime:
    """Return the instant of the DAG run's snapshot: the same on every clear and re-run."""
    return dag_run.logical_date or dag_run.run_after


def extract_customer_counts(dag_run: DagRun) -> str:
    """Count the customers; return the run key."""
    return _extract(dag_run, dag_ids.EXTRACT_CUSTOMERS, extract.customers)


def extract_event_counts(dag_run: DagRun) -> str:
    """Count the events; return the run key."""
    return _extract(dag_run, dag_ids.EXTRACT_EVENTS, extract.events)


def load_consumer_analytics(dag_run: DagRun) -> str:
    """Fold, write the snapshots, move the watermark; return the run key."""
    with _step(dag_run, dag_ids.LOAD, reopen=True) as (connection, config, opened):
        _log_summary(load.load(connection, config, opened, log.info))
    return run_key(dag_run)


def settle_shards(dag_run: DagRun) -> list[str]:
    """Wait for what is in flight in any shard; return the shards' names."""
    with _noting(dag_run, dag_ids.SETTLE_SHARDS) as config:
        return runs.settle(
            config,
            at=instant(dag_run),
            run_key=run_key(dag_run),
            source=SOURCE,
            notify=log.info,
        )


def load_shard(dag_run: DagRun, shard: str) -> str:
    """Load in one shard; return the run key."""
    with _noting(dag_run, f"{dag_ids.LOAD_SHARD} {shard}") as config:
        told = runs.load_shard(config, run_key(dag_run), shard, log.info)
    if told is None:
        log.info("run %s is published, or was never settled", run_key(dag_run))
    else:
        log.info("shard %s: %s events read", shard, f"{told['rows_read']:,}")
    return run_key(dag_run)


def publish_shards(dag_run: DagRun) -> str:
    """Publish what all shards have loaded; return the run key."""
    with _noting(dag_run, dag_ids.LOAD) as config:
        summary = runs.publish(config, run_key(dag_run), log.info)
    if summary is None:
        log.info("run %s is published, or was never settled", run_key(dag_run))
    else:
        _log_summary(summary.whole)
    return run_key(dag_run)


@contextmanager
def _noting(dag_run: DagRun, name: str) -> Iterator[Settings]:
    """Note a failure of a step over shards where one comes."""
    config = settings()
    try:
        with in_a_line(f"{name} failed"):
            yield config
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        _note_failure(addresses.of_analytics(config), run_key(dag_run), error)
        raise


def _extract(
    dag_run: DagRun,
    name: str,
    count: Callable[[Connection, Settings, Run], CustomerExtract | EventExtract],
) -> str:
    with _step(dag_run, name, reopen=False) as (connection, config, opened):
        figures = count(connection, config, opened).as_json()
        seconds = figures.pop("seconds")
        shown = ", ".join(f"{what.replace('_', ' ')} {n:,}" for what, n in figures.items())
        log.info("found in %.3f s: %s", seconds, shown)
    return run_key(dag_run)


@contextmanager
def _step(
    dag_run: DagRun, name: str, *, reopen: bool
) -> Iterator[tuple[Connection, Settings, Run]]:
    """Open the DAG run's run, or find it open; note a failure where one comes.

    A run that ended well is opened again for its load only: an extract that is
    cleared alone must not leave it open.
    """
    config = settings()
    key = run_key(dag_run)
    try:
        with (
            in_a_line(f"{name} failed"),
            connected(config, f"airflow {name}", works_long=True) as connection,
        ):
            # Most often another task has opened it: then all that opening checks is checked.
            known = run.find(connection, key, state="open")
            if known is None and not reopen:
                known = run.find(connection, key, state="success")
            opened = known or run.open_run(
                connection,
                config,
                at=instant(dag_run),
                run_key=key,
                source=SOURCE,
                notify=log.info,
            )
            log.info(
                "run %s: as of %s, reading up to %s",
                key,
                opened.requested_at.isoformat(),
                opened.reached_at.isoformat(),
            )
            yield connection, config, opened
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        _note_failure(config, key, error, run.Asked(key, SOURCE, instant(dag_run)))
        raise


def _note_failure(
    config: Settings, key: str, error: Exception, asked: run.Asked | None = None
) -> None:
    """Write the failure to the watermark's row, where the database still answers."""
    try:
        with connected(config, "airflow failure") as connection:
            run.record_failure(connection, key, error, asked)
    except (ConsumerAnalyticsError, psycopg.Error) as second:
        log.warning("the failure could not be noted in the database: %s", second)


def _log_summary(summary: RunSummary) -> None:
    if summary.window is None:
        log.info("nothing could be processed yet")
    else:
        log.info("window %s to %s", *(at.isoformat() for at in summary.window))
        log.info(
            "rows read %s; new events %s, new customers %s; snapshots written %s, restated %s",
            *(
                f"{n:,}"
                for n in (
                    summary.rows_read,
                    summary.new_events,
                    summary.new_customers,
                    summary.snapshots_written,
                    summary.snapshots_restated,
                )
            ),
        )
    corrections = summary.corrections
    if corrections.first_day is not None:
        log.info(
            "corrected from %s on: %s events found, %s gone",
            corrections.first_day,
            f"{corrections.found:,}",
            f"{corrections.vanished:,}",
        )
    for kind, value in summary.bad_rows.as_json().items():
        log.warning("%s: %s", kind.replace("_", " "), value)
    for holder in summary.held_back_by:
        log.warning("stopped short of %s, held back by %s", summary.requested.isoformat(), holder)
    log.info("seconds: %s", ", ".join(f"{step} {took}" for step, took in summary.seconds.items()))
