"""Faults of every kind beside a busy application: nothing is lost, doubled, or harmed."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from tests.conftest import Database
from tests.integration.etl.test_crashes import BEGIN, END, go, require_exact
from tests.support import faults, lanes
from tests.support.history import random_history

from consumer_analytics.etl import restate
from consumer_analytics.sql import query

LEFT = "select restate_after is not null from consumer_analytics_internal.state"


@pytest.mark.long
def test_a_short_while(database: Database) -> None:
    tally = faults.Tally()
    faults.Round(database, 5, tally, None).play(time.monotonic() + 6, writers=8)
    assert tally.is_clean, tally
    assert tally.faults.total() > 1
    assert tally.compared > 5


@pytest.mark.parametrize("seed", lanes.first(0, [1, 2], long=1))
def test_a_while_with_restarts(seed: int) -> None:
    tally = faults.Tally()
    with faults.private() as (server, embedded, home):
        faults.Round(faults.fresh(server, home), seed, tally, embedded).play(time.monotonic() + 50)
    assert tally.is_clean, tally
    assert tally.faults.total() > 10


def test_a_run_ends_where_each_recount_finds_more(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside an application that writes all the time; what is left is the next run's."""
    with database.connect() as connection:
        random_history(connection, random.Random(3), BEGIN, END, events=60)
    go(database, BEGIN)
    go(database, END)
    chunk, chunks = restate._restate_chunk, []

    def found_more(connection: Any, *arguments: Any, **options: Any) -> int:
        chunks.append(arguments)
        assert len(chunks) < 20, "it never ends"
        restated = chunk(connection, *arguments, **options)
        connection.execute(query("shared/state-restate-after"), {"after": BEGIN})
        return restated

    with monkeypatch.context() as patch:
        patch.setattr(restate, "_restate_chunk", found_more)
        with database.connect() as connection:
            connection.execute(query("shared/state-restate-after"), {"after": BEGIN})
        go(database, END)
    assert chunks
    assert database.rows(LEFT) == [(True,)]
    go(database, END)
    assert database.rows(LEFT) == [(False,)]
    require_exact(database)
