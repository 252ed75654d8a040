"""The DAGs on two Celery workers: whichever runs a task, figures are exact and failures told once.

Each test takes the system as the one before has left it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.support import fleet, lanes
from tests.support.fleet import WORKERS, Fleet
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.airflow import dag_ids
from consumer_analytics.db import locks, tags
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.tags import Tag
from consumer_analytics.orchestration import claims
from consumer_analytics.settings import PREFIX

pytestmark = [pytest.mark.timeout(900), lanes.LONG]

#: What is promised of a worker that is lost.
TRIED_AGAIN_WITHIN = 90
SETTINGS = {
    "retries": 1,
    "retry_delay": 1,
    # Passes come when a test asks for one; a busy machine's runs are no incident.
    "monitor_schedule": "0 0 1 1 *",
    "runtime_warning": 800,
    "runtime_critical": 900,
}


@pytest.fixture(scope="module")
def mails(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    with mail_server(tmp_path_factory.mktemp("mail")) as made:
        yield made


@pytest.fixture(scope="module")
def workers(mails: MailServer) -> Iterator[Fleet]:
    settings = {f"{PREFIX}{name.upper()}": str(value) for name, value in SETTINGS.items()}
    # As in installations that came from Airflow 2.
    settings["AIRFLOW__SCHEDULER__CREATE_CRON_DATA_INTERVALS"] = "True"
    with fleet.running({**settings, **mails.environment}) as made:
        history = ("--consumers", "4", "--customers", "200", "--events", "5000", "--days", "60")
        made.command("consumer-analytics", "simulate", *history)
        yield made


def run(workers: Fleet, dag_id: str, conf: dict[str, str] | None = None) -> tuple[str, str]:
    """Have a DAG run, and wait for it; return the run and its state."""
    with workers.api() as api:
        workers.wait(lambda: api.has_dag(dag_id))
        api.unpause(dag_id)
        body = {"logical_date": None, "conf": conf or {}}
        run_id = str(api._call("POST", f"dags/{dag_id}/dagRuns", body)["dag_run_id"])
        return run_id, workers.finish(api, dag_id, run_id)


def test_every_dag_does_its_work_on_whichever_worker(workers: Fleet) -> None:
    ran_on = set()
    month = {"start_date": "2025-10-01", "end_date": "2025-11-01", "interval": "daily"}
    # Maintenance last: it tells of all machines that have run tasks.
    for dag_id in sorted(dag_ids.DAGS, key=dag_ids.MAINTENANCE.__eq__):
        run_id, state = run(workers, dag_id, month if dag_id == dag_ids.BACKFILL else None)
        assert state == "success", workers.evidence()
        ran_on |= {*workers.hosts(run_id).values()}
    assert ran_on == {*WORKERS}
    workers.command("consumer-analytics", "audit")
    # The schedule has had one as well.
    ((told,), *_) = workers.ask(
        "select parts::text from consumer_analytics_internal.maintenance "
        "order by maintenance_id desc"
    )
    assert "tasks ran on worker-" in told


def test_a_scheduled_run_is_for_its_own_tick_whatever_a_cron_expression_means(
    workers: Fleet,
) -> None:
    scheduled = (
        "select logical_date, date_trunc('day', queued_at, 'UTC') from dag_run "
        "where dag_id = %(dag_id)s and run_type = 'scheduled'"
    )
    ((tick, midnight),) = workers.ask(scheduled, {"dag_id": dag_ids.ETL})
    assert tick == midnight


def test_tasks_that_fail_together_on_both_workers_are_one_mail(
    workers: Fleet, mails: MailServer
) -> None:
    mails.mails.clear()
    with workers.database() as connection:
        connection.execute("alter table customer_events rename payload_json to renamed")
    try:
        run_id, state = run(workers, dag_ids.ETL)
    finally:
        with workers.database() as connection:
            connection.execute("alter table customer_events rename renamed to payload_json")
    assert state == "failed"
    hosts = workers.hosts(run_id)
    assert {hosts[dag_ids.EXTRACT_CUSTOMERS], hosts[dag_ids.EXTRACT_EVENTS]} == {*WORKERS}
    (mail,) = mails.mails
    assert "FAILED" in str(mail["Subject"])


def test_a_database_out_of_reach_of_both_workers_is_one_mail(
    workers: Fleet, mails: MailServer
) -> None:
    """The figures' database cannot say who has told it: Airflow's metadata does."""
    mails.mails.clear()
    with workers.superuser() as admin:
        admin.execute("alter role analytics nologin")
        try:
            with workers.api() as api:
                run_id = api.trigger(dag_ids.ETL)
                state = workers.finish(api, dag_ids.ETL, run_id)
        finally:
            admin.execute("alter role analytics login")
    assert state == "failed"
    hosts = workers.hosts(run_id)
    assert {hosts[dag_ids.EXTRACT_CUSTOMERS], hosts[dag_ids.EXTRACT_EVENTS]} == {*WORKERS}
    (mail,) = mails.mails
    assert "FAILED" in str(mail["Subject"])
    # Each machine would have told it by itself.
    assert all(
        [*(workers.folder / name / "tmp").glob("consumer-analytics-told-*")] for name in WORKERS
    )
    told = f"select key from variable where starts_with(key, '{claims.PREFIX}')"
    assert len(workers.ask(told)) == 1
    # A monitor that works again lets the next one be told.
    assert run(workers, dag_ids.MONITOR)[1] == "success"
    assert workers.ask(told) == []
    assert run(workers, dag_ids.ETL)[1] == "success"


def test_what_a_lost_worker_was_at_is_tried_again_by_the_other(workers: Fleet) -> None:
    load = dag_ids.LOAD
    state = (
        "select state, hostname, try_number, start_date from task_instance "
        "where run_id = %(run_id)s and task_id = %(task_id)s"
    )
    with workers.database() as other, workers.api() as api:
        # As a run of ours: no other one waits for its transaction to end.
        other.execute("set application_name = 'consumer-analytics test'")
        tags.put(other, Tag.READER)
        other.execute("begin")
        locks.take(other, Lock.JOB)
        run_id = api.trigger(dag_ids.ETL)
        of_load = {"run_id": run_id, "task_id": load}
        workers.wait(lambda: workers.ask(state, of_load)[0][0] == "running")
        # It waits for the lock by now, in the middle of its work.
        ((_, lost, _, _),) = workers.ask(state, of_load)
        workers.lose(lost)
        lost_at = time.time()
        other.execute("rollback")
        assert workers.finish(api, dag_ids.ETL, run_id) == "success"
    ((_, host, tries, began),) = workers.ask(state, of_load)
    assert (tries, {lost, host}) == (2, {*WORKERS})
    assert began.timestamp() - lost_at < TRIED_AGAIN_WITHIN
    workers.command("consumer-analytics", "audit")
