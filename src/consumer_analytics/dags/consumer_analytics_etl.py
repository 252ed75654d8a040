"""### Exact customer and event snapshots, per consumer and for the whole system.

Each run takes in what is new in `consumers`, `customers` and `customer_events` since the
watermark, writes one row per consumer and one global row (`consumer_id` NULL) to
`consumer_analytics`, and moves the watermark: all in one transaction.

1. **`extract_customer_counts`** and **`extract_event_counts`** read what has changed, side by side.
2. **`load_consumer_analytics`** writes the snapshots and moves the watermark.

* **The snapshot is as of the run's own tick** (`logical_date`, else `run_after`), however late it
  runs. Clearing a run, or any one of its tasks, and running it again changes no figure.
* **Nothing in flight is lost.** A run waits, for a bounded time, for transactions that began before
  its tick; if some stay open it processes only up to the oldest one's start, says in the log which
  process holds it back, and the next run takes in the rest.
* **Where several databases are the source** (`CONSUMER_ANALYTICS_SHARDS_FILE`), `settle_shards`
  waits for all of them, `load_shard` is a task for each, and `load_consumer_analytics` publishes.
  Shards' names are all that passes between them.
* The tasks hand each other nothing: each knows the run by its DAG run's names. What the extracts
  find waits in the database; the load uses it only if the job still stands where they found it,
  and extracts again otherwise.

The figures of a run are in each task's log, in `etl_job_watermarks.metadata_json`, and in
`consumer-analytics status`.
"""

from __future__ import annotations

from airflow.sdk import DAG, get_current_context, task

from consumer_analytics.airflow import dag_ids
from consumer_analytics.orchestration import alerts, assets, dag_arguments, tasks
from consumer_analytics.settings import settings

with DAG(
    dag_id=dag_ids.ETL,
    description="Incremental snapshots of customers and events per consumer",
    schedule=dag_arguments.timetable(settings().schedule),
    start_date=dag_arguments.start_date(),
    deadline=alerts.deadline(),
    doc_md=__doc__,
    **dag_arguments.shared(
        # Nobody reads what a task returns: storing it would be a request for each of them.
        do_xcom_push=False,
    ),
) as dag:

    @task(task_id=dag_ids.SETTLE_SHARDS, do_xcom_push=True)
    def settle_shards() -> list[str]:
        """Wait for what is in flight in any shard, and note up to where all may be read.

        Returns:
            The shards' names, read from their file now.
        """
        return tasks.settle_shards(get_current_context()["dag_run"])

    @task(task_id=dag_ids.LOAD_SHARD, map_index_template="{{ shard }}")
    def load_shard(shard: str) -> str:
        """Take in what is new in one shard and write its snapshots; nothing of it is published.

        Returns:
            The run key.
        """
        context = get_current_context()
        context["shard"] = shard
        return tasks.load_shard(context["dag_run"], shard)

    @task(task_id=dag_ids.LOAD, outlets=[assets.consumer_analytics()])
    def publish_shards() -> str:
        """Publish what all shards have loaded, and move the watermark.

        Returns:
            The run key.
        """
        return tasks.publish_shards(get_current_context()["dag_run"])

    @task(task_id=dag_ids.EXTRACT_CUSTOMERS)
    def extract_customer_counts() -> str:
        """Count the customers as they stood at the run's instant.

        Reads `customers`, with the lifecycle events from the instant on undone. Leaves one row per
        consumer and status in the database for the load.

        Returns:
            The run key.
        """
        return tasks.extract_customer_counts(get_current_context()["dag_run"])

    @task(task_id=dag_ids.EXTRACT_EVENTS)
    def extract_event_counts() -> str:
        """Count the events that the run takes in.

        Reads `customer_events` from the watermark to the run's instant, and days below it that
        have been changed since. Leaves one row per consumer, day and type in the database for
        the load.

        Returns:
            The run key.
        """
        return tasks.extract_event_counts(get_current_context()["dag_run"])

    @task(task_id=dag_ids.LOAD, outlets=[assets.consumer_analytics()])
    def load_consumer_analytics() -> str:
        """Fold what was extracted, write all snapshots, move the watermark.

        One transaction: either all of it happens or nothing. Snapshots that were written before
        and whose figures have changed since are restated; the old figures are kept.

        Returns:
            The run key.
        """
        return tasks.load_consumer_analytics(get_current_context()["dag_run"])

    if settings().shards_file is None:
        [extract_customer_counts(), extract_event_counts()] >> load_consumer_analytics()
    else:
        load_shard.expand(shard=settle_shards()) >> publish_shards()

    for step in dag.tasks:
        # Nothing in them is a template: storing what was rendered would be a request each.
        if step.task_id != dag_ids.LOAD_SHARD:
            step.template_fields = ()
