"""A question before what is not easily undone, and the option that answers it beforehand."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from consumer_analytics.errors import UsageError

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def confirm(question: str) -> None:
    """Ask a person, on standard error: what goes to a file or to another program is the answer.

    Raises:
        UsageError: the answer is no, or there is nobody to give one.
    """
    try:
        # click writes the question's last blank to standard output all the same.
        with contextlib.redirect_stdout(sys.stderr):
            agreed = typer.confirm(question, err=True)
    except typer.Abort:
        # Nobody has ended the question's line.
        typer.echo(err=True)
        raise UsageError("not confirmed; answer y, or give --yes") from None
    if not agreed:
        raise UsageError("not confirmed; nothing was changed")
