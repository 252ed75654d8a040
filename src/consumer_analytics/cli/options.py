"""Options take their values as they come, where these have the right type already.

Typer hands every value to Pydantic: a text that is to be a text, and an option that was not given,
too. To import Pydantic takes longer than a command's own modules do together, and few calls give
anything that has to be converted.

And help names what an option takes as people call it.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperOption

#: Types that a value has or has not; whatever else has parts, choices or rules of its own.
_PLAIN = (str, int, float, bool)
_convert = TyperOption.process_value
_shown = TyperOption.display_type_rich
_shown_argument = TyperArgument.display_type_rich
#: What people call what Python has other names for.
_PLAIN_NAMES = {"<int>": "N", "<int range>": "N", "<str>": "TEXT", "<%Y-%m-%d>": "DATE"}


def _process_value(option: TyperOption, ctx: Any, value: Any) -> Any:
    kind = option.type_descriptor.annotation
    ready = value is None or (kind in _PLAIN and type(value) is kind)
    if option.required or not ready:
        return _convert(option, ctx, value)
    if value is None and option.multiple:
        value = ()
    return value if option.callback is None else option.callback(ctx, option, value)


def convert_only_what_must_be() -> None:
    """Let Typer's options, its own `--help` among them, convert only what must be converted."""
    TyperOption.process_value = _process_value  # type: ignore[method-assign, assignment]


def _display_type(option: TyperOption, ctx: Any) -> str | None:
    if option.is_flag:
        return None
    shown = _shown(option, ctx)
    return None if shown is None else _PLAIN_NAMES.get(shown, shown)


def _display_type_of_argument(argument: TyperArgument, ctx: Any) -> str | None:
    shown = _shown_argument(argument, ctx)
    return None if shown == "<str>" else shown


def show_what_is_given() -> None:
    """Let `--help` show a value only where one is given, and call it by a plain name.

    Typer shows `<bool>` behind an option that takes no value: who gives it one is refused.
    """
    TyperOption.display_type_rich = _display_type  # type: ignore[method-assign, assignment]
    TyperArgument.display_type_rich = (  # type: ignore[method-assign]
        _display_type_of_argument  # type: ignore[assignment]
    )
