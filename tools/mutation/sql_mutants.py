"""Mistakes that a statement may have: each function finds the places for one sort of them.

Edits are made on tokens, so a few mutants are no valid SQL, or of no valid types; they
are told apart when they are tried, by the server's own answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tools.mutation.edits import Edit
from tools.mutation.sql_lexer import Token, closing_of, code, opening_of

#: Off by its boundary, and turned round.
_COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "=": ("<>",),
    "<>": ("=",),
    "!=": ("=",),
}
#: Functions that are each other's opposite.
_OPPOSITES = {
    "min": "max",
    "max": "min",
    "greatest": "least",
    "least": "greatest",
    "bool_or": "bool_and",
    "bool_and": "bool_or",
    "lag": "lead",
    "lead": "lag",
    "first_value": "last_value",
    "last_value": "first_value",
    "floor": "ceil",
    "ceil": "floor",
}
_JOIN_KINDS = ("left", "right", "full", "inner", "cross")
#: What a condition or an ORDER BY ends with, where it stands at the same depth.
_CLAUSES = frozenset(
    {
        "where",
        "group",
        "order",
        "having",
        "window",
        "limit",
        "offset",
        "fetch",
        "for",
        "union",
        "except",
        "intersect",
        "returning",
        "join",
        "natural",
        "inner",
        "cross",
        "on",
        "do",
        "set",
        "using",
        "when",
        "then",
        "else",
        "rows",
        "range",
        "groups",
    }
)


def edits(text: str) -> list[Edit]:
    """Return every edit that makes a mutant of a statement's text.

    Args:
        text: the statement, as its file has it.

    Raises:
        UnknownTextError: it is no statement that can be cut into tokens.
    """
    found = code(text)
    made: dict[tuple[int, int, str], Edit] = {}
    for finder in (
        _comparisons,
        _negations,
        _joins,
        _conditions,
        _connectives,
        _defaults,
        _opposites,
        _unions,
        _signs,
        _orders,
        _distinct,
        _limits,
    ):
        for edit in finder(text, found):
            # Two sorts of mistake may be the same text, or none.
            if text[edit.start : edit.end] != edit.new:
                made.setdefault((edit.start, edit.end, edit.new), edit)
    return sorted(made.values(), key=lambda edit: (edit.start, edit.end, edit.new))


def _words(found: Sequence[Token], place: int, *words: str) -> bool:
    """Tell whether these words follow one another from a place on."""
    return place >= 0 and tuple(token.text for token in found[place : place + len(words)]) == words


def _over(first: Token, last: Token, new: str, kind: str) -> Edit:
    return Edit(first.start, last.end, new, kind)


def _without(found: Sequence[Token], first: int, last: int, kind: str) -> Edit:
    """Take tokens out, with the blanks after them."""
    end = found[last + 1].start if last + 1 < len(found) else found[last].end
    return Edit(found[first].start, end, "", kind)


# -- comparisons -----------------------------------------------------------------


def _assigns(found: Sequence[Token], place: int) -> bool:
    """Tell whether the `=` at a place is that of `set column = value`."""
    before = place - 1
    if found[before].text == ")":
        before = opening_of(found, before)
    if before < 1 or found[before - 1].text not in {"set", ","}:
        return False
    depth = found[place].depth
    for earlier in range(before - 1, -1, -1):
        token = found[earlier]
        if token.depth < depth:
            return False
        if token.depth == depth and token.text == "set":
            return True
        if token.depth == depth and token.text in {"where", "from", "select", "returning"}:
            return False
    return False


def _comparisons(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.kind == "operator" and token.text in _COMPARISONS:
            if token.text == "=" and _assigns(found, place):
                continue
            for other in _COMPARISONS[token.text]:
                yield _over(token, token, other, "comparison")
        elif _words(found, place, "is", "distinct", "from"):
            last = found[place + 2]
            yield _over(token, last, "is not distinct from", "comparison")
            yield _over(token, last, "<>", "null as a value")
        elif _words(found, place, "is", "not", "distinct", "from"):
            last = found[place + 3]
            yield _over(token, last, "is distinct from", "comparison")
            yield _over(token, last, "=", "null as a value")
        elif _words(found, place, "is", "null"):
            yield _over(token, found[place + 1], "is not null", "comparison")
        elif _words(found, place, "is", "not", "null"):
            yield _over(token, found[place + 2], "is null", "comparison")


def _negations(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        before = found[place - 1].text if place else ""
        after = found[place + 1].text if place + 1 < len(found) else ""
        if token.text == "not" and before not in {"is", "if"} and after not in {"null", "matched"}:
            yield _without(found, place, place, "negation")
        elif token.text in {"in", "exists"} and before not in {"not", "if"} and after == "(":
            yield Edit(token.start, token.start, "not ", "negation")


# -- joins -----------------------------------------------------------------------


def _joins(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text != "join" or token.kind != "word":
            continue
        first = place - 1
        if found[first].text == "outer":
            first -= 1
        kind = found[first].text
        if kind == "left":
            yield _over(found[first], token, "join", "join")
        elif kind == "full":
            yield _over(found[first], token, "left join", "join")
            yield _over(found[first], token, "right join", "join")
        elif kind == "right":
            yield _over(found[first], token, "join", "join")
        elif kind == "inner":
            yield _over(found[first], token, "left join", "join")
        elif kind not in _JOIN_KINDS and kind != "natural":
            yield _over(token, token, "left join", "join")


# -- conditions ------------------------------------------------------------------


@dataclass(frozen=True)
class _Span:
    """Tokens from `first` up to, without, `end`."""

    first: int
    end: int


def _region(found: Sequence[Token], first: int) -> _Span:
    """Return what a clause holds that begins at `first`: up to the next, or what closes it.

    What closes it stands one depth higher, so that a `)` or an `end` of the same depth is
    that of something within.
    """
    depth = found[first].depth
    for place in range(first, len(found)):
        token = found[place]
        if token.depth < depth or (token.depth == depth and token.text in {";", ","}):
            return _Span(first, place)
        if token.depth != depth or token.kind != "word":
            continue
        follows = found[place + 1].text if place + 1 < len(found) else ""
        if token.text in {"left", "right", "full"}:
            if follows in {"join", "outer"}:
                return _Span(first, place)
        elif token.text in _CLAUSES:
            return _Span(first, place)
    return _Span(first, len(found))


def _split(found: Sequence[Token], span: _Span, word: str) -> list[_Span]:
    """Cut a condition at `and` or `or`, where they stand at its own depth."""
    depth = found[span.first].depth
    parts: list[_Span] = []
    first = span.first
    between = False
    for place in range(span.first, span.end):
        token = found[place]
        if token.depth != depth:
            continue
        if token.text == "between":
            between = True
        elif token.text == "and" and between:
            between = False
        elif token.text == word:
            parts.append(_Span(first, place))
            first = place + 1
    return [*parts, _Span(first, span.end)]


def _replaced(found: Sequence[Token], span: _Span, new: str, kind: str) -> Edit:
    return _over(found[span.first], found[span.end - 1], new, kind)


def _parts(found: Sequence[Token], span: _Span, *, whole: bool) -> Iterator[Edit]:
    """Drop each part of a condition, at every depth of its parentheses.

    Args:
        found: the statement.
        span: the condition.
        whole: drop it too where it has one part alone.
    """
    if span.first >= span.end:
        return
    alternatives = _split(found, span, "or")
    for alternative in alternatives:
        if alternative.first >= alternative.end:
            return
        if len(alternatives) > 1:
            yield _replaced(found, alternative, "false", "alternative dropped")
        conjuncts = _split(found, alternative, "and")
        for conjunct in conjuncts:
            if conjunct.first >= conjunct.end:
                continue
            if len(conjuncts) > 1 or (whole and len(alternatives) == 1):
                yield _replaced(found, conjunct, "true", "condition dropped")
            first = conjunct.first + (found[conjunct.first].text == "not")
            if first < conjunct.end and found[first].text == "(":
                closing = closing_of(found, first)
                inner = _Span(first + 1, closing)
                if closing == conjunct.end - 1 and found[first + 1].text not in {
                    "select",
                    "values",
                }:
                    yield from _parts(found, inner, whole=False)


def _is_condition(found: Sequence[Token], place: int) -> bool:
    """Tell whether a condition follows this word."""
    token = found[place]
    if token.kind != "word" or place + 1 >= len(found):
        return False
    if token.text in {"where", "having"}:
        return True
    if token.text != "on":
        return False
    if found[place - 1].text == "distinct":
        return False
    return found[place + 1].text not in {"conflict", "commit", "delete", "update"}


def _conditions(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if _is_condition(found, place):
            yield from _parts(found, _region(found, place + 1), whole=True)
        elif token.text == "case" and _words(found, place + 1, "when"):
            last = closing_of(found, place)
            for when in range(place + 1, last):
                if found[when].text == "when" and found[when].depth == token.depth + 1:
                    span = _region(found, when + 1)
                    yield from _parts(found, span, whole=False)
                    yield _replaced(found, span, "true", "case")
                    yield _replaced(found, span, "false", "case")


def _connectives(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    between: set[int] = set()
    for token in found:
        if token.text == "between":
            between.add(token.depth)
        elif token.text == "and" and token.depth in between:
            between.remove(token.depth)
        elif token.kind == "word" and token.text in {"and", "or"}:
            yield _over(token, token, "or" if token.text == "and" else "and", "connective")


# -- functions, signs, sets ------------------------------------------------------


def _arguments(found: Sequence[Token], opening: int) -> list[_Span]:
    """Return the arguments of a call whose parenthesis is at `opening`."""
    closing = closing_of(found, opening)
    depth = found[opening].depth + 1
    commas = [
        place
        for place in range(opening + 1, closing)
        if found[place].text == "," and found[place].depth == depth
    ]
    edges = [opening, *commas, closing]
    return [_Span(edges[i] + 1, edges[i + 1]) for i in range(len(edges) - 1)]


def _defaults(text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text not in {"coalesce", "nullif"} or not _words(found, place + 1, "("):
            continue
        spans = _arguments(found, place + 1)
        closing = found[closing_of(found, place + 1)]
        said = [text[found[span.first].start : found[span.end - 1].end] for span in spans]
        left_out = range(len(spans)) if token.text == "coalesce" else [1]
        for out in left_out:
            rest = [one for i, one in enumerate(said) if i != out]
            new = f"({rest[0]})" if len(rest) == 1 else f"coalesce({', '.join(rest)})"
            yield _over(token, closing, new, token.text)


def _opposites(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text in _OPPOSITES and _words(found, place + 1, "("):
            yield _over(token, token, _OPPOSITES[token.text], "opposite")


def _unions(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if _words(found, place, "union", "all"):
            yield _over(token, found[place + 1], "union", "union")
        elif token.text == "union" and token.kind == "word":
            yield _over(token, token, "union all", "union")


def _signs(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text not in {"+", "-"} or not place:
            continue
        before = found[place - 1]
        is_operand = before.text in {")", "]", "end"} or before.kind in {
            "number",
            "string",
            "placeholder",
        }
        is_name = before.kind == "word" and before.text not in {
            "select",
            "then",
            "else",
            "when",
            "and",
            "or",
            "by",
            "where",
            "on",
        }
        if is_operand or is_name:
            yield _over(token, token, "-" if token.text == "+" else "+", "sign")


def _orders(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place in range(len(found) - 2):
        if not _words(found, place, "order", "by"):
            continue
        depth = found[place].depth
        first = place + 2
        while first < len(found):
            item = _region(found, first)
            inside = range(item.first, item.end)
            turn = next((i for i in inside if found[i].text in {"asc", "desc"}), None)
            nulls = next((i for i in inside if found[i].text == "nulls"), item.end)
            if turn is not None and found[turn].text == "desc":
                yield Edit(found[turn - 1].end, found[turn].end, "", "order")
            elif turn is not None:
                yield _over(found[turn], found[turn], "desc", "order")
            else:
                yield Edit(found[nulls - 1].end, found[nulls - 1].end, " desc", "order")
            if (
                item.end < len(found)
                and found[item.end].text == ","
                and (found[item.end].depth == depth)
            ):
                first = item.end + 1
            else:
                break


def _distinct(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text != "distinct" or found[place - 1].text in {"is", "not", "nulls"}:
            continue
        last = closing_of(found, place + 2) if _words(found, place + 1, "on", "(") else place
        yield _without(found, place, last, "distinct")


def _limits(_text: str, found: Sequence[Token]) -> Iterator[Edit]:
    for place, token in enumerate(found):
        if token.text == "limit" and token.kind == "word":
            span = _region(found, place + 1)
            yield Edit(found[place - 1].end, found[span.end - 1].end, "", "limit")
