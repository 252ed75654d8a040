"""PostgreSQL's statements as tokens, with psycopg's placeholders in them.

No parser reads templates such as `with {changes}, ...`; tokens are enough to change one
thing at a time, and comments, strings and placeholders are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<placeholder>%%|%\(\w+\)s|%s|\{\{|\}\}|\{\w*\})
    | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    | (?P<word>[^\W\d][\w$]*|"(?:[^"]|"")*")
    | (?P<operator>(?:(?!--|/\*)[-+*/<>=~!@\#^&|`?])+)
    | (?P<punctuation>::|[()\[\],;.:])
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENING = {"(": ")", "[": "]", "case": "end"}


@dataclass(frozen=True)
class Token:
    """A piece of a statement.

    Attributes:
        kind: `word`, `operator`, `number`, `string`, `placeholder`, `punctuation`,
            `space` or `comment`.
        text: as it is written; words in lower case.
        start: offset of its first character.
        end: offset after its last one.
        depth: in how many parentheses, brackets and `case` expressions it stands.
            What opens and closes one belongs to what is outside.
    """

    kind: str
    text: str
    start: int
    end: int
    depth: int


class UnknownTextError(ValueError):
    """A statement holds something that is no token that we know."""


def tokens(text: str) -> list[Token]:
    """Cut a text into tokens; put together they are the text again.

    Raises:
        UnknownTextError: there is something else in it.
    """
    found: list[Token] = []
    closing: list[str] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise UnknownTextError(f"no token at {text[place : place + 20]!r}")
        kind = "string" if match.lastgroup == "tag" else str(match.lastgroup)
        said = match[0].lower() if kind == "word" else match[0]
        if kind in {"word", "punctuation"} and closing and said == closing[-1]:
            closing.pop()
        found.append(Token(kind, said, match.start(), match.end(), len(closing)))
        if kind in {"word", "punctuation"} and said in _OPENING:
            closing.append(_OPENING[said])
        place = match.end()
    return found


def code(text: str) -> list[Token]:
    """Return the tokens that say something: no blanks, no comments."""
    return [token for token in tokens(text) if token.kind not in {"space", "comment"}]


def closing_of(found: Sequence[Token], opening: int) -> int:
    """Return the place of the token that closes what the one at `opening` opens."""
    depth = found[opening].depth
    return next(
        place
        for place in range(opening + 1, len(found))
        if found[place].depth == depth and found[place].text == _OPENING[found[opening].text]
    )


def opening_of(found: Sequence[Token], closing: int) -> int:
    """Return the place of the token that opens what the one at `closing` closes."""
    depth = found[closing].depth
    return next(
        place
        for place in range(closing - 1, -1, -1)
        if found[place].depth == depth and _OPENING.get(found[place].text) == found[closing].text
    )
