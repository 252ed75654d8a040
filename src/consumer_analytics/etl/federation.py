"""What a database is, where it is one of several: a shard, or what the figures of all are put in.

What works on one of these alone would part it from the others, and is refused.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from consumer_analytics.db.connection import Connection
from consumer_analytics.errors import ShardsError
from consumer_analytics.settings import variable
from consumer_analytics.sql import query

ANALYTICS = "analytics"
SHARD = "shard"


@dataclass(frozen=True)
class Membership:
    """What a database is among several.

    Attributes:
        role: `analytics` or `shard`.
        identity: which database it is, whatever its address.
        name: of a shard.
        analytics: of a shard, the identity of the database that its figures go to.
    """

    role: str
    identity: uuid.UUID
    name: str | None
    analytics: uuid.UUID | None


def membership(connection: Connection) -> Membership | None:
    """Return what the database is; None where it stands for itself."""
    row = connection.execute(query("etl/federation/read")).fetchone()
    return None if row is None else Membership(*row)


def require_own(connection: Connection) -> None:
    """Refuse a database that is one of several, unless the session works for all of them.

    Raises:
        ShardsError: it is one; the message says of what.
    """
    member = membership(connection)
    if member is None or (member.role == SHARD and member.name == connection.shard):
        return
    if member.role == ANALYTICS:
        raise ShardsError(
            "this database's figures are put together from shards, and this cannot be done here; "
            f"with {variable('shards_file')} set, run, backfill, sweep, audit, "
            "archive, maintenance, capture and snapshots remove work over all of them"
        )
    require_no_shard(connection)


def require_rows(connection: Connection, instead: str) -> None:
    """Refuse a database that has no rows of its own.

    Args:
        connection: in autocommit.
        instead: what to do.

    Raises:
        ShardsError: figures of shards are put together in it.
    """
    member = membership(connection)
    if member is not None and member.role == ANALYTICS:
        raise ShardsError(
            f"this database's figures are put together from shards, and it has no rows: {instead}"
        )


def require_no_shard(connection: Connection) -> None:
    """Refuse a shard of another database's figures, unless the session works for all of them.

    Raises:
        ShardsError: it is one.
    """
    member = membership(connection)
    if member is None or member.role != SHARD or member.name == connection.shard:
        return
    raise ShardsError(
        f"this database is the shard {member.name} of another one's figures: work over all of "
        f"them, with {variable('shards_file')} set and the address of the one that they go to"
    )
