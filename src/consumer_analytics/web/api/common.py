"""What routes have in common: who may use them, what they are asked, how they answer."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from consumer_analytics.reporting import consumers, ranges, series
from consumer_analytics.reporting.ranges import Range
from consumer_analytics.reporting.series import WholeSeries
from consumer_analytics.web.auth import Principal, require_all
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
CSV: dict[str, Any] = {
    "response_class": CsvResponse,
    "responses": {
        200: {
            "description": "A CSV file, UTF-8, with a header.",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    },
}

# What only looks at the request, or only writes JSON, is `async`: that saves handing it to
# another thread. What reads the database is not.


async def _pool(request: Request) -> Pool:
    pool: Pool = request.app.state.pool
    return pool


#: The database, in a route.
Reading = Annotated[Pool, Depends(_pool)]


def _no_number(text: object) -> object:
    """Refuse a bare number, which would be taken for seconds since 1970: 20260105 is no second."""
    try:
        float(str(text))
    except ValueError:
        return text
    raise PydanticCustomError("datetime_number", "must be a time")


_Instant = Annotated[dt.datetime, BeforeValidator(_no_number)]


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
        _Instant | None,
        Query(
            alias="from",
            description="Beginning of the range, inclusive; without a zone in the configured one.",
        ),
    ] = None,
    until: Annotated[
        _Instant | None,
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


@cache
def _writer(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def as_json(found: object) -> Response:
    """Return a dataclass as JSON, written at once: FastAPI would copy and check it first."""
    # A class, as a key: the type checker takes none for hashable.
    kind: Any = type(found)
    return Response(_writer(kind).dump_json(found), media_type="application/json")


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


def series_csv(name: str, span: Range, found: WholeSeries) -> CsvResponse:
    """Return the figures over a range as CSV, a row for each snapshot: none is left out."""
    columns, rows = flat(
        series.Point,
        found.points,
        {"customers_by_status": found.statuses, "events_by_type": found.event_types},
    )
    return CsvResponse(f"{name}-{span.name}", columns, rows)
