"""`consumer-analytics alerts`: do messages arrive, and a pass of the monitor, by hand or cron."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from typing import Annotated, Any

import typer

from consumer_analytics.calendar import instants
from consumer_analytics.cli.output import JsonFlag, print_json, say, warn
from consumer_analytics.db import own_names, schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ChannelError, SettingsError, UsageError
from consumer_analytics.formatting import counted
from consumer_analytics.monitoring import monitor
from consumer_analytics.monitoring.notifications.channels import (
    CHANNELS,
    Channel,
    addressed,
    configured,
)
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.reporting import digest
from consumer_analytics.settings import settings

app = typer.Typer(help="Test the channels, and do a pass of the monitor.", no_args_is_help=True)


@app.command("test")
def send_test(
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="By this channel alone; several times for several."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Send a test by each channel, and say at which step one fails and why.

    Needs no database. The steps of mail: settings, name, connection, TLS and certificate, login,
    sender, recipient, content. Exits with 1 where a step fails or a recipient is refused.
    """
    chosen = _chosen(channel or [])
    several = len(chosen) > 1 and not as_json
    attempts = list[_Attempt]()
    for one in chosen:
        # Of many, each step stands under its channel, and what failed where it did.
        if several:
            say(f"channel {one.name}")
        attempts.append(_attempt(one, as_json=as_json))
        if several and (error := attempts[-1].error) is not None:
            say(f"no  {error.step:<11} {error}")
    failed = [one.error for one in attempts if one.error is not None]
    refused = {who: why for one in attempts for who, why in one.refused.items()}
    if as_json:
        print_json(
            {
                "sent": not failed,
                "steps": [step for one in attempts for step in one.steps_as_json()],
                "failed_step": failed[0].step if failed else None,
                "error": str(failed[0]) if failed else None,
                "refused": refused,
                "channels": [one.as_json() for one in attempts],
            }
        )
    elif failed and several:
        names = ", ".join(one.channel for one in attempts if one.error is not None)
        raise ChannelError(
            failed[-1].step,
            f"{len(failed):,} of {counted(len(attempts), 'channel')} could not be told: {names}",
        )
    elif failed:
        raise failed[0]
    raise typer.Exit(1 if failed or refused else 0)


def _chosen(names: list[str]) -> list[Channel]:
    """Return the channels to try.

    Raises:
        SettingsError: the file of channels cannot be read.
        UsageError: there is no channel of a name.
    """
    if (unread := addressed.problem(settings())) is not None:
        raise SettingsError(unread)
    # Where none is configured, the first says what it needs.
    there = configured(settings()) or list(CHANNELS.values())[:1]
    known = {one.name: one for one in there}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no channel {name!r}; there are: {', '.join(known)}")
    return [one for one in there if not names or one.name in names]


@dataclass
class _Attempt:
    """What became of a test by one channel: steps that went well, who was refused, the error."""

    channel: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    error: ChannelError | None = None

    def steps_as_json(self) -> list[dict[str, str]]:
        """Return the steps that went well, for `--json`."""
        return [{"step": step, "detail": detail} for step, detail in self.steps]

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for `--json`."""
        return {
            "channel": self.channel,
            "sent": self.error is None,
            "steps": self.steps_as_json(),
            "failed_step": self.error.step if self.error else None,
            "error": str(self.error) if self.error else None,
            "refused": self.refused,
        }


def _attempt(channel: Channel, *, as_json: bool) -> _Attempt:
    """Send a test by a channel; tell people how far it comes."""
    attempt = _Attempt(channel.name)

    def passed(step: str, detail: str) -> None:
        attempt.steps.append((step, detail))
        if not as_json:
            say(f"ok  {step:<11} {detail}")

    # It is about no database, and none has to be there.
    message = Message("test", dt.datetime.now(dt.UTC), database="")
    message_id = f"consumer-analytics.test.{secrets.token_hex(8)}"
    try:
        attempt.refused = channel.send(settings(), message, message_id=message_id, notify=passed)
    except ChannelError as error:
        attempt.error = error
        return attempt
    if not as_json:
        for who, why in attempt.refused.items():
            warn(f"the server refused {who}: {why}; the others get the mail")
        reached = len(channel.recipients(settings())) - len(attempt.refused)
        say(f'sent "{message.subject}" to ' + counted(reached, "recipient"))
        say(channel.advice)
    return attempt


@app.command("digest")
def send_digest(
    week: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="A day of the week; without it the last week that ended."
        ),
    ] = None,
) -> None:
    """Send a week's digest now, to whoever gets them; the monitor does so on Mondays."""
    channel = CHANNELS["digest"]
    if not channel.is_configured(settings()):
        raise UsageError(channel.unset)
    with (
        connected(settings(), "alerts digest") as connection,
        own_names.explaining(connection, settings()),
    ):
        schema.require_current(connection)
        at = instants.now(connection)
        monday = (
            digest.last_monday(at, settings())
            if week is None
            else week.date() + dt.timedelta(days=7 - week.weekday())
        )
        message = digest.compose(connection, settings(), monday, at)
    if message is None:
        raise UsageError(f"there is no snapshot of the week before {monday.isoformat()}")
    message_id = f"consumer-analytics.digest.{secrets.token_hex(8)}"
    refused = channel.send(settings(), message, message_id=message_id)
    for who, why in refused.items():
        warn(f"the server refused {who}: {why}; the others get the mail")
    say(f'sent "{message.subject}"')
    raise typer.Exit(1 if refused else 0)


@app.command()
def check(as_json: JsonFlag = False) -> None:
    """Do one pass of the monitor: judge health, note incidents, send the mails that wait.

    The DAG consumer_analytics_monitor does the same; without Airflow, call this by cron.
    """
    with (
        connected(settings(), "alerts check") as connection,
        own_names.explaining(connection, settings()),
    ):
        schema.require_current(connection)
        done = monitor.watch(connection, settings(), warn=warn)
        # After what is urgent; the next pass sends it.
        digest.put_if_due(connection, settings())
    if as_json:
        print_json(
            {
                "state": done.health.state,
                "cause": done.health.cause.as_json(),
                "mails_sent": done.delivery.sent,
                "mails_waiting": done.delivery.waiting,
                "mail_error": done.delivery.error,
                "heartbeat": done.beaten,
            }
        )
        return
    say(f"health     {done.health.state}: {done.health.why}")
    say(f"mails      {done.delivery.sent} sent, {done.delivery.waiting} wait")
    if done.beaten is not None:
        say(f"heartbeat  {'given' if done.beaten else 'not given'}")
