"""The HTTP API: every chart and table of the dashboard, as JSON and as CSV.

Everything is bounded: a page has 200 rows, a chart 400 points, a query its time
limit. A tenant's token sees its own consumers, and of the others not whether
they exist.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import Response

from consumer_analytics.monitoring import health, incidents
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.incidents import Incident
from consumer_analytics.reporting import comparison, consumers, freshness, ranges, series, standing
from consumer_analytics.reporting.comparison import Comparison
from consumer_analytics.reporting.consumers import Consumer, ConsumersPage
from consumer_analytics.reporting.freshness import Freshness
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import Series
from consumer_analytics.reporting.standing import CurrentFigures
from consumer_analytics.web.auth import Caller, Principal, require_all
from consumer_analytics.web.csv_export import CsvResponse, flat
from consumer_analytics.web.pool import Pool


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="One line that says what is wrong and what to do.")


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "No valid credentials."},
    422: {"model": Problem, "description": "A parameter cannot be used."},
    503: {"model": Problem, "description": "The database is not there, or took too long."},
}
_FORBIDDEN: dict[int | str, dict[str, Any]] = {
    403: {"model": Problem, "description": "The token sees its own consumers only."}
}
_UNKNOWN: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "No such consumer, or not the token's."}
}

router = APIRouter(prefix="/api/v1", responses=_PROBLEMS)
#: What concerns the whole system: not for tenants.
whole = APIRouter(dependencies=[Depends(require_all)], responses=_FORBIDDEN)
#: What names its consumers: for those who may see them.
single = APIRouter(responses=_UNKNOWN)

#: What a route that answers a CSV file says of itself.
_CSV: dict[str, Any] = {
    "response_class": CsvResponse,
    "responses": {
        200: {
            "description": "A CSV file, UTF-8, with a header.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    },
}


# -- parameters ----------------------------------------------------------------
#
# What only looks at the request, or only writes JSON, is `async`: that saves handing it to
# another thread. What reads the database is not.


async def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


#: The database, in a route.
Reading = Annotated[Pool, Depends(_pool)]


async def _span(
    pool: Reading,
    name: Annotated[
        str | None,
        Query(
            alias="range",
            description="How far back from the latest snapshot; 30d without range, from and to.",
            json_schema_extra={"enum": list(ranges.NAMED)},
        ),
    ] = None,
    since: Annotated[
        dt.datetime | None,
        Query(
            alias="from",
            description="Beginning of the range, inclusive; without a zone in the configured one.",
        ),
    ] = None,
    until: Annotated[
        dt.datetime | None,
        Query(alias="to", description="End of the range, inclusive."),
    ] = None,
) -> Range:
    return ranges.parse(name, since, until, pool.settings.zone)


#: The range asked for, in a route.
Span = Annotated[Range, Depends(_span)]
Points = Annotated[
    int,
    Query(ge=2, le=series.MOST_POINTS, description="Points of the chart, at most."),
]
Search = Annotated[
    str,
    Query(max_length=200, description="Text that the name or the id contains, letter case aside."),
]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000, description="Which page, from 1.")]
Size = Annotated[int, Query(ge=1, le=consumers.MOST_ROWS, description="Rows of a page.")]
Latest = Annotated[
    int, Query(ge=1, le=consumers.MOST_ROWS, description="How many, the latest first.")
]


@dataclass(frozen=True)
class TableQuery:
    """Which rows of the consumers' table are asked for, in which order."""

    search: str
    sort: consumers.Sort
    direction: consumers.Direction


async def _table_query(
    search: Search = "",
    sort: Annotated[consumers.Sort, Query(description="What the rows are ordered by.")] = (
        "customers"
    ),
    direction: Annotated[consumers.Direction, Query(description="And how.")] = "desc",
) -> TableQuery:
    return TableQuery(search, sort, direction)


#: The table asked for, in a route.
Asked = Annotated[TableQuery, Depends(_table_query)]

_WRITERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind)
    for kind in (CurrentFigures, Series, ConsumersPage, Comparison, Freshness, Health)
}


def _json(found: Any) -> Response:
    """Return a dataclass as JSON, written at once: FastAPI would copy and check it first."""
    return Response(_WRITERS[type(found)].dump_json(found), media_type="application/json")


