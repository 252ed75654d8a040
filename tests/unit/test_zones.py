"""Local days and clocks are reckoned with in one package."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import consumer_analytics

SOURCE = Path(consumer_analytics.__file__).parent
#: Where zones are reckoned with; what checks and makes the setting itself.
ALLOWED = ("calendar/", "settings.py")
#: Migrations are as they were released.
RELEASED = "migrations/"


def zone_arithmetic(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield where a module moves an instant to a zone other than UTC, or makes one there."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else name
        given = [*node.args, *(word.value for word in node.keywords)]
        others = [ast.unparse(one) for one in given if not ast.unparse(one).endswith("UTC")]
        zoned = {
            word.arg
            for word in node.keywords
            if not ast.unparse(word.value).endswith(("UTC", "None"))
        }
        if (
            called in {"ZoneInfo", "croniter"}
            or (name == "astimezone" and (others or not given))
            or (name == "replace" and "tzinfo" in zoned)
            or (name == "combine" and (len(node.args) > 2 or "tzinfo" in zoned))
        ):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize(
    "line",
    [
        "at.astimezone(settings.zone)",
        "at.astimezone()",
        "ZoneInfo('Europe/Berlin')",
        "at.replace(tzinfo=zone)",
        "dt.datetime.combine(day, dt.time(), zone)",
        "dt.datetime.combine(day, dt.time(), tzinfo=zone)",
        "croniter(cron)",
    ],
)
def test_the_search_sees_it(line: str) -> None:
    assert list(zone_arithmetic(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    [
        "at.astimezone(dt.UTC)",
        "at.replace(tzinfo=UTC)",
        "at.replace(minute=0)",
        "text.replace(a, b)",
    ],
)
def test_utc_is_nobodys_zone(line: str) -> None:
    assert not list(zone_arithmetic(ast.parse(line)))


def test_no_module_beside_the_calendar_reckons_with_zones() -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}: {text}"
        for path in sorted(SOURCE.rglob("*.py"))
        if not str(path.relative_to(SOURCE)).startswith(ALLOWED)
        for line, text in zone_arithmetic(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


def test_no_statement_does_either() -> None:
    found = [
        f"{path.relative_to(SOURCE)}: {match[0]}"
        for path in sorted(SOURCE.rglob("*.sql"))
        if not str(path.relative_to(SOURCE)).startswith(RELEASED)
        for match in re.finditer(
            r"at time zone (?!'UTC')\S+", path.read_text(encoding="utf-8"), re.IGNORECASE
        )
    ]
    assert found == []
