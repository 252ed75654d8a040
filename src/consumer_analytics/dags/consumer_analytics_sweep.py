"""### Late, changed and deleted rows, found and repaired every day.

Recounts the trailing days (`CONSUMER_ANALYTICS_SWEEP_DAYS`) against the source, repairs what
differs, and restates exactly the snapshots that change. What they said before is kept in
`consumer_analytics_revisions`; `consumer-analytics status --revisions` shows it.

* **With nothing to do it costs one scan of its days** and one pass over the customers, and writes
  nothing.
* It waits its turn where a run is at work, and runs wait for it; the figures are the same either
  way.
* Clearing it and running it again is always safe: a sweep looks at the days before where the last
  run has come to, not at its own date.

It also remembers when customers who were deleted in these days came into being, so that mean
lifetimes stay exact after the source is purged.
"""

from __future__ import annotations

from airflow.sdk import DAG, task

from consumer_analytics.airflow import dag_ids
from consumer_analytics.orchestration import assets, dag_arguments, repairs
from consumer_analytics.settings import settings

with DAG(
    dag_id=dag_ids.SWEEP,
    description="Recount the trailing days, repair and restate what differs",
    schedule=dag_arguments.timetable(settings().sweep_schedule),
    start_date=dag_arguments.start_date(),
    doc_md=__doc__,
    **dag_arguments.shared(takes_long=True),
) as dag:

    @task(outlets=[assets.consumer_analytics()])
    def sweep() -> None:
        """Recount the trailing days, repair what differs, restate what changes.

        The log names the days, consumers and types that were corrected, with both figures.
        """
        repairs.sweep()

    sweep()
