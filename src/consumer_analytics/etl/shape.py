"""Which event types and statuses have a column of their own, and how columns are written.

What has hundreds of types or statuses would not fit a row: those beyond a number of
columns are kept as one row each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from consumer_analytics.mapping import LONGEST_TYPE, Words

#: More event types, or statuses, than this get rows instead of columns.
MOST_COLUMNS = 40
#: What has a blank name, or none.
UNNAMED = "(none)"
#: The sum of a bigint as one: see migration 14.
TOTAL: LiteralString = "consumer_analytics_internal.total"


@dataclass(frozen=True)
class Shape:
    """Which types and statuses have a column, and whether there are others.

    Attributes:
        types: event types with a column.
        statuses: statuses with a column; what counts as active and as inactive comes first.
        rest: whether further types or statuses are kept as rows.
    """

    types: tuple[str, ...]
    statuses: tuple[str, ...]
    rest: bool

    @property
    def event_columns(self) -> list[sql.Identifier]:
        """The types' columns."""
        return [sql.Identifier(f"e{place}") for place in range(1, len(self.types) + 1)]

    @property
    def customer_columns(self) -> list[sql.Identifier]:
        """The statuses' columns."""
        return [sql.Identifier(f"s{place}") for place in range(1, len(self.statuses) + 1)]

    @property
    def columns(self) -> list[sql.Identifier]:
        """All of them."""
        return [*self.event_columns, *self.customer_columns]


def _length_first(name: str) -> tuple[int, bytes]:
    encoded = name.encode()
    return len(encoded), encoded


def is_long(event_type: str) -> bool:
    """Tell whether events are counted under this name for what they are called themselves."""
    return len(event_type) > LONGEST_TYPE


def shape_of(types: Iterable[str], statuses: Iterable[str], words: Words) -> Shape:
    """Give columns to types and statuses, as long as they are few.

    Args:
        types: of the events.
        statuses: of the customers.
        words: which statuses count as active and as inactive: without these two there is no
            snapshot.
    """
    always = (words.active, words.inactive)
    # In jsonb's own order, which spares it the sorting.
    kinds = sorted(set(types), key=_length_first)
    states = sorted(set(statuses) - set(always), key=_length_first)
    few_types, few_states = len(kinds) <= MOST_COLUMNS, len(states) <= MOST_COLUMNS
    return Shape(
        tuple(kinds if few_types else ()),
        (*always, *(states if few_states else ())),
        not (few_types and few_states),
    )


def each(
    columns: Iterable[sql.Composable], template: LiteralString, *parts: sql.Composable
) -> sql.Composed:
    """Write a template once for each column, each after a comma."""
    return sql.SQL("").join(sql.SQL(", " + template).format(column, *parts) for column in columns)


def pivot(
    columns: Sequence[sql.Composable], values: Sequence[str], template: LiteralString, prefix: str
) -> tuple[sql.Composed, dict[str, str]]:
    """Write a template once for each column and value; the values are bound by name."""
    names = [f"{prefix}_{place}" for place in range(1, len(values) + 1)]
    parts = [
        sql.SQL(", " + template + " as {column}").format(sql.Placeholder(name), column=column)
        for name, column in zip(names, columns, strict=True)
    ]
    return sql.SQL("\n    ").join(parts), dict(zip(names, values, strict=True))
