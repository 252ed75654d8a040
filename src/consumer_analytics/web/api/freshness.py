"""The API of freshness: health, runs, incidents and backfills."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from consumer_analytics.monitoring import health, incidents
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents import Incident
from consumer_analytics.reporting import consumers, freshness
from consumer_analytics.reporting.freshness import Freshness
from consumer_analytics.web.api.common import (
    CSV,
    Latest,
    Points,
    Reading,
    Span,
    as_json,
    whole,
)
from consumer_analytics.web.csv_export import CsvResponse, flat


def _freshness(pool: Reading, span: Span) -> Freshness:
    with pool.read() as connection:
        return freshness.read(connection, span)


def _charted_freshness(pool: Reading, span: Span, points: Points = freshness.POINTS) -> Freshness:
    with pool.read() as connection:
        return freshness.read(connection, span, points)


def _health(pool: Reading) -> Health:
    with pool.read() as connection:
        return health.read(connection, pool.settings)


def _incidents(pool: Reading, limit: Latest = consumers.PAGE) -> list[Incident]:
    with pool.read() as connection:
        return incidents.latest(connection, limit)


Fresh = Annotated[Freshness, Depends(_freshness)]
ChartedFreshness = Annotated[Freshness, Depends(_charted_freshness)]
Judged = Annotated[Health, Depends(_health)]
LatestIncidents = Annotated[list[Incident], Depends(_incidents)]


@whole.get(
    "/freshness", summary="Lag, runs by task, failed runs, backfills", response_model=Freshness
)
async def fresh(found: ChartedFreshness) -> Response:
    """Return how fresh the figures are; the range ends now."""
    return as_json(found)


@whole.get(
    "/freshness/health",
    summary="The measures of health, judged, and the cause",
    response_model=Health,
)
async def judged(found: Judged) -> Response:
    """Return what `consumer-analytics health` tells."""
    return as_json(found)


@whole.get("/freshness/measures.csv", summary="The measures of health, as CSV", **CSV)
def measures_csv(found: Judged) -> CsvResponse:
    """Return a row for each measure, with its limits."""
    return CsvResponse(
        "measures",
        ["at", "name", "value", "unit", "state", "warning", "critical", "cause", "source"],
        (
            [
                found.at,
                one.name,
                one.value,
                one.unit,
                one.state,
                one.warning,
                one.critical,
                one.cause,
                one.source,
            ]
            for one in found.measures
        ),
    )


@whole.get("/freshness/incidents", summary="The latest incidents, open ones and closed ones")
def latest_incidents(found: LatestIncidents) -> list[Incident]:
    """Return the latest incidents, the newest first."""
    return found


@whole.get("/freshness/incidents.csv", summary="The latest incidents, as CSV", **CSV)
def incidents_csv(found: LatestIncidents) -> CsvResponse:
    """Return a row for each incident."""
    columns = [
        "incident_id",
        "subject",
        "state",
        "worst",
        "cause",
        "opened_at",
        "closed_at",
        "told_at",
    ]
    return CsvResponse("incidents", columns, [[getattr(one, c) for c in columns] for one in found])


@whole.get("/freshness/watermark.csv", summary="The watermark over time, whole, as CSV", **CSV)
def watermark_csv(pool: Reading, span: Span) -> CsvResponse:
    """Return where the watermark was after each run of the range."""
    with pool.read() as connection:
        marks = freshness.every_mark(connection, span)
        return CsvResponse(f"watermark-{span.name}", *flat(freshness.Reached, marks))


@whole.get("/freshness/runs.csv", summary="The latest runs by task, as CSV", **CSV)
def runs_csv(found: Fresh) -> CsvResponse:
    """Return a row for each task of the latest runs."""
    return CsvResponse(
        "runs",
        ["run", "began_at", "state", "seconds", "task", "task_state", "task_began", "task_seconds"],
        (
            [run.run, run.began_at, run.state, run.seconds, *task]
            for run in found.runs
            for task in (
                [[step.task, step.state, step.began, step.seconds] for step in run.steps]
                or [[None, None, None, None]]
            )
        ),
    )


@whole.get("/freshness/failed.csv", summary="The failed runs, as CSV", **CSV)
def failed_csv(pool: Reading, span: Span) -> CsvResponse:
    """Return all failed runs of the range, the newest first."""
    with pool.read() as connection:
        failures = freshness.every_failure(connection, span)
        return CsvResponse(f"failed-{span.name}", *flat(freshness.FailedRun, failures))


@whole.get("/freshness/backfills.csv", summary="The latest backfills, as CSV", **CSV)
def backfills_csv(found: Fresh) -> CsvResponse:
    """Return the latest backfills and how far they are."""
    return CsvResponse("backfills", *flat(freshness.BackfillProgress, found.backfills))
