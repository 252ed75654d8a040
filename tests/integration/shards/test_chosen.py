"""Backfills of chosen consumers over several shards: as if one database had all their rows."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.conftest import Database
from tests.integration.shards.conftest import Federation, documents
from tests.integration.shards.test_repairs import REVISIONS, backfill_alone
from tests.integration.shards.test_runs import A, B, C, add_customer, add_event, fill

from consumer_analytics import backfill
from consumer_analytics.backfill import Request
from consumer_analytics.errors import ShardsError, UsageError
from consumer_analytics.operations import snapshots
from consumer_analytics.operations.snapshots import Selection, SnapshotEntry
from consumer_analytics.reconcile import audit
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.shards import audits, backfills, repairs

#: Registered in one shard, and nowhere else.
D = uuid.UUID("00000000-0000-0000-0000-0000000000dd")
#: What was written apart, and which instants were written whole.
NOTED = (
    "select snapshot_timestamp::text, written.is_whole, apart.window_start::text, "
    "array(select unnest(apart.consumers) order by 1) "
    "from consumer_analytics_internal.written_snapshots as written "
    "left join consumer_analytics_internal.written_apart as apart using (snapshot_timestamp) "
    "order by 1, 3"
)


def chosen(start: str, end: str, *consumers: uuid.UUID, interval: str = "daily") -> Request:
    """Return what a person asks for."""
    return backfill.request_of(start, end, interval, consumers=[str(one) for one in consumers])


def listed(database: Database) -> list[SnapshotEntry]:
    """Return what `snapshots list` tells."""
    with database.connect(writes_sources=False) as connection:
        return list(snapshots.listing(connection, Selection()).entries)


def backfill_both(federation: Federation, asked: Request) -> backfills.ShardedBackfill:
    """Backfill over the shards, and in the database that has all rows."""
    done = backfills.backfill(federation.settings, asked)
    backfill_alone(federation, asked)
    assert done is not None
    return done


def require_same(federation: Federation) -> int:
    """Require the same rows, revisions and notes of what was written; return how many rows."""
    rows = federation.require_equal()
    for statement in (REVISIONS, NOTED):
        assert federation.analytics.rows(statement) == federation.alone.rows(statement)
    told = audits.audit(federation.settings)
    assert told.clean, json.dumps(told.as_json(), default=str, indent=1)
    return rows


def repair_alone(federation: Federation) -> None:
    """Let an audit put right what differs in the database that has all rows."""
    with federation.alone.connect(writes_sources=False) as connection:
        settings = federation.alone.settings
        audit.repair(connection, settings, audit.audit(connection, settings))


def test_chosen_consumers_rows_add_up_over_the_shards_that_have_them(
    federation: Federation,
) -> None:
    fill(federation)
    federation.unite()
    # A is in one shard, B in two, and C registered in one and at home in all.
    done = backfill_both(federation, chosen("2025-01-01", "2025-01-05", A, B, C))
    assert federation.require_equal() == done.whole.snapshots_written == 4 + 4 + 4
    assert federation.instants() == []
    # In a shard in which one of them has nothing it is noted that it was asked for.
    shown = listed(federation.shards["north"])
    assert {one.state for one in shown} == {"chosen"}
    assert sorted(one.rows for one in shown) == [0, 1, 1, 1]


@pytest.mark.long
def test_chosen_consumers_rows_are_what_one_database_would_write(federation: Federation) -> None:
    fill(federation)
    federation.unite()
    # B is in two shards, and of C nothing is there before the second, of A nothing but in one.
    asked = chosen("2024-12-25", "2025-01-08", B, C)
    done = backfill_both(federation, asked)
    rows = require_same(federation)
    assert done.whole.snapshots_written == rows == 14
    assert (done.whole.periods, done.whole.periods_before_first_row) == (7, 7)
    assert federation.instants() == []
    again = backfill_both(federation, asked)
    assert (again.whole.snapshots_written, again.whole.snapshots_restated) == (0, 0)
    assert again.whole.snapshots_untouched == rows
    # Another window for what is there, and a consumer that one shard alone has.
    backfill_both(federation, chosen("2025-01-02", "2025-01-08", A, B, interval="weekly"))
    assert require_same(federation) == rows + 1
    # What has come late since is restated; where it is the consumer's first row in a shard, too.
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, "2025-01-02 12:00", "late")
        add_customer(database, A, "2025-01-02 13:00", number=0xC1)
    backfill_both(federation, chosen("2025-01-01", "2025-01-08", A, C))
    # What is new in the week that A was asked for first, a backfill of days cannot tell of what one
    # database has: an audit does.
    federation.run("2025-01-08T12:00Z")
    federation.run_alone("2025-01-08T12:00Z")
    repair_alone(federation)
    federation.require_equal()
    assert federation.analytics.rows(NOTED) == federation.alone.rows(NOTED)
    assert audits.audit(federation.settings).clean


@pytest.mark.long
def test_whole_snapshots_and_chosen_consumers_rows_may_come_in_any_order(
    federation: Federation,
) -> None:
    fill(federation)
    federation.unite()
    backfill_both(federation, chosen("2025-01-01", "2025-01-08", A, B))
    backfill_both(federation, chosen("2025-01-01", "2025-01-08", C, interval="weekly"))
    require_same(federation)
    # It has been read when the others of the snapshot come, and some of it has changed.
    for database in (federation.shards["north"], federation.alone):
        add_event(database, B, "2025-01-03 12:00", "late")
    backfill_both(federation, backfill.request_of("2025-01-03", "2025-01-08", "daily"))
    require_same(federation)
    for at in ("2025-01-03T00:00Z", "2025-01-08T12:00Z"):
        federation.run(at)
        federation.run_alone(at)
        require_same(federation)
    for database in (federation.shards["east"], federation.alone):
        add_event(database, C, "2025-01-06 12:00", "later")
        add_customer(database, B, "2025-01-05 13:00", number=0xC2)
    repairs.sweep(federation.settings, lambda _: None)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)
    federation.require_equal()
    backfill_both(federation, chosen("2025-01-01", "2025-01-09", A, B, C))
    require_same(federation)


@pytest.mark.long
def test_a_sweep_restates_chosen_consumers_rows_that_stand_alone(federation: Federation) -> None:
    fill(federation)
    federation.unite()
    backfill_both(federation, chosen("2025-01-01", "2025-01-07", A, B, C))
    federation.run("2025-01-08T00:00Z")
    federation.run_alone("2025-01-08T00:00Z")

    def swept() -> None:
        repairs.sweep(federation.settings, lambda _: None)
        with federation.alone.connect(writes_sources=False) as connection:
            sweep(connection, federation.alone.settings)
        require_same(federation)

    # Where it has rows, and its first one in a shard.
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, "2025-01-02 12:00", "late")
        add_event(database, A, "2025-01-02 13:00", "late")
    swept()
    # What it had in that shard goes again.
    for database in (federation.shards["west"], federation.alone):
        database.execute("delete from customer_events where event_type = 'late'")
    swept()
    for database in (federation.shards["west"], federation.alone):
        add_event(database, A, "2025-01-03 12:00", "later")
    swept()


def test_a_consumer_that_no_shard_knows_is_refused(federation: Federation) -> None:
    fill(federation)
    with pytest.raises(UsageError, match="is unknown: it is not in consumers"):
        backfills.backfill(
            federation.settings, chosen("2025-01-01", "2025-01-03", B, uuid.UUID(int=0xDD))
        )
    assert documents(federation.analytics) == {}


class KilledError(Exception):
    """A shard's session ended in the middle of its work."""


