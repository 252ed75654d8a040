"""No class of the product has the name of another one."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import consumer_analytics

SOURCE = Path(consumer_analytics.__file__).parent


def test_each_name_of_a_class_has_one_meaning() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(SOURCE)}:{node.lineno}")
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
