"""Incidents: told once when they open, get worse, are over; by two monitors, after restarts."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli
from tests.support import airflow_tables
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.etl import run
from consumer_analytics.monitoring import incidents, monitor
from consumer_analytics.monitoring.incidents import Failure, Miss
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.operations.doctor import incidents as doctor
from consumer_analytics.operations.doctor.findings import Context, Verdict

MIDNIGHT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def watched(database: Any, mails: MailServer) -> Any:
    """Return a database whose figures reach midnight, with somebody to get mail."""
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=MIDNIGHT)
    return replace(database, settings=database.settings.replaced(mails.settings))


def with_airflow(database: Any) -> None:
    """Give a database that is watched Airflow's tables."""
    database.prepared("watched, with Airflow", lambda: airflow_tables.create(database))


def watch(database: Any, at: dt.datetime, **changes: Any) -> monitor.Pass:
    settings = database.settings.replaced(changes)
    with database.connect("monitor", writes_sources=False) as connection:
        return monitor.watch(connection, settings, now=at)


def subjects(mails: MailServer) -> list[str]:
    return [str(mail["Subject"]).removeprefix("[consumer-analytics] ") for mail in mails.mails]


def add_events(database: Any, at: dt.datetime, count: int) -> None:
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "select gen_random_uuid(), 'login', %s from generate_series(1, %s)",
        [at, count],
    )


def catch_up(database: Any, at: dt.datetime) -> None:
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=at)


def failure(**changes: Any) -> Failure:
    values: dict[str, Any] = {
        "dag_id": "consumer_analytics_etl",
        "run_id": "scheduled__2025-03-06",
        "task_id": "load_consumer_analytics",
        "try_number": 3,
        "tries": 3,
        "execution_date": MIDNIGHT + DAY,
        "has_logical_date": True,
        "failed_at": MIDNIGHT + DAY + 3 * MINUTE,
        "error": "SourceError: customer_events lacks payload_json",
        "log_url": "http://localhost:8081/dags/consumer_analytics_etl/runs/1/tasks/load",
    }
    return Failure(**{**values, **changes})


def fail(database: Any, now: dt.datetime | None = None, **changes: Any) -> bool:
    """Tell of a failed task as its callback does."""
    one = failure(**changes)
    with database.connect("alert", writes_sources=False) as connection:
        new = incidents.task_failed(connection, database.settings, one, now=now or one.failed_at)
        outbox.deliver(connection, database.settings, now=now or one.failed_at)
    return new


def told(database: Any) -> list[tuple[str, str]]:
    """Return the history, the oldest first: what happened to which subject."""
    with database.connect() as connection:
        return [(one.what, one.subject) for one in reversed(incidents.history(connection, 1000))]


# -- opening, getting worse, being over -------------------------------------------------


