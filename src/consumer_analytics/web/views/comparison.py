"""Consumers compared: one chart of all, one figure of each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from consumer_analytics.reporting.comparison import Comparison
from consumer_analytics.reporting.consumers import ConsumersPage
from consumer_analytics.web.charts import Chart, Exports, Line, Value
from consumer_analytics.web.rendering import Parameter, address

FIGURES = (
    ("customers", "Customers"),
    ("active", "Active customers"),
    ("ratio", "Active ratio"),
    ("events", "Events, since the point before"),
    ("total_events", "Events, since the beginning"),
)
#: Those that are called otherwise in addresses than in a comparison.
_FIELDS = {"ratio": "active_ratio"}
SCALES = (("own", "As it is"), ("index", "Beginning of the range = 100"))


def compared(comparison: Comparison, by: str, scale: str, exports: Exports) -> Chart:
    """Return the chart of several consumers' figure.

    Args:
        comparison: their figures.
        by: a key of `FIGURES`.
        scale: a key of `SCALES`.
        exports: what can be taken along.
    """
    lines = []
    for place, one in enumerate(comparison.consumers):
        values: Sequence[Value] = getattr(one, _FIELDS.get(by, by))
        if scale == "index":
            values = _indexed(values)
        lines.append(Line(one.consumer_id, one.name or one.consumer_id, values, place + 1))
    notes = ["Each consumer's first figure in the range is 100."] if scale == "index" else []
    if comparison.sampled:
        notes.append(
            f"Of the snapshots, {len(comparison.at)} are shown, each the last of its stretch."
        )
    return Chart(
        name="compared",
        title=dict(FIGURES)[by],
        kind="line",
        unit="percent" if by == "ratio" and scale == "own" else "count",
        at=comparison.at,
        lines=lines,
        since=comparison.since,
        until=comparison.until,
        flow=by == "events" and scale == "own",
        note=" ".join(notes),
        exports=exports,
    )


def _indexed(values: Sequence[Value]) -> list[Value]:
    first = next((value for value in values if value), None)
    return [
        None if value is None or not first else round(100 * value / first, 2) for value in values
    ]


def side_by_side(
    comparison: Comparison, asked: Mapping[str, Parameter], shown: Mapping[str, Parameter]
) -> list[dict[str, Any]]:
    """Return the consumers compared, each with its row of the consumers' table."""
    everyone = [one.consumer_id for one in comparison.consumers]
    return [
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
            "standing": one.standing,
        }
        for one in comparison.consumers
    ]


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
