"""The pages of the consumers: the table, and a single one."""

from __future__ import annotations

import uuid

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from consumer_analytics.monitoring import anomalies
from consumer_analytics.reporting import consumers, series, standing
from consumer_analytics.web import views
from consumer_analytics.web.api import PageNumber, Reading, Search, Size, only, unknown, visible
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.charts import Exports
from consumer_analytics.web.pages.page import Span, api_address, empty, gap, points_of, render
from consumer_analytics.web.rendering import Parameter, address

router = APIRouter()


SIZES = (25, 50, 100)
#: What was odd with a consumer, on its page.
_ANOMALIES = 10


@router.get("/consumers")
def consumers_page(
    request: Request,
    pool: Reading,
    caller: Caller,
    span: Span,
    search: Search = "",
    sort: consumers.Sort = "customers",
    direction: consumers.Direction | None = None,
    page: PageNumber = 1,
    size: Size = consumers.PAGE,
) -> Response:
    """Show the table of the consumers."""
    order = direction or ("asc" if sort == "name" else "desc")
    with pool.read() as connection:
        known = series.bounds(connection)
        if known is None:
            return empty(request, "consumers")
        table = consumers.page(
            connection,
            pool.settings.sources,
            span,
            search=search,
            sort=sort,
            direction=order,
            number=page,
            size=size,
            only=only(caller),
            known=known,
        )
    ordered: dict[str, Parameter] = {
        "search": search,
        "sort": sort,
        "direction": order,
        "size": size if size != consumers.PAGE else None,
    }
    kept = {**views.ranges.asked(span), **ordered}
    since, until = span.bounds(*known)
    fixed = views.ranges.dates(since, until)
    numbered = {**ordered, "page": page if page > 1 else None}
    return render(
        request,
        "consumers.html",
        current="consumers",
        table=table,
        gap=None if table.sparkline_at else gap(request, caller, pool, span, known, empty=True),
        rows=views.consumers.rows(table, span, since, until),
        columns=views.consumers.columns(table, kept),
        paging=views.consumers.paging(table, kept),
        everyone=address("consumers", {**kept, "search": None}),
        sizes=sorted({*SIZES, size}),
        view=views.ranges.view("consumers", span, since, until, numbered, pool.settings.zone),
        asked=views.ranges.fields(views.ranges.asked(span)),
        order=views.ranges.fields({"sort": sort, "direction": order}),
        csv=api_address(request, "consumers.csv", {**fixed, **ordered, "size": None}),
        json=api_address(request, "consumers", {**fixed, **numbered}),
    )


@router.get("/consumers/{consumer_id}")
def consumer(
    request: Request, pool: Reading, caller: Caller, span: Span, consumer_id: uuid.UUID
) -> Response:
    """Show a consumer."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        who = consumers.find(connection, pool.settings.sources, consumer_id)
        if who is None:
            raise HTTPException(404, unknown(consumer_id))
        known = series.bounds(connection)
        shown = standing.consumer(connection, consumer_id, span, known=known)
        points = points_of(span, known) if known else series.POINTS
        found = series.consumer(connection, consumer_id, span, points, known=known)
        unusual = anomalies.of_consumer(connection, consumer_id, _ANOMALIES)
    view = views.ranges.view(
        str(consumer_id), span, found.since, found.until, {}, pool.settings.zone
    )
    fixed = views.ranges.dates(found.since, found.until)
    return render(
        request,
        "consumer.html",
        current="consumers",
        consumer=who,
        name=who.name or f"Consumer {who.consumer_id}",
        standing=shown,
        view=view,
        series=found,
        charts=views.snapshots.series_charts(
            found,
            Exports(
                api_address(request, f"consumers/{consumer_id}/series.csv", fixed),
                api_address(
                    request, f"consumers/{consumer_id}/series", {**fixed, "points": points}
                ),
                view.pinned,
            ),
        ),
        statuses=views.snapshots.shares(shown.customers_by_status),
        events=views.snapshots.shares(shown.events_by_type),
        unusual=unusual,
        compare=address("../compare", {**views.ranges.asked(span), "consumer": str(consumer_id)}),
    )
