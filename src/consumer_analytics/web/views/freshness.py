"""What the page about freshness shows: the measures, watermark, incidents, backfills."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.formatting import amount, duration
from consumer_analytics.monitoring.health import Health, Measure
from consumer_analytics.monitoring.incidents import Incident
from consumer_analytics.monitoring.measures import MEASURES
from consumer_analytics.reporting.freshness import BackfillProgress, Freshness
from consumer_analytics.web import rendering
from consumer_analytics.web.charts import Chart, Exports, Limit, Line, Value

_MOMENT = dt.timedelta(milliseconds=1)


def watermark_charts(
    freshness: Freshness, schedule: Schedule, limits: tuple[float, float], exports: Exports
) -> dict[str, Chart]:
    """Return the watermark over time, and how long it lagged behind the schedule.

    Args:
        freshness: with `reached`.
        schedule: says from when on a watermark lags: from the first instant due after it.
        limits: warning and critical of the lag, in seconds.
        exports: what can be taken along.
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
            note="How far the figures had come, and when. The distance to the clock is their age."
            + _sampled(freshness),
            exports=exports,
            since=freshness.since,
            until=freshness.until,
        ),
        "lag": replace(
            _lag(steps, schedule, limits, exports), since=freshness.since, until=freshness.until
        ),
    }


def _sampled(freshness: Freshness) -> str:
    if not freshness.sampled:
        return ""
    return f" Of the runs, {len(freshness.reached)} are shown, each the last of its stretch."


def _lag(
    steps: Sequence[tuple[dt.datetime, dt.datetime, dt.datetime | None]],
    schedule: Schedule,
    limits: tuple[float, float],
    exports: Exports,
) -> Chart:
    at: list[dt.datetime] = []
    lag: list[Value] = []

    def add(when: dt.datetime, seconds: float) -> None:
        if not at or when > at[-1]:
            at.append(when)
            lag.append(seconds)

    for ended, mark, before in steps:
        if schedule.timeless:
            add(ended, 0.0)
            continue
        if at and before is not None and (due := schedule.after(before)) < ended:
            # It grows from the instant that was due until a run ends, and falls then.
            add(due, 0.0)
            add(ended - _MOMENT, _seconds(due, ended))
        due = schedule.after(mark)
        add(ended, _seconds(due, ended) if due < ended else 0.0)
    return Chart(
        name="lag",
        title=MEASURES.label("watermark_lag"),
        kind="line",
        unit="seconds",
        at=at,
        lines=[Line("lag", "Lag", lag, 2)],
        limits=[
            Limit(f"warning, {duration(limits[0])}", limits[0], "warning"),
            Limit(f"critical, {duration(limits[1])}", limits[1], "critical"),
        ],
        note="For how long the watermark was behind what the schedule was due to reach.",
        zero=True,
        exports=exports,
    )


def _seconds(since: dt.datetime, until: dt.datetime) -> float:
    return round((until - since).total_seconds(), 3)


def limits(health: Health, name: str) -> tuple[float, float]:
    """Return a measure's limits: warning and critical."""
    one = health.measure(name)
    return one.warning, one.critical


def measures(health: Health) -> list[dict[str, Any]]:
    """Return the measures as the guide's table has them."""
    return [
        {
            "key": one.name,
            "label": one.definition.label,
            "told": rendering.typeset(amount(one.value, one.unit)),
            "state": one.state,
            **one.limits,
            "cause": "; ".join(part for part in (one.cause, _beside(one)) if part),
        }
        for one in health.measures
    ]


def _beside(one: Measure) -> str:
    """Return the figure that is not judged, beside the one that is."""
    beside = one.definition.beside
    if beside is None or beside.name not in one.raw:
        return ""
    return beside.text.format(amount(one.raw[beside.name], beside.unit))


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


def incident(one: Incident) -> dict[str, Any]:
    """Return an incident as its row shows it."""
    subject = MEASURES.subjects.get(one.subject)
    return {**vars(one), "label": one.subject if subject is None else subject.label}
