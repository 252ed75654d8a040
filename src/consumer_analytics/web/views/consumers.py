"""The consumers' table: its head, its rows, its pages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumer_analytics.formatting import counted
from consumer_analytics.reporting.consumers import ConsumerRow, ConsumersPage
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.web.charts import sparkline
from consumer_analytics.web.rendering import Parameter, address
from consumer_analytics.web.views.ranges import asked

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


def rows(
    table: ConsumersPage, span: Range, since: dt.datetime, until: dt.datetime
) -> list[dict[str, Any]]:
    """Return the table's rows with their sparklines and addresses.

    Args:
        table: a page of it.
        span: the range, as it was asked for.
        since: where it begins.
        until: where it ends.
    """
    return [
        _row(row, sparkline(table.sparkline_at, row.sparkline, since, until), span)
        for row in table.rows
    ]


def _row(row: ConsumerRow, line: str, span: Range) -> dict[str, Any]:
    there = [value for value in row.sparkline if value is not None]
    told = ""
    if there:
        low, high = min(there), max(there)
        told = (
            f"{counted(low, 'customer')} throughout"
            if low == high
            else f"from {there[0]:,} to {counted(there[-1], 'customer')}, "
            f"between {low:,} and {high:,}"
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
