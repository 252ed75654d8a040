"""Rows handed over from one database's session into temporary tables of another's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.shards.sessions import Shard, copied
from consumer_analytics.sql import query

#: The temporary tables that rows are handed over into, each with its columns.
TABLES: dict[str, sql.SQL] = {
    "shard_rows": sql.SQL(
        "pg_temp.shard_rows (shard, consumer_id, snapshot_timestamp, metrics_json)"
    ),
    "shard_pairs": sql.SQL("pg_temp.shard_pairs (consumer_id, snapshot_timestamp)"),
    "shard_lifetimes": sql.SQL(
        "pg_temp.shard_lifetimes (consumer_id, snapshot_timestamp, customers, dated, created_us)"
    ),
    "shard_apart": sql.SQL(
        "pg_temp.shard_apart (shard, consumer_id, snapshot_timestamp, window_start)"
    ),
}


def hand_over(
    source: Connection, select: sql.Composable, target: Connection, into: sql.Composable
) -> None:
    """Put what a query answers in one session into a table of another's."""
    reading = sql.SQL("copy ({}) to stdout (format binary)").format(select)
    writing = sql.SQL("copy {} from stdin (format binary)").format(into)
    copied(source, reading, target, writing)


def ask(analytics: Connection, shard: Shard) -> None:
    """Tell a shard which rows are asked for: they are in `shard_pairs`, here and there."""
    shard.connection.execute(query("shards/transfer/pairs-asked"))
    pairs = sql.SQL("select consumer_id, snapshot_timestamp from pg_temp.shard_pairs")
    hand_over(analytics, pairs, shard.connection, TABLES["shard_pairs"])
    shard.connection.execute("analyze pg_temp.shard_pairs")


def timestamps(instants: Sequence[dt.datetime]) -> sql.Composable:
    """Compose some instants as an array."""
    return sql.SQL("{}::timestamptz[]").format(sql.Literal(list(instants)))
