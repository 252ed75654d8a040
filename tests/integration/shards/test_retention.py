"""Thinning over several shards: what one database would thin goes in every one of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.integration.shards.conftest import Federation, documents
from tests.integration.shards.test_chosen import (
    KilledError,
    backfill_both,
    chosen,
    dies_in_west,
    listed,
    require_same,
)
from tests.integration.shards.test_removals import day, has, run_both
from tests.integration.shards.test_runs import A, B, C, add_event, fill
from tests.support import lanes
from tests.support.kill import kill_during

from consumer_analytics import backfill
from consumer_analytics.db.connection import scalar_of
from consumer_analytics.errors import ShardsError
from consumer_analytics.operations import thinning
from consumer_analytics.operations.part import MaintenancePart
from consumer_analytics.reconcile.sweep import sweep
from consumer_analytics.shards import audits, backfills, repairs, retention, together

#: Everything of then is older, and of each day the last one stays.
DAILY = {"keep_snapshots_days": 30}
#: And of each week.
WEEKLY = {**DAILY, "keep_daily_snapshots_days": 31}
_WHOLE = "select snapshot_timestamp from consumer_analytics where consumer_id is null order by 1"


def thin(federation: Federation, **options: Any) -> MaintenancePart:
    """Thin over the shards."""
    return retention.thin(federation.settings.replaced(DAILY), **options)


def thin_alone(federation: Federation, **policy: Any) -> MaintenancePart:
    """Thin the database that has all rows."""
    with federation.alone.connect(writes_sources=False) as connection:
        return thinning.thin(connection, federation.alone.settings.replaced(policy or DAILY))


def thin_both(federation: Federation, **policy: Any) -> None:
    """Thin over the shards, and in the database that has all rows."""
    retention.thin(federation.settings.replaced(policy or DAILY))
    thin_alone(federation, **policy)
    require_thinned(federation)


def require_thinned(federation: Federation) -> None:
    """Require what one database has, published and in each shard, and what it has thinned."""
    require_same(federation)
    assert listed(federation.analytics) == listed(federation.alone)
    kept = federation.alone.rows(_WHOLE)
    for shard in federation.shards.values():
        assert shard.rows(_WHOLE) == kept


def come_late(federation: Federation, at: str) -> None:
    """Let an event come late, and a sweep find it, over the shards and in one database."""
    for database in (federation.shards["west"], federation.alone):
        add_event(database, C, at, "late")
    repairs.sweep(federation.settings, lambda _: None)
    with federation.alone.connect(writes_sources=False) as connection:
        sweep(connection, federation.alone.settings)


def at_noon(number: int) -> dt.datetime:
    """Return the middle of a day of January."""
    return day(number) + dt.timedelta(hours=12)


def reported(federation: Federation) -> Federation:
    """Fill the shards, and let midnights and noons be reported."""
    fill(federation)
    federation.unite()
    for number in (2, 3, 4):
        for at in (at_noon(number - 1), day(number)):
            federation.run(at)
            federation.run_alone(at)
    return federation


def dying(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Let thinning die at a place."""
    remove = thinning.remove

    def dies(connection: Any, *arguments: Any) -> Any:
        if (connection.shard or "published") == where:
            raise KilledError
        removed = remove(connection, *arguments)
        if where == f"after {connection.shard or 'published'}":
            raise KilledError
        return removed

    def dies_at_the_end(*_: object, **__: object) -> None:
        raise KilledError

    monkeypatch.setattr(thinning, "remove", dies)
    if where == "the end":
        monkeypatch.setattr(together, "publish", dies_at_the_end)


@pytest.mark.long
def test_every_database_is_thinned(federation: Federation, federated: Callable[..., Any]) -> None:
    fill(federation)
    for at in (at_noon(2), day(3), at_noon(3), day(4)):
        federation.run(at)
    on = {"CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS": "30"}
    off = federated("maintenance", "--json").json["parts"][0]
    assert off["skipped"] == "thinning is off: CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS is unset"
    before = federation.state()
    dry = federated("maintenance", "--dry-run", "--json", env=on).json["parts"][0]
    assert federation.state() == before
    done = federated("maintenance", "--json", env=on)
    assert done.exit_code == 0, done.stderr
    part = done.json["parts"][0]
    assert (part["removed"], part["notes"]) == (dry["removed"], dry["notes"])
    assert part["notes"] == [
        "published: 2 instants: 10 rows and 0 revisions of theirs",
        "shard east: 2 instants: 8 rows and 0 revisions of theirs",
        "shard west: 2 instants: 6 rows and 0 revisions of theirs",
        "shard north: 2 instants: 6 rows and 0 revisions of theirs",
    ]
    for database in (federation.analytics, *federation.shards.values()):
        assert database.rows(_WHOLE) == [(day(3),), (day(4),)]


