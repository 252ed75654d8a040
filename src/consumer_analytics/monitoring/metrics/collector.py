"""Reads every metric when it is asked for, and keeps nothing in between but a session."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from prometheus_client import Metric as Family
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector
from psycopg.rows import class_row

import consumer_analytics
from consumer_analytics.db import documents, own_names, schema
from consumer_analytics.db.connection import Connection, connect, consistent
from consumer_analytics.db.tags import Tag
from consumer_analytics.errors import ConsumerAnalyticsError, one_line
from consumer_analytics.etl import watermark
from consumer_analytics.formatting import duration
from consumer_analytics.monitoring import health
from consumer_analytics.monitoring.measures import MEASURES
from consumer_analytics.monitoring.metrics.catalogue import Metric, metrics
from consumer_analytics.monitoring.observation import CAUSES
from consumer_analytics.settings import THRESHOLDS, Settings, variable
from consumer_analytics.sql import query

log = logging.getLogger(__name__)

#: Label values and a value.
Sample = tuple[tuple[str, ...], float]
Samples = dict[str, list[Sample]]
#: Counter to the values of its labels to how many, and since when so many.
Counters = dict[str, dict[tuple[str, ...], tuple[float, float]]]
OTHER = "other"
_GENTLY = 0.2


class StateCollector(Collector):
    """Exposes the state in the database.

    Scrapes take turns at one read-only session, which is opened again where it was lost.
    Where the database cannot be read in time the answer says so, and holds no figure.
    """

    def __init__(self, settings: Settings, notify: Callable[[str], None] = log.warning) -> None:
        """Describe it; nothing is opened before the first scrape.

        Args:
            settings: where to.
            notify: told why the metrics cannot be read.
        """
        self._settings = settings
        self._notify = notify
        self._session: Connection | None = None
        self._turn = threading.Lock()

    def describe(self) -> Iterator[Family]:
        """Name the metrics without reading them, as registering does."""
        yield from (_family(metric) for metric in metrics())

    def collect(self) -> Iterator[Family]:
        """Read all metrics."""
        started = time.monotonic()
        with self._turn:
            samples, counters = self._read()
        samples["scrape_duration_seconds"] = [((), time.monotonic() - started)]
        for metric in metrics():
            family = _family(metric)
            if metric.kind == "gauge":
                for labels, value in samples.get(metric.name, ()):
                    family.add_metric(labels, value)
            elif counters is not None:
                _count(metric, family, counters)
            if family.samples:
                yield family

    def close(self) -> None:
        """Close the session; the next scrape opens another one."""
        with self._turn:
            self._drop()

    def _read(self) -> tuple[Samples, Counters | None]:
        version = consumer_analytics.__version__
        try:
            with (
                _Deadline(self._connected(), self._settings.metrics_timeout) as connection,
                own_names.explaining(connection, self._settings),
            ):
                samples, counters, schema_version = read(connection, self._settings)
        except (psycopg.Error, ConsumerAnalyticsError) as error:
            self._notify(f"metrics cannot be read: {self._why(error)}")
            self._drop()
            return {
                "scrape_success": [((), 0)],
                "build_info": [((version, ""), 1)],
            }, None
        samples["scrape_success"] = [((), 1)]
        samples["build_info"] = [((version, schema_version), 1)]
        return samples, counters

    def _why(self, error: Exception) -> str:
        """Say why they cannot be read: what was ended was most likely by our own deadline."""
        if isinstance(error, psycopg.errors.InsufficientPrivilege):
            return (
                f"{error.diag.message_primary}; let {variable('database_url')} name a login in the "
                "etl role, which `consumer-analytics roles` makes"
            )
        if not isinstance(error, psycopg.errors.QueryCanceled):
            return one_line(error)
        limit = duration(self._settings.metrics_timeout)
        return (
            f"not within {limit}, or somebody ended it; {variable('metrics_timeout')} is that time"
        )

    def _connected(self) -> Connection:
        session = self._session
        if session is None or session.closed:
            session = connect(self._settings, "metrics")
            milliseconds = max(1, round(self._settings.metrics_timeout * 1000))
            session.execute(
                "select set_config('default_transaction_read_only', 'on', false), "
                "set_config('statement_timeout', %s, false), "
                "set_config('lock_timeout', %s, false)",
                [str(milliseconds), str(milliseconds)],
            )
            self._session = session
        return session

    def _drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


class _Deadline:
    """Hands out a session for a block, and cancels what runs in it when the time is up."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._cancel, daemon=True)

    def __enter__(self) -> Connection:
        self._watch.start()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _cancel(self) -> None:
        if self._done.wait(self._seconds):
            return
        # Again, for there may be nothing to cancel between two statements.
        while not self._done.wait(_GENTLY):
            self._connection.cancel_safe(timeout=1)


