"""What a command is called with and cannot use, told as all other errors are: in one line."""

from __future__ import annotations

import datetime as dt
from typing import Any

import typer

from consumer_analytics.errors import UsageError


def refused(error: typer.TyperException) -> UsageError:
    """Return what Typer refuses, for which it would draw a box, as an error of ours."""
    told = UsageError(_told(error))
    told.exit_code = error.exit_code
    return told


def _told(error: typer.TyperException) -> str:
    """Say what is wrong, and where the right call is shown."""
    text = _of_its_kind(error) or " ".join(error.format_message().split()).removesuffix(".")
    text = text.replace("(Possible options: ", "(there is: ")
    ctx = getattr(error, "ctx", None)
    there = f"; `{ctx.command_path} --help` tells how it is called" if ctx is not None else ""
    return f"{text[0].lower()}{text[1:]}{there}"


def _of_its_kind(error: Any) -> str | None:
    """Say what an option's value has to be, where the validator's words are for programs."""
    param = getattr(error, "param", None)
    wrong = getattr(error.__cause__, "errors", None)
    if param is None or wrong is None:
        return None
    kind = param.type_descriptor.annotation
    if kind is int:
        info = param.type_descriptor.parameter_info
        needed = f"a whole number{_limits(info.min, info.max)}"
    elif kind is dt.datetime:
        needed = "a day of the calendar, such as 2025-11-03"
    else:
        return None
    return f"{param.opts[0]} must be {needed}, and is {wrong()[0]['input']!r}"


def _limits(least: float | None, most: float | None) -> str:
    if most is None:
        return "" if least is None else f", {least:g} or more"
    return f" up to {most:g}" if least is None else f" from {least:g} to {most:g}"
