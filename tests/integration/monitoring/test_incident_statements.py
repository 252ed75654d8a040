"""What incidents, failures, deadlines and mails keep and find, on a few rows each."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from consumer_analytics.airflow import dag_runs
from consumer_analytics.airflow.metadata_tables import AirflowTables
from consumer_analytics.db.connection import Connection
from consumer_analytics.mapping import PLAIN
from consumer_analytics.monitoring.incidents import deadlines, store
from consumer_analytics.monitoring.notifications.message import Miss, Symptom
from consumer_analytics.sql import query

AT = dt.datetime(2025, 3, 6, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
ETL, SWEEP = "consumer_analytics_etl", "consumer_analytics_sweep"


def answer(trial: Connection, name: str, values: Any = None, **parts: Any) -> list[Any]:
    """Return what a statement answers."""
    statement = query(f"monitoring/{name}", PLAIN, **parts)
    return trial.execute(statement, values).fetchall()


# -- what Airflow says ------------------------------------------------------------------


@pytest.fixture
def airflow(trial: Connection) -> AirflowTables:
    """Make the columns of Airflow's tables that are read."""
    trial.execute(
        "create temporary table dag_run (id int, dag_id text, run_id text, state text, "
        "logical_date timestamptz, run_after timestamptz, end_date timestamptz, "
        "queued_at timestamptz)"
    )
    trial.execute(
        "create temporary table deadline (dagrun_id int, deadline_time timestamptz, missed boolean)"
    )
    trial.execute(
        "create temporary table task_instance (dag_id text, run_id text, task_id text, "
        "start_date timestamptz, end_date timestamptz)"
    )
    return AirflowTables("pg_temp", readable=True)


def dag_run(
    trial: Connection,
    number: int,
    *,
    dag: str = ETL,
    run: str = "one",
    state: str = "running",
    logical: dt.datetime | None = AT,
    end: dt.datetime | None = None,
    queued: dt.datetime | None = None,
) -> None:
    trial.execute(
        "insert into dag_run values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [number, dag, run, state, logical, AT + 7 * HOUR, end, queued],
    )


def misses(
    trial: Connection,
    airflow: AirflowTables,
    now: dt.datetime = AT,
    allowed: dt.timedelta | None = 10 * MINUTE,
) -> set[Miss]:
    found = dag_runs.missed_deadlines(trial, airflow, dag=ETL, allowed=allowed, now=now)
    return {Miss(**vars(one)) for one in found}


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_that_was_queued_again_has_a_deadline_though_airflow_keeps_none(
    trial: Connection, airflow: AirflowTables, state: str
) -> None:
    again = AT + 3 * HOUR
    # It had failed in time, and what Airflow kept of that passed later.
    dag_run(trial, 1, state=state, end=AT + MINUTE, queued=again)
    trial.execute("insert into deadline values (1, %s, true)", [AT + 10 * MINUTE])
    # Another one has its own; a third is no run of this DAG; a fourth has ended.
    dag_run(trial, 2, run="first time", queued=again)
    trial.execute("insert into deadline values (2, %s, false)", [again + 10 * MINUTE])
    dag_run(trial, 3, dag=SWEEP, queued=again)
    dag_run(trial, 4, run="over", state="success", end=again + HOUR, queued=again)
    late = Miss(ETL, "one", None, AT, again + 10 * MINUTE)
    assert misses(trial, airflow, again + 10 * MINUTE) == set()
    assert misses(trial, airflow, again + 11 * MINUTE) == {late}
    assert misses(trial, airflow, again + 11 * MINUTE, allowed=None) == set()
    assert deadlines.remember_miss(trial, late, again + 11 * MINUTE)
    assert misses(trial, airflow, again + HOUR) == set()
    # And once more, each time it is queued.
    trial.execute("update dag_run set queued_at = %s where id = 1", [again + HOUR])
    (once_more,) = misses(trial, airflow, again + 2 * HOUR)
    assert once_more.deadline_at == again + HOUR + 10 * MINUTE
    # Ended well in time, it has missed none: the one that passed was of the try that had failed.
    trial.execute(
        "update dag_run set state = 'success', end_date = queued_at + '1 minute' where id = 1"
    )
    assert misses(trial, airflow, again + 2 * HOUR) == set()


