"""What is odd with a consumer: judged by its own weeks and by the others', told once, shown."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.conftest import Database
from tests.support import lanes
from tests.support.anomalies.rates import Rates, judge_year
from tests.support.anomalies.years import year
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.monitoring import anomalies, incidents, monitor
from consumer_analytics.monitoring.anomalies.windows import ending_at
from consumer_analytics.monitoring.metrics import collector
from consumer_analytics.operations.doctor.findings import Context, Verdict
from consumer_analytics.operations.doctor.incidents import still_open

FIRST = dt.datetime(2025, 1, 6, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
#: The days of the history before what happens.
BEFORE = 70
ONE = uuid.UUID(int=1)
#: What the whole system's snapshots say here: nobody reads it but the metrics.
SYSTEM: dict[str, Any] = dict.fromkeys(
    (
        "consumers_in_system",
        "total_customers_all_consumers",
        "active_customers_all_consumers",
        "inactive_customers_all_consumers",
        "total_events_all_consumers",
        "unattributed_events",
        "unattributed_customers",
    ),
    0,
) | {"customers_by_status_all_consumers": {}, "events_by_type_all_consumers": {}}
#: Events of a day of consumer ONE by the day's number; customers at its end; of a new type.
Events = Callable[[int], int]


def usual(day: int) -> int:
    """Return what a day has: less at weekends, and not quite the same each week."""
    return (40 if day % 7 >= 5 else 200) + (day * 37) % 11


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def watched(database: Database, mails: MailServer) -> Database:
    changes = mails.settings | {"anomalies": True}
    return replace(database, settings=database.settings.replaced(changes))


def write(
    database: Database,
    days: range,
    events: Events,
    *,
    customers: Events = lambda _: 1000,
    new_type: Events = lambda _: 0,
    consumers: int = 1,
    others: Events = usual,
) -> None:
    """Write the snapshots of days: of ONE as asked for, of further consumers as usual."""
    rows: list[tuple[uuid.UUID | None, dt.datetime, str]] = []
    for day in days:
        at = FIRST + (day + 1) * DAY
        rows.append((None, at, json.dumps(SYSTEM)))
        for number in range(1, consumers + 1):
            mine = events if number == 1 else others
            total = sum(map(mine, range(day + 1)))
            new = sum(map(new_type, range(day + 1))) if number == 1 else 0
            document = {
                "total_events": total + new,
                "total_customers": customers(day) if number == 1 else 1000,
                "events_by_type": {"login": total} | ({"import_v2": new} if new else {}),
            }
            rows.append((uuid.UUID(int=number), at, json.dumps(document)))
    with database.connect_admin() as admin, admin.cursor() as cursor:
        cursor.executemany(
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "values (%s, %s, %s)",
            rows,
        )
        admin.execute(
            "insert into consumers (consumer_id, name, status, created_at) "
            "values (%s, 'Acme', 'ACTIVE', %s) on conflict do nothing",
            [ONE, FIRST],
        )


def look(database: Database, day: int) -> None:
    """Do a pass of the monitor an hour after the snapshot that ends a day."""
    at = FIRST + (day + 1) * DAY
    # As a run that wrote the snapshots leaves it; one would write those of empty sources.
    database.execute(
        "update etl_job_watermarks set last_processed_timestamp = %s, last_run_at = %s, "
        "last_run_status = 'success'",
        [at, at],
    )
    database.execute("update consumer_analytics_internal.state set processed_through = %s", [at])
    with database.connect("monitor", writes_sources=False) as connection:
        monitor.watch(connection, database.settings, now=at + DAY / 24)


def titles(mails: MailServer) -> list[str]:
    said = [str(one["Subject"]).removeprefix("[consumer-analytics] ") for one in mails.mails]
    return [one for one in said if "Acme" in one or "odd" in one]


def judged(database: Database, day: int) -> list[anomalies.Oddity]:
    with database.connect() as connection:
        at = FIRST + (day + 1) * DAY
        return anomalies.judge(connection, database.settings, at, DAY).oddities


HAPPENS = {
    "nothing": (usual, {}, []),
    "silence": (lambda day: 0 if day >= BEFORE else usual(day), {}, ["silent"]),
    "halving": (lambda day: usual(day) // 2 if day >= BEFORE else usual(day), {}, ["fewer"]),
    "doubling": (lambda day: usual(day) * 2 if day >= BEFORE else usual(day), {}, ["more"]),
    "a loss": (usual, {"customers": lambda day: 600 if day >= BEFORE else 1000}, ["customers"]),
    "a flood": (usual, {"new_type": lambda day: 300 if day >= BEFORE else 0}, ["type"]),
    "growth": (lambda day: int(usual(day) * 1.06 ** (day / 7)), {}, []),
}


@pytest.mark.parametrize("name", lanes.first(4, HAPPENS))
def test_what_happens_is_seen_at_the_first_snapshot_after_it(watched: Database, name: str) -> None:
    events, further, kinds = HAPPENS[name]
    write(watched, range(BEFORE + 1), events, **further)  # type: ignore[arg-type]
    assert judged(watched, BEFORE - 1) == []
    found = judged(watched, BEFORE)
    assert [one.kind for one in found] == kinds
    for one in found:
        assert (one.consumer_id, one.hours) == (ONE, 24)
        if one.kind in {"silent", "fewer", "more"}:
            # The median of the eight like days before.
            likes = sorted(usual(BEFORE - 7 * week) for week in range(1, 9))
            assert one.expected == (likes[3] + likes[4]) / 2
            assert one.observed == events(BEFORE)
            assert one.low < one.expected < one.high
        if one.kind == "type":
            assert (one.event_type, one.observed) == ("import_v2", 300)
        if one.kind == "customers":
            assert one.observed == 400


@pytest.mark.long
def test_with_snapshots_of_each_hour_an_hour_of_the_day_is_held_against_its_like(
    watched: Database,
) -> None:
    hour = dt.timedelta(hours=1)
    silent_from = 10

    def in_hour(number: int) -> int:
        day, at = divmod(number, 24)
        if at < 7 or (day == BEFORE and at >= silent_from):
            return 0
        return 60 + (number * 7) % 5

    total = 0
    rows: list[tuple[uuid.UUID | None, dt.datetime, str]] = []
    for number in range(24 * (BEFORE - 63), 24 * BEFORE + 12):
        total += in_hour(number)
        at = FIRST + (number + 1) * hour
        document = {"total_events": total, "total_customers": 5, "events_by_type": {"login": total}}
        rows += [(None, at, json.dumps(SYSTEM)), (ONE, at, json.dumps(document))]
    with watched.connect_admin() as admin, admin.cursor() as cursor:
        cursor.executemany(
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "values (%s, %s, %s)",
            rows,
        )
    found = {}
    with watched.connect() as connection:
        for clock in (3, silent_from, silent_from + 1):
            judged_at = FIRST + BEFORE * DAY + clock * hour
            told = anomalies.judge(connection, watched.settings, judged_at, hour).oddities
            found[clock] = [(one.kind, one.hours) for one in told]
    # That nothing comes at night is usual; at ten it is seen after an hour.
    assert found == {3: [], silent_from: [], silent_from + 1: [("silent", 1)]}


@pytest.mark.parametrize(("odd", "kinds"), [(1, ["fewer"]), (4, [])])
def test_a_day_that_is_another_one_for_many_is_nobodys_anomaly(
    watched: Database, odd: int, kinds: list[str]
) -> None:
    def fewer(day: int) -> int:
        return usual(day) // 3 if day >= BEFORE else usual(day)

    write(watched, range(BEFORE + 1), fewer, consumers=12)
    for number in range(2, odd + 1):
        watched.execute(
            "update consumer_analytics as changed set metrics_json = ("
            "select metrics_json from consumer_analytics as one "
            "where one.consumer_id = %s and one.snapshot_timestamp = changed.snapshot_timestamp) "
            "where consumer_id = %s",
            [ONE, uuid.UUID(int=number)],
        )
    assert [one.kind for one in judged(watched, BEFORE)] == kinds


def test_it_is_told_once_shown_with_what_is_usual_and_over_when_it_is(
    watched: Database, mails: MailServer
) -> None:
    def events(day: int) -> int:
        return 0 if BEFORE <= day < BEFORE + 3 else usual(day)

    write(watched, range(BEFORE), events)
    look(watched, BEFORE - 1)
    assert titles(mails) == []
    for day in range(BEFORE, BEFORE + 3):
        write(watched, range(day, day + 1), events)
        look(watched, day)
        look(watched, day)
    assert titles(mails) == ["WARNING: Acme is silent"]
    _, text, html = mails.parts(
        next(i for i, one in enumerate(mails.mails) if "Acme" in str(one["Subject"]))
    )
    sentence = r"No events in the day to 2025-03-18 00:00 UTC, where 206 \(\d+ to \d+\) are usual"
    assert re.search(sentence, " ".join(text.split()))
    assert "consumer-analytics incidents" in html
    with watched.connect() as connection:
        (one,) = incidents.open_incidents(connection)
        (kept,) = anomalies.of_consumer(connection, ONE, 10)
        samples, counters, _ = collector.read(connection, watched.settings)
    # As a metric consumers are one subject, however many there are.
    assert (("silent", "warning"), 1) in samples["incidents_open"]
    assert {labels for labels in counters["incidents_opened"] if "consumer" in labels[0]} == {
        ("consumer",)
    }
    assert (one.subject, one.state) == (f"consumer {ONE}", "warning")
    assert (kept.kind, kept.observed, kept.over_at) == ("silent", 0, None)
    assert kept.ends == FIRST + (BEFORE + 1) * DAY
    assert kept.seen_at == kept.ends + 2 * DAY

    for day in range(BEFORE + 3, BEFORE + 8):
        write(watched, range(day, day + 1), events)
        look(watched, day)
    assert titles(mails) == ["WARNING: Acme is silent", "OVER: Acme is as usual again"]
    with watched.connect() as connection:
        assert incidents.open_incidents(connection) == []
        (kept,) = anomalies.of_consumer(connection, ONE, 10)
    assert kept.over_at is not None


@pytest.mark.long
def test_a_snapshot_that_is_missing_is_no_end_of_anything(
    watched: Database, mails: MailServer
) -> None:
    def events(day: int) -> int:
        return 0 if day >= BEFORE else usual(day)

    write(watched, range(BEFORE + 1), events)
    look(watched, BEFORE)
    # A run by hand at noon, and none at the next midnight: nothing new is due to be judged.
    watched.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
        "select consumer_id, snapshot_timestamp + interval '36 hours', metrics_json "
        "from consumer_analytics where snapshot_timestamp = %s",
        [FIRST + (BEFORE + 1) * DAY],
    )
    look(watched, BEFORE + 1)
    assert titles(mails) == ["WARNING: Acme is silent"]
    write(watched, range(BEFORE + 2, BEFORE + 3), events)
    look(watched, BEFORE + 2)
    assert titles(mails) == ["WARNING: Acme is silent"]


def test_switched_off_nobody_is_judged_and_what_was_open_is_closed(
    watched: Database, mails: MailServer
) -> None:
    write(watched, range(BEFORE + 1), lambda day: 0 if day >= BEFORE else usual(day))
    off = replace(watched, settings=watched.settings.replaced({"anomalies": False}))
    look(off, BEFORE)
    with watched.connect() as connection:
        assert anomalies.still_open(connection) == []
    look(watched, BEFORE)
    assert titles(mails) == ["WARNING: Acme is silent"]
    # Nothing is wrong with the pipeline.
    with watched.connect() as connection:
        found = still_open(Context(watched.settings, connection))
    assert found.verdict == Verdict.OK
    assert found.says == "no incident is open, but of 1 consumer that is odd"
    look(off, BEFORE)
    assert titles(mails)[1:] == ["OVER: Acme is as usual again"]
    with watched.connect() as connection:
        assert anomalies.still_open(connection) == []
        (closed, *_) = incidents.latest(connection, 1)
    assert "consumers are not watched any more" in closed.cause


def test_what_nobody_was_told_of_is_closed_all_the_same(database: Database) -> None:
    watched = replace(database, settings=database.settings.replaced({"anomalies": True}))
    write(watched, range(BEFORE + 1), lambda day: 0 if day >= BEFORE else usual(day))
    look(watched, BEFORE)
    look(database, BEFORE)
    with database.connect() as connection:
        (closed, *_) = incidents.latest(connection, 1)
    assert closed.subject == f"consumer {ONE}"
    assert closed.told_at is None
    assert closed.closed_at is not None
    assert database.rows(
        "select what, count(*) from consumer_analytics_internal.incident_changes "
        "where incident_id = %s group by what order by max(at), what",
        [closed.incident_id],
    ) == [("opened", 1), ("over", 1)]


@pytest.mark.long
def test_of_many_that_are_odd_a_message_names_some_and_counts_the_rest(
    watched: Database, mails: MailServer
) -> None:
    """Lost customers are nobody else's: many at once are all told."""
    write(watched, range(BEFORE + 1), usual, consumers=25)
    watched.execute(
        "update consumer_analytics set metrics_json = metrics_json || '{\"total_customers\": 500}' "
        "where consumer_id is not null and snapshot_timestamp = %s",
        [FIRST + (BEFORE + 1) * DAY],
    )
    look(watched, BEFORE)
    (mail,) = [one for one in mails.mails if "loses customers" in str(one["Subject"])]
    text = mails.parts(mails.mails.index(mail))[1]
    assert text.count("loses customers (warning)") == 20
    assert "5 more consumers are odd: consumer-analytics incidents" in text
    with watched.connect() as connection:
        assert len(incidents.open_incidents(connection)) == 25


