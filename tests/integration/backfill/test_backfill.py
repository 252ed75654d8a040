"""A backfilled snapshot equals the live one, and a second backfill touches nothing."""

from __future__ import annotations

import datetime as dt
import random
import signal
import subprocess
import threading
import time
import uuid
from dataclasses import replace
from itertools import pairwise, product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.types.json import Jsonb
from tests.conftest import COMMAND, Cli, Database, command_environment
from tests.support import crashes, lanes, oracle
from tests.support.checks import wrong_snapshots
from tests.support.history import random_history
from tests.support.small_backfill import (
    ONE_SESSION,
    TWO_SESSIONS,
    await_parked,
    await_periods,
    started,
)

from consumer_analytics import backfill as engine
from consumer_analytics.backfill import columns, sessions, writing
from consumer_analytics.calendar import intervals, periods
from consumer_analytics.calendar.intervals import INTERVALS, Interval
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import HeldBackError, UsageError
from consumer_analytics.etl import holdback, run
from consumer_analytics.reconcile import audit as auditing
from consumer_analytics.reconcile import sweep

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ROWS = (
    "select consumer_id, snapshot_timestamp, "
    "metrics_json - '{incremental_stats,snapshot_source,etl_job}'::text[] "
    "from consumer_analytics order by 2, 1"
)
VERSIONS = "select analytics_id, ctid, xmin, metrics_json::text from consumer_analytics order by 1"


def fill(
    database: Database, start: str, end: str, interval: str = "daily", **options: Any
) -> engine.BackfillResult:
    """Backfill as the command does."""
    request = engine.request_of(start, end, interval, **options)
    with connected(database.settings, "backfill") as connection:
        return engine.backfill(connection, database.settings, request)


def live(database: Database, at: dt.datetime | None) -> dict[str, Any]:
    """Run the ETL as of an instant."""
    with connected(database.settings, "run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def state(database: Database) -> Any:
    """Return what no backfill may change."""
    return database.rows(
        "select last_processed_timestamp, last_run_status, metadata_json::text, "
        "processed_through, version from etl_job_watermarks "
        "join consumer_analytics_internal.state using (job_name)"
    )


def check(database: Database, instants: list[dt.datetime]) -> None:
    """Hold all snapshots, windows included, to a recount."""
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        for at in instants:
            (start,) = connection.execute(
                "select (metrics_json #>> '{incremental_stats,window_start}')::timestamptz "
                "from consumer_analytics where consumer_id is null and snapshot_timestamp = %s",
                [at],
            ).fetchone() or (None,)
            assert oracle.stored(connection, at) == oracle.snapshot(sources, at, start), at


# -- periods -------------------------------------------------------------------


def test_the_guides_examples() -> None:
    utc = ZoneInfo("UTC")
    october = periods.bounds(dt.date(2025, 10, 1), dt.date(2025, 11, 1), "daily", utc)[1:]
    assert len(october) == 31
    assert (october[0], october[-1]) == (
        dt.datetime(2025, 10, 2, tzinfo=dt.UTC),
        dt.datetime(2025, 11, 1, tzinfo=dt.UTC),
    )
    quarter = periods.bounds(dt.date(2025, 1, 1), dt.date(2025, 4, 1), "weekly", utc)[1:]
    assert len(quarter) == 13
    assert quarter[-1] - quarter[-2] == 6 * DAY
    assert quarter[-1] == dt.datetime(2025, 4, 1, tzinfo=dt.UTC)


def hours(zone: str, start: str, end: str) -> list[float]:
    found = periods.bounds(
        dt.date.fromisoformat(start), dt.date.fromisoformat(end), "daily", ZoneInfo(zone)
    )
    return [(b - a) / dt.timedelta(hours=1) for a, b in pairwise(found)]


def test_days_of_23_24_and_25_hours() -> None:
    assert hours("Europe/Berlin", "2025-03-29", "2025-04-01") == [24, 23, 24]
    assert hours("Europe/Berlin", "2025-10-25", "2025-10-28") == [24, 25, 24]
    # Clocks that jump at midnight itself, and a zone that left out a whole day.
    assert hours("America/Sao_Paulo", "2018-11-03", "2018-11-06") == [24, 23, 24]
    assert hours("Pacific/Apia", "2011-12-28", "2012-01-02") == [24, 24, 24, 24]


def test_kathmandus_days_begin_at_a_quarter_past() -> None:
    found = periods.bounds(
        dt.date(2025, 3, 1), dt.date(2025, 3, 2), "daily", ZoneInfo("Asia/Kathmandu")
    )
    assert [at.isoformat() for at in found] == [
        "2025-02-28T18:15:00+00:00",
        "2025-03-01T18:15:00+00:00",
    ]


# -- equality ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("most_columns", "seed"),
    lanes.first(2, [(40, 0), (1, 1), (1, 0), (40, 1), *product([40, 1], range(2, 6))]),
)
def test_any_range_at_any_standing_equals_a_recount(
    new_database: Any, monkeypatch: pytest.MonkeyPatch, seed: int, most_columns: int
) -> None:
    monkeypatch.setattr("consumer_analytics.etl.shape.MOST_COLUMNS", most_columns)
    # Several chunks, so that what one ends with starts the next.
    monkeypatch.setattr(writing, "_ROWS_AT_ONCE", 12)
    monkeypatch.setattr(sessions, "_ROWS_FOR_TWO", TWO_SESSIONS if seed % 2 else ONE_SESSION)
    rng = random.Random(seed)
    zone = rng.choice(["UTC", "UTC", "Europe/Berlin", "Asia/Kathmandu", "America/New_York"])
    database = new_database(timezone=zone)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END)
    for _ in range(rng.choice([0, 1, 2])):
        live(database, BEGIN + dt.timedelta(minutes=37) * rng.randrange(250))
    before = state(database)
    first = rng.randrange(0, 6)
    start = dt.date(2025, 2, 27) + first * DAY
    end = start + rng.randrange(2, 9) * DAY
    interval = rng.choice(["daily", "daily", "weekly"])
    fill(database, str(start), str(end), interval)
    assert state(database) == before
    found = periods.bounds(start, end, interval, ZoneInfo(zone))
    check(database, list(found[1:]))
    # A run that passes what was backfilled leaves it as it is.
    rows = {row[:2]: row[2] for row in database.rows(ROWS)}
    live(database, END + DAY)
    assert all(row[2] == rows.get(row[:2], row[2]) for row in database.rows(ROWS))
    check(database, list(found[1:]))


