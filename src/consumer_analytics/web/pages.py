"""The pages: the system, the consumers, a comparison, freshness.

Each is one read-only look at the database and a template. Links are relative and
carry all that makes up a view, so that a page works under any prefix and its
address brings back what it shows.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from consumer_analytics.calendar import instants
from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.errors import UsageError
from consumer_analytics.monitoring import health, incidents
from consumer_analytics.monitoring.observation import Observation
from consumer_analytics.reporting import comparison, consumers, freshness, ranges, series, standing
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import Bounds
from consumer_analytics.web import charts, rendering, views
from consumer_analytics.web.api import Page, Reading, Search, Size, only, unknown, visible
from consumer_analytics.web.auth import Caller, Principal, path_below, require_all
from consumer_analytics.web.charts import Exports
from consumer_analytics.web.rendering import Parameter, address

router = APIRouter(include_in_schema=False)

SIZES = (25, 50, 100)
_FOUND = 12
_INCIDENTS = 20
_MONTH = dt.timedelta(days=30)
_A_DAY = len("2025-10-01")


# -- rendering -------------------------------------------------------------------


def base(request: Request) -> str:
    """Return what leads from a request's address to the dashboard's root: `../` or nothing."""
    return rendering.base(path_below(request.scope))


def render(request: Request, template: str, *, status_code: int = 200, **context: Any) -> Response:
    """Return a page, with the navigation that its reader may follow."""
    caller: Principal | None = getattr(request.state, "principal", None)
    links = _navigation(base(request), caller) if caller else []
    text = rendering.render(
        template,
        base(request),
        {
            "pages": links,
            "current": None,
            "can_log_out": caller is not None and caller.can_log_out,
            **context,
        },
    )
    return HTMLResponse(text, status_code)


def _navigation(base: str, caller: Principal) -> list[tuple[str, str, str]]:
    """Return the pages that somebody may see: name, label, address."""
    own = [("consumers", "Consumers", f"{base}consumers"), ("compare", "Compare", f"{base}compare")]
    if not caller.sees_all:
        return own
    return [
        ("system", "System", base or "./"),
        *own,
        ("freshness", "Freshness", f"{base}freshness"),
    ]


def _empty(request: Request, current: str) -> Response:
    today = dt.datetime.now(dt.UTC).date()
    return render(request, "empty.html", current=current, today=today, month_ago=today - _MONTH)


# -- what the address asks for ---------------------------------------------------


async def _span(request: Request, pool: Reading) -> Range:
    """Return the range of the address: a name, or days or instants as `from` and `to`.

    As the API's, except that a day given as the end is in the range: people mean it so.
    """
    given, zone = request.query_params, pool.settings.zone
    since = _instant("from", given.get("from"), zone)
    until = _instant("to", given.get("to"), zone, whole_day=True)
    name = None if since or until else given.get("range") or None
    return ranges.parse(name, since, until, zone)


def _instant(
    name: str, text: str | None, zone: dt.tzinfo, *, whole_day: bool = False
) -> dt.datetime | None:
    """Read an instant; a day is its beginning, or its end where the whole of it is meant."""
    if not text:
        return None
    try:
        at = dt.datetime.fromisoformat(text)
        if whole_day and len(text) == _A_DAY:
            at += dt.timedelta(days=1)
        return instants.with_zone(at, zone)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{name}: {text[:40]!r} is no time; write 2025-10-01 or 2025-10-01T06:00:00Z"
        ) from None


Span = Annotated[Range, Depends(_span)]


def _points(span: Range, known: Bounds) -> int:
    """Return how many points the charts of a range have at most."""
    return charts.points(*span.bounds(*known), series.MOST_POINTS)


def _api(request: Request, path: str, parameters: Mapping[str, Parameter]) -> str:
    """Return an address of the API, relative to the page's own."""
    return address(f"{base(request)}api/v1/{path}", parameters)


# -- the system ------------------------------------------------------------------


@router.get("/")
def system(request: Request, pool: Reading, caller: Caller, span: Span) -> Response:
    """Show the whole system; to those who may see single consumers, these."""
    if not caller.sees_all:
        return RedirectResponse("consumers", 303)
    with pool.read() as connection:
        known = series.bounds(connection, None)
        shown = standing.system(connection, span, known=known)
        if known is None or shown.at is None:
            return _empty(request, "system")
        points = _points(span, known)
        found = series.system(connection, span, points, known=known)
    view = views.ranges.view("./", span, found.since, found.until, {}, pool.settings.zone)
    fixed = {**views.ranges.dates(found.since, found.until), "points": points}
    return render(
        request,
        "system.html",
        current="system",
        standing=shown,
        view=view,
        charts=views.snapshots.series_charts(
            found,
            Exports(
                _api(request, "system/series.csv", fixed),
                _api(request, "system/series", fixed),
                view.pinned,
            ),
        ),
    )


# -- consumers -------------------------------------------------------------------


