"""Which event types and which statuses get a column, as a look at some rows tells."""

from __future__ import annotations

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.shape import shape_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query, source_regclass, source_rows

#: Columns that tell types and statuses.
_TOLD_BY = ("event_type", "payload_json")
#: Events that are looked at for their types.
_SAMPLED = 20_000


def types(connection: Connection, settings: Settings) -> tuple[str, ...]:
    """Return the event types that get a column: those known and seen, where they are few."""
    rows = connection.execute(
        query("backfill/types", settings.sources, sampled=_sampled(connection, settings))
    )
    return shape_of((name for (name,) in rows), (), settings.sources.words).types


def statuses(connection: Connection, settings: Settings) -> list[str]:
    """Return the statuses known and seen."""
    rows = connection.execute(
        query("backfill/statuses", settings.sources, sampled=_sampled(connection, settings))
    )
    return [status for (status,) in rows]


def _sampled(connection: Connection, settings: Settings) -> sql.Composable:
    """Compose what the events are read from: some of them, where there are many."""
    table = source_regclass(settings.sources, "customer_events")
    row = connection.execute(
        "select relkind::text, reltuples::float8 from pg_class where oid = to_regclass(%s)", [table]
    ).fetchone()
    if row is not None and row[0] in "rpm" and row[1] > _SAMPLED:
        share = sql.SQL("tablesample system ({})").format(100 * _SAMPLED / row[1])
        return source_rows(settings.sources, "customer_events", columns=_TOLD_BY, sample=share)
    return source_rows(settings.sources, "customer_events", columns=_TOLD_BY)
