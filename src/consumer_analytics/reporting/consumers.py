"""The consumers: a table to search, sort and page through, and who one of them is."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import UsageError
from consumer_analytics.mapping import Sources
from consumer_analytics.reporting import series
from consumer_analytics.reporting.changes import Between, between
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.ratios import ratio
from consumer_analytics.reporting.series import grown
from consumer_analytics.reporting.standing import Figure, figure
from consumer_analytics.sql import fragment, query, source_rows

PAGE = 50
MOST_ROWS = 200
#: Points of a row's sparkline.
SPARKLINE = 30

Sort = Literal["name", "customers", "active", "active_ratio", "events", "new_events", "change"]
Direction = Literal["asc", "desc"]

_FETCHED_AT_ONCE = 1_000


def _figure(key: LiteralString) -> LiteralString:
    return f"jsonb_path_query_first(snapshot.metrics_json -> '{key}', {{a_number}})::bigint"


_CUSTOMERS = _figure("total_customers")
_ACTIVE = _figure("active_customers")
_EVENTS = _figure("total_events")
#: The figure that each order goes by.
_FIGURES: dict[str, str] = {
    "name": "lower(known.name::text)",
    "customers": _CUSTOMERS,
    "active": _ACTIVE,
    "active_ratio": f"{_ACTIVE}::numeric / nullif({_CUSTOMERS}, 0)",
    "events": _EVENTS,
    "new_events": _EVENTS,
    "change": _CUSTOMERS,
}
#: Those that go by its change.
_CHANGES = frozenset({"new_events", "change"})


@dataclass(frozen=True)
class ConsumerRow:
    """A consumer in the table.

    A figure that the snapshot does not have, as somebody edited it, is None.

    Attributes:
        consumer_id: as text.
        name: as `consumers` has it; None where it has none.
        customers: customers now, and at the instant compared with.
        active: of those, the ones with status ACTIVE now.
        inactive: of those, the ones with status INACTIVE now.
        active_ratio: active ÷ customers, four decimals; 0 without customers.
        total_events: events before the latest snapshot.
        new_events: events since the instant compared with; None without one.
        sparkline: customers at the page's `sparkline_at`; None where it has no snapshot.
    """

    consumer_id: str
    name: str | None
    customers: Figure
    active: int | None
    inactive: int | None
    active_ratio: float | None
    total_events: int | None
    new_events: int | None
    sparkline: list[int | None]


@dataclass(frozen=True)
class ConsumersPage:
    """A page of the table.

    Attributes:
        at: the latest snapshot's instant; None without snapshots.
        range: the range that the change is over, or `custom`.
        compared_with: the instant of the snapshot it is compared with; None without one.
        search: what the rows contain in name or id.
        sort: what they are ordered by.
        direction: and how.
        page: from 1.
        pages: how many there are, at least 1.
        size: rows of a page.
        matching: rows that match the search, on all pages.
        sparkline_at: the instants of the sparklines.
        rows: the page's rows.
    """

    at: dt.datetime | None
    range: str
    compared_with: dt.datetime | None
    search: str
    sort: Sort
    direction: Direction
    page: int
    pages: int
    size: int
    matching: int
    sparkline_at: list[dt.datetime]
    rows: list[ConsumerRow]


@dataclass(frozen=True)
class Consumer:
    """Who a consumer is.

    Attributes:
        consumer_id: as text.
        name: as `consumers` has it; None where it has none.
        registered: whether `consumers` has it.
        status: as `consumers` has it.
        created_at: as `consumers` has it.
    """

    consumer_id: str
    name: str | None
    registered: bool
    status: str | None
    created_at: dt.datetime | None


def find(connection: Connection, sources: Sources, consumer_id: uuid.UUID) -> Consumer | None:
    """Return who a consumer is; None where nobody has heard of it."""
    row = connection.execute(
        query("reporting/consumer", sources), {"consumer": consumer_id}
    ).fetchone()
    if row is None:
        return None
    name, status, created_at, registered = row
    return Consumer(str(consumer_id), name, registered, status, created_at)


def page(
    connection: Connection,
    sources: Sources,
    span: Range,
    *,
    search: str = "",
    sort: Sort = "customers",
    direction: Direction = "desc",
    number: int = 1,
    size: int = PAGE,
    only: list[uuid.UUID] | None = None,
    sparkline: int = SPARKLINE,
    known: series.Bounds | None = None,
) -> ConsumersPage:
    """Return a page of the consumers at the latest snapshot.

    Args:
        connection: to the product's database.
        sources: where `consumers` is, for the names.
        span: what the change and the sparkline are over.
        search: text that the name or the id contains, letter case aside.
        sort: what the rows are ordered by.
        direction: ascending or descending; rows without the figure come last.
        number: of the page, from 1; a page after the last one has no rows.
        size: rows of a page, at most `MOST_ROWS`.
        only: these consumers alone: a tenant's.
        sparkline: points of a row's sparkline; 0 for none.
        known: the system's `bounds`, where the transaction has asked for them already.

    Raises:
        UsageError: page or size are out of bounds, or the search holds a NUL.
    """
    if not 1 <= size <= MOST_ROWS:
        raise UsageError(f"a page has 1 to {MOST_ROWS} rows")
    if number < 1:
        raise UsageError("pages are numbered from 1")
    found = known or series.bounds(connection)
    if found is None:
        return ConsumersPage(
            None, span.name, None, search, sort, direction, number, 1, size, 0, [], []
        )
    instants = between(connection, *span.bounds(*found))
    values = _values(search, instants, only)
    table = _table("reporting/consumers", sources, sort, direction, search)
    chosen = connection.execute(
        table, {**values, "size": size, "offset": (number - 1) * size}
    ).fetchall()
    if chosen:
        matching = chosen[0][1]
    else:
        # The page lies behind the last one; how many there are still has an answer.
        first = connection.execute(table, {**values, "size": 1, "offset": 0}).fetchone()
        matching = first[1] if first else 0
    ids = [row[0] for row in chosen]
    shown_at: list[dt.datetime] = []
    if sparkline:
        shown_at, _ = series.instants(connection, *span.held(*found), sparkline)
    return ConsumersPage(
        at=instants.at,
        range=span.name,
        compared_with=instants.before,
        search=search,
        sort=sort,
        direction=direction,
        page=number,
        pages=max(1, -(-matching // size)),
        size=size,
        matching=matching,
        sparkline_at=shown_at,
        rows=rows(connection, sources, ids, instants, shown_at),
    )


def every(
    connection: Connection,
    sources: Sources,
    span: Range,
    *,
    search: str = "",
    sort: Sort = "customers",
    direction: Direction = "desc",
    only: list[uuid.UUID] | None = None,
) -> Iterator[ConsumerRow]:
    """Yield all rows of the table, without sparklines, as the server sends them.

    In a transaction of the caller's: the rows come through a cursor of the server's.
    """
    found = series.bounds(connection)
    if found is None:
        return
    instants = between(connection, *span.bounds(*found))
    with connection.cursor("dashboard_consumers") as cursor:
        cursor.itersize = _FETCHED_AT_ONCE
        cursor.execute(
            _table("reporting/consumers-all", sources, sort, direction, search),
            _values(search, instants, only),
        )
        for row in cursor:
            yield _row(row, instants.before, [])


def _table(
    name: str, sources: Sources, sort: Sort, direction: Direction, search: str
) -> sql.Composed:
    compared = sort in _CHANGES
    return query(
        name,
        sources,
        figure=sql.SQL(_FIGURES[sort]).format(a_number=sql.SQL(fragment("a_number"))),
        # A figure that a consumer did not have yet was 0.
        ranked=sql.SQL(
            "standing.figure - case when earlier.consumer_id is null then 0 else earlier.figure end"
            if compared
            else "standing.figure"
        ),
        compared=sql.SQL("left join earlier using (consumer_id)" if compared else ""),
        direction=sql.SQL("asc" if direction == "asc" else "desc"),
        named=sql.SQL("left join {} as known on known.consumer_id = snapshot.consumer_id").format(
            source_rows(sources, "consumers")
        )
        if search or sort == "name"
        else sql.SQL(""),
        found=sql.SQL(
            # Under a collation of its own a name may not be looked for in this way.
            '(known.name::text collate "default" ilike %(pattern)s '
            "or snapshot.consumer_id::text ilike %(pattern)s)"
            if search
            else "true"
        ),
    )


def _values(search: str, instants: Between, only: list[uuid.UUID] | None) -> dict[str, Any]:
    if "\x00" in search:
        raise UsageError("the search holds a NUL, which no name does")
    escaped = search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    values = {"at": instants.at, "before": instants.before, "only": only}
    return values | ({"pattern": f"%{escaped}%"} if search else {})


def rows(
    connection: Connection,
    sources: Sources,
    ids: Sequence[uuid.UUID],
    instants: Between,
    shown_at: Sequence[dt.datetime] = (),
) -> list[ConsumerRow]:
    """Return some consumers' rows: figures, what they were, and how they came about.

    Args:
        connection: to the product's database.
        sources: where `consumers` is, for the names.
        ids: whose; one without a snapshot at `instants.at` has no row.
        instants: which snapshots the figures and their changes are of.
        shown_at: the instants of the sparklines.
    """
    if not ids:
        return []
    sparklines: dict[uuid.UUID, list[int | None]] = {}
    if shown_at:
        sparklines = dict(
            connection.execute(
                query("reporting/sparklines"), {"page": list(ids), "instants": list(shown_at)}
            ).fetchall()
        )
    return [
        _row(row, instants.before, sparklines.get(row[0], []))
        for row in connection.execute(
            query("reporting/consumers-rows", sources),
            {"page": list(ids), "at": instants.at, "before": instants.before},
        )
    ]


def _row(
    found: tuple[Any, ...], before: dt.datetime | None, sparkline: list[int | None]
) -> ConsumerRow:
    consumer_id, name, customers, active, inactive, events, old, old_events, was_there = found
    if not was_there:
        # One that did not exist yet had none.
        old, old_events = 0, 0
    return ConsumerRow(
        consumer_id=str(consumer_id),
        name=name,
        customers=figure(customers, old if before else None),
        active=active,
        inactive=inactive,
        active_ratio=None if active is None or customers is None else ratio(active, customers),
        total_events=events,
        new_events=grown(events, old_events) if before else None,
        sparkline=sparkline,
    )
