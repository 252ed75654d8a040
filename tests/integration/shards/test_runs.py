"""Runs over several shards: as if one database had all their rows."""

from __future__ import annotations

import json
import threading
import uuid
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import Database
from tests.integration.shards.conftest import NAMES, Federation, documents, instant
from tests.support import lanes

from consumer_analytics import Analytics, backfill
from consumer_analytics.db import locks
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import ConsumerAnalyticsError, ShardsError, UsageError
from consumer_analytics.etl import run as etl_run
from consumer_analytics.fields import Secret
from consumer_analytics.operations.snapshots import Selection
from consumer_analytics.reconcile.audit import audit
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.shards import audits, backfills, removals, runs, sessions

A, B, C, STRANGER = (uuid.UUID(int=n) for n in (0xA, 0xB, 0xC, 0xF))


def add_consumer(shard: Database, consumer: uuid.UUID, at: str = "2025-01-01") -> None:
    """Register a consumer."""
    shard.execute("insert into consumers values (%s, 'one', 'ACTIVE', %s)", [consumer, at])


def add_customer(
    shard: Database,
    consumer: uuid.UUID | None,
    at: str,
    status: str = "ACTIVE",
    number: int | None = None,
) -> uuid.UUID:
    """Add a customer, with the event that tells of it."""
    customer = uuid.uuid4() if number is None else uuid.UUID(int=number)
    shard.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, %s, %s)",
        [customer, consumer, status, at],
    )
    add_event(shard, consumer, at, "customer_creation", customer, {"status": status})
    return customer


def add_event(
    shard: Database,
    consumer: uuid.UUID | None,
    at: str,
    kind: str | None = "login",
    customer: uuid.UUID | None = None,
    payload: dict[str, Any] | None = None,
) -> None:
    """Add an event."""
    shard.execute(
        "insert into customer_events values (%s, %s, %s, %s, %s, %s)",
        [uuid.uuid4(), customer, consumer, kind, json.dumps(payload or {}), at],
    )


def fill(federation: Federation) -> None:
    """Give A to one shard, B to two and C to all; and somebody without a row anywhere."""
    east, west, north = (federation.shards[name] for name in NAMES)
    add_consumer(east, A)
    for shard in (east, west):
        add_consumer(shard, B)
    # Registered in one shard, with rows in all.
    add_consumer(north, C, "2025-01-02 03:04:05.678901")
    for day, shard in enumerate((east, west, north), 1):
        for hour in range(3):
            add_customer(shard, C, f"2025-01-0{day} 0{hour}:07:01.000{day}", "BLOCKED")
            add_event(shard, C, f"2025-01-0{day} 1{hour}:00", "purchase")
    add_customer(east, A, "2025-01-02 10:00")
    add_customer(east, B, "2025-01-02 11:11:11.111111", "INACTIVE")
    add_customer(west, B, "2025-01-03 12:34:56.789")
    # A life in one shard: created, changed, deleted, and begun again.
    gone = add_customer(west, B, "2025-01-01 08:00")
    add_event(
        west,
        B,
        "2025-01-02 09:00",
        "customer_status_change",
        gone,
        {"old_status": "ACTIVE", "new_status": "BLOCKED"},
    )
    add_event(west, B, "2025-01-03 09:00", "customer_deletion", gone, {"status": "BLOCKED"})
    west.execute("delete from customers where customer_id = %s", [gone])
    # At one instant in two shards, and exactly at a snapshot's.
    for shard in (east, north):
        add_event(shard, C, "2025-01-03 00:00", "tie")
        add_event(shard, None, "2025-01-02 23:59:59.999999", None)
        add_customer(shard, None, "2025-01-02 23:59:59.999999", "PENDING_AML")
    add_event(north, STRANGER, "2025-01-02 05:00", " ")


@pytest.mark.both_versions
def test_what_is_published_is_what_one_database_would_say(federation: Federation) -> None:
    fill(federation)
    for at in ("2025-01-02T00:00Z", "2025-01-03T00:00Z", "2025-01-04T06:00Z"):
        summary = federation.run(at)
        federation.unite()
        federation.run_alone(at)
        assert summary.shards.keys() == set(NAMES)
    assert federation.require_equal() == 3 * 4 + 2
    mark = "select last_processed_timestamp, last_run_status from etl_job_watermarks"
    assert federation.analytics.rows(mark) == federation.alone.rows(mark)
    ((told,),) = federation.analytics.rows("select metadata_json from etl_job_watermarks")
    ((known,),) = federation.alone.rows("select metadata_json from etl_job_watermarks")
    for name in ("window_start", "window_end", "new_events", "new_customers", "bad_rows"):
        assert told[name] == known[name], name


