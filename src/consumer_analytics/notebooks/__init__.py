"""The product in a program or a notebook: runs, backfills, and snapshots as tables.

`from consumer_analytics import Analytics` is what it is for; it loads nothing of this until then.
"""

from __future__ import annotations

from consumer_analytics.notebooks.analytics import Analytics
from consumer_analytics.notebooks.tables import Table

__all__ = ["Analytics", "Table"]
