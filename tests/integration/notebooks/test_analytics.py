"""The product in a program: the same work as the commands', and the same figures."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import subprocess
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database
from tests.support import crashes, lanes
from tests.support.history import random_history

import consumer_analytics
from consumer_analytics import Analytics
from consumer_analytics.errors import (
    ConsumerAnalyticsError,
    MissingExtraError,
    SchemaError,
    SettingsError,
    StatementRefusedError,
    UsageError,
)

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
VIEWS = {
    "consumers": "consumer_analytics_flat",
    "latest": "consumer_analytics_flat_latest",
    "system": "consumer_analytics_flat_system",
    "events": "consumer_analytics_flat_events",
    "statuses": "consumer_analytics_flat_statuses",
    "revisions": "consumer_analytics_flat_revisions",
}


class NotATime(dt.datetime):
    """What `pandas.NaT` is to Python."""

    year = float("nan")  # type: ignore[assignment]


@pytest.fixture
def filled(database: Database) -> Database:
    """Return a database with a week of snapshots."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(5), BEGIN, BEGIN + dt.timedelta(days=8))
        analytics = Analytics(database.url)
        done = analytics.backfill("2025-03-01", dt.date(2025, 3, 8))
        assert (done.periods, done.interval) == (7, "daily")
        ran = analytics.run(BEGIN + dt.timedelta(days=7, hours=6))
        assert ran.snapshots_written > 1

    database.prepared("notebook", fill)
    return database


@pytest.mark.parametrize("of", lanes.first(2, VIEWS))
def test_snapshots_are_the_views_rows(filled: Database, of: str) -> None:
    with psycopg.connect(filled.url, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("set time zone 'UTC'")
        expected = connection.execute(
            f"select * from {VIEWS[of]} order by snapshot_timestamp, analytics_id"
        ).fetchall()
    found = [*Analytics(filled.url).snapshots(of).rows()]  # type: ignore[arg-type]

    def key(row: dict[str, object]) -> str:
        return repr(sorted(row.items()))

    assert sorted(map(key, found)) == sorted(map(key, expected))
    assert bool(found) == (of != "revisions")


def test_a_range_holds_both_of_its_ends_and_days_are_of_the_zone(filled: Database) -> None:
    analytics = Analytics(filled.url)
    day = dt.date(2025, 3, 3)
    found = [*analytics.snapshots("system", since=day, until="2025-03-05").rows()]
    assert [row["snapshot_timestamp"] for row in found] == [
        dt.datetime(2025, 3, number, tzinfo=dt.UTC) for number in (3, 4, 5)
    ]
    elsewhere = Analytics(filled.url, timezone="America/New_York")
    found = [*elsewhere.snapshots("system", since=day).rows()]
    first = dt.datetime(2025, 3, 3, tzinfo=ZoneInfo("America/New_York"))
    assert found[0]["snapshot_timestamp"] == dt.datetime(2025, 3, 4, tzinfo=dt.UTC) > first


def test_one_consumers_alone(filled: Database) -> None:
    ids = [row[0] for row in filled.rows("select consumer_id from consumers order by 1 limit 2")]
    table = Analytics(filled.url).snapshots(consumers=[ids[0], str(ids[1])])
    assert {row["consumer_id"] for row in table.rows()} == set(ids)
    # Read anew each time, and no further than asked for.
    assert len([*itertools.islice(table.rows(), 3)]) == 3
    assert all(isinstance(row["active_ratio"], Decimal) for row in table.rows())


def test_what_cannot_be_asked_is_said_in_a_line(filled: Database, empty_database: Database) -> None:
    analytics = Analytics(filled.url)
    with pytest.raises(UsageError, match="there are consumers, latest, system"):
        analytics.snapshots("everything")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="of no single consumer"):
        analytics.snapshots("system", consumers=[uuid.uuid4()])
    with pytest.raises(UsageError, match="is not a UUID"):
        analytics.snapshots(consumers=["me"])
    with pytest.raises(UsageError, match="is not a time"):
        analytics.snapshots(since="yesterday")
    with pytest.raises(UsageError, match="is unknown; it is daily"):
        analytics.backfill("2025-03-01", "2025-03-02", "yearly")
    with pytest.raises(SettingsError, match="Nowhere/Else"):
        Analytics(filled.url, timezone="Nowhere/Else")
    with pytest.raises(SettingsError, match="there is no setting 'time_zone'"):
        Analytics(filled.url, time_zone="Europe/Berlin")
    with pytest.raises(SchemaError, match="run `consumer-analytics migrate`"):
        [*Analytics(empty_database.url).snapshots().rows()]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"timezone": 3}, "TIMEZONE: a value of type int"),
        ({"database_url": 5}, "DATABASE_URL: a value of type int"),
        ({"holdback_wait": True}, "HOLDBACK_WAIT: a value of type bool"),
        ({"holdback_wait": "long"}, "HOLDBACK_WAIT: 'long' is not a number"),
        ({"heartbeat_url": b"hidden"}, "HEARTBEAT_URL: a value of type bytes"),
        ({"smtp_security": ["tls"]}, "SMTP_SECURITY: a value of type list"),
    ],
)
def test_a_setting_of_another_type_is_refused_in_a_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=f"CONSUMER_ANALYTICS_{said}") as refused:
        Analytics(**given)
    assert "hidden" not in str(refused.value)


