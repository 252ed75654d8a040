"""Backfills, sweeps and capture over several shards: as if one database had all their rows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.integration.shards.conftest import Federation, documents
from tests.integration.shards.test_runs import (
    A,
    B,
    C,
    add_customer,
    add_event,
    fill,
)
from tests.support import lanes

from consumer_analytics import backfill
from consumer_analytics.backfill import Request
from consumer_analytics.errors import ShardsError, UsageError
from consumer_analytics.etl import capture, vanished
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.shards import audits, backfills, repairs, runs, together

#: What each row said before it was restated. Between two steps of a sweep one database reports what
#: is half right; what is put together is so after both.
REVISIONS = (
    "select distinct on (consumer_id, snapshot_timestamp) consumer_id, "
    "snapshot_timestamp::text, metrics_json::text "
    "from consumer_analytics_revisions order by 1, 2, revision_id"
)


def request(start: str, end: str, interval: str = "daily") -> Request:
    """Return what a person asks for."""
    return backfill.request_of(start, end, interval)


def backfill_alone(federation: Federation, asked: Request) -> None:
    """Do the same in the database that has all rows."""
    with federation.alone.connect(writes_sources=False) as connection:
        backfill.backfill(connection, federation.alone.settings, asked)


def test_a_backfill_writes_what_one_database_would(federation: Federation) -> None:
    fill(federation)
    # The first row of all is east's; north has nothing before the third.
    asked = request("2024-12-25", "2025-01-08")
    done = backfills.backfill(federation.settings, asked)
    assert done is not None
    federation.unite()
    backfill_alone(federation, asked)
    rows = federation.require_equal()
    assert done.whole.snapshots_written == rows > 20
    assert done.whole.periods_before_first_row == 7
    again = backfills.backfill(federation.settings, asked)
    assert again is not None
    assert (again.whole.snapshots_written, again.whole.snapshots_restated) == (0, 0)
    assert again.whole.snapshots_untouched == rows
    # A run over what was backfilled, and a backfill over what has come late since.
    federation.run("2025-01-05T12:00Z")
    federation.run_alone("2025-01-05T12:00Z")
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, "2025-01-06 12:00", "late")
        add_customer(database, B, "2025-01-06 13:00", number=0xC1)
    backfills.backfill(federation.settings, asked)
    backfill_alone(federation, asked)
    federation.require_equal()
    assert federation.analytics.rows(REVISIONS) == federation.alone.rows(REVISIONS)
    records = federation.analytics.rows(
        "select state, periods_done from consumer_analytics_internal.backfills order by backfill_id"
    )
    assert records == [("done", 7)] * 3


@pytest.mark.long
def test_a_period_that_one_shard_was_held_back_from_waits_for_it(federation: Federation) -> None:
    fill(federation)
    impatient = federation.settings.replaced({"holdback_wait": 0.3})
    (today,) = federation.analytics.rows("select current_date::text, (current_date - 3)::text")
    asked = request(today[1], today[0])
    # Of three periods the last ends this midnight: to be after it, a transaction cannot begin so
    # early; one that is prepared tells of no beginning at all.
    with psycopg.connect(federation.shards["west"].url, autocommit=True) as writer:
        writer.execute("begin")
        writer.execute(
            "insert into customer_events (event_id, consumer_id, event_type) values (%s, %s, 'x')",
            [uuid.uuid4(), B],
        )
        writer.execute("prepare transaction 'held'")
    with pytest.raises(ShardsError, match=r"^shard west: 3 of 3 periods"):
        backfills.backfill(impatient, asked)
    assert documents(federation.analytics) == {}
    with psycopg.connect(federation.shards["west"].url, autocommit=True) as writer:
        writer.execute("commit prepared 'held'")
    backfills.backfill(federation.settings, asked)
    federation.unite()
    backfill_alone(federation, asked)
    assert federation.require_equal() > 0


def test_a_sweep_publishes_what_changes_and_nothing_else(federation: Federation) -> None:
    fill(federation)
    for day in range(2, 7):
        federation.run(f"2025-01-0{day}T00:00Z")
    federation.replay()
    federation.require_equal()
    created = "select analytics_id, xmin::text from consumer_analytics where consumer_id = %s"
    before = federation.analytics.rows(created, [A])
    # Late, changed, gone, corrected: in several shards.
    east, west = federation.shards["east"], federation.shards["west"]
    for database in (west, federation.alone):
        add_event(database, C, "2025-01-04 12:00", "late")
        add_customer(database, B, "2025-01-04 13:00", "BLOCKED", number=0xC2)
    for database in (east, federation.alone):
        database.execute(
            "update customers set created_at = created_at - interval '1 day 1 hour' "
            "where consumer_id = %s and status = 'INACTIVE'",
            [B],
        )
    found = repairs.sweep(federation.settings, lambda _: None, since=None)
    with federation.alone.connect(writes_sources=False) as connection:
        alone = sweep(connection, federation.alone.settings)
    assert found.whole.events_found == alone.events_found == 2
    federation.require_equal()
    assert federation.analytics.rows(REVISIONS) == federation.alone.rows(REVISIONS)
    assert found.whole.snapshots_restated == len(federation.alone.rows(REVISIONS)) == 11
    assert federation.analytics.rows(created, [A]) == before
    # A consumer that is found late has rows from then on; one that goes loses them.
    for database in (federation.shards["north"], federation.alone):
        database.execute(
            "insert into consumers values (%s, 'late', 'ACTIVE', '2025-01-03 12:00')",
            [uuid.UUID(int=0xD)],
        )
    for _ in range(2):
        repairs.sweep(federation.settings, lambda _: None)
        with federation.alone.connect(writes_sources=False) as connection:
            sweep(connection, federation.alone.settings)
        federation.require_equal()
        for database in (federation.shards["north"], federation.alone):
            database.execute("delete from consumers where consumer_id = %s", [uuid.UUID(int=0xD)])
    told = [key for key in documents(federation.analytics) if key[0] == str(uuid.UUID(int=0xD))]
    assert told == []
    assert federation.analytics.rows(REVISIONS) == federation.alone.rows(REVISIONS)


EDITED = {
    "a sum": ("consumer_id is null", "{total_events_all_consumers}", '"many"'),
    "a consumer's map": (f"consumer_id = '{B}'", "{events_by_type}", '{"login": 1.5}'),
    "a consumer's window": (f"consumer_id = '{B}'", "{incremental_stats}", "7"),
}


@pytest.mark.long
@pytest.mark.parametrize("edited", EDITED)
def test_an_edited_row_of_one_shard_keeps_nothing_but_its_instant_from_a_sweep(
    federation: Federation, edited: str
) -> None:
    fill(federation)
    for day in range(2, 7):
        federation.run(f"2025-01-0{day}T00:00Z")
    federation.replay()
    whose, path, value = EDITED[edited]
    federation.shards["east"].execute(
        "update consumer_analytics set metrics_json = jsonb_set(metrics_json, %s, %s) "
        f"where snapshot_timestamp = '2025-01-05' and {whose}",
        [path, value],
    )
    for database in (federation.shards["west"], federation.alone):
        add_event(database, B, "2025-01-03 12:00", "late")
    told: list[str] = []
    repairs.sweep(federation.settings, told.append)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)
    kept = [one for one in told if "no longer what was written" in one]
    assert len(kept) == 1
    assert kept[0].startswith("not published: 2025-01-05 00:00:00 UTC, as a shard's snapshot")
    ours, right = documents(federation.analytics), documents(federation.alone)
    assert {key[1] for key in right if ours.get(key) != right[key]} == {"2025-01-05 00:00:00+00"}
    # The next command says so again, until it is put right.
    told.clear()
    repairs.sweep(federation.settings, told.append)
    assert [one for one in told if "no longer what was written" in one] == kept
    audits.audit(federation.settings, repair=True)
    federation.require_equal()
    assert audits.audit(federation.settings).clean


#: What somebody may have written in the place of how many consumers there are.
NO_COUNT = ['"many"', "null", "{}", "[3]", "1e30", '"3"']


@pytest.mark.parametrize("said", lanes.first(0, NO_COUNT, long=1))
def test_an_edited_number_of_consumers_stops_nobody(federation: Federation, said: str) -> None:
    """Where rows are added to what was published; what was no number is counted again."""
    fill(federation)
    for day in range(2, 5):
        federation.run(f"2025-01-0{day}T00:00Z")
    federation.replay()
    federation.analytics.execute(
        "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
        "'{consumers_in_system}', %s) where consumer_id is null",
        [said],
    )
    for database in (federation.shards["west"], federation.alone):
        add_event(database, B, "2025-01-02 12:00", "late")
        # A consumer more at what was published.
        add_event(database, uuid.UUID(int=0xD), "2025-01-02 13:00", "late")
    repairs.sweep(federation.settings, lambda _: None)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)
    ours, right = documents(federation.analytics), documents(federation.alone)
    wrong = {key[1] for key in right if ours.get(key) != right[key]}
    assert wrong == {"2025-01-02 00:00:00+00"}, "which nothing was added to"
    audits.audit(federation.settings, repair=True)
    federation.require_equal()
    assert audits.audit(federation.settings).clean


@pytest.mark.long
def test_capture_in_every_shard_lets_the_next_run_repair(federation: Federation) -> None:
    fill(federation)
    federation.run("2025-01-05T00:00Z")
    federation.replay()
    status, _ = repairs.capture(federation.settings, "test", repairs.enable)
    assert {one.state for one in status.values()} == {"on"}
    with federation.alone.connect(writes_sources=False) as connection:
        capture.enable(connection, federation.alone.settings)
    at = "2025-01-06T00:00Z"
    federation.run(at)
    federation.run_alone(at)
    for database in (federation.shards["west"], federation.alone):
        # Weeks before anything that a sweep looks at, and a row that goes without an event.
        add_event(database, B, "2024-11-01 12:00", "old")
        database.execute(
            "delete from customers where customer_id = (select customer_id from customers "
            "where consumer_id = %s and created_at::date = '2025-01-03')",
            [B],
        )
    summary = federation.run("2025-01-07T00:00Z")
    federation.run_alone("2025-01-07T00:00Z")
    assert summary.whole.corrections.found == 1
    federation.require_equal()
    assert federation.analytics.rows(REVISIONS) == federation.alone.rows(REVISIONS)
    status, _ = repairs.capture(federation.settings, "test", repairs.disable)
    assert {one.state for one in status.values()} == {"off"}


@pytest.mark.long
def test_what_a_sweep_found_and_could_not_publish_the_next_command_publishes(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    for day in range(2, 5):
        federation.run(f"2025-01-0{day}T00:00Z")
    federation.replay()
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, "2025-01-01 12:00", "late")

    class KilledError(Exception):
        pass

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(together, "publish", killed)
        with pytest.raises(KilledError):
            repairs.sweep(federation.settings, lambda _: None)
    runs.run(federation.settings)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)
    federation.run_alone(federation.instants()[-1])
    federation.require_equal()


@pytest.mark.long
def test_what_was_thinned_is_not_published_again(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    for at in ("2025-01-03T00:00Z", "2025-01-03T12:00Z", "2025-01-04T00:00Z", "2025-01-05T00:00Z"):
        federation.run(at)
    thinned = federated("maintenance", env={"CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS": "30"})
    assert thinned.exit_code == 0, thinned.stderr
    left = federation.instants()
    assert len(left) == 3
    # It concerns those that are gone as well, which the shards still have.
    add_event(federation.shards["west"], C, "2025-01-02 12:00", "late")
    repairs.sweep(federation.settings, lambda _: None)
    assert federation.instants() == left
    told = federation.analytics.rows(
        "select distinct metrics_json #>> '{events_by_type,late}' from consumer_analytics "
        "where consumer_id = %s",
        [C],
    )
    assert told == [("1",)]
    assert audits.audit(federation.settings).clean


@pytest.mark.long
def test_what_was_purged_in_a_shard_stays_counted_until_it_is_accepted(
    federation: Federation,
) -> None:
    fill(federation)
    for day in (3, 4):
        federation.run(f"2025-01-0{day}T00:00Z")
    # Far enough from there that a sweep does not take it for a correction.
    for day in (1, 20):
        federation.run(f"2025-02-{day:02}T00:00Z")
    federation.replay()
    purge = "delete from customer_events where event_type = 'purchase' and consumer_id = %s"
    for database in (*federation.shards.values(), federation.alone):
        database.execute(purge, [C])
    federation.run("2025-02-21T00:00Z")
    federation.run_alone("2025-02-21T00:00Z")
    federation.require_equal()
    found = repairs.sweep(federation.settings, lambda _: None, since=dt.date(2025, 1, 1))
    with federation.alone.connect(writes_sources=False) as connection:
        alone = sweep(connection, federation.alone.settings, since=dt.date(2025, 1, 1))
    assert found.whole.noted_as_vanished == alone.noted_as_vanished == 9
    federation.require_equal()
    nobody = vanished.Choice(consumers=(str(uuid.UUID(int=9)),))
    with pytest.raises(UsageError, match="9 is unknown"):
        repairs.sweep(federation.settings, lambda _: None, accepted=nobody)
    with pytest.raises(UsageError, match="event type 'logon' is unknown"):
        repairs.sweep(
            federation.settings, lambda _: None, accepted=vanished.Choice(types=("logon",))
        )
    # Two of the three shards have no row of it.
    of_one = vanished.Choice(consumers=(str(C),), types=("customer_creation",))
    assert not repairs.sweep(federation.settings, lambda _: None, accepted=of_one).whole.differences
    repairs.sweep(federation.settings, lambda _: None, accepted=vanished.EVERYTHING)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings, accepted=vanished.EVERYTHING)
    federation.require_equal()
    told = federation.analytics.rows(
        "select distinct metrics_json #>> '{events_by_type,purchase}' from consumer_analytics"
    )
    assert told == [(None,)]
    assert audits.audit(federation.settings).clean
