"""Bringing a database to this version: its schema, and what capture has come to need.

Capture's triggers stand on tables that may be somebody else's, so that migrations leave them alone.
"""

from __future__ import annotations

from collections.abc import Callable

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.db.schema import Migration
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import capture
from consumer_analytics.settings import Settings

#: So many triggers are named.
_NAMED = 3


def upgrade(settings: Settings, notify: Callable[[str], None] = lambda _: None) -> list[Migration]:
    """Migrate, and where capture is on add the triggers that a version has brought.

    Without a migration nobody waits for them: they are named, as one may be off for a while.

    Args:
        settings: where, and what the sources are called.
        notify: told what a person should know, such as triggers that this login may not add.

    Returns:
        The migrations that were applied now, in order.

    Raises:
        ConsumerAnalyticsError: as `schema.migrate` does.
    """
    applied = schema.migrate(settings, notify)
    with connected(settings, "migrate", as_admin=True) as connection:
        wrong = capture_lacks(connection, settings)
    if wrong is None:
        return applied
    if applied:
        _complete_capture(settings, notify)
    else:
        notify(wrong)
    return applied


def capture_lacks(connection: Connection, settings: Settings) -> str | None:
    """Say which triggers of capture, where it is on, are not as this version has them.

    Returns:
        A line with what mends it; None where nothing is to be done.
    """
    _, missing, differing = capture.triggers(connection, settings)
    names = [*missing, *differing]
    if not names:
        return None
    more = len(names) - _NAMED
    listed = ", ".join(names[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")
    return (
        "capture is on, with triggers that are missing, off or differ from this version's "
        f"({listed}): consumer-analytics capture enable   "
        "# as the login that owns the source tables"
    )


def _complete_capture(settings: Settings, notify: Callable[[str], None]) -> None:
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
