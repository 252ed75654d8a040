"""Rows of chosen consumers that stand apart: at instants that have no whole snapshot.

There is no row of the whole system there to tell that a shard has done its part, and a shard in
which a consumer had nothing yet has no row of it. So each shard notes for whom it was asked. A
consumer's row is published when every shard was, for the same window.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.shards.sessions import Shard, each
from consumer_analytics.shards.transfer import TABLES, ask, hand_over, timestamps
from consumer_analytics.sql import query

#: Rows put together in one transaction, about.
_ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class AskedApart:
    """For how many consumers each instant was asked apart.

    Attributes:
        shards: by instant, in each shard.
        published: by instant, where figures are put together.
    """

    shards: dict[str, dict[dt.datetime, int]]
    published: dict[dt.datetime, int]

    def rows(self, at: dt.datetime) -> int:
        """Return about how many rows an instant has; 0 where nobody was asked for."""
        return self.published.get(at, 0) + sum(one.get(at, 0) for one in self.shards.values())


def noted(
    analytics: Connection, shards: Sequence[Shard], instants: Sequence[dt.datetime]
) -> AskedApart:
    """Look for whom some instants were asked apart."""

    def look(connection: Connection) -> dict[dt.datetime, int]:
        rows = connection.execute(query("shards/apart/noted"), {"snapshots": list(instants)})
        return dict(rows.fetchall())

    return AskedApart(each(shards, lambda shard: look(shard.connection)), look(analytics))


def chunks(instants: Sequence[dt.datetime], found: AskedApart) -> Iterator[list[dt.datetime]]:
    """Cut instants into what is put together at once."""
    chunk: list[dt.datetime] = []
    rows = 0
    for at in instants:
        if chunk and rows + found.rows(at) > _ROWS_AT_ONCE:
            yield chunk
            chunk, rows = [], 0
        chunk.append(at)
        rows += found.rows(at)
    if chunk:
        yield chunk


def bring(
    analytics: Connection,
    shards: Sequence[Shard],
    instants: Sequence[dt.datetime],
    again: Sequence[dt.datetime],
) -> list[dt.datetime]:
    """Bring the rows of some instants that every shard has told, within the caller's transaction.

    `shard_rows` and `shard_pairs` are there, and empty.

    Args:
        analytics: where figures are put together.
        shards: all of them.
        instants: none of which has a whole snapshot that is published.
        again: those of them of which every row is looked at.

    Returns:
        Instants of which a shard has rows that wait for others.
    """
    analytics.execute(query("shards/apart/stage"))
    for shard in shards:
        told = query(
            "shards/apart/told", shard=sql.Literal(shard.name), instants=timestamps(instants)
        )
        hand_over(shard.connection, told, analytics, TABLES["shard_apart"])
    analytics.execute(
        query("shards/apart/pairs", instants=timestamps(instants), again=timestamps(again))
    )
    analytics.execute("analyze pg_temp.shard_apart; analyze pg_temp.shard_pairs")
    for shard in shards:
        ask(analytics, shard)
        rows = query("shards/apart/rows", shard=sql.Literal(shard.name))
        hand_over(shard.connection, rows, analytics, TABLES["shard_rows"])
    analytics.execute("analyze pg_temp.shard_rows (consumer_id, snapshot_timestamp)")
    names = [shard.name for shard in shards]
    waiting = analytics.execute(query("shards/apart/wait"), {"shards": names})
    return [at for (at,) in waiting]
