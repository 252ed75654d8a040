"""The page of the whole system."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from consumer_analytics.reporting import series, standing
from consumer_analytics.web import views
from consumer_analytics.web.api import Reading
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.charts import Exports
from consumer_analytics.web.pages.page import Span, api_address, empty, gap, points_of, render

router = APIRouter()


@router.get("/")
def system(request: Request, pool: Reading, caller: Caller, span: Span) -> Response:
    """Show the whole system; to those who may see single consumers, these."""
    if not caller.sees_all:
        return RedirectResponse("consumers", 303)
    with pool.read() as connection:
        known = series.bounds(connection)
        if known is None:
            return empty(request, "system")
        shown = standing.system(connection, span, known=known)
        points = points_of(span, known)
        found = series.system(connection, span, points, known=known)
    view = views.ranges.view("./", span, found.since, found.until, {}, pool.settings.zone)
    fixed = views.ranges.dates(found.since, found.until)
    return render(
        request,
        "system.html",
        current="system",
        standing=shown,
        view=view,
        series=found,
        gap=gap(request, caller, pool, span, known, empty=not found.points),
        charts=views.snapshots.series_charts(
            found,
            Exports(
                api_address(request, "system/series.csv", fixed),
                api_address(request, "system/series", {**fixed, "points": points}),
                view.pinned,
            ),
        ),
    )