@pytest.mark.long
def test_what_is_thinned_is_what_one_database_would_thin(federation: Federation) -> None:
    reported(federation)
    # Of chosen consumers there are rows where nothing else is; some have revisions.
    backfill_both(federation, chosen("2025-01-04", "2025-01-08", A, B))
    come_late(federation, "2025-01-01 10:00")
    thin_both(federation)
    assert federation.instants() == [day(2), day(3), day(4)]
    # A sweep restates what is left, and brings nothing back; nor do runs.
    come_late(federation, "2025-01-01 09:00")
    run_both(federation, 5)
    require_thinned(federation)
    # What is asked for again is there again, until the next maintenance.
    for at in (at_noon(2), at_noon(3)):
        federation.run(at)
        federation.run_alone(at)
    require_same(federation)
    assert at_noon(2) in federation.instants()
    come_late(federation, "2025-01-01 08:00")
    require_same(federation)
    thin_both(federation)
    thin_both(federation, **WEEKLY)
    assert federation.instants() == [day(5)]
    backfill_both(federation, backfill.request_of("2025-01-01", "2025-01-05", "daily"))
    require_same(federation)
    assert len(federation.instants()) == 4
    come_late(federation, "2025-01-01 07:00")
    require_same(federation)
    backfill_both(federation, chosen("2025-01-05", "2025-01-08", B))
    thin_both(federation, **WEEKLY)
    # Of chosen consumers, too.
    backfill_both(federation, chosen("2025-01-02", "2025-01-04", B, C))
    require_same(federation)
    come_late(federation, "2025-01-04 06:00")
    require_same(federation)
    thin_both(federation, **WEEKLY)


