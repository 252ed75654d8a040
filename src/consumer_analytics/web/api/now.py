"""The API of the figures of this moment."""

from __future__ import annotations

from starlette.responses import Response

from consumer_analytics.reporting import moment
from consumer_analytics.reporting.moment import Moment
from consumer_analytics.web.api.common import Reading, as_json, only, router
from consumer_analytics.web.auth import Caller


@router.get("/now", summary="The figures of this moment", response_model=Moment)
def now(pool: Reading, caller: Caller) -> Response:
    """Return what a snapshot would say if it were written now; to a tenant its own consumers."""
    with pool.read() as connection:
        return as_json(moment.read(connection, only(caller)))
