"""The callbacks' own work, without Airflow: with the database there, and with it out of reach."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.conftest import Database
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.orchestration import alerts
from consumer_analytics.settings import PREFIX

TRIGGERED = dt.datetime(2025, 3, 5, 14, 7, tzinfo=dt.UTC)


@dataclass
class Task:
    """A task instance as callbacks see it."""

    dag_id: str = "consumer_analytics_etl"
    run_id: str = "manual__1"
    task_id: str = "extract_event_counts"
    try_number: int = 3
    max_tries: int = 2
    log_url: str = "http://localhost:8081/log"


@dataclass
class DagRun:
    """A DAG run that was triggered without a logical date."""

    logical_date: dt.datetime | None = None
    run_after: dt.datetime = TRIGGERED


def context(**changes: Any) -> dict[str, Any]:
    return {"ti": Task(**changes), "dag_run": DagRun(), "exception": RuntimeError("out of luck")}


@pytest.fixture
def mails(
    fresh_settings: None,  # noqa: ARG001  (its teardown comes after ours)
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[MailServer]:
    # Not in the machine's temporary folder.
    monkeypatch.setattr(alerts, "_mark", lambda _, subject: tmp_path / f"told {subject}")
    monkeypatch.setattr(alerts, "_TOGETHER_SECONDS", 0.0)
    with mail_server(tmp_path) as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", "postgresql://etl@127.0.0.1:1/gone")


def test_a_run_without_a_logical_date_is_told_by_the_instant_it_was_to_run_after(
    mails: MailServer, database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", database.url)
    alerts.task_failed(context())
    alerts.task_failed(context())
    (mail,) = mails.mails
    assert str(mail["Subject"]).endswith("extract_event_counts, 2025-03-05 14:07 UTC")
    _, text, _ = mails.parts()
    assert "2025-03-05 14:07:00 UTC (run after; the run has no logical date)" in text
    assert "RuntimeError: out of luck" in text
    assert "3 of 3" in text


@pytest.mark.usefixtures("out_of_reach")
def test_with_the_database_out_of_reach_a_run_is_told_once_all_the_same(
    mails: MailServer,
) -> None:
    for task in ("extract_customer_counts", "extract_event_counts"):
        alerts.task_failed(context(task_id=task))
    assert len(mails.mails) == 1
    assert "RuntimeError: out of luck" in mails.parts()[1]
    alerts.task_failed(context(run_id="manual__2"))
    assert len(mails.mails) == 2


@pytest.mark.usefixtures("out_of_reach")
def test_a_monitor_that_cannot_reach_the_database_tells_it_once(mails: MailServer) -> None:
    for number in range(5):
        alerts.task_failed(
            context(dag_id="consumer_analytics_monitor", task_id="watch", run_id=f"run {number}")
        )
    assert len(mails.mails) == 1


@pytest.mark.usefixtures("out_of_reach")
def test_a_callback_never_raises(mails: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    mails.stop()
    alerts.task_failed(context())
    assert "nobody could be told of the failure" in caplog.text
    alerts.task_failed({})
    # The mail could not go out: the next failure of the run tries again.
    mails.start()
    alerts.task_failed(context(task_id="another"))
    assert len(mails.mails) == 1


def test_an_error_of_the_databases_is_told_without_the_statement(database: Database) -> None:
    with database.connect() as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute("select metrics_jsonx from consumer_analytics")
    assert "LINE 1" in str(refused.value)
    found = alerts.failure_of({**context(), "exception": refused.value})
    assert found.error.startswith("UndefinedColumn: a column is missing, or was renamed meanwhile")
    assert "\n" not in found.error
    assert "LINE" not in found.error


def test_a_task_that_was_killed_is_told_without_an_error() -> None:
    found = alerts.failure_of({**context(), "exception": None})
    assert found.error.startswith("no error was reported: the task's process was killed")


@pytest.mark.usefixtures("out_of_reach")
def test_a_run_that_failed_before_its_deadline_has_not_missed_it(mails: MailServer) -> None:
    # With the database out of reach, anything that looked there would raise.
    alerts.deadline_missed({"dag_run": {"state": "failed"}, "deadline": {}})
    assert mails.mails == []


def test_what_airflow_gives_a_deadlines_callback_is_understood() -> None:
    miss = alerts.miss_of(
        {
            "dag_run": {
                "dag_id": "consumer_analytics_etl",
                "dag_run_id": "manual__1",
                "logical_date": None,
                "run_after": "2025-03-05T14:07:00Z",
            },
            "deadline": {"id": "1", "deadline_time": "2025-03-05T14:17:00+00:00"},
        }
    )
    assert (miss.run_id, miss.execution_date) == ("manual__1", TRIGGERED)
    assert miss.deadline_at == TRIGGERED + dt.timedelta(minutes=10)
