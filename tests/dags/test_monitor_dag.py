"""The monitor's DAG, and what all DAGs do when something goes wrong."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from typing import Any

import pytest

DAG_ID = "consumer_analytics_monitor"
ETL = "consumer_analytics_etl"


def test_runs_every_five_minutes_once_at_a_time_and_is_documented(
    parse: Callable[..., Any],
) -> None:
    bag = parse(home="/nonexistent")
    assert bag.import_errors == {}
    dag = bag.dags[DAG_ID]
    assert dag.timetable.expression == "*/5 * * * *"
    assert (dag.catchup, dag.max_active_runs, dag.is_paused_upon_creation) == (False, 1, False)
    assert "consumer-analytics incidents" in dag.doc_md
    assert [(task.task_id, task.retries) for task in dag.tasks] == [("watch", 2)]
    assert parse(monitor_schedule="*/2 * * * *").dags[DAG_ID].timetable.expression == "*/2 * * * *"


def test_every_task_of_every_dag_tells_of_its_failure(parse: Callable[..., Any]) -> None:
    dags = parse().dags
    assert len(dags) >= 4
    for dag in dags.values():
        for task in dag.tasks:
            callbacks = [callback.__name__ for callback in task.on_failure_callback]
            assert callbacks == ["task_failed"], (dag.dag_id, task.task_id)
            assert not task.on_retry_callback


def test_the_deadline_is_a_setting(
    parse: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (deadline,) = parse().dags[ETL].deadline
    assert deadline.interval == dt.timedelta(minutes=10)
    assert deadline.callback.path == "consumer_analytics.orchestration.alerts.deadline_missed"
    (deadline,) = parse(deadline="90").dags[ETL].deadline
    assert deadline.interval == dt.timedelta(seconds=90)
    assert not parse(deadline="0").dags[ETL].deadline
    monkeypatch.setattr(sys, "argv", ["airflow", "dags", "test", ETL])
    assert not parse(deadline="90").dags[ETL].deadline


def test_a_pass_judges_and_logs(
    database: Any,
    airflow_database: None,  # noqa: ARG001  (made before the first run)
    parse: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    bag = parse(database_url=database.url)
    assert bag.dags[DAG_ID].test().state == "success"
    assert "health is normal" in caplog.text
    assert database.rows("select count(*) from consumer_analytics_internal.checks") == [(4,)]
