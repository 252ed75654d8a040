"""The messages that go out: written with what they tell, sent once, kept until they can be.

A message is a row for each channel that is configured when it is written, so that each channel
is tried until it has had it, and none has it twice. A row is locked while it is sent, so that of
two senders one passes it by, and the lock of a killed one goes with it. With a channel's server
down its rows wait, and are tried again at growing intervals; other channels' go on.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, wait_long
from consumer_analytics.errors import ChannelError
from consumer_analytics.monitoring.notifications.channels import Channel, addressed, configured
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: The channel whose rows have the message's key as it is, as those of before there were others.
_FIRST_CHANNEL = "mail"
#: Minutes until a message is tried again double with each try, up to this.
_LONGEST_MINUTES = 15
#: Who takes the messages may ask for more patience, but for no more than this.
_LONGEST_ASKED = dt.timedelta(hours=1)
#: Under which name the file of channels is told of where it cannot be read.
CHANNELS_FILE = "channels file"
_LONGEST_ERROR = 1000
#: A message that has waited as long is a fault of its own.
OVERDUE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Refusal:
    """A recipient that was refused while others were not.

    Attributes:
        server: who refused it, such as `the mail server`.
        recipient: who was to be told.
        reason: why not.
    """

    server: str
    recipient: str
    reason: str


@dataclass(frozen=True)
class Delivery:
    """What a delivery did.

    Attributes:
        sent: how many messages went out.
        waiting: how many wait, whether their channel is configured or not.
        oldest: when the oldest of those that a configured channel has to send was written; None
            where there is none.
        errors: why the last try of a channel failed, by its name; and why the file of channels
            cannot be read, where it cannot.
        refused: recipients that were refused.
    """

    sent: int
    waiting: int
    oldest: dt.datetime | None
    errors: dict[str, str] = field(default_factory=dict)
    refused: tuple[Refusal, ...] = ()

    @property
    def error(self) -> str | None:
        """Why messages could not be sent, in a line; None where all could."""
        return "; ".join(self.errors.values()) or None


@dataclass(frozen=True)
class _Claimed:
    """A row that is ours to send until the transaction ends."""

    mail_id: int
    message: Message
    tries: int
    message_id: str


def put(
    connection: Connection, key: str, message: Message, channels: Iterable[Channel]
) -> dict[str, int]:
    """Write a message for each channel, in the caller's transaction.

    Args:
        connection: in the transaction that notes what the message tells.
        key: the same for the same thing to tell: it is told once.
        message: what there is to tell; it is first tried when it was written.
        channels: by which; each gets what its selection has of the message.

    Returns:
        The numbers of the rows by their channels' names; without those that had been written
        before, and those that it is nothing for.
    """
    numbers: dict[str, int] = {}
    for channel in channels:
        chosen = channel.selection.of(message)
        if chosen is None:
            continue
        row = connection.execute(
            query("monitoring/notifications/put"),
            {
                "key": key if channel.name == _FIRST_CHANNEL else f"{channel.name}: {key}",
                "channel": channel.name,
                "content": Jsonb({**chosen.as_json(), "channel": channel.name, "key": key}),
                "at": message.at,
            },
        ).fetchone()
        if row is not None:
            numbers[channel.name] = row[0]
    return numbers


def deliver(
    connection: Connection, settings: Settings, *, now: dt.datetime | None = None
) -> Delivery:
    """Send what waits, each channel its own, the oldest first, until nothing does or it fails.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the channels.
        now: the instant it is; None for the server's clock.
    """
    at = now or instants.now(connection)
    channels = configured(settings)
    sent = 0
    errors: dict[str, str] = {}
    if (unread := addressed.problem(settings)) is not None:
        errors[CHANNELS_FILE] = unread
    refused: list[Refusal] = []
    for channel in channels:
        usable = True
        while usable:
            with connection.transaction():
                claimed = _claim(connection, channel, at)
                if claimed is None:
                    break
                # For whoever takes it.
                wait_long(connection)
                try:
                    refusals = channel.send(
                        settings, claimed.message, message_id=claimed.message_id
                    )
                except ChannelError as error:
                    errors[channel.name] = str(error)
                    usable = not error.holds_others
                    _note_failure(connection, channel, claimed, error, at)
                else:
                    sent += 1
                    refused += [Refusal(channel.server, *one) for one in refusals.items()]
                    _note_sent(connection, claimed, refusals, at)
    waiting, oldest = connection.execute(
        query("monitoring/notifications/waiting"), {"channels": [one.name for one in channels]}
    ).fetchone() or (0, None)
    return Delivery(sent, waiting, oldest, errors, tuple(refused))


def _claim(connection: Connection, channel: Channel, at: dt.datetime) -> _Claimed | None:
    """Lock the channel's oldest row that is due; None where there is none."""
    row = connection.execute(
        query("monitoring/notifications/claim"), {"now": at, "channel": channel.name}
    ).fetchone()
    if row is None:
        return None
    mail_id, content, tries, installation = row
    message_id = f"consumer-analytics.{installation}.{mail_id}"
    return _Claimed(mail_id, Message.from_json(content), tries, message_id)


def _note_failure(
    connection: Connection,
    channel: Channel,
    claimed: _Claimed,
    error: ChannelError,
    at: dt.datetime,
) -> None:
    pause = dt.timedelta(minutes=min(2**claimed.tries, _LONGEST_MINUTES))
    if error.retry_after is not None:
        asked = min(error.retry_after, _LONGEST_ASKED.total_seconds())
        pause = max(pause, dt.timedelta(seconds=asked))
    connection.execute(
        query("monitoring/notifications/failed"),
        {
            "mail_id": claimed.mail_id,
            "channel": channel.name,
            "error": str(error)[:_LONGEST_ERROR],
            "again": at + pause,
            "all": error.holds_others,
        },
    )


def _note_sent(
    connection: Connection, claimed: _Claimed, refusals: dict[str, str], at: dt.datetime
) -> None:
    said = "; ".join(f"{who}: {why}" for who, why in refusals.items())
    connection.execute(
        query("monitoring/notifications/sent"),
        {
            "mail_id": claimed.mail_id,
            "at": at,
            "subject": claimed.message.subject,
            "error": said[:_LONGEST_ERROR] or None,
        },
    )
