"""The maintenance's DAG as Airflow reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DAG_ID = "consumer_analytics_maintenance"


def test_runs_daily_once_at_a_time_and_is_documented(parse: Callable[..., Any]) -> None:
    bag = parse(home="/nonexistent")
    assert bag.import_errors == {}
    dag = bag.dags[DAG_ID]
    assert dag.timetable.expression == "30 3 * * *"
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert "maintenance --dry-run" in dag.doc_md
    assert [task.task_id for task in dag.tasks] == ["maintain"]
    assert all(task.doc_md for task in dag.tasks)


def test_schedule_and_retries_are_settings(parse: Callable[..., Any]) -> None:
    dag = parse(maintenance_schedule="@weekly", retries="4").dags[DAG_ID]
    assert dag.timetable.expression == "0 0 * * 0"
    assert [task.retries for task in dag.tasks] == [4]
