"""The tasks' work, without the orchestrator: retried, cleared, alone and in any order."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from tests.support import lanes
from tests.support.history import random_history

from consumer_analytics.errors import DatabaseUnreachableError
from consumer_analytics.orchestration import tasks
from consumer_analytics.settings import PREFIX

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
TICK = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
FIGURES = "select xmin::text, * from consumer_analytics order by analytics_id"
MARK = "select last_processed_timestamp, last_run_status from etl_job_watermarks"


@dataclass
class DagRun:
    """A DAG run as the tasks see it."""

    dag_id: str = "consumer_analytics_etl"
    run_id: str = "scheduled__2025-03-05"
    logical_date: dt.datetime | None = TICK
    run_after: dt.datetime = TICK + dt.timedelta(hours=5)


STEPS: dict[str, Callable[[Any], str]] = {
    "customers": tasks.extract_customer_counts,
    "events": tasks.extract_event_counts,
    "load": tasks.load_consumer_analytics,
}
#: Of the steps; as they run first, the other way round last.
ORDERS = [pytest.param(order, id="-".join(order)) for order in itertools.permutations(STEPS)]


@pytest.fixture
def filled(
    database: Any,
    fresh_settings: None,  # noqa: ARG001  (its teardown comes after ours)
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """Return the test's database with a small history, as the one that the tasks use."""
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", database.url)
    with database.connect() as connection:
        random_history(connection, random.Random(7), BEGIN, END)
    return database


def test_the_key_is_the_dag_runs_own_and_the_instant_its_tick() -> None:
    scheduled, manual = DagRun(), DagRun(run_id="manual__1", logical_date=None)
    assert tasks.run_key(scheduled) == "airflow:consumer_analytics_etl:scheduled__2025-03-05"
    assert tasks.instant(scheduled) == TICK
    assert tasks.instant(manual) == TICK + dt.timedelta(hours=5)


@pytest.mark.usefixtures("filled")
def test_tasks_hand_on_nothing_but_the_run_key() -> None:
    run = DagRun()
    assert {step(run) for step in STEPS.values()} == {tasks.run_key(run)}


@pytest.mark.parametrize("order", lanes.first(2, [ORDERS[0], ORDERS[-1], *ORDERS[1:-1]]))
@pytest.mark.both_versions
def test_cleared_tasks_change_no_figure_in_any_order(filled: Any, order: tuple[str, ...]) -> None:
    for step in STEPS.values():
        step(DagRun())
    before = filled.rows(FIGURES)
    for name in order:
        STEPS[name](DagRun())
        assert filled.rows(FIGURES) == before, name
    assert filled.rows(MARK) == [(TICK, "success")]


@pytest.mark.parametrize("cleared", STEPS)
def test_one_task_cleared_alone_leaves_the_job_as_it_was(filled: Any, cleared: str) -> None:
    for step in STEPS.values():
        step(DagRun())
    before = filled.rows(FIGURES)
    STEPS[cleared](DagRun())
    assert filled.rows(FIGURES) == before
    assert filled.rows(MARK) == [(TICK, "success")]


def test_rows_that_come_between_the_tasks_are_not_split(filled: Any) -> None:
    """What the extracts have seen and what the load sees differ; the figures do not."""
    tasks.extract_customer_counts(DagRun())
    filled.execute("update etl_job_watermarks set last_processed_timestamp = '2025-03-03 00:00:00'")
    tasks.extract_event_counts(DagRun())
    filled.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01 00:00:00'")
    tasks.load_consumer_analytics(DagRun())
    found = filled.rows(
        "select consumer_id, metrics_json from consumer_analytics order by consumer_id"
    )
    filled.execute("truncate consumer_analytics; delete from consumer_analytics_internal.runs")
    for step in STEPS.values():
        step(DagRun(run_id="other"))
    again = filled.rows(
        "select consumer_id, metrics_json from consumer_analytics order by consumer_id"
    )
    assert len(found) > 1
    assert found == again


def test_the_log_tells_the_figures(filled: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for step in STEPS.values():
        step(DagRun())
    ((events, rows),) = filled.rows(
        "select (select count(*) from customer_events where created_at < '2025-03-05'), "
        "(select count(*) from consumer_analytics)"
    )
    text = caplog.text
    assert "as of 2025-03-05T00:00:00+00:00" in text
    assert "window 1970-01-01T00:00:00+00:00 to 2025-03-05T00:00:00+00:00" in text
    assert f"rows read {events:,};" in text
    assert f"snapshots written {rows:,}, restated 0" in text


def test_the_log_names_who_holds_the_run_back(
    filled: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}HOLDBACK_WAIT", "0.1")
    caplog.set_level(logging.INFO)
    with psycopg.connect(filled.url, application_name="the shop") as other:
        other.execute("select now()")
        pid = other.info.backend_pid
        now = dt.datetime.now(dt.UTC)
        for step in STEPS.values():
            step(DagRun(logical_date=now))
    assert "the shop" in caplog.text
    assert f"held back by pid {pid} " in caplog.text


@pytest.mark.usefixtures("fresh_settings")
def test_an_unreachable_database_is_one_clear_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnreachableError):
        tasks.extract_event_counts(DagRun())
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(lines) == 1
    assert lines[0].startswith("extract_event_counts failed: the database cannot be reached")
    assert "\n" not in lines[0]
