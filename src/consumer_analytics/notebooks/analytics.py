"""`Analytics`: what the command line does, as calls that return what came of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from psycopg import sql

from consumer_analytics import caller, fields
from consumer_analytics.calendar import instants
from consumer_analytics.errors import SettingsError, UsageError
from consumer_analytics.notebooks.sessions import refusals, session
from consumer_analytics.notebooks.tables import Table
from consumer_analytics.settings import Settings, load_settings, variable
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
Consumers = Iterable[uuid.UUID | str] | uuid.UUID | str


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
            changes["database_url"] = database_url
        known = {field.name: field for field in dataclasses.fields(Settings)}
        if unknown := sorted(changes.keys() - known.keys()):
            raise SettingsError(
                f"there is no setting {unknown[0]!r}; `consumer-analytics docs settings` lists them"
            )
        self.settings: Settings = load_settings().replaced(
            {name: _setting(known[name], value) for name, value in changes.items()}
        )

    def run(
        self, as_of: Instant | None = None, *, notify: Callable[[str], None] = lambda _: None
    ) -> Any:
        """Process what is new and write the snapshot of an instant, as `consumer-analytics run`.

        Args:
            as_of: the instant; a day is its beginning in the configured zone. None: the server's
                now.
            notify: told, in a line each, what a person should know.

        Returns:
            An `etl.models.RunSummary`, over shards a `shards.summaries.ShardedSummary`; its
            `as_json()` is what `run --json` prints.

        Raises:
            ConsumerAnalyticsError: as the command's, in one line.
        """
        at = None if as_of is None else self._instant(as_of)
        # Whoever calls this is a person, as on the command line, and names an instant by mistake.
        named = at is not None
        if self.settings.shards_file is not None:
            from consumer_analytics.shards import runs

            with refusals():
                return runs.run(self.settings, at=at, named=named, notify=notify)
        from consumer_analytics.etl import run

        with session(self.settings, "notebook run", works_long=True) as connection:
            return run.run(connection, self.settings, at=at, named=named, notify=notify)

    def backfill(
        self,
        start: dt.date | str,
        end: dt.date | str,
        interval: str = "daily",
        *,
        consumers: Consumers | None = None,
        notify: Callable[[str], None] = lambda _: None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Any:
        """Write the snapshots of a past range, as `consumer-analytics backfill`.

        Args:
            start: the first day.
            end: the day after the last one.
            interval: how long a period is: `daily`, `weekly`, `monthly` or `hourly`.
            consumers: these alone, or this one, and no row of the whole system; None: all and the
                whole system.
            notify: told, in a line each, what a person should know.
            progress: told how many periods are done, of how many.

        Returns:
            A `backfill.result.BackfillResult`, over shards a `shards.backfills.ShardedBackfill`;
            its `as_json()` is what `backfill --json` prints.

        Raises:
            ConsumerAnalyticsError: as the command's, in one line.
        """
        from consumer_analytics import backfill

        chosen = None if consumers is None else [str(one) for one in _chosen(consumers)]
        # Whoever computed an empty list does not mean all.
        if chosen == []:
            raise UsageError("consumers is empty; name one at least, or leave it out to mean all")
        request = backfill.request_of(start, end, interval, who=caller.name(), consumers=chosen)
        if self.settings.shards_file is not None:
            from consumer_analytics.shards import backfills

            with refusals():
                return backfills.backfill(self.settings, request, notify=notify, progress=progress)
        with session(self.settings, "notebook backfill", works_long=True) as connection:
            return backfill.backfill(
                connection, self.settings, request, notify=notify, progress=progress
            )

    def snapshots(
        self,
        of: Grain = "consumers",
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        consumers: Consumers | None = None,
    ) -> Table:
        """Return snapshots, a row each, with their figures as typed columns.

        Args:
            of: what a row is of; the columns are those of the flat view of that name.
            since: from this instant on, included; a day is its beginning in the configured zone.
            until: up to this one, included.
            consumers: of these alone, or of this one.

        Returns:
            A table that is read when it is asked for: `rows()`, `arrow()`, `pandas()`.

        Raises:
            UsageError: there is no such grain, an instant cannot be read, the range ends before it
                begins, or an id is none.
        """
        if of not in tuple(_VIEWS):
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
        if since is not None and until is not None and values["since"] > values["until"]:
            raise UsageError(
                f"since {values['since'].isoformat()} lies after until "
                f"{values['until'].isoformat()}"
            )
        if consumers is not None:
            conditions.append(sql.SQL("consumer_id = any(%(consumers)s)"))
            values["consumers"] = [_uuid(one) for one in _chosen(consumers)]
        statement = query(
            "notebooks/snapshots",
            columns=sql.SQL("*"),
            view=sql.Identifier("public", _VIEWS[of]),
            condition=sql.SQL(" and ").join(conditions) if conditions else sql.SQL("true"),
        )
        return Table(self.settings, statement, values)

    def _instant(self, value: Any) -> dt.datetime:
        if isinstance(value, str):
            return instants.parse(value, self.settings.zone)
        # What pandas calls no time is a `datetime` to Python, of a year that is no number.
        if not isinstance(value, dt.date) or not isinstance(value.year, int):
            raise UsageError(
                f"{value!r} is not a time; give a datetime, a date, or a text such as 2025-11-03 "
                "or 2025-11-03T06:00:00Z"
            )
        if not isinstance(value, dt.datetime):
            value = dt.datetime.combine(value, dt.time.min)
        return instants.with_zone(value, self.settings.zone)


def _setting(field: dataclasses.Field[Any], value: Any) -> Any:
    """Return a setting's value; a text stands for one as it does in the environment.

    Raises:
        SettingsError: it is not of the setting's type. A secret is not repeated.
    """
    if fields.takes(field, value):
        return value
    if not isinstance(value, str):
        raise SettingsError(
            f"{variable(field.name)}: a value of type {type(value).__name__} cannot be used"
        )
    try:
        return fields.read(field, value)
    except ValueError as error:
        raise SettingsError(f"{variable(field.name)}: {error}") from None


def _chosen(consumers: Consumers) -> Sequence[uuid.UUID | str]:
    """Return the ids of consumers, or of one, as several.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(consumers, uuid.UUID | str):
        return [consumers]
    try:
        return list(consumers)
    except TypeError:
        raise UsageError(f"consumers {consumers!r} are neither ids nor one") from None


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    try:
        return uuid.UUID(str(value))
    except ValueError:
        raise UsageError(f"consumer {value!r} is not a UUID") from None
