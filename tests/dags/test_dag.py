"""The DAG as Airflow reads it, and as Airflow runs it."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from tests.support import oracle
from tests.support.history import random_history

from consumer_analytics.airflow import dag_ids
from consumer_analytics.etl import watermark

DAG_ID = "consumer_analytics_etl"
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)


@pytest.fixture
def dag(parse: Callable[..., Any]) -> Any:
    """Return the DAG, parsed where there is no database at all."""
    bag = parse(home="/nonexistent")
    assert bag.import_errors == {}
    return bag.dags[DAG_ID]


def test_has_exactly_the_guides_tasks_in_the_guides_order(dag: Any) -> None:
    assert {task.task_id: task.upstream_task_ids for task in dag.tasks} == {
        "extract_customer_counts": set(),
        "extract_event_counts": set(),
        "load_consumer_analytics": {"extract_customer_counts", "extract_event_counts"},
    }


def test_never_catches_up_and_runs_once_at_a_time(dag: Any) -> None:
    assert dag.catchup is False
    assert dag.max_active_runs == 1


def test_is_documented_in_the_ui(dag: Any) -> None:
    assert "watermark" in dag.doc_md
    assert all(task.doc_md for task in dag.tasks)


def test_defaults(dag: Any) -> None:
    assert dag.timetable.expression == "0 0 * * *"
    assert dag.timezone.name == "UTC"
    assert {(task.retries, task.retry_delay) for task in dag.tasks} == {
        (2, dt.timedelta(seconds=60))
    }
    assert {task.execution_timeout for task in dag.tasks} == {dt.timedelta(minutes=30)}


def test_schedule_retries_and_start_are_settings(parse: Callable[..., Any]) -> None:
    dag = parse(
        schedule="30 6 * * 1",
        retries="5",
        retry_delay="7",
        task_timeout="90",
        start_date="2026-02-03",
        timezone="Europe/Berlin",
    ).dags[DAG_ID]
    assert dag.timetable.expression == "30 6 * * 1"
    assert dag.timezone.name == "Europe/Berlin"
    assert dag.start_date == dt.datetime(2026, 2, 2, 23, tzinfo=dt.UTC)
    assert {(task.retries, task.retry_delay) for task in dag.tasks} == {
        (5, dt.timedelta(seconds=7))
    }
    assert {task.execution_timeout for task in dag.tasks} == {dt.timedelta(seconds=90)}
    assert not any(task.execution_timeout for task in parse(task_timeout="0").dags[DAG_ID].tasks)


def test_days_begin_at_midnight_of_the_configured_zone(parse: Callable[..., Any]) -> None:
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    dag = parse(timezone="Europe/Berlin").dags[DAG_ID]
    timetable = coerce_to_core_timetable(dag.timetable)
    restriction = TimeRestriction(dag.start_date, None, True)
    ticks = []
    last = None
    for _ in range(89):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=restriction
        )
        last = info.data_interval
        ticks.append(info.run_after)
    # On 2025-03-30 the clocks go forward: the day after begins an hour earlier in UTC.
    assert ticks[-2].isoformat() == "2025-03-28T23:00:00+00:00"
    assert ticks[-1].isoformat() == "2025-03-29T23:00:00+00:00"


@pytest.mark.parametrize("intervals", ["True", "False"])
@pytest.mark.parametrize(
    ("dag_id", "schedule"),
    [
        ("consumer_analytics_etl", "schedule"),
        ("consumer_analytics_sweep", "sweep_schedule"),
        ("consumer_analytics_maintenance", "maintenance_schedule"),
        ("consumer_analytics_monitor", "monitor_schedule"),
    ],
)
def test_a_scheduled_run_is_for_its_own_tick_whatever_airflow_makes_of_bare_expressions(
    parse: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    dag_id: str,
    schedule: str,
    intervals: str,
) -> None:
    from airflow.sdk.definitions.timetables.trigger import CronTriggerTimetable
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    monkeypatch.setenv("AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS", intervals)
    dag = parse(**{schedule: "0 6 * * *"}, timezone="Europe/Berlin").dags[dag_id]
    assert isinstance(dag.timetable, CronTriggerTimetable)
    info = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(dag.start_date, None, True)
    )
    assert info is not None
    assert info.logical_date == info.run_after == info.data_interval.start
    assert info.run_after.isoformat() == "2025-01-01T05:00:00+00:00"


@pytest.mark.parametrize("schedule", ["@once", "@continuous"])
def test_a_schedule_without_ticks_is_airflows_own(parse: Callable[..., Any], schedule: str) -> None:
    bag = parse(schedule=schedule)
    assert bag.import_errors == {}
    assert type(bag.dags[DAG_ID].timetable).__name__ == f"{schedule[1:].title()}Timetable"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://etl:hunter2@db.example.com:6432/prod",
        "postgresql:///analytics?host=/var/run/postgresql",
        "host=/tmp dbname=analytics",
    ],
)
def test_outlet_is_the_same_wherever_the_database_is(parse: Callable[..., Any], url: str) -> None:
    # Airflow lets no task write an asset whose address changed under its name.
    (asset,) = parse(database_url=url).dags[DAG_ID].get_task("load_consumer_analytics").outlets
    assert asset.name == "consumer_analytics"
    assert asset.uri == "x-consumer-analytics://public/consumer_analytics"


def test_bad_setting_is_an_import_error_that_names_it(parse: Callable[..., Any]) -> None:
    errors = parse(timezone="Mars/Olympus").import_errors.values()
    assert errors
    for error in errors:
        assert "CONSUMER_ANALYTICS_TIMEZONE" in error


# -- runs ----------------------------------------------------------------------


@pytest.fixture
def filled(database: Any) -> Any:
    """Return the test's database with a small history in its source tables."""
    with database.connect() as connection:
        random_history(connection, random.Random(7), BEGIN, END)
    return database


