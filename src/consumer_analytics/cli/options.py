"""Options take their values as they come, where these have the right type already.

Typer hands every value to Pydantic: a text that is to be a text, and an option that was not given,
too. To import Pydantic takes longer than a command's own modules do together, and few calls give
anything that has to be converted.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperOption

#: Types that a value has or has not; whatever else has parts, choices or rules of its own.
_PLAIN = (str, int, float, bool)
_convert = TyperOption.process_value


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
