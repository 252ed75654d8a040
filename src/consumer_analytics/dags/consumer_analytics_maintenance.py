"""### Old logs, metadata, snapshots and state, removed every day.

Removes what is older than the settings keep, and says how much room that made:

* **Airflow's task logs and metadata** older than 30 days (`CONSUMER_ANALYTICS_KEEP_AIRFLOW_DAYS`):
  log files in the configured log folder of the machine that the task runs on, metadata by
  `airflow db clean`.
* **Snapshots**, by a thinning policy: every one for some days, then each day's last, then each
  week's. Off until `CONSUMER_ANALYTICS_KEEP_SNAPSHOTS_DAYS` is set.
* **Internal state** that nobody needs any more (`CONSUMER_ANALYTICS_KEEP_STATE_DAYS`).

Clearing it and running it again is always safe. `consumer-analytics maintenance --dry-run` tells
what would go.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, task

from consumer_analytics.airflow import dag_ids
from consumer_analytics.orchestration import dag_arguments, maintenance
from consumer_analytics.settings import settings

with DAG(
    dag_id=dag_ids.MAINTENANCE,
    description="Remove old logs, metadata, snapshots and state; say how much room that made",
    schedule=dag_arguments.timetable(settings().maintenance_schedule),
    start_date=dag_arguments.start_date(),
    doc_md=__doc__,
    **dag_arguments.shared(takes_long=True),
) as dag:

    @task
    def maintain(dag_run: Any = None) -> dict[str, Any]:
        """Remove what is old, part by part; the log says what went and how much room it made."""
        return maintenance.task(dag_run)

    maintain()
