"""What every channel can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import Settings, variable

#: Gets each step that went well, and a detail of it.
Notify = Callable[[str, str], None]


def silent(step: str, detail: str) -> None:
    """Pass over a step."""
    del step, detail


class Channel(Protocol):
    """A way to tell the operator something.

    It renders a message as suits it, and hands it over; the outbox sees to it that each is
    handed over once, and again where it could not be.
    """

    @property
    def name(self) -> str:
        """As the outbox keeps it; it never changes."""

    @property
    def server(self) -> str:
        """Who takes its messages, in a sentence: `the mail server`."""

    @property
    def unset(self) -> str:
        """What is to be set before anybody is told: `CONSUMER_ANALYTICS_… is not set`."""

    @property
    def advice(self) -> str:
        """Where to look when a message was taken, and does not arrive."""

    @property
    def selection(self) -> MessageFilter:
        """What goes by it."""

    def is_configured(self, settings: Settings) -> bool:
        """Tell whether anybody is to be told this way."""

    def recipients(self, settings: Settings) -> Sequence[str]:
        """Return who is to be told."""

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Send a message to all recipients.

        Args:
            settings: for the server and the recipients.
            message: what to say.
            message_id: the same for every try, so that a message that was taken twice can be
                known for one.
            notify: gets each step that went well.

        Returns:
            Recipients that were refused while others were not: who to why.

        Raises:
            ChannelError: at which step it failed, what to do about it, and whether other messages
                need not be tried. It is tried again.
        """

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Do all that comes before a message, and send none; say in a line what works.

        Raises:
            ChannelError: a step failed; the message says which, and why.
        """


class OfFile:
    """What channels of the file have in common: a table there is who is to be told.

    Attributes:
        name: of the table.
    """

    name: str

    unset = f"{variable('alert_channels_file')} is not set"

    def is_configured(self, settings: Settings) -> bool:
        """Tell that somebody is to be told: there is a table."""
        del settings
        return True

    def recipients(self, settings: Settings) -> list[str]:
        """Return who is to be told: whom the table means."""
        del settings
        return [self.name]