def test_deadlines_that_were_missed(trial: Connection, airflow: AirflowTables) -> None:
    passed = AT + 10 * MINUTE
    # Late; by hand, without a logical date; of another of our DAGs.
    dag_run(trial, 1)
    dag_run(trial, 2, run="by hand", logical=None, state="failed", end=passed + MINUTE)
    dag_run(trial, 3, dag=SWEEP)
    # Failed before it, or as late as can be; not passed yet; not ours.
    dag_run(trial, 4, run="early", state="failed", end=passed - MINUTE)
    dag_run(trial, 5, run="in time", state="success", end=passed)
    dag_run(trial, 6, run="begun")
    dag_run(trial, 7, dag="another", run="one")
    dag_run(trial, 8, dag="consumer-analytics-etl")
    for number in range(1, 9):
        trial.execute("insert into deadline values (%s, %s, %s)", [number, passed, number != 6])
    etl, by_hand, sweep = (
        Miss(ETL, "one", None, AT, passed),
        Miss(ETL, "by hand", None, AT + 7 * HOUR, passed),
        Miss(SWEEP, "one", None, AT, passed),
    )
    assert misses(trial, airflow) == {etl, by_hand, sweep}
    # One is kept once, and hides no other: of its DAG, of its name, or of its run.
    assert deadlines.remember_miss(trial, etl, AT)
    assert not deadlines.remember_miss(trial, etl, AT)
    assert misses(trial, airflow) == {by_hand, sweep}
    trial.execute("insert into deadline values (1, %s, true)", [passed + HOUR])
    again = Miss(ETL, "one", None, AT, passed + HOUR)
    assert misses(trial, airflow) == {by_hand, sweep, again}


def test_the_task_that_a_run_was_at_when_its_deadline_passed(
    trial: Connection, airflow: AirflowTables
) -> None:
    passed = AT + 10 * MINUTE
    dag_run(trial, 1)
    trial.execute("insert into deadline values (1, %s, true)", [passed])

    def task(name: str, start: int | None, end: int | None, run: str = "one") -> set[str | None]:
        """Add a task, by minutes; return which the run was at."""
        trial.execute(
            "insert into task_instance values (%s, %s, %s, %s, %s)",
            [
                ETL if name != "other" else SWEEP,
                run,
                name,
                None if start is None else AT + start * MINUTE,
                None if end is None else AT + end * MINUTE,
            ],
        )
        return {miss.task_id for miss in misses(trial, airflow)}

    # Ended by then; of other runs and DAGs.
    assert task("open_run", 0, 10) == {None}
    assert task("other", 1, None) == {None}
    assert task("load", 1, None, "two") == {None}
    # Not begun; begun later; the same later, by name; begun before it and ended after.
    assert task("load", None, None) == {"load"}
    assert task("extract_events", 12, None) == {"extract_events"}
    assert task("extract_customers", 12, None) == {"extract_customers"}
    assert task("late", 3, 11) == {"late"}


def test_a_late_run_is_over_when_it_has_ended_itself(
    trial: Connection, airflow: AirflowTables
) -> None:
    # Another run, and one of another DAG.
    dag_run(trial, 1, run="two")
    dag_run(trial, 2, dag=SWEEP)
    assert not dag_runs.is_under_way(trial, airflow, ETL, "one")
    dag_run(trial, 3, state="failed", end=AT)
    assert not dag_runs.is_under_way(trial, airflow, ETL, "one")
    for state in ("running", "queued"):
        trial.execute("update dag_run set state = %s where id = 3", [state])
        assert dag_runs.is_under_way(trial, airflow, ETL, "one")


def test_a_failure_is_over_by_a_later_run_of_its_dag_that_went_well(
    trial: Connection, airflow: AirflowTables
) -> None:
    dag_run(trial, 1, dag=SWEEP, state="success", end=AT + HOUR)
    dag_run(trial, 2, run="two", state="failed", end=AT + HOUR)
    dag_run(trial, 3, run="three", state="success", end=AT)
    assert not dag_runs.went_well_since(trial, airflow, ETL, AT)
    dag_run(trial, 4, run="four", state="success", end=AT + MINUTE)
    assert dag_runs.went_well_since(trial, airflow, ETL, AT)
    assert not dag_runs.went_well_since(trial, airflow, ETL, AT + MINUTE)