@pytest.mark.parametrize("processed", lanes.first(1, [True, False]))
def test_more_statuses_than_columns_beside_few_types(database: Database, processed: bool) -> None:
    """Each consumer's events have one row for each period, and the statuses have more."""
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "select gen_random_uuid(), %(one)s, 'status ' || n, %(at)s from generate_series(1, 60) n",
        {"one": uuid.UUID(int=1), "at": BEGIN},
    )
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [uuid.UUID(int=1), BEGIN],
    )
    if processed:
        live(database, END)
    fill(database, "2025-03-02", "2025-03-05")
    check(database, [BEGIN + days * DAY for days in (2, 3, 4)])


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [TWO_SESSIONS, ONE_SESSION]), ids=["two", "one"]
)
def test_types_that_the_sample_missed_are_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch, rows_for_two: int
) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(23), BEGIN, END)
    known = columns.types
    monkeypatch.setattr(columns, "types", lambda *asked: known(*asked)[::2])
    monkeypatch.setattr(sessions, "_ROWS_FOR_TWO", rows_for_two)
    fill(database, "2025-03-01", "2025-03-09")
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [ONE_SESSION, TWO_SESSIONS]), ids=["one", "two"]
)
def test_statuses_that_the_sample_missed_are_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch, rows_for_two: int
) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(24), BEGIN, END)
    known = columns.statuses
    monkeypatch.setattr(columns, "statuses", lambda *asked: sorted(known(*asked))[:1])
    monkeypatch.setattr(sessions, "_ROWS_FOR_TWO", rows_for_two)
    fill(database, "2025-03-01", "2025-03-09")
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