def visible(caller: Principal, consumer_id: uuid.UUID) -> None:
    """Refuse a consumer that is not the caller's, as one that does not exist.

    Raises:
        HTTPException: 404.
    """
    if not caller.may_see(consumer_id):
        raise HTTPException(404, unknown(consumer_id))


def unknown(consumer_id: uuid.UUID) -> str:
    """Say that there is no such consumer."""
    return f"there is no consumer {consumer_id}"


def only(caller: Principal) -> list[uuid.UUID] | None:
    """Return the consumers that a table is limited to; None for all."""
    return None if caller.consumers is None else sorted(caller.consumers)


# -- system --------------------------------------------------------------------


@whole.get(
    "/system",
    summary="Where the whole system stands, and the change",
    response_model=CurrentFigures,
)
def system(pool: Reading, span: Span) -> Response:
    """Return the latest snapshot's figures against those a range earlier."""
    with pool.read() as connection:
        return _json(standing.system(connection, span))


def _system_series(pool: Reading, span: Span, points: Points = series.POINTS) -> Series:
    with pool.read() as connection:
        return series.system(connection, span, points)


SystemSeries = Annotated[Series, Depends(_system_series)]


@whole.get("/system/series", summary="The whole system over time", response_model=Series)
async def system_series(found: SystemSeries) -> Response:
    """Return the system's snapshots of a range, or as many of them as a chart shows."""
    return _json(found)


@whole.get("/system/series.csv", summary="The whole system over time, as CSV", **_CSV)
def system_series_csv(found: SystemSeries) -> CsvResponse:
    """Return the same, a row for each snapshot."""
    return _series_csv("system", found)


def _series_csv(name: str, found: Series) -> CsvResponse:
    columns, rows = flat(
        series.Point,
        found.points,
        {"customers_by_status": found.statuses, "events_by_type": found.event_types},
    )
    return CsvResponse(f"{name}-{found.range}", columns, rows)


# -- consumers -----------------------------------------------------------------


@dataclass(frozen=True)
class ConsumerStanding:
    """Who a consumer is and where it stands."""

    consumer: Consumer
    standing: CurrentFigures


@router.get(
    "/consumers", summary="The consumers: a page of the table", response_model=ConsumersPage
)
def consumers_page(
    pool: Reading,
    caller: Caller,
    span: Span,
    asked: Asked,
    page: PageNumber = 1,
    size: Size = consumers.PAGE,
) -> Response:
    """Return a page of the consumers at the latest snapshot, searched and sorted."""
    with pool.read() as connection:
        found = consumers.page(
            connection,
            pool.settings.source_schema,
            span,
            search=asked.search,
            sort=asked.sort,
            direction=asked.direction,
            number=page,
            size=size,
            only=only(caller),
        )
    return _json(found)


@router.get("/consumers.csv", summary="The consumers, all that match, as CSV", **_CSV)
def consumers_csv(pool: Reading, caller: Caller, span: Span, asked: Asked) -> CsvResponse:
    """Return all rows of the table, without sparklines."""
    with pool.read() as connection:
        rows = consumers.every(
            connection,
            pool.settings.source_schema,
            span,
            search=asked.search,
            sort=asked.sort,
            direction=asked.direction,
            only=only(caller),
        )
        return CsvResponse(
            f"consumers-{span.name}",
            [
                "consumer_id",
                "name",
                "customers",
                "customers_before",
                "change",
                "change_percent",
                "active",
                "inactive",
                "active_ratio",
                "total_events",
                "new_events",
            ],
            (
                [
                    row.consumer_id,
                    row.name,
                    row.customers.value,
                    row.customers.before,
                    row.customers.change,
                    row.customers.change_percent,
                    row.active,
                    row.inactive,
                    row.active_ratio,
                    row.total_events,
                    row.new_events,
                ]
                for row in rows
            ),
        )


@single.get("/consumers/{consumer_id}", summary="A consumer, and the change")
def consumer(pool: Reading, caller: Caller, span: Span, consumer_id: uuid.UUID) -> ConsumerStanding:
    """Return who a consumer is, and its latest figures against those a range earlier."""
    visible(caller, consumer_id)
    with pool.read() as connection:
        found = consumers.find(connection, pool.settings.source_schema, consumer_id)
        if found is None:
            raise HTTPException(404, unknown(consumer_id))
        return ConsumerStanding(found, standing.consumer(connection, consumer_id, span))


