"""The storage forecast: what it says of tomorrow is what tomorrow's tables take."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.integration.operations.test_retention import (
    DAILY,
    EVERY,
    TODAY,
    filled,
    instants,
    kept_of,
    long,
    midnight,
    settings,
    thinned,
)

from consumer_analytics.cli.output import parse_size
from consumer_analytics.errors import UsageError
from consumer_analytics.formatting import size
from consumer_analytics.ingest import simulate
from consumer_analytics.operations import storage
from consumer_analytics.operations.thinning import SnapshotInstant

__all__ = ["long"]
DAY = dt.timedelta(days=1)


def measured(database: Any, **changes: Any) -> storage.Storage:
    with database.connect("status", writes_sources=False) as connection:
        return storage.measure(connection, settings(database, **changes))


def test_a_forecast_comes_true(database: Any) -> None:
    """Measured after 60 days of a history, it tells what 120 days of it take."""
    with database.connect() as connection:
        simulate.simulate(
            connection,
            database.settings,
            simulate.SimulationPlan(
                midnight(TODAY), consumers=60, customers=500, events=20_000, days=200
            ),
        )
    filled(database, TODAY - 120 * DAY, TODAY - 60 * DAY)
    database.execute("vacuum analyze")
    before = measured(database)
    assert before.snapshots_a_day == 1
    # Consumers join over time, which no forecast knows.
    assert before.rows_of_a_snapshot > 40
    told = before.growth_by_kind["snapshots"] * 60
    filled(database, TODAY - 60 * DAY, TODAY)
    grown = measured(database).bytes_by_kind["snapshots"] - before.bytes_by_kind["snapshots"]
    assert told == pytest.approx(grown, rel=0.25)


@pytest.mark.parametrize(
    ("schedule", "rate"),
    [("@daily", 1), ("@hourly", 24), ("0 6 * * 1", 1 / 7), ("*/15 * * * *", 96), ("@once", 0)],
)
def test_the_schedule_says_how_many_snapshots_a_day(
    database: Any, schedule: str, rate: float
) -> None:
    assert measured(database, schedule=schedule).snapshots_a_day == pytest.approx(rate, rel=0.01)


def test_thinning_is_taken_into_account(long: Any) -> None:
    now = measured(long)
    assert now.ours_in(365) == now.ours_in(365, thinning=False)
    policy = {
        "timezone": "Europe/Berlin",
        "keep_snapshots_days": EVERY,
        "keep_daily_snapshots_days": DAILY,
    }
    then = measured(long, **policy)
    assert then.ours_in(365) < then.ours_in(365, thinning=False)
    kept = [one.at for one in then.policy.kept(map(SnapshotInstant, then.instants), then.at)]
    assert kept == kept_of(instants(long), EVERY, DAILY)
    thinned(long)
    assert instants(long) == kept
    # A year on: 20 days of every one, 40 of one a day, the rest one a week.
    assert then.policy.kept_of_new(then.snapshots_a_day, 365) == pytest.approx(20 + 40 + 305 / 7)


def test_when_a_disk_is_full(long: Any) -> None:
    now = measured(long)
    a_day = now.database_in(1) - now.database_bytes
    assert a_day > 0
    assert now.days_until_grown_by(a_day * 100) == pytest.approx(100, abs=1)
    assert now.days_until_grown_by(a_day * 100_000) is None
    assert now.days_until_grown_by(0) == 0


def test_the_command(long: Any, cli: Any) -> None:
    assert long
    told = cli("status", "--disk-free", "1MiB")
    assert told.exit_code == 0, told.stderr
    assert "storage    " in told.stdout
    assert "1.0 MiB free last for" in told.stdout
    answer = cli("status", "--disk-free", "1MiB", "--json").json["storage"]
    assert set(answer["bytes_by_kind"]) == {"snapshots", "revisions", "counts", "state", "sources"}
    assert [one["days"] for one in answer["forecast"]] == [30, 90, 365]
    assert answer["disk_free_bytes"] == 1 << 20
    assert answer["disk_full_in_days"] > 0
    wrong = cli("status", "--disk-free", "much")
    assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (2, 1)


def test_nothing_there_yet(database: Any, cli: Any) -> None:
    assert measured(database).ours_in(365) >= 0
    assert "storage" in cli("status").stdout


@pytest.mark.parametrize(
    ("text", "n"),
    [("0", 0), ("1024", 1024), ("1KiB", 1024), ("2 GB", 2_000_000_000), ("1.5Ti", 3 << 39)],
)
def test_sizes_are_read(text: str, n: int) -> None:
    assert parse_size(text) == n


def test_sizes_are_written() -> None:
    assert [size(n) for n in (0, 1023, 1536, 5 << 40)] == ["0 B", "1023 B", "1.5 KiB", "5.0 TiB"]
    with pytest.raises(UsageError):
        parse_size("-1")
