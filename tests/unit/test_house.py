"""SQL lies beside its reader: each statement is read where its name says, and none is unread."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import consumer_analytics
from consumer_analytics import sql

SOURCE = Path(consumer_analytics.__file__).parent
STATEMENTS = sorted(sql.names())


@cache
def modules() -> dict[str, ast.Module]:
    """Return what is written in each module, by its path without the ending."""
    return {
        path.relative_to(SOURCE).with_suffix("").as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(SOURCE.rglob("*.py"))
    }


def package(module: str) -> str:
    """Return the package that a module lies in, or is the face of."""
    return module.rpartition("/")[0]


def named(tree: ast.Module) -> Iterator[re.Pattern[str]]:
    """Yield what a module's strings may name: a gap of an f-string may stand for any words."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "/" in node.value:
            yield re.compile(re.escape(node.value))
        elif isinstance(node, ast.JoinedStr) and "/" in str(getattr(node.values[0], "value", "")):
            yield re.compile(
                "".join(
                    re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z-]+"
                    for part in node.values
                )
            )


@cache
def readers() -> dict[str, set[str]]:
    """Return which modules name each statement."""
    found = defaultdict(set)
    for module, tree in modules().items():
        for pattern in named(tree):
            for statement in STATEMENTS:
                if pattern.fullmatch(statement):
                    found[statement].add(module)
    return found


def beside(statement: str) -> str:
    """Return where a statement may be read: in a module, or in a package by any module of it."""
    place = statement.rpartition("/")[0]
    return place if place in modules() else f"{place}/"


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_lies_beside_its_reader(statement: str) -> None:
    found = readers()[statement]
    assert found, f"nobody reads {statement}"
    if statement.startswith(f"{sql.SHARED}/"):
        assert len({package(module) for module in found}) > 1, f"{found} alone"
        return
    place = beside(statement)
    elsewhere = {
        module
        for module in found
        if module != place and not (place.endswith("/") and package(module) == place[:-1])
    }
    assert not elsewhere


def test_a_gap_in_a_name_is_seen() -> None:
    found = readers()["etl/extract/customers-hand-over"]
    assert found == {"etl/extract"}
