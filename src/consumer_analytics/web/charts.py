"""What a page draws: charts as data, and the few pictures that are drawn here.

A chart goes to the browser as JSON, which draws it and makes the table below it, for those
who would rather read or have to.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["line", "steps", "stack"]
Unit = Literal["count", "percent", "seconds", "instant"]
Value = float | None

#: How lines are dashed, by their place in the chart; the browser draws with the same.
DASHES = ("", "7 4", "2 3", "10 3 2 3", "4 2", "12 4", "1 3", "6 2 1 2")
#: Colours that can be told from each other; further series are summed up.
COLOURS = 8
SPARK_WIDTH = 96
SPARK_HEIGHT = 24
_SPARK_MARGIN = 2.5
#: A limit so many times the longest bar is off the axis.
_NEAR = 4
_TICKS = 5
_DAY_SECONDS = 86_400
#: From one tick of an axis of seconds to the next: whole units of time.
_STEPS_OF_TIME = (
    *(nice * step for step in (0.001, 0.01, 0.1, 1) for nice in (1, 2, 5)),
    *(10, 20, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3600 * hours for hours in (1, 2, 3, 6, 12, 24)),
)


@dataclass(frozen=True)
class Mark:
    """Where a point comes from: `live` or `backfilled`, and whether it was restated."""

    kind: str
    revised: bool

    @property
    def letter(self) -> str:
        """The same as the browser is told it: a letter, a capital one if it was restated."""
        return self.kind[0].upper() if self.revised else self.kind[0]


@dataclass(frozen=True)
class Line:
    """A series of a chart.

    Attributes:
        key: what it is called in addresses.
        label: what it is called on the page.
        values: one for each point of the chart; instants as seconds since 1970.
        style: which of the colours, from 1.
        reference: whether it is there to compare with, drawn thin.
    """

    key: str
    label: str
    values: Sequence[Value]
    style: int = 1
    reference: bool = False


@dataclass(frozen=True)
class Limit:
    """A threshold, drawn across the chart."""

    label: str
    value: float
    state: Literal["warning", "critical"]


@dataclass(frozen=True)
class Exports:
    """What can be taken along: the data, and the page with its range fixed, by address."""

    csv: str
    json: str
    link: str


@dataclass(frozen=True)
class Chart:
    """A chart, its table and what can be taken along.

    Attributes:
        name: unique on the page; part of addresses and of file names.
        title: what stands above it.
        kind: how it is drawn.
        unit: of the values.
        at: the points' instants, the oldest first.
        lines: the series.
        exports: what can be taken along.
        since: where the axis begins: the range that was chosen; None to begin with the points.
        until: where it ends.
        flow: whether the values are what happened since the point before, and so add up.
        marks: where each point comes from, for snapshots.
        limits: thresholds.
        note: a sentence on how to read it.
        zero: whether the value axis begins at zero whatever the figures.
        zoom: whether a stretch drawn over becomes the page's range.
    """

    name: str
    title: str
    kind: Kind
    unit: Unit
    at: Sequence[dt.datetime]
    lines: Sequence[Line]
    exports: Exports
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    flow: bool = False
    marks: Sequence[Mark] | None = None
    limits: Sequence[Limit] = field(default=())
    note: str = ""
    zero: bool = False
    zoom: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value is not None for line in self.lines for value in line.values)

    def spec(self) -> dict[str, Any]:
        """Return what the browser draws it from."""
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "unit": self.unit,
            "file": self.name,
            "sync": "page" if self.zoom else None,
            "zoom": self.zoom,
            "zero": self.zero,
            "from": None if self.since is None else _seconds(self.since),
            "to": None if self.until is None else _seconds(self.until),
            "flow": self.flow,
            "x": [_seconds(at) for at in self.at],
            "series": [
                {
                    "key": line.key,
                    "label": line.label,
                    "style": line.style,
                    "reference": line.reference,
                    "values": list(line.values),
                }
                for line in self.lines
            ],
            "marks": None if self.marks is None else "".join(one.letter for one in self.marks),
            "limits": [
                {"label": one.label, "value": one.value, "state": one.state} for one in self.limits
            ],
        }


def _seconds(at: dt.datetime) -> float:
    """Return an instant as seconds since 1970, to the millisecond.

    Not by `round(…, 3)`, which takes twice as long: a page has a thousand of them.
    """
    return round(at.timestamp() * 1000) / 1000


#: Hours from one point to the next, as few as leave a chart with points that can be told apart.
_STEPS = (1, 2, 3, 6, 12, 24, 7 * 24, 14 * 24, 28 * 24, 91 * 24, 364 * 24)
_DAY = 24


def points(since: dt.datetime, until: dt.datetime, most: int) -> int:
    """Return how many points a range is best cut into, where it has more snapshots than fit.

    Whole hours, days, weeks: bars of two days beside bars of one would tell of the cut,
    not of the figures.
    """
    hours = (until - since).total_seconds() / 3600
    step = next((step for step in _STEPS if hours / step < most), None)
    if step is None:
        return most
    # A range of whole days has a snapshot at both of its ends.
    return max(2, int(hours // step) + (step <= _DAY))


def folded(
    names: Sequence[str], rows: Sequence[dict[str, int]], other: str
) -> list[tuple[str, list[Value]]]:
    """Return each name's values, those beyond the colours summed up under `other`."""
    own = [name for name in names if name != other]
    if len(own) + (other in names) <= COLOURS:
        shown = list(names)
        rest: list[str] = []
    else:
        shown = own[: COLOURS - 1]
        rest = [*own[COLOURS - 1 :], other]
    lines: list[tuple[str, list[Value]]] = [
        (name, [row.get(name) if row else None for row in rows]) for name in shown
    ]
    if rest:
        sums: list[Value] = [
            sum(row.get(name, 0) for name in rest) if row else None for row in rows
        ]
        lines.append((other, sums))
    return lines


def sparkline(
    at: Sequence[dt.datetime],
    values: Sequence[int | None],
    since: dt.datetime,
    until: dt.datetime,
) -> str:
    """Return the points of a polyline through the values that are there; '' without two.

    Args:
        at: when each value was.
        values: what there was.
        since: the left end of the line's box: where the range begins.
        until: the right end: where it ends.
    """
    there = [(when, value) for when, value in zip(at, values, strict=True) if value is not None]
    if len(there) < 2:  # noqa: PLR2004  # a line has two ends
        return ""
    low = min(value for _, value in there)
    high = max(value for _, value in there)
    across = (SPARK_WIDTH - 2 * _SPARK_MARGIN) / (until - since).total_seconds()
    up = SPARK_HEIGHT - 2 * _SPARK_MARGIN
    points = []
    for when, value in there:
        share = (value - low) / (high - low) if high > low else 0.5
        x = _SPARK_MARGIN + (when - since).total_seconds() * across
        y = SPARK_HEIGHT - _SPARK_MARGIN - share * up
        points.append(f"{x:.1f},{y:.1f}")
    return " ".join(points)


def axis(longest: float, limits: Sequence[float]) -> list[float]:
    """Return the ticks, from 0, of an axis of seconds: the longest bar, and the limits near it."""
    top = max([longest, *(limit for limit in limits if limit <= _NEAR * longest)], default=0.0)
    top = max(top * 1.05, 1e-3)
    rough = top / _TICKS
    step = next((step for step in _STEPS_OF_TIME if step >= rough), None)
    if step is None:
        step = _DAY_SECONDS * math.ceil(rough / _DAY_SECONDS)
    return [round(step * place, 6) for place in range(math.ceil(top / step) + 1)]
