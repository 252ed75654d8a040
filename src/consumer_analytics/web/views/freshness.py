"""What the page about freshness shows: the measures, watermark, runs, incidents, backfills."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from consumer_analytics.engine.alerts.incidents import Incident
from consumer_analytics.engine.dashboard.freshness import BackfillProgress, Freshness, TimedRun
from consumer_analytics.engine.health import Health
from consumer_analytics.engine.schedule import Schedule
from consumer_analytics.web import charts, rendering
from consumer_analytics.web.charts import Chart, Limit, Line, Take, Value

HOUR = 3600.0
#: Lanes of the Gantt view.
LANES = 20
_SLIVER = 0.4
_MOMENT = dt.timedelta(milliseconds=1)


def watermark_charts(
    freshness: Freshness, schedule: Schedule, limits: tuple[float, float], take: Take
) -> dict[str, Chart]:
    """Return the watermark over time, and how long it lagged behind the schedule.

    Args:
        freshness: with `reached`.
        schedule: says from when on a watermark lags: from the first instant due after it.
        limits: warning and critical of the lag, in seconds.
        take: what can be taken along.
    """
    steps = [(one.at, one.watermark, one.watermark_before) for one in freshness.reached]
    if steps and freshness.watermark is not None and freshness.until >= freshness.now:
        steps.append((freshness.now, freshness.watermark, freshness.watermark))
    return {
        "watermark": Chart(
            name="watermark",
            title="Watermark",
            kind="steps",
            unit="instant",
            at=[at for at, _, _ in steps],
            lines=[
                Line("watermark", "Processed up to", [mark.timestamp() for _, mark, _ in steps], 1),
                Line(
                    "clock", "The clock", [at.timestamp() for at, _, _ in steps], 8, reference=True
                ),
            ],
            note="How far the figures had come, and when. The distance to the clock is their age.",
            take=take,
        ),
        "lag": _lag(steps, schedule, limits, take),
    }


def _lag(
    steps: Sequence[tuple[dt.datetime, dt.datetime, dt.datetime | None]],
    schedule: Schedule,
    limits: tuple[float, float],
    take: Take,
) -> Chart:
    at: list[dt.datetime] = []
    lag: list[Value] = []

    def add(when: dt.datetime, due: dt.datetime | None) -> None:
        if not at or when > at[-1]:
            at.append(when)
            lag.append(0.0 if due is None else max(0.0, (when - due).total_seconds()) / HOUR)

    for ended, mark, before in steps:
        if at and before is not None and not schedule.timeless:
            # It grows from the instant that was due until a run ends, and falls then.
            due = schedule.after(before)
            add(min(due, ended), due)
            add(ended - _MOMENT, due)
        add(ended, None if schedule.timeless else schedule.after(mark))
    return Chart(
        name="lag",
        title="Watermark lag",
        kind="line",
        unit="hours",
        at=at,
        lines=[Line("lag", "Lag", [None if one is None else round(one, 4) for one in lag], 2)],
        limits=[
            Limit("warning", limits[0] / HOUR, "warning"),
            Limit("critical", limits[1] / HOUR, "critical"),
        ],
        note="For how long the watermark was behind what the schedule was due to reach.",
        zero=True,
        take=take,
    )


#: Tasks whatever their order in time, so that each keeps its colour.
_TASKS = (
    "open_run",
    "extract_customer_counts",
    "extract_event_counts",
    "load_consumer_analytics",
)


def _tasks(runs: Sequence[TimedRun]) -> dict[str, int]:
    """Return the runs' tasks and their colours."""
    seen = {step.task for run in runs for step in run.steps}
    ordered = [task for task in _TASKS if task in seen] + sorted(seen.difference(_TASKS))
    return {task: place % 8 + 1 for place, task in enumerate(ordered)}


def durations(runs: Sequence[TimedRun], limits: tuple[float, float], take: Take) -> Chart:
    """Return how long the latest runs took, as a whole and by task.

    Args:
        runs: the newest first.
        limits: warning and critical of a run, in seconds.
        take: what can be taken along.
    """
    finished = [run for run in reversed(runs) if run.seconds is not None and run.state != "failed"]
    lines = [Line("run", "The whole run", [run.seconds for run in finished], 8)]
    for task, style in _tasks(finished).items():
        values: list[Value] = [
            max((step.seconds or 0.0 for step in run.steps if step.task == task), default=None)
            for run in finished
        ]
        lines.append(Line(task, task, values, style))
    return Chart(
        name="durations",
        title="Run durations by task",
        kind="line",
        unit="seconds",
        at=[run.began_at for run in finished],
        lines=lines,
        limits=[
            Limit(f"warning, {limits[0]:g} s", limits[0], "warning"),
            Limit(f"critical, {limits[1]:g} s", limits[1], "critical"),
        ],
        note=f"The latest runs that succeeded: {len(finished)}.",
        zero=True,
        zoom=False,
        take=take,
    )


def _judged(seconds: float | None, limits: tuple[float, float]) -> str:
    """Return the state of a run's duration, as the guide's table has it."""
    if seconds is None:
        return "unknown"
    if seconds > limits[1]:
        return "critical"
    return "warning" if seconds >= limits[0] else "normal"


