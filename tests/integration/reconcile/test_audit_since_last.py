"""An audit that goes on from the last clean one finds what a whole one finds, or says why not."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from tests.integration.etl.test_capture import enable
from tests.integration.reconcile.test_audit import AT, TENANT, audited, small
from tests.integration.reconcile.test_sweep import BEGIN, DAY, go
from tests.support import lanes

from consumer_analytics import backfill
from consumer_analytics.etl import capture
from consumer_analytics.reconcile import audit

LATER = AT + 3 * DAY
CUSTOMER = uuid.UUID(int=6)


def event(database: Any, kind: str, at: dt.datetime, **payload: str) -> None:
    told = ", ".join(f'"{key}": "{value}"' for key, value in payload.items())
    database.execute(
        "insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        "values (gen_random_uuid(), %s, %s, %s, %s, %s)",
        [CUSTOMER, TENANT, kind, f"{{{told}}}", at],
    )


def ready(database: Any) -> None:
    """Three snapshots, and a customer as old as its consumer, found right with capture on."""
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, 'ACTIVE', %s)",
        [CUSTOMER, TENANT, BEGIN],
    )
    small(database)
    enable(database)
    assert audited(database).clean


def gone_on(database: Any) -> audit.AuditResult:
    """Audit since the last, which must find what a whole one finds."""
    found = audited(database, since_last=True)
    whole = audited(database)
    assert found.wrong_snapshots == whole.wrong_snapshots
    assert found.clean == whole.clean
    return found


def test_what_has_not_changed_is_not_recounted_and_that_is_said(database: Any, cli: Any) -> None:
    ready(database)
    again = audited(database, since_last=True)
    assert (again.clean, again.snapshots, again.rows) == (True, 0, 0)
    assert again.since is not None
    assert (again.since.base, again.since.unread) == (AT + 2 * DAY, 3)
    event(database, "login", LATER - DAY / 4)
    go(database, LATER)
    answer = cli("audit", "--since-last")
    assert answer.exit_code == 0
    assert "audited    1 snapshot of 2 rows, and all since 2025-03-07 00:00:00 UTC" in answer.stdout
    assert "not again  3 snapshots, whose rows are those of the clean audit of " in answer.stdout
    assert "events     1 counted since 2025-03-07 00:00:00 UTC: 1 in the source" in answer.stdout
    assert "nothing differs" in answer.stdout
    # That one was clean as well: the next one goes on from it.
    told = cli("audit", "--since-last", "--json").json
    assert told["snapshots_compared"] == 0
    assert told["since_last"]["snapshots_not_recounted"] == 4
    assert told["since_last"]["read_from"] == "2025-03-08T00:00:00+00:00"
    assert "not again  4 snapshots" in cli("audit", "--since-last").stdout


REFUSED = {
    "no capture": ("capture disable", "there is no clean audit to go on from"),
    "capture off, and on again": ("enabled again", "capture, or the tables it watches, was"),
    "a trigger that did not fire for a while": (
        (
            "alter table customers disable trigger consumer_analytics_capture_update; "
            "alter table customers enable always trigger consumer_analytics_capture_update"
        ),
        "capture, or the tables it watches, was",
    ),
    "one more table with rows": (
        "create table heir () inherits (customer_events)",
        "capture, or the tables it watches, was",
    ),
    "other rows noted as vanished": (
        (
            "insert into consumer_analytics_internal.vanished_events "
            "(consumer_id, event_type, since, until, n, noted_at, noted_by) "
            "values (null, 'login', '2025-03-01', '2025-03-02', 1, now(), 'a test')"
        ),
        "what is noted as vanished has changed since the audit of ",
    ),
}


@pytest.mark.parametrize("gap", lanes.first(2, REFUSED))
def test_where_changes_may_not_have_been_noted_it_refuses_in_one_line(
    database: Any, cli: Any, gap: str
) -> None:
    done, says = REFUSED[gap]
    if done == "capture disable":
        small(database)
        assert audited(database).clean
    else:
        ready(database)
        if done == "enabled again":
            with database.connect("capture") as connection:
                capture.disable(connection, database.settings)
            enable(database)
        else:
            database.execute(done)
    answer = cli("audit", "--since-last")
    assert answer.exit_code == 2
    assert answer.stderr.startswith(f"error: {says}")
    assert answer.stderr.endswith("run `consumer-analytics audit` once, whole\n")
    assert answer.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "option", lanes.first(1, ["--from 2025-03-01", "--repair", "--accept-purged"])
)
def test_it_goes_with_no_other_choice(database: Any, cli: Any, option: str) -> None:
    ready(database)
    answer = cli("audit", "--since-last", *option.split())
    assert answer.exit_code == 2
    assert "--since-last goes with none of" in answer.stderr


TAMPERED = {
    "a figure of an old snapshot": (
        (
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{events_by_type,login}', '9') "
            "where consumer_id is not null and snapshot_timestamp = %s"
        ),
        AT,
    ),
    "a key more in the first one": (
        (
            "update consumer_analytics set metrics_json = metrics_json || '{\"more\": 1}' "
            "where consumer_id is null and snapshot_timestamp = %s"
        ),
        AT,
    ),
    "a number that is written otherwise": (
        (
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{total_events_all_consumers}', "
            "((metrics_json ->> 'total_events_all_consumers') || '.0')::jsonb) "
            "where consumer_id is null and snapshot_timestamp = %s"
        ),
        AT,
    ),
    "an old row gone": (
        "delete from consumer_analytics where consumer_id is not null and snapshot_timestamp = %s",
        AT + DAY,
    ),
    "an old instant gone": (
        "delete from consumer_analytics where snapshot_timestamp = %s",
        AT + DAY,
    ),
    "the new instant gone": ("delete from consumer_analytics where snapshot_timestamp = %s", LATER),
    "a figure of the new one": (
        (
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{incremental_stats,new_events_in_window}', '7') where snapshot_timestamp = %s"
        ),
        LATER,
    ),
    "an instant that nobody wrote": (
        (
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select consumer_id, %s - interval '1 hour', metrics_json from consumer_analytics "
            "where consumer_id is not null limit 1"
        ),
        AT + 2 * DAY,
    ),
}


@pytest.mark.parametrize("fault", lanes.first(1, TAMPERED))
def test_what_was_edited_since_is_found(database: Any, fault: str) -> None:
    ready(database)
    event(database, "login", LATER - DAY / 4)
    go(database, LATER)
    statement, at = TAMPERED[fault]
    database.execute(statement, [at])
    found = gone_on(database)
    wrong = at - dt.timedelta(hours=1) if "nobody" in fault else at
    assert found.wrong_snapshots == [wrong]
    # Nothing that differs is gone on from.
    assert gone_on(database).wrong_snapshots == [wrong]


@lanes.LONG
def test_counts_by_day_and_totals_are_compared_as_well(database: Any) -> None:
    ready(database)
    event(database, "login", LATER - DAY / 4)
    go(database, LATER)
    database.execute("update consumer_analytics_internal.event_totals set n = n + 1")
    database.execute(
        "update consumer_analytics_internal.event_days set n = n + 2 where day = '2025-03-07'"
    )
    found = audited(database, since_last=True)
    assert {(one.where, one.kept, one.recounted) for one in found.listed} == {
        ("day", 3, 1),
        ("total", 5, 4),
    }


def test_a_late_row_that_no_run_took_in_is_found(database: Any) -> None:
    ready(database)
    event(database, "login", AT - DAY / 2)
    # As where a run forgot it: what capture noted is kept for the audit.
    database.execute("delete from consumer_analytics_internal.touched_days")
    found = gone_on(database)
    assert found.wrong_snapshots == [AT, AT + DAY, AT + 2 * DAY]
    assert found.missing == 1


def test_a_late_row_that_a_run_took_in_is_recounted_once(database: Any) -> None:
    ready(database)
    event(database, "login", AT + DAY + DAY / 2)
    waiting = audited(database, since_last=True)
    assert waiting.awaiting
    assert waiting.wrong_snapshots == [AT + 2 * DAY]
    go(database, LATER)
    found = audited(database, since_last=True)
    assert found.clean
    assert found.since is not None
    # Its own day begins with a snapshot that is as it was.
    assert (found.since.base, found.since.unread, found.snapshots) == (AT + DAY, 2, 2)
    after = audited(database, since_last=True)
    assert after.since is not None
    assert (after.since.base, after.since.unread) == (LATER, 4)


def test_a_window_that_is_recounted_is_read_from_its_beginning(database: Any) -> None:
    """A week's, beside days that have snapshots of their own, which have not changed."""
    ready(database)
    event(database, "login", AT + DAY / 2)
    go(database, AT + 5 * DAY)
    with database.connect("backfill", writes_sources=False) as connection:
        week = backfill.request_of(str((AT - DAY).date()), str((AT + 4 * DAY).date()), "weekly")
        backfill.backfill(connection, database.settings, week)
    assert audited(database).clean
    event(database, "login", AT + 3.5 * DAY)
    go(database, AT + 6 * DAY)
    assert gone_on(database).clean


