"""Shapes that sources may have: what their tables and columns are made of, and how rows get there.

An application writes as ever; its statements are turned into those that write a shape.
"""

from __future__ import annotations

import re
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from tests.support.oracle.lives import LIFECYCLE

from consumer_analytics.db.connection import Connection

SOURCES = ("consumers", "customers", "customer_events")
#: Every word that a history may write into a status or a type.
WORDS = (
    *("ACTIVE", "INACTIVE", "BLOCKED", "PENDING_AML", "FIXED", "active", "Blocked"),
    *(*LIFECYCLE, "login", "purchase", "retyped", "Login", "Customer_Deletion", " "),
)
_WORD = f"create type word as enum ({', '.join(f'{word!r}' for word in reversed(WORDS))}); "
_TYPED = "alter table customers alter status type {0} using status::{0}; "
_TYPED += "alter table customer_events alter event_type type {0} using event_type::{0};"
_TIMED = "alter table {} alter created_at drop default, alter created_at type {} using now();"


@dataclass(frozen=True)
class Shape:
    """One shape.

    Attributes:
        make: makes it of the empty tables that a migration made; run by their owner.
        extension: what has to be installed for it.
        behind: where rows of a source are written to, if elsewhere.
        columns: what a column is written by, if by another.
        parts: tables that rows come in through, of some sources.
        by_time: whether a row's time says which of them takes it.
        watched: whether capture can watch it.
        since: the oldest version of PostgreSQL that has it.
    """

    make: str = ""
    extension: str = ""
    behind: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    by_time: bool = False
    watched: bool = True
    since: int = 15


_PARTITIONED = """
alter table customer_events rename to plain_events;
create table customer_events (event_id uuid, customer_id uuid, consumer_id uuid, event_type text,
    payload_json jsonb not null default '{}', created_at timestamptz default now())
    partition by range (created_at);
create table events_rest partition of customer_events default;
create table events_a partition of customer_events
    for values from ('2025-03-02') to ('2025-03-08 12:00');
create table events_b partition of customer_events
    for values from ('2025-03-08 12:00') to ('2025-03-20') partition by list (event_type);
create table events_b_rest partition of events_b default;
create table events_b_login partition of events_b for values in ('login', 'customer_deletion');
create table events_c (payload_json jsonb not null, extra int, created_at timestamptz,
    event_type text, consumer_id uuid, customer_id uuid, event_id uuid);
alter table events_c drop extra;
alter table customer_events attach partition events_c
    for values from ('2025-03-20') to ('2025-04-20');
create index on customer_events (created_at);
create index on customer_events (customer_id);
drop table plain_events;
alter table customers rename to plain_customers;
create table customers (customer_id uuid, consumer_id uuid, status text, created_at timestamptz
    default now(), updated_at timestamptz default now()) partition by hash (customer_id);
create table customers_0 partition of customers for values with (modulus 2, remainder 0);
create table customers_1 partition of customers for values with (modulus 2, remainder 1);
drop table plain_customers;
"""
_BY_TENANT = """
alter table customer_events rename to plain_events; alter table customers rename to plain_customers;
create table customer_events (event_id uuid, customer_id uuid, consumer_id uuid, event_type text,
    payload_json jsonb not null default '{}', created_at timestamptz default now())
    partition by hash (consumer_id);
create table customers (customer_id uuid, consumer_id uuid, status text, created_at timestamptz
    default now(), updated_at timestamptz default now()) partition by list (status);
create table customers_active partition of customers for values in ('ACTIVE', 'FIXED', null);
create table customers_rest partition of customers default partition by hash (consumer_id);
""" + "".join(
    f"create table {name}_{n} partition of {name} for values with (modulus 3, remainder {n});"
    for name in ("customer_events", "customers_rest")
    for n in range(3)
)
_INHERITED = """
create table events_a () inherits (customer_events);
create table events_b (extra text) inherits (customer_events);
create table events_c () inherits (events_b);
create table customers_a () inherits (customers);
create index on events_a (created_at); create index on events_a (customer_id);
"""
_VIEWED = """
create schema app;
alter table customer_events set schema app; alter table customers set schema app;
alter table consumers set schema app;
create view public.customer_events as select * from app.customer_events;
create view public.customers as select customer_id, consumer_id, status::varchar(40) as status,
    created_at at time zone 'UTC' as created_at, updated_at from app.customers;
create view public.consumers as select * from app.consumers;
"""
_UNION = """
create schema app;
create table app.old_events (like customer_events including all);
alter table customer_events set schema app; alter table customers set schema app;
alter table app.customer_events alter created_at drop not null;
alter table app.old_events alter created_at drop not null;
create view public.customer_events as
    select event_id, customer_id, consumer_id, event_type, payload_json, created_at
    from app.customer_events
    union all
    select event_id, customer_id, consumer_id, event_type, payload_json, created_at
    from app.old_events;
create view public.customers as
    select c.customer_id, t.id as consumer_id, c.status, c.created_at, c.updated_at
    from app.customers c left join lateral (select c.consumer_id as id) t on true;
"""
_STORED = """
alter table customer_events rename created_at to at;
alter table customer_events alter at drop not null,
    add created_at timestamp generated always as (at at time zone 'UTC') stored,
    add extra int generated always as (length(event_type)) stored;
alter table customer_events rename event_type to kind;
alter table customer_events add event_type varchar(60) generated always as (kind::varchar) stored;
alter table customers rename status to state;
alter table customers add status text generated always as (state) stored;
create index on customer_events (created_at); create index on customer_events (customer_id);
"""
_BESIDE_VIRTUAL = """
alter table customer_events add extra int generated always as (length(event_type)) virtual;
alter table customers add extra text generated always as (status || 'x') virtual;
alter table consumers add extra text generated always as (name || 'x') virtual;
"""
_VIRTUAL = """
alter table customer_events rename created_at to at;
alter table customer_events alter at drop not null,
    add created_at timestamp generated always as (at at time zone 'UTC') virtual;
alter table customer_events rename event_type to kind;
alter table customer_events add event_type varchar(60) generated always as (kind::varchar) virtual;
alter table customers rename status to state;
alter table customers add status text generated always as (state) virtual;
"""
_TIME_PARTS = ("events_a", "events_b", "events_c", "events_rest")

