"""What a snapshot's document tells, whatever somebody wrote into it by hand.

A figure that is no number, or larger than any count, is missing: no error, and no nought. In SQL
the paths `{a_number}` and `{an_object}` tell the same.
"""

from __future__ import annotations

import json
import math
from decimal import ROUND_HALF_UP as _HALF_UP
from decimal import Decimal
from typing import Any

#: What no count reaches: what the path `{a_number}` has, too.
_LARGEST = 10**18
_ONLY_INT = {int}
#: Digits of a number that Python reads.
_MOST_DIGITS = 4_000


def _fraction(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _whole(digits: str) -> int | None:
    return int(digits) if len(digits) < _MOST_DIGITS else None


_PLAIN = json.JSONDecoder(parse_float=_fraction)
_CAREFUL = json.JSONDecoder(parse_float=_fraction, parse_int=_whole)


def read(text: bytes | str) -> Any:
    """Return what a document's text says, with None where Python cannot take a value in."""
    said = text if isinstance(text, str) else text.decode()
    try:
        return _PLAIN.decode(said)
    except RecursionError:
        return None
    except ValueError:
        return _CAREFUL.decode(said)


def number(value: Any) -> int | float | None:
    """Return a figure; None where a document has no number there."""
    # Not by `isinstance`, to which a boolean is a number: JSON's have these types and no others.
    kind = type(value)
    return value if (kind is int or kind is float) and -_LARGEST < value < _LARGEST else None


def count(value: Any) -> int | None:
    """Return a figure that counts something, a fraction rounded as the database does it."""
    # What was never edited is told at once: a page has thousands of them.
    if type(value) is int and -_LARGEST < value < _LARGEST:
        return value
    figure = number(value)
    return None if figure is None else int(Decimal(repr(figure)).quantize(Decimal(1), _HALF_UP))


def counts(value: Any) -> dict[str, int] | None:
    """Return counts by name; None where a document has none there, or one of them is no number."""
    if not isinstance(value, dict):
        return None
    told = value.values()
    if not value or (
        set(map(type, told)) == _ONLY_INT and -_LARGEST < min(told) <= max(told) < _LARGEST
    ):
        return value
    read_again = {name: count(one) for name, one in value.items()}
    found = {name: one for name, one in read_again.items() if one is not None}
    return found if len(found) == len(value) else None