@pytest.mark.parametrize(
    ("old_status", "reaches_back"),
    lanes.first(2, [("ACTIVE", False), ("BLOCKED", True), (None, True)]),
)
def test_a_change_that_an_event_tells_of_reaches_back_no_further(
    database: Any, old_status: str | None, reaches_back: bool
) -> None:
    ready(database)
    database.execute("update customers set status = 'INACTIVE'")
    if old_status is not None:
        event(
            database,
            "customer_status_change",
            LATER - DAY / 2,
            old_status=old_status,
            new_status="INACTIVE",
        )
    go(database, LATER)
    found = audited(database, since_last=True)
    assert found.clean
    assert found.since is not None
    # The customer is older than every snapshot.
    assert found.since.base == (None if reaches_back else AT + 2 * DAY)
    assert found.snapshots == (4 if reaches_back else 1)


@lanes.LONG
def test_a_customer_that_goes_with_an_event_reaches_back_no_further(database: Any) -> None:
    ready(database)
    event(database, "customer_deletion", LATER - DAY / 2, status="ACTIVE")
    database.execute("delete from customers")
    go(database, LATER)
    found = gone_on(database)
    assert found.clean
    assert found.since is not None
    # None of its consumer's is left: what became of them all the events tell.
    assert found.since.base is None