@dataclass(frozen=True)
class _State:
    """What is now, as `state.sql` answers it; the latest snapshot is None before the first."""

    backfills_running: int
    backfill_periods_asked: int
    backfill_periods_done: int
    mails_waiting: int
    last_steps: dict[str, float] | None
    schema_version: str
    snapshots_bytes: int
    snapshot_timestamp: dt.datetime | None
    system: Any

    @classmethod
    def read(cls, connection: Connection) -> _State:
        with connection.cursor(row_factory=class_row(cls)) as cursor:
            state = cursor.execute(
                query("monitoring/metrics/state"), {"tag": Tag.BACKFILL.value}
            ).fetchone()
        if state is None:
            raise LookupError("the statement answered no row")
        return state


@dataclass(frozen=True)
class _Consumer:
    """A consumer's figures in the latest snapshot, as `consumers.sql` answers them."""

    consumer_id: str
    name: str
    customers: float | None
    active_customers: float | None
    events: float | None


def read(connection: Connection, settings: Settings) -> tuple[Samples, Counters, str]:
    """Read one state of all metrics.

    Args:
        connection: in autocommit, and not in a transaction.
        settings: for the schedule, the limits, and how many consumers are shown.

    Returns:
        Samples of gauges by the metric's name, counters by their names, and the version
        of the schema.

    Raises:
        SchemaError: the schema is not this version's.
    """
    with consistent(connection):
        schema.require_current(connection)
        judged = health.read(connection, settings)
        state = _State.read(connection)
        with connection.cursor(row_factory=class_row(_Consumer)) as cursor:
            shown = cursor.execute(
                query("monitoring/metrics/consumers", settings.sources),
                {
                    "at": state.snapshot_timestamp,
                    "limit": settings.metrics_consumers,
                },
            ).fetchall()
        incidents = connection.execute(query("monitoring/metrics/incidents")).fetchall()
        counters: Counters = {}
        for name, labels, n, changed_at in connection.execute(query("monitoring/metrics/counters")):
            counters.setdefault(name, {})[tuple(labels)] = (n, changed_at)
        mark = watermark.read(connection)
    samples = {
        **_freshness(judged),
        **_runs(judged, mark, state),
        **_measures(judged),
        **_operator(judged, incidents, state),
        **_figures(state, shown),
    }
    if swept := counters.get("sweeps"):
        samples["last_sweep_timestamp_seconds"] = [((), swept[()][1])]
    return samples, counters, state.schema_version


def _one(value: float | None) -> list[Sample]:
    """Return a metric's only sample; none where there is nothing to tell yet."""
    return [] if value is None else [((), value)]


def _measures(judged: health.Health) -> Samples:
    return {one.definition.metric.name: _one(one.value) for one in judged.measures}


def _freshness(judged: health.Health) -> Samples:
    return {
        "watermark_timestamp_seconds": _one(judged.watermark.timestamp()),
        "watermark_age_seconds": _one(judged.watermark_age_seconds),
        "backlog_events": _one(judged.backlog_events),
        "freshness_cause": [((kind,), kind == judged.cause.kind) for kind in CAUSES],
        "holding_transactions": _one(sum(bool(one.get("open")) for one in judged.cause.holders)),
    }


