"""Notes which statements are read and which functions are called, in every process of a test.

It is started where a process starts (`sitecustomize`), and writes to the file that
`MUTATION_REACH` names, a line each: a statement's path, or `path::function`. The copy's
modules call `__reached__` at the beginning of each function (see `workspace`).
"""

from __future__ import annotations

import ast
import builtins
import os
import sys
from pathlib import Path
from typing import Any

REACH = "MUTATION_REACH"
ROOT = "MUTATION_ROOT"

_seen: set[str] = set()
_file: int | None = None
_root = ""


def start() -> None:
    """Begin to note, where the environment says so."""
    global _file, _root  # noqa: PLW0603 - a process has one probe
    if REACH not in os.environ:
        return
    _root = os.environ[ROOT] + os.sep
    _file = os.open(os.environ[REACH], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    builtins.__reached__ = _reached  # type: ignore[attr-defined]
    sys.addaudithook(_opened)


def forget() -> None:
    """Note everything once more: another test begins."""
    _seen.clear()


def _reached(name: str) -> None:
    if name not in _seen and _file is not None:
        _seen.add(name)
        os.write(_file, f"{name}\n".encode())


def _opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and str(arguments[0]).endswith(".sql"):
        path = str(arguments[0])
        if path.startswith(_root):
            _reached(path.removeprefix(_root))


def instrumented(text: str, file: str) -> str:
    """Return a module's source whose functions say that they were called.

    Args:
        text: the source.
        file: its path from the root of the checkout.
    """
    tree = ast.parse(text)
    _instrument(tree.body, f"{file}::")
    return ast.unparse(ast.fix_missing_locations(tree))


def _instrument(body: list[ast.stmt], prefix: str) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            _instrument(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            call = ast.parse(f"__reached__({prefix + node.name!r})").body
            first = 1 if ast.get_docstring(node) is not None else 0
            node.body[first:first] = call


def reached_by_now(place: int) -> tuple[set[str], int]:
    """Return what was noted from an offset of the file on, and the offset now."""
    with Path(os.environ[REACH]).open(encoding="utf-8") as file:
        file.seek(place)
        return {line.strip() for line in file if line.endswith("\n")}, file.tell()
