"""A busy application: many connections that write to the source tables, each in its own way.

Every transaction stamps its rows with the default, `now()`: its own start.
"""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections import Counter
from typing import Any

import psycopg
from psycopg import sql

STATUSES = ["ACTIVE", "INACTIVE", "BLOCKED", "PENDING_AML"]
TYPES = ["login", "purchase", "refund", None, " "]
KINDS = {
    # kind: how often
    "short": 6,
    "customers": 5,
    "long": 1,
    "silent": 1,
    "rolled back": 2,
    "savepoints": 2,
    "prepared": 1,
    "one message": 1,
    "consumer": 1,
}


class Writer(threading.Thread):
    """One connection of the application."""

    def __init__(self, application: Application, number: int, seed: int) -> None:
        super().__init__(name=f"writer {number}", daemon=True)
        self.application = application
        self.rng = random.Random(seed)
        #: Customers that only this writer changes: two transactions that change the same
        #: customer would be ordered by their starts, whichever commits first.
        self.customers: dict[uuid.UUID, tuple[uuid.UUID | None, str]] = {}
        self.done: Counter[str] = Counter()
        self.error: BaseException | None = None

    def identity(self) -> uuid.UUID:
        return uuid.UUID(int=self.rng.getrandbits(128))

    def run(self) -> None:
        try:
            with psycopg.connect(
                self.application.url, application_name=self.name, autocommit=True
            ) as connection:
                while not self.application.stopping.is_set():
                    kind = self.rng.choices(list(KINDS), list(KINDS.values()))[0]
                    getattr(self, f"_{kind.replace(' ', '_')}")(connection)
                    self.done[kind] += 1
                    time.sleep(self.rng.random() * 0.05)
        except BaseException as error:  # noqa: BLE001  (told by the main thread)
            self.error = error

    # -- what it writes --------------------------------------------------------

    def _tenant(self) -> uuid.UUID | None:
        return self.rng.choice([*self.application.tenants, None])

    def _event(
        self,
        connection: psycopg.Connection[Any],
        customer: uuid.UUID | None = None,
        tenant: uuid.UUID | None = None,
        kind: str | None = None,
        payload: dict[str, Any] | None = None,
    ) -> None:
        connection.execute(
            "insert into customer_events "
            "(event_id, customer_id, consumer_id, event_type, payload_json) "
            "values (%s, %s, %s, %s, %s)",
            [
                self.identity(),
                customer,
                tenant if kind else self._tenant(),
                kind or self.rng.choice(TYPES),
                json.dumps(payload or {}),
            ],
        )

    def _events(self, connection: psycopg.Connection[Any]) -> None:
        for _ in range(self.rng.randint(1, 4)):
            self._event(connection)

    def _create(self, connection: psycopg.Connection[Any], *, keep: bool = True) -> None:
        customer, tenant, status = self.identity(), self._tenant(), self.rng.choice(STATUSES)
        connection.execute(
            "insert into customers (customer_id, consumer_id, status) values (%s, %s, %s)",
            [customer, tenant, status],
        )
        self._event(connection, customer, tenant, "customer_creation", {"status": status})
        if keep:
            self.customers[customer] = (tenant, status)

    def _change(self, connection: psycopg.Connection[Any]) -> None:
        customer = self.rng.choice(list(self.customers))
        tenant, old = self.customers[customer]
        new = self.rng.choice([status for status in STATUSES if status != old])
        connection.execute(
            "update customers set status = %s, updated_at = now() where customer_id = %s",
            [new, customer],
        )
        self._event(
            connection,
            customer,
            tenant,
            "customer_status_change",
            {"old_status": old, "new_status": new},
        )
        self.customers[customer] = (tenant, new)

    def _remove(self, connection: psycopg.Connection[Any]) -> None:
        customer = self.rng.choice(list(self.customers))
        tenant, status = self.customers.pop(customer)
        connection.execute("delete from customers where customer_id = %s", [customer])
        self._event(connection, customer, tenant, "customer_deletion", {"status": status})

    def _pause(self, longest: float) -> None:
        self.application.stopping.wait(self.rng.random() * longest)

    # -- how it does it --------------------------------------------------------

    def _short(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            self._events(connection)

    def _customers(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            self._pause(0.2)
            for _ in range(self.rng.randint(1, 4)):
                action = self.rng.choice([self._create, self._change, self._change, self._remove])
                (action if self.customers else self._create)(connection)
                self._pause(0.05)

    def _long(self, connection: psycopg.Connection[Any]) -> None:
        """Across several runs, writing all the time."""
        with connection.transaction():
            for _ in range(4):
                self._events(connection)
                self._create(connection)
                self._pause(0.8)

    def _silent(self, connection: psycopg.Connection[Any]) -> None:
        """Idle in transaction, with nothing written yet while runs look."""
        with connection.transaction():
            connection.execute("select 1")
            self._pause(2.0)
            self._events(connection)

    def _rolled_back(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction(force_rollback=True):
            self._events(connection)
            self._create(connection, keep=False)
            self._pause(0.6)

    def _savepoints(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            self._events(connection)
            with connection.transaction(force_rollback=True):
                self._events(connection)
                self._create(connection, keep=False)
            self._pause(0.4)
            with connection.transaction():
                self._create(connection)
                with connection.transaction(force_rollback=self.rng.random() < 0.5):
                    self._events(connection)

    def _prepared(self, connection: psycopg.Connection[Any]) -> None:
        gid = f"writer-{self.identity()}"
        connection.execute("begin")
        self._pause(0.5)
        self._events(connection)
        self._create(connection, keep=False)
        connection.execute(sql.SQL("prepare transaction {}").format(gid))
        self.application.prepared.append((time.monotonic() + self.rng.random() * 1.5, gid))

    def _one_message(self, connection: psycopg.Connection[Any]) -> None:
        """Several transactions in one message: all of them begin when the message came."""
        rows = [
            sql.SQL(
                "begin; insert into customer_events "
                "(event_id, customer_id, consumer_id, event_type) "
                "values ({}, {}, {}, 'batch'); commit; select pg_sleep({})"
            ).format(self.identity(), self.identity(), self._tenant(), self.rng.random() * 0.2)
            for _ in range(4)
        ]
        connection.execute(sql.SQL("; ").join(rows))

    def _consumer(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            tenant = self.identity()
            connection.execute("insert into consumers (consumer_id) values (%s)", [tenant])
            self._pause(0.4)
        if len(self.application.tenants) < 12:
            self.application.tenants.append(tenant)


class Application:
    """All writers, and a session that ends what others have prepared."""

    def __init__(self, url: str, seed: int, *, writers: int = 16) -> None:
        """Describe it; nothing is written yet."""
        self.url = url
        self.stopping = threading.Event()
        self.prepared: list[tuple[float, str]] = []
        rng = random.Random(seed)
        # The last one is in no consumers row.
        self.tenants = [uuid.UUID(int=rng.getrandbits(128)) for _ in range(5)]
        self.writers = [Writer(self, n, rng.getrandbits(32)) for n in range(writers)]
        self._rng = rng
        self._ender = threading.Thread(target=self._end_prepared, daemon=True)
        self._writers_gone = threading.Event()

    def start(self) -> None:
        """Start writing."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for tenant in self.tenants[:-1]:
                connection.execute("insert into consumers (consumer_id) values (%s)", [tenant])
        for thread in [*self.writers, self._ender]:
            thread.start()

    def stop(self) -> Counter[str]:
        """Let every writer finish and every prepared transaction end.

        Returns:
            How many transactions of each kind there were.
        """
        self.stopping.set()
        for writer in self.writers:
            writer.join(60)
        self._writers_gone.set()
        self._ender.join(60)
        for writer in self.writers:
            if writer.error is not None:
                raise writer.error
        assert not self.prepared
        return sum((writer.done for writer in self.writers), Counter())

    def _end_prepared(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not (self._writers_gone.is_set() and not self.prepared):
                for entry in list(self.prepared):
                    if entry[0] <= time.monotonic() or self._writers_gone.is_set():
                        verb = "rollback" if self._rng.random() < 0.3 else "commit"
                        connection.execute(sql.SQL(f"{verb} prepared {{}}").format(entry[1]))
                        self.prepared.remove(entry)
                time.sleep(0.02)