@pytest.mark.long
def test_a_program_works_over_all_shards_as_the_command_line_does(federation: Federation) -> None:
    fill(federation)
    analytics = Analytics(federation.analytics.url, shards_file=str(federation.file))
    assert analytics.run("2025-01-04T06:00Z").shards.keys() == set(NAMES)
    assert analytics.backfill("2025-01-01", "2025-01-04").shards.keys() == set(NAMES)
    federation.unite()
    alone = Analytics(federation.alone.url)
    alone.run("2025-01-04T06:00Z")
    alone.backfill("2025-01-01", "2025-01-04")
    assert federation.require_equal() == 4 * 4 + 3
    with pytest.raises(UsageError, match="lies before the first row"):
        analytics.run("1960-01-01")


def test_a_transaction_that_is_open_in_one_shard_holds_all_of_them_back(
    federation: Federation,
) -> None:
    fill(federation)
    federation.run("2025-01-04T00:00Z")
    impatient = federation.settings.replaced({"holdback_wait": 0.3})
    with psycopg.connect(federation.shards["west"].url) as writer:
        writer.execute(
            "insert into customer_events (event_id, consumer_id, event_type) values (%s, %s, 'x')",
            [uuid.uuid4(), B],
        )
        now = federation.shards["east"].rows("select now()")[0][0]
        told: list[str] = []
        summary = runs.run(impatient, at=now, named=True, notify=told.append)
        held = summary.whole.held_back_by
        assert [one["shard"] for one in held] == ["west"]
        assert any(line.startswith("shard west: held back by pid") for line in told)
        assert summary.whole.window is not None
        assert summary.whole.window[1] < now
        # No shard has gone further than the one that was held back.
        reached = {
            shard.rows("select processed_through from consumer_analytics_internal.state")[0][0]
            for shard in federation.shards.values()
        }
        assert reached == {summary.whole.window[1]}
    federation.run()
    # And the instant that was asked for has its snapshot, which all were held back from.
    assert now in federation.instants()
    federation.replay()
    federation.require_equal()


def test_a_shard_that_is_down_is_named_and_nothing_is_written_anywhere(
    federation: Federation,
) -> None:
    fill(federation)
    federation.run("2025-01-02T00:00Z")
    before = federation.state()
    urls = {name: shard.url for name, shard in federation.shards.items()}
    nowhere = {**conninfo_to_dict(urls["north"]), "host": "127.0.0.1", "port": "1"}
    federation.write_file({**urls, "north": make_conninfo("", **nowhere)})
    with pytest.raises(
        ShardsError, match=r"^shard north: the database cannot be reached"
    ) as failed:
        federation.run("2025-01-03T00:00Z")
    assert "its url in the file that CONSUMER_ANALYTICS_SHARDS_FILE names" in str(failed.value)
    assert federation.state() == before
    ((status, told),) = federation.analytics.rows(
        "select last_run_status, metadata_json from etl_job_watermarks"
    )
    assert status == "failed"
    assert told["error"].startswith("shard north: ")
    federation.write_file()
    federation.run("2025-01-03T00:00Z")
    federation.replay()
    federation.require_equal()


def test_what_one_shard_could_not_load_the_next_run_finishes_first(federation: Federation) -> None:
    fill(federation)
    federation.run("2025-01-02T00:00Z")
    published = federation.analytics.rows("select count(*) from consumer_analytics")
    impatient = federation.settings.replaced({"lock_wait": 0.5})
    with federation.shards["west"].connect() as other, other.transaction():
        locks.take(other, Lock.JOB)
        with pytest.raises(ShardsError, match=r"^shard west: another run is still at work"):
            runs.run(impatient, at=instant("2025-01-03T00:00Z"), named=True)
    # The others have loaded; of it nothing is to be seen.
    counted = "select count(*) from consumer_analytics where snapshot_timestamp = '2025-01-03Z'"
    assert federation.shards["east"].rows(counted) != [(0,)]
    assert federation.shards["west"].rows(counted) == [(0,)]
    assert federation.analytics.rows("select count(*) from consumer_analytics") == published
    told: list[str] = []
    federation.run("2025-01-04T00:00Z", notify=told.append)
    assert any("was not published: it is finished first" in line for line in told)
    assert [at.day for at in federation.instants()] == [2, 3, 4]
    assert (
        federation.analytics.rows(
            "select state from consumer_analytics_internal.runs order by run_id"
        )
        == [("success",)] * 3
    )
    federation.replay()
    federation.require_equal()


