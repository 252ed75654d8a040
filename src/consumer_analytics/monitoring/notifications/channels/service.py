"""What Apprise knows how to tell: Slack, Teams, PagerDuty, Opsgenie, ntfy and many others.

A message is a text. What Apprise and the libraries below it would log is held back, as it repeats
addresses; of an answer its number alone is told.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import responses
from typing import TYPE_CHECKING

from consumer_analytics import installation
from consumer_analytics.errors import ChannelError, MissingExtraError
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.notifications.channels.channel import Notify, OfFile, silent
from consumer_analytics.monitoring.notifications.channels.rendering import templates
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings

if TYPE_CHECKING:
    import apprise

EXTRA = "alerts"
#: How Apprise's log tells of an answer that is no success.
_ANSWERED = re.compile(r"\berror=(\d{3})\b")
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
        with _held_back():
            plugin = self._plugin()
            notify("address", f"{self.name} is {plugin.service_name}")
            self._hand_over(plugin, message)
        notify("message", f"{plugin.service_name} took it")
        return {}

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Look at the address; nothing is sent, and nobody asked.

        Raises:
            ChannelError: Apprise is not installed, or does not take the address.
        """
        del settings
        with _held_back():
            plugin = self._plugin()
        notify("address", f"{self.name} is {plugin.service_name}")
        return f"{self.name} ({plugin.service_name}): the address can be used; not called"

    def _plugin(self) -> apprise.NotifyBase:
        try:
            with installation.of_extra(EXTRA, f"the channel {self.name}"):
                import apprise
        except MissingExtraError as error:
            raise ChannelError("settings", str(error)) from None
        asset = apprise.AppriseAsset(
            app_id="consumer-analytics",
            app_desc="Alerts of consumer-analytics",
            # Apprise's own page, and pictures from there, are nothing that people are to see.
            app_url="",
            image_url_mask="",
            image_url_logo="",
            async_mode=False,
            http_redirects=False,
        )
        made = apprise.Apprise.instantiate(
            self.address.get_secret_value(), asset=asset, suppress_exceptions=True
        )
        if not isinstance(made, apprise.NotifyBase):
            raise ChannelError(
                "address",
                f"Apprise does not take the url of {self.name} in {PREFIX}ALERT_CHANNELS_FILE: "
                "write it as https://appriseit.com/services/ has it for the service",
            )
        return made

    def _hand_over(self, plugin: apprise.NotifyBase, message: Message) -> None:
        import apprise

        types = {"critical": "failure", "normal": "success"}
        sender = apprise.Apprise()
        sender.add(plugin)
        result = sender.notify(
            title=calling_nobody(message.subject),
            body=as_text(message),
            body_format="text",
            notify_type="info" if message.kind == "test" else types.get(message.state, "warning"),
            timeout=self.seconds,
        )
        if result:
            return
        if result.status == apprise.AppriseResultStatus.TIMEOUT:
            raise ChannelError("message", f"{self.server} did not answer in {self.seconds:g} s")
        said = "\n".join(entry.message for entry in result.logs())
        if (answered := _ANSWERED.search(said)) is not None:
            code = int(answered[1])
            raise ChannelError(
                "message",
                f"{self.server} answers {code} {responses.get(code, '')}".rstrip(),
                holds_others=code not in _OF_THE_MESSAGE,
            )
        raise ChannelError(
            "connection",
            f"{self.server} ({plugin.service_name}) could not be told: it was not reached, or "
            "refused the message; check its address and this machine's way there",
        )


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
