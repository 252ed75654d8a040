"""The API of the whole system: where it stands, and its figures over time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.responses import Response

from consumer_analytics.reporting import series, standing
from consumer_analytics.reporting.series import Series
from consumer_analytics.reporting.standing import CurrentFigures
from consumer_analytics.web.api.common import (
    CSV,
    Points,
    Reading,
    Span,
    as_json,
    series_csv,
    whole,
)
from consumer_analytics.web.csv_export import CsvResponse


@whole.get(
    "/system",
    summary="Where the whole system stands, and the change",
    response_model=CurrentFigures,
)
def system(pool: Reading, span: Span) -> Response:
    """Return the latest snapshot's figures against those a range earlier."""
    with pool.read() as connection:
        return as_json(standing.system(connection, span))


def _system_series(pool: Reading, span: Span, points: Points = series.POINTS) -> Series:
    with pool.read() as connection:
        return series.system(connection, span, points)


SystemSeries = Annotated[Series, Depends(_system_series)]


@whole.get("/system/series", summary="The whole system over time", response_model=Series)
async def system_series(found: SystemSeries) -> Response:
    """Return the system's snapshots of a range, or as many of them as a chart shows."""
    return as_json(found)


@whole.get("/system/series.csv", summary="The whole system over time, whole, as CSV", **CSV)
def system_series_csv(pool: Reading, span: Span) -> CsvResponse:
    """Return all of the system's snapshots of a range, a row for each."""
    with pool.read() as connection:
        return series_csv("system", span, series.every(connection, None, span))