def test_equals_live_runs_after_a_sweep(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(21), BEGIN, END)
        live(database, END)
        fill(database, "2025-03-01", "2025-03-09")
        # A row that its application stamped late.
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-05 12:00' from consumers"
        )
        with connected(database.settings, "sweep") as session:
            sweep.sweep(session, database.settings, days=30)
    check(database, [BEGIN + n * DAY for n in range(1, 9)])
    before = database.rows(VERSIONS)
    done = fill(database, "2025-03-01", "2025-03-09")
    assert done.snapshots_written == done.snapshots_restated == 0
    assert database.rows(VERSIONS) == before
    assert database.rows("select count(*) > 0 from consumer_analytics_revisions") == [(True,)]


def test_late_rows_from_beyond_the_last_run_are_made_good_by_the_next(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(22), BEGIN, END)
        fill(database, "2025-03-01", "2025-03-09")
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-05 12:00' from consumers"
        )
    live(database, END + DAY)
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


@pytest.mark.long
def test_counts_that_change_between_reading_and_writing_are_written_as_they_became(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(23), BEGIN, END)
    live(database, END)

    def late(connection: Any, *rest: Any) -> None:
        """Let a late row come, and a sweep find it, when the counts have been read."""
        monkeypatch.undo()
        database.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-03 12:00' from consumers"
        )
        with connected(database.settings, "sweep") as other:
            assert sweep.sweep(other, database.settings, days=30).events_found > 0
        writing.write(connection, *rest)

    monkeypatch.setattr(sessions, "write", late)
    assert fill(database, "2025-03-01", "2025-03-09").snapshots_restated > 0
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


# -- idempotence ---------------------------------------------------------------


def test_a_second_or_overlapping_backfill_touches_no_row(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(31), BEGIN, END)
    first = fill(database, "2025-03-01", "2025-03-06")
    before = database.rows(VERSIONS)
    again = fill(database, "2025-03-01", "2025-03-06")
    assert database.rows(VERSIONS) == before
    assert again.snapshots_untouched == first.snapshots_written == len(before)
    fill(database, "2025-03-04", "2025-03-09")
    assert database.rows(VERSIONS)[: len(before)] == before
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


def test_what_live_runs_wrote_stays_theirs(database: Database) -> None:
    """Midnights that runs have written, among others that they have not, and one restated."""
    with database.connect() as connection:
        random_history(connection, random.Random(34), BEGIN, END)
    for day in (2, 3, 6):
        live(database, BEGIN + day * DAY)
    theirs = database.rows(VERSIONS)
    done = fill(database, "2025-03-01", "2025-03-09")
    assert done.snapshots_untouched == len(theirs)
    assert database.rows(VERSIONS)[: len(theirs)] == theirs
    by_day = (
        "select extract(day from snapshot_timestamp)::int, "
        "array_agg(distinct metrics_json ->> 'snapshot_source') "
        "from consumer_analytics group by 1 order by 1"
    )
    sources = [(day, ["cli_etl" if day in {3, 4, 7} else "cli_backfill"]) for day in range(2, 10)]
    assert database.rows(by_day) == sources
    # What is restated keeps its provenance as well.
    with database.connect() as connection:
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-02 12:00' from consumers"
        )
        with connected(database.settings, "sweep") as session:
            sweep.sweep(session, database.settings, days=30)
    fill(database, "2025-03-01", "2025-03-09")
    assert database.rows("select count(*) > 0 from consumer_analytics_revisions") == [(True,)]
    assert database.rows(by_day) == sources
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


def test_weeks_over_days_touch_no_row(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(35), BEGIN, END)
    database.execute("update consumers set created_at = '2025-02-01'")
    fill(database, "2025-02-20", "2025-03-09")
    before = database.rows(VERSIONS)
    done = fill(database, "2025-02-22", "2025-03-09", "weekly")
    # 1 and 8 March, and the clipped week's end on the 9th.
    assert done.periods == 3
    assert (done.snapshots_written, done.snapshots_restated) == (0, 0)
    assert database.rows(VERSIONS) == before


def test_what_differs_is_restated_and_kept(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(32), BEGIN, END)
        fill(database, "2025-03-01", "2025-03-06")
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), consumer_id, 'login', '2025-03-04 12:00' from consumers"
        )
    done = fill(database, "2025-03-01", "2025-03-06")
    assert done.snapshots_restated > 0
    assert database.rows("select distinct reason from consumer_analytics_revisions") == [
        (f"backfill {done.backfill_id}",)
    ]
    check(database, [BEGIN + n * DAY for n in range(1, 6)])


