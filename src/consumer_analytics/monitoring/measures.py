"""The measures of health: each is one entry here, and everything else reads it.

    dag_runtime     how long the last finished run of `consumer_analytics_etl` took
    failed_runs     how many of its runs failed within 24 hours
    watermark_lag   how long the watermark has been behind what the schedule was due to reach
    pending_events  events from before that instant that are not processed yet

A new one is a function that takes it, and an entry below; where its limits are to be settings
of their own, two fields `<limits>_warning` and `<limits>_critical` in `settings.py`. It is then
judged, shown by `health` and the dashboard, mailed under its own label, exported, and alerted on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from consumer_analytics.airflow.dag_ids import ETL
from consumer_analytics.errors import noted
from consumer_analytics.formatting import duration, seconds
from consumer_analytics.monitoring.observation import (
    MOST_EVENTS,
    Cause,
    EngineRuns,
    LastRun,
    Observation,
)
from consumer_analytics.monitoring.register import Register
from consumer_analytics.settings import THRESHOLDS, Settings

#: Measured values by the names of their measures; None where there was nothing to measure.
Values = Mapping[str, float | None]
#: Steps named where a run took long.
_SLOWEST = 2


# -- what an entry consists of -------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """What an incident is about: measures that tell of the same thing share one.

    Attributes:
        name: as the database keeps it; it never changes.
        label: as a table has it.
        title: what is not well, in a few words: a subject line has it.
        title_over: the same when it is over.
        now: how things are when it is over, in a sentence, after the cause of the figures'
            freshness and the measured values.
    """

    name: str
    label: str
    title: str
    title_over: str
    now: Callable[[Cause, Values], str] = lambda _cause, _values: "it works again"


@dataclass(frozen=True)
class Measurement:
    """What a measure was found to be, before it is judged.

    Attributes:
        value: in the measure's unit; None where there is nothing to measure yet, or where it
            cannot be measured.
        source: where it was taken from: `airflow` (its metadata), `runs` (the engine's own
            record) or `sources`.
        cause: why it is as it is; None where there is nothing to say.
        cause_if_normal: whether the cause is shown where the measure is normal, too.
        can_be_taken: whether it can be measured at all; else the cause says why not.
        raw: the unjudged figure beside it, by the name of `Beside`.
    """

    value: float | None
    source: str
    cause: str | None = None
    cause_if_normal: bool = True
    can_be_taken: bool = True
    raw: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """A figure that is not judged, shown beside one that is.

    Attributes:
        name: of the figure.
        unit: as a measure's.
        text: a sentence about it, with `{}` where it stands.
    """

    name: str
    unit: str
    text: str


@dataclass(frozen=True)
class Gauge:
    """The metric that exports a measure.

    Attributes:
        name: without the prefix; with the unit, where it has one.
        help: what it means, in a sentence.
    """

    name: str
    help: str


@dataclass(frozen=True)
class AlertRule:
    """What Prometheus says where a measure is beyond its limits.

    Attributes:
        name: the alerts' names are this with `Warning` and `Critical` after it.
        summary: what is not well, in a few words.
        description: more of it, as Prometheus's template: `{{ $value }}`.
    """

    name: str
    summary: str
    description: str


def _follows_nothing(_cause: Cause, _last_run: LastRun | None) -> Subject | None:
    return None


@dataclass(frozen=True)
class MeasureDefinition:
    """A measure of health: all that there is to know of it.

    Attributes:
        name: as machines know it.
        label: as people read it.
        unit: of its values: `seconds`, or what is counted, such as `runs` or `events`.
        limits: the settings `<limits>_warning` and `<limits>_critical`: it is a warning from the
            first one on, and critical beyond the second.
        subject: what an incident of it is about.
        take: takes it; in the observation's transaction.
        metric: what exports it.
        alert: what Prometheus says of it.
        from_critical: whether it is critical from the second limit on, not beyond it.
        has_grace: whether a run is given the time of its deadline before it counts.
        of_last_run: whether it tells of nothing but the last run: it makes nothing worse where
            that is known to have failed, and is passed over where it is known to be late.
        follows: the subject that it belongs to instead of its own, by the cause of the figures'
            freshness and the last run: what follows from another thing is announced with it.
        beside: the unjudged figure that is taken along; None where there is none.
    """

    name: str
    label: str
    unit: str
    limits: str
    subject: Subject
    take: Callable[[Observation, Cause], Measurement]
    metric: Gauge
    alert: AlertRule
    from_critical: bool = False
    has_grace: bool = False
    of_last_run: bool = False
    follows: Callable[[Cause, LastRun | None], Subject | None] = _follows_nothing
    beside: Beside | None = None

    @property
    def settings(self) -> tuple[str, str]:
        """The names of the settings of its limits: warning and critical."""
        warning, critical = (f"{self.limits}_{threshold}" for threshold in THRESHOLDS)
        return warning, critical

    def limits_of(self, settings: Settings) -> tuple[float, float]:
        """Return its limits: warning and critical, in its unit."""
        warning, critical = (getattr(settings, name) for name in self.settings)
        return warning, critical

    @property
    def is_counted(self) -> bool:
        """Whether its values are whole numbers."""
        return self.unit != "seconds"


# -- what incidents are about ----------------------------------------------------------

FRESHNESS = Subject(
    name="freshness",
    label="Freshness",
    title="figures are behind",
    title_over="figures are up to date again",
    now=lambda cause, _: cause.text,
)
FAILURES = Subject(
    name="failures",
    label="Failed runs",
    title="runs fail",
    title_over="runs are well again",
    now=lambda cause, _: f"no run failed within 24 hours; {cause.text}",
)
RUNTIME = Subject(
    name="runtime",
    label="DAG runtime",
    title="runs are slow",
    title_over="runs are fast again",
    now=lambda _, values: "the last run took " + duration(values["dag_runtime"]),
)
#: Of a measure that cannot be taken, whichever it is.
MEASURING = Subject(
    name="measuring",
    label="Measuring",
    title="health cannot be measured",
    title_over="health can be measured again",
)


# -- how they are taken ----------------------------------------------------------------


def _runtime(seen: Observation, _: Cause) -> Measurement:
    """Take how long the last finished run took."""
    if seen.airflow.reason is not None:
        return Measurement(None, "airflow", seen.airflow.reason, can_be_taken=False)
    working = seen.airflow.runs.working if seen.airflow.runs is not None else None
    if working is not None and working.is_newer_again:
        # The one before it was told of when it ended.
        return Measurement(None, "airflow", f"run {working.run_id} is at work again")
    last = seen.last_run
    if last is None:
        return Measurement(None, "runs", "no run has finished yet")
    return Measurement(
        last.seconds, last.source, _time_spent(last, seen.engine), cause_if_normal=False
    )


def _time_spent(last: LastRun, engine: EngineRuns) -> str:
    """Say where a run's time went."""
    text = f"run {last.run} took {duration(last.seconds)}"
    if last.state == "failed":
        return f"{text}, tries and waiting between them included, and failed"
    ours = engine.finished
    if ours is None or last.run != ours.run_key:
        return text
    waited = seconds(ours.opened_at - last.started_at)
    steps = {**ours.step_seconds, "starting and waiting for open transactions": waited}
    slowest = sorted(steps.items(), key=lambda step: -step[1])[:_SLOWEST]
    named = ", ".join(f"{name} {duration(took)}" for name, took in slowest if took > 0)
    return f"{text}: {named}" if named else text


