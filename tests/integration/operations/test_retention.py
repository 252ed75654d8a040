"""Retention: what the policy does without goes, nothing else does, and nobody misses it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import pytest
from tests.support import lanes
from tests.support.checks import figures, touched_rows, wrong_snapshots
from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.errors import SettingsError
from consumer_analytics.etl import extract, run, vanished
from consumer_analytics.fields import Field
from consumer_analytics.operations import retention, thinning
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.operations.thinning import Policy, SnapshotInstant
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import OneSnapshotPer, Settings

DAY = dt.timedelta(days=1)
ZONE = "Europe/Berlin"
TODAY = dt.datetime.now(ZoneInfo(ZONE)).date()
FIRST = TODAY - 120 * DAY
EVERY, DAILY = 20, 60
POLICY = {"timezone": ZONE, "keep_snapshots_days": EVERY, "keep_daily_snapshots_days": DAILY}


def settings(database: Any, **changes: Any) -> Settings:
    changed: Settings = database.settings.replaced(changes)
    return changed


def midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), ZoneInfo(ZONE)).astimezone(dt.UTC)


def filled(database: Any, first: dt.date, end: dt.date) -> None:
    with database.connect("backfill", writes_sources=False) as connection:
        backfill.backfill(
            connection,
            settings(database, timezone=ZONE),
            backfill.request_of(
                first.isoformat(), end.isoformat(), "daily", source="cli_backfill", who="test"
            ),
        )


def go(database: Any, at: dt.datetime) -> dict[str, Any]:
    with database.session("run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def thinned(database: Any, *, dry_run: bool = False, **changes: Any) -> MaintenancePart:
    with database.connect("maintenance", writes_sources=False) as connection:
        return thinning.thin(
            connection, settings(database, **{**POLICY, **changes}), dry_run=dry_run
        )


def instants(database: Any) -> list[dt.datetime]:
    return [
        at
        for (at,) in database.rows(
            "select snapshot_timestamp from consumer_analytics where consumer_id is null order by 1"
        )
    ]


def kept_of(all_of_them: list[dt.datetime], every: int, daily: int | None) -> list[dt.datetime]:
    """Return what the policy keeps, worked out the plain way."""
    zone = ZoneInfo(ZONE)
    # A midnight may have passed since these tests began.
    today = dt.datetime.now(zone).date()
    every_from = midnight(today - every * DAY)
    daily_from = midnight(today - daily * DAY) if daily else dt.datetime.min.replace(tzinfo=dt.UTC)
    places: dict[Any, list[dt.datetime]] = defaultdict(list)
    for at in all_of_them:
        # A midnight ends its day.
        wall = at.astimezone(zone).replace(tzinfo=None) - dt.timedelta(microseconds=1)
        if at <= daily_from:
            places["week", wall.date() - wall.weekday() * DAY].append(at)
        elif at <= every_from:
            places["day", wall.date()].append(at)
        else:
            places["all", at].append(at)
    return sorted(max(place) for place in places.values())


@pytest.fixture
def long(database: Any) -> Any:
    """Return a database with 120 daily snapshots, and some at other times of the day."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(
                connection,
                random.Random(11),
                midnight(FIRST) + dt.timedelta(hours=1),
                midnight(TODAY) - DAY,
                step=dt.timedelta(minutes=611),
            )
        for days in (100, 61, 60, 21, 20, 3):
            go(database, midnight(TODAY - days * DAY) + dt.timedelta(hours=7))
        go(database, midnight(TODAY))
        filled(database, FIRST, TODAY)

    database.prepared("long", fill)
    return database


def test_nothing_is_thinned_unless_asked_for(long: Any) -> None:
    before = figures_of(long)
    part = thinned(long, keep_snapshots_days=None, keep_daily_snapshots_days=None)
    assert part.removed == 0
    assert "KEEP_SNAPSHOTS_DAYS is unset" in (part.skipped or "")
    assert figures_of(long) == before


def figures_of(database: Any) -> dict[Any, str]:
    with database.connect() as connection:
        return figures(connection)