def _runs(judged: health.Health, mark: watermark.Watermark, state: _State) -> Samples:
    ended_at, last = mark.last_run_at, judged.last_run
    return {
        "last_run_timestamp_seconds": _one(None if ended_at is None else ended_at.timestamp()),
        "last_run_success": _one(None if last is None else last.state == "success"),
        "last_run_step_duration_seconds": [
            ((step,), seconds) for step, seconds in (state.last_steps or {}).items()
        ],
        "backfills_running": _one(state.backfills_running),
        "backfill_periods": _one(state.backfill_periods_asked),
        "backfill_periods_done": _one(state.backfill_periods_done),
    }


def _operator(judged: health.Health, incidents: list[tuple[Any, ...]], state: _State) -> Samples:
    open_now = {(name, severity): 0 for name in MEASURES for severity in THRESHOLDS}
    for name, severity, n in incidents:
        open_now[name, severity] = n
    return {
        "health": [
            ((one.name, each), each == one.state)
            for one in judged.measures
            for each in health.STATES
        ],
        "health_limit": [
            ((one.name, severity), getattr(one, severity))
            for one in judged.measures
            for severity in THRESHOLDS
        ],
        "incidents_open": list(open_now.items()),
        "mails_waiting": _one(state.mails_waiting),
    }


def _figures(state: _State, shown: list[_Consumer]) -> Samples:
    samples: Samples = {"snapshots_size_bytes": _one(state.snapshots_bytes)}
    if state.snapshot_timestamp is None:
        return samples
    # What somebody edited so that it is no number is left out.
    told = state.system if isinstance(state.system, dict) else {}
    consumers = documents.count(told.get("consumers_in_system"))
    samples |= {
        "snapshot_timestamp_seconds": _one(state.snapshot_timestamp.timestamp()),
        "consumers": _one(consumers),
        "inactive_customers": _one(documents.count(told.get("inactive_customers_all_consumers"))),
    }
    whole = {
        "customers": told.get("total_customers_all_consumers"),
        "active_customers": told.get("active_customers_all_consumers"),
        "events": told.get("total_events_all_consumers"),
    }
    for name, figure in whole.items():
        total = documents.count(figure)
        samples[name] = _one(total)
        each: list[Sample] = [
            ((one.consumer_id, one.name), value)
            for one in shown
            if (value := getattr(one, name)) is not None
        ]
        samples[f"consumer_{name}"] = each
        if total is not None and len(each) == len(shown) and consumers and len(shown) < consumers:
            each.append(((OTHER, ""), total - sum(value for _, value in each)))
    return samples


def _family(metric: Metric) -> Any:
    """Make an empty family; a counter's adds `_total` to its name itself."""
    kinds = {
        "gauge": GaugeMetricFamily,
        "counter": CounterMetricFamily,
        "summary": SummaryMetricFamily,
    }
    return kinds[metric.kind](metric.full_name, metric.help, labels=metric.labels)


def _count(metric: Metric, family: Any, counters: Counters) -> None:
    """Add what the database has counted, and what is there from the start."""
    counted = counters.get(metric.counter, {})
    if metric.kind == "counter":
        none = metric.from_the_start if metric.labels else ((),)
        values = dict.fromkeys(none, 0.0) | {labels: n for labels, (n, _) in counted.items()}
        for labels, n in sorted(values.items()):
            family.add_metric(labels, n)
        return
    how_often = counters.get(metric.count, {})
    for labels, (total, _) in sorted(counted.items()):
        # Runs are counted by how they ended, too; only successful ones have a duration.
        n, _ = how_often.get(labels) or how_often.get((*labels, "success"), (0, 0))
        family.add_metric(labels, count_value=int(n), sum_value=total)
