"""The page of several consumers side by side."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from consumer_analytics.reporting import comparison, consumers, series
from consumer_analytics.web import views
from consumer_analytics.web.api import Reading, Search, only, visible
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.charts import Exports
from consumer_analytics.web.pages.page import Span, api_address, empty, gap, points_of, render
from consumer_analytics.web.rendering import Parameter

router = APIRouter()


_FOUND = 12


@router.get("/compare")
def compare(
    request: Request,
    pool: Reading,
    caller: Caller,
    span: Span,
    consumer: Annotated[list[uuid.UUID] | None, Query()] = None,
    search: Search = "",
    by: str = views.comparison.FIGURES[0][0],
    scale: str = views.comparison.SCALES[0][0],
) -> Response:
    """Show several consumers side by side, and find more of them."""
    chosen = list(dict.fromkeys(consumer or []))
    by = by if by in dict(views.comparison.FIGURES) else views.comparison.FIGURES[0][0]
    scale = scale if scale in dict(views.comparison.SCALES) else views.comparison.SCALES[0][0]
    for one in chosen:
        visible(caller, one)
    sources = pool.settings.sources
    compared = table = None
    points = series.POINTS
    with pool.read() as connection:
        known = series.bounds(connection)
        if known is None:
            return empty(request, "compare")
        if chosen:
            points = points_of(span, known)
            compared = comparison.compare(connection, sources, chosen, span, points, known=known)
        if search:
            table = consumers.page(
                connection,
                sources,
                span,
                search=search,
                size=_FOUND + len(chosen),
                only=only(caller),
                sparkline=0,
                known=known,
            )
    ids = [str(one) for one in chosen]
    shown: dict[str, Parameter] = {
        "by": by if by != views.comparison.FIGURES[0][0] else None,
        "scale": scale if scale != views.comparison.SCALES[0][0] else None,
    }
    kept = {"consumer": ids, **shown}
    since, until = span.bounds(*known)
    view = views.ranges.view("compare", span, since, until, kept, pool.settings.zone)
    asked = views.ranges.asked(span)
    chart = None
    if compared is not None:
        fixed = {
            **views.ranges.dates(since, until),
            "consumer": ids,
        }
        chart = views.comparison.compared(
            compared,
            by,
            scale,
            Exports(
                api_address(request, "compare.csv", fixed),
                api_address(request, "compare", {**fixed, "points": points}),
                view.pinned,
            ),
        )
    return render(
        request,
        "compare.html",
        current="compare",
        view=view,
        most=comparison.MOST_COMPARED,
        comparison=compared,
        gap=None
        if compared is None or compared.at
        else gap(request, caller, pool, span, known, empty=True),
        chart=chart,
        chosen=views.comparison.side_by_side(compared, asked, shown) if compared else [],
        search=search,
        found=views.comparison.addable(table, chosen, asked, kept)[:_FOUND] if table else [],
        by=by,
        scale=scale,
        figures=views.comparison.FIGURES,
        scales=views.comparison.SCALES,
        kept_by_search=views.ranges.fields({**asked, **kept}),
        kept_by_figure=views.ranges.fields({**asked, "consumer": ids}),
    )
