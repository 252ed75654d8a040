"""Stretches of days that are counted again: joined where they touch, few, and none left out."""

from __future__ import annotations

import datetime as dt
import itertools
import random

import pytest

from consumer_analytics.etl import plan

FIRST = dt.date(2025, 1, 1)
MOST = 16


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def covered(stretches: list[tuple[dt.date, dt.date]]) -> set[dt.date]:
    return {
        lower + dt.timedelta(days=n)
        for lower, upper in stretches
        for n in range((upper - lower).days)
    }


def test_stretches_that_touch_or_overlap_are_one() -> None:
    given = [
        (day(5), day(7)),
        (day(0), day(2)),
        (day(2), day(3)),
        (day(6), day(9)),
        (day(6), day(8)),
    ]
    assert plan.merged(given) == [(day(0), day(3)), (day(5), day(9))]


def test_of_too_many_the_nearest_are_joined() -> None:
    places = sorted([*range(0, 160, 10), 23, 76])
    found = plan.merged([(day(n), day(n + 1)) for n in places])
    assert len(found) == MOST
    assert (day(20), day(24)) in found
    assert (day(76), day(81)) in found


@pytest.mark.parametrize("seed", range(20))
def test_no_day_is_left_out(seed: int) -> None:
    rng = random.Random(seed)
    given = [(day(n), day(n + rng.randint(1, 5))) for n in rng.sample(range(300), 40)]
    found = plan.merged(given)
    assert covered(given) <= covered(found)
    assert len(found) <= MOST
    assert all(upper < lower for (_, upper), (lower, _) in itertools.pairwise(found))
