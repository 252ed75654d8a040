"""Mistakes that a module's functions may have: mutmut's operators, and a few of our own.

mutmut knows the places and the mistakes. Its own runner is not used: it mutates no
decorated function, and has no part in statements in other files; here a mutant is an edit
of a file, whatever language that is in, and the same tests are run on it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation import mutators
from tools.mutation.edits import Edit

#: What sentences say is for people to judge; a wrong key shows itself.
_NOT_OURS = {mutators.operator_string}
#: Calls whose arguments are not changed: the result would only be an error.
_TAKEN_AS_THEY_ARE = frozenset({"len", "isinstance", "cast"})

Operator = Callable[[Any], Iterable[cst.CSTNode]]


def edits(text: str) -> list[tuple[Edit, str]]:
    """Return every edit that makes a mutant of a module, and the function that it is in.

    What runs when the module is imported is left out: constants, decorators, defaults of
    parameters.

    Args:
        text: the module's source.
    """
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    source = _Source(text, wrapper.module, wrapper.resolve(PositionProvider))
    made: dict[tuple[int, int, str], tuple[Edit, str]] = {}
    for statement in wrapper.module.body:
        for function, name in _functions(statement, ""):
            for node, other, kind in _mutations(function):
                edit = source.edit(node, other, kind)
                if edit is not None:
                    made.setdefault((edit.start, edit.end, edit.new), (edit, name))
    return sorted(made.values(), key=lambda one: (one[0].start, one[0].end, one[0].new))


class _Source:
    """A module's text, and where its nodes stand in it."""

    def __init__(
        self, text: str, module: cst.Module, positions: Mapping[cst.CSTNode, CodeRange]
    ) -> None:
        self._text = text
        self._module = module
        self._positions = positions
        lines = text.splitlines(keepends=True)
        self._lines = [0, *itertools.accumulate(map(len, lines))]

    def edit(self, node: cst.CSTNode, other: cst.CSTNode, kind: str) -> Edit | None:
        """Return the least edit that puts another node in a node's place; None for none."""
        position = self._positions[node]
        start = self._lines[position.start.line - 1] + position.start.column
        end = self._lines[position.end.line - 1] + position.end.column
        # A node's parentheses are no part of where it stands.
        if getattr(node, "lpar", ()) and getattr(other, "lpar", None) == getattr(node, "lpar", ()):
            other = other.with_changes(lpar=[], rpar=[])
        before, after = self._text[start:end], self._module.code_for_node(other)
        if before == after:
            return None
        shorter = min(len(before), len(after))
        first = next((i for i in range(shorter) if before[i] != after[i]), shorter)
        shorter -= first
        last = next((i for i in range(shorter) if before[-1 - i] != after[-1 - i]), shorter)
        return Edit(start + first, end - last, after[first : len(after) - last], kind)


def _functions(node: cst.CSTNode, prefix: str) -> Iterator[tuple[cst.FunctionDef, str]]:
    """Yield the functions and methods that a statement defines, outermost alone."""
    if isinstance(node, cst.FunctionDef):
        yield node, prefix + node.name.value
    elif isinstance(node, cst.ClassDef):
        for child in node.body.body:
            yield from _functions(child, f"{prefix}{node.name.value}.")


def _mutations(function: cst.FunctionDef) -> Iterator[tuple[cst.CSTNode, cst.CSTNode, str]]:
    """Yield nodes of a function's body, what may stand there instead, and the sort of mistake."""
    statements = function.body.body
    for place, statement in enumerate(statements):
        if place or not _is_docstring(statement):
            yield from _below(statement)


def _is_docstring(statement: cst.CSTNode) -> bool:
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, cst.SimpleString | cst.ConcatenatedString)
    )


def _below(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode, str]]:
    if isinstance(node, cst.Annotation | cst.Decorator | cst.Param):
        return
    if isinstance(node, cst.FunctionDef):
        yield from _mutations(node)
        return
    if isinstance(node, cst.Call) and _name(node.func) in _TAKEN_AS_THEY_ARE:
        return
    for types, operator, kind in _OPERATORS:
        if isinstance(node, types):
            for other in operator(node):
                yield node, other, kind
    if isinstance(node, cst.If | cst.While | cst.CompIf):
        turned = cst.UnaryOperation(cst.Not(), _in_parentheses(node.test))
        yield node.test, turned, "condition turned"
    for child in node.children:
        yield from _below(child)


def _name(node: cst.BaseExpression) -> str:
    return node.value if isinstance(node, cst.Name) else ""


# -- our own ---------------------------------------------------------------------


def _in_parentheses(node: cst.BaseExpression) -> cst.BaseExpression:
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _one_side(node: cst.BooleanOperation) -> Iterator[cst.CSTNode]:
    """`x or y` as `x`, and as `y`; a condition that is joined by `and` likewise."""
    yield _in_parentheses(node.left)
    yield _in_parentheses(node.right)


def _default_alone(node: cst.Call) -> Iterator[cst.CSTNode]:
    """`found.get(key, other)` as `other`."""
    if (
        isinstance(node.func, cst.Attribute)
        and node.func.attr.value == "get"
        and len(node.args) == 2  # noqa: PLR2004 - the key and the default
    ):
        yield _in_parentheses(node.args[1].value)


def _not_called(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """A call for its effect as `pass`."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def _nothing_returned(node: cst.Return) -> Iterator[cst.CSTNode]:
    """`return x` as `return None`."""
    if node.value is not None and _name(node.value) != "None":
        yield node.with_changes(
            value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" ")
        )


_OPERATORS: Sequence[tuple[Any, Operator, str]] = [
    *(
        (types, operator, operator.__name__.removeprefix("operator_").replace("_", " "))
        for types, operator in mutators.mutation_operators
        if operator not in _NOT_OURS
    ),
    (cst.BooleanOperation, _one_side, "one side"),
    (cst.Call, _default_alone, "default alone"),
    (cst.Expr, _not_called, "not called"),
    (cst.Return, _nothing_returned, "nothing returned"),
]
