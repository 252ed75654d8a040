"""A simulated history: consumers, their customers, and all that happens to them.

The database makes the rows itself, from hashes of a seed: the same plan gives
the same rows on every machine and every supported version of PostgreSQL. All of
it is one transaction, filled slice of time by slice of time.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.calendar import instants
from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.errors import SourceError, UsageError
from consumer_analytics.etl import federation, sources
from consumer_analytics.formatting import counted
from consumer_analytics.ingest import importer
from consumer_analytics.mapping import SOURCES
from consumer_analytics.settings import Settings
from consumer_analytics.sql import SOURCE_TABLES, named, own_columns, query, source_table

#: Called with the events written so far and all there will be.
Progress = Callable[[int, int], None]

MOST_CONSUMERS = 1_000_000
MOST_CUSTOMERS = 100_000_000
MOST_EVENTS = 10_000_000_000
MOST_DAYS = 36_500
MOST_EVENT_TYPES = 2_000
MOST_SEED = 2**32 - 1

_EVENT_TYPES = (
    "login",
    "page_view",
    "purchase",
    "search",
    "logout",
    "payment",
    "add_to_cart",
    "notification_sent",
    "profile_update",
    "refund",
    "support_ticket",
    "document_upload",
    "password_reset",
    "review",
    "card_added",
    "limit_change",
)
#: Events of a slice, about; small enough that it is sorted in memory.
_SLICE_EVENTS = 400_000
#: Every slice looks at every customer: so many for each event that it makes.
_LOOKS_PER_EVENT = 4
_FIRST_SLICES = 100
#: Types are drawn from slots, as few as will do: looked up for every event.
_LEAST_TYPE_SLOTS = 1_024
_TYPE_SLOTS_PER_TYPE = 8
# Identifiers have room for 42 bits behind the seed: the upper half is for the
# events that customers' own histories consist of.
_LIFECYCLE_ORDINALS = 2**41
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_LATEST = dt.datetime(6000, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

#: How much happens in each hour of a weekday, and on each day of the week.
_HOURS = (3, 2, 2, 2, 3, 5, 10, 22, 42, 58, 64, 62, 55, 58, 62, 60, 56, 54, 57, 60, 52, 36, 19, 8)
_DAYS = (100, 104, 103, 105, 97, 58, 46)


def _weekly() -> list[float]:
    """Return the share of a week's activity that lies before each of its hours, and 1."""
    hours = [day * hour for day in _DAYS for hour in _HOURS]
    return [sum(hours[:end]) / sum(hours) for end in range(len(hours) + 1)]


@dataclass(frozen=True)
class SimulationPlan:
    """What to simulate. The same plan always gives the same rows.

    Attributes:
        consumers: how many tenants there are in the end.
        customers: how many customers there ever were; about one in eleven is
            deleted again.
        events: how many events in all, those of the customers' own histories
            included.
        days: length of the history.
        until: its end, exclusive.
        seed: chooses one of many histories; rows of different seeds have
            different ids.
        event_types: how many types the ordinary events have.
    """

    until: dt.datetime
    consumers: int = 25
    customers: int = 5_000
    events: int = 200_000
    days: int = 120
    seed: int = 1
    event_types: int = 12

    @property
    def first(self) -> dt.datetime:
        """The history's beginning."""
        return self.until - dt.timedelta(days=self.days)

    def check(self) -> None:
        """Check that the plan can be carried out.

        Raises:
            UsageError: a value is out of range; the message names it.
        """
        for name, value, least, most in (
            ("consumers", self.consumers, 1, MOST_CONSUMERS),
            ("customers", self.customers, 0, MOST_CUSTOMERS),
            ("events", self.events, 0, MOST_EVENTS),
            ("days", self.days, 1, MOST_DAYS),
            ("seed", self.seed, 0, MOST_SEED),
            ("event-types", self.event_types, 1, MOST_EVENT_TYPES),
        ):
            if not least <= value <= most:
                raise UsageError(f"--{name} {value}: it must be from {least} to {most}")
        if self.until.tzinfo is None:
            raise UsageError("the simulation's end must have a time zone")
        if self.until - _EPOCH < dt.timedelta(days=self.days) or self.until > _LATEST:
            raise UsageError(
                f"{counted(self.days, 'day')} until {self.until.isoformat()}: "
                "the history must lie between the years 1970 and 6000"
            )
        if self.events and not self.customers:
            raise UsageError(
                f"--customers 0: {counted(self.events, 'event')} would have nobody to happen to; "
                "give --customers 1 or more, or --events 0 too"
            )


@dataclass(frozen=True)
class SimulationResult:
    """What was simulated.

    Attributes:
        consumers: rows added to `consumers`.
        customers: rows added to `customers`.
        customers_created: those and the ones deleted again.
        customers_deleted: the latter.
        status_changes: how often a status changed.
        events: rows added to `customer_events`.
        first: beginning of the history.
        until: its end, exclusive.
        seed: which history.
        touched_days: pairs of consumer and UTC day, below what runs have
            processed, that the next run counts again.
        seconds: how long it took.
    """

    consumers: int
    customers: int
    customers_created: int
    customers_deleted: int
    status_changes: int
    events: int
    first: dt.datetime
    until: dt.datetime
    seed: int
    touched_days: int
    seconds: float


