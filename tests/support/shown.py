"""Compare what a page shows of a command's output with what the command prints.

Figures, instants, ids, paths and durations differ from run to run; what is compared is the shape of
each line: its words, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

#: A line of a page that stands for any number of lines.
OMITTED = "…"
_VARYING = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:\.\d+)?)?(?: UTC|\+00:00)?"), "<instant>"),
    (re.compile(r"http://[\w.]+:\d+"), "<address>"),
    (re.compile(r"(?:…|/)[^\s']*/[^\s'?&]*"), "<path>"),
    # What takes seconds on a quiet machine takes minutes on a busy one.
    (re.compile(r"\b\d+ min(?: \d+ s)?\b"), "<figure> s"),
    (re.compile(r"\d[\d,]*(?:\.\d+)?(?: ?(?:KiB|MiB|GiB|B)\b)?"), "<figure>"),
    (re.compile(r"\s+"), " "),
)


def shapes(text: str) -> list[str]:
    """Return the shape of each line that is not blank."""
    found = []
    for line in text.splitlines():
        shape = line.strip()
        for pattern, name in _VARYING:
            shape = pattern.sub(name, shape)
        if shape:
            found.append(shape)
    return found


def unlike(shown: str, printed: str) -> list[str]:
    """Return the lines of a page that were not printed, in the page's order.

    An empty list means: leaving out lines only where the page says `…`, it was printed so.
    """
    rest = shapes(printed)
    wrong = []
    skipping = False
    for shape in shapes(shown):
        if shape == OMITTED:
            skipping = True
            continue
        places = range(len(rest)) if skipping else range(min(1, len(rest)))
        at = next((place for place in places if rest[place] == shape), None)
        if at is None:
            wrong.append(shape)
        else:
            del rest[: at + 1]
            skipping = False
    if rest and not skipping:
        wrong.append(f"(not shown) {rest[0]}")
    return wrong


def on_terminal(output: str, errors: str) -> str:
    """Return what a start leaves on a terminal: each step's last line, then what was found."""
    steps = [line for line in errors.splitlines() if line.startswith("done ")]
    # As root, folders are opened for the server's user; other users have no such line.
    rest = [line for line in output.splitlines() if not line.startswith("letting user ")]
    return "\n".join(steps + rest)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Yield a page's fenced blocks: the language and the text."""
    for _, language, text in re.findall(
        r"^( *)```(\w+)\n(.*?)^\1```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE
    ):
        yield language, text
