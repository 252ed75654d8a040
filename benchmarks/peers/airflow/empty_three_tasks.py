"""Three tasks that do nothing, in the shape of `consumer_analytics_etl`."""

from __future__ import annotations

from airflow.sdk import DAG, task

with DAG(dag_id="empty_three_tasks", schedule=None, catchup=False, max_active_runs=1) as dag:

    @task
    def first() -> None:
        """Do nothing."""

    @task
    def second() -> None:
        """Do nothing."""

    @task
    def third() -> None:
        """Do nothing."""

    [first(), second()] >> third()
