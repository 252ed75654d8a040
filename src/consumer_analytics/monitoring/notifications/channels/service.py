"""What Apprise knows how to tell: Slack, Teams, PagerDuty, Opsgenie, ntfy and many others.

A message is a text. It is handed over by a process of its own, which ends with its time. What
Apprise and the libraries below it would log is held back, as it repeats addresses; of an answer its
number alone is told.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from typing import Any

from consumer_analytics import installation
from consumer_analytics.errors import ChannelError, MissingExtraError
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.notifications.channels import apprise_call
from consumer_analytics.monitoring.notifications.channels.channel import Notify, OfFile, silent
from consumer_analytics.monitoring.notifications.channels.rendering import templates
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings

EXTRA = "alerts"
#: What variables begin with that a service has no use for: some hold passwords.
_OURS = (PREFIX, "AIRFLOW", "PG")
#: Seconds that a busy machine may take to start the process and read Apprise.
_TO_START = 30.0
#: The libraries whose logs repeat where a request went, and what it said.
_LOGGERS = ("apprise", "urllib3", "requests")
#: Answers to what was said, and not to how often or by whom: another message may be taken.
_OF_THE_MESSAGE = frozenset({400, 413, 422})
#: What chats take for a call to somebody; an address of mail is none. Some call everybody
#: wherever it stands, and roles and rooms by a tag: `<@&5>`, `<!here>`, `<users/all>`.
_MENTION = re.compile(
    r"(?<![\w.+-])@(?=\w)|@(?=(?:everyone|here|channel|all|room)\b)|<(?=[@!#a-z])", re.IGNORECASE
)
#: Services cut what is longer, or refuse it.
_LONGEST = 3_500


@dataclass(frozen=True)
class Service(OfFile):
    """A channel that Apprise sends by.

    Attributes:
        name: of its table in the file.
        address: what Apprise takes, such as `slack://…`.
        selection: what goes by it.
        seconds: that a message may take.
    """

    name: str
    address: Secret
    selection: MessageFilter
    seconds: float

    advice = "where it does not arrive, look at what the service says of its integration"

    @property
    def server(self) -> str:
        """Who takes its messages."""
        return f"the service of {self.name}"

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Send a message as a text.

        Raises:
            ChannelError: Apprise is not installed, does not take the address, or was refused.
        """
        # No service takes a name for what it is told: what was taken twice is told twice.
        del settings, message_id
        try:
            told = call(self._asked(message))
        except TimeoutError:
            raise self._late() from None
        if told.get("service"):
            notify("address", f"{self.name} is {told['service']}")
        self._judge(told)
        notify("message", f"{told['service']} took it")
        return {}

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Look at the address; nothing is sent, and nobody asked.

        Raises:
            ChannelError: Apprise is not installed, or does not take the address.
        """
        del settings
        with _held_back():
            try:
                name = self._name()
            except MissingExtraError as error:
                raise ChannelError("settings", str(error)) from None
        notify("address", f"{self.name} is {name}")
        return f"{self.name} ({name}): the address can be used; not called"

    def _name(self) -> str:
        """Return what Apprise calls the service."""
        with installation.of_extra(EXTRA, self._what):
            plugin = apprise_call.plugin_of(self.address.get_secret_value())
        if plugin is None:
            raise self._not_taken()
        return str(plugin.service_name)

    @property
    def _what(self) -> str:
        return f"the channel {self.name}"

    def _not_taken(self) -> ChannelError:
        return ChannelError(
            "address",
            f"Apprise does not take the url of {self.name} in {PREFIX}ALERT_CHANNELS_FILE: "
            "write it as https://appriseit.com/services/ has it for the service",
        )

    def _late(self) -> ChannelError:
        return ChannelError("message", f"{self.server} did not answer in {self.seconds:g} s")

    def _asked(self, message: Message) -> dict[str, Any]:
        types = {"critical": "failure", "normal": "success"}
        return {
            "address": self.address.get_secret_value(),
            "title": calling_nobody(message.subject),
            "body": as_text(message),
            "type": "info" if message.kind == "test" else types.get(message.state, "warning"),
            "seconds": self.seconds,
        }

    def _judge(self, told: dict[str, Any]) -> None:
        """Raise what came of a call, where it is no success."""
        if told["outcome"] == "missing":
            raise ChannelError("settings", str(installation.missing("apprise", EXTRA, self._what)))
        if told["outcome"] == "address":
            raise self._not_taken()
        if told["outcome"] == "late":
            raise self._late()
        if told["outcome"] == "told":
            return
        code = told["code"]
        if code is not None:
            raise ChannelError(
                "message",
                f"{self.server} answers {code} {responses.get(code, '')}".rstrip(),
                holds_others=code not in _OF_THE_MESSAGE,
            )
        raise ChannelError(
            "connection",
            f"{self.server} ({told['service']}) could not be told: it was not reached, or "
            "refused the message; check its address and this machine's way there",
        )


def call(asked: dict[str, Any]) -> dict[str, Any]:
    """Have a process of its own hand a message over; see `apprise_call`.

    Raises:
        TimeoutError: it does not end.
    """
    # The address goes by the input: arguments and variables are for others to see. Of these it gets
    # what a request may need (proxies, authorities), and nothing of databases.
    given = {name: one for name, one in os.environ.items() if not name.startswith(_OURS)}
    with subprocess.Popen(
        [sys.executable, "-P", apprise_call.__file__],
        env=given,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(json.dumps(asked), timeout=asked["seconds"] + _TO_START)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        finally:
            process.kill()
    try:
        told: dict[str, Any] = json.loads(said)
    except ValueError:
        # It fell over: nobody was told, as far as is known.
        return {"outcome": "refused", "service": "Apprise", "code": None}
    return told


def as_text(message: Message) -> str:
    """Return a message for a chat: what happened and what to look at next, without the figures."""
    said = templates().get_template("chat.txt.j2").render(message=message).strip()
    said = calling_nobody(said)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def calling_nobody(text: str) -> str:
    """Return a text in which no `@everyone` of a consumer's name or an error rings for anybody."""
    return _MENTION.sub("\\g<0>\N{ZERO WIDTH SPACE}", text)


@contextmanager
def _held_back() -> Iterator[None]:
    """Let nothing of the libraries' logs reach ours, for a `with` block."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [one.propagate for one in loggers]
    silence = logging.NullHandler()
    for one in loggers:
        one.propagate = False
        # Without any handler Python would write warnings to standard error.
        one.addHandler(silence)
    try:
        yield
    finally:
        for one, propagate in zip(loggers, before, strict=True):
            one.propagate = propagate
            one.removeHandler(silence)