PLAIN = Shape()
SHAPES = {
    "plain": PLAIN,
    "citext": Shape(_TYPED.format("citext"), extension="citext"),
    "citext_domain": Shape(
        "create domain word as citext; " + _TYPED.format("word"), extension="citext"
    ),
    "enum": Shape(_WORD + _TYPED.format("word")),
    "enum_domain": Shape(
        _WORD + "create domain term as word check (value <> 'Login' or true); "
        "create domain inner_term as term; " + _TYPED.format("inner_term")
    ),
    "char": Shape(_TYPED.format("char(40)")),
    "varchar": Shape(_TYPED.format("varchar(40)")),
    "name": Shape(_TYPED.format("name")),
    "times": Shape(
        _TIMED.format("customer_events", "timestamp") + _TIMED.format("consumers", "timestamp(3)")
    ),
    "other_times": Shape(_TIMED.format("customers", "timestamp")),
    "all_times": Shape("".join(_TIMED.format(one, "timestamp") for one in SOURCES)),
    "partitioned": Shape(_PARTITIONED),
    "through_partitions": Shape(
        _PARTITIONED,
        parts={"customer_events": _TIME_PARTS},
        by_time=True,
    ),
    "by_tenant": Shape(_BY_TENANT),
    "inherited": Shape(
        _INHERITED,
        parts={
            "customer_events": ("customer_events", "events_a", "events_b", "events_c"),
            "customers": ("customers", "customers_a"),
        },
    ),
    "viewed": Shape(_VIEWED, behind={one: f"app.{one}" for one in SOURCES}, watched=False),
    "union": Shape(
        _UNION,
        behind={one: f"app.{one}" for one in SOURCES[1:]},
        parts={"customer_events": ("app.customer_events", "app.old_events")},
        watched=False,
    ),
    "viewed_partitions": Shape(
        _PARTITIONED + _VIEWED, behind={one: f"app.{one}" for one in SOURCES}, watched=False
    ),
    "stored": Shape(
        _STORED,
        columns={
            "customer_events.created_at": "at",
            "customer_events.event_type": "kind",
            "customers.status": "state",
        },
    ),
    "beside_virtual": Shape(_BESIDE_VIRTUAL, since=18),
    "virtual": Shape(
        _VIRTUAL,
        columns={
            "customer_events.created_at": "at",
            "customer_events.event_type": "kind",
            "customers.status": "state",
        },
        watched=False,
        since=18,
    ),
}
_WRITES = re.compile(r"(insert into|update|delete from) (consumers|customers|customer_events)\b")


