"""The HTTP API: every chart and table of the dashboard, as JSON and as CSV.

Everything is bounded: a page has 200 rows, a chart 400 points, a query its time
limit. A tenant's token sees its own consumers, and of the others not whether
they exist.

A module for what each page shows; they add their routes to the routers in `common`.
"""

from __future__ import annotations

from consumer_analytics.web.api import compare, consumers, freshness, now, system
from consumer_analytics.web.api.common import (
    PageNumber,
    Reading,
    Search,
    Size,
    only,
    router,
    single,
    unknown,
    visible,
    whole,
)

__all__ = [
    "PageNumber",
    "Reading",
    "Search",
    "Size",
    "compare",
    "consumers",
    "freshness",
    "now",
    "only",
    "router",
    "system",
    "unknown",
    "visible",
]

router.include_router(single)
router.include_router(whole)
