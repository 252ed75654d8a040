"""Messages as text and as HTML: the templates, and how they write what stands in a message."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from consumer_analytics.formatting import amount, count, duration, moment
from consumer_analytics.monitoring.notifications.message import label_of

_COLOURS = {
    "critical": "#b3261e",
    "warning": "#9a6700",
    "unknown": "#9a6700",
    "normal": "#1a7f37",
}


@cache
def templates() -> Environment:
    """Return the templates of all channels, which raise where something is not there."""
    found = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters |= {
        "moment": moment,
        "amount": lambda one: amount(one.value, one.unit),
        # Not `count`: that is Jinja's own, the length of something.
        "number": count,
        "label": label_of,
        "colour": lambda state: _COLOURS[state],
        "duration": duration,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "one_line": lambda text: " ".join(str(text).split()),
    }
    return found
