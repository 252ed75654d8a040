"""Snapshots taken back over several shards: as if one database had all their rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database
from tests.integration.shards.conftest import Federation, documents
from tests.integration.shards.test_chosen import (
    KilledError,
    backfill_both,
    chosen,
    dies_in_west,
    listed,
    require_same,
)
from tests.integration.shards.test_runs import A, B, C, add_event, fill

from consumer_analytics import backfill
from consumer_analytics.errors import ShardsError, UsageError
from consumer_analytics.etl import run as etl_run
from consumer_analytics.operations import snapshots
from consumer_analytics.operations.snapshots import Removal, Selection
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.shards import removals, repairs, runs


def day(number: int) -> dt.datetime:
    """Return a day of January's beginning."""
    return dt.datetime(2025, 1, number, tzinfo=dt.UTC)


def remove_alone(federation: Federation, selection: Selection, **options: Any) -> Removal:
    """Take back in the database that has all rows."""
    with federation.alone.connect(writes_sources=False) as connection:
        return snapshots.remove(
            connection, federation.alone.settings, selection, who="tester", **options
        )


def remove_both(federation: Federation, selection: Selection, **options: Any) -> None:
    """Take back over the shards and in the database that has all rows: both tell the same."""
    told = removals.remove(federation.settings, selection, who="tester", **options)
    assert told.whole == remove_alone(federation, selection, **options)
    assert listed(federation.analytics) == listed(federation.alone)


def has(database: Database, at: dt.datetime) -> bool:
    """Tell whether a database has the snapshot of an instant."""
    whole = "consumer_id is null and snapshot_timestamp = %s"
    ((found,),) = database.rows(
        f"select exists (select from consumer_analytics where {whole})", [at]
    )
    return bool(found)


def run_both(federation: Federation, *days: int) -> None:
    """Run over the shards, and in the database that has all rows."""
    for number in days:
        federation.run(day(number))
        federation.run_alone(day(number))


@pytest.mark.long
def test_a_snapshot_goes_in_every_shard_and_in_what_is_published(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run(day(3))
    rows = len(documents(federation.analytics))
    arguments = ["snapshots", "remove", "--at", "2025-01-03"]
    dry = federated(*arguments, "--dry-run", "--json").json
    assert (dry["rows"], dry["shards"]["east"]) == (rows, {"snapshots": 1})
    assert len(documents(federation.analytics)) == rows
    asked = federated(*arguments)
    assert (asked.exit_code, len(documents(federation.analytics))) == (2, rows)
    assert f"Remove 1 snapshot, {rows} rows?" in asked.stderr
    result = federated(*arguments, "--yes")
    assert f"removed 1 snapshot, {rows} rows" in result.stdout, result.stderr
    for database in (federation.analytics, *federation.shards.values()):
        assert documents(database) == {}


@pytest.mark.long
def test_what_is_taken_back_is_what_one_database_would_take(federation: Federation) -> None:
    fill(federation)
    federation.unite()
    run_both(federation, 2, 3, 4)
    backfill_both(federation, chosen("2025-01-01", "2025-01-07", A, B))
    remove_both(federation, Selection((day(3),)), dry_run=True)
    assert day(3) in federation.instants()
    remove_both(federation, Selection((day(3), day(4))), reason="a mistake")
    require_same(federation)
    assert not any(has(shard, day(3)) for shard in federation.shards.values())
    # Chosen consumers' rows, where they stand alone.
    remove_both(federation, Selection((day(5),), consumers=(B,)))
    require_same(federation)
    with pytest.raises(UsageError, match="such a snapshot goes as a whole"):
        removals.remove(federation.settings, Selection((day(2),), consumers=(B,)), who="tester")
    with pytest.raises(UsageError, match="it was removed before"):
        removals.remove(federation.settings, Selection((day(3),)), who="tester")
    # What comes later does not bring it back, and what is written again is as it would have been.
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, "2025-01-02 12:00", "late")
    repairs.sweep(federation.settings, lambda _: None)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)
    require_same(federation)
    run_both(federation, 5)
    backfill_both(federation, backfill.request_of("2025-01-02", "2025-01-05", "daily"))
    require_same(federation)
    remove_both(federation, Selection(lower=day(1), upper=day(9), source="backfill"))
    require_same(federation)
    assert federation.instants() == [day(2), day(5)]


