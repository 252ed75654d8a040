"""The page about backfills: what was backfilled, how far it is, and a form for those who may."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from consumer_analytics.calendar import intervals
from consumer_analytics.reporting import freshness
from consumer_analytics.reporting.freshness import BackfillProgress
from consumer_analytics.web import views
from consumer_analytics.web.api import Reading
from consumer_analytics.web.auth import Caller, require_all
from consumer_analytics.web.backfills import LONGEST_RUN, Backfills
from consumer_analytics.web.pages.page import may_backfill, render

router = APIRouter(dependencies=[Depends(require_all)])


@router.get("/backfills")
async def backfills(
    request: Request,
    pool: Reading,
    caller: Caller,
    run: Annotated[str | None, Query(max_length=LONGEST_RUN)] = None,
    start_date: Annotated[str, Query(max_length=10)] = "",
    end_date: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """Show what was backfilled, and the run that was asked for."""
    starting: Backfills | None = request.app.state.backfills

    def read() -> tuple[list[BackfillProgress], bool]:
        with pool.read() as connection:
            found = freshness.backfills(connection)
        return found, may_backfill(request, caller)

    latest, may_start = await run_in_threadpool(read)
    asked = await starting.find(request, run) if starting is not None and run else None
    return await run_in_threadpool(
        lambda: render(
            request,
            "backfills.html",
            current="freshness",
            backfills=[views.freshness.backfill(one) for one in latest],
            run=asked,
            goes_on=(asked is not None and asked.goes_on)
            or any(one.state == "running" for one in latest),
            can_start=starting is not None,
            may_start=may_start,
            start_date=start_date,
            end_date=end_date,
            intervals=list(intervals.INTERVALS),
            zone=pool.settings.timezone,
        )
    )