def _runtime_follows(cause: Cause, last_run: LastRun | None) -> Subject | None:
    if last_run is not None and last_run.state == "failed":
        return FAILURES
    return FRESHNESS if cause.kind == "held_back" else None


def _failed(seen: Observation, _: Cause) -> Measurement:
    """Take how many runs failed within 24 hours."""
    mark, engine, airflow = seen.mark, seen.engine, seen.airflow
    if airflow.reason is not None:
        return Measurement(None, "airflow", airflow.reason, can_be_taken=False)
    if airflow.runs is not None and airflow.finished is not None:
        count, source = airflow.runs.failed + engine.failed_outside_airflow, "airflow"
    else:
        count, source = engine.failed, "runs"
    if not count:
        return Measurement(count, source)
    last = mark.metadata if mark.last_run_status == "failed" else engine.last_error
    why = f", the last: {noted(last)}" if last else ""
    return Measurement(count, source, f"{count} failed within 24 hours{why}")


def _lag(seen: Observation, cause: Cause) -> Measurement:
    """Take for how long the watermark has been behind what was due."""
    since = seen.due.since
    age = seconds(seen.at - seen.mark.reach)
    return Measurement(
        seconds(seen.at - since) if since is not None else 0.0,
        "runs",
        cause.text,
        raw={"watermark_age_seconds": age},
    )


