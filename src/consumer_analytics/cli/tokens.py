"""`consumer-analytics tokens`: who may use the dashboard and its API."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path
from typing import Annotated

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, err, print_json, print_table, say
from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.formatting import moment
from consumer_analytics.settings import settings
from consumer_analytics.web import tokens

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the dashboard's tokens.")

_LENGTH = re.compile(r"(\d{1,5})([hdwy])")
_HOURS = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}


def _file() -> Path:
    path = settings().dashboard_tokens_file
    if path is None:
        raise SettingsError(
            "set CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE to the file that keeps the tokens"
        )
    return path


@app.command()
def create(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Whose it is; shown in lists, no two the same.")
    ],
    consumer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CONSUMER_ID",
            help="Let it see this consumer and nothing else. May be given several times. "
            "Without: everything.",
        ),
    ] = None,
    expires: Annotated[
        str, typer.Option(help="When it ends: 12h, 30d, 4w, 1y, or a date.")
    ] = "90d",
    as_json: JsonFlag = False,
) -> None:
    """Make a token, print it once, and keep a digest of it.

    The dashboard takes it at its login page, the API as Authorization: Bearer.
    """
    token, text = tokens.create(
        _file(),
        name,
        consumers=[_consumer(one) for one in consumer] if consumer else None,
        expires_at=_expiry(expires),
    )
    if as_json:
        print_json({**_shown(token), "token": text})
        return
    err.print(f"shown this once; valid until {moment(token.expires_at, to='minutes')}")
    say(text)


@app.command("list")
def list_(as_json: JsonFlag = False) -> None:
    """List the tokens: names, what they see, until when."""
    tokens.require_private(_file())
    found = tokens.load(_file())
    if as_json:
        print_json({"tokens": [_shown(token) for token in found]})
        return
    if not found:
        say("no tokens; make one with `consumer-analytics tokens create NAME`")
        return
    now = dt.datetime.now(dt.UTC)
    print_table(
        ["name", "sees", "made", "valid until", ""],
        [
            [
                token.name,
                "everything"
                if token.consumers is None
                else ", ".join(str(consumer) for consumer in token.consumers),
                moment(token.created_at),
                moment(token.expires_at),
                "" if token.is_valid(now) else "expired",
            ]
            for token in found
        ],
    )


@app.command()
def revoke(name: Annotated[str, typer.Argument(metavar="NAME", help="Whose token.")]) -> None:
    """End a token; a running dashboard knows at its next request."""
    tokens.revoke(_file(), name)
    say(f"revoked {name}")


def _shown(token: tokens.Token) -> dict[str, object]:
    return {name: value for name, value in token.as_json().items() if name != "sha256"}


def _consumer(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is no consumer's id, which is a UUID") from None


def _expiry(text: str) -> dt.datetime:
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        try:
            return instants.parse(text, settings().zone)
        except UsageError:
            raise UsageError(f"{text!r} is neither a length like 30d or 1y nor a date") from None
    try:
        return dt.datetime.now(dt.UTC) + dt.timedelta(hours=int(match[1]) * _HOURS[match[2]])
    except OverflowError:
        raise UsageError(f"{text!r} lies outside of the calendar") from None
