"""The latest runs, as the page about freshness shows them: how long each took, task by task."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from consumer_analytics.formatting import duration
from consumer_analytics.reporting.freshness import Freshness, Step, TimedRun
from consumer_analytics.web import charts
from consumer_analytics.web.charts import Chart, Exports, Limit, Line, Value

#: Lanes of the Gantt view.
LANES = 20
#: The width of a bar that would be none, in per cent of the axis.
_SLIVER = 0.4

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


def durations(runs: Sequence[TimedRun], limits: tuple[float, float], exports: Exports) -> Chart:
    """Return how long the latest runs took, as a whole and by task.

    Args:
        runs: the newest first.
        limits: warning and critical of a run, in seconds.
        exports: what can be taken along.
    """
    finished = [
        run
        for run in reversed(runs)
        if run.seconds is not None and run.state not in {"failed", "interrupted"}
    ]
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
            Limit(f"warning, {duration(limits[0])}", limits[0], "warning"),
            Limit(f"critical, {duration(limits[1])}", limits[1], "critical"),
        ],
        note=f"The latest runs that succeeded: {len(finished)}.",
        zero=True,
        zoom=False,
        exports=exports,
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


class Lane(NamedTuple):
    """A run.

    Attributes:
        at: when it began.
        took: how long it took, in words.
        judged: how that is judged; a failed run is critical.
        state: the run's state, and which limit it is beyond.
        bars: its tasks.
        told: the same in words.
    """

    at: dt.datetime
    took: str
    judged: str
    state: str
    bars: list[Bar]
    told: str


class Gantt(NamedTuple):
    """The latest runs, a lane each, on one axis of seconds.

    Attributes:
        title: what stands above it.
        note: how to read it.
        tasks: the tasks and their colours.
        limits: where the axis has a limit, in per cent, and the limit's name.
        ticks: where, what, and how that is aligned.
        lanes: the runs, the newest first.
        exports: what can be taken along.
    """

    title: str
    note: str
    tasks: list[tuple[str, int]]
    limits: list[tuple[float, str]]
    ticks: list[tuple[float, str, str]]
    lanes: list[Lane]
    exports: Exports


def gantt(freshness: Freshness, limits: tuple[float, float], exports: Exports) -> Gantt:
    """Return the latest runs, a lane each, on one axis of seconds."""
    runs = freshness.runs[:LANES]
    longest = max((_extent(run) for run in runs), default=0.0)
    axis = charts.axis(longest, limits)
    end = axis[-1]
    styles = _tasks(runs)

    def share(seconds: float) -> float:
        return round(100 * seconds / end, 3)

    def bar(step: Step) -> Bar:
        took = duration(step.seconds)
        return Bar(
            share(step.began),
            max(share(step.seconds or 0.0), _SLIVER),
            # The two extracts run side by side, and so they are drawn.
            8 if step.task == "extract_event_counts" else 0,
            8 if step.task.startswith("extract_") else 16,
            styles[step.task],
            f"{step.task}: {took} from {duration(step.began)} on",
        )

    lanes = []
    for run in runs:
        bars = [bar(step) for step in run.steps]
        lanes.append(
            Lane(
                run.began_at,
                duration(run.seconds),
                "critical" if run.state == "failed" else _judged(run.seconds, limits),
                _slow(run, limits),
                bars,
                "; ".join(one.told for one in bars) or "no task was timed",
            )
        )
    timed = (
        "As Airflow timed them."
        if freshness.timed_by == "airflow"
        else "As the engine timed its steps, one after the other: Airflow's tables are not in "
        "this database."
    )
    return Gantt(
        "Latest runs, task by task",
        f"Time since a run began. {_beyond(limits, end)}{timed}",
        list(styles.items()),
        [
            (share(limit), state)
            for limit, state in zip(limits, ("warning", "critical"), strict=True)
            if limit <= end
        ],
        [(share(at), duration(at), {0: "start", end: "end"}.get(at, "middle")) for at in axis],
        lanes,
        exports,
    )


def _extent(run: TimedRun) -> float:
    ends = [step.began + (step.seconds or 0.0) for step in run.steps]
    return max([run.seconds or 0.0, *ends])


def _slow(run: TimedRun, limits: tuple[float, float]) -> str:
    """Return a run's state, and which limit it is beyond."""
    judged = _judged(run.seconds, limits)
    if judged not in {"warning", "critical"}:
        return run.state
    return f"{run.state}, over {duration(limits[judged == 'critical'])}"


def _beyond(limits: tuple[float, float], end: float) -> str:
    """Say what the dashed lines are, or where they would be."""
    if limits[0] > end:
        return f"A run is a warning from {duration(limits[0])} on, beyond this axis. "
    return "Dashed: where a run becomes a warning, and where critical. "
