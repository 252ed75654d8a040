"""Charts of snapshots: the system's, and a consumer's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumer_analytics.formatting import counted
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.reporting.series import OTHER, Series
from consumer_analytics.web.charts import Chart, Exports, Line, Mark, folded

#: Names in a table of shares; the rest is summed up.
SHARES = 12


def series_charts(series: Series, exports: Exports) -> dict[str, Chart]:
    """Return the charts of the system, or of a consumer.

    Args:
        series: its figures.
        exports: what can be taken along.
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
            since=series.since,
            until=series.until,
            marks=marks,
            exports=exports,
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
            flow=True,
            note="Since the point before." if series.sampled else "Since the snapshot before.",
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


def shares(counts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """Return names with their number and its share of all, the largest first."""
    total = sum(counts.values())
    ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    shown = ordered if len(ordered) <= SHARES else ordered[: SHARES - 1]
    rows = [(name, n, ratio(n, total)) for name, n in shown]
    rest = total - sum(n for _, n, _ in rows)
    if len(shown) < len(ordered):
        rows.append((f"{counted(len(ordered) - len(shown), 'other')}", rest, ratio(rest, total)))
    return rows
