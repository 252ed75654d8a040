"""The page about freshness: are the figures as new as they should be, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import psycopg
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from consumer_analytics.calendar.schedule import Schedule
from consumer_analytics.etl import archived
from consumer_analytics.monitoring import health, incidents
from consumer_analytics.monitoring.observation import Observation
from consumer_analytics.reporting import freshness
from consumer_analytics.web import views
from consumer_analytics.web.api import Reading
from consumer_analytics.web.auth import Caller, require_all
from consumer_analytics.web.charts import Exports
from consumer_analytics.web.pages.page import Span, api_address, may_backfill, render
from consumer_analytics.web.rendering import Parameter

router = APIRouter()


_INCIDENTS = 20


@router.get("/freshness", dependencies=[Depends(require_all)])
def fresh(request: Request, pool: Reading, caller: Caller, span: Span) -> Response:
    """Show whether the figures are as new as they should be, and what went wrong."""
    with pool.read() as connection:
        seen = Observation.take(connection, pool.settings)
        judged = health.of(seen)
        found = freshness.read(connection, span, seen=seen)
        latest = incidents.latest(connection, _INCIDENTS)
        unread = None
        # A login that had its rights from an earlier version may not look.
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            unread = archived.lacks_address(connection, pool.settings)
    view = views.ranges.view("freshness", span, found.since, found.until, {}, pool.settings.zone)
    fixed = views.ranges.dates(found.since, found.until)
    limits = views.freshness.limits(judged, "dag_runtime")

    def exports_of(csv: str, json: str, asked: Mapping[str, Parameter]) -> Exports:
        return Exports(
            api_address(request, csv, asked), api_address(request, json, asked), view.pinned
        )

    runs = exports_of("freshness/runs.csv", "freshness", fixed)
    mark = exports_of("freshness/watermark.csv", "freshness", fixed)
    return render(
        request,
        "freshness.html",
        current="freshness",
        view=view,
        health=judged,
        unread=unread,
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
        failed_in_all=found.failed_in_all,
        incidents=[views.freshness.incident(one) for one in latest],
        backfills=[views.freshness.backfill(one) for one in found.backfills],
        may_start=may_backfill(request, caller),
        exports={
            "health": exports_of("freshness/measures.csv", "freshness/health", {}),
            "failed": exports_of("freshness/failed.csv", "freshness", fixed),
            "incidents": exports_of("freshness/incidents.csv", "freshness/incidents", {}),
            "backfills": exports_of("freshness/backfills.csv", "freshness", fixed),
        },
    )
