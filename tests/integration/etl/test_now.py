"""The figures of this moment: those of the snapshot that a run would write, for whoever may see them."""

from __future__ import annotations

import datetime as dt
import random
from typing import Any

from tests.support import oracle
from tests.support.history import random_history
from tests.support.runs import in_one_go

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
AT = "select * from consumer_analytics_internal.figures_at(%s, null)"


def as_of(connection: Any, at: dt.datetime) -> dict[str | None, dict[str, Any]]:
    """Return the figures as of an instant, in the oracle's shape."""
    return {
        None if consumer is None else str(consumer): oracle.reading.shaped(metrics)
        for consumer, _, metrics in connection.execute(AT, [at])
    }


def test_any_history_equals_the_recount(database: Any) -> None:
    with database.connect() as connection, database.connect("run", writes_sources=False) as ours:
        random_history(connection, random.Random(5), BEGIN, BEGIN + 6 * DAY)
        sources = oracle.Sources(connection)
        for processed in (None, BEGIN + 2 * DAY, BEGIN + 4 * DAY):
            if processed:
                in_one_go(ours, database.settings, processed)
            start = processed or dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
            for hours in (0, 1, 37, 60, 24 * 7):
                at = (processed or BEGIN) + dt.timedelta(hours=hours)
                told = as_of(connection, at)
                assert told == oracle.snapshot(sources, at, start), at
