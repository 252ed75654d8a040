"""`Analytics`: what the command line does, as calls that return what came of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal

from psycopg import sql

from consumer_analytics import caller
from consumer_analytics.calendar import instants
from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.fields import Secret
from consumer_analytics.notebooks.sessions import session
from consumer_analytics.notebooks.tables import Table
from consumer_analytics.settings import Settings, load_settings
from consumer_analytics.sql import query

#: What a row is of: a consumer or the whole system at an instant, a type or a status of either, a
#: consumer at the latest instant, or what a snapshot said before it was restated.
Grain = Literal["consumers", "latest", "system", "events", "statuses", "revisions"]
_VIEWS: dict[str, str] = {
    "consumers": "consumer_analytics_flat",
    "latest": "consumer_analytics_flat_latest",
    "system": "consumer_analytics_flat_system",
    "events": "consumer_analytics_flat_events",
    "statuses": "consumer_analytics_flat_statuses",
    "revisions": "consumer_analytics_flat_revisions",
}
Instant = dt.datetime | dt.date | str


class Analytics:
    """The product on one database.

    Each call opens a session of its own and ends it; nothing is kept between them.

        analytics = Analytics("postgresql://reader@db.internal/platform")
        frame = analytics.snapshots("system", since="2025-10-01").pandas()

    Attributes:
        settings: what is used where nothing else is said.
    """

    def __init__(self, database_url: str | None = None, **changes: Any) -> None:
        """Take the settings of the environment, with some of them changed.

        Args:
            database_url: libpq's URL of the database; None: that of the environment, or the
                embedded server of `consumer-analytics up`.
            changes: other settings by name, as the reference of settings has them in lower case,
                such as `timezone="Europe/Berlin"`.

        Raises:
            SettingsError: a setting is unknown, or cannot be used.
        """
        if database_url is not None:
            changes["database_url"] = Secret(database_url)
        known = {field.name for field in dataclasses.fields(Settings)}
        if unknown := sorted(changes.keys() - known):
            raise SettingsError(
                f"there is no setting {unknown[0]!r}; `consumer-analytics docs settings` lists them"
            )
        self.settings: Settings = load_settings().replaced(changes)

    def run(
        self, as_of: Instant | None = None, *, notify: Callable[[str], None] = lambda _: None
    ) -> Any:
        """Process what is new and write the snapshot of an instant, as `consumer-analytics run`.

        Args:
            as_of: the instant; a day is its beginning in the configured zone. None: the server's
                now.
            notify: told, in a line each, what a person should know.

        Returns:
            An `etl.models.RunSummary`; its `as_json()` is what `run --json` prints.

        Raises:
            ConsumerAnalyticsError: as the command's, in one line.
        """
        from consumer_analytics.etl import run

        at = None if as_of is None else self._instant(as_of)
        with session(self.settings, "notebook run") as connection:
            return run.run(connection, self.settings, at=at, notify=notify)

    def backfill(
        self,
        start: dt.date | str,
        end: dt.date | str,
        interval: str = "daily",
        *,
        consumers: Sequence[uuid.UUID | str] | None = None,
        notify: Callable[[str], None] = lambda _: None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Any:
        """Write the snapshots of a past range, as `consumer-analytics backfill`.

        Args:
            start: the first day.
            end: the day after the last one.
            interval: how long a period is: `daily`, `weekly`, `monthly` or `hourly`.
            consumers: these alone, and no row of the whole system; None: all and the whole system.
            notify: told, in a line each, what a person should know.
            progress: told how many periods are done, of how many.

        Returns:
            A `backfill.result.BackfillResult`; its `as_json()` is what `backfill --json` prints.

        Raises:
            ConsumerAnalyticsError: as the command's, in one line.
        """
        from consumer_analytics import backfill

        request = backfill.request_of(
            start,
            end,
            interval,
            who=caller.name(),
            consumers=None if consumers is None else [str(one) for one in consumers],
        )
        with session(self.settings, "notebook backfill") as connection:
            return backfill.backfill(
                connection, self.settings, request, notify=notify, progress=progress
            )

    def snapshots(
        self,
        of: Grain = "consumers",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        consumers: Sequence[uuid.UUID | str] | None = None,
    ) -> Table:
        """Return snapshots, a row each, with their figures as typed columns.

        Args:
            of: what a row is of; the columns are those of the flat view of that name.
            since: from this instant on, included; a day is its beginning in the configured zone.
            until: up to this one, included.
            consumers: of these alone.

        Returns:
            A table that is read when it is asked for: `rows()`, `arrow()`, `pandas()`.

        Raises:
            UsageError: there is no such grain, an instant cannot be read, or an id is none.
        """
        if of not in _VIEWS:
            raise UsageError(f"snapshots of {of!r} are unknown; there are {', '.join(_VIEWS)}")
        if of == "system" and consumers is not None:
            raise UsageError("the whole system's snapshots are of no single consumer")
        conditions: list[sql.Composable] = []
        values: dict[str, Any] = {}
        if since is not None:
            conditions.append(sql.SQL("snapshot_timestamp >= %(since)s"))
            values["since"] = self._instant(since)
        if until is not None:
            conditions.append(sql.SQL("snapshot_timestamp <= %(until)s"))
            values["until"] = self._instant(until)
        if consumers is not None:
            conditions.append(sql.SQL("consumer_id = any(%(consumers)s)"))
            values["consumers"] = [_uuid(one) for one in consumers]
        statement = query(
            "notebooks/snapshots",
            columns=sql.SQL("*"),
            view=sql.Identifier("public", _VIEWS[of]),
            condition=sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true"),
        )
        return Table(self.settings, statement, values)

    def _instant(self, value: Instant) -> dt.datetime:
        if isinstance(value, str):
            return instants.parse(value, self.settings.zone)
        if not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value, dt.time.min)
        return instants.with_zone(value, self.settings.zone)


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise UsageError(f"consumer {value!r} is not a UUID") from None
