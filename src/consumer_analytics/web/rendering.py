"""Templates, and how figures, times and addresses are written in them."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
import markupsafe
from pydantic_core import to_json

import consumer_analytics
from consumer_analytics import formatting
from consumer_analytics.web import charts

STATIC = Path(__file__).with_name("static")
#: What stands on a page where there is no figure.
DASH = "\N{EN DASH}"
_DIGITS_OF_A_HASH = 12

#: A parameter of an address: one value, several, or None to leave it out.
Parameter = str | int | Sequence[str] | None


def address(path: str, parameters: Mapping[str, Parameter]) -> str:
    """Return an address with the parameters that have a value, in their order."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def iso(at: dt.datetime) -> str:
    """Return an instant as a machine reads it."""
    return f"{at.astimezone(dt.UTC).replace(tzinfo=None).isoformat()}Z"


def typeset(text: str) -> str:
    """Return a figure as a page has it: with a minus sign, a dash where there is none."""
    return DASH if text == formatting.NOTHING else text.replace("-", "\N{MINUS SIGN}")


def _typeset(rule: Callable[[Any], str]) -> Callable[[Any], str]:
    return lambda value: typeset(rule(value))


def counted(value: float | None, thing: str) -> str:
    """Return how many there are of something, one of them as one: `1 customer`."""
    return f"{typeset(formatting.count(value))} {thing if value == 1 else f'{thing}s'}"


def dash(line: charts.Line, place: int) -> str:
    """Return how a line is dashed, as SVG has it."""
    return "3 4" if line.reference else charts.DASHES[place % len(charts.DASHES)]


def moment(at: dt.datetime | None, seconds: bool = False) -> str:
    """Return an instant marked as such, so that it is told in its reader's zone."""
    if at is None:
        return DASH
    # Nothing in it needs escaping, and a page has dozens of them.
    marked = " data-seconds" if seconds else ""
    text = formatting.moment(at, to="seconds" if seconds else "minutes")
    return markupsafe.Markup(f'<time datetime="{iso(at)}"{marked}>{text}</time>')  # noqa: S704


#: An instant in a sentence, and not one that is part of a run's id.
_INSTANT = re.compile(
    r"(?<!\w)(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d)?(?:\.\d+)?(?: UTC|Z|\+00:00)"
)


def timed(text: str) -> markupsafe.Markup:
    """Return a sentence whose instants are marked as such, so that each is told in one zone."""
    return markupsafe.Markup(_INSTANT.sub(_timed, markupsafe.escape(text)))  # noqa: S704


def _timed(found: re.Match[str]) -> str:
    day, minute, second = found.groups(":00")
    return f'<time datetime="{day}T{minute}{second}Z" data-seconds>{found.group()}</time>'


#: By the name that templates know them by.
_FILTERS: dict[str, Callable[..., Any]] = {
    "counted": counted,
    "moment": moment,
    "timed": timed,
    "dash": dash,
    **{
        rule.__name__: _typeset(rule)
        for rule in (
            formatting.count,
            formatting.days,
            formatting.duration,
            formatting.percent,
            formatting.percent_signed,
            formatting.points,
            formatting.signed,
        )
    },
}


def _json(value: Any, **_: Any) -> str:
    return to_json(value).decode()


@lru_cache(maxsize=1)
def _version() -> str:
    """Return the version of what pages load: one for all, as scripts import each other."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:_DIGITS_OF_A_HASH]


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """Return the templates' environment; everything that is put in is escaped."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("consumer_analytics.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # In a third of the standard library's time.
    templates.policies["json.dumps_function"] = _json
    templates.filters |= _FILTERS
    templates.globals |= {
        "version": consumer_analytics.__version__,
        "spark_width": charts.SPARK_WIDTH,
        "spark_height": charts.SPARK_HEIGHT,
    }
    return templates


def base(path: str) -> str:
    """Return what leads from a page to the dashboard's root: `../` or nothing.

    Links are relative, so that they work under any prefix.
    """
    return "../" * path.removeprefix("/").count("/")


def render(template: str, base: str, context: Mapping[str, Any]) -> str:
    """Return a page.

    Args:
        template: its file.
        base: what leads from it to the dashboard's root.
        context: what the template shows.
    """

    def static(name: str) -> str:
        # The version in the address lets browsers keep the file until it changes.
        return f"{base}static/{name}?v={_version()}"

    return (
        environment()
        .get_template(template)
        .render({"base": base, "static": static, "now": dt.datetime.now(dt.UTC), **context})
    )