def dies_in_west(work: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a shard's session is handed to, dying where it is that of west."""

    def dying(connection: Any, *arguments: Any, **options: Any) -> Any:
        if connection.shard == "west":
            raise KilledError
        return work(connection, *arguments, **options)

    return dying


@pytest.mark.long
def test_what_one_shard_has_not_done_waits_until_the_next_try(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    federation.unite()
    asked = chosen("2025-01-01", "2025-01-05", A, B)
    urls = {name: shard.url for name, shard in federation.shards.items()}
    federation.write_file({**urls, "north": "postgresql://nobody@127.0.0.1:1/none"})
    with pytest.raises(ShardsError, match=r"^shard north: "):
        backfills.backfill(federation.settings, asked)
    federation.write_file()
    assert all(documents(shard) == {} for shard in federation.shards.values())
    with monkeypatch.context() as patch:
        patch.setattr(backfills, "backfill_one", dies_in_west(backfill.backfill))
        with pytest.raises(KilledError):
            backfills.backfill(federation.settings, asked)
    # East has its rows of A, whom no other shard knows; nobody but these can tell.
    assert documents(federation.shards["east"]) != {}
    told: list[str] = []
    repairs.sweep(federation.settings, told.append)
    assert documents(federation.analytics) == {}
    assert any(text.startswith("not published: 2025-01-02 00:00:00 UTC") for text in told), told
    waiting = "select count(*) from consumer_analytics_internal.shards_awaited"
    assert federation.analytics.rows(waiting) == [(4,)]
    assert audits.audit(federation.settings).clean
    backfill_both(federation, asked)
    assert require_same(federation) == 8
    assert federation.analytics.rows(waiting) == [(0,)]
    states = "select state from consumer_analytics_internal.backfills order by backfill_id"
    assert federation.analytics.rows(states) == [("failed",), ("done",)]


@pytest.mark.long
def test_an_edited_row_of_a_chosen_consumer_is_found_and_put_right(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.unite()
    days = ["--start-date", "2025-01-01", "--end-date", "2025-01-05"]
    whose = ["--consumer", str(B), "--consumer", str(A)]
    dry = federated("backfill", *days, *whose, "--dry-run", "--json").json
    assert (dry["periods"], dry["periods_there"], dry["consumers"]) == (4, 0, 2)
    done = federated("backfill", *days, *whose)
    assert done.exit_code == 0, done.stderr
    assert "done       4 periods: 8 snapshots written, 0 untouched" in done.stdout
    backfill_alone(federation, chosen("2025-01-01", "2025-01-05", A, B))
    require_same(federation)
    edited = "jsonb_set(metrics_json, '{total_events}', '77')"
    of_b = "consumer_id = %s and snapshot_timestamp = '2025-01-03Z'"
    edits = [
        f"update consumer_analytics set metrics_json = {edited} where {of_b}",
        f"delete from consumer_analytics where {of_b}",
        (
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select 'ffffffff-0000-0000-0000-000000000000', snapshot_timestamp, metrics_json "
            f"from consumer_analytics where {of_b}"
        ),
    ]
    for statement in edits:
        federation.analytics.execute(statement, [B])
        assert not audits.audit(federation.settings).clean, statement
        repaired = federated("audit", "--repair", "--json")
        assert repaired.exit_code == 0, repaired.stdout
        federation.require_equal()


@pytest.mark.long
@pytest.mark.parametrize("of", ["all", "a chosen one"])
def test_a_row_without_a_part_goes(federation: Federation, of: str) -> None:
    fill(federation)
    for database in (federation.shards["west"], federation.alone):
        database.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'D', '2025-01-01')",
            [D],
        )
    federation.unite()
    whose = (D,) if of == "a chosen one" else ()
    backfill_both(federation, chosen("2025-01-01", "2025-01-08", *whose))
    rows = require_same(federation)
    for database in (federation.shards["west"], federation.alone):
        database.execute(
            "update consumers set created_at = '2025-01-05' where consumer_id = %s", [D]
        )
    backfill_both(federation, chosen("2025-01-01", "2025-01-08", D))
    assert federation.require_equal() == rows - 4
    assert audits.audit(federation.settings).clean
    assert federation.analytics.rows(
        "select count(*) from consumer_analytics_revisions where consumer_id = %s", [D]
    ) == [(4,)]
