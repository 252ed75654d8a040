"""Each test stands in one lane, and a matrix's sample has something of everything."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.support import lanes

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def lane(case: Any) -> str:
    """Return the lane that a case's marks put it into."""
    marks = {mark.name for mark in getattr(case, "marks", ())}
    return "hours" if "hours" in marks else "long" if "long" in marks else "each change"


@pytest.mark.parametrize("marks", list(product([False, True], repeat=3)))
def test_make_runs_a_test_in_one_lane_whatever_its_marks(marks: tuple[bool, ...]) -> None:
    text = MAKEFILE.read_text(encoding="utf-8")
    chosen = re.findall(r"^(?:EACH_CHANGE|LONG|HOURS|CLUSTER) := (.+)$", text, re.MULTILINE)
    # Pytest reads them as Python does.
    known = dict(zip(("long", "hours", "spark"), marks, strict=True))
    runs = [eval(one, {}, known) for one in chosen]
    assert runs.count(True) == 1
    assert len(runs) == 4


def test_the_first_cases_run_for_each_change() -> None:
    assert [lane(one) for one in lanes.first(1, "abc")] == ["each change", "long", "long"]
    assert [lane(one) for one in lanes.first(1, "abc", long=1)] == ["each change", "long", "hours"]
    (named,) = lanes.first(0, [pytest.param(1, 2, id="named", marks=lanes.HOURS)])
    assert (named.id, named.values, lane(named)) == ("named", (1, 2), "hours")


def test_of_two_kinds_each_case_meets_one_of_the_other() -> None:
    pairs = [(pair.values, lane(pair)) for pair in lanes.each_once("abcdef", "xyz")]
    assert sorted(values for values, _ in pairs) == sorted(product("abcdef", "xyz"))
    each_change = [values for values, where in pairs if where == "each change"]
    assert each_change == list(zip("abcdef", "xyzxyz", strict=True))
    assert {where for _, where in pairs} == {"each change", "long"}


def test_of_a_large_matrix_each_so_many_cases_run_in_the_long_lane() -> None:
    cases = lanes.seldom(3, lanes.first(2, "abcdefghi", long=6))
    lanes_of = "".join(lane(one)[0] for one in cases)
    assert lanes_of == "eelhhlhhh"
    assert [getattr(one, "values", (one,))[0] for one in cases] == list("abcdefghi")


def test_of_a_large_matrix_each_so_many_cases_run_for_each_change() -> None:
    pairs = [(pair.values[0], lane(pair)) for pair in lanes.each_once("abcd", "xyz", every=2)]
    assert [row for row, where in pairs if where == "each change"] == ["a", "c"]
    assert len(pairs) == 12


@pytest.mark.parametrize("every", range(1, 5))
def test_of_a_large_matrix_all_of_the_second_have_their_turn_for_each_change(every: int) -> None:
    pairs = lanes.each_once(range(every * 4), "wxyz", hours=True, every=every)
    turns = [pair.values for pair in pairs if lane(pair) == "each change"]
    assert turns == list(zip(range(0, every * 4, every), "wxyz", strict=True))


@pytest.mark.parametrize("ways", range(2, 9))
def test_of_a_large_matrix_the_long_lane_runs_each_case_once_more(ways: int) -> None:
    pairs = lanes.each_once(range(20), range(ways), hours=True)
    for where in ("each change", "long"):
        sample = [pair.values for pair in pairs if lane(pair) == where]
        assert [row for row, _ in sample] == list(range(20))
        assert {way for _, way in sample} == set(range(ways))
    assert sum(lane(pair) == "hours" for pair in pairs) == 20 * (ways - 2)