@pytest.mark.long
def test_what_one_shard_still_has_stays_published_until_the_next_try(
    federation: Federation, federated: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    federation.unite()
    run_both(federation, 2, 3, 4)
    before = documents(federation.analytics)
    selection = Selection((day(3),))
    urls = {name: shard.url for name, shard in federation.shards.items()}
    federation.write_file({**urls, "north": "postgresql://nobody@127.0.0.1:1/none"})
    with pytest.raises(ShardsError, match=r"^shard north: "):
        removals.remove(federation.settings, selection, who="tester")
    federation.write_file()
    assert all(has(shard, day(3)) for shard in federation.shards.values())
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "take_back", dies_in_west(snapshots.take_back))
        with pytest.raises(KilledError):
            removals.remove(federation.settings, selection, who="tester")
    assert [name for name, shard in federation.shards.items() if has(shard, day(3))] == ["west"]
    told: list[str] = []
    repairs.sweep(federation.settings, told.append)
    assert documents(federation.analytics) == before
    assert any(text.startswith("not published: 2025-01-03 00:00:00 UTC") for text in told), told
    result = federated("snapshots", "remove", "--at", "2025-01-03", "--yes", "--json")
    assert result.exit_code == 0, result.stderr
    assert result.json["shards"] == {
        "east": {"snapshots": 0},
        "west": {"snapshots": 1},
        "north": {"snapshots": 0},
    }
    assert [one["rows"] for one in result.json["snapshots"]] == [5]
    remove_alone(federation, selection)
    require_same(federation)
    waiting = "select count(*) from consumer_analytics_internal.shards_awaited"
    assert federation.analytics.rows(waiting) == [(0,)]
    ranged = ("--from", "2025-01-01", "--to", "2025-01-09", "--yes")
    shown = federated("snapshots", "remove", *ranged)
    assert "removed 2 snapshots, " in shown.stdout, shown.stderr
    assert federation.instants() == []


@pytest.mark.long
@pytest.mark.parametrize("whose", ["all", "chosen"])
def test_what_all_shards_have_taken_back_is_taken_back_by_the_next_try(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    fill(federation)
    federation.unite()
    if whose == "all":
        run_both(federation, 2, 3, 4)
        selection = Selection((day(3),))
    else:
        backfill_both(federation, chosen("2025-01-01", "2025-01-05", A, B, C))
        selection = Selection((day(3),), consumers=(A, C))
    work = snapshots.take_back

    def dies_here(connection: Any, *arguments: Any, **options: Any) -> Any:
        if connection.shard is None:
            raise KilledError
        return work(connection, *arguments, **options)

    before = documents(federation.analytics)
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "take_back", dies_here)
        with pytest.raises(KilledError):
            removals.remove(federation.settings, selection, who="tester")
    assert documents(federation.analytics) == before
    said: list[str] = []
    repairs.sweep(federation.settings, said.append)
    taken = remove_alone(federation, selection)
    if whose == "all":
        assert documents(federation.analytics) == before
        assert any(text.startswith("not published: 2025-01-03 00:00") for text in said), said
        told = removals.remove(federation.settings, selection, who="tester")
        assert told.whole == taken
        assert set(told.shards.values()) == {0}
    else:
        # What no shard has of a chosen consumer is published no more, whoever comes.
        with pytest.raises(UsageError, match="there are no rows of these consumers"):
            removals.remove(federation.settings, selection, who="tester")
    require_same(federation)
    run_both(federation, 5)
    require_same(federation)


@pytest.mark.long
def test_a_snapshot_that_is_owed_in_all_shards_is_owed_no_longer(federation: Federation) -> None:
    fill(federation)
    federation.unite()
    run_both(federation, 2)
    impatient = {"holdback_wait": 0.3}
    writers = [psycopg.connect(one.url, autocommit=True) for one in both_sides(federation)]
    for number, writer in enumerate(writers):
        writer.execute("begin; select pg_current_xact_id()")
        writer.execute(sql.SQL("prepare transaction {}").format(sql.Literal(f"held {number}")))
    at = dt.datetime.now(dt.UTC)
    runs.run(federation.settings.replaced(impatient), at=at, named=True)
    with federation.alone.connect(writes_sources=False) as connection:
        etl_run.run(connection, federation.alone.settings.replaced(impatient), at=at, named=True)
    told = removals.remove(federation.settings, Selection((at,)), who="tester").whole
    # Each had its own last instant that was settled.
    assert told == remove_alone(federation, Selection((at,)))
    assert ([one.state for one in told.entries], told.no_longer_owed) == (["owed"], (at,))
    for number, writer in enumerate(writers):
        writer.execute(sql.SQL("rollback prepared {}").format(sql.Literal(f"held {number}")))
        writer.close()
    owed = "select snapshot_timestamp from consumer_analytics_internal.owed_snapshots"
    for database in (federation.analytics, federation.alone, *federation.shards.values()):
        assert database.rows(owed) == []


def both_sides(federation: Federation) -> tuple[Database, Database]:
    """Return a shard, and the database that has all rows."""
    return federation.shards["west"], federation.alone
