"""What pages show: charts, rows and addresses, made of what the engine's dashboard answers.

One module for what each page shows, `runs` for the runs on the page about freshness, and `ranges`
for what all of them have.
"""

from __future__ import annotations

from consumer_analytics.web.views import (
    comparison,
    consumers,
    freshness,
    gaps,
    ranges,
    runs,
    snapshots,
)

__all__ = ["comparison", "consumers", "freshness", "gaps", "ranges", "runs", "snapshots"]