@router.get("/consumers")
def consumers_page(
    request: Request,
    pool: Reading,
    caller: Caller,
    span: Span,
    search: Search = "",
    sort: consumers.Sort = "customers",
    direction: consumers.Direction | None = None,
    page: Page = 1,
    size: Size = consumers.PAGE,
) -> Response:
    """Show the table of the consumers."""
    order = direction or ("asc" if sort == "name" else "desc")
    with pool.read() as connection:
        known = series.bounds(connection, None)
        if known is None:
            return _empty(request, "consumers")
        table = consumers.page(
            connection,
            pool.settings.source_schema,
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
        rows=views.consumers.rows(table, span),
        columns=views.consumers.columns(table, kept),
        paging=views.consumers.paging(table, kept),
        everyone=address("consumers", {**kept, "search": None}),
        sizes=sorted({*SIZES, size}),
        view=views.ranges.view("consumers", span, since, until, numbered, pool.settings.zone),
        asked=views.ranges.fields(views.ranges.asked(span)),
        order=views.ranges.fields({"sort": sort, "direction": order}),
        csv=_api(request, "consumers.csv", {**fixed, **ordered, "size": None}),
        json=_api(request, "consumers", {**fixed, **numbered}),
    )


@router.get("/consumers/{consumer_id}")
def consumer(
    request: Request, pool: Reading, caller: Caller, span: Span, consumer_id: uuid.UUID
) -> Response:
    """Show a consumer."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        who = consumers.find(connection, pool.settings.source_schema, consumer_id)
        if who is None:
            raise HTTPException(404, unknown(consumer_id))
        known = series.bounds(connection, consumer_id)
        shown = standing.consumer(connection, consumer_id, span, known=known)
        points = _points(span, known) if known else series.POINTS
        found = series.consumer(connection, consumer_id, span, points, known=known)
    view = views.ranges.view(
        str(consumer_id), span, found.since, found.until, {}, pool.settings.zone
    )
    fixed = {**views.ranges.dates(found.since, found.until), "points": points}
    return render(
        request,
        "consumer.html",
        current="consumers",
        consumer=who,
        name=who.name or f"Consumer {who.consumer_id}",
        standing=shown,
        view=view,
        charts=views.snapshots.series_charts(
            found,
            Exports(
                _api(request, f"consumers/{consumer_id}/series.csv", fixed),
                _api(request, f"consumers/{consumer_id}/series", fixed),
                view.pinned,
            ),
        ),
        statuses=views.snapshots.shares(shown.customers_by_status),
        events=views.snapshots.shares(shown.events_by_type),
        compare=address("../compare", {**views.ranges.asked(span), "consumer": str(consumer_id)}),
    )


# -- comparison ------------------------------------------------------------------


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
    schema = pool.settings.source_schema
    compared = table = None
    points = series.POINTS
    with pool.read() as connection:
        known = series.bounds(connection, None)
        if known is None:
            return _empty(request, "compare")
        if chosen:
            points = _points(span, known)
            compared = comparison.compare(connection, schema, chosen, span, points, known=known)
        if search:
            table = consumers.page(
                connection,
                schema,
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
    view = views.ranges.view(
        "compare",
        span,
        compared.since if compared else span.since,
        compared.until if compared else span.until,
        kept,
        pool.settings.zone,
    )
    asked = views.ranges.asked(span)
    chart = None
    if compared is not None:
        fixed = {
            **views.ranges.dates(compared.since, compared.until),
            "consumer": ids,
            "points": points,
        }
        chart = views.comparison.compared(
            compared,
            by,
            scale,
            Exports(
                _api(request, "compare.csv", fixed), _api(request, "compare", fixed), view.pinned
            ),
        )
    return render(
        request,
        "compare.html",
        current="compare",
        view=view,
        most=comparison.MOST_COMPARED,
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


# -- freshness -------------------------------------------------------------------


@router.get("/freshness", dependencies=[Depends(require_all)])
def fresh(request: Request, pool: Reading, span: Span) -> Response:
    """Show whether the figures are as new as they should be, and what went wrong."""
    with pool.read() as connection:
        seen = Observation.take(connection, pool.settings)
        judged = health.of(seen)
        found = freshness.read(connection, span, seen=seen)
        told = incidents.latest(connection, _INCIDENTS)
    view = views.ranges.view("freshness", span, found.since, found.until, {}, pool.settings.zone)
    fixed = views.ranges.dates(found.since, found.until)
    limits = views.freshness.limits(judged, "dag_runtime")

    def exports_of(csv: str, json: str, asked: Mapping[str, Parameter]) -> Exports:
        return Exports(_api(request, csv, asked), _api(request, json, asked), view.pinned)

    runs = exports_of("freshness/runs.csv", "freshness", fixed)
    mark = exports_of("freshness/watermark.csv", "freshness", fixed)
    return render(
        request,
        "freshness.html",
        current="freshness",
        view=view,
        health=judged,
        measures=views.freshness.measures(judged),
        charts={
            **views.freshness.watermark_charts(
                found,
                Schedule(pool.settings.schedule, pool.settings.zone),
                views.freshness.limits(judged, "watermark_lag"),
                mark,
            ),
            "durations": views.runs.durations(found.runs, limits, runs),
        },
        gantt=views.runs.gantt(found, limits, runs),
        failed=found.failed,
        incidents=[views.freshness.incident(one) for one in told],
        backfills=[views.freshness.backfill(one) for one in found.backfills],
        exports={
            "health": exports_of("freshness/measures.csv", "freshness/health", {}),
            "failed": exports_of("freshness/failed.csv", "freshness", fixed),
            "incidents": exports_of("freshness/incidents.csv", "freshness/incidents", {}),
            "backfills": exports_of("freshness/backfills.csv", "freshness", fixed),
        },
    )