@pytest.mark.long
def test_a_try_that_was_given_up_and_its_retry_at_once_count_once(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    federation.run("2025-01-02T00:00Z")
    # As where the session that had the turn was cut off, and the process at work does not know.
    monkeypatch.setattr(sessions, "turn", lambda _: nullcontext())
    failures: list[Exception] = []

    def one() -> None:
        try:
            federation.run("2025-01-03T00:00Z", run_key="scheduled")
        except Exception as error:  # noqa: BLE001  (looked at below)
            failures.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(failures) < 2
    assert all(isinstance(one, ConsumerAnalyticsError | psycopg.Error) for one in failures)
    monkeypatch.undo()
    federation.run("2025-01-04T00:00Z")
    federation.replay()
    federation.require_equal()
    assert federation.analytics.rows("select count(*) from consumer_analytics_revisions") == [(0,)]


@pytest.mark.long
def test_an_older_instant_and_a_watermark_set_by_hand_are_as_in_one_database(
    federation: Federation,
) -> None:
    fill(federation)
    ats = ["2025-01-03T00:00Z", "2025-01-04T00:00Z", "2025-01-02T12:00Z"]
    for at in ats:
        federation.run(at)
    federation.unite()
    for at in ats:
        federation.run_alone(at)
    # Late, and taken in since the watermark says so.
    add_event(federation.shards["north"], B, "2025-01-01 12:00", "late")
    add_event(federation.alone, B, "2025-01-01 12:00", "late")
    for database in (federation.analytics, federation.alone):
        database.execute(
            "update etl_job_watermarks set last_processed_timestamp = '1970-01-01Z' "
            "where job_name = 'consumer_analytics_daily'"
        )
    summary = federation.run("2025-01-05T00:00Z")
    federation.run_alone("2025-01-05T00:00Z")
    assert summary.whole.corrections.found == 1
    federation.require_equal()
    kept = (
        "select consumer_id, snapshot_timestamp::text, metrics_json::text "
        "from consumer_analytics_revisions order by 1, 2"
    )
    assert federation.analytics.rows(kept) == federation.alone.rows(kept)
    assert len(federation.alone.rows(kept)) == 6


def test_an_instant_before_the_first_row_of_all_is_refused(federation: Federation) -> None:
    fill(federation)
    with pytest.raises(UsageError, match="before the first row, of 2025-01-01T00:00:00"):
        federation.run("2024-12-31T00:00Z")
    # North's own first row is of the third of January.
    federation.run("2025-01-02T00:00Z")


@pytest.mark.parametrize(
    "wrong", lanes.first(2, ["one database", "swapped", "added", "removed", "own", "shared"])
)
def test_databases_that_are_not_what_the_file_says_are_refused(
    federation: Federation, new_database: Any, wrong: str
) -> None:
    urls = {name: shard.url for name, shard in federation.shards.items()}
    if wrong == "one database":
        federation.write_file({"east": urls["east"], "west": urls["east"]})
        with pytest.raises(ShardsError, match="the file has its database twice"):
            federation.run()
        return
    fill(federation)
    federation.run("2025-01-02T00:00Z")
    messages = {
        "swapped": "^shard west: the database is the shard north; call it that in the file",
        "removed": "^shard north is not in the file",
        "added": "^shard south is new, and figures .* `consumer-analytics docs shards` says how$",
        "own": "^shard west: it is the database that figures are put together in",
        "shared": "^shard east: its figures go to another database",
    }
    changed = {
        "swapped": {**urls, "west": urls["north"], "north": urls["west"]},
        "removed": {"east": urls["east"], "west": urls["west"]},
        "added": {**urls, "south": new_database().url},
        "own": {**urls, "west": federation.analytics.url},
        "shared": urls,
    }
    federation.write_file(changed[wrong])
    before = federation.state()
    settings = federation.settings
    if wrong == "shared":
        settings = settings.replaced({"database_url": Secret(new_database().url)})
    with pytest.raises(ShardsError, match=messages[wrong]):
        runs.run(settings, at=instant("2025-01-03T00:00Z"), named=True)
    assert federation.state() == before


def test_a_database_with_figures_of_its_own_is_not_one_to_put_them_together_in(
    federation: Federation,
) -> None:
    fill(federation)
    federation.unite()
    federation.run_alone("2025-01-02T00:00Z")
    settings = federation.settings.replaced({"database_url": Secret(federation.alone.url)})
    with pytest.raises(ShardsError, match="has snapshots of its own"):
        runs.run(settings)


def test_a_database_with_rows_of_its_own_is_not_one_to_put_figures_together_in(
    federation: Federation,
) -> None:
    """They were in no figure, and nothing said so."""
    fill(federation)
    before = federation.state()
    add_customer(federation.analytics, C, "2025-01-01 12:00")
    said = r"^the database has rows in customers and customer_events, which would be in no figure: "
    with pytest.raises(ShardsError, match=said):
        federation.run("2025-01-03T00:00Z")
    assert federation.state() == before
    # A database may have had one of the names before, and then got none of the others.
    federation.analytics.execute("truncate customer_events; drop table customers")
    federation.run("2025-01-03T00:00Z")


@pytest.mark.long
def test_what_shards_have_written_is_published_in_a_new_database(
    federation: Federation, new_database: Any
) -> None:
    fill(federation)
    backfills.backfill(
        federation.settings, backfill.request_of("2025-01-01", "2025-01-04", "daily")
    )
    for at in ("2025-01-04T12:00Z", "2025-01-05T12:00Z"):
        federation.run(at)
    before = documents(federation.analytics)
    for shard in federation.shards.values():
        shard.execute("delete from consumer_analytics_internal.federation")
    # One of them has run by itself as well.
    with federation.shards["west"].connect(writes_sources=False) as connection:
        etl_run.run(connection, federation.shards["west"].settings, at=instant("2025-01-05T18:00Z"))
    federation = replace(federation, analytics=new_database())
    told: list[str] = []
    federation.run("2025-01-06T12:00Z", notify=told.append)
    assert any(line.startswith("not published: 2025-01-05 18:00") for line in told)
    after = documents(federation.analytics)
    assert {key: after[key] for key in before} == before
    assert len(after) == len(before) + 5
    window = federation.analytics.rows(
        "select metrics_json #>> '{incremental_stats,window_start}' from consumer_analytics "
        "where consumer_id is null and snapshot_timestamp = '2025-01-06T12:00Z'"
    )
    assert window == [("2025-01-05T12:00:00+00:00",)]
    assert audits.audit(federation.settings).clean


@pytest.mark.long
def test_a_shard_that_joins_later_is_in_what_a_new_database_publishes(
    federation: Federation, new_database: Any
) -> None:
    fill(federation)
    for at in ("2025-01-03T00:00Z", "2025-01-04T12:00Z"):
        federation.run(at)
    # It has a past, and has worked by itself.
    south = new_database()
    add_customer(south, B, "2025-01-02 15:00")
    with south.connect(writes_sources=False) as connection:
        etl_run.run(connection, south.settings, at=instant("2025-01-04T00:00Z"))
    for shard in federation.shards.values():
        shard.execute("delete from consumer_analytics_internal.federation")
    federation = replace(
        federation, analytics=new_database(), shards={**federation.shards, "south": south}
    )
    federation.write_file()
    told: list[str] = []
    federation.run("2025-01-06T00:00Z", notify=told.append)
    assert any(text.startswith("not published: 2025-01-03 00:00:00 UTC") for text in told), told
    # What some have alone, or for another window, is taken back.
    waiting = "select snapshot_timestamp from consumer_analytics_internal.shards_awaited order by 1"
    waited = tuple(at for (at,) in federation.analytics.rows(waiting))
    assert len(waited) == 3
    removals.remove(federation.settings, Selection(waited), who="tester")
    days = backfill.request_of("2025-01-01", "2025-01-06", "daily")
    backfills.backfill(federation.settings, days)
    federation.unite()
    federation.run_alone("2025-01-06T00:00Z")
    with federation.alone.connect(writes_sources=False) as connection:
        backfill.backfill(connection, federation.alone.settings, days)
    told_of, known = documents(federation.analytics), documents(federation.alone)
    assert told_of.keys() == known.keys()
    for key, document in known.items():
        one, other = json.loads(told_of[key]), json.loads(document)
        # Shards that had the snapshot before keep its window.
        for of in (one, other):
            del of["snapshot_source"], of["incremental_stats"]
        assert one == other, key
    assert federation.analytics.rows(waiting) == []


def test_one_of_several_is_not_worked_in_alone(federation: Federation) -> None:
    fill(federation)
    federation.run("2025-01-02T00:00Z")
    for database, message in (
        (federation.shards["west"], "the shard west of another one's figures"),
        (federation.analytics, "put together from shards"),
    ):
        with database.connect(writes_sources=False) as connection:
            one = (connection, database.settings)
            asked = backfill.request_of("2025-01-01", "2025-01-03", "daily")
            for work in (etl_run.run, sweep, audit, partial(backfill.backfill, request=asked)):
                with pytest.raises(ShardsError, match=message):
                    work(*one)
