"""The figures of snapshots: one definition for runs, restating and backfill.

What happened is first laid out as cells, one row per consumer and slot with a
column for each event type and each status; row 0 holds what came before the
first window. Summed up along the slots, on a dense grid, the cells are the
figures, which `rendering` writes as JSON.

Types and statuses beyond a number of columns are kept as one row each and
join the JSON in the end.

Each step leaves a temporary table, where several stretches of slots are written
from what was laid out once. A run has only one: there the steps are the parts of
a single statement, and only its answer is stored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.shape import TOTAL, Shape, each, pivot, shape_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

_TABLES = (
    "event_cells",
    "customer_cells",
    "rest_named",
    "rest_pairs",
    "rest_cells",
    "rest_before",
    "figures_rest",
    "listed_consumers",
    "figures_before",
    "figures",
    "instants",
)


class Figures:
    """The cells of some instants, and what is made of them."""

    def __init__(
        self,
        connection: Connection,
        settings: Settings,
        bounds: Sequence[dt.datetime],
        snapshot_source: str,
        *,
        stays: bool = False,
    ) -> None:
        """Prepare for the instants after the first bound.

        Args:
            connection: its temporary tables are used.
            settings: for the source's schema.
            bounds: start of the first window, then the instants, ascending.
            snapshot_source: provenance.
            stays: whether the tables outlive the transaction.
        """
        self._connection = connection
        self._settings = settings
        self._lifetime = sql.SQL("" if stays else "on commit drop")
        self._bounds = bounds
        self._snapshot_source = snapshot_source
        #: What is bound in `parts`.
        self.values: dict[str, Any] = {}
        self.shape = shape_of((), (), settings.sources.words)
        #: Whether slot 1 holds what came before as well, and cells tell apart what is new.
        self.from_the_start = False
        #: The steps so far, where they are parts of one statement.
        self._parts: list[sql.Composable] = []
        self.forget()

    def forget(self) -> None:
        """Drop the tables, where there are any."""
        self._connection.execute(
            sql.SQL("drop table if exists {}").format(
                sql.SQL(", ").join(sql.Identifier("pg_temp", table) for table in _TABLES)
            )
        )

    def _make(
        self,
        table: str,
        name: str,
        values: dict[str, Any] | None = None,
        **parts: sql.Composable,
    ) -> None:
        """Make a table of what a query file answers."""
        self._connection.execute(
            sql.SQL("create temporary table {} {} as\n{}").format(
                sql.Identifier(table),
                self._lifetime,
                query(name, self._settings.sources, **parts),
            ),
            values,
        )

    def _add(
        self,
        table: str,
        name: str,
        values: dict[str, Any] | None = None,
        **parts: sql.Composable,
    ) -> None:
        """Make what is read like a table: a part of the one statement, where there is but one."""
        if not self._as_parts:
            self._make(table, name, values, **parts)
            return
        self.values |= values or {}
        body = query(name, self._settings.sources, **parts)
        self._parts.append(
            sql.SQL("{} as materialized (\n{}\n)").format(sql.Identifier(table), body)
        )

    @property
    def _as_parts(self) -> bool:
        """Whether the steps are parts of one statement.

        What has no column is joined by names: only numbers from ANALYZE tell how.
        """
        return self.from_the_start and not self.shape.rest

    def lay_out(
        self,
        shape: Shape,
        moved_customers: sql.Composable,
        moved_events: sql.Composable,
        *,
        event_cells: Callable[[], None] | None = None,
        with_customer_cells: bool = False,
        consumers: Sequence[Any] | None = None,
        before: int = 0,
    ) -> None:
        """Make the cells.

        Args:
            shape: what has a column.
            moved_customers: relation of consumer_id, slot, status, n, dated, created_us, born.
            moved_events: relation of consumer_id, slot, event_type, n, fresh; with
                `event_cells` only what has no column, and no `fresh`.
            event_cells: makes the events' cells itself, where there is a faster way.
            with_customer_cells: whether the customers' cells are there already.
            consumers: only these are to have snapshots; None: all.
            before: the last slot of which only the sum up to it is wanted.
        """
        self.shape = shape
        self.from_the_start = event_cells is None
        if event_cells is None:
            template = TOTAL + "(n) filter (where event_type = {})"
            pivoted, values = pivot(shape.event_columns, shape.types, template, "type")
            self._add(
                "event_cells", "etl/figures/events", values, pivoted=pivoted, moved=moved_events
            )
        else:
            event_cells()
        if not with_customer_cells:
            template = TOTAL + "(n) filter (where status = {})"
            pivoted, values = pivot(shape.customer_columns, shape.statuses, template, "status")
            # A table in any case: the planner knows its size, but nothing of a run's extract.
            self._make(
                "customer_cells",
                "etl/figures/customers",
                values,
                pivoted=pivoted,
                moved=moved_customers,
            )
        if shape.rest:
            self._lay_out_rest(moved_customers, moved_events, before)
        listed: dict[str, Any] = {"bounds": list(self._bounds), "last": self._bounds[-1]}
        wanted = sql.SQL("true")
        if consumers is not None:
            wanted = sql.SQL("consumer_id = any(%(consumers)s)")
            listed["consumers"] = list(consumers)
        self._add("listed_consumers", "etl/figures/listed", listed, wanted=wanted)
        if not self.from_the_start:
            self._make(
                "figures_before",
                "etl/figures/before",
                summed=each(shape.columns, TOTAL + "({0}) as {0}"),
                event_columns=self._own_columns(shape.event_columns),
                customer_columns=self._own_columns(shape.customer_columns),
                before=sql.Literal(before),
            )

    def _own_columns(self, own: Sequence[sql.Composable]) -> sql.Composed:
        """Write all columns, those that the cells at hand do not have as NULL."""
        return sql.SQL("").join(
            sql.SQL(", {}" if column in own else ", null::bigint as {}").format(column)
            for column in self.shape.columns
        )

    def _lay_out_rest(
        self, moved_customers: sql.Composable, moved_events: sql.Composable, before: int
    ) -> None:
        self._make(
            "rest_named",
            "etl/figures/rest-named",
            {"types": list(self.shape.types), "statuses": list(self.shape.statuses)},
            moved_events=moved_events,
            moved_customers=moved_customers,
        )
        for name, read in (("pairs", "named"), ("cells", "pairs"), ("before", "cells")):
            # Text keys over many rows: without numbers the planner sorts what it could hash.
            self._connection.execute(
                sql.SQL("analyze {}").format(sql.Identifier("pg_temp", f"rest_{read}"))
            )
            self._make(f"rest_{name}", f"etl/figures/rest-{name}", before=sql.Literal(before))
        self._connection.execute("analyze pg_temp.rest_before")

    def accumulate(self, first: int, last: int) -> None:
        """Sum the cells up for the slots `first` to `last`, into `figures` and `instants`."""
        shape = self.shape
        parts = _span(first, last)
        events = [sql.Identifier("events"), *shape.event_columns]
        customers = [*map(sql.Identifier, ("customers", "dated")), *shape.customer_columns]
        # Their sum is too large for a bigint.
        moments = [sql.Identifier("created_us")]
        if self.from_the_start and first == last:
            # One slot is its own sum.
            accumulated = each(events, "event_cell.{0}") + each(
                customers + moments, "customer_cell.{0}"
            )
        else:
            accumulated = (
                each(events, TOTAL + "(event_cell.{0}) over so_far as {0}")
                + each(customers, TOTAL + "(customer_cell.{0}) over so_far as {0}")
                + each(moments, "sum(customer_cell.{0}) over so_far as {0}")
            )
        everything = events + customers + moments
        if self.from_the_start:
            fresh, before = "fresh", ""
            added = each(everything, "coalesce(moved.{0}, 0) as {0}")
        else:
            fresh, before = "events", "left join figures_before as before using (consumer_id)"
            added = each(everything, "coalesce(moved.{0}, 0) + coalesce(before.{0}, 0) as {0}")
        self._add(
            "figures",
            "etl/figures/accumulate",
            accumulated=accumulated,
            added=added,
            before=sql.SQL(before),
            fresh=sql.Identifier(fresh),
            **parts,
        )
        if shape.rest:
            self._make("figures_rest", "etl/figures/rest", **parts)
        shared = {"bounds": list(self._bounds), "snapshot_source": self._snapshot_source}
        self._add("instants", "etl/figures/instants", shared, **parts)

    def carry(self, first: int, last: int) -> None:
        """Make the end of the slots `first` to `last` the start for those after them."""
        columns = self.shape.columns
        self._make(
            "figures_carried",
            "etl/figures/carry",
            columns=each(columns, "{0}"),
            summed=each(columns, TOTAL + "({0})"),
            event_columns=self._own_columns(self.shape.event_columns),
            customer_columns=self._own_columns(self.shape.customer_columns),
            **_span(first, last),
        )
        self._replace("figures_before", "figures_carried")
        if self.shape.rest:
            self._make("rest_carried", "etl/figures/rest-carry", **_span(first, last))
            self._replace("rest_before", "rest_carried")

    def _replace(self, table: str, by: str) -> None:
        self._connection.execute(
            sql.SQL("drop table {0}; alter table {1} rename to {2}").format(
                sql.Identifier("pg_temp", table),
                sql.Identifier("pg_temp", by),
                sql.Identifier(table),
            )
        )

    def forget_span(self) -> None:
        """Drop what `accumulate` made, where it is there."""
        self._connection.execute(
            "drop table if exists pg_temp.figures, pg_temp.instants, pg_temp.figures_rest"
        )

    @property
    def parts(self) -> sql.Composable:
        """What stands before a query that reads the steps, where they are parts of it."""
        if not self._parts:
            return sql.SQL("")
        return sql.SQL("with {}\n").format(sql.SQL(",\n\n").join(self._parts))


def _span(first: int, last: int) -> dict[str, Any]:
    return {"first": sql.Literal(first), "last": sql.Literal(last)}