def test_a_tick_from_before_the_first_row_writes_zeros(
    filled: Any, run_dag: Callable[..., Any]
) -> None:
    tick = BEGIN - dt.timedelta(days=30)
    assert run_dag(tick).state == "success"
    assert filled.rows(
        "select snapshot_timestamp, consumer_id, metrics_json -> 'total_events_all_consumers', "
        "metrics_json -> 'total_customers_all_consumers' from consumer_analytics"
    ) == [(tick, None, 0, 0)]


def test_a_run_writes_the_snapshot_of_its_own_tick(
    filled: Any, run_dag: Callable[..., Any]
) -> None:
    tick = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
    assert run_dag(tick).state == "success"
    with filled.connect() as connection:
        stored = oracle.stored(connection, tick)
        right = oracle.snapshot(
            oracle.Sources(connection), tick, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        )
        assert stored == right
        assert watermark.read(connection).last_processed_timestamp == tick
    assert filled.rows(
        "select distinct metrics_json ->> 'snapshot_source' from consumer_analytics"
    ) == [("airflow_etl",)]


@pytest.mark.long
def test_a_tick_that_has_passed_gets_no_run_and_loses_no_row(
    filled: Any, run_dag: Callable[..., Any], parse: Callable[..., Any]
) -> None:
    """Manual runs were queued for minutes: Airflow goes on with the last tick alone."""
    import pendulum
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction

    dag = parse(schedule="* * * * *").dags[DAG_ID]
    now = dt.datetime.now(dt.UTC)
    before = pendulum.instance(now - dt.timedelta(minutes=10))
    following = coerce_to_core_timetable(dag.timetable).next_dagrun_info(
        last_automated_data_interval=DataInterval.exact(before),
        restriction=TimeRestriction(dag.start_date, None, dag.catchup),
    )
    assert following is not None
    assert following.run_after > pendulum.instance(now - dt.timedelta(minutes=2))
    ticks = [dt.datetime(2025, 3, day, tzinfo=dt.UTC) for day in (5, 8)]
    for tick in ticks:
        assert run_dag(tick).state == "success"
    with filled.connect() as connection:
        sources = oracle.Sources(connection)
        stored = oracle.without_window(oracle.stored(connection, ticks[1]))
        assert stored == oracle.without_window(oracle.snapshot(sources, ticks[1]))
    instants = "select distinct snapshot_timestamp from consumer_analytics order by 1"
    assert [at for (at,) in filled.rows(instants)] == ticks


def test_a_run_has_airflow_store_nothing_that_nobody_reads(
    filled: Any,  # noqa: ARG001  (what the run reads)
    run_dag: Callable[..., Any],
) -> None:
    # Each would be a request of a task to the web server.
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    run = run_dag(dt.datetime(2025, 3, 5, tzinfo=dt.UTC))
    with create_session() as session:
        for model in (RenderedTaskInstanceFields, XComModel):
            assert not session.query(model).filter(model.run_id == run.run_id).count()


def test_a_run_without_a_logical_date_takes_the_moment_it_was_triggered(
    filled: Any, run_dag: Callable[..., Any]
) -> None:
    done = run_dag(None)
    assert done.state == "success"
    assert filled.rows("select distinct snapshot_timestamp from consumer_analytics") == [
        (done.run_after,)
    ]


def test_running_again_touches_no_row(filled: Any, run_dag: Callable[..., Any]) -> None:
    tick = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
    rows = "select xmin::text, * from consumer_analytics order by analytics_id"
    assert run_dag(tick).state == "success"
    before = filled.rows(rows)
    assert run_dag(tick).state == "success"
    assert filled.rows(rows) == before


def test_a_failed_run_says_so_and_leaves_the_watermark(
    filled: Any, run_dag: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    filled.execute("alter table customer_events drop column payload_json")
    assert run_dag(dt.datetime(2025, 3, 5, tzinfo=dt.UTC)).state == "failed"
    ((status, through, error),) = filled.rows(
        "select last_run_status, last_processed_timestamp, metadata_json ->> 'error' "
        "from etl_job_watermarks"
    )
    assert status == "failed"
    assert through == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert "payload_json" in error
    (line,) = {
        record.getMessage() for record in caplog.records if " failed: " in record.getMessage()
    } & {f"extract_event_counts failed: {error}"}
    assert "\n" not in line


def test_what_dags_say_of_themselves_survives_how_airflow_shows_it(
    parse: Callable[..., Any],
) -> None:
    """It shows a block of code as one line: drawings are torn, and commands of two lines fail."""
    bag = parse(home="/nonexistent")
    assert len(bag.dags) == 5
    for dag_id, dag in bag.dags.items():
        lines = dag.doc_md.splitlines()
        assert lines[0].startswith("### "), dag_id
        assert not [line for line in lines if line.startswith(("    ", "```", "\t"))], dag_id
        assert not set("│┌┐└┘├┤─>") & set(dag.doc_md), dag_id
    # A command is in one piece, on a line of its own.
    (command,) = re.findall(r"^`(airflow .*)`$", bag.dags[dag_ids.BACKFILL].doc_md, re.MULTILINE)
    *_, conf = shlex.split(command)
    assert json.loads(conf).keys() == {"start_date", "end_date", "interval"}
