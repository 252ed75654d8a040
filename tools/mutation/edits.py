"""A mutant: one edit of one file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Edit:
    """One replacement in a text.

    Attributes:
        start: offset of the first character that is replaced.
        end: offset after the last one; equal to `start` where text is inserted.
        new: what stands there instead.
        kind: what sort of mistake it is, such as `comparison`.
    """

    start: int
    end: int
    new: str
    kind: str

    def apply(self, text: str) -> str:
        """Return the text with this edit made."""
        return text[: self.start] + self.new + text[self.end :]


@dataclass(frozen=True)
class Mutant:
    """A file of the product with one mistake in it.

    Attributes:
        file: its path from the root of the checkout.
        function: the qualified name of the Python function that it is in; empty in SQL.
        line: the number of its first line, from 1.
        before: the lines that the edit is in, blanks at their ends taken off.
        after: the same lines with the mistake.
        edit: where exactly.
    """

    file: str
    function: str
    line: int
    before: str
    after: str
    edit: Edit

    @property
    def key(self) -> str:
        """Identify it across runs, as long as the lines around it stay as they are."""
        told = "\0".join([self.file, str(self.line), str(self.edit.start), self.before, self.after])
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def place(self) -> str:
        """What a test has to reach, to notice it: a statement's file, or a function."""
        return f"{self.file}::{self.function}" if self.function else self.file

    def __str__(self) -> str:
        """Say where it is and what it does, for a report."""
        return f"{self.file}:{self.line}  [{self.edit.kind}]  {self.before}  ->  {self.after}"


def mutant_of(file: str, text: str, edit: Edit, function: str = "") -> Mutant:
    """Describe an edit of a file's text.

    Args:
        file: the file's path from the root of the checkout.
        text: what it holds.
        edit: the edit.
        function: the Python function that it is in.
    """
    begin = text.rfind("\n", 0, edit.start) + 1
    end = text.find("\n", edit.end)
    end = len(text) if end < 0 else end
    before = text[begin:end]
    after = text[begin : edit.start] + edit.new + text[edit.end : end]
    return Mutant(
        file=file,
        function=function,
        line=text.count("\n", 0, begin) + 1,
        before=_squeezed(before),
        after=_squeezed(after),
        edit=edit,
    )


def _squeezed(lines: str) -> str:
    return " ".join(lines.split())
