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


def each_once(one: Iterable[Any], other: Iterable[Any]) -> list[Any]:
    """Return all pairs of two kinds of cases, for two parameters.

    For each change runs each case of the first with one of the second, those of the second in
    turn; the other pairs are marked for the long lane. Cases may be of `pytest.param`.
    """
    second = [_param(case) for case in other]
    return [
        pytest.param(
            *row.values,
            *column.values,
            id=f"{row.id}-{column.id}",
            marks=[*row.marks, *column.marks, *([] if place == number % len(second) else [LONG])],
        )
        for number, row in enumerate(map(_param, one))
        for place, column in enumerate(second)
    ]


def _param(case: Any) -> Any:
    return case if hasattr(case, "marks") else pytest.param(case, id=str(case))


def _long(case: Any) -> Any:
    if isinstance(case, tuple):
        return pytest.param(*case, marks=LONG)
    return pytest.param(case, marks=LONG)