def _pending(seen: Observation, cause: Cause) -> Measurement:
    """Take how many events wait that should have been processed."""
    if seen.backlog.all is None:
        return Measurement(None, "sources", seen.backlog.reason, can_be_taken=False)
    count = seen.backlog.due
    why = cause.text if count else None
    if count >= MOST_EVENTS:
        why = f"at least {MOST_EVENTS:,}: {why}"
    return Measurement(count, "sources", why, raw={"backlog_events": seen.backlog.all})


def _stale_follows(cause: Cause, _: LastRun | None) -> Subject | None:
    return FAILURES if cause.kind == "failed" else None


# -- the register ----------------------------------------------------------------------


class Measures(Register[MeasureDefinition]):
    """The measures there are, by their names, in the order in which people read them."""

    def label(self, name: str) -> str:
        """Return a measure's label; its name where it is none that is known any more."""
        return self[name].label if name in self else name

    @property
    def subjects(self) -> dict[str, Subject]:
        """What incidents can be about, by name; but for other DAGs, which have names of theirs."""
        known = (*(one.subject for one in self.values()), MEASURING)
        return {one.name: one for one in known}


MEASURES = Measures(
    MeasureDefinition(
        name="dag_runtime",
        label="DAG runtime",
        unit="seconds",
        limits="runtime",
        subject=RUNTIME,
        follows=_runtime_follows,
        take=_runtime,
        of_last_run=True,
        metric=Gauge(
            "dag_runtime_seconds", "How long the last finished run of the ETL's DAG took."
        ),
        alert=AlertRule(
            "ConsumerAnalyticsRuntime",
            f"The last run of {ETL} took long",
            "It took {{ $value | humanizeDuration }}; `consumer-analytics health` says where the "
            "time went.",
        ),
    ),
    MeasureDefinition(
        name="failed_runs",
        label="Failed runs, last 24 h",
        unit="runs",
        limits="failed_runs",
        from_critical=True,
        subject=FAILURES,
        take=_failed,
        metric=Gauge("failed_runs", "Runs of the ETL that failed within the last 24 hours."),
        alert=AlertRule(
            "ConsumerAnalyticsFailedRuns",
            f"Runs of {ETL} failed",
            "{{ $value }} within 24 hours; `consumer-analytics health` has the last error.",
        ),
    ),
    MeasureDefinition(
        name="watermark_lag",
        label="Watermark lag",
        unit="seconds",
        limits="lag",
        subject=FRESHNESS,
        follows=_stale_follows,
        take=_lag,
        beside=Beside("watermark_age_seconds", "seconds", "the watermark is {} old"),
        metric=Gauge(
            "watermark_lag_seconds",
            "How long the watermark has been behind the last instant that the schedule was due to "
            "reach; 0 where it has reached it.",
        ),
        alert=AlertRule(
            "ConsumerAnalyticsWatermarkLag",
            "The figures are behind their schedule",
            "The watermark has been behind for {{ $value | humanizeDuration }}; "
            "`consumer-analytics health` names the cause.",
        ),
    ),
    MeasureDefinition(
        name="pending_events",
        label="Pending events",
        unit="events",
        limits="pending",
        has_grace=True,
        subject=FRESHNESS,
        follows=_stale_follows,
        take=_pending,
        beside=Beside("backlog_events", "events", "{} events since the watermark"),
        metric=Gauge(
            "pending_events",
            "Events from before the last instant due that are not processed yet.",
        ),
        alert=AlertRule(
            "ConsumerAnalyticsPendingEvents",
            "Events that were due are not processed",
            "{{ $value }} wait, and the run had the time that it has; `consumer-analytics health` "
            "names the cause.",
        ),
    ),
)
