"""Consumers compared: one chart of all, one figure of each."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from consumer_analytics.reporting.comparison import Comparison
from consumer_analytics.reporting.consumers import ConsumersPage
from consumer_analytics.reporting.standing import figure
from consumer_analytics.web.charts import Chart, Exports, Line, Value
from consumer_analytics.web.rendering import Parameter, address

_T = TypeVar("_T")

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
    note = "Each consumer's first figure in the range is 100." if scale == "index" else ""
    return Chart(
        name="compared",
        title=dict(FIGURES)[by],
        kind="line",
        unit="percent" if by == "ratio" and scale == "own" else "count",
        at=comparison.at,
        lines=lines,
        note=note,
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
    """Return the consumers compared, at the range's end and what changed over it."""
    everyone = [one.consumer_id for one in comparison.consumers]
    columns = []
    for one in comparison.consumers:
        customers = _last(one.customers)
        active = _last(one.active)
        events = _last(one.total_events)
        columns.append(
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
                "active_ratio": _last(one.active_ratio),
                "total_events": events,
                "events": None if events is None else events - (_first(one.total_events) or 0),
            }
        )
    return columns


def _first(values: Sequence[_T | None]) -> _T | None:
    return next((value for value in values if value is not None), None)


def _last(values: Sequence[_T | None]) -> _T | None:
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