@pytest.mark.both_versions
@pytest.mark.parametrize("daily", lanes.first(1, [DAILY, None]))
def test_keeps_every_one_then_the_days_then_the_weeks(long: Any, daily: int | None) -> None:
    before = instants(long)
    assert len(before) == 120 + 6
    expected = kept_of(before, EVERY, daily)
    assert len(expected) < len(before)
    figures_before = figures_of(long)

    with long.connect() as connection:
        untouched = touched_rows(connection)
        would = thinned(long, dry_run=True, keep_daily_snapshots_days=daily)
        assert touched_rows(connection) == untouched
    part = thinned(long, keep_daily_snapshots_days=daily)
    assert instants(long) == expected
    after = figures_of(long)
    assert after == {key: text for key, text in figures_before.items() if key[1] in set(expected)}
    assert (would.removed, would.bytes_removed) == (part.removed, part.bytes_removed)
    assert part.removed == len(figures_before) - len(after)
    assert part.bytes_removed > 0
    assert part.bytes_before is not None
    assert part.bytes_after is not None
    # Another one finds nothing to do.
    assert thinned(long, keep_daily_snapshots_days=daily).removed == 0


#: Settings with a tier more: an entry, as those that there are.
WithMonths: Any = dataclasses.make_dataclass(
    "WithMonths",
    [
        (
            "keep_weekly_snapshots_days",
            Annotated[int | None, OneSnapshotPer("month"), Field("A month's last one.")],
            None,
        )
    ],
    bases=(Settings,),
    frozen=True,
    kw_only=True,
)


def test_a_tier_more_is_a_setting(long: Any) -> None:
    config = WithMonths(**vars(settings(long, **POLICY)), keep_weekly_snapshots_days=75)
    assert [tier.period for tier in config.tiers] == ["day", "week", "month"]
    before = instants(long)
    month_from = midnight(TODAY - 75 * DAY)
    months = defaultdict(list)
    for at in before:
        if at <= month_from:
            day = (at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None) - DAY / 86_400_000_000).date()
            months[day.year, day.month].append(at)
    expected = [
        *(max(of_month) for of_month in months.values()),
        *kept_of([at for at in before if at > month_from], EVERY, DAILY),
    ]
    with long.connect("maintenance", writes_sources=False) as connection:
        forecast = Policy.of(config).kept(map(SnapshotInstant, before), dt.datetime.now(dt.UTC))
        thinning.thin(connection, config)
    assert instants(long) == expected == [one.at for one in forecast]
    # A year on: 20 days of every one, 40 of one a day, 15 of one a week, the rest one a month.
    assert Policy.of(config).kept_of_new(1, 365) == pytest.approx(
        20 + 40 + 15 / 7 + 290 * 12 / 365.2425
    )


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ({"keep_daily_snapshots_days": 60}, "KEEP_SNAPSHOTS_DAYS must be set to that or less"),
        (
            {"keep_snapshots_days": 20, "keep_weekly_snapshots_days": 75},
            "KEEP_DAILY_SNAPSHOTS_DAYS must be set to that or less, and is unset",
        ),
        (
            {
                "keep_snapshots_days": 20,
                "keep_daily_snapshots_days": 60,
                "keep_weekly_snapshots_days": 59,
            },
            "KEEP_WEEKLY_SNAPSHOTS_DAYS is 59; .*_DAILY_.* to that or less, and is 60",
        ),
    ],
)
def test_tiers_thin_one_after_the_other(tmp_path: Path, days: dict[str, int], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        WithMonths(home=tmp_path, **days)


def test_the_latest_snapshot_stays_whatever_its_age(database: Any) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(3), midnight(FIRST), midnight(FIRST + 9 * DAY))
    for hour in (6, 12, 18):
        go(database, midnight(FIRST + 9 * DAY) + dt.timedelta(hours=hour))
    thinned(database, keep_snapshots_days=1, keep_daily_snapshots_days=1)
    assert instants(database) == [midnight(FIRST + 9 * DAY) + dt.timedelta(hours=18)]


