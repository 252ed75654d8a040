"""What pages have in common: the register of them, how they are rendered, and their range."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, Response

from consumer_analytics.calendar import instants
from consumer_analytics.errors import UsageError
from consumer_analytics.reporting import ranges, series
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import Bounds
from consumer_analytics.web import charts, rendering
from consumer_analytics.web.api import Reading
from consumer_analytics.web.auth import Principal, path_below
from consumer_analytics.web.pool import Pool
from consumer_analytics.web.rendering import Parameter, address
from consumer_analytics.web.views import gaps
from consumer_analytics.web.views.gaps import Gap

_MONTH = dt.timedelta(days=30)
_A_DAY = len("2025-10-01")


class Page(NamedTuple):
    """A page of the navigation.

    Attributes:
        name: its module in this package, and what it says of itself to be marked as the current.
        label: what the navigation calls it.
        path: its address below the dashboard's root.
        of_single_consumers: whether a tenant has a use for it, who sees some consumers alone.
    """

    name: str
    label: str
    path: str
    of_single_consumers: bool = False


#: Every page, in the navigation's order.
PAGES = (
    Page("system", "System", ""),
    Page("consumers", "Consumers", "consumers", of_single_consumers=True),
    Page("compare", "Compare", "compare", of_single_consumers=True),
    Page("freshness", "Freshness", "freshness"),
)


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
    return [
        (page.name, page.label, f"{base}{page.path}" or "./")
        for page in PAGES
        if caller.sees_all or page.of_single_consumers
    ]


def empty(request: Request, current: str) -> Response:
    """Return the page that says how the first snapshots come about."""
    today = dt.datetime.now(dt.UTC).date()
    return render(request, "empty.html", current=current, today=today, month_ago=today - _MONTH)


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


def points_of(span: Range, known: Bounds) -> int:
    """Return how many points the charts of a range have at most."""
    return charts.points(*span.held(*known), series.MOST_POINTS)


def gap(
    request: Request, caller: Principal, pool: Pool, span: Range, known: Bounds, *, empty: bool
) -> Gap | None:
    """Return the days of a range that a backfill would fill, for those who see the whole system."""
    if not caller.sees_all:
        return None
    found = gaps.gap(span, known, pool.settings.zone, empty=empty, may_start=False)
    return found and replace(found, may_start=may_backfill(request, caller))


def may_backfill(request: Request, caller: Principal) -> bool:
    """Return whether somebody may start a backfill here; it may have to ask Airflow."""
    return request.app.state.backfills is not None and caller.may_backfill()


def api_address(request: Request, path: str, parameters: Mapping[str, Parameter]) -> str:
    """Return an address of the API, relative to the page's own."""
    return address(f"{base(request)}api/v1/{path}", parameters)
