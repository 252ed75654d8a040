"""The zoo: random histories of every kind, each step compared with the oracle and the audit.

`python -m tests.support.zoo --kinds all --seed N --shrink` plays one alone and tells its steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import lanes
from tests.support.zoo import sharded
from tests.support.zoo.ground import Ground, opened
from tests.support.zoo.history import History, script_of
from tests.support.zoo.kinds import PRESETS
from tests.support.zoo.shapes import SHAPES, available

#: One history of each of these for each change; what the others make, `all` makes too, but for
#: `removals`. The long lane has theirs, and more of each.
EACH_CHANGE = ("all", "bare", "capture", "customers", "purges", "returns")
CASES = sorted(
    ((kinds, seed) for kinds in PRESETS for seed in range(24)),
    key=lambda case: (case[1] > 0 or case[0] not in EACH_CHANGE, case[1]),
)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kinds", "seed"), lanes.first(len(EACH_CHANGE), CASES, long=26))
def test_every_step_of_a_history_is_told_rightly(ground: Ground, kinds: str, seed: int) -> None:
    script = script_of(PRESETS[kinds], seed, 30)
    assert len(list(History(ground, PRESETS[kinds], seed).play(script))) == len(script)


@lanes.LONG
@pytest.mark.timeout(240)
@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "plain"])
@pytest.mark.both_versions(hours=True)
def test_every_shape_of_sources_is_told_rightly(server: Any, shape: str) -> None:
    """Rows come in through partitions, types are of every kind, a view stands before tables."""
    if server.version < SHAPES[shape].since:
        pytest.skip(f"PostgreSQL {server.version} has no such columns")
    if not available(server, SHAPES[shape]):
        pytest.skip(f"this server has no {SHAPES[shape].extension}")
    with opened(server, shape) as ground:
        kinds = PRESETS["all"] if ground.shape.watched else PRESETS["all"].unwatched()
        script = script_of(kinds, 0, 10)
        assert len(list(History(ground, kinds, 0).play(script))) == len(script)


@pytest.fixture(scope="module")
def spread(servers: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with sharded.opened(servers.get("main"), tmp_path_factory.mktemp("shards")) as ground:
        yield ground


@pytest.mark.timeout(480)
@pytest.mark.parametrize(
    ("kinds", "seed"),
    lanes.first(0, [("capture", 0), ("customers", 1), ("chosen", 2), ("thinning", 3)], long=2),
)
def test_shards_publish_what_one_database_says_of_all_rows(
    spread: Ground, kinds: str, seed: int
) -> None:
    """After each step; what each shard judges by itself, what is gone, is left out."""
    of_shards = PRESETS[kinds].spread()
    script = script_of(of_shards, seed, 20)
    assert len(list(History(spread, of_shards, seed).play(script))) == len(script)
