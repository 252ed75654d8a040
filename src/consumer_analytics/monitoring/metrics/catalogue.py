"""Every metric there is. What is exposed, documented, alerted on and drawn is looked up here.

Those of the measures of health come from their register.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.monitoring.measures import MEASURES

PREFIX = "consumer_analytics_"
#: What a metric is; a `summary` has a `_sum` and a `_count`.
Kind = Literal["gauge", "counter", "summary"]


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: without the prefix; base units, counters with `_total`.
        kind: gauge, counter or summary.
        help: what it means, in a sentence.
        labels: the names of its labels.
        counter: the name under which the database counts it; the sum of a summary.
        count: of a summary, the name of its count.
        from_the_start: values of the labels that are there before anything was counted, so
            that the first time is seen as an increase.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    counter: str = ""
    count: str = ""
    from_the_start: tuple[tuple[str, ...], ...] = ()

    @property
    def full_name(self) -> str:
        """Its name as Prometheus has it."""
        return PREFIX + self.name

    @property
    def series(self) -> tuple[str, ...]:
        """The names of its series."""
        if self.kind == "summary":
            return (f"{self.full_name}_sum", f"{self.full_name}_count")
        return (self.full_name,)


_SOURCES = ("airflow_etl", "cli_etl")
_KINDS = (("found",), ("vanished",))

_BEFORE_MEASURES = (
    Metric(
        "build_info",
        "gauge",
        "Always 1; the labels tell the product's version and its schema's.",
        ("version", "schema_version"),
    ),
    Metric(
        "scrape_success",
        "gauge",
        "Whether the database could be read for this answer; 0: only what is about the answer "
        "itself is in it.",
    ),
    Metric("scrape_duration_seconds", "gauge", "How long it took to read this answer."),
)
_AFTER_MEASURES = (
    # Freshness.
    Metric(
        "watermark_timestamp_seconds",
        "gauge",
        "The watermark: the exclusive upper bound of what has been processed.",
    ),
    Metric("watermark_age_seconds", "gauge", "How old the watermark is, whatever the schedule."),
    Metric("backlog_events", "gauge", "Events that are not processed yet, whatever the schedule."),
    Metric(
        "freshness_cause",
        "gauge",
        "1 for the reason why the figures are as fresh as they are, 0 for all others.",
        ("cause",),
    ),
    Metric(
        "holding_transactions",
        "gauge",
        "Open transactions that held the last run back, or that a run waits for.",
    ),
    # Runs.
    Metric("last_run_timestamp_seconds", "gauge", "When the last run ended, well or not."),
    Metric("last_run_success", "gauge", "Whether the last run that ended has ended well."),
    Metric(
        "last_run_step_duration_seconds",
        "gauge",
        "How long each step of the last successful run took.",
        ("step",),
    ),
    Metric(
        "runs_total",
        "counter",
        "Runs that ended: success, failed, gave_up (another one was at work), or interrupted.",
        ("source", "state"),
        "runs",
        from_the_start=tuple(product(_SOURCES, ("success", "failed", "gave_up", "interrupted"))),
    ),
    Metric(
        "run_duration_seconds",
        "summary",
        "From opening to the end of successful runs, waiting for the DAG's tasks included.",
        ("source",),
        "run_seconds",
        "runs",
    ),
    Metric(
        "run_step_duration_seconds",
        "summary",
        "How long the steps of successful runs took.",
        ("step",),
        "run_step_seconds",
        "run_steps",
    ),
    Metric("events_read_total", "counter", "Rows that runs read of the events.", (), "events_read"),
    Metric("new_events_total", "counter", "Events in the windows of runs.", (), "new_events"),
    Metric(
        "new_customers_total",
        "counter",
        "Customers new in the windows of runs.",
        (),
        "new_customers",
    ),
    Metric(
        "corrected_events_total",
        "counter",
        "Events on days processed before that runs found, or found gone.",
        ("kind",),
        "events_corrected",
        from_the_start=_KINDS,
    ),
    # Snapshots.
    Metric(
        "snapshots_written_total",
        "counter",
        "Snapshots that were written, by their snapshot_source.",
        ("source",),
        "snapshots_written",
        from_the_start=tuple((one,) for one in (*_SOURCES, "airflow_backfill", "cli_backfill")),
    ),
    Metric(
        "snapshots_restated_total",
        "counter",
        "Snapshots whose figures were corrected, by what corrected them.",
        ("by",),
        "snapshots_restated",
        from_the_start=(("run",), ("sweep",), ("backfill",), ("audit",)),
    ),
    Metric("snapshot_timestamp_seconds", "gauge", "Instant of the latest snapshot."),
    Metric("snapshots_size_bytes", "gauge", "Disk that the snapshots take, indexes included."),
    # Repairs.
    Metric("sweeps_total", "counter", "Sweeps that were done.", (), "sweeps"),
    Metric("last_sweep_timestamp_seconds", "gauge", "When the last sweep was done."),
    Metric(
        "sweep_repaired_events_total",
        "counter",
        "Events that sweeps found, or found gone.",
        ("kind",),
        "sweep_events",
        from_the_start=_KINDS,
    ),
    Metric(
        "sweep_repairs_total",
        "counter",
        "Days whose counts sweeps corrected.",
        (),
        "sweep_days",
    ),
    # Backfills.
    Metric("backfills_running", "gauge", "Backfills at work now."),
    Metric("backfill_periods", "gauge", "Periods that the backfills at work were asked for."),
    Metric("backfill_periods_done", "gauge", "Periods that they have written so far."),
    Metric(
        "backfill_periods_total",
        "counter",
        "Periods written by backfills.",
        (),
        "backfill_periods",
    ),
    Metric(
        "backfills_total",
        "counter",
        "Backfills that ended.",
        ("state",),
        "backfills",
        from_the_start=(("done",), ("failed",), ("interrupted",)),
    ),
    # What the operator is told.
    Metric(
        "health",
        "gauge",
        "1 for the state that a measure is in, 0 for the other states.",
        ("measure", "state"),
    ),
    Metric(
        "health_limit",
        "gauge",
        "The configured limits of the measures, in the measure's unit.",
        ("measure", "severity"),
    ),
    Metric(
        "incidents_open",
        "gauge",
        "Incidents that are open, by what is not well.",
        ("measure", "severity"),
    ),
    Metric(
        "incidents_opened_total",
        "counter",
        "Incidents that were opened.",
        ("subject",),
        "incidents_opened",
    ),
    Metric(
        "task_failures_total",
        "counter",
        "Tasks of Airflow that failed after their last retry.",
        ("dag",),
        "task_failures",
        from_the_start=((ETL,),),
    ),
    Metric(
        "deadline_misses_total",
        "counter",
        "DAG runs that had not ended by their deadline.",
        ("dag",),
        "deadline_misses",
        from_the_start=((ETL,),),
    ),
    Metric("mails_waiting", "gauge", "Mails to the operator that are not sent yet."),
    # The figures themselves.
    Metric("consumers", "gauge", "Consumers in the latest snapshot."),
    Metric("customers", "gauge", "Customers in the latest snapshot, of all consumers."),
    Metric("active_customers", "gauge", "Of these, those with status ACTIVE."),
    Metric("inactive_customers", "gauge", "Of these, those with status INACTIVE."),
    Metric("events", "gauge", "Events in the latest snapshot, of all consumers."),
    Metric(
        "consumer_customers",
        "gauge",
        "Customers of the consumers with the most events; consumer_id other: of all others.",
        ("consumer_id", "name"),
    ),
    Metric(
        "consumer_active_customers",
        "gauge",
        "Of these, those with status ACTIVE.",
        ("consumer_id", "name"),
    ),
    Metric("consumer_events", "gauge", "Their events.", ("consumer_id", "name")),
)


def metrics() -> tuple[Metric, ...]:
    """Return every metric, with those of the measures of health that there are."""
    subjects = tuple((subject,) for subject in MEASURES.subjects)
    return (
        *_BEFORE_MEASURES,
        *(Metric(one.metric.name, "gauge", one.metric.help) for one in MEASURES.values()),
        *(
            replace(one, from_the_start=subjects) if one.labels == ("subject",) else one
            for one in _AFTER_MEASURES
        ),
    )


def series() -> frozenset[str]:
    """Return the names of all series that there may be."""
    return frozenset(name for metric in metrics() for name in metric.series)


def table() -> str:
    """Return the metrics as a table in Markdown."""
    lines = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in metrics():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        lines.append(f"| `{metric.full_name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(lines) + "\n"
