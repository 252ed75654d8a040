"""A database that many histories are played in, one after the other, each from nothing."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from psycopg import sql
from tests.support import runs
from tests.support.zoo.shapes import PLAIN, SHAPES, SOURCES, Shape, Shaped, shaped

from consumer_analytics.backfill import backfill, request_of
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import capture, vanished
from consumer_analytics.fields import Secret
from consumer_analytics.operations import snapshots, thinning
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import Settings

_INTERNAL = "consumer_analytics_internal"
#: What a migrated database knows of itself, which no history changes.
_KEPT = {"migrations", "alembic_version", "transaction_horizons"}
_PRISTINE = "zoo_pristine"


class Ground:
    """One database: the application that writes its sources, and the product.

    Attributes:
        app: the session of the application.
        settings: of the product.
        gone_on: how many audits have gone on from an earlier one.
        databases: in how many its rows lie.
    """

    databases = 1

    def __init__(
        self, app: Any, ours: Connection, settings: Settings, shape: Shape = PLAIN
    ) -> None:
        """Keep what the database is like before the first history.

        Args:
            app: a session that may write the sources and make tables.
            ours: a session as the product has it.
            settings: for this database.
            shape: of the sources.
        """
        self.app, self._ours, self.settings = app, ours, settings
        self.shape = shape
        self.gone_on = 0
        if shape is PLAIN:
            for source in SOURCES:
                # As tables of users may have it.
                app.execute(f"alter table {source} alter created_at drop not null")
        self._tables = [
            sql.Identifier(schema, name)
            for schema, name in app.execute(
                "select schemaname, tablename from pg_tables "
                "where schemaname = any(%s) and tablename <> all(%s) order by 1 desc, 2",
                [["public", "app", _INTERNAL], list(_KEPT)],
            )
        ]
        self._numbers_of_full = sql.SQL(" union all ").join(
            sql.SQL("select {} where exists (select from {})").format(number, table)
            for number, table in enumerate(self._tables)
        )
        app.execute(f"create schema {_PRISTINE}")
        self._filled = []
        for number, table in enumerate(self._tables):
            rows = app.execute(sql.SQL("select count(*) from {}").format(table)).fetchone()
            if rows and rows[0]:
                copy = sql.Identifier(_PRISTINE, f"table_{number}")
                app.execute(sql.SQL("create table {} as table {}").format(copy, table))
                self._filled.append((table, copy))
        self._sequences = [
            (sql.Identifier(_INTERNAL, name), start)
            for name, start in app.execute(
                "select sequencename, coalesce(last_value, start_value) from pg_sequences "
                "where schemaname = %s",
                [_INTERNAL],
            )
        ]

    def clear(self) -> None:
        """Make it what it was before the first history."""
        capture.disable(self.app, self.settings)
        with self.app.transaction():
            # Most are empty, and emptying one makes files anew.
            full = [number for (number,) in self.app.execute(self._numbers_of_full)]
            if full:
                tables = sql.SQL(", ").join(self._tables[number] for number in full)
                self.app.execute(sql.SQL("truncate {} restart identity cascade").format(tables))
            for table, copy in self._filled:
                self.app.execute(
                    sql.SQL("insert into {} overriding system value table {}").format(table, copy)
                )
            for sequence, value in self._sequences:
                self.app.execute(
                    "select setval(%s::regclass, %s, false)",
                    [sequence.as_string(self.app), value],
                )

    # -- the application ---------------------------------------------------------

    def consumer(self, consumer: uuid.UUID, at: dt.datetime | None) -> None:
        """Register a consumer."""
        self.app.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'name', %s)",
            [consumer, at],
        )

    def row(
        self,
        customer: uuid.UUID,
        consumer: uuid.UUID | None,
        status: str | None,
        created: dt.datetime | str | None,
    ) -> None:
        """Put a row into `customers`."""
        self.app.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (%s, %s, %s, %s)",
            [customer, consumer, status, created],
        )

    def event(
        self,
        kind: str | None,
        at: dt.datetime | str | None,
        *,
        customer: uuid.UUID | None = None,
        consumer: uuid.UUID | None = None,
        payload: Any = None,
        event_id: uuid.UUID | None = None,
    ) -> uuid.UUID:
        """Put a row into `customer_events`."""
        event_id = event_id or uuid.uuid4()
        self.app.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
            "values (%s, %s, %s, %s, %s, %s)",
            [
                event_id,
                customer,
                consumer,
                kind,
                json.dumps({} if payload is None else payload),
                at,
            ],
        )
        return event_id

    # -- the product -------------------------------------------------------------

    def capture(self, on: bool) -> None:
        """Switch capture on or off."""
        (capture.enable if on else capture.disable)(self.app, self.settings)

    def run(self, at: dt.datetime, *, in_steps: bool = False) -> None:
        """Run up to an instant, in one go or in the steps that the DAG's tasks share."""
        (runs.in_steps if in_steps else runs.in_one_go)(self._ours, self.settings, at)

    def set_watermark(self, to: dt.datetime) -> None:
        """Set the watermark by SQL, as a person would."""
        self.app.execute("update etl_job_watermarks set last_processed_timestamp = %s", [to])

    def sweep(
        self,
        since: dt.date | None = None,
        accepted: vanished.Choice | None = None,
        restored: vanished.Choice | None = None,
    ) -> sweep.SweepResult:
        """Sweep the trailing days, or those from a day on; perhaps take notes off."""
        return sweep.sweep(
            self._ours, self.settings, since=since, accepted=accepted, restored=restored
        )

    def noted(self, choice: vanished.Choice) -> vanished.Listing:
        """List what is noted as vanished."""
        return vanished.listing(self._ours, choice, limit=10_000)

    def backfill(
        self,
        start: dt.date,
        end: dt.date,
        interval: str = "daily",
        consumers: list[str] | None = None,
    ) -> Any:
        """Backfill a range of days, of all consumers or of some."""
        request = request_of(start, end, interval, consumers=consumers)
        with connected(self.settings, "zoo") as session:
            return backfill(session, self.settings, request)

    def audit(self) -> audit.AuditResult:
        """Audit everything, and before it what has changed since the last clean audit."""
        try:
            since = audit.audit(self._ours, self.settings, since_last=True)
        except UsageError:
            # Capture is off, or was, or there was no clean audit yet.
            since = None
        whole = audit.audit(self._ours, self.settings)
        if since is not None:
            self.gone_on += since.since is not None and since.since.base is not None
            if since.wrong_snapshots != whole.wrong_snapshots:
                found, right = (one.as_json()["first_differences"][:5] for one in (since, whole))
                raise AssertionError(
                    f"an audit that goes on from the last one ({since.since}) finds {found}, "
                    f"a whole one {right}"
                )
        return whole

    def hold(self) -> None:
        """Hold what else there is to what was compared: nothing here."""

    def repair(self) -> None:
        """Repair what an audit finds."""
        audit.repair(self._ours, self.settings, self.audit())

    def take_back(self, at: dt.datetime) -> snapshots.Removal:
        """Remove the snapshot of an instant."""
        chosen = snapshots.Selection((at,))
        return snapshots.remove(self._ours, self.settings, chosen, who="zoo")

    def thin(self) -> None:
        """Remove all snapshots but each day's last: all of a history are old."""
        thinning.thin(self._ours, replace(self.settings, keep_snapshots_days=1))

    def reported(self) -> list[dt.datetime]:
        """Return every instant with a whole snapshot, in order."""
        return [
            at
            for (at,) in self.app.execute(
                "select snapshot_timestamp from consumer_analytics "
                "where consumer_id is null order by 1"
            )
        ]

    def kept(self) -> int:
        """Return how many documents were kept when a snapshot was restated or withdrawn."""
        row = self.app.execute("select count(*) from consumer_analytics_revisions").fetchone()
        return int(row[0]) if row else 0


@contextmanager
def opened(server: Any, shape: str = "plain") -> Iterator[Ground]:
    """Make a database on a server of the tests, and remove it in the end."""
    name = server.create(server.template)
    settings = Settings(database_url=Secret(server.url(name)))
    shaped(server, name, SHAPES[shape], server.role)
    try:
        with (
            connected(settings, "zoo", writes_sources=True) as app,
            connected(settings, "zoo") as ours,
        ):
            written = app if shape == "plain" else Shaped(app, SHAPES[shape])
            yield Ground(written, ours, settings, SHAPES[shape])
    finally:
        server.drop(name)
