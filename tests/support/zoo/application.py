"""The application of a history: it writes the sources as applications do, and as they should not.

It knows what it has written, so that most of it is consistent, and tells the world what capture
must have seen.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from dataclasses import dataclass, replace
from typing import Any

from tests.support.oracle.lives import CHANGE, CREATION, DELETION, LIFECYCLE, Event, Row, named
from tests.support.oracle.moments import BEFORE_ALL, instant, moment
from tests.support.oracle.reading import Sources
from tests.support.oracle.world import World
from tests.support.zoo.ground import Ground
from tests.support.zoo.kinds import Kinds

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
STATUSES = ["ACTIVE", "INACTIVE", "BLOCKED", "PENDING_AML"]
TYPES = ["login", "purchase", None, " "]
BEYOND = ["-infinity", "0044-03-15 12:00:00+00 BC", "9999-12-31 23:00:00+00", "infinity"]
UNREADABLE: list[Any] = [
    json.dumps({"old_status": "ACTIVE", "new_status": "BLOCKED"}),
    ["ACTIVE"],
    7,
    True,
    {},
]


@dataclass
class Known:
    """What the application knows of a customer.

    Attributes:
        state: `there`, `deleted` with an event, `erased` or `returned` without, `contradicted`
            where its deletion has come and the row is there, or `left`: never touched again.
        last: when something was last written of it.
        last_end: when its last life ended, by an event.
        witness: it is never touched, so that no consumer is ever bare.
        birth_purged: its creation event is gone, so that only its row tells of its birth.
        contradicted: when the deletion was that the row contradicts.
    """

    customer: uuid.UUID
    row: Row
    state: str
    last: dt.datetime
    last_end: dt.datetime | None = None
    witness: bool = False
    birth_purged: bool = False
    contradicted: dt.datetime | None = None


class Application:
    """Writes rows; all that it decides comes from one seed."""

    def __init__(self, ground: Ground, world: World, kinds: Kinds, rng: random.Random) -> None:
        """Begin with some consumers, each with a customer that nobody touches in each database."""
        self.ground, self.world, self.kinds, self.rng = ground, world, kinds, rng
        self.clock = BEGIN + 2 * HOUR
        self.captured = False
        #: Whether a deletion may say another consumer of a life than its row did, which a run that
        #: takes it in cannot see.
        self.tells_otherwise = False
        self.customers: list[Known] = []
        self.registered = [self.identity() for _ in range(3)]
        self.unknown = self.identity()
        self.tenants: list[uuid.UUID | None] = [*self.registered, self.unknown, None]
        for consumer in self.registered:
            ground.consumer(consumer, BEGIN + self.rng.randrange(30) * HOUR)
        for tenant in self.tenants if kinds.witnesses else ():
            for _ in range(ground.databases):
                self.bear(BEGIN + HOUR, consumer=tenant, witness=True)

    # -- chance ------------------------------------------------------------------

    def identity(self) -> uuid.UUID:
        """Return an id that the seed decides."""
        return uuid.UUID(int=self.rng.getrandbits(128), version=4)

    def odd(self) -> bool:
        """Tell whether something is to be odd."""
        return self.rng.randrange(100) < self.kinds.odd

    def moment_between(self, low: dt.datetime, high: dt.datetime) -> dt.datetime:
        """Return a full hour in a range, the first included; where there is none, its start."""
        hours = max((high - low) // HOUR, 1)
        at = low + self.rng.randrange(hours) * HOUR
        if self.rng.randrange(100) >= self.kinds.ties:
            at += dt.timedelta(microseconds=self.rng.randrange(1, 3_600_000_000))
        return min(at, high - dt.timedelta(microseconds=1))

    def past(self) -> dt.datetime:
        """Return an instant that has been processed."""
        return self.moment_between(BEGIN, max(self.clock, BEGIN + HOUR))

    def one_of(self, *states: str) -> Known | None:
        """Return a customer in one of these states, no witness; None where there is none."""
        found = [one for one in self.customers if one.state in states and not one.witness]
        return self.rng.choice(found) if found else None

    # -- what is written ---------------------------------------------------------

    def event(
        self, kind: str | None, at: dt.datetime, known: Known | None, payload: Any = None
    ) -> None:
        """Write an event; where things are odd, under no consumer or a foreign one."""
        consumer = known.row.consumer if known else self.rng.choice(self.tenants)
        if known is not None and self.odd():
            consumer = self.rng.choice([None, *self.registered])
        self.ground.event(
            kind,
            at,
            customer=known.customer if known else None,
            consumer=consumer,
            payload=payload,
            event_id=self.identity(),
        )

    def bear(
        self,
        at: dt.datetime,
        *,
        consumer: uuid.UUID | None,
        witness: bool = False,
    ) -> None:
        """Let a customer come into being, perhaps without an event that says so, or a late one."""
        status = self.rng.choice(STATUSES)
        row = Row(consumer, status, moment(at))
        known = Known(self.identity(), row, "there", at, witness=witness)
        self.customers.append(known)
        with self.ground.app.transaction():
            self.ground.row(known.customer, consumer, status, at)
            if witness or not self.odd():
                self.event(CREATION, at, known, {"status": status})
            elif self.odd():
                self.event("login", at + HOUR, known)

    def change(self, known: Known, at: dt.datetime) -> None:
        """Change a status, with its event."""
        old = named(known.row.status)
        new = self.rng.choice([one for one in STATUSES if one != old])
        payload: Any = {"old_status": old, "new_status": new}
        if at > known.last and self.odd():
            others = [{**payload, "old_status": "OTHER"}, {**payload, "old_status": new}]
            payload = self.rng.choice([*UNREADABLE, *others])
        with self.ground.app.transaction():
            self.update(known, status=new)
            self.event(CHANGE, at, known, payload)
        known.last = at

    def update(self, known: Known, **changes: Any) -> None:
        """Change a row."""
        known.row = replace(known.row, **changes)
        row = known.row
        self.ground.app.execute(
            "update customers set consumer_id = %s, status = %s, created_at = %s "
            "where customer_id = %s",
            [
                row.consumer,
                row.status,
                None if row.created is None else instant(int(row.created)),
                known.customer,
            ],
        )

    def delete(self, known: Known, at: dt.datetime) -> None:
        """Delete a customer, with its event."""
        payload: Any = {"status": known.row.status}
        if self.odd():
            payload = self.rng.choice(UNREADABLE[1:])
        with self.ground.app.transaction():
            self.event(DELETION, at, known, payload)
            self._delete_row(known)
        # Nobody's: earlier events tell whose it was.
        self.tells_otherwise |= known.row.consumer is None
        if self.captured:
            self.world.row_went(
                known.customer,
                known.row,
                moment(at),
                by_row=False,
                last_end=None if known.last_end is None else moment(known.last_end),
            )
        known.state, known.last, known.last_end = "deleted", at, at

    def _delete_row(self, known: Known) -> None:
        self.ground.app.execute("delete from customers where customer_id = %s", [known.customer])

    def live(self, until: dt.datetime) -> None:
        """Let ordinary things happen until an instant, in their order."""
        more = () if self.kinds.witnesses else ("delete", "delete", "delete")
        for at in sorted(
            self.moment_between(self.clock, until) for _ in range(self.rng.randrange(2, 7))
        ):
            what = self.rng.choice(["bear", "event", "event", "change", "change", "delete", *more])
            known = self.one_of("there")
            if known is not None and known.last >= at and known.last > self.clock:
                # A row of its own that is later was written already.
                known = known if known.last == at else None
            if what == "bear" or known is None:
                self.bear(at, consumer=self.rng.choice(self.tenants))
            elif what == "event":
                self.event(self.rng.choice(TYPES), at, self.rng.choice([known, None]))
            elif what == "change":
                self.change(known, at)
            elif at > known.last and (
                self.captured or not known.birth_purged or self.kinds.untold_births
            ):
                self.delete(known, at)

    # -- what should not happen, and does ----------------------------------------

    def restore(self) -> None:
        """Restore a deleted customer under its old time, with a creation event."""
        known = self.one_of("deleted")
        if known is not None and known.last < self.clock:
            at = self.moment_between(known.last + HOUR, self.clock + 2 * HOUR)
            status = self.rng.choice(STATUSES)
            known.row = replace(known.row, status=status)
            self._put(known, at, {"status": status})

    def bear_again(self) -> None:
        """Let a deleted customer come back with a row of a new time, with an event or without."""
        known = self.one_of("deleted")
        if known is not None and known.last < self.clock:
            at = self.moment_between(known.last + HOUR, self.clock + 2 * HOUR)
            status = self.rng.choice(STATUSES)
            known.row = Row(self.rng.choice(self.tenants), status, moment(at))
            if self.rng.random() < 0.5:
                self._put(known, at, {"status": status})
            else:
                # Once its row is gone, nothing would tell of this life.
                self._put(known, at, None)
                known.state = "returned"

    def restore_under_its_return(self) -> None:
        """Delete one whose row alone tells of its return, and restore it under that time."""
        known = self.one_of("returned")
        if known is None or known.row.consumer is None:
            return
        if known.last + 3 * HOUR < self.clock:
            ended = self.moment_between(known.last + HOUR, self.clock)
            at = self.moment_between(ended + HOUR, self.clock + 2 * HOUR)
            with self.ground.app.transaction():
                self.delete(known, ended)
                self._put(known, at, {"status": known.row.status})
            # Of its life in between nothing tells but the row.
            known.state = "left"

    def _put(self, known: Known, at: dt.datetime, creation: Any) -> None:
        with self.ground.app.transaction():
            created = known.row.created
            self.ground.row(
                known.customer,
                known.row.consumer,
                known.row.status,
                None if created is None else instant(int(created)),
            )
            if creation is not None:
                self.event(CREATION, at, known, creation)
        known.state, known.last = "there", at

    def move(self) -> None:
        """Move a customer to another consumer."""
        if known := self.one_of("there"):
            self.update(known, consumer=self.rng.choice(self.tenants))

    def correct_status(self) -> None:
        """Correct a status without an event."""
        if known := self.one_of("there"):
            self.update(known, status=self.rng.choice([*STATUSES, None, " ", "FIXED"]))

    def correct_birth(self) -> None:
        """Correct when a customer was created."""
        known = self.one_of("there")
        if known is not None and known.last_end is None:
            at = self.past()
            self.update(known, created=moment(at))
            known.last = max(known.last, at)

    def correct_consumer(self) -> None:
        """Correct when a consumer was registered, or take its row away, or put one back."""
        consumer = self.rng.choice([*self.registered, self.unknown])
        execute = self.ground.app.execute
        if self.rng.random() < 0.5:
            execute("delete from consumers where consumer_id = %s", [consumer])
        else:
            execute(
                "insert into consumers (consumer_id, name, created_at) values (%s, 'back', %s) "
                "on conflict (consumer_id) do update set created_at = excluded.created_at",
                [consumer, self.past()],
            )

    def erase_row(self) -> None:
        """Delete a row without an event; perhaps it comes back, or its event comes late."""
        known = self.one_of("there")
        if known is None or (self.captured and known.last_end is not None):
            return
        self._delete_row(known)
        known.state = "erased"
        if not self.captured:
            return
        # It ends today, which is later than every instant of this history.
        self.world.row_went(
            known.customer, known.row, moment(dt.datetime.now(dt.UTC)), by_row=True, last_end=None
        )
        if self.rng.random() < 0.3:
            at = self.moment_between(max(known.last + HOUR, BEGIN), self.clock + 2 * HOUR)
            self.event(DELETION, at, known, {"status": known.row.status})
            self.world.deletion_came(known.customer, moment(at))
        known.state = "left"

    def late_event(self) -> None:
        """Write an event under a time that has been processed."""
        self.event(self.rng.choice(TYPES), self.past(), None)

    def late_row(self) -> None:
        """Write a customer under a time that has been processed."""
        self.bear(self.past(), consumer=self.rng.choice(self.tenants))

    def late_change(self) -> None:
        """Write a change under a time that has been processed, of a customer that goes on."""
        known = self.one_of("there")
        if known is not None and known.last_end is None:
            old, new = self.rng.choices(STATUSES, k=2)
            # Never in one microsecond with another: it contradicts what is there.
            at = self.past() + dt.timedelta(microseconds=self.rng.randrange(1, 500))
            self.event(CHANGE, at, known, {"old_status": old, "new_status": new})

    def late_creation(self) -> None:
        """Write the creation event of a customer that had none, late in every sense."""
        if known := self.one_of("there"):
            said: Any = self.rng.choice([{"status": self.rng.choice(STATUSES)}, {}, [], None])
            self.event(CREATION, self.past(), known, said)

    def late_deletion(self) -> None:
        """Write the deletion of a customer that nobody knows."""
        consumer = self.rng.choice(self.registered)
        known = Known(self.identity(), Row(consumer, None, None), "left", self.clock)
        if self.rng.random() < 0.5:
            self.event("login", self.past(), known)
        self.event(DELETION, self.past(), known, {"status": "ACTIVE"})

    def contradicting_deletion(self) -> None:
        """Write the deletion of a customer whose row stays, until it may go without another."""
        known = self.one_of("there")
        if known is not None:
            at = self.moment_between(max(known.last + HOUR, BEGIN), self.clock + 2 * HOUR)
            self.event(DELETION, at, known, {"status": "GONE"})
            known.state, known.contradicted = "contradicted", at

    def erase_contradicted(self) -> None:
        """Delete a row whose deletion was taken in, or will be seen, while it was there."""
        known = self.one_of("contradicted")
        if known is None or known.contradicted is None:
            return
        told = self.ground.app.execute(
            "select from customer_events "
            "where customer_id = %s and event_type = %s and created_at = %s",
            [known.customer, DELETION, known.contradicted],
        )
        at = moment(known.contradicted)
        if at >= self.world.processed or told.fetchone() is None:
            return
        self._delete_row(known)
        last_end = None if known.last_end is None else moment(known.last_end)
        self.world.row_went(known.customer, known.row, at, by_row=False, last_end=last_end)
        known.state = "left"

    def second_deletion(self) -> None:
        """Write a second deletion of one life."""
        known = self.one_of("deleted")
        if known is not None:
            at = self.moment_between(known.last + HOUR, self.clock + 3 * HOUR)
            self.event(DELETION, at, known, {"status": "GONE"})
            # It may not come back between the two.
            known.last = at

    def retype(self) -> None:
        """Correct the type, the consumer or the time of an event that is no lifecycle event."""
        for event in self._some_events(1):
            self._seen_to_change(event)
            column, value = self.rng.choice(
                [
                    ("event_type", "retyped"),
                    ("consumer_id", self.rng.choice(self.tenants)),
                    ("created_at", self.past()),
                ]
            )
            self.ground.app.execute(
                f"update customer_events set {column} = %s where event_id = %s",
                [value, event.event_id],
            )

    def erase_events(self) -> None:
        """Delete some events that are no lifecycle events."""
        for event in self._some_events(self.rng.randrange(1, 4)):
            self._delete_events("event_id = %s", event.event_id)

    def _some_events(self, count: int) -> list[Event]:
        events = [one for one in Sources(self.ground.app).events if one.kind not in LIFECYCLE]
        events.sort(key=lambda one: one.event_id)
        return self.rng.sample(events, min(count, len(events)))

    def _seen_to_change(self, event: Event) -> None:
        if self.captured:
            self.world.event_changed(event)

    # -- times that are none -----------------------------------------------------

    def timeless_event(self) -> None:
        """Write an event without a time: it counts nowhere."""
        self.ground.event(
            self.rng.choice([*TYPES, *LIFECYCLE]),
            None,
            customer=self.identity(),
            consumer=self.rng.choice(self.tenants),
            event_id=self.identity(),
        )

    def timeless_row(self) -> None:
        """Write a customer without a time: its events tell its birth, if there are any."""
        customer, consumer = self.identity(), self.rng.choice(self.tenants)
        with self.ground.app.transaction():
            self.ground.row(customer, consumer, "ACTIVE", None)
            for kind in self.rng.choice([(), ("login",), ("login", CREATION)]):
                self.ground.event(
                    kind,
                    self.past(),
                    customer=customer,
                    consumer=consumer,
                    payload={"status": "BLOCKED"} if kind == CREATION else None,
                    event_id=self.identity(),
                )

    def timeless_customer(self) -> None:
        """Let a customer come into being whose row has no time, and that lives as others do."""
        at, consumer = self.past(), self.rng.choice(self.tenants)
        known = Known(self.identity(), Row(consumer, "ACTIVE", None), "there", at)
        self.customers.append(known)
        with self.ground.app.transaction():
            self.ground.row(known.customer, consumer, "ACTIVE", None)
            for kind in self.rng.choice([("login",), (CREATION,), ("login", CREATION)]):
                payload = {"status": "ACTIVE"} if kind == CREATION else None
                self.event(kind, self.past(), known, payload)

    def event_beyond_the_calendar(self) -> None:
        """Write an event before everything, before Christ, or after everything."""
        self.ground.event(
            self.rng.choice(TYPES),
            self.rng.choice(BEYOND),
            consumer=self.rng.choice(self.tenants),
            event_id=self.identity(),
        )

    def row_beyond_the_calendar(self) -> None:
        """Write a customer from before everything, from before Christ, or of the future."""
        self.ground.row(
            self.identity(), self.rng.choice(self.tenants), "ACTIVE", self.rng.choice(BEYOND)
        )

    # -- purges ------------------------------------------------------------------

    def purge_by_age(self) -> None:
        """Delete all events from before a midnight."""
        self._delete_events("created_at < %s", self._midnight())

    def purge_by_hour(self) -> None:
        """Delete all events from before some hour."""
        self._delete_events("created_at < %s", self.past())

    def purge_by_type(self) -> None:
        """Delete all events of a type from before a midnight."""
        kind = self.rng.choice(["login", "purchase", *(() if self.kinds.odd else LIFECYCLE)])
        self._delete_events("created_at < %s and event_type::text = %s", self._midnight(), kind)

    def purge_by_tenant(self) -> None:
        """Delete all events of a consumer from before a midnight."""
        consumer = self.rng.choice(self.registered)
        self._delete_events("created_at < %s and consumer_id = %s", self._midnight(), consumer)

    def put_back(self) -> None:
        """Restore some of the events that have vanished, under ids of their own."""
        vanished = sorted(self.world.judged.vanished.values(), key=lambda one: one.event.event_id)
        for one in self.rng.sample(vanished, min(self.rng.randrange(1, 5), len(vanished))):
            event = one.event
            if event.at > BEFORE_ALL:
                self.ground.event(
                    event.kind,
                    instant(int(event.at)),
                    customer=event.customer,
                    consumer=event.consumer,
                    payload=event.payload,
                    event_id=self.identity(),
                )

    def _midnight(self) -> dt.datetime:
        at = self.past()
        return at.replace(hour=0, minute=0, second=0, microsecond=0)

    def _delete_events(self, condition: str, *values: Any) -> None:
        statement = f"delete from customer_events where {condition}"
        if self.kinds.odd:
            # Whose figures stay is told by the consumer of a lifecycle event that has vanished,
            # which here may be any consumer's.
            statement += " and coalesce(event_type::text, '') not like 'customer_%%'"
        self.ground.app.execute(statement, values)
        born = {one.customer for one in Sources(self.ground.app).events if one.kind == CREATION}
        for known in self.customers:
            known.birth_purged = not self.kinds.odd and known.customer not in born
