"""Whether all is well: every measure taken and judged by its limits, and the cause where not.

Nothing is written. Everything is a function of the database and an instant, so that another
clock than the server's can be given.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from psycopg.pq import TransactionStatus

from consumer_analytics.db.connection import Connection, consistent
from consumer_analytics.formatting import amount, between, moment, seconds
from consumer_analytics.monitoring.measures import FRESHNESS, MEASURES, MeasureDefinition
from consumer_analytics.monitoring.observation import (
    Cause,
    LastRun,
    Observation,
    cause_of_freshness,
    grace,
)
from consumer_analytics.settings import Settings

#: From best to worst. What cannot be known is not well.
STATES = ("normal", "unknown", "warning", "critical")


def worst(states: Iterable[str]) -> str:
    """Return the worst of some states; normal where there are none."""
    return max(states, key=STATES.index, default="normal")


@dataclass(frozen=True)
class Measure:
    """A measure of health, judged.

    Attributes:
        name: such as `watermark_lag`.
        value: what was measured, in `unit`; None where there is nothing to measure yet, or
            where it cannot be measured.
        unit: `seconds`, or what is counted, such as `runs` or `events`.
        state: `normal`, `warning`, `critical`; `unknown` where it cannot be measured.
        warning: the limit from which on it is a warning.
        critical: the limit beyond which it is critical; for `failed_runs` from which on.
        cause: why it is not normal, or what is remarkable; None where nothing is.
        source: where it was taken from: `airflow` (its metadata), `runs` (the engine's own
            record) or `sources`.
        raw: the unjudged figure beside it: `watermark_age_seconds` or `backlog_events`.
    """

    name: str
    value: float | None
    unit: str
    state: str
    warning: float
    critical: float
    cause: str | None = None
    source: str = "runs"
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> MeasureDefinition:
        """All that there is to know of it."""
        return MEASURES[self.name]

    @property
    def limits(self) -> dict[str, str]:
        """The three ranges as people read them, such as `< 5 s`, `5-15 s`, `> 15 s`."""
        low, high = (amount(limit, self.unit) for limit in (self.warning, self.critical))
        if self.definition.from_critical and self.definition.is_counted:
            below = amount(self.warning - 1, self.unit)
            above = amount(self.critical - 1, self.unit)
            return {
                "normal": below if self.warning == 1 else f"<= {below}",
                "warning": between(low, above) if self.warning < self.critical else "-",
                "critical": f">= {high}",
            }
        return {
            "normal": "0" if self.definition.is_counted and self.warning == 1 else f"< {low}",
            "warning": between(low, high),
            "critical": f"{'>=' if self.definition.from_critical else '>'} {high}",
        }

    @property
    def state_by_limits(self) -> str:
        """Its state by its limits alone, whether or not a run has time left."""
        if self.value is None:
            return self.state
        return _state(self.definition, self.value, self.warning, self.critical)

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "state": self.state,
            "warning": self.warning,
            "critical": self.critical,
            "limits": self.limits,
            "cause": self.cause,
            "source": self.source,
            **self.raw,
        }


@dataclass(frozen=True)
class Health:
    """All measures as of an instant.

    Attributes:
        at: when they were taken.
        state: the worst of their states.
        cause: of the figures' freshness.
        measures: in the order of their register.
        watermark: how far the figures have come.
        due: the last instant that the schedule was due to reach; None before the first.
        next_due: the next one; None where the schedule has none.
        behind_since: since when the watermark has been behind; None where it is not.
        watermark_age_seconds: how old the watermark is, whatever the schedule.
        backlog_events: events from the watermark on, whatever the schedule; counted up to
            a million; None where a source table lacks what they are counted by.
        last_run: the last finished run; None before the first.
    """

    at: dt.datetime
    state: str
    cause: Cause
    measures: tuple[Measure, ...]
    watermark: dt.datetime
    due: dt.datetime | None
    next_due: dt.datetime | None
    behind_since: dt.datetime | None
    watermark_age_seconds: float
    backlog_events: int | None
    last_run: LastRun | None

    def measure(self, name: str) -> Measure:
        """Return a measure by its name."""
        return next(one for one in self.measures if one.name == name)

    @property
    def why(self) -> str:
        """What the state comes of: that figures are fresh says nothing of what else is amiss."""
        amiss = [one for one in self.measures if one.state != "normal"]
        others = [
            f"{one.definition.label} {amount(one.value, one.unit)}"
            for one in amiss
            if one.definition.subject is not FRESHNESS or one.state == "unknown"
        ]
        fresh = len(others) == len(amiss)
        return "; ".join([*others, self.cause.text] if fresh else [self.cause.text, *others])

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json` and the web."""
        return {
            "at": self.at,
            "state": self.state,
            "cause": self.cause.as_json(),
            "measures": [one.as_json() for one in self.measures],
            "watermark": self.watermark,
            "due": self.due,
            "next_due": self.next_due,
            "behind_since": self.behind_since,
            "watermark_age_seconds": self.watermark_age_seconds,
            "backlog_events": self.backlog_events,
            "last_run": None if self.last_run is None else asdict(self.last_run),
        }


