"""What was edited by hand is found under whatever key, and put right where anything tells it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from tests.integration.reconcile.test_audit import audited
from tests.integration.reconcile.test_sweep import DAY, go, swept
from tests.support import lanes

from consumer_analytics import backfill
from consumer_analytics.db import schema
from consumer_analytics.reconcile import audit

ONE, TWO = uuid.UUID(int=5), uuid.UUID(int=6)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
LIVE = BEGIN + 10 * DAY
#: Instants of the backfill.
FIRST, SECOND, THIRD = (BEGIN + day * DAY for day in (1, 2, 3))


def filled(database: Any, consumers: list[str] | None = None) -> None:
    with database.connect("backfill", writes_sources=False) as connection:
        request = backfill.request_of("2025-03-01", "2025-03-06", "daily", consumers=consumers)
        backfill.backfill(connection, database.settings, request)


def sources(database: Any) -> None:
    """Two consumers, each with a customer that was created on the first and one more event."""
    for day, consumer in enumerate((ONE, TWO)):
        database.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, 'x', %s)",
            [consumer, BEGIN],
        )
        customer = uuid.uuid4()
        at = BEGIN + day * DAY + dt.timedelta(hours=5)
        database.execute(
            "insert into customers (customer_id, consumer_id, status, created_at, updated_at) "
            "values (%s, %s, 'ACTIVE', %s, %s)",
            [customer, consumer, at, at],
        )
        for kind in ("customer_creation", "login"):
            database.execute(
                "insert into customer_events "
                "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
                'values (gen_random_uuid(), %s, %s, %s, \'{"status": "ACTIVE"}\', %s)',
                [customer, consumer, kind, at],
            )


def written(database: Any) -> None:
    """A live snapshot on the 11th, a backfill of five days before; its records have aged out."""

    def fill() -> None:
        sources(database)
        go(database, LIVE)
        filled(database)
        database.execute("delete from consumer_analytics_internal.runs")
        database.execute("delete from consumer_analytics_internal.backfills")

    database.prepared(written, fill)


def documents(database: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = database.rows(
        "select snapshot_timestamp, consumer_id, metrics_json::text from consumer_analytics "
        "order by 1, 2"
    )
    return rows


def told(found: audit.AuditResult) -> set[tuple[str, str]]:
    return {(one.where, one.figure) for one in found.listed}


def repaired(database: Any, found: audit.AuditResult) -> audit.RepairResult:
    with database.connect("repair", writes_sources=False) as connection:
        return audit.repair(connection, database.settings, found)


def edit(document: str, whose: str = "consumer_id is null", at: dt.datetime = SECOND) -> str:
    return (
        f"update consumer_analytics set metrics_json = {document} "
        f"where {whose} and snapshot_timestamp = '{at.isoformat()}'"
    )


def put(path: str, value: str) -> str:
    return f"jsonb_set(metrics_json, '{{{path}}}', '{value}')"


WINDOW = "incremental_stats"
ROW = {("snapshot", "row")}
FIGURES = {
    "a whole backfilled instant": (
        f"delete from consumer_analytics where snapshot_timestamp = '{SECOND}'",
        ROW,
    ),
    "a whole live instant": (
        f"delete from consumer_analytics where snapshot_timestamp = '{LIVE}'",
        ROW,
    ),
    "the last instants": (
        f"delete from consumer_analytics where snapshot_timestamp > '{THIRD}'",
        ROW,
    ),
    "rows of a live instant": (
        (
            f"delete from consumer_analytics where snapshot_timestamp = '{LIVE}' "
            "and consumer_id is not null"
        ),
        ROW,
    ),
    "the whole system's row and one consumer's": (
        (
            f"delete from consumer_analytics where snapshot_timestamp = '{SECOND}' "
            f"and consumer_id is distinct from '{TWO}'"
        ),
        ROW,
    ),
    "a row moved to another instant": (
        (
            f"update consumer_analytics set snapshot_timestamp = '2025-03-02 12:00Z' "
            f"where snapshot_timestamp = '{SECOND}' and consumer_id = '{ONE}'"
        ),
        ROW,
    ),
    "an instant that nobody wrote": (
        (
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "select consumer_id, snapshot_timestamp + interval '7 hours', metrics_json "
            f"from consumer_analytics where snapshot_timestamp = '{SECOND}'"
        ),
        ROW,
    ),
    **{
        f"an instant that no calendar has, {at}": (
            (
                "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
                f"select consumer_id, '{at}', metrics_json "
                f"from consumer_analytics where snapshot_timestamp = '{SECOND}'"
            ),
            ROW,
        )
        for at in ("0044-03-15 12:00Z BC", "20000-01-01Z", "-infinity", "infinity")
    },
    "two rows swapped": (
        (
            "update consumer_analytics as one set metrics_json = other.metrics_json "
            "from consumer_analytics as other where one.snapshot_timestamp = '2025-03-02Z' "
            "and other.snapshot_timestamp = one.snapshot_timestamp "
            "and one.consumer_id <> other.consumer_id"
        ),
        {
            ("snapshot", "total_events"),
            ("snapshot", "total_customers"),
            ("snapshot", "active_customers"),
            ("snapshot", "customers_by_status"),
            ("snapshot", "customers_by_status.ACTIVE"),
            ("snapshot", "avg_customer_lifetime_days"),
            ("snapshot", "events_by_type"),
            ("snapshot", "events_by_type.login"),
            ("snapshot", "events_by_type.customer_creation"),
            ("snapshot", f"{WINDOW}.new_customers_in_window"),
            ("snapshot", f"{WINDOW}.new_events_in_window"),
        },
    ),
    "a window's keys removed and its events invented": (
        edit(
            "jsonb_set(metrics_json, '{incremental_stats}', '{\"new_events_in_window\": 999}')",
            f"consumer_id = '{ONE}'",
        ),
        {
            ("snapshot", f"{WINDOW}.{key}")
            for key in (
                "window_start",
                "window_end",
                "new_customers_in_window",
                "new_events_in_window",
            )
        },
    ),
    "a window moved and its customers invented": (
        edit(
            "jsonb_set(jsonb_set(metrics_json, '{incremental_stats,window_start}', "
            "'\"2025-02-01T00:00:00+00:00\"'), '{incremental_stats,new_customers_in_window}', "
            "'999')"
        ),
        {
            ("snapshot", f"{WINDOW}.window_start"),
            ("snapshot", f"{WINDOW}.new_customers_in_window"),
        },
    ),
    "a key more": (edit("metrics_json || '{\"note\": {}}'"), {("snapshot", "note")}),
    "a key more that says nothing": (
        edit("metrics_json || '{\"note\": null}'"),
        {("snapshot", "note")},
    ),
    "a key more in the window": (
        edit(put("incremental_stats,note", "1")),
        {("snapshot", f"{WINDOW}.note")},
    ),
    "a map that is a list": (
        edit(put("events_by_type_all_consumers", "[]")),
        {
            ("snapshot", "events_by_type_all_consumers"),
            ("snapshot", "events_by_type_all_consumers.login"),
            ("snapshot", "events_by_type_all_consumers.customer_creation"),
        },
    ),
    "null for a figure": (
        edit(put("total_events_all_consumers", "null")),
        {("snapshot", "total_events_all_consumers")},
    ),
    "a number of five thousand digits": (
        edit("jsonb_set(metrics_json, '{total_events_all_consumers}', repeat('9', 5000)::jsonb)"),
        {("snapshot", "total_events_all_consumers")},
    ),
    "a document that is a string": (edit("'\"x\"'"), {("snapshot", "document")}),
    "a document that is a list": (edit("'[1, 2]'"), {("snapshot", "document")}),
    "a document that is a number": (edit("'1e400'"), {("snapshot", "document")}),
    "a document that is null": (edit("'null'"), {("snapshot", "document")}),
    "a consumer's document that is a string": (
        edit("'\"snapshot_source\"'", f"consumer_id = '{ONE}'"),
        {("snapshot", "document")},
    ),
    "documents nested more deeply than Python reads": (
        edit("(repeat('[', 2000) || repeat(']', 2000))::jsonb"),
        {("snapshot", "document")},
    ),
    "a figure nested more deeply than Python reads": (
        edit(
            "jsonb_set(metrics_json, '{x}', (repeat('{\"a\":', 1500) || '1' "
            "|| repeat('}', 1500))::jsonb)"
        ),
        {("snapshot", "document")},
    ),
}
#: What a row says of where it comes from: no figure, so nothing is restated by it.
LABELS = {
    "the end of a window": (
        edit(put("incremental_stats,window_end", '"2025-03-09T00:00:00+00:00"')),
        {("snapshot", f"{WINDOW}.window_end")},
    ),
    "the start of a window": (
        edit(
            put("incremental_stats,window_start", '"2025-02-01T00:00:00+00:00"'),
            f"consumer_id = '{ONE}'",
        ),
        {("snapshot", f"{WINDOW}.window_start")},
    ),
    "a start that is no time": (
        edit(put("incremental_stats,window_start", '"2026-99-99T00:00:00+00:00"')),
        {("snapshot", f"{WINDOW}.window_start")},
    ),
    "both removed": (
        edit(
            "metrics_json #- '{incremental_stats,window_end}' #- '{incremental_stats,window_start}'"
        ),
        {("snapshot", f"{WINDOW}.window_end"), ("snapshot", f"{WINDOW}.window_start")},
    ),
    "the writer faked": (
        edit(put("snapshot_source", '"airflow_etl"')),
        {("snapshot", "snapshot_source")},
    ),
    "the writer removed": (
        edit("metrics_json - 'snapshot_source'"),
        {("snapshot", "snapshot_source")},
    ),
    # To jsonb they are equal; who reads an integer, as the guide's statements do, reads none.
    "an integer with a point": (
        edit(put("total_customers", "1.0"), f"consumer_id = '{ONE}'"),
        {("snapshot", "total_customers")},
    ),
    "an integer with a point, of all": (
        edit(put("incremental_stats,new_customers_in_window", "1.00")),
        {("snapshot", f"{WINDOW}.new_customers_in_window")},
    ),
    "a mean of three decimals": (
        edit(
            "jsonb_set(metrics_json, '{avg_customer_lifetime_days}', "
            "((metrics_json ->> 'avg_customer_lifetime_days') || '0')::jsonb)",
            f"consumer_id = '{ONE}'",
        ),
        {("snapshot", "avg_customer_lifetime_days")},
    ),
    "a ratio of none": (
        edit(put("system_wide_active_ratio", "1")),
        {("snapshot", "system_wide_active_ratio")},
    ),
    "the job": (edit(put("etl_job", "7"), f"consumer_id = '{ONE}'"), {("snapshot", "etl_job")}),
}


@pytest.mark.parametrize("fault", lanes.first(3, FIGURES))
def test_what_was_edited_is_found_and_put_right(database: Any, fault: str) -> None:
    statement, expected = FIGURES[fault]
    written(database)
    assert audited(database).listed == []
    sound = documents(database)
    database.execute(statement)
    found = audited(database)
    assert told(found) == expected
    assert found.lasting == []
    repaired(database, found)
    assert audited(database).listed == []
    assert documents(database) == sound


@pytest.mark.parametrize("fault", lanes.first(2, LABELS))
def test_a_window_or_a_writer_is_put_right_where_it_stands(database: Any, fault: str) -> None:
    statement, expected = LABELS[fault]
    written(database)
    sound = documents(database)
    database.execute(statement)
    found = audited(database)
    assert told(found) == expected
    done = repaired(database, found)
    assert (done.rows_relabelled, done.snapshots_restated) == (1, 0)
    assert documents(database) == sound
    assert database.rows("select * from consumer_analytics_revisions") == []
    assert audited(database).clean


@pytest.mark.both_versions
def test_neither_run_nor_sweep_stumbles_over_a_row_that_is_no_document(database: Any) -> None:
    written(database)
    sound = documents(database)
    for at, document in ((FIRST, "'\"x\"'"), (SECOND, "'7'"), (THIRD, "'[]'")):
        database.execute(edit(document, at=at))
    database.execute(edit(put("incremental_stats,window_start", '"2026-99-99"'), at=LIVE))
    swept(database, since=BEGIN.date())
    go(database, FIRST)
    filled(database)
    assert [row for row in documents(database) if row[0] < LIVE] == [
        row for row in sound if row[0] < LIVE
    ]


@pytest.mark.parametrize(
    "document",
    lanes.first(
        1,
        [
            put("total_customers", "1.0"),
            put("total_customers", '"many"'),
            put("customers_by_status", "[]"),
            put("incremental_stats,new_customers_in_window", "1.5"),
        ],
    ),
)
def test_a_backfill_does_not_stumble_over_what_is_on_trust(database: Any, document: str) -> None:
    purged(database)
    database.execute(edit(document, f"consumer_id = '{TWO}'", FIRST))
    filled(database)
    assert set(told(audited(database))) <= {
        ("snapshot", figure)
        for figure in (
            "total_customers",
            "total_customers_all_consumers",
            "active_customers",
            "customers_by_status",
            "customers",
            f"{WINDOW}.new_customers_in_window",
            "system_wide_active_ratio",
        )
    }


@pytest.mark.parametrize("kept", lanes.first(1, ['"x"', "[]", "{}"]))
def test_a_sweep_reads_of_customers_without_a_consumer_what_is_a_number(
    database: Any, kept: str
) -> None:
    written(database)
    database.execute(edit(put("unattributed_customers", kept), at=FIRST))
    database.execute(edit(put("events_by_type,customer_creation", kept), f"consumer_id = '{TWO}'"))
    database.execute("delete from customers where consumer_id = %s", [TWO])
    swept(database, since=BEGIN.date())
    repaired(database, audited(database))
    assert audited(database).clean


@pytest.mark.parametrize("kept", ["1", "[]"])
def test_chosen_consumers_are_backfilled_beside_a_row_that_lists_no_statuses(
    database: Any, kept: str
) -> None:
    written(database)
    database.execute(edit(put("customers_by_status_all_consumers", kept), at=LIVE))
    filled(database, [str(ONE)])
    found = audited(database)
    assert ("snapshot", "customers_by_status_all_consumers") in told(found)


REVISIONS = {
    "emptied": "update consumer_analytics_revisions set metrics_json = '{}'",
    "edited": (
        "update consumer_analytics_revisions set metrics_json = "
        "jsonb_set(metrics_json, '{total_events}', '1') where consumer_id is not null"
    ),
    "with another reason": "update consumer_analytics_revisions set reason = 'because'",
    "of another time": (
        "update consumer_analytics_revisions set reported_until = reported_until - interval '1 s'"
    ),
    "of another row": "update consumer_analytics_revisions set analytics_id = analytics_id + 1",
    "removed": "delete from consumer_analytics_revisions where consumer_id is null",
    "all removed": "delete from consumer_analytics_revisions",
    "invented": (
        "insert into consumer_analytics_revisions (analytics_id, snapshot_timestamp, "
        "metrics_json, reported_from, reason) "
        "select analytics_id, snapshot_timestamp, '{}', created_at, 'x' from consumer_analytics"
    ),
}


@pytest.mark.parametrize("fault", lanes.first(0, REVISIONS, long=1))
def test_a_revision_that_is_not_what_was_written_is_told_and_stays(
    database: Any, cli: Any, fault: str
) -> None:
    written(database)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [ONE, BEGIN + dt.timedelta(hours=1)],
    )
    swept(database, since=BEGIN.date())
    assert database.rows("select count(*) from consumer_analytics_revisions")[0][0] > 0
    assert audited(database).listed == []
    database.execute(REVISIONS[fault])
    found = audited(database)
    assert told(found) == {("revision", "revisions")}
    repaired(database, found)
    left = audited(database)
    assert (told(left), left.differences) == (told(found), found.differences)
    answer = cli("audit", "--repair")
    assert answer.exit_code == 1
    assert "no repair  what a revision said stands nowhere else" in answer.stdout


@pytest.mark.parametrize(
    "statement",
    lanes.first(
        2,
        [
            (
                f"delete from consumer_analytics where consumer_id = '{ONE}' "
                f"and snapshot_timestamp = '{SECOND}'"
            ),
            edit(put("total_events", "77"), f"consumer_id = '{ONE}'"),
            edit(put("incremental_stats,new_events_in_window", "77"), f"consumer_id = '{ONE}'"),
            edit(put("snapshot_source", '"cli_etl"'), f"consumer_id = '{ONE}'"),
            # Beside it: a row that nobody asked for.
            (
                "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
                f"select '{TWO}', snapshot_timestamp, metrics_json from consumer_analytics "
                f"where snapshot_timestamp = '{SECOND}'"
            ),
        ],
    ),
)
def test_rows_of_chosen_consumers_are_held_to_what_was_written_as_well(
    database: Any, statement: str
) -> None:
    sources(database)
    go(database, LIVE)
    filled(database, [str(ONE)])
    database.execute("delete from consumer_analytics_internal.backfills")
    assert audited(database).listed == []
    sound = documents(database)
    database.execute(statement)
    found = audited(database)
    assert found.differences == 1
    repaired(database, found)
    assert documents(database) == sound
    assert audited(database).listed == []


@pytest.mark.long
def test_a_row_of_a_shorter_window_keeps_it_and_is_repaired_with_it(database: Any) -> None:
    sources(database)
    go(database, LIVE)
    filled(database, [str(ONE)])
    with database.connect("backfill", writes_sources=False) as connection:
        request = backfill.request_of("2025-03-01", "2025-03-06", "weekly")
        backfill.backfill(connection, database.settings, request)
    assert audited(database).listed == []
    sound = documents(database)
    for whose in (f"consumer_id = '{ONE}'", f"consumer_id = '{TWO}'", "consumer_id is null"):
        database.execute(
            edit(put("incremental_stats,new_events_in_window", "77"), whose, BEGIN + 5 * DAY)
        )
    found = audited(database)
    assert found.differences == 3
    repaired(database, found)
    assert documents(database) == sound
    assert audited(database).listed == []


def test_of_what_has_not_come_nothing_is_recounted(database: Any, cli: Any) -> None:
    written(database)
    ahead = dt.datetime(2199, 1, 1, tzinfo=dt.UTC)
    told: list[str] = []
    with database.connect("audit", writes_sources=False) as connection:
        found = audit.audit(connection, database.settings, lower=ahead, notify=told.append)
        assert (found.clean, found.snapshots, found.rows, told) == (True, 0, 0, [])
        audit.audit(connection, database.settings, lower=LIVE, notify=told.append)
        assert told
    assert cli("audit", "--from", "2199-01-01").stderr == (
        "error: nothing to compare: no snapshot was written from 2199-01-01 on\n"
    )
    # What nobody has written is found there, whatever it is.
    database.execute(
        "insert into consumer_analytics_internal.event_days values "
        f"('2199-02-01', '{ONE}', 'login', 1)"
    )
    assert cli("audit", "--from", "2199-01-01").exit_code == 1


def test_a_range_without_a_snapshot_is_no_proof(database: Any, cli: Any) -> None:
    written(database)
    for options in (["--from", "2199-01-01"], ["--to", "1999-01-01"]):
        answer = cli("audit", *options)
        assert answer.exit_code == 2
        assert "nothing to compare: no snapshot was written" in answer.stderr
        assert "nothing differs" not in answer.stdout
    # One that is missing is one that was written.
    database.execute(f"delete from consumer_analytics where snapshot_timestamp = '{LIVE}'")
    assert cli("audit", "--from", "2025-03-11").exit_code == 1


def purged(database: Any) -> None:
    """What was written, of which the source has lost the events since; noted as vanished."""
    written(database)
    database.execute("delete from customer_events where created_at < %s", [BEGIN + 2 * DAY])
    found = audited(database)
    assert found.listed == []
    assert (found.counted, found.in_source, found.vanished) == (4, 0, 4)


#: Figures of customers that nobody but the row and a digest can tell.
UNTOLD = {
    "a mean": put("avg_customer_lifetime_days", "7.5"),
    "statuses": put("customers_by_status", '{"ACTIVE": 5}'),
    "births": put("incremental_stats,new_customers_in_window", "9"),
}


@pytest.mark.parametrize("fault", lanes.first(1, UNTOLD))
def test_what_the_source_can_no_longer_tell_is_held_to_what_was_written(
    database: Any, cli: Any, fault: str
) -> None:
    purged(database)
    assert audited(database).snapshots_on_trust > 0
    # The one whose customer came after it, with an event that has vanished.
    database.execute(edit(UNTOLD[fault], f"consumer_id = '{TWO}'", FIRST))
    found = audited(database)
    assert ("snapshot", "customers") in told(found)
    assert FIRST in found.untold_snapshots
    repaired(database, found)
    left = audited(database)
    assert ("snapshot", "customers") in told(left)
    assert told(left) <= told(found)
    answer = cli("audit", "--repair")
    assert answer.exit_code == 1
    assert "no repair  lifecycle events have vanished" in answer.stdout


def test_what_can_be_counted_beside_it_is_put_right_all_the_same(database: Any) -> None:
    purged(database)
    sound = documents(database)
    for document in (
        put("total_events", "77"),
        put("total_customers", "5"),
        # There was none, which the digest bears out.
        put("avg_customer_lifetime_days", '"long"'),
        put("customers_by_status", "[]"),
    ):
        database.execute(edit(document, f"consumer_id = '{TWO}'", FIRST))
    database.execute(edit(put("snapshot_source", '"cli_etl"'), "consumer_id is null", FIRST))
    database.execute(
        f"delete from consumer_analytics where consumer_id is null "
        f"and snapshot_timestamp = '{SECOND}'"
    )
    found = audited(database)
    assert found.lasting == []
    assert told(found) == {
        ("snapshot", figure)
        for figure in (
            "total_events",
            "total_customers",
            "avg_customer_lifetime_days",
            "customers_by_status",
            "snapshot_source",
            "row",
        )
    }
    repaired(database, found)
    assert audited(database).listed == []
    assert documents(database) == sound


def test_a_row_that_is_gone_is_found_where_the_source_can_no_longer_tell_it(database: Any) -> None:
    purged(database)
    sound = documents(database)
    # The digest bears out that there were no customers.
    taken = "delete from consumer_analytics where consumer_id = %s and snapshot_timestamp = %s"
    database.execute(taken, [TWO, FIRST])
    found = audited(database)
    assert told(found) == {("snapshot", "row")}
    repaired(database, found)
    assert documents(database) == sound
    assert audited(database).clean


@pytest.mark.parametrize(
    "document",
    lanes.first(
        0,
        [
            put("total_customers", "0.0"),
            put("incremental_stats,new_events_in_window", "0.0"),
            # Nothing but the digest tells this one, and to it they are one number.
            put("incremental_stats,new_customers_in_window", "0.0"),
        ],
        long=1,
    ),
)
def test_a_number_on_trust_is_written_as_ever(database: Any, document: str) -> None:
    purged(database)
    sound = documents(database)
    database.execute(edit(document, f"consumer_id = '{TWO}'", FIRST))
    found = audited(database)
    assert (found.differences, found.lasting) == (1, [])
    assert repaired(database, found).rows_relabelled == 1
    assert documents(database) == sound
    assert audited(database).clean


def test_what_an_earlier_version_wrote_is_taken_over(database: Any) -> None:
    written(database)
    filled(database, [str(TWO)])
    noted = (
        "select snapshot_timestamp, is_whole, window_start, snapshot_source, digest, revisions, "
        "revisions_digest from consumer_analytics_internal.written_snapshots order by 1"
    )
    before = database.rows(noted)
    database.execute(edit(put("incremental_stats,window_start", '"2026-99-99"'), at=THIRD))
    database.execute("drop table consumer_analytics_internal.written_snapshots")
    database.execute("drop table consumer_analytics_internal.written_apart")
    made, late = (one.text for one in schema.migrations() if one.version in {"0020", "0028"})
    with database.connect() as connection, connection.transaction():
        connection.execute(made)
        # What was added to it later.
        connection.execute(late.partition("-- Snapshots after this instant")[0])
    after = database.rows(noted)
    # What cannot be read is taken for the window from the snapshot before it.
    assert [row[:4] for row in after] == [row[:4] for row in before]
    found = audited(database)
    assert told(found) == {("snapshot", f"{WINDOW}.window_start")}
    repaired(database, found)
    assert audited(database).listed == []


#: What a hand may set in the notes of what was written: the instant of the last row, or its window.
MOVED = {
    "into its window": ("snapshot_timestamp", BEGIN + 5.5 * DAY),
    "before its window": ("snapshot_timestamp", BEGIN + 2.5 * DAY),
    "before all": ("snapshot_timestamp", BEGIN - 30 * DAY),
    "beyond the calendar": ("snapshot_timestamp", "infinity"),
    "a longer window": ("window_start", BEGIN + 1.5 * DAY),
    "a window after it": ("window_start", BEGIN + 20 * DAY),
}


@pytest.mark.parametrize(
    ("moved", "table"), lanes.each_once(MOVED, ["written_apart", "written_snapshots"], every=2)
)
def test_a_note_that_was_moved_by_hand_is_told_and_repaired(
    database: Any, moved: str, table: str
) -> None:
    sources(database)
    go(database, LIVE)
    filled(database, [str(ONE)] if table == "written_apart" else None)
    assert audited(database).listed == []
    column, to = MOVED[moved]
    database.execute(
        f"update consumer_analytics_internal.{table} set {column} = %s "
        "where snapshot_timestamp = %s",
        [to, BEGIN + 5 * DAY],
    )
    found = audited(database)
    assert found.listed
    repaired(database, found)
    assert audited(database).listed == []


@pytest.mark.parametrize("table", lanes.first(1, ["written_apart", "written_snapshots"]))
def test_a_note_that_was_moved_beyond_runs_says_why_it_stays(database: Any, table: str) -> None:
    sources(database)
    go(database, LIVE)
    filled(database, [str(ONE)] if table == "written_apart" else None)
    database.execute(
        f"update consumer_analytics_internal.{table} set snapshot_timestamp = %s "
        "where snapshot_timestamp = %s",
        [LIVE + 10 * DAY, BEGIN + 5 * DAY],
    )
    repaired(database, audited(database))
    left = audited(database)
    assert left.listed
    assert all(one.lasting for one in left.listed)
    go(database, LIVE + 20 * DAY)
    repaired(database, audited(database))
    assert audited(database).listed == []
