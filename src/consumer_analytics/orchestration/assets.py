"""The tables that other DAGs can wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Asset

#: It names no host: Airflow takes an asset whose address changed for another
#: one, and lets no task write it until the old one is gone.
_URI = "x-consumer-analytics://public/consumer_analytics"


def consumer_analytics() -> Asset:
    """Return the asset of the table `consumer_analytics`.

    Another DAG refers to it as `Asset.ref(name="consumer_analytics")`, wherever the database is.
    """
    from airflow.sdk import Asset

    return Asset(name="consumer_analytics", uri=_URI)