def test_whether_a_run_is_known_to_have_missed_its_deadline(trial: Connection) -> None:
    def known(run: str) -> bool:
        return answer(trial, "incidents/deadlines-known", {"run": run}) != []

    assert not known(f"airflow:{ETL}:one")
    deadlines.remember_miss(trial, Miss(ETL, "one", None, AT, AT), AT)
    assert known(f"airflow:{ETL}:one")
    assert not known(f"airflow:{ETL}:two")
    assert not known(f"airflow:{SWEEP}:one")


# -- failures ---------------------------------------------------------------------------


def mail(trial: Connection, key: str, at: dt.datetime = AT, **content: Any) -> int | None:
    """Write a message for the mail server; return its number, None where it had been written."""
    values = {
        "key": key,
        "channel": "mail",
        "content": Jsonb({"channel": "mail", "key": key, **content}),
        "at": at,
    }
    rows = answer(trial, "notifications/put", values)
    return rows[0][0] if rows else None


def sent(trial: Connection, number: int | None, at: dt.datetime = AT) -> None:
    trial.execute(
        query("monitoring/notifications/sent"),
        {"mail_id": number, "at": at, "subject": "s", "error": None},
    )


def failure(trial: Connection, mail_id: int | None = None, **changes: Any) -> bool:
    """Note a failure, perhaps told of by a mail; return whether it was new."""
    one = {
        "dag_id": ETL,
        "run_id": "one",
        "task_id": "extract",
        "try_number": 3,
        "failed_at": AT,
        "execution_date": AT,
        "error": "KeyError: 'x'",
        "log_url": None,
        **changes,
    }
    new = answer(trial, "incidents/failures-put", one) != []
    if mail_id is not None:
        key = ("dag_id", "run_id", "task_id", "try_number")
        link = {**{name: one[name] for name in key}, "mail_id": mail_id}
        trial.execute(query("monitoring/incidents/failures-link"), link)
    return new


def test_the_same_failure_is_noted_once(trial: Connection) -> None:
    assert failure(trial)
    assert not failure(trial)
    for other in ({"dag_id": SWEEP}, {"run_id": "two"}, {"task_id": "load"}, {"try_number": 6}):
        assert failure(trial, **other)
    number = mail(trial, "a key")
    failure(trial, number)
    assert trial.execute(
        "select dag_id, run_id, task_id, try_number "
        "from consumer_analytics_internal.task_failures where mail_id = %s",
        [number],
    ).fetchall() == [(ETL, "one", "extract", 3)]


def test_the_mail_that_has_told_of_the_same_a_moment_ago(trial: Connection) -> None:
    asked = {
        "dag_id": ETL,
        "run_id": "one",
        "task_id": "load",
        "error": "KeyError: 'x'",
        "since": AT,
    }

    def told(**changes: Any) -> list[Any]:
        return answer(trial, "incidents/failures-told", {**asked, **changes})

    first, second, waiting = (mail(trial, key) for key in "abc")
    for number in (first, second):
        sent(trial, number)
    failure(trial, first)
    assert told() == [(first,)]
    for other in (
        {"dag_id": SWEEP},
        {"run_id": "two"},
        # Of the same task: it has failed again.
        {"task_id": "extract"},
        {"error": "KeyError: 'y'"},
        {"since": AT + MINUTE},
    ):
        assert told(**other) == [], other
    failure(trial, second, task_id="transform", failed_at=AT + MINUTE)
    assert told() == [(second,)]
    # One that has not gone out has told nobody.
    failure(trial, waiting, task_id="clean", failed_at=AT + HOUR)
    assert told() == [(second,)]


def test_the_mail_about_the_same_run_that_waits_tells_of_this_failure_too(
    trial: Connection,
) -> None:
    def add(dag: str = ETL, run: str = "one") -> list[Any]:
        values = {"dag_id": dag, "run_id": run, "failure": Jsonb([{"n": 2}])}
        return answer(trial, "incidents/failures-waiting", values)

    first, second, other = (mail(trial, key, failures=[{"n": 1}]) for key in "abc")
    failure(trial, first)
    failure(trial, second, task_id="load", failed_at=AT + MINUTE)
    failure(trial, None, task_id="clean", failed_at=AT + HOUR)
    failure(trial, other, run_id="two", failed_at=AT + 2 * HOUR)
    failure(trial, other, dag_id=SWEEP, failed_at=AT + 2 * HOUR)
    assert add(run="three") == []
    assert add() == [(second, "mail")]
    contents = trial.execute(
        "select mail_id, content -> 'failures' from consumer_analytics_internal.mails order by 1"
    ).fetchall()
    one, two = {"n": 1}, {"n": 2}
    assert contents == [(first, [one]), (second, [one, two]), (other, [one])]
    sent(trial, second)
    assert add() == []


