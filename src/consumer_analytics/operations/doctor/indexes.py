"""Indexes of the user's events: whether a run reads what it needs of them, and no more."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from consumer_analytics.formatting import counted
from consumer_analytics.mapping import SourceTable
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    UnexaminableError,
    Verdict,
    ok,
)
from consumer_analytics.sql import query, source_table

_EVENTS = "customer_events"


@dataclass(frozen=True)
class Wanted:
    """An index that runs read the events by.

    Attributes:
        column: what it leads with, by the product's name.
        methods: kinds of index that serve.
        without: what follows where there is none.
    """

    column: LiteralString
    methods: tuple[str, ...]
    without: str

    def values(self, events: SourceTable) -> dict[str, Any]:
        """Return it as the statement names it, on the events' table."""
        return {
            "schema": events.schema,
            "table": events.name,
            "column": events.own[self.column],
            "methods": list(self.methods),
        }


_BY_TIME = Wanted("created_at", ("btree", "brin"), "every run reads the whole table")
_BY_CUSTOMER = Wanted(
    "customer_id",
    ("btree", "hash"),
    "a customer who is deleted is looked up among all events, by the next sweep, or sooner by a "
    "run that cannot do without",
)


def _look(context: Context, wanted: Wanted) -> tuple[Any, ...] | None:
    values = wanted.values(context.settings.sources[_EVENTS])
    return context.database.execute(query("operations/doctor/events-index"), values).fetchone()


def index(wanted: Wanted, context: Context) -> Finding:
    """Tell whether the events have an index."""
    connection = context.database
    events = context.settings.sources[_EVENTS]
    if wanted.column not in events.own:
        return ok(f"{events.shown} has no {wanted.column}, as the mapping says")
    column = events.own[wanted.column]
    row = _look(context, wanted)
    if row is None:
        raise UnexaminableError(f"there is no table {events.shown}: see source-columns")
    kind, rows, owned, usable, broken, expression, has_column = row
    if kind not in {"r", "p"}:
        return ok(f"{events.shown} is no table: its own tables' indexes are not looked at")
    if not has_column:
        raise UnexaminableError(f"{events.shown} has no column {column}: see source-columns")
    if usable is not None:
        return ok(f"index {usable} leads with {column}")
    size = () if rows is None else (f"about {counted(rows, 'row')}",)
    if expression is not None:
        return Finding(
            Verdict.WARNING,
            f"{events.shown} has no usable index on {column}",
            (*size, f"{column} is a virtual generated column"),
            "PostgreSQL builds no index on such a column; one on its expression serves as well",
            Fix(
                sql.SQL("create index {}on {} (({}));")
                .format(
                    sql.SQL("concurrently " if kind == "r" else ""),
                    source_table(context.settings.sources, _EVENTS),
                    sql.SQL(expression),
                )
                .as_string(connection)
            ),
        )
    return Finding(
        Verdict.WARNING,
        f"{events.shown} has no usable index on {column}",
        (*size, *(f"index {name} is not valid" for name in broken)),
        "building it was interrupted"
        if broken
        else f"it was dropped, or the table was made without: {wanted.without}",
        Fix(
            _create(context, wanted, kind).as_string(connection) + ";",
            # An index changes no row; whose the table is decides whether it is ours to make.
            partial(_make_index, wanted) if owned and kind == "r" else None,
        ),
    )


def _create(context: Context, wanted: Wanted, kind: str) -> sql.Composed:
    return sql.SQL("create index {}on {} ({})").format(
        # What it can't do on a partitioned table.
        sql.SQL("concurrently " if kind == "r" else ""),
        source_table(context.settings.sources, _EVENTS),
        _column(context, wanted),
    )


def _column(context: Context, wanted: Wanted) -> sql.Composable:
    """Write the column's name, as people do where it is the usual one."""
    own = context.settings.sources[_EVENTS].own[wanted.column]
    return sql.SQL(wanted.column) if own == wanted.column else sql.Identifier(own)


def _make_index(wanted: Wanted, context: Context) -> str:
    """Build the index beside the writers; leave no half of one behind."""
    _drop_broken(context, wanted)
    try:
        context.database.execute(_create(context, wanted, "r"))
    except psycopg.Error:
        with contextlib.suppress(psycopg.Error):
            _drop_broken(context, wanted)
        raise
    events = context.settings.sources[_EVENTS]
    return f"built an index on {events.name} ({events.own[wanted.column]}), beside its writers"


def _drop_broken(context: Context, wanted: Wanted) -> None:
    row = _look(context, wanted)
    for name in row[4] if row else ():
        context.database.execute(
            sql.SQL("drop index concurrently {}").format(
                sql.Identifier(context.settings.sources[_EVENTS].schema, name)
            )
        )


CHECKS = (
    Check("source-index", "can the events be read by their time?", partial(index, _BY_TIME)),
    Check(
        "source-customer-index",
        "can the events of a customer be looked up?",
        partial(index, _BY_CUSTOMER),
    ),
)
