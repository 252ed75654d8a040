"""The channels of the file that `CONSUMER_ANALYTICS_ALERT_CHANNELS_FILE` names: a table for each.

    [on-call]
    url = "pagerduty://…"            # what Apprise takes
    severity = "critical"            # warnings are left out
    [ticket-desk]
    webhook = "https://…"            # our own JSON, signed with
    key = "whsec_…"
    subjects = ["freshness", "consumer *"]

A table that cannot be used is a channel all the same: what it should have had waits for it to be
mended, and nothing else does. No message repeats what an address or a key is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from consumer_analytics import secret_files
from consumer_analytics.errors import ChannelError
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.notifications.channels.channel import (
    Channel,
    Notify,
    OfFile,
    silent,
)
from consumer_analytics.monitoring.notifications.channels.service import Service
from consumer_analytics.monitoring.notifications.channels.webhook import Webhook
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter, Severity
from consumer_analytics.settings import Settings, variable

SETTING = variable("alert_channels_file")
#: Names are parts of keys in the outbox, and shown.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MOST_SUBJECTS = 100
_KEYS = {"url": {"url"}, "webhook": {"webhook", "key"}}
_SELECTING = {"severity", "subjects"}


def problem(settings: Settings) -> str | None:
    """Return why the file cannot be read, in a line; None where it can, or there is none."""
    try:
        _tables(settings)
    except ChannelError as error:
        return str(error)
    return None


def addressed(settings: Settings, taken: Sequence[str] = ()) -> list[Channel]:
    """Return the channels of the file; none where it cannot be read, which `problem` tells.

    Args:
        settings: for the file's place and the time that a channel has.
        taken: names that are others'.
    """
    try:
        tables = _tables(settings)
    except ChannelError:
        return []
    found: list[Channel] = []
    for name, table in tables.items():
        try:
            found.append(_channel(name, table, settings, taken))
        except ChannelError as error:
            found.append(Unusable(name, str(error), _selection_or_all(name, table)))
    return found


@dataclass(frozen=True)
class Unusable(OfFile):
    """A channel whose table cannot be used: it keeps its name, and its messages wait.

    Attributes:
        name: of the table.
        reason: what is wrong with it.
        selection: what it would be told.
    """

    name: str
    reason: str
    selection: MessageFilter

    @property
    def server(self) -> str:
        """Who takes its messages."""
        return f"the channel {self.name}"

    advice = ""

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Say why nothing can be sent.

        Raises:
            ChannelError: always.
        """
        del settings, message, message_id, notify
        raise ChannelError("settings", self.reason)

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Say why nothing can be sent.

        Raises:
            ChannelError: always.
        """
        del settings, notify
        raise ChannelError("settings", self.reason)


def _tables(settings: Settings) -> dict[str, Any]:
    path = settings.alert_channels_file
    if path is None:
        return {}
    secret_files.warn_if_exposed(path)
    try:
        found = tomllib.loads(_read(path))
    except tomllib.TOMLDecodeError as error:
        # Its place, and not the line, which may hold a key.
        place = re.search(r"\(at (.*)\)", str(error))
        raise ChannelError(
            "settings", f"{SETTING}: {path} is not TOML{f', {place[1]}' if place else ''}"
        ) from None
    except RecursionError:
        raise ChannelError("settings", f"{SETTING}: {path} has lists within lists") from None
    for number, (name, table) in enumerate(found.items(), 1):
        if not isinstance(table, dict):
            raise ChannelError(
                "settings", f"{SETTING}: {path} has values outside of a table such as [on-call]"
            )
        if not _NAME.fullmatch(name):
            raise ChannelError(
                "settings",
                # An address may have been written there.
                f"{SETTING}: {path}: the name of table {number} cannot be a channel's: a-z, 0-9, - "
                "and _, 40 at most",
            )
    return found


def _read(path: Path) -> str:
    try:
        return secret_files.text(path)
    except OSError as error:
        raise ChannelError("settings", f"{SETTING}: {error.strerror}: {error.filename}") from None


def _channel(name: str, table: dict[str, Any], settings: Settings, taken: Sequence[str]) -> Channel:
    if name in taken:
        raise _wrong(name, "the name is another channel's: choose another one")
    kinds = [kind for kind in _KEYS if kind in table]
    if len(kinds) != 1:
        raise _wrong(name, "it needs one of: url (what Apprise takes), webhook (and key)")
    (kind,) = kinds
    if unknown := sorted(set(table) - _KEYS[kind] - _SELECTING):
        raise _wrong(name, f"{unknown[0][:40]!r} is not known beside {kind}")
    selection = _selection(name, table)
    texts = {key: _text(name, table, key) for key in _KEYS[kind]}
    if kind == "url":
        return Service(name, Secret(texts["url"]), selection, settings.alert_timeout)
    return Webhook(
        name, Secret(texts["webhook"]), Secret(texts["key"]), selection, settings.alert_timeout
    )


def _text(name: str, table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(name, f"{key} must be a text")
    return value.strip()


def _selection(name: str, table: dict[str, Any]) -> MessageFilter:
    severity, subjects = table.get("severity", "warning"), table.get("subjects", [])
    if severity not in get_args(Severity):
        raise _wrong(name, f"severity must be one of {', '.join(get_args(Severity))}")
    texts = isinstance(subjects, list) and all(isinstance(one, str) for one in subjects)
    if not texts or len(subjects) > _MOST_SUBJECTS:
        raise _wrong(name, f"subjects must be a list of up to {_MOST_SUBJECTS} texts")
    return MessageFilter(severity=severity, subjects=tuple(subjects))


def _selection_or_all(name: str, table: dict[str, Any]) -> MessageFilter:
    try:
        return _selection(name, table)
    except ChannelError:
        return MessageFilter()


def _wrong(name: str, why: str) -> ChannelError:
    return ChannelError("settings", f"{SETTING}: [{name}]: {why}")