def test_two_at_once_write_each_row_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_ROWS_AT_ONCE", 5)
    with database.connect() as connection:
        random_history(connection, random.Random(33), BEGIN, END)
    failures: list[BaseException] = []

    def one() -> None:
        try:
            fill(database, "2025-03-01", "2025-03-09")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


# -- edges ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interval", "ends"),
    lanes.first(
        2,
        [
            (
                Interval("fortnightly", "fortnight", intervals.days(14)),
                ["2025-03-15T04", "2025-03-29T04", "2025-04-02T04"],
            ),
            (INTERVALS["monthly"], ["2025-04-01T04", "2025-04-02T04"]),
            (INTERVALS["hourly"], None),
        ],
    ),
    ids=lambda value: value.name if isinstance(value, Interval) else "",
)
def test_an_interval_is_an_entry_of_the_register(
    new_database: Any, monkeypatch: pytest.MonkeyPatch, interval: Interval, ends: list[str] | None
) -> None:
    """It is backfilled, listed, counted and held to a recount like those that we ship."""
    database = new_database(timezone="America/New_York")
    with database.connect() as connection:
        random_history(connection, random.Random(31), BEGIN, BEGIN + 40 * DAY)
    # So that the audit has what it compares windows with.
    live(database, BEGIN + 40 * DAY)
    if interval.name not in INTERVALS:
        with pytest.raises(UsageError, match="is unknown; it is daily, weekly"):
            fill(database, "2025-03-01", "2025-04-02", interval.name)
    monkeypatch.setitem(INTERVALS, interval.name, interval)
    # Over the night in which the clocks go forward, where a day has 23 hours.
    start = "2025-03-01" if ends is not None else "2025-03-08"
    end = "2025-04-02" if ends is not None else "2025-03-10"
    result = fill(database, start, end, interval.name)
    bounds = periods.bounds(
        dt.date.fromisoformat(start),
        dt.date.fromisoformat(end),
        interval.name,
        ZoneInfo("America/New_York"),
    )[1:]
    assert (result.periods, result.interval) == (len(bounds), interval.name)
    if ends is None:
        assert len(bounds) == 24 + 23
    else:
        assert [at.isoformat()[:13] for at in bounds] == ends
    check(database, list(bounds))
    with connected(database.settings, "list") as connection:
        assert [one.interval for one in engine.records(connection)] == [interval.name]
        # Without the register it would take rows of these instants for a part of the consumers.
        connection.execute(
            "delete from consumer_analytics where consumer_id is null and snapshot_timestamp = %s",
            [bounds[0]],
        )
        audit = auditing.audit(connection, database.settings)
        assert [one.at for one in audit.listed if one.figure == "row"] == [bounds[0]]


def test_an_empty_database_has_empty_snapshots_of_the_whole_system(database: Database) -> None:
    done = fill(database, "2025-03-01", "2025-03-04")
    assert done.snapshots_written == 3
    check(database, [BEGIN + n * DAY for n in range(1, 4)])


def told(database: Database, consumer: uuid.UUID, *keys: str) -> list[tuple[Any, ...]]:
    """Return the day and some figures of each of a consumer's snapshots."""
    figures = ", ".join(f"metrics_json -> '{key}'" for key in keys)
    return database.rows(
        f"select extract(day from snapshot_timestamp)::int, {figures} "
        "from consumer_analytics where consumer_id = %s order by snapshot_timestamp",
        [consumer],
    )


def registered(database: Database, created: str = "2025-02-01") -> uuid.UUID:
    """Register a consumer."""
    consumer = uuid.uuid4()
    database.execute(
        "insert into consumers (consumer_id, created_at) values (%s, %s)", [consumer, created]
    )
    return consumer


def happened(database: Database, consumer: uuid.UUID, *rows: tuple[Any, ...]) -> None:
    """Insert events of a consumer: time, and then type, customer and payload where they matter."""
    with database.connect() as connection:
        for at, kind, customer, payload in ((*row, "login", None, {})[:4] for row in rows):
            connection.execute(
                "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
                "payload_json, created_at) values (gen_random_uuid(), %s, %s, %s, %s, %s)",
                [customer, consumer, kind, Jsonb(payload), at],
            )