def test_a_text_stands_for_a_setting_as_in_the_environment() -> None:
    analytics = Analytics(holdback_wait="2.5", home="/tmp/here", heartbeat_url="https://hidden")
    assert analytics.settings.holdback_wait == 2.5
    assert analytics.settings.home == Path("/tmp/here")
    assert "hidden" not in repr(analytics.settings)
    assert Analytics(holdback_wait=3).settings.holdback_wait == 3


def test_what_is_no_time_and_what_is_no_range_is_said_in_a_line(filled: Database) -> None:
    analytics = Analytics(filled.url)
    values: list[Any] = [5, 1.5, [], NotATime(2025, 3, 3)]
    for value in values:
        for ask in (analytics.run, lambda value: analytics.snapshots(since=value)):
            with pytest.raises(UsageError, match="is not a time; give a datetime"):
                ask(value)
    with pytest.raises(UsageError, match="lies after until"):
        analytics.snapshots("system", since="2025-03-05", until="2025-03-04")
    with pytest.raises(UsageError, match=r"snapshots of \['system'\] are unknown"):
        analytics.snapshots(["system"])  # type: ignore[arg-type]


def test_one_id_is_one_consumer_and_an_empty_list_does_not_mean_all(filled: Database) -> None:
    analytics = Analytics(filled.url)
    ((one,),) = filled.rows("select consumer_id from consumers order by 1 limit 1")
    expected = [*analytics.snapshots(consumers=[one]).rows()]
    assert len(expected) > 1
    for way in (one, str(one), {one}, (str(one),)):
        assert [*analytics.snapshots(consumers=way).rows()] == expected
        assert analytics.backfill("2025-03-01", "2025-03-03", consumers=way).snapshots_written == 0
    assert [*analytics.snapshots(consumers=[]).rows()] == []
    backfills = filled.rows("select count(*) from consumer_analytics_internal.backfills")
    with pytest.raises(UsageError, match="consumers is empty"):
        analytics.backfill("2025-03-01", "2025-03-03", consumers=[])
    nobody: Any = 5
    with pytest.raises(UsageError, match="neither ids nor one"):
        analytics.backfill("2025-03-01", "2025-03-03", consumers=nobody)
    with pytest.raises(UsageError, match="neither ids nor one"):
        analytics.snapshots(consumers=nobody)
    assert filled.rows("select count(*) from consumer_analytics_internal.backfills") == backfills


def test_an_instant_before_the_first_row_is_refused_as_on_the_command_line(
    filled: Database,
) -> None:
    with pytest.raises(UsageError, match="lies before the first row"):
        Analytics(filled.url).run("1960-01-01")
    assert (
        filled.rows("select from consumer_analytics where snapshot_timestamp < '1970-01-01'") == []
    )


def test_what_the_database_says_is_told_in_our_words(filled: Database) -> None:
    """A login of somebody who may connect, and a statement that somebody ended."""
    with filled.connect_admin() as admin:
        login = f"notebook_{uuid.uuid4().hex[:8]}"
        admin.execute(sql.SQL("create role {} login").format(sql.Identifier(login)))
        try:
            url = psycopg.conninfo.make_conninfo(filled.url, user=login, password="")
            as_nobody = Analytics(url)
            for ask in (
                lambda: [*as_nobody.snapshots().rows()],
                as_nobody.run,
                lambda: as_nobody.backfill("2025-03-01", "2025-03-02"),
            ):
                with pytest.raises(ConsumerAnalyticsError, match="this login may not"):
                    ask()
        finally:
            admin.execute(sql.SQL("drop role {}").format(sql.Identifier(login)))
    with (
        filled.connect("watcher", writes_sources=False) as watcher,
        crashes.locked(filled, "consumer_analytics", "access exclusive") as locker,
        ThreadPoolExecutor() as pool,
    ):
        asked = pool.submit(lambda: [*Analytics(filled.url).snapshots().rows()])
        watcher.execute("select pg_cancel_backend(%s)", [crashes.parked(locker, watcher)])
        with pytest.raises(StatementRefusedError, match="somebody ended the statement on the"):
            asked.result(timeout=30)


def test_what_needs_an_extra_says_which(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    table = Analytics(filled.url).snapshots()
    with pytest.raises(MissingExtraError, match="comes with the extra dataframes"):
        table.arrow()
    with pytest.raises(MissingExtraError, match="comes with the extra dataframes"):
        table.pandas()


def test_the_package_itself_loads_nothing_of_it() -> None:
    asked = "import sys, consumer_analytics; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    ours = [one for one in done.stdout.split() if one.startswith("consumer_analytics")]
    assert ours == ["consumer_analytics"]
    assert consumer_analytics.__all__ == ["Analytics"]
