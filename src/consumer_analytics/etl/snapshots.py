"""The figures of snapshots and their JSON: one definition for runs, restating and backfill.

What happened is first laid out as cells, one row per consumer and slot with a
column for each event type and each status; row 0 holds what came before the
first window. Summed up along the slots, on a dense grid, the cells are the
figures, and the figures are rendered as text that is cast to JSON once.

Types and statuses beyond a number of columns are kept as one row each and
join the JSON in the end: what has hundreds of them would not fit a row.

Each step leaves a temporary table, where several stretches of slots are written
from what was laid out once. A run has only one: there the steps are the parts of
a single statement, and only its answer is stored.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import watermark
from consumer_analytics.etl.plan import Plan
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: More event types, or statuses, than this get rows instead of columns.
MOST_COLUMNS = 40
#: The sum of a bigint as one: see migration 14.
TOTAL: LiteralString = "consumer_analytics_internal.total"
#: Without these two there is no snapshot.
_ALWAYS = ("ACTIVE", "INACTIVE")
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


@dataclass(frozen=True)
class Shape:
    """Which types and statuses have a column, and whether there are others.

    Attributes:
        types: event types with a column.
        statuses: statuses with a column; ACTIVE and INACTIVE come first.
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


def shape_of(types: Iterable[str], statuses: Iterable[str]) -> Shape:
    """Give columns to types and statuses, as long as they are few."""
    # In jsonb's own order, which spares it the sorting.
    kinds = sorted(set(types), key=_length_first)
    states = sorted(set(statuses) - set(_ALWAYS), key=_length_first)
    few_types, few_states = len(kinds) <= MOST_COLUMNS, len(states) <= MOST_COLUMNS
    return Shape(
        tuple(kinds if few_types else ()),
        (*_ALWAYS, *(states if few_states else ())),
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
        self.values: dict[str, Any] = {
            "bounds": list(bounds),
            "last": bounds[-1],
            "snapshot_source": snapshot_source,
            "job": watermark.JOB,
        }
        self.shape = shape_of((), ())
        #: Whether slot 1 holds what came before as well, and cells tell apart what is new.
        self._from_the_start = False
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

    def _make(self, table: str, name: str, **parts: sql.Composable) -> None:
        """Make a table of what a query file answers, with the values that all of them share."""
        self._connection.execute(
            sql.SQL("create temporary table {} {} as\n{}").format(
                sql.Identifier(table),
                self._lifetime,
                query(name, self._settings.source_schema, **parts),
            ),
            self.values,
        )

    def _add(self, table: str, name: str, **parts: sql.Composable) -> None:
        """Make what is read like a table: a part of the one statement, where there is but one."""
        if not self._as_parts:
            self._make(table, name, **parts)
            return
        body = query(name, self._settings.source_schema, **parts)
        self._parts.append(
            sql.SQL("{} as materialized (\n{}\n)").format(sql.Identifier(table), body)
        )

    @property
    def _as_parts(self) -> bool:
        """Whether the steps are parts of one statement.

        What has no column is joined by names: only numbers from ANALYZE tell how.
        """
        return self._from_the_start and not self.shape.rest

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
        self._from_the_start = event_cells is None
        if event_cells is None:
            template = TOTAL + "(n) filter (where event_type = {})"
            pivoted, values = pivot(shape.event_columns, shape.types, template, "type")
            self.values |= values
            self._add(
                "event_cells", "etl/snapshots/figures-events", pivoted=pivoted, moved=moved_events
            )
        else:
            event_cells()
        if not with_customer_cells:
            template = TOTAL + "(n) filter (where status = {})"
            pivoted, values = pivot(shape.customer_columns, shape.statuses, template, "status")
            self.values |= values
            # A table in any case: the planner knows its size, but nothing of a run's extract.
            self._make(
                "customer_cells",
                "etl/snapshots/figures-customers",
                pivoted=pivoted,
                moved=moved_customers,
            )
        if shape.rest:
            self._lay_out_rest(moved_customers, moved_events, before)
        wanted = sql.SQL("true" if consumers is None else "consumer_id = any(%(consumers)s)")
        self.values["consumers"] = list(consumers or ())
        self._add("listed_consumers", "etl/snapshots/figures-listed", wanted=wanted)
        if not self._from_the_start:
            self._make(
                "figures_before",
                "etl/snapshots/figures-before",
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
        self.values |= {"types": list(self.shape.types), "statuses": list(self.shape.statuses)}
        self._make(
            "rest_named",
            "etl/snapshots/figures-rest-named",
            moved_events=moved_events,
            moved_customers=moved_customers,
        )
        for name, read in (("pairs", "named"), ("cells", "pairs"), ("before", "cells")):
            # Text keys over many rows: without numbers the planner sorts what it could hash.
            self._connection.execute(
                sql.SQL("analyze {}").format(sql.Identifier("pg_temp", f"rest_{read}"))
            )
            self._make(
                f"rest_{name}", f"etl/snapshots/figures-rest-{name}", before=sql.Literal(before)
            )
        self._connection.execute("analyze pg_temp.rest_before")

    def accumulate(self, first: int, last: int) -> None:
        """Sum the cells up for the slots `first` to `last`, into `figures` and `instants`."""
        shape = self.shape
        parts = _span(first, last)
        events = [sql.Identifier("events"), *shape.event_columns]
        customers = [*map(sql.Identifier, ("customers", "dated")), *shape.customer_columns]
        # Their sum is too large for a bigint.
        moments = [sql.Identifier("created_us")]
        if self._from_the_start and first == last:
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
        if self._from_the_start:
            fresh, before = "fresh", ""
            added = each(everything, "coalesce(moved.{0}, 0) as {0}")
        else:
            fresh, before = "events", "left join figures_before as before using (consumer_id)"
            added = each(everything, "coalesce(moved.{0}, 0) + coalesce(before.{0}, 0) as {0}")
        self._add(
            "figures",
            "etl/snapshots/figures-accumulate",
            accumulated=accumulated,
            added=added,
            before=sql.SQL(before),
            fresh=sql.Identifier(fresh),
            **parts,
        )
        if shape.rest:
            self._make("figures_rest", "etl/snapshots/figures-rest", **parts)
        self._add("instants", "etl/snapshots/snapshots-instants", **parts)

    def carry(self, first: int, last: int) -> None:
        """Make the end of the slots `first` to `last` the start for those after them."""
        columns = self.shape.columns
        self._make(
            "figures_carried",
            "etl/snapshots/figures-carry",
            columns=each(columns, "{0}"),
            summed=each(columns, TOTAL + "({0})"),
            event_columns=self._own_columns(self.shape.event_columns),
            customer_columns=self._own_columns(self.shape.customer_columns),
            **_span(first, last),
        )
        self._replace("figures_before", "figures_carried")
        if self.shape.rest:
            self._make("rest_carried", "etl/snapshots/figures-rest-carry", **_span(first, last))
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

    def rendered(self, first: int) -> tuple[sql.Composed, sql.Composed, dict[str, Any]]:
        """Compose what answers the accumulated slots' snapshots.

        Args:
            first: the first of the slots.

        Returns:
            The consumers' query, the whole system's, and the values of both.
        """
        shape = self.shape
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
        active, inactive = shape.customer_columns[:2]
        rest_of = sql.SQL("left join figures_rest as rest on {}" if shape.rest else "")
        consumers = query(
            "etl/snapshots/snapshots-render-consumers",
            active=active,
            inactive=inactive,
            joined=rest_of.format(
                sql.SQL("rest.consumer_id = figures.consumer_id and rest.slot = figures.slot")
            ),
            **by,
        )
        whole = query(
            "etl/snapshots/snapshots-render-whole",
            active=active,
            inactive=inactive,
            summed=each(shape.columns, "coalesce(sum({0}), 0)::bigint as {0}"),
            first=sql.Literal(first),
            stray_before=sql.SQL(
                ""
                if self._from_the_start
                else "select 0 as slot, events, customers from figures_before "
                "where consumer_id is null union all"
            ),
            joined=rest_of.format(
                sql.SQL("rest.consumer_id is null and rest.slot = instants.slot")
            ),
            **by,
        )
        return consumers, whole, values


def _span(first: int, last: int) -> dict[str, Any]:
    return {"first": sql.Literal(first), "last": sql.Literal(last)}


def snapshots_of_plan(
    connection: Connection,
    settings: Settings,
    extracted_customers: sql.Composable,
    plan: Plan,
    snapshot_source: str,
) -> tuple[sql.Composed, dict[str, Any]]:
    """Compose what answers the snapshots of a plan, the system's last; `event_slots` is there.

    Within the caller's transaction.

    Returns:
        The query, and its values.
    """
    figures = Figures(connection, settings, plan.bounds, snapshot_source)
    types, statuses = connection.execute(
        query("etl/snapshots/figures-names", extracted_customers=extracted_customers)
    ).fetchone() or (None, None)
    last = len(plan.snapshots)
    figures.lay_out(
        shape_of(types or (), statuses or ()),
        sql.SQL("({})").format(
            query("etl/snapshots/customers-moved", extracted_customers=extracted_customers)
        ),
        sql.SQL("({})").format(query("etl/snapshots/events-moved", last=sql.Literal(last))),
    )
    figures.accumulate(1, last)
    consumers, whole, values = figures.rendered(1)
    return sql.SQL("{}{}\nunion all\n{}").format(
        figures.parts, consumers, whole
    ), figures.values | values