@pytest.mark.parametrize("ran", [False, True], ids=["before any run", "after a run"])
def test_empty_periods_have_their_snapshots(database: Database, ran: bool) -> None:
    consumer = registered(database)
    happened(
        database, consumer, ("2025-03-01 10:00",), ("2025-03-01 11:00",), ("2025-03-05 09:00",)
    )
    if ran:
        live(database, END)
        database.execute("delete from consumer_analytics")
    fill(database, "2025-03-01", "2025-03-07")
    assert told(database, consumer, "total_events", "incremental_stats") == [
        (
            day,
            total,
            {
                "window_start": f"2025-03-0{day - 1}T00:00:00+00:00",
                "window_end": f"2025-03-0{day}T00:00:00+00:00",
                "new_events_in_window": new,
                "new_customers_in_window": 0,
            },
        )
        for day, total, new in [(2, 2, 2), (3, 2, 0), (4, 2, 0), (5, 2, 0), (6, 3, 1), (7, 3, 0)]
    ]
    assert [
        row[0]
        for row in database.rows(
            "select extract(day from snapshot_timestamp)::int from consumer_analytics "
            "where consumer_id is null order by 1"
        )
    ] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("ran", [False, True], ids=["before any run", "after a run"])
def test_consumers_have_no_row_before_they_existed(database: Database, ran: bool) -> None:
    at_midnight = registered(database, "2025-03-04 00:00")
    at_noon = registered(database, "2025-03-04 12:00")
    # Registered after its first event: it exists since that.
    early = registered(database, "2025-03-06 12:00")
    happened(database, early, ("2025-03-02 12:00",))
    if ran:
        live(database, END)
        database.execute("delete from consumer_analytics")
    fill(database, "2025-03-01", "2025-03-09")
    # Created at an instant it belongs to the next snapshot.
    assert told(database, at_midnight, "total_events") == [(n, 0) for n in (5, 6, 7, 8, 9)]
    assert told(database, at_noon, "total_events") == [(n, 0) for n in (5, 6, 7, 8, 9)]
    assert told(database, early, "total_events") == [(n, 1) for n in range(3, 10)]
    assert database.rows(
        "select metrics_json -> 'consumers_in_system' from consumer_analytics "
        "where consumer_id is null order by snapshot_timestamp"
    ) == [(n,) for n in (1, 1, 3, 3, 3, 3, 3)]


@pytest.mark.parametrize(
    "ran", lanes.first(1, [False, True]), ids=["before any run", "after a run"]
)
def test_periods_before_the_first_row_are_left_out_and_that_is_said(
    database: Database, cli: Cli, ran: bool
) -> None:
    consumer = registered(database, "2025-03-04 00:00")
    if ran:
        live(database, END)
    done = cli("backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-07")
    assert done.exit_code == 0, done.stderr
    # Created at an instant it belongs to the next snapshot.
    assert (
        "3 periods are left out, as nothing was there before the first row, of 2025-03-04"
        in done.stderr
    )
    assert [day for day, _ in told(database, consumer, "total_events")][:3] == [5, 6, 7]
    assert database.rows(
        "select count(*) from consumer_analytics where snapshot_timestamp < '2025-03-04 01:00+00'"
    ) == [(0,)]
    nothing = cli("backfill", "--start-date", "1990-01-01", "--end-date", "1990-02-01", "--json")
    assert nothing.exit_code == 0
    assert nothing.json["periods"] == 0
    assert "31 periods are left out" in nothing.stderr


