"""Histories whose rows lie in shards, too, which publish what one database says of all of them."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.zoo.ground import Ground
from tests.support.zoo.history import DisagreementError

from consumer_analytics.backfill import request_of
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.etl import vanished
from consumer_analytics.fields import Secret
from consumer_analytics.operations import snapshots
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import Settings
from consumer_analytics.shards import audits, backfills, removals, repairs, retention, runs

_WRITES = re.compile(r"\s*(insert into|update|delete from) (consumers|customers|customer_events)\b")

_DOCUMENTS = """
select snapshot_timestamp::text, consumer_id::text, metrics_json
from consumer_analytics
"""
_MEAN = "avg_customer_lifetime_days"
#: A correction that moves a shard's own mean by less than its rounding leaves the whole's last
#: digit as it was: decision 92.
_LAST_DIGIT = 0.0101


def _alike(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Tell whether two documents say the same, but for the last digit of a mean."""
    if one is None or other is None:
        return one is other
    means: list[Any] = [document.get(_MEAN) for document in (one, other)]
    return {**one, _MEAN: None} == {**other, _MEAN: None} and (
        means[0] == means[1]
        or (None not in means and abs(float(means[0]) - float(means[1])) < _LAST_DIGIT)
    )


class Spread:
    """The application's session with one database, which writes each row to a shard as well.

    A customer and what is told of it lie in one shard, the next one's in the next, so that most
    consumers lie in several.
    """

    def __init__(self, alone: Any, shards: list[Any]) -> None:
        """Write to these.

        Args:
            alone: a session with the database that has all rows, which answers.
            shards: a session with each shard.
        """
        self.alone, self._shards = alone, shards
        self._places: dict[uuid.UUID, int] = {}

    def forget(self) -> None:
        """Begin with the first shard again."""
        self._places.clear()

    def _written(self, statement: Any, values: Any) -> list[Any]:
        """Return the shards that a statement writes in: of an insert the row's own, else all."""
        writes = _WRITES.match(statement) if isinstance(statement, str) else None
        if writes is None:
            return []
        if writes[1] != "insert into":
            return self._shards
        # Its own id stands first, after it an event's customer.
        own, customer = values[:2]
        key = (customer if writes[2] == "customer_events" else None) or own
        place = self._places.setdefault(key, len(self._places))
        return [self._shards[place % len(self._shards)]]

    def execute(self, statement: Any, values: Any = None) -> Any:
        """Execute it where it writes; return what the database that has all rows answers."""
        for shard in self._written(statement, values):
            shard.execute(statement, values)
        return self.alone.execute(statement, values)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write several rows in one transaction of each database."""
        with ExitStack() as stack:
            for session in (self.alone, *self._shards):
                stack.enter_context(session.transaction())
            yield


class ShardedGround(Ground):
    """A database that has all rows, several that each have some, and what these publish."""

    def __init__(
        self,
        app: Any,
        ours: Connection,
        settings: Settings,
        analytics: Ground,
        shards: list[Ground],
        file: Path,
    ) -> None:
        """Do everything in both.

        Args:
            app: of the database that has all rows, as the following two.
            ours: a session as the product has it.
            settings: for this database.
            analytics: the one that the shards' figures are put together in.
            shards: those that have some rows each.
            file: the file of shards.
        """
        super().__init__(app, ours, settings)
        self._analytics, self._each = analytics, [analytics, *shards]
        self._over_all = analytics.settings.replaced({"shards_file": file})
        self.app = self._spread = Spread(app, [shard.app for shard in shards])
        self.databases = len(shards)

    @contextmanager
    def _by_itself(self) -> Iterator[None]:
        """Let the database that has all rows be worked in without the shards."""
        self.app = self._spread.alone
        try:
            yield
        finally:
            self.app = self._spread

    def clear(self) -> None:
        """Make all of them what they were before the first history."""
        with self._by_itself():
            super().clear()
        for ground in self._each:
            ground.clear()
        self._spread.forget()

    def capture(self, on: bool) -> None:
        """Switch capture on or off everywhere."""
        with self._by_itself():
            super().capture(on)
        repairs.capture(self._over_all, "zoo", repairs.enable if on else repairs.disable)

    def run(self, at: dt.datetime, *, in_steps: bool = False) -> None:
        """Run in both."""
        super().run(at, in_steps=in_steps)
        runs.run(self._over_all, at=at)

    def set_watermark(self, to: dt.datetime) -> None:
        """Set both watermarks."""
        super().set_watermark(to)
        self._analytics.set_watermark(to)

    def sweep(
        self,
        since: dt.date | None = None,
        accepted: vanished.Choice | None = None,
        restored: vanished.Choice | None = None,
    ) -> sweep.SweepResult:
        """Sweep both."""
        found = super().sweep(since, accepted, restored)
        repairs.sweep(
            self._over_all, lambda _: None, since=since, accepted=accepted, restored=restored
        )
        return found

    def backfill(
        self,
        start: dt.date,
        end: dt.date,
        interval: str = "daily",
        consumers: list[str] | None = None,
    ) -> Any:
        """Backfill both."""
        done = super().backfill(start, end, interval, consumers)
        request = request_of(start, end, interval, consumers=consumers)
        backfills.backfill(self._over_all, request)
        return done

    def audit(self) -> audit.AuditResult:
        """Audit both: what one database is wrong in, the shards are."""
        found = super().audit()
        if not found.clean and audits.audit(self._over_all).clean:
            raise DisagreementError(f"over the shards the audit does not find {found.as_json()}")
        return found

    def hold(self) -> None:
        """Hold what is published to the database that has all rows."""
        self._require_equal()
        over_all = audits.audit(self._over_all)
        if not over_all.clean:
            raise DisagreementError(f"the audit of the shards is not clean: {over_all.as_json()}")

    def _require_equal(self) -> None:
        published, known = (
            {(at, consumer): document for at, consumer, document in app.execute(_DOCUMENTS)}
            for app in (self._analytics.app, self.app)
        )
        differing = sorted(
            (
                key
                for key in published.keys() | known.keys()
                if not _alike(published.get(key), known.get(key))
            ),
            key=str,
        )
        if differing:
            first = differing[0]
            raise DisagreementError(
                f"{len(differing)} rows are published otherwise, first {first}: "
                f"{published.get(first)} and not {known.get(first)}"
            )

    def repair(self) -> None:
        """Repair both."""
        super().repair()
        audits.audit(self._over_all, repair=True)

    def take_back(self, at: dt.datetime) -> snapshots.Removal:
        """Remove a snapshot from both."""
        removal = super().take_back(at)
        removals.remove(self._over_all, snapshots.Selection((at,)), who="zoo")
        return removal

    def thin(self) -> None:
        """Thin both."""
        super().thin()
        retention.thin(replace(self._over_all, keep_snapshots_days=1))


@contextmanager
def opened(server: Any, folder: Path, shards: int = 3) -> Iterator[ShardedGround]:
    """Make the databases on a server of the tests, and remove them in the end.

    Args:
        server: a server of the tests.
        folder: for the file of shards.
        shards: how many.
    """
    names = [server.create(server.template) for _ in range(shards + 2)]
    file = folder / "shards.toml"
    file.touch(mode=0o600)
    file.write_text(
        "".join(
            f'[shard-{number}]\nurl = "{server.url(name)}"\n'
            for number, name in enumerate(names[2:])
        ),
        encoding="utf-8",
    )
    try:
        with ExitStack() as stack:
            databases = []
            for name in names:
                settings = Settings(database_url=Secret(server.url(name)))
                app = stack.enter_context(connected(settings, "zoo", writes_sources=True))
                ours = stack.enter_context(connected(settings, "zoo"))
                databases.append((app, ours, settings))
            analytics, *rest = (Ground(*one) for one in databases[1:])
            yield ShardedGround(*databases[0], analytics, rest, file)
    finally:
        for name in names:
            server.drop(name)