def test_snapshots_that_runs_have_not_come_to_stay(long: Any) -> None:
    """The counts do not reach them: what they say is still to be made sure."""
    before = instants(long)
    through = midnight(TODAY - 90 * DAY)
    long.execute("update consumer_analytics_internal.state set processed_through = %s", [through])
    thinned(long)
    assert [at for at in instants(long) if at > through] == [at for at in before if at > through]


def test_a_snapshot_of_some_consumers_does_not_stand_for_the_whole(long: Any) -> None:
    """A backfill of one consumer wrote the day's last instant; the whole one before it stays."""
    ((consumer,),) = long.rows("select consumer_id from consumers order by 1 limit 1")
    at = midnight(TODAY - 40 * DAY) - dt.timedelta(minutes=1)
    whole = midnight(TODAY - 40 * DAY)
    long.execute(
        "update consumer_analytics set snapshot_timestamp = %s where snapshot_timestamp = %s",
        [at, whole],
    )
    long.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
        "values (%s, %s, '{}')",
        [consumer, whole],
    )
    thinned(long)
    assert at in instants(long)
    assert long.rows(
        "select count(*) from consumer_analytics where snapshot_timestamp = %s", [whole]
    ) == [(0,)]


@pytest.mark.long
def test_what_it_does_not_disturb(long: Any) -> None:
    """Audit, sweep, runs and backfill after a thinning are as right as before it."""
    before = figures_of(long)
    thinned(long)
    kept = instants(long)

    with long.connect("audit", writes_sources=False) as connection:
        found = audit.audit(connection, long.settings)
        assert found.listed == []
        assert found.snapshots == len(kept)
        # A run of an instant that is there touches no row: its window begins where it began.
        state = touched_rows(connection)["consumer_analytics"]
        for at in (kept[len(kept) // 2], kept[-2]):
            run.run(connection, settings(long, timezone=ZONE), at=at)
        assert touched_rows(connection)["consumer_analytics"] == state

    # A row that comes in late restates what is there, and nothing is missed.
    late = midnight(TODAY - 100 * DAY) + dt.timedelta(hours=2)
    long.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', %s)",
        [late],
    )
    with long.connect("sweep", writes_sources=False) as connection:
        done = sweep.sweep(connection, long.settings, since=(late - DAY).date())
        assert done.events_found == 1
        assert done.snapshots_restated == sum(at > late for at in kept)
        assert wrong_snapshots(connection) == []
        assert audit.audit(connection, long.settings).clean
    assert instants(long) == kept

    # A backfill of the range writes the thinned ones again, as they would have been.
    long.execute("delete from customer_events where event_type = 'late'")
    with long.connect("sweep", writes_sources=False) as connection:
        sweep.sweep(connection, long.settings, accepted=vanished.EVERYTHING)
    filled(long, FIRST, TODAY)
    again = figures_of(long)
    for key, text in again.items():
        mine, theirs = json.loads(text), json.loads(before[key])
        for document in (mine, theirs):
            document.pop("snapshot_source")
        assert mine == theirs, key
    with long.connect("audit", writes_sources=False) as connection:
        assert audit.audit(connection, long.settings).clean
    # Running it again changes nothing; the next maintenance thins the same ones.
    filled(long, FIRST, TODAY)
    assert figures_of(long) == again
    thinned(long)
    assert instants(long) == kept


def test_a_snapshot_that_got_lost_is_missed_all_the_same(long: Any) -> None:
    thinned(long)
    lost = midnight(TODAY - 3 * DAY) + dt.timedelta(hours=7)
    gone = midnight(TODAY - 100 * DAY) + dt.timedelta(hours=7)
    assert lost in instants(long)
    assert gone not in instants(long)
    long.execute("delete from consumer_analytics where snapshot_timestamp = %s", [lost])
    with long.connect("audit", writes_sources=False) as connection:
        found = audit.audit(connection, long.settings)
    assert set(found.wrong_snapshots) == {lost}

    # One that was thinned, and written again, and then lost, too.
    go(long, lost)
    go(long, gone)
    thinned(long, keep_snapshots_days=110, keep_daily_snapshots_days=None)
    long.execute("delete from consumer_analytics where snapshot_timestamp = %s", [gone])
    with long.connect("audit", writes_sources=False) as connection:
        found = audit.audit(connection, long.settings)
    assert set(found.wrong_snapshots) == {gone}


def test_revisions_go_with_their_snapshots_and_others_stay(long: Any) -> None:
    late = midnight(FIRST) + dt.timedelta(hours=2)
    long.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', %s)",
        [late],
    )
    with long.connect("sweep", writes_sources=False) as connection:
        sweep.sweep(connection, long.settings, since=(late - DAY).date())
    counted = (
        "select count(*), count(distinct snapshot_timestamp) from consumer_analytics_revisions"
    )
    assert long.rows(counted) == [(126, 126)]
    part = thinned(long)
    kept = instants(long)
    assert long.rows(counted) == [(len(kept), len(kept))]
    assert long.rows(
        "select count(*) from consumer_analytics_revisions as old where not exists "
        "(select from consumer_analytics as now where now.analytics_id = old.analytics_id)"
    ) == [(0,)]
    assert f"and {126 - len(kept)} revisions" in part.notes[0]


