"""The tables that other DAGs can wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict

if TYPE_CHECKING:
    from airflow.sdk import Asset

    from consumer_analytics.settings import Settings


def consumer_analytics(settings: Settings) -> Asset:
    """Return the asset of the table `consumer_analytics`; it never names a login.

    Another DAG refers to it as `Asset.ref(name="consumer_analytics")`, wherever the database is.
    """
    from airflow.sdk import Asset

    return Asset(name="consumer_analytics", uri=_uri(settings, "public", "consumer_analytics"))


def _uri(settings: Settings, schema: str, table: str) -> str:
    """Return `postgres://host:port/database/schema/table` for a table of the product."""
    url = settings.database_url
    parts = conninfo_to_dict(url.get_secret_value()) if url is not None else {}
    host = str(parts.get("host") or "localhost").split(",")[0]
    if host.startswith(("/", "@")):
        # A Unix socket's folder, which is no host's name.
        host = "localhost"
    port = str(parts.get("port") or 5432).split(",")[0]
    database = parts.get("dbname") or parts.get("user") or "analytics"
    if ":" in host:
        host = f"[{host}]"
    return f"postgres://{host}:{port}/{database}/{schema}/{table}"
