"""Which database is which: every shard knows its name, and where its figures go.

Addresses change, are copied and mistyped; what a database is, is kept in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from psycopg import sql

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, scalar, scalar_of
from consumer_analytics.errors import SchemaError, ShardsError
from consumer_analytics.etl import federation
from consumer_analytics.etl.federation import ANALYTICS, SHARD, Membership
from consumer_analytics.shards.sessions import Shard, of_shard
from consumer_analytics.sql import query


def join(analytics: Connection, shards: Sequence[Shard]) -> None:
    """Make sure that each database is what the file says, and note it of those that are new.

    Args:
        analytics: in autocommit; whoever calls has the turn over the shards.
        shards: all of the file.

    Raises:
        SchemaError: a schema is not this version's.
        ShardsError: a database is not what the file says; it is named, and why.
    """
    schema.require_current(analytics)
    for shard in shards:
        try:
            schema.require_current(shard.connection)
        except SchemaError as error:
            raise of_shard(shard.name, error) from error
    members = [(shard, federation.membership(shard.connection)) for shard in shards]
    mine = _own_identity(analytics)
    known: dict[str, uuid.UUID] = dict(analytics.execute(query("shards/joining/known")).fetchall())
    if missing := sorted(known.keys() - {shard.name for shard in shards}):
        raise ShardsError(
            f"shard {missing[0]} is not in the file, and its figures are in what was published: "
            "name it there again"
        )
    taken: dict[uuid.UUID, str] = {}
    for shard, member in members:
        if member is not None:
            _require_right(shard, member, mine, taken)
    for shard, member in members:
        _note(analytics, shard, member, mine, known)


def _own_identity(analytics: Connection) -> uuid.UUID:
    """Return the identity of the database that figures are put together in; make it one."""
    member = federation.membership(analytics)
    if member is None:
        if scalar_of(analytics, "shards/joining/has-figures"):
            raise ShardsError(
                "the database has snapshots of its own: let the figures of shards be put together "
                "in a new one"
            )
        if filled := _filled(analytics):
            raise ShardsError(
                f"the database has rows in {' and '.join(filled)}, which would be in no figure: "
                "let it be a shard, and the figures be put together in a new one"
            )
        identity: uuid.UUID = scalar_of(
            analytics, "shards/joining/become", {"role": ANALYTICS, "name": None, "analytics": None}
        )
        return identity
    if member.role == SHARD:
        raise ShardsError(
            f"the database is itself the shard {member.name} of another one's figures"
        )
    return member.identity


def _filled(analytics: Connection) -> list[str]:
    """Return which source tables of the database itself have rows that this login may see."""
    tables = analytics.execute(query("shards/joining/own-tables")).fetchall()
    return [
        name
        for (name,) in tables
        if scalar_of(analytics, "shards/joining/has-rows", table=sql.Identifier("public", name))
    ]


def _require_right(
    shard: Shard, member: Membership, mine: uuid.UUID, taken: dict[uuid.UUID, str]
) -> None:
    if member.identity == mine:
        raise ShardsError(
            f"shard {shard.name}: it is the database that figures are put together in"
        )
    if member.role == ANALYTICS:
        raise ShardsError(f"shard {shard.name}: figures of other shards are put together there")
    if member.identity in taken:
        raise ShardsError(f"shards {taken[member.identity]} and {shard.name} are one database")
    taken[member.identity] = shard.name
    if member.analytics != mine:
        raise ShardsError(
            f"shard {shard.name}: its figures go to another database, where it is called "
            f"{member.name}"
        )
    if member.name != shard.name:
        raise ShardsError(
            f"shard {shard.name}: the database is the shard {member.name}; call it that in the file"
        )


def _note(
    analytics: Connection,
    shard: Shard,
    member: Membership | None,
    mine: uuid.UUID,
    known: dict[str, uuid.UUID],
) -> None:
    if member is not None and known.get(shard.name) == member.identity:
        return
    if shard.name in known:
        raise ShardsError(
            f"shard {shard.name}: the database is not the one whose figures were published"
        )
    if scalar(analytics, "select exists (select from public.consumer_analytics)"):
        raise ShardsError(
            f"shard {shard.name} is new, and figures were published without it: begin again with "
            "a new database for them; `consumer-analytics docs shards` says how"
        )
    identity: uuid.UUID
    if member is None:
        values = {"role": SHARD, "name": shard.name, "analytics": mine}
        identity = scalar_of(shard.connection, "shards/joining/become", values)
        if identity is None:
            raise ShardsError(f"shard {shard.name}: the file has its database twice")
    else:
        identity = member.identity
    analytics.execute(query("shards/joining/note"), {"name": shard.name, "identity": identity})