@lanes.LONG
def test_a_writer_who_is_still_at_work_holds_it_back(database: Any) -> None:
    ready(database)
    database.execute(
        "insert into consumer_analytics_internal.capture_unsure (writer, first_day, last_day) "
        "values ('1', '2025-03-06', '2025-03-07')"
    )
    found = audited(database, since_last=True)
    assert found.since is not None
    assert (found.since.base, found.snapshots) == (AT + DAY, 1)


@lanes.LONG
def test_more_notes_than_anybody_asks_for_are_not_kept(database: Any, cli: Any) -> None:
    ready(database)
    database.execute(
        "insert into consumer_analytics_internal.noted_changes (note_id, day) "
        "overriding system value values (-1000000, '2025-03-07')"
    )
    event(database, "login", AT - DAY / 2)
    go(database, LATER)
    assert database.rows("select count(*) from consumer_analytics_internal.noted_changes") == [(0,)]
    answer = cli("audit", "--since-last")
    assert answer.exit_code == 2
    assert "there is no clean audit to go on from" in answer.stderr


def test_a_birth_that_only_events_from_before_tell_is_known(database: Any) -> None:
    """Of a row without a time: nothing has begun or ended since."""
    database.execute(
        "alter table customers alter created_at drop not null; "
        "insert into customers (customer_id, consumer_id, status, created_at) "
        f"values ('{CUSTOMER}', '{TENANT}', 'ACTIVE', null)"
    )
    event(database, "login", BEGIN)
    event(database, "customer_creation", BEGIN + DAY / 2, status="ACTIVE")
    small(database)
    enable(database)
    assert audited(database).clean
    go(database, LATER)
    assert gone_on(database).clean