def read(connection: Connection, settings: Settings, *, now: dt.datetime | None = None) -> Health:
    """Take all measures and judge them.

    Args:
        connection: in autocommit; within a transaction it is the caller's whether all of it
            sees one state of the data.
        settings: for the schedule and the limits.
        now: the instant to judge at; None for the server's clock.

    Raises:
        SchemaError: `etl_job_watermarks` lacks the job's row.
    """
    if connection.info.transaction_status is TransactionStatus.INTRANS:
        return of(Observation.take(connection, settings, now))
    # A run may commit between two of these statements.
    with consistent(connection):
        return of(Observation.take(connection, settings, now))


def of(seen: Observation) -> Health:
    """Judge an observation; in the transaction that it was taken in."""
    cause = cause_of_freshness(seen)
    measures = tuple(_judged(one, seen, cause) for one in MEASURES.values())
    watermark = seen.mark.reach
    return Health(
        at=seen.at,
        state=worst(one.state for one in measures),
        cause=cause,
        measures=measures,
        watermark=watermark,
        due=seen.due.instant,
        next_due=seen.due.following,
        behind_since=seen.due.since,
        watermark_age_seconds=seconds(seen.at - watermark),
        backlog_events=seen.backlog.all,
        last_run=seen.last_run,
    )


def _judged(one: MeasureDefinition, seen: Observation, cause: Cause) -> Measure:
    """Take a measure and judge it."""
    measurement = one.take(seen, cause)
    warning, critical = one.limits_of(seen.settings)
    why = measurement.cause
    if not measurement.can_be_taken:
        state = "unknown"
    elif measurement.value is None:
        state = "normal"
    else:
        state = _state(one, measurement.value, warning, critical)
        if one.has_grace and (until := _has_until(measurement.value, seen, cause)) is not None:
            # It was due a moment ago.
            state = "normal"
            why = f"{why}; it has until {moment(until)}"
    if state == "normal" and not measurement.cause_if_normal:
        why = None
    return Measure(
        one.name,
        measurement.value,
        one.unit,
        state,
        warning,
        critical,
        why,
        measurement.source,
        dict(measurement.raw),
    )


def _has_until(value: float, seen: Observation, cause: Cause) -> dt.datetime | None:
    """Return until when a run may take up what waits; None where that time is over."""
    since = seen.due.since
    if not value or since is None or cause.kind == "failed":
        return None
    until = since + grace(seen.settings)
    return until if seen.at < until else None


def _state(one: MeasureDefinition, value: float, warning: float, critical: float) -> str:
    """Return the state of a value by the limits of its measure."""
    if value > critical or (one.from_critical and value == critical):
        return "critical"
    return "warning" if value >= warning else "normal"
