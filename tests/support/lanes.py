"""Which cases of a test run for each change, and which in the long lane.

    @pytest.mark.parametrize("seed", lanes.first(3, range(12)))

`make test` runs the first three, `make test-long` the other nine; pytest by itself all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

#: A test that only the long lane runs.
LONG = pytest.mark.long


def first(count: int, cases: Iterable[Any]) -> list[Any]:
    """Return all cases, those after the first so many marked for the long lane."""
    return [case if number < count else _long(case) for number, case in enumerate(cases)]


def _long(case: Any) -> Any:
    if isinstance(case, tuple):
        return pytest.param(*case, marks=LONG)
    return pytest.param(case, marks=LONG)