def today(connection: Connection) -> dt.datetime:
    """Return the server's last midnight, UTC: where a history ends by default."""
    return instants.start_of(instants.day_of(instants.now(connection)))


def simulate(
    connection: Connection,
    settings: Settings,
    plan: SimulationPlan,
    progress: Progress = lambda _done, _total: None,
    *,
    append: bool = False,
) -> SimulationResult:
    """Fill the source tables with a simulated history, in one transaction.

    Args:
        connection: a session that may write the source tables, in autocommit.
        settings: which schema they are in.
        plan: what to simulate.
        progress: told after every slice.
        append: add to what is there already.

    Raises:
        UsageError: the plan cannot be carried out, or the tables have rows and
            `append` is not set, or this seed's.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing, or lacks a column.
    """
    started = time.monotonic()
    plan.check()
    schema.require_current(connection)
    federation.require_rows(connection, "put them into a shard, by its own address")
    sources.require_usable(connection, settings)
    try:
        with connection.transaction():
            summary = _simulate(connection, settings, plan, progress, append=append)
    except psycopg.errors.UndefinedColumn as error:
        raise SourceError(
            f"the source tables cannot take a simulated history: {error.diag.message_primary}"
        ) from None
    for table in SOURCE_TABLES:
        connection.execute(sql.SQL("analyze {}").format(source_table(settings.sources, table)))
    return SimulationResult(**summary, seconds=round(time.monotonic() - started, 3))


def _simulate(
    connection: Connection,
    settings: Settings,
    plan: SimulationPlan,
    progress: Progress,
    *,
    append: bool,
) -> dict[str, Any]:
    make = _Maker(connection, settings, plan)
    # The planner knows nothing of how many rows a series makes.
    connection.execute("select set_config('enable_mergejoin', 'off', true)")
    make.refuse_what_is_there(append=append)
    make.temporary("consumers", "ingest/simulate/consumers")
    make.refuse_known_seed()
    make("ingest/simulate/paths")
    make.temporary("customers", "ingest/simulate/customers")
    make.temporary("lifecycle", "ingest/simulate/lifecycle")
    connection.execute("create index on pg_temp.simulated_lifecycle (at_us)")
    lifecycle: int = scalar(connection, "select count(*) from pg_temp.simulated_lifecycle")
    if lifecycle > plan.events:
        raise UsageError(
            f"--events {plan.events}: the {plan.customers} customers' own histories are "
            f"{lifecycle} events already; give at least as many, or fewer --customers"
        )
    make.temporary("actors", "ingest/simulate/actors", events=plan.events - lifecycle)
    make.temporary("types", "ingest/simulate/types")

    consumers = make.insert("consumers", "ingest/simulate/rows-consumers")
    customers = make.insert("customers", "ingest/simulate/rows-customers")
    written = 0
    progress(written, plan.events)
    slices = _Slices(plan)
    for bounds in slices:
        added = make.insert("customer_events", "ingest/simulate/rows-events", **bounds)
        slices.adapt(added)
        written += added
        progress(written, plan.events)
    if written != plan.events:
        raise RuntimeError(f"{written} events came out of a plan of {plan.events}")
    changes: int = scalar(connection, make.query("ingest/simulate/changes"))
    processed_through = importer.invalidate_extracts(connection)
    touched = 0
    if processed_through > plan.first:
        rows = make.query("ingest/simulate/touched")
        touched = importer.touch_days(connection, rows, processed_through, make.given(rows))
    return {
        "consumers": consumers,
        "customers": customers,
        "customers_created": plan.customers,
        "customers_deleted": plan.customers - customers,
        "status_changes": changes,
        "events": written,
        "first": plan.first,
        "until": plan.until,
        "seed": plan.seed,
        "touched_days": touched,
    }