# -- incidents --------------------------------------------------------------------------


def opened(
    trial: Connection, subject: str, at: dt.datetime = AT, state: str = "warning"
) -> store.Incident:
    return store.insert(trial, subject, state, "why", {"lag": Symptom(state)}, at)


def test_an_incident_as_it_is_kept(trial: Connection) -> None:
    one = opened(trial, "freshness")
    other = opened(trial, "failures")
    assert (one.state, one.worst, one.closed_at, one.told_at) == ("warning", "warning", None, None)
    assert one.symptoms == {"lag": Symptom("warning")}
    assert store.update(trial, one, {}, cause="another").worst == "warning"
    worse = store.update(trial, one, {}, state="critical", cause="worse")
    assert (worse.state, worse.worst, worse.cause) == ("critical", "critical", "worse")
    # The worst that it was stays; what is not said stays, too.
    better = store.update(trial, worse, {"lag": Symptom("critical")}, state="warning")
    assert (better.state, better.worst, better.cause) == ("warning", "critical", "worse")
    assert better.symptoms == {"lag": Symptom("critical")}
    closed = store.update(trial, better, {}, closed_at=AT + HOUR)
    assert (closed.closed_at, closed.opened_at) == (AT + HOUR, AT)
    assert store.open_incidents(trial) == [other]
    assert store.open_incident_of(trial, "failures") == other
    assert store.open_incident_of(trial, "freshness") is None


def test_open_incidents_come_the_longest_first_all_of_them_the_newest(
    trial: Connection,
) -> None:
    second, first = opened(trial, "failures", AT + HOUR), opened(trial, "freshness")
    # Of one moment: the later one is the newer.
    third, fourth = (opened(trial, name, AT + 2 * HOUR) for name in ("runtime", "measuring"))
    assert store.open_incidents(trial) == [first, second, fourth, third]
    closed = store.update(trial, second, {}, closed_at=AT + 3 * HOUR)
    assert store.open_incidents(trial) == [first, fourth, third]
    assert store.latest(trial, 10) == [fourth, third, closed, first]
    assert store.latest(trial, 2) == [fourth, third]


def test_a_change_and_the_mail_that_tells_of_it(trial: Connection) -> None:
    one, other = opened(trial, "freshness"), opened(trial, "failures")
    number = mail(trial, "a key")

    def note(what: str, at: dt.datetime, mail_id: int | None, of: store.Incident = one) -> None:
        trial.execute(
            query("monitoring/incidents/note"),
            {
                "incident_id": of.incident_id,
                "at": at,
                "what": what,
                "state": "critical",
                "cause": "because",
                "measures": Jsonb({}),
                "mail_id": mail_id,
            },
        )

    note("opened", AT, number)
    note("changed", AT + HOUR, None)
    note("opened", AT + HOUR, None, other)
    # When somebody was told last: what is only noted does not count.
    assert [one.told_at for one in store.latest(trial, 9)] == [None, AT]
    changes = store.history(trial, 9)
    assert [(one.subject, one.what, one.mail_id, one.sent_at) for one in changes] == [
        ("failures", "opened", None, None),
        ("freshness", "changed", None, None),
        ("freshness", "opened", number, None),
    ]
    sent(trial, number, AT + MINUTE)
    assert store.history(trial, 9)[-1].sent_at == AT + MINUTE
    assert store.history(trial, 2) == changes[:2]


def test_since_when_a_measure_has_been_in_its_state(trial: Connection) -> None:
    def look(state: str, hours: int) -> tuple[Any, ...]:
        values = {
            "name": "watermark_lag",
            "state": state,
            "value": hours,
            "cause": f"at {hours}",
            "at": AT + hours * HOUR,
        }
        trial.execute(query("monitoring/incidents/checks-put"), values)
        ((since, *rest),) = trial.execute(
            "select since, checked_at, state, value, cause from consumer_analytics_internal.checks"
        ).fetchall()
        assert rest == [AT + hours * HOUR, state, hours, f"at {hours}"]
        return ((since - AT) / HOUR,)

    assert look("warning", 0) == (0,)
    assert look("warning", 1) == (0,)
    assert look("critical", 2) == (2,)
    assert look("critical", 3) == (2,)


