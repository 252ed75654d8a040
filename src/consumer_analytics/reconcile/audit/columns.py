"""Which event types and statuses the audit counts in a column of their own, and how.

Any choice leads to the same figures: what has no column is kept as one row each, and what comes of
these as documents. Columns are what most of it is in, as a row with twelve figures takes a third of
twelve rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.mapping import Words
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query
from consumer_analytics.sql.own_names import Word


@dataclass(frozen=True)
class Columns:
    """The event types and the statuses with a column: `type_1`, `status_1` and so on.

    Attributes:
        types: event types, by the place of their column.
        statuses: statuses, likewise.
    """

    types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()

    @property
    def values(self) -> dict[str, Any]:
        """What is bound where documents are put together: how these have their names."""
        return {
            "type_keys": [_key(name) for name in self.types],
            "status_keys": [_key(name) for name in self.statuses],
        }

    def each_type(self, template: LiteralString, between: LiteralString = ", ") -> sql.Composed:
        """Write a template for each type, `{}` its column and `{name}` its name."""
        return _each("type", "types", self.types, between + template)

    def each_status(self, template: LiteralString, between: LiteralString = ", ") -> sql.Composed:
        """Write a template for each status, as for types."""
        return _each("status", "statuses", self.statuses, between + template)

    def tables(self) -> dict[str, sql.Composable]:
        """Compose their declarations, for where events and where changes are laid out."""
        typed = self.each_type("{} bigint not null")
        defaults: LiteralString = "{} bigint not null default 0"
        return {"typed": typed, "summed": self.each_type(defaults) + self.each_status(defaults)}

    @property
    def type_array(self) -> sql.Composed:
        """The types' columns as an array."""
        return sql.SQL("array[{}]::bigint[]").format(
            sql.SQL(", ").join(_column("type", place) for place in range(1, len(self.types) + 1))
        )


def choose(connection: Connection, settings: Settings) -> Columns:
    """Choose them, by what there is most of."""
    types = connection.execute(query("reconcile/audit/columns/types")).fetchall()
    statuses = connection.execute(
        query("reconcile/audit/columns/statuses", settings.sources)
    ).fetchall()
    return Columns(_in_order(types), _in_order(statuses))


def _in_order(rows: Sequence[tuple[Any, ...]]) -> tuple[str, ...]:
    """Order names as jsonb does, which spares it the sorting."""
    return tuple(
        sorted((name for (name,) in rows), key=lambda name: (len(name.encode()), name.encode()))
    )


def sums(columns: Columns, *, rest_types: bool, rest_statuses: bool) -> dict[str, sql.Composable]:
    """Compose what the statement that sums changes up takes from the columns.

    Args:
        columns: those that there are.
        rest_types: whether there are event types without one.
        rest_statuses: whether there are statuses without one.
    """
    merged = sql.SQL("pg_temp.audit_merged({0}) over one")
    none = sql.SQL("null::jsonb")
    template: LiteralString = "pg_temp.audit_sum({0}) over one as {0}"
    return {
        "types": columns.each_type("{}"),
        "statuses": columns.each_status("{}"),
        "no_types": columns.each_type("0"),
        "no_statuses": columns.each_status("0"),
        "summed": columns.each_type(template) + columns.each_status(template),
        "rest_types": merged.format(sql.Identifier("rest_types")) if rest_types else none,
        "rest_statuses": merged.format(sql.Identifier("rest_statuses")) if rest_statuses else none,
    }


def figures(columns: Columns, words: Words) -> dict[str, sql.Composable]:
    """Compose what the statement that puts documents together takes from the columns."""
    return {
        "types": columns.each_type("{}"),
        "statuses": columns.each_status("{}"),
        "no_statuses": columns.each_status("0"),
        "by_type": _keyed("type", columns.types, "rest_types"),
        "by_status": _keyed("status", columns.statuses, "rest_statuses"),
        "active_customers": _one("status", columns.statuses, words.active),
        "inactive_customers": _one("status", columns.statuses, words.inactive),
        "creations": _one("type", columns.types, words.customer_creation),
        "deletions": _one("type", columns.types, words.customer_deletion),
    }


def _keyed(kind: LiteralString, names: Sequence[str], rest: str) -> sql.Composed:
    """Compose the pieces of a map, each entry after a comma; concat() passes over NULLs."""
    pieces: list[sql.Composable] = [
        sql.SQL("case when {0} <> 0 then (%({1}_keys)s::text[])[{2}] end, nullif({0}, 0)").format(
            sql.Identifier("one", f"{kind}_{place}"), sql.SQL(kind), sql.Literal(place)
        )
        for place in range(1, len(names) + 1)
    ]
    pieces.append(
        sql.SQL("', ' || nullif(right(left(jsonb_strip_nulls({})::text, -1), -1), '')").format(
            sql.Identifier("one", rest)
        )
    )
    return sql.SQL(", ").join(pieces)


def _one(kind: LiteralString, names: Sequence[str], name: str) -> sql.Composable:
    """Compose the count of one type or status, wherever it is kept."""
    if name in names:
        return sql.Identifier("one", f"{kind}_{names.index(name) + 1}")
    rest = sql.Identifier("one", "rest_types" if kind == "type" else "rest_statuses")
    return sql.SQL("coalesce(({} ->> {})::bigint, 0)").format(rest, Word(name))


def _key(name: str) -> str:
    return f", {json.dumps(name, ensure_ascii=False)}: "


def _column(kind: str, place: int) -> sql.Identifier:
    return sql.Identifier(f"{kind}_{place}")


def _each(
    kind: str, values: LiteralString, names: Sequence[str], template: LiteralString
) -> sql.Composed:
    return sql.SQL("").join(
        sql.SQL(template).format(
            _column(kind, place),
            name=sql.SQL("(%({})s::text[])[{}]").format(sql.SQL(values), sql.Literal(place)),
        )
        for place in range(1, len(names) + 1)
    )