def _microseconds(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


class _Slices:
    """Slices of time, one after the other, each about as long as it takes to hold enough events.

    Which slices there are makes no difference to the events.
    """

    def __init__(self, plan: SimulationPlan) -> None:
        self._at, self._until = _microseconds(plan.first), _microseconds(plan.until)
        self._wanted = max(_SLICE_EVENTS, plan.customers // _LOOKS_PER_EVENT)
        self._length = self._until - self._at
        if plan.events > self._wanted:
            self._length //= _FIRST_SLICES

    def __iter__(self) -> Iterator[dict[str, Any]]:
        is_first = True
        while self._at < self._until:
            end = min(self._at + self._length, self._until)
            yield {
                "from_us": self._at,
                "until_us": end,
                "is_first": is_first,
                "is_last": end == self._until,
            }
            self._at, is_first = end, False

    def adapt(self, events: int) -> None:
        """Make the next slice longer or shorter, from how many events the last one had."""
        factor = self._wanted / events if events else 2.0
        self._length = max(1, int(self._length * min(max(factor, 0.25), 4.0)))


def _event_types(plan: SimulationPlan) -> list[str]:
    """Return the type of each slot, a power of two of them; the n-th has a share of about 1/n."""
    names = [
        _EVENT_TYPES[place] if place < len(_EVENT_TYPES) else f"custom_{place + 1:03d}"
        for place in range(plan.event_types)
    ]
    weights = [1_000_000 // (place + 1) for place in range(len(names))]
    least = max(_LEAST_TYPE_SLOTS, _TYPE_SLOTS_PER_TYPE * len(names))
    # One slot for each, the others by weight.
    others = (1 << (least - 1).bit_length()) - len(names)
    slots: list[str] = []
    for place, name in enumerate(names):
        before, until = sum(weights[:place]), sum(weights[: place + 1])
        number = 1 + others * until // sum(weights) - others * before // sum(weights)
        slots += [name] * number
    return slots


class _Maker:
    """Runs the simulation's statements, with what all of them need."""

    def __init__(self, connection: Connection, settings: Settings, plan: SimulationPlan) -> None:
        self._connection = connection
        self._settings = settings
        self._plan = plan
        types = _event_types(plan)
        self._shared: dict[str, Any] = {
            "consumers": plan.consumers,
            "customers": plan.customers,
            "first_us": _microseconds(plan.first),
            "until_us": _microseconds(plan.until),
            "salt": plan.seed * 16,
            "weekly": _weekly(),
            "types": types,
            "last_type_slot": len(types) - 1,
            # Version 8 of RFC 9562: 48 bits of time, 12 and 20 bits of the seed,
            # 42 bits that count.
            "id_middle": 0x8000 | plan.seed >> 20,
            "id_tail": (0b10 << 62) - 2**64 + ((plan.seed & 0xFFFFF) << 42),
            "lifecycle_ordinals": _LIFECYCLE_ORDINALS,
        }

    def query(self, name: str) -> sql.Composed:
        """Compose a statement of the simulation."""
        return query(
            name,
            self._settings.sources,
            instant=query("ingest/simulate/instant"),
            **{
                f"rhythm_of_{what}": query("ingest/simulate/rhythm", instant=sql.SQL(instant))
                for what, instant in {
                    "created": "created_us",
                    "end": "ended_us",
                    "from": "%(from_us)s::bigint",
                    "until": "%(until_us)s::bigint",
                }.items()
            },
        )

    def __call__(self, name: str, **values: Any) -> int:
        """Run a statement and return how many rows it wrote."""
        statement = self.query(name)
        return self._connection.execute(statement, self.given(statement) | values).rowcount

    def insert(self, table: str, name: str, **values: Any) -> int:
        """Insert what a statement makes into a source table; return how many rows it was."""
        names = self._settings.sources
        rows = self.query(name)
        own = names[table].own
        types = importer.table_columns(self._connection, names, table)
        statement = sql.SQL("insert into {} ({})\nselect {}\nfrom (\n{}\n) as made").format(
            source_table(names, table),
            own_columns(names, table, own),
            sql.SQL(", ").join(
                # An enumeration needs a cast, and may stand for any text of a user's table.
                sql.SQL("made.{}::{}").format(
                    sql.Identifier(column),
                    sql.SQL(types[column].type if column in types else SOURCES[table][column].kind),
                )
                for column in own
            ),
            rows,
        )
        return self._connection.execute(statement, self.given(rows) | values).rowcount

    def given(self, statement: sql.Composed) -> dict[str, Any]:
        """Return those of the values that all statements share which this one names."""
        return named(statement, self._shared)

    def temporary(self, table: str, name: str, **values: Any) -> None:
        """Make a temporary table, and let the planner know it."""
        self(name, **values)
        self._connection.execute(
            sql.SQL("analyze {}").format(sql.Identifier("pg_temp", f"simulated_{table}"))
        )

    def refuse_what_is_there(self, *, append: bool) -> None:
        """Refuse to mix a history with rows that are there, unless told to.

        Raises:
            UsageError: a source table has rows.
        """
        table = scalar(self._connection, self.query("ingest/simulate/find-rows"))
        if table is not None and not append:
            raise UsageError(
                f"{self._settings.sources[table].shown} has rows already; "
                "use --append to add a simulated history to them, or another database"
            )

    def refuse_known_seed(self) -> None:
        """Refuse a seed whose history is there already.

        Raises:
            UsageError: it is.
        """
        known = self._connection.execute(
            query("ingest/simulate/find-seed", self._settings.sources)
        ).fetchone()
        if known is not None:
            raise UsageError(
                f"a history of --seed {self._plan.seed} is there already "
                f"(consumer {known[0]}); give another seed"
            )
