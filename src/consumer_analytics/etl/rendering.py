"""Figures as the snapshots' JSON: put together as text that is cast once."""

from __future__ import annotations

import json
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import keys
from consumer_analytics.etl.figures import Figures
from consumer_analytics.etl.keys import Kind, SnapshotKey
from consumer_analytics.etl.shape import each
from consumer_analytics.sql import query


def lay_apart(
    connection: Connection, rendered: sql.Composable, values: dict[str, Any] | None = None
) -> None:
    """Lay snapshots to be written into `rendered_snapshots`, to compare with what is there.

    Within the caller's transaction.

    Args:
        connection: in a transaction.
        rendered: the query that answers them.
        values: its values.
    """
    connection.execute("drop table if exists pg_temp.rendered_snapshots")
    connection.execute(query("etl/rendering/apart", rendered=rendered), values)
    # What is there is looked up by it: without numbers the planner reads all that was reported.
    connection.execute("analyze pg_temp.rendered_snapshots (consumer_id, snapshot_timestamp)")


def render(figures: Figures, first: int) -> tuple[sql.Composed, sql.Composed, dict[str, Any]]:
    """Compose what answers the accumulated slots' snapshots.

    Args:
        figures: accumulated.
        first: the first of the slots.

    Returns:
        The consumers' query, the whole system's, and the values of both.
    """
    shape = figures.shape
    values: dict[str, Any] = {}
    by: dict[str, Any] = {}
    for kind, columns, names in (
        ("by_type", shape.event_columns, shape.types),
        ("by_status", shape.customer_columns, shape.statuses),
    ):
        values |= {
            f"{kind}_{place}": f",{json.dumps(name, ensure_ascii=False)}:"
            for place, name in enumerate(names, 1)
        }
        # concat() passes over NULLs.
        pieces: list[sql.Composable] = [
            sql.SQL("case when {0} <> 0 then {1}::text end, nullif({0}, 0)").format(
                column, sql.Placeholder(f"{kind}_{place}")
            )
            for place, column in enumerate(columns, 1)
        ]
        pieces.append(sql.Identifier("rest", kind) if shape.rest else sql.SQL("''"))
        by[kind] = sql.SQL(", ").join(pieces)
    by["active"], by["inactive"] = shape.customer_columns[:2]
    rest_of = sql.SQL("left join figures_rest as rest on {}" if shape.rest else "")
    consumers = query(
        "etl/rendering/consumers",
        document=_document(keys.of_consumer(), keys.of_consumer(keys.WINDOW_KEYS), by),
        joined=rest_of.format(
            sql.SQL("rest.consumer_id = figures.consumer_id and rest.slot = figures.slot")
        ),
    )
    whole = query(
        "etl/rendering/whole",
        document=_document(keys.of_whole(), keys.of_whole(keys.WINDOW_KEYS), by),
        summed=each(shape.columns, "coalesce(sum({0}), 0)::bigint as {0}"),
        first=sql.Literal(first),
        stray_before=sql.SQL(
            ""
            if figures.from_the_start
            else "select 0 as slot, events, customers from figures_before "
            "where consumer_id is null union all"
        ),
        joined=rest_of.format(sql.SQL("rest.consumer_id is null and rest.slot = instants.slot")),
    )
    return consumers, whole, values


def _document(
    top: dict[LiteralString, SnapshotKey],
    window: dict[LiteralString, SnapshotKey],
    by: dict[str, sql.Composable],
) -> sql.Composed:
    """Compose the pieces of a document, in the order of its keys; the first one opens it."""
    pieces: list[LiteralString] = []
    for name, key in top.items():
        pieces.append(_piece(name, key))
        if key.kind is Kind.WINDOW:
            pieces.extend(_piece(inner, of_window) for inner, of_window in window.items())
            pieces.append("'}}'")
    pieces.append("'}}'")
    return sql.SQL(", ".join(pieces)).format(**by)


def _piece(name: LiteralString, key: SnapshotKey) -> LiteralString:
    """Return what a key adds to the document, as arguments of concat()."""
    match key.kind:
        case Kind.PROVENANCE | Kind.WINDOW:
            return key.value
        case Kind.WORD:
            return "',\"" + name + '":"' + key.value + "\"'"
        case Kind.MAP:
            return "',\"" + name + "\":{{', right(concat(" + key.value + "), -1), '}}'"
        case _:
            return "',\"" + name + "\":', " + key.value