def test_one_mail_when_it_opens_one_when_it_is_over(watched: Any, mails: MailServer) -> None:
    add_events(watched, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    for minutes in (*range(0, 30, 5), *range(30, 8 * 60, 30)):
        watch(watched, due + minutes * MINUTE)
    assert subjects(mails) == ["CRITICAL: figures are behind"]
    _, text, html = mails.parts(0)
    for part in (text, html):
        assert "The run of 2025-03-06 00:00:00 UTC has not happened" in part
        assert "consumer-analytics doctor" in part
    catch_up(watched, due)
    for minutes in range(0, 60, 5):
        watch(watched, due + 8 * HOUR + minutes * MINUTE)
    assert subjects(mails)[1:] == ["OVER: figures are up to date again"]
    for part in mails.parts(1)[1:]:
        assert "Now: the figures reach 2025-03-06 00:00:00 UTC as they should." in " ".join(
            part.split()
        )
        assert "consumer-analytics doctor" not in part, "there is nothing left to look at"
    # The lag that came on top, and grew, is in the history only.
    assert told(watched) == [
        ("opened", "freshness"),
        ("changed", "freshness"),
        ("over", "freshness"),
    ]
    thread = mails.mails[0]["References"]
    assert thread
    assert mails.mails[1]["References"] == thread


def test_what_gets_worse_is_told_once_more(watched: Any, mails: MailServer) -> None:
    add_events(watched, MIDNIGHT, 3)
    due = MIDNIGHT + DAY
    for minutes in (*range(0, 6 * 60, 30), *range(6 * 60, 6 * 60 + 30, 5)):
        watch(watched, due + minutes * MINUTE)
    assert subjects(mails) == ["WARNING: figures are behind", "CRITICAL: figures are behind"]
    _, text, _ = mails.parts()
    assert "WORSE: figures are behind (critical)" in text
    assert "Watermark lag: 6 h 5 min, critical" in text


def test_what_fails_together_is_in_one_mail(watched: Any, mails: MailServer) -> None:
    with_airflow(watched)
    add_events(watched, MIDNIGHT, 3)
    airflow_tables.add_run(watched, MIDNIGHT + HOUR, seconds=20)
    watch(watched, MIDNIGHT + DAY + HOUR)
    assert subjects(mails) == ["CRITICAL: runs are slow, figures are behind"]


def test_what_gets_better_is_noted_and_told_to_nobody(watched: Any, mails: MailServer) -> None:
    add_events(watched, MIDNIGHT, 101)
    watch(watched, MIDNIGHT + DAY + HOUR)
    watched.execute("delete from customer_events where ctid = '(0,1)'")
    watch(watched, MIDNIGHT + DAY + 2 * HOUR)
    assert subjects(mails) == ["CRITICAL: figures are behind"]
    assert told(watched) == [("opened", "freshness"), ("better", "freshness")]
    with watched.connect() as connection:
        (one,) = incidents.open_incidents(connection)
    assert (one.state, one.worst, one.told_at) == ("warning", "critical", MIDNIGHT + DAY + HOUR)
    # Whoever looks is told of it, too.
    line = f"freshness, warning since {one.opened_at:%F %T} UTC: {one.cause}"
    assert f"incident   {line}" in Cli(watched)("health").stdout
    with watched.connect() as connection:
        found = doctor.still_open(Context(watched.settings, connection))
    assert (found.verdict, found.says, found.evidence) == (
        Verdict.WARNING, "1 incident open", (line,)
    )  # fmt: skip


@pytest.mark.long
def test_reminders_come_at_their_pace(watched: Any, mails: MailServer) -> None:
    add_events(watched, MIDNIGHT, 500)
    for hours in (*range(3), 12, *range(23, 28), *range(47, 52), 59):
        watch(watched, MIDNIGHT + DAY + hours * HOUR, alert_reminder=24 * 3600.0)
    assert subjects(mails) == [
        "CRITICAL: figures are behind",
        "STILL CRITICAL: figures are behind",
        "STILL CRITICAL: figures are behind",
    ]
    with watched.connect() as connection:
        changes = incidents.history(connection, 1000)
    assert [one.at for one in changes if one.what == "reminded"] == [
        MIDNIGHT + 3 * DAY + HOUR,
        MIDNIGHT + 2 * DAY + HOUR,
    ]
    mails.mails.clear()
    for hours in range(60, 100, 5):
        watch(watched, MIDNIGHT + DAY + hours * HOUR, alert_reminder=0)
    assert subjects(mails) == []


def test_a_measure_that_cannot_be_taken_is_told(watched: Any, mails: MailServer) -> None:
    with_airflow(watched)
    with watched.connect_admin() as connection:
        connection.execute("alter schema airflow owner to current_user")
    watch(watched, MIDNIGHT + HOUR)
    watch(watched, MIDNIGHT + HOUR + MINUTE)
    assert subjects(mails) == ["WARNING: health cannot be measured"]
    assert "may not read Airflow's tables" in mails.parts()[1]


def test_a_column_that_is_gone_keeps_nobody_from_being_told(
    watched: Any, mails: MailServer, cli: Cli
) -> None:
    """Nothing was noted, the mail said "database out of reach", and health had one line."""
    watched.execute("alter table customer_events rename created_at to stamped")
    at = MIDNIGHT + DAY + 3 * MINUTE
    assert fail(watched, at)
    assert watch(watched, at + MINUTE).health.backlog_events is None
    failed, unmeasured = subjects(mails)
    assert failed.startswith("FAILED: consumer_analytics_etl / load_consumer_analytics")
    assert unmeasured.startswith("WARNING: health cannot be measured")
    assert "customer_events has no column created_at" in " ".join(mails.parts()[1].split())
    told = cli("health")
    assert told.exit_code in {1, 2}
    assert "backlog    - events after the watermark" in told.stdout
    assert "pending_events: source table public.customer_events has no column" in told.stdout
    measured = {one["name"]: one["state"] for one in cli("health", "--json").json["measures"]}
    assert measured["pending_events"] == "unknown"
    watched.execute("alter table customer_events rename stamped to created_at")
    assert watch(watched, at + 2 * MINUTE).health.backlog_events == 0
    assert subjects(mails)[2:] == ["OVER: health can be measured again"]


def test_without_recipients_incidents_are_noted_all_the_same(database: Any) -> None:
    catch_up(database, MIDNIGHT)
    watch(database, MIDNIGHT + DAY + 2 * HOUR)
    assert told(database) == [("opened", "freshness")]
    assert database.rows("select count(*) from consumer_analytics_internal.mails") == [(0,)]


# -- once --------------------------------------------------------------------------


def test_two_monitors_at_once_tell_nothing_twice(watched: Any, mails: MailServer) -> None:
    add_events(watched, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    together = threading.Barrier(4)

    def one(at: dt.datetime) -> None:
        together.wait()
        watch(watched, at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, [due + HOUR] * 4))
        assert subjects(mails) == ["CRITICAL: figures are behind"]
        catch_up(watched, due)
        list(pool.map(one, [due + 2 * HOUR] * 4))
    assert subjects(mails)[1:] == ["OVER: figures are up to date again"]


def test_a_mail_server_that_is_down_gets_each_mail_once_when_it_is_back(
    watched: Any, mails: MailServer
) -> None:
    add_events(watched, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    mails.stop()
    for minutes in range(15, 60, 5):
        done = watch(watched, due + minutes * MINUTE)
        assert (done.delivery.sent, done.delivery.waiting) == (0, 1)
        assert "Connection refused" in (done.delivery.error or "") or done.delivery.error is None
    catch_up(watched, due)
    watch(watched, due + HOUR)
    assert mails.mails == []
    mails.start()
    for minutes in range(60, 120, 5):
        watch(watched, due + minutes * MINUTE)
    assert subjects(mails) == ["CRITICAL: figures are behind", "OVER: figures are up to date again"]
    attempts = watched.rows("select attempts from consumer_analytics_internal.mails order by 1")
    # At growing intervals: not at each of the nine passes.
    assert attempts[-1][0] < 9


def test_a_sender_killed_in_the_middle_leaves_the_mail_to_the_next(
    watched: Any, mails: MailServer
) -> None:
    add_events(watched, MIDNIGHT, 500)
    mails.stop()
    watch(watched, MIDNIGHT + DAY + HOUR)
    mails.start()
    with watched.connect("alert") as killed, watched.connect("alert") as other:
        killed.execute("begin")
        killed.execute("select from consumer_analytics_internal.mails for update")
        later = MIDNIGHT + DAY + 2 * HOUR
        # It is being sent by somebody.
        assert outbox.deliver(other, watched.settings, now=later).sent == 0
        other.execute("select pg_terminate_backend(%s)", [killed.info.backend_pid])
        deadline = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20)
        while outbox.deliver(other, watched.settings, now=later).sent == 0:
            assert dt.datetime.now(dt.UTC) < deadline
        killed.close()
    assert subjects(mails) == ["CRITICAL: figures are behind"]


# -- failed tasks ----------------------------------------------------------------------


def test_a_failed_task_is_told_once_with_everything(watched: Any, mails: MailServer) -> None:
    assert fail(watched)
    assert not fail(watched)
    subject, text, html = mails.parts()
    assert len(mails.mails) == 1
    assert subject == (
        "[consumer-analytics] FAILED: consumer_analytics_etl / load_consumer_analytics, "
        "2025-03-06 00:00 UTC"
    )
    for part in (text, html):
        for wanted in (
            "consumer_analytics_etl",
            "load_consumer_analytics",
            "2025-03-06 00:00:00 UTC",
            "3 of 3",
            "SourceError: customer_events lacks payload_json",
            "http://localhost:8081/dags/consumer_analytics_etl/runs/1/tasks/load",
            "consumer-analytics doctor",
        ):
            assert wanted in part, wanted


@pytest.mark.long
def test_the_monitor_does_not_tell_a_failure_that_was_told(watched: Any, mails: MailServer) -> None:
    """The task's mail opens the incident; what follows from the failure belongs to it."""
    with_airflow(watched)
    add_events(watched, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    run_id = airflow_tables.add_run(watched, due, state="running", seconds=None)
    watched.execute(
        "update etl_job_watermarks set last_run_status = 'failed', last_run_at = %s, "
        'metadata_json = \'{"error_type": "SourceError", "error": "no payload_json"}\'',
        [due + MINUTE],
    )
    fail(watched, run_id=run_id)
    watch(watched, due + 4 * MINUTE)
    watched.execute(
        "update airflow.dag_run set state = 'failed', end_date = %s", [due + 5 * MINUTE]
    )
    for minutes in range(5, 9 * 60, 5):
        watch(watched, due + minutes * MINUTE)
    assert len(mails.mails) == 1, subjects(mails)
    with watched.connect() as connection:
        (one,) = incidents.open_incidents(connection)
    assert (one.subject, one.state) == ("failures", "critical")
    assert set(one.measures) == {"failed_runs", "dag_runtime", "watermark_lag", "pending_events"}
    # Mended by clearing it.
    catch_up(watched, due)
    watched.execute(
        "update airflow.dag_run set state = 'success', start_date = %s, end_date = %s",
        [due + 9 * HOUR, due + 9 * HOUR + dt.timedelta(seconds=2)],
    )
    watch(watched, due + 10 * HOUR)
    assert subjects(mails)[1:] == ["OVER: runs are well again"]


def test_tasks_of_a_run_that_fail_together_are_in_one_mail(watched: Any, mails: MailServer) -> None:
    at = MIDNIGHT + DAY + MINUTE
    with watched.connect("alert") as connection:
        for task in ("extract_customer_counts", "extract_event_counts"):
            incidents.task_failed(connection, watched.settings, failure(task_id=task), now=at)
        assert outbox.deliver(connection, watched.settings, now=at).sent == 1
    subject, text, _ = mails.parts()
    assert "FAILED: consumer_analytics_etl, 2 tasks" in subject
    assert "extract_customer_counts" in text
    assert "extract_event_counts" in text
    # One that comes after the mail, for the same reason.
    fail(watched, task_id="another")
    assert len(mails.mails) == 1
    # And for another one.
    fail(watched, task_id="yet_another", error="KeyError: 'x'")
    assert len(mails.mails) == 2


def test_the_same_run_failing_again_after_it_was_cleared_is_told_again(
    watched: Any, mails: MailServer
) -> None:
    fail(watched)
    fail(watched, try_number=6, failed_at=MIDNIGHT + DAY + 5 * HOUR)
    assert [one.partition(":")[0] for one in subjects(mails)] == ["FAILED", "FAILED"]


@pytest.mark.long
def test_a_failing_monitor_does_not_mail_at_each_pass(watched: Any, mails: MailServer) -> None:
    for minutes in (*range(0, 120, 5), *range(120, 30 * 60, 20)):
        at = MIDNIGHT + minutes * MINUTE
        fail(
            watched,
            dag_id="consumer_analytics_monitor",
            run_id=f"scheduled__{at.isoformat()}",
            task_id="watch",
            execution_date=at,
            failed_at=at,
            error="ConnectionLostError: the connection was lost",
        )
    # The first, and a day later a reminder.
    assert len(mails.mails) == 2, subjects(mails)
    watch(watched, MIDNIGHT + 31 * HOUR)
    assert subjects(mails)[2:] == ["CRITICAL: figures are behind; 1 over"]
    assert "OVER: consumer_analytics_monitor works again" in mails.parts()[1]


def test_a_backfill_that_failed_leaves_nothing_open(watched: Any, mails: MailServer) -> None:
    fail(watched, dag_id="consumer_analytics_backfill", task_id="write_snapshots", run_id="by hand")
    watch(watched, MIDNIGHT + HOUR)
    assert len(mails.mails) == 1
    assert told(watched) == []


def test_a_sweep_that_failed_is_over_when_the_next_one_is_well(
    watched: Any, mails: MailServer
) -> None:
    airflow_tables.create(watched, "consumer_analytics_sweep")
    at = MIDNIGHT + 3 * HOUR
    fail(watched, dag_id="consumer_analytics_sweep", task_id="sweep", failed_at=at)
    watch(watched, at + HOUR)
    assert len(mails.mails) == 1
    airflow_tables.add_run(watched, at + 5 * HOUR, dag_id="consumer_analytics_sweep")
    watch(watched, at + 6 * HOUR)
    assert subjects(mails)[1:] == ["OVER: consumer_analytics_sweep works again"]


def test_a_failure_whose_end_nobody_can_tell_is_over_after_a_day(
    watched: Any, mails: MailServer
) -> None:
    at = MIDNIGHT + HOUR
    fail(watched, dag_id="consumer_analytics_sweep", task_id="sweep", failed_at=at)
    # Nothing else is to be told of: the figures are not behind, and nobody is reminded.
    catch_up(watched, MIDNIGHT + DAY)
    watch(watched, at + DAY, alert_reminder=0)
    assert told(watched)[-1] == ("opened", "dag consumer_analytics_sweep")
    watch(watched, at + DAY + MINUTE, alert_reminder=0)
    assert told(watched)[-1] == ("over", "dag consumer_analytics_sweep")
    assert len(mails.mails) == 2


# -- deadlines ---------------------------------------------------------------------------


def test_a_missed_deadline_is_mailed_kept_and_not_told_again_as_stale_figures(
    watched: Any, mails: MailServer
) -> None:
    with_airflow(watched)
    add_events(watched, MIDNIGHT, 500)
    due = MIDNIGHT + DAY
    run_id = airflow_tables.add_run(watched, due, state="running", seconds=None)
    watch(watched, due + 5 * MINUTE)
    miss = Miss("consumer_analytics_etl", run_id, None, due, due + 10 * MINUTE)
    for _ in range(2):
        with watched.connect("alert") as connection:
            incidents.deadline_missed(connection, watched.settings, miss, now=due + 10 * MINUTE)
            outbox.deliver(connection, watched.settings, now=due + 10 * MINUTE)
    for minutes in range(10, 60, 5):
        watch(watched, due + minutes * MINUTE)
    assert subjects(mails) == [
        "LATE: consumer_analytics_etl missed its deadline, 2025-03-06 00:00 UTC"
    ]
    assert "has not ended 10 min after it was queued" in mails.parts()[1]
    guide = (
        "SELECT task_id, dag_id, execution_date, timestamp AS sla_miss_time FROM sla_miss "
        "WHERE dag_id = 'consumer_analytics_etl' ORDER BY timestamp DESC"
    )
    assert watched.rows(guide) == [(None, "consumer_analytics_etl", due, due + 10 * MINUTE)]
    catch_up(watched, due)
    watched.execute("update airflow.dag_run set state = 'success', end_date = %s", [due + HOUR])
    watch(watched, due + HOUR)
    assert "OVER: figures are up to date again" in subjects(mails)[-1]


def test_a_cleared_run_that_hangs_is_told_by_the_monitor_itself(
    watched: Any, mails: MailServer
) -> None:
    """Airflow 3.3.2 makes no deadline for a run that is queued again."""
    with_airflow(watched)
    catch_up(watched, MIDNIGHT)
    airflow_tables.add_run(watched, MIDNIGHT)
    watched.execute(
        "update airflow.dag_run set state = 'running', clear_number = 1, queued_at = %s",
        [MIDNIGHT + HOUR],
    )
    allowed = watched.settings.deadline
    watch(watched, MIDNIGHT + HOUR + dt.timedelta(seconds=allowed - 1))
    assert subjects(mails) == []
    for minutes in (1, 6, 11):
        watch(watched, MIDNIGHT + HOUR + dt.timedelta(seconds=allowed) + minutes * MINUTE)
    (subject,) = subjects(mails)
    assert subject.startswith("LATE: consumer_analytics_etl missed its deadline")
    assert len(watched.rows("select * from sla_miss")) == 1


def test_a_slow_run_is_not_told_again_while_a_later_one_is_at_work_again(
    watched: Any, mails: MailServer
) -> None:
    with_airflow(watched)
    catch_up(watched, MIDNIGHT)
    airflow_tables.add_run(watched, MIDNIGHT - DAY, seconds=60)
    watch(watched, MIDNIGHT - HOUR)
    assert subjects(mails) == ["CRITICAL: runs are slow"]
    airflow_tables.add_run(watched, MIDNIGHT, seconds=2)
    watch(watched, MIDNIGHT + HOUR)
    assert subjects(mails)[1:] == ["OVER: runs are fast again"]
    watched.execute(
        "update airflow.dag_run set state = 'running', clear_number = 1, queued_at = %s "
        "where logical_date = %s",
        [MIDNIGHT + HOUR, MIDNIGHT],
    )
    watch(watched, MIDNIGHT + HOUR + MINUTE)
    assert len(subjects(mails)) == 2


# -- the sign of life --------------------------------------------------------------------


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """Return an outside watcher's address, and the calls that it got."""
    calls: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calls.append(self.path)
            self.send_response(500 if "broken" in self.path else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", calls
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_dead_mans_signal_is_given_while_nothing_is_critical(
    watched: Any, listener: tuple[str, list[str]], tmp_path: Path
) -> None:
    from consumer_analytics.fields import Secret

    url, calls = listener
    signal = {"heartbeat_url": Secret(f"{url}/key"), "heartbeat_file": tmp_path / "alive"}
    assert watch(watched, MIDNIGHT + HOUR, **signal).beaten is True
    assert calls == ["/key"]
    assert (tmp_path / "alive").exists()
    add_events(watched, MIDNIGHT, 500)
    assert watch(watched, MIDNIGHT + DAY + HOUR, **signal).beaten is False
    assert calls == ["/key"]


def test_no_signal_while_mail_cannot_go_out(
    watched: Any, mails: MailServer, tmp_path: Path
) -> None:
    mails.stop()
    signal = {"heartbeat_file": tmp_path / "alive"}
    due = MIDNIGHT + DAY
    # A warning, of which nobody can be told.
    assert watch(watched, due + HOUR, **signal).beaten is True
    assert watch(watched, due + 2 * HOUR, **signal).beaten is False


def test_a_signal_that_cannot_be_given_is_said_without_its_key(
    cli: Any, listener: tuple[str, list[str]], database: Any
) -> None:
    catch_up(database, dt.datetime.now(dt.UTC) - MINUTE)
    url, _ = listener
    env = {"CONSUMER_ANALYTICS_HEARTBEAT_URL": f"{url}/broken/s3cret"}
    done = cli("alerts", "check", env=env)
    assert done.exit_code == 0
    assert "CONSUMER_ANALYTICS_HEARTBEAT_URL answers 500" in done.stderr
    assert "s3cret" not in done.stdout + done.stderr
    assert "heartbeat  not given" in done.stdout


# -- the commands -------------------------------------------------------------------------


def test_health_exits_with_what_monitoring_systems_expect(cli: Any, database: Any) -> None:
    catch_up(database, dt.datetime.now(dt.UTC) - MINUTE)
    good = cli("health", "--json")
    assert (good.exit_code, good.json["state"]) == (0, "normal")
    assert [one["name"] for one in good.json["measures"]] == [
        "dag_runtime",
        "failed_runs",
        "watermark_lag",
        "pending_events",
    ]
    warned = cli("health", env={"CONSUMER_ANALYTICS_RUNTIME_WARNING": "0.000001"})
    assert warned.exit_code == 1
    assert "dag_runtime: run cli:" in warned.stdout
    limits = {
        "CONSUMER_ANALYTICS_RUNTIME_WARNING": "0.000001",
        "CONSUMER_ANALYTICS_RUNTIME_CRITICAL": "0.000002",
    }
    assert cli("health", env=limits).exit_code == 2


def test_incidents_are_shown(cli: Any, watched: Any) -> None:
    assert "there was no incident" in cli("incidents").stdout
    watch(watched, MIDNIGHT + DAY + 2 * HOUR)
    shown = cli("incidents").stdout
    assert "1 open" in shown
    assert "freshness" in shown
    told_as_json = cli("incidents", "--json").json
    assert [one["what"] for one in told_as_json["history"]] == ["opened"]
    assert told_as_json["open"][0]["state"] == "warning"
    catch_up(watched, MIDNIGHT + DAY)
    watch(watched, MIDNIGHT + DAY + 3 * HOUR)
    watch(watched, MIDNIGHT + 2 * DAY + 2 * HOUR)
    both = cli("incidents", "--json").json
    assert [len(both[name]) for name in ("open", "incidents", "history")] == [1, 2, 3]
    last = cli("incidents", "--limit", "1", "--json").json
    assert [len(last[name]) for name in ("open", "incidents", "history")] == [1, 1, 1]
    assert last["incidents"] == both["incidents"][:1]


def test_limits_the_wrong_way_round_are_refused(cli: Any, database: Any) -> None:
    del database
    done = cli("health", env={"CONSUMER_ANALYTICS_LAG_WARNING": "30000"})
    assert done.exit_code == 2
    assert done.stderr.strip() == (
        "error: CONSUMER_ANALYTICS_LAG_WARNING (30000) is greater than "
        "CONSUMER_ANALYTICS_LAG_CRITICAL (21600)"
    )


@pytest.mark.parametrize("schedule", ["every day", "61 * * * *", "@dayly"])
def test_a_schedule_that_is_none_is_refused(
    cli: Any, schedule: str, new_database: Callable[..., Any]
) -> None:
    del new_database
    done = cli("health", env={"CONSUMER_ANALYTICS_SCHEDULE": schedule})
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: CONSUMER_ANALYTICS_SCHEDULE: {schedule!r} is neither")
