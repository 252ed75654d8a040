"""The page on security answers each requirement once, and the tests that it names are there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")
#: How many requirements of levels 1 and 2 each section of ASVS 5.0 has; they are numbered from 1.
ASVS = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1
4.3:2 4.4:4 5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2
7.4:5 7.5:2 7.6:2 8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2
10.7:3 11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5
14.1:2 14.2:4 14.3:3 15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""
STATES = {"met", "by hand", "no part of it here", "gap"}
ROW = re.compile(r"^\| ([0-9][^|]*) \| ([^|]+) \| (.*) \|$", re.MULTILINE)


def requirements() -> list[str]:
    return [
        f"{section}.{number}"
        for section, most in (one.split(":") for one in ASVS.split())
        for number in range(1, int(most) + 1)
    ]


def answered() -> Iterator[tuple[str, str, str]]:
    """Yield each requirement of the page with its state and what is said of it."""
    for cell, state, how in ROW.findall(PAGE):
        for part in cell.split(", "):
            first, _, last = part.partition("\N{EN DASH}")
            section, _, begin = first.rpartition(".")
            end = (last or first).rpartition(".")[2]
            for number in range(int(begin), int(end) + 1):
                yield f"{section}.{number}", state, how


def test_each_requirement_is_answered_once() -> None:
    found = Counter(number for number, _, _ in answered())
    assert len(requirements()) == 253
    assert {number for number, times in found.items() if times > 1} == set()
    assert set(found) == set(requirements())


def test_each_answer_has_a_state_and_says_how() -> None:
    for number, state, how in answered():
        assert state in STATES, number
        assert how.strip(), number
    counted = Counter(state for _, state, _ in answered())
    assert counted["gap"] > 0
    assert counted["met"] > counted["gap"] + counted["by hand"]


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", PAGE))
    assert len(named) > 40
    missing = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if not (ROOT / file).exists()
        or f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []
    # None is written so that this test would pass it over.
    assert len(re.findall(r"::test_", PAGE)) == len(re.findall(r"`tests/[^`]+::test_[^`]+`", PAGE))
