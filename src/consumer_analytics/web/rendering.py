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
from consumer_analytics.web import charts

STATIC = Path(__file__).with_name("static")
#: What stands where there is no figure.
NOTHING = "\N{EN DASH}"
_DIGITS_OF_A_HASH = 12

#: A parameter of an address: one value, several, or None to leave it out.
Parameter = str | int | Sequence[str] | None


def address(path: str, parameters: Mapping[str, Parameter]) -> str:
    """Return an address with the parameters that have a value, in their order."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _utc(at: dt.datetime) -> dt.datetime:
    return at.astimezone(dt.UTC).replace(tzinfo=None)


def iso(at: dt.datetime) -> str:
    """Return an instant as a machine reads it."""
    return f"{_utc(at).isoformat()}Z"


def said(at: dt.datetime, seconds: bool = False) -> str:
    """Return an instant as a person reads it, in UTC."""
    # strftime writes years before 1000 with fewer than four digits.
    return _utc(at).isoformat(" ", "seconds" if seconds else "minutes")


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def count(value: float | None) -> str:
    """Return a whole number with its thousands apart."""
    return NOTHING if value is None else _minus(f"{value:,.0f}")


def signed(value: float | None) -> str:
    """Return a difference with its sign."""
    return NOTHING if value is None else _minus(f"{value:+,.0f}" if value else "±0")


def percent(ratio: float | None) -> str:
    """Return a ratio in per cent, two decimals: the four that a snapshot has."""
    return NOTHING if ratio is None else f"{ratio * 100:,.2f} %"


def percent_signed(value: float) -> str:
    """Return a change in per cent with its sign."""
    return _minus(f"{value:+,.1f} %")


def points(change: float) -> str:
    """Return a ratio's change, in percentage points."""
    return _minus(f"{change * 100:+,.2f} points")


def days(value: float | None) -> str:
    """Return a duration in days."""
    return NOTHING if value is None else f"{value:,.1f} days"


def seconds(value: float | None) -> str:
    """Return a short duration."""
    return (
        NOTHING if value is None else f"{round(value, 3):g} s" if value < 1 else f"{value:,.2f} s"
    )


def duration(value: float) -> str:
    """Return a duration of any length in its two largest units."""
    rest, parts = round(value), []
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        whole, rest = divmod(rest, length)
        if whole:
            parts.append(f"{whole:,} {name}")
    return " ".join(parts[:2]) or "0 s"


def dash(line: charts.Line, place: int) -> str:
    """Return how a line is dashed, as SVG has it."""
    return "3 4" if line.reference else charts.DASHES[place % len(charts.DASHES)]


def moment(at: dt.datetime | None, seconds: bool = False) -> str:
    """Return an instant marked as such, so that it is told in its reader's zone."""
    if at is None:
        return NOTHING
    # Nothing in it needs escaping, and a page has dozens of them.
    marked = " data-seconds" if seconds else ""
    text = f'<time datetime="{iso(at)}"{marked}>{said(at, seconds)} UTC</time>'
    return markupsafe.Markup(text)  # noqa: S704


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


_FILTERS: tuple[Callable[..., Any], ...] = (
    moment, timed, count, signed, percent, percent_signed, points, days, seconds, duration, dash,
)  # fmt: skip


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
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("consumer_analytics.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    # In a third of the standard library's time.
    made.policies["json.dumps_function"] = _json
    made.filters |= {rule.__name__: rule for rule in _FILTERS}
    made.globals |= {
        "version": consumer_analytics.__version__,
        "spark_width": charts.SPARK_WIDTH,
        "spark_height": charts.SPARK_HEIGHT,
    }
    return made


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
