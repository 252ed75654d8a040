"""What pages show: charts and addresses, made of what the engine's dashboard answers."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from consumer_analytics.engine.alerts.incidents import Incident
from consumer_analytics.engine.dashboard import ranges
from consumer_analytics.engine.dashboard.consumers import ConsumerRow, ConsumersPage
from consumer_analytics.engine.dashboard.figures import figure
from consumer_analytics.engine.dashboard.freshness import BackfillProgress, Freshness, TimedRun
from consumer_analytics.engine.dashboard.ranges import Range
from consumer_analytics.engine.dashboard.series import OTHER, Comparison, Series
from consumer_analytics.engine.health import Health
from consumer_analytics.engine.schedule import Schedule
from consumer_analytics.web import charts, rendering
from consumer_analytics.web.charts import (
    Chart,
    Limit,
    Line,
    Mark,
    Take,
    Value,
    folded,
    sparkline,
)
from consumer_analytics.web.rendering import Parameter, address

HOUR = 3600.0
_MOMENT = dt.timedelta(milliseconds=1)
#: Lanes of the Gantt view.
LANES = 20
#: Names in a table of shares; the rest is summed up.
SHARES = 12
_SLIVER = 0.4


# -- the range of a page ---------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A page's range, and the addresses of the same page with another one.

    Attributes:
        range: its name, or `custom`.
        ranges: name and address of the others.
        kept: the page's other parameters, for forms.
        from_day: the first day of a range of dates, for its form.
        to_day: the last one.
        zone: whose days these are.
        pinned: the address of the page with its range fixed.
    """

    range: str
    ranges: list[tuple[str, str]]
    kept: list[tuple[str, str]]
    from_day: str
    to_day: str
    zone: str
    pinned: str


def view(
    path: str,
    span: Range,
    since: dt.datetime | None,
    until: dt.datetime | None,
    kept: Mapping[str, Parameter],
    zone: dt.tzinfo,
) -> View:
    """Return a page's view.

    Args:
        path: the page's own, relative to itself.
        span: as it was asked for.
        since: what came of it: the beginning.
        until: and the end.
        kept: the page's parameters besides the range.
        zone: whose days are offered.
    """
    return View(
        range=span.name,
        ranges=[(name, address(path, {"range": name, **kept})) for name in ranges.NAMED],
        kept=fields(kept),
        from_day=_first_day(since, zone),
        to_day=_last_day(until, zone),
        zone=str(zone),
        pinned=address(path, {**dates(since, until), **kept}),
    )


def fields(parameters: Mapping[str, Parameter]) -> list[tuple[str, str]]:
    """Return parameters as the hidden fields of a form."""
    made: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if value is None or value == "":
            continue
        several = [str(value)] if isinstance(value, str | int) else value
        made += [(name, each) for each in several]
    return made


def dates(since: dt.datetime | None, until: dt.datetime | None) -> dict[str, Parameter]:
    """Return a range as parameters that always mean the same."""
    return {
        "from": rendering.iso(since) if since else None,
        "to": rendering.iso(until) if until else None,
    }


def asked(span: Range) -> dict[str, Parameter]:
    """Return a range as the parameters that asked for it."""
    return {"range": span.name} if span.name != "custom" else dates(span.since, span.until)


def _first_day(at: dt.datetime | None, zone: dt.tzinfo) -> str:
    return _day(at, zone) if at else ""


def _last_day(at: dt.datetime | None, zone: dt.tzinfo) -> str:
    """Return the last day that a range holds: one ending at midnight ends with the day before."""
    if at is None or at == dt.datetime.min.replace(tzinfo=dt.UTC):
        return ""
    return _day(at - dt.timedelta(microseconds=1), zone)


def _day(at: dt.datetime, zone: dt.tzinfo) -> str:
    try:
        return at.astimezone(zone).date().isoformat()
    except OverflowError:
        return ""


# -- charts of snapshots ----------------------------------------------------------


