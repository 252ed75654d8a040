"""Told to be polite, sessions of ours take less of the server, and say the same."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random
import time
from typing import Any

import pytest
from tests.support.checks import wrong_snapshots
from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.db import connection as connections
from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run
from consumer_analytics.reconcile import sweep

DAY = dt.timedelta(days=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = BEGIN + 6 * DAY
SLEEP = "consumer_analytics.db.connection.time.sleep"
WORKERS = "select current_setting('max_parallel_workers_per_gather')::int"


def test_runs_pause_after_each_statement_and_say_the_same(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(3), BEGIN, END)
    pauses: list[float] = []
    monkeypatch.setattr(SLEEP, pauses.append)
    polite = dataclasses.replace(database.settings, workers=0, pause=0.5)
    with connected(polite, "run", works_long=True) as connection:
        assert connection.execute(WORKERS).fetchone() == (0,)
        began = time.monotonic()
        run.run(connection, polite, at=BEGIN + 3 * DAY)
        took = time.monotonic() - began
        assert len(pauses) > 20
        # As a share of the time that statements took.
        assert 0 < sum(pauses) <= 0.5 * took
        sweep.sweep(connection, polite)
        request = backfill.request_of(BEGIN.date(), END.date(), "daily")
        backfill.backfill(connection, polite, request)
        assert wrong_snapshots(connection) == []


def test_waiting_is_no_work_to_pause_after(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(SLEEP, pauses.append)
    polite = dataclasses.replace(database.settings, pause=20)
    with connected(polite, "run", works_long=True) as connection:
        connection.execute("select pg_sleep(0.1)")
        assert 2.0 <= pauses[-1] < connections._LONGEST_PAUSE
        connection.cursor().execute("select pg_sleep(0.1)")
    # Others are as they were.
    with connected(polite, "status") as connection:
        before = len(pauses)
        connection.execute("select pg_sleep(0.1)")
        assert len(pauses) == before
