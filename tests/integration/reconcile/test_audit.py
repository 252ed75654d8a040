"""The audit finds every fault by name and figure, and repairs it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from tests.integration.reconcile.test_broken_rules import broken
from tests.integration.reconcile.test_sweep import (
    BEGIN,
    DAY,
    END,
    go,
    history,
    purge,
    swept,
    tamper,
)
from tests.support import lanes
from tests.support.checks import figures, touched_rows, wrong_snapshots

from consumer_analytics import backfill
from consumer_analytics.etl import vanished
from consumer_analytics.reconcile import audit
from consumer_analytics.reconcile.audit import events, sessions, snapshots
from consumer_analytics.reconcile.audit.columns import Columns

TENANT = uuid.UUID(int=5)
AT = BEGIN + 4 * DAY


def audited(database: Any, **options: Any) -> audit.AuditResult:
    with database.session("audit") as connection:
        return audit.audit(connection, database.settings, **options)


def named(found: audit.AuditResult) -> set[tuple[Any, ...]]:
    return {
        (one.where, one.consumer_id, one.figure, one.kept, one.recounted) for one in found.listed
    }


def small(database: Any) -> None:
    """Three events of one consumer on one day, and a snapshot after each of three days."""
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'five', %s)",
        [TENANT, BEGIN],
    )
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), %s, 'login', %s from generate_series(1, 3)",
        [TENANT, AT - dt.timedelta(hours=1)],
    )
    for day in range(3):
        go(database, AT + day * DAY)


@pytest.mark.parametrize("seed", lanes.first(1, range(3)))
@pytest.mark.both_versions
def test_what_runs_have_written_is_clean_and_stays_untouched(database: Any, seed: int) -> None:
    history(database, 60 + seed)
    # Windows that are not from one snapshot to the next.
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
    go(database, END + DAY)
    go(database, END - 2 * DAY - dt.timedelta(minutes=7))
    with database.connect() as connection:
        before = touched_rows(connection)
        found = audited(database)
        assert touched_rows(connection) == before
    assert found.listed == []
    assert found.clean
    assert (found.missing, found.double) == (0, 0)
    assert found.snapshots == 11
    assert found.rows == database.rows("select count(*) from consumer_analytics")[0][0]


@pytest.mark.long
def test_snapshots_taken_one_by_one_say_what_they_say_together(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(database, 60)
    # One window begins before all that earlier turns have carried.
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
    go(database, END + DAY)
    database.execute(
        "update consumer_analytics set metrics_json = metrics_json || '{\"extra\": 1}' "
        "where snapshot_timestamp >= %s",
        [END - 3 * DAY],
    )
    edited = database.rows(
        "select distinct snapshot_timestamp from consumer_analytics "
        "where metrics_json ? 'extra' order by 1"
    )
    assert len(edited) > 1
    together = audited(database)
    monkeypatch.setattr(snapshots, "_ROWS_AT_ONCE", 1)
    assert audited(database) == together
    assert {one.figure for one in together.listed} == {"extra"}
    assert together.wrong_snapshots == [at for (at,) in edited]


def test_documents_are_written_as_jsonb_writes_them(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or else each is read as jsonb to be compared, which is an eighth of an audit's work."""
    # Another one has a type without a column.
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, ' ', %s)",
        [uuid.UUID(int=6), AT - dt.timedelta(hours=1)],
    )
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
        [TENANT, AT - dt.timedelta(hours=7)],
    )
    small(database)
    read = "when record_image_eq(row(metrics_json), row(written::jsonb)) then false"
    in_order = [("reconcile/audit/snapshots/figures", read, "when is_in_order then true")]
    put_together, apart = snapshots.put_together, []

    def noting(*asked: Any, **options: Any) -> tuple[int, int, int]:
        rows = put_together(*asked, **options)
        apart.append(rows[2])
        return rows

    monkeypatch.setattr(snapshots, "put_together", noting)
    with broken(monkeypatch, in_order):
        audited(database)
    assert apart == [0]


