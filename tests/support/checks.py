"""Every snapshot against the oracle, and what must not have been touched."""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
from tests.support import oracle


def wrong_snapshots(connection: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
    """Return what differs between the stored snapshots and the oracle's recount.

    The window's figures are recounted for the window that each row names. Rows that
    the oracle has and the table lacks differ too, and the other way round.
    """
    sources = oracle.Sources(connection)
    found: list[tuple[Any, ...]] = []
    windows = connection.execute(
        "select snapshot_timestamp, (metrics_json #>> '{incremental_stats,window_start}')"
        "::timestamptz from consumer_analytics where consumer_id is null order by 1"
    ).fetchall()
    for at, window_start in windows:
        there = oracle.stored(connection, at)
        true = oracle.snapshot(sources, at, window_start)
        found += [
            (at, consumer, there.get(consumer), true.get(consumer))
            for consumer in there.keys() | true.keys()
            if there.get(consumer) != true.get(consumer)
        ]
    return found


def touched_rows(connection: psycopg.Connection[Any]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the physical state of all that a repair may write: the same if nothing was."""
    return {
        table: connection.execute(f"select t.ctid, t.xmin, t::text from {table} as t").fetchall()
        for table in (
            "consumer_analytics",
            "consumer_analytics_revisions",
            "etl_job_watermarks",
            "consumer_analytics_internal.state",
            "consumer_analytics_internal.event_days",
            "consumer_analytics_internal.event_totals",
            "consumer_analytics_internal.touched_days",
            "consumer_analytics_internal.untold_events",
            "consumer_analytics_internal.deleted_customers",
            "consumer_analytics_internal.written_snapshots",
            "consumer_analytics_internal.written_apart",
        )
    }


def figures(connection: psycopg.Connection[Any]) -> dict[tuple[Any, dt.datetime], str]:
    """Return all snapshots: (consumer, instant) to the document's text."""
    return {
        (consumer, at): text
        for consumer, at, text in connection.execute(
            "select consumer_id, snapshot_timestamp, metrics_json::text from consumer_analytics"
        )
    }
