"""The zoo: random histories of every kind, each step compared with the oracle and the audit.

`python -m tests.support.zoo --kinds all --seed N --shrink` plays one alone and tells its steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import lanes
from tests.support.zoo.ground import Ground, opened
from tests.support.zoo.history import History, script_of
from tests.support.zoo.kinds import PRESETS

#: One history of each of these for each change; what the others make, `all` makes too, but for
#: `removals`. The long lane has theirs, and more of each.
EACH_CHANGE = ("all",)
CASES = sorted(
    ((kinds, seed) for kinds in PRESETS for seed in range(24)),
    key=lambda case: (case[1] > 0 or case[0] not in EACH_CHANGE, case[1]),
)


@pytest.fixture(scope="module")
def ground(servers: Any) -> Iterator[Ground]:
    with opened(servers.get("main")) as ground:
        yield ground


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kinds", "seed"), lanes.first(len(EACH_CHANGE), CASES, long=16))
def test_every_step_of_a_history_is_told_rightly(ground: Ground, kinds: str, seed: int) -> None:
    script = script_of(PRESETS[kinds], seed, 30)
    assert len(list(History(ground, PRESETS[kinds], seed).play(script))) == len(script)