@pytest.mark.long
def test_a_day_that_its_zone_skipped_is_said_to_be(database: Database, cli: Cli) -> None:
    registered(database, "2011-12-01 00:00")
    zone = {"CONSUMER_ANALYTICS_TIMEZONE": "Pacific/Apia"}
    said = "there is nothing to write: Pacific/Apia skipped 2011-12-30 to 2011-12-31, where it "
    asked = ("backfill", "--start-date", "2011-12-30", "--end-date", "2011-12-31")
    planned = cli(*asked, "--dry-run", env=zone)
    assert (planned.exit_code, planned.stderr) == (0, "")
    assert said in planned.stdout
    done = cli(*asked, "--json", env=zone)
    assert (done.exit_code, done.json["periods"]) == (0, 0)
    assert said in done.stderr
    # Among others it is said, too.
    said = "1 day that Pacific/Apia skipped: 2011-12-30"
    asked = ("backfill", "--start-date", "2011-12-29", "--end-date", "2012-01-01")
    assert f"left out   {said}" in cli(*asked, "--dry-run", env=zone).stdout
    done = cli(*asked, "--json", env=zone)
    assert (done.exit_code, done.json["periods"]) == (0, 2)
    assert done.stderr.count(f"left out {said}") == 1
    assert said in cli(*asked, "--start-date", "2011-12-30", env=zone).stderr
    # A week has lost a day of its own; and the days before are there, and before the first row.
    for others in (
        ("--interval", "weekly"),
        ("--end-date", "2011-12-30"),
        ("--start-date", "2011-12-31"),
    ):
        assert "skipped" not in cli(*asked, *others, env=zone).stderr
    database.execute("update consumers set created_at = '2011-12-31 12:00Z'")
    done = cli(*asked, env=zone)
    assert "before the first row" in done.stderr
    assert "skipped" not in done.stderr


def test_a_consumer_without_customers_has_zeros(database: Database) -> None:
    consumer = registered(database)
    fill(database, "2025-03-01", "2025-03-03")
    keys = (
        "total_customers",
        "active_customers",
        "inactive_customers",
        "customers_by_status",
        "avg_customer_lifetime_days",
        "total_events",
        "events_by_type",
    )
    assert told(database, consumer, *keys) == [(day, 0, 0, 0, {}, None, 0, {}) for day in (2, 3)]


def test_customers_deleted_since_existed_then(database: Database) -> None:
    consumer, customer = registered(database), uuid.uuid4()
    happened(
        database,
        consumer,
        ("2025-03-02 12:00", "customer_creation", customer, {"status": "PENDING_AML"}),
        (
            "2025-03-03 12:00",
            "customer_status_change",
            customer,
            {"old_status": "PENDING_AML", "new_status": "BLOCKED"},
        ),
        ("2025-03-05 12:00", "customer_deletion", customer, {"status": "BLOCKED"}),
    )
    fill(database, "2025-03-01", "2025-03-07")
    assert told(
        database, consumer, "total_customers", "customers_by_status", "avg_customer_lifetime_days"
    ) == [
        (2, 0, {}, None),
        (3, 1, {"PENDING_AML": 1}, 0.5),
        (4, 1, {"BLOCKED": 1}, 1.5),
        (5, 1, {"BLOCKED": 1}, 2.5),
        (6, 0, {}, None),
        (7, 0, {}, None),
    ]


def test_some_consumers_only(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(41), BEGIN, END)
        (chosen,) = connection.execute(
            "select consumer_id from consumers order by 1 limit 1"
        ).fetchone() or (None,)
        fill(database, "2025-03-01", "2025-03-09", consumers=[str(chosen)])
        assert database.rows("select distinct consumer_id from consumer_analytics") == [(chosen,)]
        last = BEGIN + 8 * DAY
        expected = oracle.without_window(oracle.snapshot(oracle.Sources(connection), last))
        assert oracle.without_window(oracle.stored(connection, last)) == {
            str(chosen): expected[str(chosen)]
        }
    fill(database, "2025-03-01", "2025-03-09")
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