def _consumer_series(
    pool: Reading,
    caller: Caller,
    span: Span,
    consumer_id: uuid.UUID,
    points: Points = series.POINTS,
) -> Series:
    visible(caller, consumer_id)
    with pool.read() as connection:
        found = series.consumer(connection, consumer_id, span, points)
        if not found.points and not consumers.find(
            connection, pool.settings.source_schema, consumer_id
        ):
            raise HTTPException(404, unknown(consumer_id))
        return found


ConsumerSeries = Annotated[Series, Depends(_consumer_series)]


@single.get(
    "/consumers/{consumer_id}/series",  # noqa: FAST003  # what it depends on takes it
    summary="A consumer over time",
    response_model=Series,
)
async def consumer_series(found: ConsumerSeries) -> Response:
    """Return a consumer's snapshots of a range, or as many of them as a chart shows."""
    return _json(found)


@single.get("/consumers/{consumer_id}/series.csv", summary="A consumer over time, as CSV", **_CSV)
def consumer_series_csv(consumer_id: uuid.UUID, found: ConsumerSeries) -> CsvResponse:
    """Return the same, a row for each snapshot."""
    return _series_csv(f"consumer-{consumer_id}", found)


def _compare(
    pool: Reading,
    caller: Caller,
    span: Span,
    consumer_ids: Annotated[
        list[uuid.UUID],
        Query(
            alias="consumer",
            min_length=1,
            max_length=comparison.MOST_COMPARED,
            description="Who is compared; once for each.",
        ),
    ],
    points: Points = series.POINTS,
) -> Comparison:
    for consumer_id in consumer_ids:
        visible(caller, consumer_id)
    with pool.read() as connection:
        return comparison.compare(
            connection, pool.settings.source_schema, consumer_ids, span, points
        )


Compared = Annotated[Comparison, Depends(_compare)]


@single.get("/compare", summary="Several consumers at the same instants", response_model=Comparison)
async def compare(found: Compared) -> Response:
    """Return the customers and events of several consumers, side by side."""
    return _json(found)


@single.get("/compare.csv", summary="Several consumers at the same instants, as CSV", **_CSV)
def compare_csv(found: Compared) -> CsvResponse:
    """Return the same, a row for each consumer and instant."""
    return CsvResponse(
        f"compare-{found.range}",
        [
            "consumer_id",
            "name",
            "at",
            "customers",
            "active",
            "active_ratio",
            "total_events",
            "events",
        ],
        (
            [one.consumer_id, one.name, *figures]
            for one in found.consumers
            for figures in zip(
                found.at,
                one.customers,
                one.active,
                one.active_ratio,
                one.total_events,
                one.events,
                strict=True,
            )
        ),
    )


# -- freshness -----------------------------------------------------------------


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
    return _json(found)


@whole.get(
    "/freshness/health",
    summary="The measures of health, judged, and the cause",
    response_model=Health,
)
async def judged(found: Judged) -> Response:
    """Return what `consumer-analytics health` tells."""
    return _json(found)


@whole.get("/freshness/measures.csv", summary="The measures of health, as CSV", **_CSV)
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


@whole.get("/freshness/incidents.csv", summary="The latest incidents, as CSV", **_CSV)
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


@whole.get("/freshness/watermark.csv", summary="The watermark over time, as CSV", **_CSV)
def watermark_csv(found: ChartedFreshness) -> CsvResponse:
    """Return where the watermark was after each run shown."""
    return CsvResponse(f"watermark-{found.range}", *flat(freshness.Reached, found.reached))


@whole.get("/freshness/runs.csv", summary="The latest runs by task, as CSV", **_CSV)
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


@whole.get("/freshness/failed.csv", summary="The failed runs, as CSV", **_CSV)
def failed_csv(found: Fresh) -> CsvResponse:
    """Return the failed runs of the range."""
    return CsvResponse(f"failed-{found.range}", *flat(freshness.FailedRun, found.failed))


@whole.get("/freshness/backfills.csv", summary="The latest backfills, as CSV", **_CSV)
def backfills_csv(found: Fresh) -> CsvResponse:
    """Return the latest backfills and how far they are."""
    return CsvResponse("backfills", *flat(freshness.BackfillProgress, found.backfills))


router.include_router(single)
router.include_router(whole)