class Shaped:
    """The session of an application whose tables have a shape."""

    def __init__(self, session: Connection, shape: Shape) -> None:
        """Turn what is written in a session into what writes a shape."""
        self._session, self._shape = session, shape

    def __getattr__(self, name: str) -> Any:
        """Be the session in all else."""
        return getattr(self._session, name)

    def execute(self, statement: Any, values: Any = None) -> Any:
        """Run a statement, as the shape has it."""
        found = _WRITES.match(statement) if isinstance(statement, str) else None
        if found is None:
            return self._session.execute(statement, values)
        verb, source = found.groups()
        rest = statement[found.end() :]
        for name, other in self._shape.columns.items():
            table, column = name.split(".")
            if table == source and verb != "delete from":
                rest = re.sub(rf"\b{column}\b", other, rest)
        if verb == "insert into":
            return self._insert(source, rest, values)
        only = "only " if self._shape.parts and not self._shape.by_time else ""
        for table in self._tables(source, verb, values):
            answer = self._session.execute(f"{verb} {only}{table}{rest}", values)
        return answer

    def _tables(self, source: str, verb: str, values: Any) -> tuple[str, ...]:
        """Return the tables that a statement names: one of its own for each part, or one."""
        parts = self._shape.parts.get(source)
        if parts is None:
            return (self._shape.behind.get(source, source),)
        # A row that moves to another partition is updated in the table above.
        if self._shape.by_time and (verb == "update" or _chance(values, 2)):
            return (source,)
        return parts

    def _insert(self, source: str, rest: str, values: Any) -> Any:
        parts = self._shape.parts.get(source)
        if parts is None or (self._shape.by_time and _chance(values, 3)):
            table = self._shape.behind.get(source, source)
            return self._session.execute(f"insert into {table}{rest}", values)
        if not self._shape.by_time:
            table = parts[_number(values) % len(parts)]
            return self._session.execute(f"insert into {table}{rest}", values)
        # Whoever loads a partition knows which; here each is tried.
        for table in parts:
            with suppress(psycopg.errors.CheckViolation), self._session.transaction():
                return self._session.execute(f"insert into {table}{rest}", values)
        raise AssertionError(f"no partition of {source} takes {values}")


def _number(values: Any) -> int:
    """Return a number that a statement's values decide: nothing else may decide a history."""
    return zlib.crc32(repr(values).encode())


def _chance(values: Any, one_in: int) -> bool:
    return _number(values) % one_in == 0


def available(server: Any, shape: Shape) -> bool:
    """Tell whether a server has what a shape needs."""
    with server.connect_admin() as admin:
        known = "select from pg_available_extensions where name = %s"
        return not shape.extension or bool(admin.execute(known, [shape.extension]).rowcount)


def shaped(server: Any, name: str, shape: Shape, login: str | None) -> None:
    """Give the source tables of a database a shape."""
    with server.connect_admin(name) as admin:
        if shape.extension:
            admin.execute(sql.SQL("create extension {}").format(sql.Identifier(shape.extension)))
        if login is not None:
            admin.execute(sql.SQL("set role {}").format(sql.Identifier(login)))
        for source in SOURCES:
            admin.execute(f"alter table {source} alter created_at drop not null")
        if shape.make:
            admin.execute(shape.make)
