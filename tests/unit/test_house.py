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
from consumer_analytics.mapping import Words

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


def place(statement: str) -> str:
    """Return where a statement lies."""
    return statement.rpartition("/")[0]


def is_folder(name: str) -> bool:
    """Whether a place is a plain folder of a package's statements, which are read together."""
    return name != sql.SHARED and name not in modules() and f"{name}/__init__" not in modules()


@cache
def readers() -> dict[str, set[str]]:
    """Return which modules name each statement, or the folder of which they read all."""
    found = defaultdict(set)
    for module, tree in modules().items():
        for pattern in named(tree):
            for statement in STATEMENTS:
                folder = place(statement)
                if pattern.fullmatch(statement) or (
                    is_folder(folder) and pattern.fullmatch(folder)
                ):
                    found[statement].add(module)
    return found


def may_read(module: str, statement: str) -> bool:
    """Whether a statement lies beside a module: with it, its package, or in a folder there."""
    where = place(statement)
    return where == module or package(module) == (package(where) if is_folder(where) else where)


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_lies_beside_its_reader(statement: str) -> None:
    found = readers()[statement]
    assert found, f"nobody reads {statement}"
    if statement.startswith(f"{sql.SHARED}/"):
        assert len({package(module) for module in found}) > 1, f"{found} alone"
        return
    assert {module for module in found if not may_read(module, statement)} == set()


def test_a_gap_in_a_name_is_seen() -> None:
    found = readers()["etl/extract/customers-hand-over"]
    assert found == {"etl/extract"}


@pytest.mark.parametrize(
    ("fragment", "maker"),
    [("event_columns", "etl/events/counted"), ("change_columns", "shared/customers-changes")],
)
def test_the_columns_of_an_extract_stand_in_one_place(fragment: str, maker: str) -> None:
    columns = sql.fragment(fragment)
    spelt = re.compile(r"\s*,\s*".join(columns.split(", ")) + r"\b(?!\s*,)")
    assert {name for name in STATEMENTS if spelt.search(sql.text(name))} == set()
    # As the statement that makes the table has them, in its order.
    made = re.findall(r"^    (?:.* as )?([a-z_]+)\b", sql.text(maker), re.MULTILINE)
    assert made == columns.split(", ")


@pytest.mark.parametrize("statement", STATEMENTS)
def test_what_the_user_names_is_not_spelt_in_statements(statement: str) -> None:
    """Tables have an alias, where a subquery may stand; words that carry meaning are filled in."""
    text = sql.text(statement)
    assert re.findall(r"\{(?:consumers|customers|customer_events)\}(?! as )", text) == []
    words = {word for name, word in Words().items() if not name.endswith("_key")}
    assert {word for word in words if f"'{word}'" in text} == set()
    assert re.findall(r"payload(?:_json)? ->>? '", text) == []


def test_whoever_composes_a_statement_says_what_the_sources_are_called() -> None:
    """Composed without, it is refused: a default would read other words, and say nothing."""
    with pytest.raises(ValueError, match="say what they are called"):
        sql.query("etl/lives/concern-late")
    silent = [
        f"{module}: {name.value}"
        for module, tree in modules().items()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"query", "scalar_of"}
        for name in call.args
        if isinstance(name, ast.Constant)
        and name.value in STATEMENTS
        and not any(keyword.arg == "sources" for keyword in call.keywords)
        and (getattr(call.func, "id", "") == "scalar_of" or len(call.args) == 1)
        and _names_sources(str(name.value))
    ]
    assert silent == []


def _names_sources(statement: str) -> bool:
    try:
        sql.query(statement)
    except ValueError:
        return True
    except KeyError:
        # Of further parts.
        return False
    return False


def test_one_of_a_thing_is_told_as_one() -> None:
    """Whatever is counted is written by `formatting.counted`, which knows of one.

    What a text counts shows in it: its thousands are set apart. `1 of 4 rows` may say so.
    """
    things = re.compile(r" (?!of )(?:[a-z]+ )?[a-z]+[^s ]s\b")
    said = []
    for module, tree in modules().items():
        # There stand measures: `1.0 days`.
        for node in ast.walk(tree) if module != "formatting" else ():
            if isinstance(node, ast.Constant) and re.search(r"[a-z]\(s\)", str(node.value)):
                said.append((module, node.value))
            parts = node.values if isinstance(node, ast.JoinedStr) else []
            texts = [str(getattr(part, "value", "")) for part in parts]
            for place, gap in enumerate(parts[:-1]):
                if (
                    isinstance(gap, ast.FormattedValue)
                    and gap.format_spec is not None
                    and ast.unparse(gap.format_spec) == "f','"
                    and things.match(texts[place + 1])
                    and not (place and texts[place - 1].endswith(" of "))
                ):
                    said.append((module, ast.unparse(node)))
    assert not said