@pytest.mark.parametrize(
    "where",
    lanes.first(0, ["published", "after west", "west", "after published", "the end"], long=2),
)
def test_what_dies_in_between_leaves_what_is_published_right(
    federation: Federation, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    reported(federation)
    come_late(federation, "2025-01-01 10:00")
    # Of what was thinned some is there again, and is to be thinned once more.
    thin_both(federation)
    federation.run(at_noon(2))
    federation.run_alone(at_noon(2))
    federation.run(day(4) + dt.timedelta(hours=6))
    federation.run_alone(day(4) + dt.timedelta(hours=6))
    federation.run(day(5))
    federation.run_alone(day(5))
    monkeypatch.setattr(thinning, "_AT_ONCE", 1)
    with monkeypatch.context() as patch:
        dying(patch, where)
        with pytest.raises(KilledError):
            thin(federation)
    gone = [at for at in (at_noon(2), day(4) + dt.timedelta(hours=6)) if not has_it(federation, at)]
    assert len(gone) == {"published": 0, "the end": 2}.get(where, 1)
    # What is published is as it was, or thinned, whatever comes.
    before = federation.instants()
    assert audits.audit(federation.settings).clean
    come_late(federation, "2025-01-01 09:00")
    federation.run(day(6))
    federation.run_alone(day(6))
    assert federation.instants() == [*before, day(6)]
    told, known = documents(federation.analytics), documents(federation.alone)
    assert told == {key: known[key] for key in told}
    found = audits.audit(federation.settings)
    assert found.clean, json.dumps(found.as_json(), default=str, indent=1)
    # The next one does what is left.
    thin(federation)
    thin_alone(federation)
    require_thinned(federation)


def has_it(federation: Federation, at: dt.datetime) -> bool:
    """Tell whether an instant is published."""
    return has(federation.analytics, at)


@pytest.mark.long
def test_what_shards_have_left_of_it_is_published_where_it_is_asked_for_again(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    federation.unite()
    run_both(federation, 2, 3, 4, 5)
    # In one shard it is thinned, in another one not.
    with monkeypatch.context() as patch:
        dying(patch, "west")
        with pytest.raises(KilledError):
            retention.thin(federation.settings.replaced(WEEKLY))
    thin_alone(federation, **WEEKLY)
    assert has(federation.shards["west"], day(3))
    assert not has(federation.shards["east"], day(3))
    backfill_both(federation, backfill.request_of("2025-01-02", "2025-01-03", "daily"))
    federation.run(day(2))
    federation.run_alone(day(2))
    assert federation.instants() == [day(2), day(3), day(5)]
    require_same(federation)
    come_late(federation, "2025-01-01 10:00")
    require_same(federation)
    thin_both(federation, **WEEKLY)
    # In none of them.
    backfill_both(federation, backfill.request_of("2025-01-02", "2025-01-03", "daily"))
    with monkeypatch.context() as patch:
        dying(patch, "after published")
        with pytest.raises(KilledError):
            retention.thin(federation.settings.replaced(WEEKLY))
    thin_alone(federation, **WEEKLY)
    come_late(federation, "2025-01-01 09:00")
    assert federation.instants() == [day(5)]
    assert all(has(shard, day(3)) for shard in federation.shards.values())
    done = backfills.backfill(
        federation.settings, backfill.request_of("2025-01-02", "2025-01-03", "daily")
    )
    assert done is not None
    assert done.whole.snapshots_written == len(documents(federation.analytics)) - 5
    with federation.alone.connect(writes_sources=False) as connection:
        backfill.backfill(
            connection,
            federation.alone.settings,
            backfill.request_of("2025-01-02", "2025-01-03", "daily"),
        )
    require_same(federation)
    thin_both(federation, **WEEKLY)


@pytest.mark.long
def test_what_waits_for_a_shard_is_thinned_as_well(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(federation)
    federation.unite()
    run_both(federation, 9)
    days = backfill.request_of("2025-01-01", "2025-01-08", "daily")
    with monkeypatch.context() as patch:
        patch.setattr(backfills, "backfill_one", dies_in_west(backfill.backfill))
        with pytest.raises(KilledError):
            backfills.backfill(federation.settings, days)
    assert federation.instants() == [day(9)]
    settings = federation.settings.replaced(WEEKLY)
    retention.thin(settings)
    # Of the first week one stays, and waits; of the second one is published.
    weeks = [(day(6),), (day(9),)]
    for name in ("east", "north"):
        assert federation.shards[name].rows(_WHOLE) == weeks
    waiting = "select snapshot_timestamp from consumer_analytics_internal.shards_awaited order by 1"
    assert federation.analytics.rows(waiting) == weeks[:-1]
    # The backfill again writes all of them everywhere, as one database would.
    backfill_both(federation, days)
    require_same(federation)
    assert federation.analytics.rows(waiting) == []
    thin_both(federation, **WEEKLY)
    assert federation.instants() == [day(6), day(9)]


@pytest.mark.long
def test_a_command_that_is_killed_in_a_shard(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    reported(federation)
    on = {"CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS": "30"}
    everywhere = {"CONSUMER_ANALYTICS_SHARDS_FILE": str(federation.file)}
    west = federation.shards["west"]
    with psycopg.connect(west.url) as locker:
        locker.execute("lock table consumer_analytics_internal.thinned_snapshots in share mode")
        kill_during(
            west,
            "operations/thinning/snapshots-remove",
            "maintenance",
            env={
                **on,
                **everywhere,
                "CONSUMER_ANALYTICS_DATABASE_URL": federation.analytics.url,
            },
        )
    assert federation.instants() == [day(2), day(3), day(4)]
    assert has(west, at_noon(2))
    assert audits.audit(federation.settings).clean
    assert federated("maintenance", env=on).exit_code == 0
    thin_alone(federation)
    require_thinned(federation)


@pytest.mark.long
def test_where_a_shard_is_down_or_does_not_let_it_nothing_is_thinned(
    federation: Federation, federated: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reported(federation)
    on = {"CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS": "30"}
    before = federation.state()
    urls = {name: shard.url for name, shard in federation.shards.items()}
    federation.write_file({**urls, "north": "postgresql://nobody@127.0.0.1:1/none"})
    result = federated("maintenance", env=on)
    assert result.exit_code == 1
    assert "snapshots: failed: shard north: the database cannot be reached" in result.stderr
    federation.write_file()

    def may_not(connection: Any, *arguments: Any) -> Any:
        return connection.shard != "west" and scalar_of(connection, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("consumer_analytics.operations.thinning.scalar_of", may_not)
        told = thin(federation).skipped
    assert told is not None
    assert told.startswith("shard west: login ")
    assert "may not remove revisions" in told
    # In the analytics database alone, neither.
    unset = federated("maintenance", env={**on, "CONSUMER_ANALYTICS_SHARDS_FILE": ""})
    assert unset.exit_code == 1
    assert "put together from shards" in unset.stderr
    assert federation.state() == before
    federation.write_file({**urls, "north": urls["west"]})
    with pytest.raises(ShardsError, match="are one database"):
        thin(federation)


def test_internal_state_is_forgotten_in_every_database(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run(day(2))
    federation.run(day(3))
    databases = (federation.analytics, *federation.shards.values())
    count = "select count(*) from consumer_analytics_internal.runs"
    for database in databases:
        assert database.rows(count) == [(2,)]
        database.execute(
            "update consumer_analytics_internal.runs set opened_at = opened_at - interval '9 years'"
        )
    part = federated("maintenance", "--json").json["parts"][1]
    assert (part["part"], part["removed"]) == ("internal state", 4)
    assert part["notes"] == [
        "published: 1 of runs",
        *(f"shard {name}: 1 of runs" for name in federation.shards),
    ]
    for database in databases:
        assert database.rows(count) == [(1,)]
    federation.run(day(4))
