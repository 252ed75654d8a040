"""What health says: four measures, each with its state, and the cause of the figures' freshness."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from consumer_analytics.formatting import amount, between

MEASURES = ("dag_runtime", "failed_runs", "watermark_lag", "pending_events")
#: From best to worst. What cannot be known is not well.
STATES = ("normal", "unknown", "warning", "critical")
#: Counting goes no further than this.
MOST_EVENTS = 1_000_000


def worst(states: list[str]) -> str:
    """Return the worst of some states; normal where there are none."""
    return max(states, key=STATES.index, default="normal")


@dataclass(frozen=True)
class Cause:
    """Why the figures are as fresh as they are.

    Attributes:
        kind: `on_time`; `nothing_to_process` (on time, and nothing was new); `not_due`
            (no instant of the schedule has come yet); or, where the watermark is behind,
            `not_run`, `running_late`, `held_back`, `failed`.
        text: the same in a sentence, with who, when and what to do.
        holders: the transactions that held the last run back, as `metadata_json` has
            them, with `open` telling whether they still are.
    """

    kind: str
    text: str
    holders: tuple[dict[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"kind": self.kind, "text": self.text, "held_back_by": list(self.holders)}


@dataclass(frozen=True)
class Measure:
    """One of the four measures.

    Attributes:
        name: one of `MEASURES`.
        value: what was measured, in `unit`; None where there is nothing to measure yet, or
            where it cannot be measured.
        unit: `seconds`, `runs` or `events`.
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
    def limits(self) -> dict[str, str]:
        """The three ranges as people read them, such as `< 5 s`, `5-15 s`, `> 15 s`."""
        low, high = (amount(limit, self.unit) for limit in (self.warning, self.critical))
        if self.unit == "runs":
            below = amount(self.warning - 1, self.unit)
            above = amount(self.critical - 1, self.unit)
            return {
                "normal": below if self.warning == 1 else f"<= {below}",
                "warning": between(low, above) if self.warning < self.critical else "-",
                "critical": f">= {high}",
            }
        normal = "0" if self.unit == "events" and self.warning == 1 else f"< {low}"
        return {"normal": normal, "warning": between(low, high), "critical": f"> {high}"}

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
        measures: in the order of `MEASURES`.
        watermark: how far the figures have come.
        due: the last instant that the schedule was due to reach; None before the first.
        next_due: the next one; None where the schedule has none.
        behind_since: since when the watermark has been behind; None where it is not.
        watermark_age_seconds: how old the watermark is, whatever the schedule.
        backlog_events: events from the watermark on, whatever the schedule; counted up to
            `MOST_EVENTS`.
        last_run: the last finished run: `run`, `state`, `started_at`, `finished_at`; None
            before the first.
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
    backlog_events: int
    last_run: dict[str, Any] | None

    def measure(self, name: str) -> Measure:
        """Return a measure by its name."""
        return next(one for one in self.measures if one.name == name)

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
            "last_run": self.last_run,
        }


def judge(one: Measure) -> str:
    """Return a measure's state by its limits alone, whether or not there is time left."""
    if one.value is None:
        return one.state
    return judged(one.value, one.warning, one.critical, from_critical=one.unit == "runs")


def judged(value: float, warning: float, critical: float, *, from_critical: bool = False) -> str:
    """Return the state of a value; `from_critical` where the limit itself is critical."""
    if value > critical or (from_critical and value == critical):
        return "critical"
    return "warning" if value >= warning else "normal"
