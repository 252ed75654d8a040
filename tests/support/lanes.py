"""Which cases of a test run for each change, which in the long lane, which for hours.

    @pytest.mark.parametrize("seed", lanes.first(3, range(12)))

`make test` runs the first three, `make test-long` the other nine; with `long=4` that runs four
of them, and `make test-hours` the other five. Pytest by itself runs all. A case that is marked for
both stands in the lane of hours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

#: A test that only the long lane runs.
LONG = pytest.mark.long
#: A test that runs when somebody asks for it and has the time.
HOURS = pytest.mark.hours


def first(count: int, cases: Iterable[Any], *, long: int | None = None) -> list[Any]:
    """Return all cases, those after the first so many marked for the long lane.

    Args:
        count: how many run for each change.
        cases: of `pytest.param`, or a parameter's values.
        long: how many more the long lane runs, where it has no time for all.
    """
    given = list(cases)
    later = len(given) if long is None else count + long
    return [
        case if number < count else _marked(case, LONG if number < later else HOURS)
        for number, case in enumerate(given)
    ]


def each_once(
    one: Iterable[Any], other: Iterable[Any], *, hours: bool = False, every: int = 1
) -> list[Any]:
    """Return all pairs of two kinds of cases, for two parameters.

    For each change runs each case of the first with one of the second, those of the second in
    turn; the other pairs are marked for the long lane. Cases may be of `pytest.param`.

    Args:
        one: the first parameter's.
        other: the second's.
        hours: whether the long lane, too, runs each of the first once only, with another of the
            second, and what is left stands in the lane of hours.
        every: of the first, how many apart those are that run for each change; the turn of those
            between is the long lane's. Each of the second has its turn among those that run.
    """
    second = [_param(case) for case in other]
    return [
        pytest.param(
            *row.values,
            *column.values,
            id=f"{row.id}-{column.id}",
            marks=[
                *row.marks,
                *column.marks,
                *_lane(number // every, place, len(second), hours, is_spared=bool(number % every)),
            ],
        )
        for number, row in enumerate(map(_param, one))
        for place, column in enumerate(second)
    ]


def seldom(every: int, cases: Iterable[Any]) -> list[Any]:
    """Leave to the lane of hours those of the long lane's cases between each so many.

    Args:
        every: how many apart those are that the long lane keeps; the first is one of them.
        cases: as `first` or `each_once` return them.
    """
    place = 0
    left = []
    for case in cases:
        marks = {mark.name for mark in getattr(case, "marks", ())}
        if LONG.name in marks and HOURS.name not in marks:
            left.append(_marked(case, HOURS) if place % every else case)
            place += 1
        else:
            left.append(case)
    return left


def _lane(number: int, place: int, places: int, hours: bool, *, is_spared: bool) -> list[Any]:
    """Return the mark of the pair at a place of a row.

    The second time around, a row's place in the long lane is one further from its first.
    """
    further = (place - number) % places
    if further == 0:
        return [LONG] if is_spared else []
    once_more = 1 + number // places % (places - 1)
    return [HOURS if hours and further != once_more else LONG]


def _param(case: Any) -> Any:
    # A function's text has where it lies, and each worker would collect others.
    name = getattr(case, "__name__", str(case))
    return case if hasattr(case, "marks") else pytest.param(case, id=name)


def _marked(case: Any, mark: Any) -> Any:
    if hasattr(case, "marks"):
        return pytest.param(*case.values, id=case.id, marks=[*case.marks, mark])
    if isinstance(case, tuple):
        return pytest.param(*case, marks=mark)
    return pytest.param(case, marks=mark)
