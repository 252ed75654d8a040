"""What a setting is made of: a type with its bounds, read from a line of text.

With the standard library alone: every command reads the settings before it does anything,
and a validation library takes longer to import than most commands have to work.
"""

from __future__ import annotations

import datetime as dt
import types
from collections.abc import Callable, Iterator
from dataclasses import Field as DataclassField
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

_Mark = TypeVar("_Mark")
_TRUE = frozenset({"1", "true", "t", "yes", "y", "on"})
_MOST_SHOWN = 60
_FALSE = frozenset({"0", "false", "f", "no", "n", "off"})


class Secret:
    """A text that shows nowhere by accident: not in a message, a log, or a representation."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Take the text."""
        self._value = value

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __str__(self) -> str:
        return "**********"


@dataclass(frozen=True)
class Field:
    """What a setting is for, and which of its type's values it takes.

    Attributes:
        description: a sentence or two; its row in docs/reference/settings.md.
        ge: no less than this.
        gt: more than this.
        le: no more than this.
        rule: what else a value is held against; raises ValueError.
    """

    description: str
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    rule: Callable[[Any], None] | None = None

    def check(self, value: Any) -> None:
        """Hold a value against the bounds and the rule.

        Raises:
            ValueError: it is outside of them, or the rule refuses it.
        """
        # Each the way round that a NaN is refused.
        if self.ge is not None and not value >= self.ge:
            raise ValueError(f"must be {_written(self.ge)} or more, and is {_written(value)}")
        if self.gt is not None and not value > self.gt:
            raise ValueError(f"must be more than {_written(self.gt)}, and is {_written(value)}")
        if self.le is not None and not value <= self.le:
            raise ValueError(f"must be {_written(self.le)} or less, and is {_written(value)}")
        if self.rule is not None:
            self.rule(value)


def _written(number: float) -> str:
    """Write a bound, or what is beyond it: `604800`, `1e+308`."""
    return f"{number:.15g}"


def quoted(text: str) -> str:
    """Write what somebody gave, in an error: as it is, but no more than a line of it."""
    return repr(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…")


def described(field: DataclassField[Any]) -> Field:
    """Return the description in a dataclass's field, which is `Annotated[type, …, Field(…)]`."""
    return next(mark for mark in _marks(field) if isinstance(mark, Field))


def marked(settings: Any, kind: type[_Mark]) -> Iterator[tuple[str, _Mark]]:
    """Yield the fields of a dataclass that are marked by an instance of a class, and the mark."""
    for field in fields(settings):
        for mark in _marks(field):
            if isinstance(mark, kind):
                yield field.name, mark


def _marks(field: DataclassField[Any]) -> tuple[Any, ...]:
    """Return what is said of a field beside its type."""
    found: tuple[Any, ...] = field.type.__metadata__  # type: ignore[union-attr]
    return found


def read(field: DataclassField[Any], text: str) -> Any:
    """Return the value that a text stands for.

    Raises:
        ValueError: it stands for none of the field's type.
    """
    kind = field.type.__origin__  # type: ignore[union-attr]
    if isinstance(kind, types.UnionType):
        # What is optional is unset by its absence.
        kind = next(one for one in get_args(kind) if one is not types.NoneType)
    if get_origin(kind) is Literal:
        return _chosen(text, get_args(kind))
    return _READERS[kind](text)


def takes(field: DataclassField[Any], value: Any) -> bool:
    """Tell whether a program's value is of a field's type; whole numbers are numbers too."""
    kind = field.type.__origin__  # type: ignore[union-attr]
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    return any(_is(one, value) for one in kinds)


def _is(kind: Any, value: Any) -> bool:
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if isinstance(value, bool) or kind is bool:
        return kind is bool and isinstance(value, bool)
    return isinstance(value, int | float if kind is float else kind)


def _chosen(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError(f"{quoted(text)} is none of {', '.join(choices)}")
    return text


def _flag(text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{quoted(text)} is neither true nor false")
    return word in _TRUE


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a number") from None


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a date; write it like 2025-11-03") from None


_READERS: dict[Any, Any] = {
    str: str,
    int: _whole,
    float: _number,
    bool: _flag,
    dt.date: _day,
    Path: Path,
    Secret: Secret,
}
