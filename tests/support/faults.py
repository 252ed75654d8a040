"""Everything that can happen to commands and sessions, beside a busy application.

    python -m tests.support.faults --minutes 60 --seed 7      # or: make faults ARGS='--minutes 60'

Sixteen connections write the sources while runs, sweeps, backfills and audits are killed,
cancelled, stopped and refused, and the server is restarted. After each round all is quiet; one
more run and sweep, and every row of every snapshot has to be what the recount in Python says.
Nobody but our own sessions may notice anything: a transaction of the application that fails is
told. Events are changed and never deleted: one that is gone may have vanished, which is what random
histories are about. With the extra `lake` old days are archived meanwhile, and that is killed as
well; in the end they are purged, and the audit has to find nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import importlib.util
import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from tests.conftest import Database, Server
from tests.support import oracle, scratch

from consumer_analytics.backfill import backfill, request_of
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import capture, run, vanished
from consumer_analytics.fields import Secret
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.operations import snapshots
from consumer_analytics.operations.archive import archive
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import Settings

#: Before any thread is there: what forks takes no lock of another's with it.
_FORK = multiprocessing.get_context("fork")
WRITERS = 16
STATUSES = ["ACTIVE", "INACTIVE", "BLOCKED"]
TYPES = ["login", "purchase", "refund"]
#: How far an application's own clock may be behind.
_SKEW = dt.timedelta(hours=30)
_UNEXPECTED = 3
#: What no transaction of the application may end with; the server itself may go away.
_HARM = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.QueryCanceled,
    psycopg.errors.LockNotAvailable,
)
_PATIENCE = 60.0
#: Days ago: sweeps look at these no more, nor does the application write there.
_ARCHIVED, _OLDEST = 8, 14
_HAS_LAKE = importlib.util.find_spec("duckdb") is not None


@dataclass
class Tally:
    """What was done, and what came of it.

    Attributes:
        faults: how many there were of each kind.
        compared: rows of snapshots that were compared with the recount.
        lost: events that rows should have had.
        doubled: events that rows had too many.
        different: rows that differ in anything else.
        harmed: what failed in the application's transactions.
        unexpected: commands that ended in no way that people are told of.
        written: transactions of the application.
    """

    faults: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    lost: int = 0
    doubled: int = 0
    different: int = 0
    harmed: list[str] = field(default_factory=list)
    unexpected: int = 0
    written: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.doubled or self.different or self.harmed or self.unexpected)

    def __str__(self) -> str:
        kinds = ", ".join(f"{n} {kind}" for kind, n in self.faults.most_common())
        return (
            f"{self.faults.total():,} faults ({kinds}), "
            f"{self.written:,} transactions, {self.compared:,} comparisons of rows, "
            f"{self.lost} lost, {self.doubled} doubled, {self.different} different, "
            f"{len(self.harmed)} harmed, {self.unexpected} unexpected"
        )


# -- the application -----------------------------------------------------------------------------


class Writer(threading.Thread):
    """One connection of the application, which connects again where the server was restarted."""

    def __init__(self, url: str, seed: int, pause: Any) -> None:
        super().__init__(daemon=True)
        self.url, self.rng, self.pause = url, random.Random(seed), pause
        self.done, self.harmed = 0, list[str]()
        #: That it has made: two transactions that change one customer would be ordered by their
        #: starts, whichever commits first.
        self.own: list[uuid.UUID] = []
        self.tenants = [uuid.UUID(int=n) for n in range(1, 5)]

    def run(self) -> None:
        while not self.pause.is_set():
            try:
                with psycopg.connect(self.url, application_name="application") as session:
                    session.autocommit = True
                    while not self.pause.is_set():
                        with session.transaction():
                            self._write(session)
                        self.done += 1
                        time.sleep(self.rng.random() * 0.1)
            except psycopg.OperationalError as error:
                if isinstance(
                    error, psycopg.errors.DeadlockDetected | psycopg.errors.QueryCanceled
                ):
                    self.harmed.append(str(error))
                time.sleep(0.1)
            except Exception:  # noqa: BLE001  (told by the main process)
                self.harmed.append(traceback.format_exc())
                return

    def _at(self) -> dt.datetime | None:
        """Return when a row says that it is from; None: its transaction's start."""
        if self.rng.random() < 0.8:
            return None
        return dt.datetime.now(dt.UTC) - self.rng.random() * _SKEW

    def _write(self, session: psycopg.Connection[Any]) -> None:
        for _ in range(self.rng.randint(1, 4)):
            self.rng.choice([self._event, self._event, self._create, self._change, self._remove])(
                session
            )
            if self.rng.random() < 0.1:
                time.sleep(self.rng.random() * 0.5)

    def _event(self, session: psycopg.Connection[Any]) -> None:
        self._tell(
            session,
            uuid.UUID(int=self.rng.getrandbits(128)),
            self.rng.choice([*self.tenants, None]),
            self.rng.choice(TYPES),
            {},
            self._at(),
        )
        if self.rng.random() < 0.1:
            session.execute(
                "update customer_events set event_type = %s where event_id = "
                "(select event_id from customer_events where event_type = any(%s) limit 1 "
                "for update skip locked)",
                [self.rng.choice(TYPES), TYPES],
            )

    def _tell(
        self,
        session: psycopg.Connection[Any],
        customer: uuid.UUID,
        tenant: uuid.UUID | None,
        kind: str,
        payload: dict[str, str],
        at: dt.datetime | None,
    ) -> None:
        session.execute(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json, created_at) values (gen_random_uuid(), %s, %s, %s, %s, "
            "coalesce(%s, now()))",
            [customer, tenant, kind, json.dumps(payload), at],
        )

    def _create(self, session: psycopg.Connection[Any]) -> None:
        customer, at = uuid.UUID(int=self.rng.getrandbits(128)), self._at()
        tenant, status = self.rng.choice(self.tenants), self.rng.choice(STATUSES)
        self.own.append(customer)
        session.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (%s, %s, %s, coalesce(%s, now()))",
            [customer, tenant, status, at],
        )
        self._tell(session, customer, tenant, "customer_creation", {"status": status}, at)

    def _one(self, session: psycopg.Connection[Any]) -> tuple[Any, Any, Any] | None:
        return session.execute(
            "select customer_id, consumer_id, status from customers "
            "where created_at < now() and customer_id = %s",
            [self.rng.choice(self.own or [uuid.UUID(int=0)])],
        ).fetchone()

    def _change(self, session: psycopg.Connection[Any]) -> None:
        if one := self._one(session):
            status = self.rng.choice(STATUSES)
            session.execute(
                "update customers set status = %s where customer_id = %s", [status, one[0]]
            )
            told = {"old_status": one[2], "new_status": status}
            self._tell(session, one[0], one[1], "customer_status_change", told, None)

    def _remove(self, session: psycopg.Connection[Any]) -> None:
        if self.rng.random() < 0.4 and (one := self._one(session)):
            session.execute("delete from customers where customer_id = %s", [one[0]])
            self._tell(session, one[0], one[1], "customer_deletion", {"status": one[2]}, None)


