"""Which event types and which statuses get a column, as a look at some rows tells."""

from __future__ import annotations

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl.shape import shape_of
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query, source_table

#: What has a blank name, or none.
UNNAMED = "(none)"
#: Events that are looked at for their types.
_SAMPLED = 20_000


def types(connection: Connection, settings: Settings) -> tuple[str, ...]:
    """Return the event types that get a column: those known and seen, where they are few."""
    sampled = _sample(connection, settings)
    rows = connection.execute(query("backfill/types", settings.sources, sample=sampled))
    return shape_of((name for (name,) in rows), ()).types


def statuses(connection: Connection, settings: Settings) -> list[str]:
    """Return the statuses known and seen."""
    sampled = _sample(connection, settings)
    rows = connection.execute(query("backfill/statuses", settings.sources, sample=sampled))
    return [status for (status,) in rows]


def _sample(connection: Connection, settings: Settings) -> sql.Composable:
    """Compose what takes some of the events, where there are many."""
    table = source_table(settings.sources, "customer_events").as_string(connection)
    row = connection.execute(
        "select relkind::text, reltuples::float8 from pg_class where oid = to_regclass(%s)", [table]
    ).fetchone()
    if row is not None and row[0] in "rpm" and row[1] > _SAMPLED:
        return sql.SQL("tablesample system ({})").format(100 * _SAMPLED / row[1])
    return sql.SQL("")