def test_a_thinning_that_is_stopped_is_whole_and_goes_on(
    long: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "_AT_ONCE", 10)
    expected = kept_of(instants(long), EVERY, DAILY)
    calls = []

    def stop(text: str) -> None:
        calls.append(text)
        if len(calls) == 3:
            raise KeyboardInterrupt

    with (
        long.connect("maintenance", writes_sources=False) as connection,
        pytest.raises(KeyboardInterrupt),
    ):
        thinning.thin(connection, settings(long, **POLICY), notify=stop)
    assert long.rows("select count(*) from consumer_analytics_internal.thinned_snapshots") == [
        (20,)
    ]
    with long.connect("audit", writes_sources=False) as connection:
        assert audit.audit(connection, long.settings).clean
    thinned(long)
    assert instants(long) == expected


# -- internal state ------------------------------------------------------------


def forgotten(database: Any, *, dry_run: bool = False, **changes: Any) -> MaintenancePart:
    with database.connect("maintenance", writes_sources=False) as connection:
        return retention.forget(connection, settings(database, **changes), dry_run=dry_run)


INCIDENTS = """
set search_path = consumer_analytics_internal;
insert into mails (key, content, created_at, next_try_at, sent_at)
select key, '{}', now() - interval '500 days', now(), sent_at
from (values
    ('over', now() - interval '500 days'), ('failed', now() - interval '500 days'),
    ('told', now() - interval '500 days'), ('waits', null)
) as mail (key, sent_at);
insert into incidents (subject, opened_at, closed_at, state, worst, cause, measures)
select subject, now() - interval '500 days', closed_at, 'warning', 'warning', '', '{}'
from (values ('runtime', now() - interval '400 days'), ('freshness', null))
    as v (subject, closed_at);
insert into incident_changes (incident_id, at, what, state, cause, measures, mail_id)
select incident_id, opened_at, 'opened', 'warning', '', '{}', mail_id
from incidents
join mails on key = case incidents.subject when 'runtime' then 'over' else 'told' end;
insert into task_failures
    (dag_id, run_id, task_id, try_number, failed_at, execution_date, error, mail_id)
select 'd', 'r', 't', 1, now() - interval '500 days', now(), '', mail_id
from mails where key = 'failed'
"""