def _application(url: str, seed: int, pause: Any, answers: Any, *, writers: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads = [Writer(url, seed * WRITERS + n, pause) for n in range(writers)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    answers.put(
        (sum(one.done for one in threads), [text for one in threads for text in one.harmed])
    )


@contextmanager
def application(url: str, seed: int, tally: Tally, *, writers: int) -> Iterator[None]:
    """Let it write for the block; after that all of its transactions have ended."""
    pause, answers = _FORK.Event(), _FORK.SimpleQueue()
    process = _FORK.Process(
        target=_application,
        args=[url, seed, pause, answers],
        kwargs={"writers": writers},
        daemon=True,
    )
    process.start()
    try:
        yield
    finally:
        pause.set()
        written, harmed = answers.get()
        process.join()
        tally.written += written
        tally.harmed += harmed


# -- what may happen -----------------------------------------------------------------------------


def _run(connection: Connection, settings: Settings) -> None:
    run.run(connection, settings)


def _sweep(connection: Connection, settings: Settings) -> None:
    sweep.sweep(connection, settings)


def _backfill(connection: Connection, settings: Settings) -> None:
    today = dt.datetime.now(dt.UTC).date()
    backfill(
        connection, settings, request_of(str(today - dt.timedelta(days=2)), str(today), "daily")
    )


def _take_back(connection: Connection, settings: Settings) -> None:
    """Take back what was backfilled, as an operator who has made a mistake."""
    every = snapshots.Selection(source="backfill")
    snapshots.remove(connection, settings, every, who="faults", reason="a mistake")


def _audit(connection: Connection, settings: Settings) -> None:
    audit.audit(connection, settings)


def _archive(connection: Connection, settings: Settings) -> None:
    archive(connection, settings, _last_archived())


def _last_archived() -> dt.date:
    return dt.datetime.now(dt.UTC).date() - dt.timedelta(days=_ARCHIVED)


def _capture(connection: Connection, settings: Settings) -> None:
    if capture.is_enabled(connection):
        capture.disable(connection, settings)
    else:
        capture.enable(connection, settings)


class Round:
    """A database of its own, an application, and faults.

    Args:
        database: fresh and migrated.
        seed: of everything.
        tally: is added to.
        embedded: the server, where it may be restarted.
    """

    def __init__(
        self, database: Any, seed: int, tally: Tally, embedded: EmbeddedPostgres | None
    ) -> None:
        """Describe it; nothing happens yet."""
        self.database, self.tally, self.embedded = database, tally, embedded
        self.settings = database.settings.replaced(
            {"holdback_wait": 0.3, "lock_wait": 20.0, "sweep_days": 7}
        )
        if _HAS_LAKE:
            lake = database.settings.home / f"lake-{database.name}"
            self.settings = self.settings.replaced({"lake_url": lake.as_uri()})
        self.seed, self.rng = seed, random.Random(seed)

    def play(self, until: float, *, writers: int = WRITERS) -> None:
        """Let faults happen until a moment of the monotonic clock; then compare."""
        self.database.execute(
            "insert into consumers (consumer_id, created_at) "
            "select ('00000000-0000-0000-0000-00000000000' || n)::uuid, now() - interval '3 days' "
            "from generate_series(1, 4) as n"
        )
        if _HAS_LAKE:
            self.database.execute(
                "insert into customer_events (event_id, consumer_id, event_type, created_at) "
                "select gen_random_uuid(), "
                "('00000000-0000-0000-0000-00000000000' || 1 + n %% 4)::uuid, 'old', "
                "(%s - n %% %s)::timestamp at time zone 'UTC' + n * interval '4 seconds' "
                "from generate_series(1, 20000) as n",
                [_last_archived(), _OLDEST - _ARCHIVED],
            )
        with application(self.database.url, self.seed, self.tally, writers=writers):
            while time.monotonic() < until:
                kinds = [self.kill, self.terminate, self.cancel, self.stand, self.lock, self.idle]
                kinds += [self.refuse, self.skew, self.toggle, *[self.archive] * _HAS_LAKE]
                if self.embedded is not None and self.rng.random() < 0.1:
                    kinds = [self.restart]
                kind = self.rng.choice(kinds)
                kind()
                self.tally.faults[kind.__name__] += 1
        for work in (_run, _sweep, _run):
            self._work(work)
        self.compare()
        if _HAS_LAKE:
            self._work(_archive)
            self._purge()

    def _work(self, work: Callable[[Connection, Settings], Any]) -> None:
        with connected(self.settings, "run") as connection:
            work(connection, self.settings)

    @contextmanager
    def child(self, work: Callable[[Connection, Settings], None] | None = None) -> Iterator[Any]:
        """Do one of our works in a process of its own beside the block."""
        chosen = work or self.rng.choice(
            [_run, _run, _run, _sweep, _sweep, _backfill, _backfill, _take_back, _audit]
            + [_archive] * _HAS_LAKE
        )
        settings = self.settings

        def body() -> None:
            try:
                with connected(settings, "victim") as connection:
                    # One that is stopped is to be in the way for moments, not for the round.
                    connection.execute("set idle_in_transaction_session_timeout = '2s'")
                    chosen(connection, settings)
            except (ConsumerAnalyticsError, psycopg.Error):
                os._exit(1)
            except BaseException:  # noqa: BLE001  (counted)
                traceback.print_exc()
                os._exit(_UNEXPECTED)
            os._exit(0)

        process = _FORK.Process(target=body, daemon=True)
        process.start()
        try:
            time.sleep(self.rng.random() ** 2 * 0.8)
            yield process
        finally:
            process.join(_PATIENCE)
            if process.exitcode is None:
                process.kill()
                process.join()
            self.tally.unexpected += process.exitcode == _UNEXPECTED

    def kill(self) -> None:
        """Kill a process of ours."""
        with self.child() as process:
            process.kill()

    def stand(self) -> None:
        """Stop a process of ours while another one works; then kill it."""
        with self.child() as process:
            os.kill(process.pid, signal.SIGSTOP)
            with self.child(_run):
                pass
            process.kill()

    def _strike(self, function: str) -> None:
        with self.child(), self.database.server.connect_admin(self.database.name) as admin:
            for _ in range(self.rng.randint(1, 3)):
                admin.execute(
                    sql.SQL(
                        "select {}(pid) from pg_stat_activity where datname = current_database() "
                        "and application_name like 'consumer-analytics victim%'"
                    ).format(sql.Identifier(function))
                )
                time.sleep(self.rng.random() * 0.1)

    def terminate(self) -> None:
        """End our sessions."""
        self._strike("pg_terminate_backend")

    def cancel(self) -> None:
        """End our statements."""
        self._strike("pg_cancel_backend")

    def toggle(self) -> None:
        """Switch capture on or off, and perhaps kill that."""
        with self.child(_capture) as process:
            if self.rng.random() < 0.3:
                process.kill()

    def archive(self) -> None:
        """Archive days that are over, and perhaps kill that."""
        with self.child(_archive) as process:
            if self.rng.random() < 0.7:
                time.sleep(self.rng.random() * 2)
                process.kill()

    def lock(self) -> None:
        """Hold a lock on a table of ours for a moment."""
        table = self.rng.choice(
            ["public.consumer_analytics", "public.etl_job_watermarks"]
            + [f"consumer_analytics_internal.{name}" for name in ("state", "runs", "event_days")]
        )
        with psycopg.connect(self.database.url, application_name="locker") as locker:
            locker.execute("set lock_timeout = '2s'")
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                locker.execute(f"lock table {table} in share mode")
            with self.child():
                time.sleep(self.rng.random() * 0.3)
                locker.rollback()

    def idle(self) -> None:
        """Leave a transaction of the application idle across a run."""
        with psycopg.connect(self.database.url, application_name="application") as session:
            session.execute(
                "insert into customer_events (event_id, consumer_id, event_type) "
                "values (gen_random_uuid(), '00000000-0000-0000-0000-000000000001', 'login')"
            )
            with self.child(_run):
                pass

    def skew(self) -> None:
        """Bring rows that a clock has stamped late, around a run."""
        for _ in range(2):
            self.database.execute(
                "insert into customer_events (event_id, consumer_id, event_type, created_at) "
                "select gen_random_uuid(), '00000000-0000-0000-0000-000000000002', 'late', "
                "now() - n * %s::interval from generate_series(0, 5) as n",
                [dt.timedelta(seconds=self.rng.random() * 20_000)],
            )
            with self.child(_run):
                pass

    def refuse(self) -> None:
        """Let nobody connect for a moment."""
        name = sql.Identifier(self.database.name)
        with self.database.server.connect_admin() as admin:
            admin.execute(sql.SQL("alter database {} allow_connections false").format(name))
            try:
                with self.child():
                    pass
            finally:
                admin.execute(sql.SQL("alter database {} allow_connections true").format(name))

    def restart(self) -> None:
        """Restart the server, in one of the ways that there are."""
        assert self.embedded is not None
        with self.child():
            self.embedded._run(
                "pg_ctl", "restart", "-D", str(self.embedded.data), "-w",
                "-m", self.rng.choice(["fast", "immediate"]),
                "-l", str(self.embedded.data / "restart.log"),
            )  # fmt: skip

    def _purge(self) -> None:
        """Purge what is archived: nothing may be missing, whoever counts it again."""
        self.database.execute(
            "delete from customer_events where created_at < %s",
            [_last_archived() + dt.timedelta(1)],
        )
        with connected(self.settings, "audit") as connection:
            known = vanished.total(connection)
            sweep.sweep(connection, self.settings, since=dt.date.min)
            found = audit.audit(connection, self.settings)
            more = vanished.total(connection) - known
        if more or not found.clean:
            print(f"seed {self.seed}, archived and purged: {more} vanished, {found}", flush=True)
            self.tally.different += more + found.differences

    def compare(self) -> None:
        """Compare every row of every snapshot with the recount."""
        with self.database.connect() as connection:
            sources = oracle.Sources(connection)
            instants = connection.execute(
                "select snapshot_timestamp from consumer_analytics where consumer_id is null"
            ).fetchall()
            for (at,) in instants:
                has = oracle.without_window(oracle.stored(connection, at))
                needs = oracle.without_window(oracle.snapshot(sources, at))
                for scope in has.keys() | needs.keys():
                    self._judge(at, scope, has.get(scope), needs.get(scope))

    def _judge(
        self, at: dt.datetime, scope: Any, has: dict[str, Any] | None, needs: dict[str, Any] | None
    ) -> None:
        self.tally.compared += 1
        if has == needs:
            return
        key = "total_events" if scope else "total_events_all_consumers"
        more = (has or {}).get(key, 0) - (needs or {}).get(key, 0)
        self.tally.doubled += max(more, 0)
        self.tally.lost += max(-more, 0)
        self.tally.different += not more
        print(f"seed {self.seed}, {scope or 'all'} at {at}: {has} instead of {needs}", flush=True)


def main() -> int:
    """Play rounds for as long as there is time."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on beginning")
    parser.add_argument("--seed", type=int, default=0, help="of the first round")
    parser.add_argument("--round", type=float, default=60.0, help="seconds of each round")
    arguments = parser.parse_args()
    until = time.monotonic() + arguments.minutes * 60
    seed, tally = arguments.seed, Tally()
    with private() as (server, embedded, home):
        while time.monotonic() < until:
            database = fresh(server, home)
            Round(database, seed, tally, embedded).play(
                min(until, time.monotonic() + arguments.round)
            )
            server.drop(database.name)
            print(f"seed {seed}: {tally}", flush=True)
            seed += 1
    for text in tally.harmed:
        print(text)
    return not tally.is_clean


@contextmanager
def private() -> Iterator[tuple[Server, EmbeddedPostgres, Path]]:
    """Start a server that may be ill-treated; stop and remove it after."""
    folder = scratch.folder("ca-faults-")
    embedded = EmbeddedPostgres(folder, options={"shared_buffers": "128MB", "fsync": "off"})
    try:
        embedded.start()
        server = Server(embedded.conninfo(SUPERUSER, "postgres"), "private")
        server.prepare()
        yield server, embedded, folder / "home"
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def fresh(server: Server, home: Path) -> Database:
    """Make a migrated database."""
    name = server.create(server.template)
    settings = Settings(database_url=Secret(server.url(name)), home=home)
    return Database(server.url(name), settings, server, name)


if __name__ == "__main__":
    raise SystemExit(main())
