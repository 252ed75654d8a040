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


@pytest.fixture(scope="module")
def ground(servers: Any) -> Iterator[Ground]:
    with opened(servers.get("main")) as ground:
        yield ground


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", lanes.first(1, range(24)))
@pytest.mark.parametrize("kinds", PRESETS)
def test_every_step_of_a_history_is_told_rightly(ground: Ground, kinds: str, seed: int) -> None:
    script = script_of(PRESETS[kinds], seed, 30)
    assert len(list(History(ground, PRESETS[kinds], seed).play(script))) == len(script)
