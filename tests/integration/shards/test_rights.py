"""Work over shards by logins that may write figures, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from tests.integration.shards.conftest import Federation, instant
from tests.integration.shards.test_runs import C, add_event, fill
from tests.support.roles import Roles

from consumer_analytics import backfill
from consumer_analytics.fields import Secret
from consumer_analytics.operations.snapshots import Selection
from consumer_analytics.shards import audits, backfills, removals, repairs, retention, runs


class _Cleaned(Roles):
    """Roles that go with the test."""

    def close(self) -> None:
        """Remove them."""
        self.clean()


@pytest.fixture
def plain(federation: Federation, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return settings by which each database is worked in as a member of `etl`, or another role."""
    role = getattr(request, "param", "etl")
    with ExitStack() as made:

        def login(database: Any) -> str:
            roles = made.enter_context(closing(_Cleaned(database)))
            roles.apply()
            return roles.login(role)

        federation.write_file({name: login(shard) for name, shard in federation.shards.items()})
        yield federation.settings.replaced({"database_url": Secret(login(federation.analytics))})


@pytest.mark.long
def test_members_of_etl_do_all_of_it(federation: Federation, plain: Any) -> None:
    fill(federation)
    runs.run(plain, at=instant("2025-01-03T00:00Z"), named=True)
    backfills.backfill(plain, backfill.request_of("2025-01-01", "2025-01-03", "daily"))
    add_event(federation.shards["west"], C, "2025-01-02 12:00", "late")
    repairs.sweep(plain, lambda _: None)
    chosen = backfill.request_of("2025-01-03", "2025-01-05", "daily", consumers=[str(C)])
    backfills.backfill(plain, chosen)
    alone = Selection(source="backfill", consumers=(C,))
    assert removals.remove(plain, alone, who="a test").whole.rows == 2
    assert audits.audit(plain, repair=True).clean
    federation.unite()
    federation.run_alone("2025-01-03T00:00Z")
    said = (
        "select consumer_id, metrics_json - '{incremental_stats,snapshot_source}'::text[] "
        "from consumer_analytics where snapshot_timestamp = '2025-01-03Z' order by 1"
    )
    assert federation.analytics.rows(said) == federation.alone.rows(said) != []


@pytest.mark.long
@pytest.mark.parametrize("plain", ["etl", "maintenance"], indirect=True)
def test_who_may_thin_one_database_may_thin_all(
    federation: Federation, plain: Any, request: pytest.FixtureRequest
) -> None:
    fill(federation)
    for at in ("2025-01-02T12:00Z", "2025-01-03T00:00Z", "2025-01-04T00:00Z"):
        runs.run(plain, at=instant(at), named=True)
    told = retention.thin(plain.replaced({"keep_snapshots_days": 30}))
    if "maintenance" in request.node.name:
        assert told.skipped is None
        assert [at.day for at in federation.instants()] == [3, 4]
    else:
        assert "may not remove revisions" in str(told.skipped)
        assert len(federation.instants()) == 3
    assert retention.forget(plain).failed is None
    assert audits.audit(plain).clean