class Bar(NamedTuple):
    """A task of a run, in its lane.

    Attributes:
        left: where it begins, in per cent of the axis.
        width: how long it is, in the same.
        top: its upper edge in the lane, in pixels.
        height: its height in pixels.
        style: its colour.
        told: what it is, in words.
    """

    left: float
    width: float
    top: int
    height: int
    style: int
    told: str


def gantt(freshness: Freshness, limits: tuple[float, float], take: Take) -> dict[str, Any]:
    """Return the latest runs, a lane each, on one axis of seconds."""
    runs = freshness.runs[:LANES]
    longest = max((_extent(run) for run in runs), default=0.0)
    axis = charts.axis(longest, limits)
    end = axis[-1]
    styles = _tasks(runs)

    def share(seconds: float) -> float:
        return round(100 * seconds / end, 3)

    lanes = []
    for run in runs:
        bars = []
        for step in run.steps:
            took = step.seconds
            told = f"{step.task}: {rendering.seconds(took)} from {rendering.seconds(step.began)} on"
            bars.append(
                Bar(
                    share(step.began),
                    max(share(took or 0.0), _SLIVER),
                    # The two extracts run side by side, and so they are drawn.
                    8 if step.task == "extract_event_counts" else 0,
                    8 if step.task.startswith("extract_") else 16,
                    styles[step.task],
                    told,
                )
            )
        lanes.append(
            {
                "at": run.began_at,
                "seconds": rendering.seconds(run.seconds),
                "judged": "critical" if run.state == "failed" else _judged(run.seconds, limits),
                "state": _slow(run, limits),
                "bars": bars,
                "told": "; ".join(bar.told for bar in bars) or "no task was timed",
            }
        )
    shown = [
        {"at": share(limit), "state": state}
        for limit, state in zip(limits, ("warning", "critical"), strict=True)
        if limit <= end
    ]
    return {
        "title": "Latest runs, task by task",
        "note": f"Seconds since a run began. {_beyond(limits, end)}"
        + (
            "As Airflow timed them."
            if freshness.timed_by == "airflow"
            else "As the engine timed its steps, one after the other: Airflow's tables are not in "
            "this database."
        ),
        "tasks": list(styles.items()),
        "limits": shown,
        "ticks": [
            (share(at), f"{at:g} s", {0: "start", end: "end"}.get(at, "middle")) for at in axis
        ],
        "lanes": lanes,
        "take": take,
    }


def _extent(run: TimedRun) -> float:
    ends = [step.began + (step.seconds or 0.0) for step in run.steps]
    return max([run.seconds or 0.0, *ends])


def _slow(run: TimedRun, limits: tuple[float, float]) -> str:
    """Return a run's state, and which limit it is beyond."""
    judged = _judged(run.seconds, limits)
    if judged not in {"warning", "critical"}:
        return run.state
    return f"{run.state}, over {limits[judged == 'critical']:g} s"


def _beyond(limits: tuple[float, float], end: float) -> str:
    """Say what the dashed lines are, or where they would be."""
    if limits[0] > end:
        return f"A run is a warning from {limits[0]:g} s on, beyond this axis. "
    return "Dashed: where a run becomes a warning, and where critical. "


_MEASURES = {
    "dag_runtime": "DAG runtime",
    "failed_runs": "Failed runs, last 24 h",
    "watermark_lag": "Watermark lag",
    "pending_events": "Pending events",
}


def limits(health: Health, name: str) -> tuple[float, float]:
    """Return a measure's limits: warning and critical."""
    one = health.measure(name)
    return one.warning, one.critical


def measures(health: Health) -> list[dict[str, Any]]:
    """Return the four measures as the guide's table has them."""
    return [
        {
            "key": one.name,
            "label": _MEASURES.get(one.name, one.name),
            "told": _amount(one.value, one.unit),
            "state": one.state,
            **one.limits,
            "cause": "; ".join(part for part in (one.cause, _raw(one.raw)) if part),
        }
        for one in health.measures
    ]


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return rendering.NOTHING
    if unit != "seconds":
        return rendering.count(value)
    return rendering.seconds(value) if value < 60 else rendering.duration(value)  # noqa: PLR2004


def _raw(raw: Mapping[str, Any]) -> str:
    """Return the figure that is not judged, beside the one that is."""
    if (age := raw.get("watermark_age_seconds")) is not None:
        return f"the watermark is {rendering.duration(age)} old"
    if (backlog := raw.get("backlog_events")) is not None:
        return f"{backlog:,} events since the watermark"
    return ""


#: A backfill's state, judged as states are.
_BACKFILL_STATES = {
    "done": "normal",
    "running": "unknown",
    "interrupted": "warning",
    "failed": "critical",
}


def backfill(one: BackfillProgress) -> dict[str, Any]:
    """Return a backfill as its row shows it."""
    return {**vars(one), "judged": _BACKFILL_STATES.get(one.state, "unknown")}


_SUBJECTS = {
    "freshness": "Freshness",
    "failures": "Failed runs",
    "runtime": "DAG runtime",
    "measuring": "Measuring",
}


def incident(one: Incident) -> dict[str, Any]:
    """Return an incident as its row shows it."""
    return {**vars(one), "label": _SUBJECTS.get(one.subject, one.subject)}