def test_old_state_is_forgotten_and_recent_state_stays(long: Any) -> None:
    internal = "consumer_analytics_internal"
    assert forgotten(long).removed == 0
    runs = long.rows(f"select count(*) from {internal}.runs")[0][0]
    long.execute(
        f"update {internal}.runs set opened_at = opened_at - interval '400 days';"
        f"update {internal}.backfills set started_at = started_at - interval '400 days',"
        " finished_at = finished_at - interval '400 days';"
        f"insert into {internal}.transaction_horizons"
        " select now() - n * interval '1 hour', now() - n * interval '1 hour'"
        " from generate_series(2, 9) as n"
    )
    long.execute(INCIDENTS)
    # What a killed run left, and what one leaves that may still be loaded.
    with long.connect("run", writes_sources=False) as connection:
        for state in ("failed", "open"):
            opened = run.open_run(connection, long.settings, at=None, run_key=state)
            extract.customers(connection, long.settings, opened)
            extract.events(connection, long.settings, opened)
            connection.execute(
                f"update {internal}.runs set state = %s where run_key = %s", [state, state]
            )
    extracts = f"select count(distinct run_id) from {internal}.extracts"
    assert long.rows(extracts) == [(2,)]

    would = forgotten(long, dry_run=True)
    assert long.rows(extracts) == [(2,)]
    part = forgotten(long)
    assert (part.removed, part.notes) == (would.removed, would.notes)
    assert part.removed > runs
    assert part.bytes_removed == would.bytes_removed > 0
    assert f"{runs} of runs" in part.notes
    assert "1 of backfills" in part.notes
    assert {"2 of mails", "1 of incidents", "1 of task failures"} <= set(part.notes)
    # The one that is not over, what was told of it, and the mail that waits.
    assert long.rows(f"select subject from {internal}.incidents") == [("freshness",)]
    assert long.rows(f"select key from {internal}.mails order by 1") == [("told",), ("waits",)]
    assert long.rows(f"select count(*) from {internal}.incident_changes") == [(1,)]
    assert long.rows(f"select run_key from {internal}.runs order by 1") == [("failed",), ("open",)]
    assert long.rows(extracts) == [(1,)]
    assert forgotten(long).removed == 0


def test_a_run_whose_snapshot_got_lost_is_remembered(long: Any) -> None:
    internal = "consumer_analytics_internal"
    lost = midnight(TODAY - 3 * DAY) + dt.timedelta(hours=7)
    long.execute("delete from consumer_analytics where snapshot_timestamp = %s", [lost])
    long.execute(f"update {internal}.runs set opened_at = opened_at - interval '400 days'")
    forgotten(long)
    with long.connect("audit", writes_sources=False) as connection:
        assert set(audit.audit(connection, long.settings).wrong_snapshots) == {lost}


# -- the command ---------------------------------------------------------------


def test_the_command_tells_does_and_records(long: Any, cli: Any) -> None:
    env = {f"CONSUMER_ANALYTICS_{name.upper()}": str(value) for name, value in POLICY.items()}
    expected = kept_of(instants(long), EVERY, DAILY)
    would = cli("maintenance", "--dry-run", env=env)
    assert would.exit_code == 0, would.stderr
    assert "snapshots: would remove" in would.stdout
    assert would.stderr.startswith("looking after snapshots\n")
    assert len(instants(long)) == 126
    assert long.rows("select count(*) from consumer_analytics_internal.maintenance") == [(0,)]

    done = cli("maintenance", "--json", env=env)
    assert done.exit_code == 0, done.stderr
    parts = {part["part"]: part for part in done.json["parts"]}
    assert instants(long) == expected
    assert parts["snapshots"]["removed"] > 0
    # So small a table has grown by the map of its free room.
    assert parts["snapshots"]["bytes_removed"] < parts["snapshots"]["bytes_before"]
    assert parts["snapshots"]["bytes_after"] > 0
    # There is no Airflow here, which is said and no failure.
    assert parts["Airflow's logs"]["skipped"] == "Airflow is not set up on this machine"
    ((who, recorded, ended),) = long.rows(
        "select requested_by, parts, finished_at is not null "
        "from consumer_analytics_internal.maintenance"
    )
    assert who.startswith("cli:")
    assert recorded == done.json["parts"]
    assert ended


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"KEEP_DAILY_SNAPSHOTS_DAYS": "10"},
            "KEEP_SNAPSHOTS_DAYS must be set to that or less, and is unset",
        ),
        (
            {"KEEP_DAILY_SNAPSHOTS_DAYS": "10", "KEEP_SNAPSHOTS_DAYS": "20"},
            "KEEP_SNAPSHOTS_DAYS must be set to that or less, and is 20",
        ),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(
    cli: Any, changes: dict[str, str], told: str
) -> None:
    done = cli("maintenance", env={f"CONSUMER_ANALYTICS_{name}": n for name, n in changes.items()})
    assert done.exit_code == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
