"""The API of several consumers side by side."""

from __future__ import annotations

import uuid
from typing import Annotated

from fastapi import Depends, Query
from starlette.responses import Response

from consumer_analytics.reporting import comparison, series
from consumer_analytics.reporting.comparison import ComparedPoint, Comparison
from consumer_analytics.web.api.common import (
    CSV,
    Points,
    Reading,
    Span,
    as_json,
    single,
    visible,
)
from consumer_analytics.web.auth import Caller
from consumer_analytics.web.csv_export import CsvResponse


def _chosen(
    caller: Caller,
    consumer_ids: Annotated[
        list[uuid.UUID],
        Query(
            alias="consumer",
            min_length=1,
            max_length=comparison.MOST_COMPARED,
            description="Who is compared; once for each.",
        ),
    ],
) -> list[uuid.UUID]:
    for consumer_id in consumer_ids:
        visible(caller, consumer_id)
    return consumer_ids


#: Who is compared, in a route.
Chosen = Annotated[list[uuid.UUID], Depends(_chosen)]


def _compare(
    pool: Reading, span: Span, chosen: Chosen, points: Points = series.POINTS
) -> Comparison:
    with pool.read() as connection:
        return comparison.compare(connection, pool.settings.sources, chosen, span, points)


Compared = Annotated[Comparison, Depends(_compare)]


@single.get("/compare", summary="Several consumers at the same instants", response_model=Comparison)
async def compare(found: Compared) -> Response:
    """Return the customers and events of several consumers, side by side."""
    return as_json(found)


@single.get("/compare.csv", summary="Several consumers at the same instants, whole, as CSV", **CSV)
def compare_csv(pool: Reading, span: Span, chosen: Chosen) -> CsvResponse:
    """Return the same, a row for each consumer and for each snapshot of the range."""
    with pool.read() as connection:
        names, points = comparison.every(connection, pool.settings.sources, chosen, span)
        columns = ComparedPoint._fields
        return CsvResponse(
            f"compare-{span.name}",
            [columns[0], "name", *columns[1:]],
            ([whom, names.get(whom), *figures] for whom, *figures in points),
        )