@pytest.mark.parametrize("columns", lanes.first(0, ["two", "none", "all"], long=1))
def test_two_sessions_find_what_one_finds_whatever_has_a_column(
    database: Any, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    rng = history(database, 61)
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
    go(database, END + DAY)
    with database.connect() as connection:
        tamper(connection, rng, BEGIN + 2 * DAY)
    database.execute(
        "update consumer_analytics set metrics_json = metrics_json || '{\"extra\": 1}' "
        "where consumer_id is null and snapshot_timestamp >= %s",
        [END - 3 * DAY],
    )
    # Judges what is gone.
    audited(database)
    alone = audited(database, limit=10_000)
    assert {one.where for one in alone.listed} == {"day", "total", "snapshot"}
    monkeypatch.setattr(sessions, "_ROWS_FOR_TWO", 0)
    if columns != "all":
        few = Columns() if columns == "none" else Columns(("login",), ("INACTIVE",))
        monkeypatch.setattr(sessions, "choose", lambda *_: few)
    assert audited(database, limit=10_000) == alone
    assert audited(database, limit=3).listed == alone.listed[:3]


@pytest.mark.long
def test_what_stops_the_second_session_stops_the_audit(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(database, 61)
    monkeypatch.setattr(sessions, "_ROWS_FOR_TWO", 0)

    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(events, "compare", fails)
    with pytest.raises(RuntimeError, match="no more"):
        audited(database)
    monkeypatch.undo()
    assert audited(database).clean


FAULTS = {
    "day": (
        "update consumer_analytics_internal.event_days set n = n + 1",
        {("day", str(TENANT), "login", 4, 3)},
    ),
    "day gone": (
        "delete from consumer_analytics_internal.event_days",
        {("day", str(TENANT), "login", 0, 3)},
    ),
    "total": (
        "update consumer_analytics_internal.event_totals set n = n - 1",
        {("total", str(TENANT), "login", 2, 3)},
    ),
    "figure": (
        (
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{events_by_type,login}', '9') where consumer_id is not null "
            "and snapshot_timestamp = '2025-03-05'"
        ),
        {("snapshot", str(TENANT), "events_by_type.login", 9, 3)},
    ),
    "window": (
        (
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{incremental_stats,new_events_in_window}', '7') where consumer_id is null "
            "and snapshot_timestamp = '2025-03-05'"
        ),
        {("snapshot", None, "incremental_stats.new_events_in_window", 7, 3)},
    ),
    "emptied": (
        (
            "update consumer_analytics set metrics_json = metrics_json - 'total_events' "
            "where consumer_id is not null and snapshot_timestamp = '2025-03-05'"
        ),
        {("snapshot", str(TENANT), "total_events", None, 3)},
    ),
    "row gone": (
        (
            "delete from consumer_analytics where consumer_id is not null "
            "and snapshot_timestamp = '2025-03-06'"
        ),
        {("snapshot", str(TENANT), "row", "no row", "a row")},
    ),
    "global row gone": (
        (
            "delete from consumer_analytics where consumer_id is null "
            "and snapshot_timestamp = '2025-03-06'"
        ),
        {("snapshot", None, "row", "no row", "a row")},
    ),
    "snapshot gone": (
        "delete from consumer_analytics where snapshot_timestamp = '2025-03-06'",
        {
            ("snapshot", None, "row", "no row", "a row"),
            ("snapshot", str(TENANT), "row", "no row", "a row"),
        },
    ),
    "stranger": (
        (
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select '00000000-0000-0000-0000-000000000009', snapshot_timestamp, metrics_json "
            "from consumer_analytics where snapshot_timestamp = '2025-03-06' "
            "and consumer_id is not null"
        ),
        {("snapshot", str(uuid.UUID(int=9)), "row", "a row", "no row")},
    ),
    "doubled": (
        (
            "alter table consumer_analytics drop constraint consumer_analytics_once; "
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select consumer_id, snapshot_timestamp, metrics_json from consumer_analytics "
            "where snapshot_timestamp = '2025-03-06'"
        ),
        {
            ("snapshot", None, "row", "2 rows", "1 row"),
            ("snapshot", str(TENANT), "row", "2 rows", "1 row"),
        },
    ),
}


@pytest.mark.parametrize("fault", lanes.first(2, FAULTS))
def test_each_fault_is_named_with_both_figures_and_repaired(database: Any, fault: str) -> None:
    statement, expected = FAULTS[fault]
    small(database)
    assert audited(database).clean
    with database.connect() as connection:
        sound = figures(connection)
        connection.execute(statement)
        found = audited(database)
        assert named(found) == expected
        assert found.differences == len(expected)
    with database.connect("repair", writes_sources=False) as connection:
        audit.repair(connection, database.settings, found)
    assert audited(database).listed == []
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
        now = figures(connection)
        assert now.keys() == sound.keys()
        if fault != "snapshot gone":
            assert now == sound


@pytest.mark.both_versions
def test_the_command_says_it_and_its_exit_code_too(database: Any, cli: Any) -> None:
    small(database)
    clean = cli("audit")
    assert clean.exit_code == 0
    assert "0 missing, 0 double\nnothing differs\n" in clean.stdout
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [TENANT, AT - DAY],
    )
    told = cli("audit")
    assert told.exit_code == 1
    assert "1 missing, 0 double" in told.stdout
    assert str(TENANT) in told.stdout
    answer = cli("audit", "--json", "--limit", "2")
    assert answer.exit_code == 1
    assert answer.json["missing"] == 1
    assert answer.json["first_differences"][0] == {
        "where": "day",
        "consumer_id": str(TENANT),
        "figure": "login",
        "at": (AT - DAY).date().isoformat(),
        "kept": 3,
        "recounted": 4,
    }
    assert len(answer.json["first_differences"]) == 2
    assert answer.json["differences"] > 2
    repaired = cli("audit", "--repair")
    assert repaired.exit_code == 0
    assert repaired.stdout.endswith("0 missing, 0 double\nnothing differs\n")
    assert "1 event found" in repaired.stdout
    assert cli("audit", "--repair", "--json").json["clean"] is True


def test_rows_of_chosen_consumers_are_no_torn_snapshots(database: Any) -> None:
    history(database, snapshots=1)
    go(database, END)
    chosen = str(
        database.rows("select consumer_id from consumers order by created_at limit 1")[0][0]
    )
    with database.connect("backfill", writes_sources=False) as connection:
        for interval, consumers in (("weekly", None), ("daily", [chosen])):
            request = backfill.request_of("2025-03-01", "2025-03-10", interval, consumers=consumers)
            backfill.backfill(connection, database.settings, request)
    found = audited(database)
    assert found.listed == []
    # Those that are there are compared all the same;
    database.execute(
        "update consumer_analytics "
        "set metrics_json = jsonb_set(metrics_json, '{total_events}', '-1') "
        "where snapshot_timestamp = '2025-03-05'"
    )
    assert [one.figure for one in audited(database).listed] == ["total_events"]
    # what everybody's backfill wrote, whole; and so is what a run wrote.
    for at in (BEGIN + 7 * DAY, END):
        database.execute(
            "delete from consumer_analytics where consumer_id is null and snapshot_timestamp = %s",
            [at],
        )
        assert (None, "row") in {
            (one.consumer_id, one.figure) for one in audited(database, lower=at, upper=at).listed
        }


def test_whichever_step_found_what_has_vanished_it_is_told() -> None:
    noted = (BEGIN, END)
    parts = [audit.AuditResult(), audit.AuditResult(noted=noted), audit.AuditResult()]
    assert audit.AuditResult.together(parts, 10).noted == noted
    assert audit.AuditResult.together(parts[::-2], 10).noted is None


def test_a_range_leaves_the_rest_out(database: Any, cli: Any) -> None:
    small(database)
    database.execute(FAULTS["figure"][0])
    assert audited(database, lower=AT + DAY).clean
    assert not audited(database, upper=AT).clean
    assert audited(database, upper=AT - dt.timedelta(seconds=1)).clean
    assert cli("audit", "--from", "2025-03-06").exit_code == 0
    assert cli("audit", "--from", "2025-03-06", "--to", "2025-03-01").exit_code == 2


@pytest.mark.parametrize("seed", lanes.first(1, range(3)))
def test_whatever_was_tampered_with_is_found_and_repaired(database: Any, seed: int) -> None:
    rng = history(database, 70 + seed)
    with database.connect() as connection:
        tamper(connection, rng, BEGIN)
        wrong = {at for at, *_ in wrong_snapshots(connection)}
        found = audited(database)
        assert set(found.wrong_snapshots) == wrong
    with database.connect("repair", writes_sources=False) as connection:
        audit.repair(connection, database.settings, found)
    assert audited(database).listed == []
    # What was taken out long ago has vanished, until somebody says that it never was.
    swept(database, accepted=vanished.EVERYTHING)
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
    assert audited(database).listed == []


def test_purged_days_are_told_and_are_no_differences(database: Any, cli: Any) -> None:
    history(database)
    swept(database, since=BEGIN.date())  # so that births are remembered
    purge(database, BEGIN + 5 * DAY)
    found = audited(database)
    # What customers need of purged creations is another matter.
    assert [one for one in found.listed if "event" in one.figure] == []
    assert (found.missing, found.double) == (0, 0)
    assert found.vanished > 0
    assert f"{found.vanished:,} vanished (noted " in cli("audit").stdout
    # Taken at its word the source has lost them; nothing is changed by asking.
    assert cli("audit", "--accept-purged").exit_code == 1
    assert audited(database).vanished == found.vanished
    cli("audit", "--accept-purged", "--repair")
    found = audited(database)
    assert (found.vanished, found.missing, found.double) == (0, 0, 0)


def test_it_works_before_the_first_run(cli: Any) -> None:
    assert cli("audit").exit_code == 0
