"""Our DAGs and their tasks, by the names under which Airflow knows them."""

from __future__ import annotations

ETL = "consumer_analytics_etl"
SWEEP = "consumer_analytics_sweep"
MAINTENANCE = "consumer_analytics_maintenance"
BACKFILL = "consumer_analytics_backfill"
MONITOR = "consumer_analytics_monitor"

#: Those that run on a schedule of their own.
SCHEDULED = (ETL, SWEEP, MAINTENANCE, MONITOR)
#: All of them, in the order in which people read of them.
DAGS = (ETL, SWEEP, MAINTENANCE, BACKFILL, MONITOR)

#: The tasks of `ETL`.
EXTRACT_CUSTOMERS = "extract_customer_counts"
EXTRACT_EVENTS = "extract_event_counts"
LOAD = "load_consumer_analytics"
#: And where several databases are the source, beside the last of these.
SETTLE_SHARDS = "settle_shards"
LOAD_SHARD = "load_shard"


def run_key(dag_id: str, run_id: str) -> str:
    """Return the key under which the engine knows a DAG run."""
    return f"airflow:{dag_id}:{run_id}"
