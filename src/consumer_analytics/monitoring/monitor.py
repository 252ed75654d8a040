"""One pass of the monitor: judge, note incidents, send what waits, give the sign of life."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import HeartbeatError
from consumer_analytics.formatting import counted
from consumer_analytics.monitoring import heartbeat, incidents
from consumer_analytics.monitoring.health import Health
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.settings import Settings


@dataclass(frozen=True)
class Pass:
    """What came of a pass.

    Attributes:
        health: as it was judged.
        delivery: of the messages that waited.
        beaten: whether the dead-man's signal was given; None where none is configured.
    """

    health: Health
    delivery: outbox.Delivery
    beaten: bool | None


def watch(
    connection: Connection,
    settings: Settings,
    *,
    now: dt.datetime | None = None,
    warn: Callable[[str], None] = lambda _: None,
) -> Pass:
    """Do one pass.

    The dead-man's signal is given where nothing is critical, no message has waited for long and
    the file of channels can be read: where none can go out, the outside watcher is the one who is
    left to tell.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: limits, channels, signal.
        now: the instant to judge at; None for the server's clock.
        warn: gets a line for each thing that could not be done.
    """
    judged = incidents.check(connection, settings, now=now)
    delivery = outbox.deliver(connection, settings, now=now)
    if delivery.error is not None:
        warn(f"{counted(delivery.waiting, 'mail waits', 'mails wait')}: {delivery.error}")
    for one in delivery.refused:
        warn(f"{one.server} refused {one.recipient}: {one.reason}")
    if not heartbeat.is_wanted(settings):
        return Pass(judged, delivery, None)
    overdue = delivery.oldest is not None and judged.at - delivery.oldest >= outbox.OVERDUE
    if judged.state == "critical" or overdue or outbox.CHANNELS_FILE in delivery.errors:
        return Pass(judged, delivery, beaten=False)
    try:
        heartbeat.beat(settings)
    except HeartbeatError as error:
        warn(str(error))
        return Pass(judged, delivery, beaten=False)
    return Pass(judged, delivery, beaten=True)