def test_windows_are_of_the_clock_of_the_zone_and_no_shorter_than_the_schedule() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = dt.datetime(2025, 4, 2, 22, tzinfo=dt.UTC)
    daily = ending_at(at, DAY, berlin)
    # Before the clocks were set, midnight was an hour later in UTC.
    assert {one.ends.hour for one in daily} == {22, 23}
    assert {one.hours for one in daily} == {24, 48, 72, 168, 336, 672}
    assert {one.hours for one in ending_at(at, DAY / 24, berlin)} >= {1, 3, 6, 12, 24}
    assert {one.hours for one in ending_at(at, 7 * DAY, berlin)} == {168, 336, 672}
    likes = [one.day for one in daily if one.hours == 336]
    assert likes == [0, *range(14, 70, 7)]


@pytest.mark.parametrize("seed", lanes.first(0, [5_001, 5_002], long=1))
def test_years_are_told_in_time_and_hardly_anything_for_nothing(
    database: Database, seed: int
) -> None:
    """Half a year of 120 consumers; `python -m tests.support.anomalies` plays whole ones."""
    rates = Rates()
    with database.connect("anomalies", writes_sources=True) as connection:
        rates.add(judge_year(connection, database.settings, year(seed, consumers=120, days=260)))
    assert rates.weeks > 1_500
    assert rates.per_thousand_weeks <= 2, rates.examples
    for kind, least in (("silence", 50), ("loss", 50), ("flood", 50), ("doubling", 100)):
        large = [one for one in rates.told if one.kind == kind and one.daily >= least]
        at_once = [one for one in large if one.days is not None and one.periods <= 1]
        assert len(at_once) >= 0.7 * len(large), (kind, large)
