"""The sweep's DAG as Airflow reads it, and as Airflow runs it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from consumer_analytics.etl import run

DAG_ID = "consumer_analytics_sweep"
AT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)


def test_runs_daily_once_at_a_time_and_is_documented(parse: Callable[..., Any]) -> None:
    bag = parse(home="/nonexistent")
    assert bag.import_errors == {}
    dag = bag.dags[DAG_ID]
    assert dag.timetable.expression == "0 3 * * *"
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    assert "status --revisions" in dag.doc_md
    assert [task.task_id for task in dag.tasks] == ["sweep"]
    assert all(task.doc_md for task in dag.tasks)


def test_schedule_and_retries_are_settings(parse: Callable[..., Any]) -> None:
    dag = parse(sweep_schedule="0 5 * * 1", retries="4").dags[DAG_ID]
    assert dag.timetable.expression == "0 5 * * 1"
    assert [task.retries for task in dag.tasks] == [4]


def test_repairs_late_rows_and_logs_them(
    database: Any,
    airflow_database: None,  # noqa: ARG001  (made before the first run)
    parse: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=AT)
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', '2025-03-04 12:00Z')"
    )
    bag = parse(database_url=database.url, retries="0")
    assert bag.dags[DAG_ID].test().state == "success"
    assert database.rows(
        "select metrics_json -> 'unattributed_events' from consumer_analytics"
    ) == [(1,)]
    assert "counted 0, the source has 1" in caplog.text