def series_charts(series: Series, take: Take) -> dict[str, Chart]:
    """Return the charts of the system, or of a consumer.

    Args:
        series: its figures.
        take: what can be taken along.
    """
    at = [point.at for point in series.points]
    marks = [Mark(point.source, point.revised) for point in series.points]
    # A shorter name for a longer list of arguments.
    points = series.points
    own = series.consumer_id is not None

    def chart(name: str, title: str, lines: list[Line], **more: Any) -> Chart:
        return Chart(
            name=name,
            title=title,
            at=at,
            lines=lines,
            marks=marks,
            take=take,
            **more,
        )

    made = {
        "customers": chart(
            "customers",
            "Customers",
            [
                Line("customers", "Customers", [point.customers for point in points], 1),
                Line("active", "Active", [point.active for point in points], 3),
            ],
            kind="line",
            unit="count",
        ),
        "events": chart(
            "events",
            "Events by type",
            [
                Line(name, name, values, place + 1)
                for place, (name, values) in enumerate(
                    folded(series.event_types, [point.events_by_type for point in points], OTHER)
                )
            ],
            kind="stack",
            unit="count",
            note=_events_note(series),
        ),
        "ratio": chart(
            "ratio",
            "Active ratio",
            [Line("ratio", "Active ÷ all", [point.active_ratio for point in points], 3)],
            kind="line",
            unit="percent",
        ),
    }
    if own:
        made["statuses"] = chart(
            "statuses",
            "Customers by status",
            [
                Line(name, name, values, place + 1)
                for place, (name, values) in enumerate(
                    folded(series.statuses, [point.customers_by_status for point in points], OTHER)
                )
            ],
            kind="stack",
            unit="count",
        )
    else:
        made["consumers"] = chart(
            "consumers",
            "Consumers in the system",
            [Line("consumers", "Consumers", [point.consumers for point in points], 4)],
            kind="line",
            unit="count",
        )
    return made


def _events_note(series: Series) -> str:
    if series.sampled:
        return (
            f"Since the point before; of the snapshots, {len(series.points)} are shown, "
            "each the last of its stretch."
        )
    return "Since the snapshot before."


def shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Return names with their number and its share of all, the largest first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shown = ordered if len(ordered) <= SHARES else ordered[: SHARES - 1]
    rows = [(name, n, n / total if total else 0.0) for name, n in shown]
    rest = total - sum(n for _, n, _ in rows)
    if len(shown) < len(ordered):
        rows.append((f"{len(ordered) - len(shown)} others", rest, rest / total if total else 0.0))
    return rows


# -- the consumers' table ----------------------------------------------------------------

#: Label, sort key, whether it holds figures.
_COLUMNS = (
    ("Consumer", "name", False),
    ("Customers", "customers", True),
    ("Change", "change", True),
    ("Active", "active", True),
    ("Active ratio", "active_ratio", True),
    ("Events", "events", True),
    ("New events", "new_events", True),
    ("Over the range", None, False),
)


@dataclass(frozen=True)
class Column:
    """A column's head.

    Attributes:
        label: what it says.
        key: what the table is sorted by when it is followed; None where it cannot be.
        href: where that is.
        sorted: `ascending`, `descending`, or None where the table is not sorted by it.
        numeric: whether it holds figures.
    """

    label: str
    key: str | None
    href: str | None
    sorted: str | None
    numeric: bool


def columns(table: ConsumersPage, kept: Mapping[str, Parameter]) -> list[Column]:
    """Return the table's heads; following one sorts by it, again turns the order round."""
    made = []
    for label, key, numeric in _COLUMNS:
        here = key is not None and table.sort == key
        first = "asc" if key == "name" else "desc"
        turned = "desc" if table.direction == "asc" else "asc"
        made.append(
            Column(
                label,
                key,
                address("consumers", {**kept, "sort": key, "direction": turned if here else first})
                if key
                else None,
                {"asc": "ascending", "desc": "descending"}[table.direction] if here else None,
                numeric,
            )
        )
    return made


def rows(table: ConsumersPage, span: Range) -> list[dict[str, Any]]:
    """Return the table's rows with their sparklines and addresses."""
    return [_row(row, span) for row in table.rows]


def _row(row: ConsumerRow, span: Range) -> dict[str, Any]:
    line = sparkline(row.sparkline)
    there = [value for value in row.sparkline if value is not None]
    told = (
        f"from {there[0]:,} to {there[-1]:,} customers, between {min(there):,} and {max(there):,}"
        if there
        else ""
    )
    return {
        **vars(row),
        "href": address(f"consumers/{row.consumer_id}", asked(span)),
        "spark": line,
        "spark_end": line.rpartition(" ")[2].split(",") if line else None,
        "spark_told": told,
    }


