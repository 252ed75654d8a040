"""Bringing a database to this version: its schema, and what capture has come to need.

Capture's triggers stand on tables that may be somebody else's, so that migrations leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.db.schema import Migration
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import capture
from consumer_analytics.settings import Settings


def upgrade(settings: Settings, notify: Callable[[str], None] = lambda _: None) -> list[Migration]:
    """Migrate, and where capture is on add the triggers that a version has brought.

    Args:
        settings: where, and what the sources are called.
        notify: told what a person should know, such as triggers that this login may not add.

    Returns:
        The migrations that were applied now, in order.

    Raises:
        ConsumerAnalyticsError: as `schema.migrate` does.
    """
    applied = schema.migrate(settings, notify)
    if applied:
        _complete_capture(settings, notify)
    return applied


def _complete_capture(settings: Settings, notify: Callable[[str], None]) -> None:
    with connected(settings, "migrate", as_admin=True) as connection:
        if not capture.status(connection, settings).missing:
            return
    try:
        # The figures' own sessions are not an administrator's, and so are these.
        with connected(settings, "migrate") as connection:
            capture.enable(connection, settings)
    except ConsumerAnalyticsError as error:
        notify(
            f"capture is on and lacks triggers that this version has: {error}; "
            "add them as the tables' owner: consumer-analytics capture enable"
        )
    else:
        notify("capture has the triggers that this version brings")