# -- mails ------------------------------------------------------------------------------


def claimed(trial: Connection, at: dt.datetime) -> int | None:
    """Return the mail that is to be sent next."""
    rows = answer(trial, "notifications/claim", {"now": at, "channel": "mail"})
    # The others are left for other senders.
    assert len(rows) <= 1
    return rows[0][0] if rows else None


def failed(trial: Connection, number: int | None, again: dt.datetime, *, every: bool) -> None:
    values = {
        "mail_id": number,
        "error": "no answer",
        "again": again,
        "all": every,
        "channel": "mail",
    }
    trial.execute(query("monitoring/notifications/failed"), values)


def attempts(trial: Connection) -> list[tuple[Any, ...]]:
    return trial.execute(
        "select attempts, (extract(epoch from next_try_at - %s) / 60)::int, last_error "
        "from consumer_analytics_internal.mails order by mail_id",
        [AT],
    ).fetchall()


def test_mails_are_sent_in_their_order_when_they_are_due(trial: Connection) -> None:
    assert claimed(trial, AT) is None
    later, first, second = (
        mail(trial, "later", AT + MINUTE),
        mail(trial, "first"),
        mail(trial, "second"),
    )
    assert mail(trial, "first") is None
    assert claimed(trial, AT - MINUTE) is None
    assert claimed(trial, AT) == first
    assert claimed(trial, AT + MINUTE) == later
    waiting = answer(trial, "notifications/waiting", {"channels": ["mail"]})
    assert waiting == [(3, AT)]
    for number in (first, later):
        sent(trial, number, AT + HOUR)
    assert claimed(trial, AT + HOUR) == second
    assert answer(trial, "notifications/waiting", {"channels": ["mail"]}) == [(1, AT)]
    assert trial.execute(
        "select sent_at, attempts, subject from consumer_analytics_internal.mails "
        "where mail_id = %s",
        [first],
    ).fetchall() == [(AT + HOUR, 1, "s")]


def test_a_mail_that_the_server_refuses_waits_alone(trial: Connection) -> None:
    first, _second = mail(trial, "first"), mail(trial, "second")
    failed(trial, first, AT + MINUTE, every=False)
    assert attempts(trial) == [(1, 1, "no answer"), (0, 0, None)]


def test_where_the_server_cannot_be_used_all_wait_and_keep_their_order(
    trial: Connection,
) -> None:
    gone, first, _second = (mail(trial, key) for key in ("gone", "first", "second"))
    sent(trial, gone)
    failed(trial, first, AT + 2 * MINUTE, every=True)
    assert attempts(trial) == [(1, 0, None), (1, 2, "no answer"), (0, 2, None)]
    # One that comes waits with them; no try comes earlier than it was to come.
    mail(trial, "third", AT + MINUTE)
    failed(trial, first, AT + MINUTE, every=True)
    assert attempts(trial)[1:] == [(2, 2, "no answer"), (0, 2, None), (0, 2, None)]
    # After that time they wait no more.
    assert mail(trial, "fourth", AT + HOUR)
    assert attempts(trial)[-1] == (0, 60, None)


def test_a_mail_waits_for_no_other_that_was_not_tried(trial: Connection) -> None:
    tried, other = mail(trial, "tried"), mail(trial, "other", AT + HOUR)
    assert other
    mail(trial, "another")
    assert attempts(trial)[-1] == (0, 0, None)
    failed(trial, tried, AT + MINUTE, every=False)
    # It waits as long as the first of those that wait.
    other_tried = mail(trial, "tried, too")
    failed(trial, tried, AT + 3 * MINUTE, every=False)
    failed(trial, other_tried, AT + 9 * MINUTE, every=False)
    mail(trial, "with them")
    assert attempts(trial)[-1] == (0, 3, None)
    # Those have gone out.
    for number in (tried, other_tried):
        sent(trial, number)
    mail(trial, "the last")
    assert attempts(trial)[-1] == (0, 0, None)