def paging(
    table: ConsumersPage, kept: Mapping[str, Parameter]
) -> list[tuple[str, str | None, str]]:
    """Return the addresses of the first, previous, next and last page, where there are any."""

    def to(page: int) -> str | None:
        if page == table.page or not 1 <= page <= table.pages:
            return None
        return address("consumers", {**kept, "page": page if page > 1 else None})

    return [
        ("First", to(1), "first"),
        ("Previous", to(table.page - 1), "previous"),
        ("Next", to(table.page + 1), "next"),
        ("Last", to(table.pages), "last"),
    ]


# -- comparison ------------------------------------------------------------------------------

FIGURES = (
    ("customers", "Customers"),
    ("active", "Active customers"),
    ("ratio", "Active ratio"),
    ("events", "Events, since the point before"),
    ("total_events", "Events, since the beginning"),
)
SCALES = (("own", "As it is"), ("index", "Beginning of the range = 100"))


def compared(comparison: Comparison, by: str, scale: str, take: Take) -> Chart:
    """Return the chart of several consumers' figure.

    Args:
        comparison: their figures.
        by: a key of `FIGURES`.
        scale: a key of `SCALES`.
        take: what can be taken along.
    """
    lines = []
    for place, one in enumerate(comparison.consumers):
        values: Sequence[Value]
        if by == "ratio":
            values = [
                None if n is None or active is None else (round(active / n, 4) if n else 0.0)
                for n, active in zip(one.customers, one.active, strict=True)
            ]
        else:
            values = getattr(one, by)
        if scale == "index":
            values = _indexed(values)
        lines.append(Line(one.consumer_id, one.name or one.consumer_id, values, place + 1))
    note = "Each consumer's first figure in the range is 100." if scale == "index" else ""
    return Chart(
        name="compared",
        title=dict(FIGURES)[by],
        kind="line",
        unit="percent" if by == "ratio" and scale == "own" else "count",
        at=comparison.at,
        lines=lines,
        note=note,
        take=take,
    )


def _indexed(values: Sequence[Value]) -> list[Value]:
    first = next((value for value in values if value), None)
    return [
        None if value is None or not first else round(100 * value / first, 2) for value in values
    ]


def side_by_side(
    comparison: Comparison, asked: Mapping[str, Parameter], shown: Mapping[str, Parameter]
) -> list[dict[str, Any]]:
    """Return the consumers compared, at the range's end and what changed over it."""
    everyone = [one.consumer_id for one in comparison.consumers]
    made = []
    for one in comparison.consumers:
        customers = _last(one.customers)
        active = _last(one.active)
        events = _last(one.total_events)
        made.append(
            {
                "consumer_id": one.consumer_id,
                "name": one.name,
                "href": address(f"consumers/{one.consumer_id}", asked),
                "without": address(
                    "compare",
                    {
                        **asked,
                        "consumer": [each for each in everyone if each != one.consumer_id],
                        **shown,
                    },
                ),
                "customers": customers,
                # One that came later had none before.
                "change": None if customers is None else figure(customers, one.customers[0] or 0),
                "active": active,
                "active_ratio": None
                if customers is None or active is None
                else (active / customers if customers else 0.0),
                "total_events": events,
                "events": None if events is None else events - (_first(one.total_events) or 0),
            }
        )
    return made


def _first(values: Sequence[int | None]) -> int | None:
    return next((value for value in values if value is not None), None)


def _last(values: Sequence[int | None]) -> int | None:
    return _first(values[::-1])


def addable(
    table: ConsumersPage,
    chosen: Sequence[uuid.UUID],
    asked: Mapping[str, Parameter],
    kept: Mapping[str, Parameter],
) -> list[dict[str, Any]]:
    """Return the consumers found that are not compared yet."""
    ids = [str(one) for one in chosen]
    return [
        {
            "consumer_id": row.consumer_id,
            "name": row.name,
            "customers": row.customers.value,
            "with_it": address("compare", {**asked, **kept, "consumer": [*ids, row.consumer_id]}),
        }
        for row in table.rows
        if row.consumer_id not in ids
    ]


# -- freshness --------------------------------------------------------------------------------


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