def test_purged_history_is_neither_lost_nor_made_up(database: Database) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(42), BEGIN, END)
        sources = oracle.Sources(connection)
        live(database, END)
        expected = {
            at: oracle.without_window(oracle.snapshot(sources, at))
            for at in (BEGIN + n * DAY for n in range(6, 9))
        }
        connection.execute("delete from customer_events where created_at < '2025-03-05'")
        done = fill(database, "2025-03-01", "2025-03-09")
        # Lifecycle events of then are needed, and these instants were never reported.
        assert done.not_recountable == tuple(BEGIN + n * DAY for n in range(1, 4))
        assert done.periods == 8 - 3
        stored = connection.execute(
            "select min(snapshot_timestamp) from consumer_analytics where consumer_id is null"
        ).fetchone()
        assert stored == (BEGIN + 4 * DAY,)
        for at, figures in expected.items():
            found = oracle.without_window(oracle.stored(connection, at))
            for consumer, metrics in figures.items():
                kind = "total_events" if consumer else "total_events_all_consumers"
                assert found[consumer][kind] == metrics[kind]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("2025-03-09", "2025-03-01", "daily"), "is not after start_date"),
        (("2025-03-01", "2025-03-01", "daily"), "is not after start_date"),
        (("2025-02-30", "2025-03-01", "daily"), "is not a day of the calendar"),
        (("yesterday", "2025-03-01", "daily"), "is not a date"),
        (("2025-03-01", "2025-03-02", "yearly"), "it is daily, weekly, monthly or hourly"),
        (("2025-03-01", "2999-01-01", "daily"), "lies in the future"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_written(
    database: Database, values: tuple[str, str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        fill(database, *values)
    assert database.rows("select count(*) from consumer_analytics_internal.backfills") == [(0,)]


def test_open_transactions_hold_back_only_the_periods_that_they_may_change(
    new_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new_database(holdback_wait=0.3)
    began = BEGIN + 3 * DAY
    with database.connect() as connection, database.connect() as other:
        random_history(connection, random.Random(43), BEGIN, END)
        # One that began now, after every period's end, holds nothing back.
        other.execute("begin; select 1")
        fill(database, "2025-03-01", "2025-03-09")
        connection.execute("truncate consumer_analytics")
        (holder, *_) = holdback.observe(connection, dt.datetime.now(dt.UTC), [])
        other.execute("rollback")
    monkeypatch.setattr(holdback, "wait_until_settled", lambda *_: [replace(holder, began=began)])
    with pytest.raises(HeldBackError, match="5 of 8 periods"):
        fill(database, "2025-03-01", "2025-03-09")
    assert database.rows("select max(snapshot_timestamp) from consumer_analytics") == [(began,)]
    assert database.rows(
        "select state from consumer_analytics_internal.backfills order by backfill_id"
    ) == [("done",), ("interrupted",)]


# -- beside others, stopped, and listed ----------------------------------------


def test_a_killed_one_blocks_nothing_and_the_next_goes_on(database: Database, cli: Cli) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(51), BEGIN, END, consumers=30)
    database.execute("update consumers set created_at = '2019-12-31'")
    command = [str(COMMAND), "backfill", "--start-date", "2020-01-01", "--end-date", "2025-03-09"]
    environment = command_environment({"CONSUMER_ANALYTICS_DATABASE_URL": database.url})
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not database.rows(
        "select from consumer_analytics_internal.backfills where state = 'running'"
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    listed = cli("backfill", "list", "--json").json["backfills"]
    assert [record["state"] for record in listed] == ["interrupted"]
    # What there is, is whole.
    assert database.rows(
        "select count(*) from (select snapshot_timestamp from consumer_analytics "
        "group by 1 having count(*) filter (where consumer_id is null) <> 1) as halves"
    ) == [(0,)]
    done = cli("backfill", "--start-date", "2025-02-20", "--end-date", "2025-03-09", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["periods"] == 17
    check(database, [BEGIN + n * DAY for n in range(1, 9)])


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [TWO_SESSIONS, ONE_SESSION]), ids=["two", "one"]
)
def test_beside_live_runs_and_writers(database: Database, rows_for_two: int) -> None:
    """Another process backfills; here the application writes, and runs follow each other."""
    with database.connect() as connection:
        random_history(connection, random.Random(52), BEGIN, END)
    database.execute("update consumers set created_at = '2024-09-30'")
    met: list[tuple[str, int]] = []
    # Runs pass what is being backfilled, day by day, and then come to today.
    instants = [BEGIN + n * DAY + dt.timedelta(hours=5) for n in range(1, 9)]
    with (
        database.connect() as application,
        started(database, rows_for_two, dates=("2024-10-01", "2025-03-09")) as command,
    ):
        await_periods(application, 1)
        while len(met) < len(instants) + 2 or met[-1][0] == "running":
            application.execute(
                "insert into customer_events (event_id, consumer_id, event_type) "
                "select gen_random_uuid(), consumer_id, 'login' from consumers"
            )
            summary = live(database, instants[len(met)] if len(met) < len(instants) else None)
            met += database.rows(
                "select state, periods_done from consumer_analytics_internal.backfills"
            )
        assert command.end() == 0, command.text
    # Both went on while the other one did.
    assert len({periods for state, periods in met if state == "running"}) >= 3, met
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
        stored = oracle.stored(connection, dt.datetime.fromisoformat(summary["window_end"]))
    # The runs' last snapshot has everything that was written meanwhile; the backfill moved nothing.
    ((events,),) = database.rows(
        "select count(*) from customer_events where consumer_id is not null"
    )
    assert stored[None]["total_events_all_consumers"] == events
    assert database.rows("select last_processed_timestamp from etl_job_watermarks") == [
        (dt.datetime.fromisoformat(summary["window_end"]),)
    ]
    assert database.rows(
        "select metrics_json ->> 'snapshot_source', count(*) from consumer_analytics "
        "where consumer_id is null group by 1 order by 1"
    ) == [("cli_backfill", 159), ("cli_etl", len(met))]
    # Its record has what it restated, at its end too.
    assert database.rows(
        "select snapshots_restated from consumer_analytics_internal.backfills"
    ) == database.rows(
        "select count(*) from consumer_analytics_revisions where reason like 'backfill %'"
    )


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [ONE_SESSION, TWO_SESSIONS]), ids=["one", "two"]
)
def test_a_run_waits_for_one_chunk_and_no_more(database: Database, rows_for_two: int) -> None:
    """The turn is the run's before the backfill's next chunk, however many there are to come."""
    at_work = 2 if rows_for_two == TWO_SESSIONS else 1
    with database.connect() as connection:
        random_history(connection, random.Random(54), BEGIN, END)
    # There from the beginning, so that both sessions have as much to write.
    database.execute("update consumers set created_at = '2024-10-31'")
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        started(database, rows_for_two, dates=("2024-11-01", "2025-03-09")) as command,
    ):
        await_periods(watcher, 5)
        with crashes.locked(database, "consumer_analytics", "access exclusive") as locker:
            await_parked(watcher, locker, at_work)
            ((before,),) = watcher.execute(
                "select snapshots_written from consumer_analytics_internal.backfills"
            ).fetchall()
            run_at_work = crashes.Child(
                database, lambda session, settings: run.run(session, settings, at=END)
            )
            crashes.wait_for(
                watcher,
                "select pid from pg_locks where not granted and mode = 'ExclusiveLock' "
                "and relation = 'consumer_analytics_internal.job_lock'::regclass",
                [],
            )
        assert run_at_work.join() == 0
        assert command.end() == 0, command.text
    # By the order in which their transactions came to write. A chunk is 20 rows at most.
    ((earlier,),) = database.rows(
        "select count(*) from consumer_analytics "
        "where metrics_json ->> 'snapshot_source' = 'cli_backfill' and xmin::text::bigint < "
        "(select min(xmin::text::bigint) from consumer_analytics "
        "where metrics_json ->> 'snapshot_source' = 'cli_etl')"
    )
    assert before < earlier <= before + 20 * at_work
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


def test_the_command_says_what_it_will_do_and_lists_what_was_done(
    database: Database, cli: Cli
) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(53), BEGIN, END)
    arguments = ("backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-09")
    dry = cli(*arguments, "--dry-run", "--json").json
    assert dry["periods"] == 8
    assert dry["rows_to_scan_estimated"] > 0
    assert database.rows("select count(*) from consumer_analytics") == [(0,)]
    assert (
        "stamped    2025-03-02 00:00:00 UTC to 2025-03-09 00:00:00 UTC\n"
        in cli(*arguments, "--interval", "daily").stdout
    )
    (record,) = cli("backfill", "list", "--json").json["backfills"]
    assert (record["state"], record["periods_done"]) == ("done", 8)
    assert (
        record["snapshots_written"]
        == database.rows(
            "select count(*) from consumer_analytics where metrics_json ->> 'snapshot_source' = "
            "'cli_backfill'"
        )[0][0]
    )
    refused = cli("backfill", "--start-date", "2025-03-01", "--end-date", "2025-02-01")
    assert refused.exit_code == 2
    assert "is not after start_date" in refused.stderr
