"""The mails that go out: written with what they tell, sent once, kept until they can be.

A mail is a row. It is locked while it is sent, so that of two senders one passes
it by, and the lock of a killed one goes with it. With the mail server down it
waits, and is tried again at growing intervals.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from consumer_analytics.calendar import instants
from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.errors import MailError
from consumer_analytics.monitoring.notifications import messages, smtp
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Minutes until a mail is tried again double with each attempt, up to this.
_LONGEST_MINUTES = 15
_LONGEST_ERROR = 1000
#: A mail that has waited as long is a fault of its own.
OVERDUE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Delivery:
    """What a delivery did.

    Attributes:
        sent: how many mails went out.
        waiting: how many wait.
        oldest: when the oldest of them was written; None where none waits.
        error: why the last one could not be sent; None where all could.
        refused: recipients that were refused while others were not: address to reason.
    """

    sent: int
    waiting: int
    oldest: dt.datetime | None
    error: str | None
    refused: dict[str, str]


def put(
    connection: Connection, key: str, content: Mapping[str, Any], at: dt.datetime
) -> int | None:
    """Write a mail, in the caller's transaction.

    Args:
        connection: in the transaction that notes what the mail tells.
        key: the same for the same thing to tell: it is told once.
        content: what there is to tell.
        at: when it is written, and first tried.

    Returns:
        Its number; None where it had been written before.
    """
    row = connection.execute(
        query("monitoring/notifications/put"),
        {
            "key": key,
            "content": Jsonb(
                {
                    "at": at.isoformat(),
                    "database": scalar(connection, "select current_database()"),
                    **content,
                }
            ),
            "at": at,
        },
    ).fetchone()
    return None if row is None else int(row[0])


def deliver(
    connection: Connection, settings: Settings, *, now: dt.datetime | None = None
) -> Delivery:
    """Send what waits, the oldest first, until nothing does or the server cannot be used.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: for the mail server.
        now: the instant it is; None for the server's clock.
    """
    at = now or instants.now(connection)
    sent = 0
    error: str | None = None
    refused: dict[str, str] = {}
    while smtp.is_wanted(settings) and error is None:
        with connection.transaction():
            row = connection.execute(
                query("monitoring/notifications/claim"), {"now": at}
            ).fetchone()
            if row is None:
                break
            mail_id, content, attempts, installation = row
            message_id = f"consumer-analytics.{installation}.{mail_id}"
            message = messages.compose(content, message_id=message_id, settings=settings)
            try:
                refused |= smtp.send(settings, message)
            except MailError as failed:
                error = str(failed)
                again = at + dt.timedelta(minutes=min(2**attempts, _LONGEST_MINUTES))
                connection.execute(
                    query("monitoring/notifications/failed"),
                    {
                        "mail_id": mail_id,
                        "error": error[:_LONGEST_ERROR],
                        "again": again,
                        "all": failed.step != "content",
                    },
                )
            else:
                sent += 1
                told = "; ".join(f"{who}: {why}" for who, why in refused.items())
                connection.execute(
                    query("monitoring/notifications/sent"),
                    {
                        "mail_id": mail_id,
                        "at": at,
                        "subject": str(message["Subject"]),
                        "error": told[:_LONGEST_ERROR] or None,
                    },
                )
    waiting, oldest = connection.execute(query("monitoring/notifications/waiting")).fetchone() or (
        0,
        None,
    )
    return Delivery(sent, waiting, oldest, error, refused)
