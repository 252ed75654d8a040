"""Importing CSV files: what comes in, what is refused and why, and that it is all or nothing."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import gzip
import io
import json
import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import COMMAND, Cli, Database, command_environment
from tests.support import lanes, oracle
from tests.support.kill import kill_during

from consumer_analytics.db import schema
from consumer_analytics.db.connection import Connection, connected
from consumer_analytics.errors import ImportRefusedError, SchemaError, SourceError, UsageError
from consumer_analytics.etl import extract, run
from consumer_analytics.etl import load as run_load
from consumer_analytics.ingest import csv_reader, importer
from consumer_analytics.ingest.importer import import_directory

SHOP, BANK = (str(uuid.UUID(int=number)) for number in (1, 2))
ANNA, BERT = (str(uuid.UUID(int=number)) for number in (11, 12))
E1, E2, E3 = (str(uuid.UUID(int=number)) for number in (101, 102, 103))

CONSUMERS = f"consumer_id,name\n{SHOP},Shop\n{BANK},Bank\n"
CUSTOMERS = (
    "customer_id,consumer_id,status,created_at\n"
    f"{ANNA},{SHOP},ACTIVE,2025-03-01T08:00:00Z\n"
    f"{BERT},{BANK},BLOCKED,2025-03-02T08:00:00Z\n"
)
EVENTS = (
    "event_id,customer_id,consumer_id,event_type,created_at\n"
    f"{E1},{ANNA},{SHOP},login,2025-03-01T09:00:00Z\n"
    f"{E2},{BERT},{BANK},login,2025-03-02T09:00:00Z\n"
)
COUNTS = (
    "select (select count(*) from consumers), (select count(*) from customers), "
    "(select count(*) from customer_events)"
)
EVENT_COLUMNS = "event_id,customer_id,consumer_id,event_type,payload_json,created_at"


def write(folder: Path, name: str, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    write(folder, "consumers.csv", CONSUMERS)
    write(folder, "customers.csv", CUSTOMERS)
    write(folder, "customer_events.csv", EVENTS)
    return folder


def load(database: Database, folder: Path) -> importer.ImportReport:
    with connected(database.settings, "import", writes_sources=True) as connection:
        return import_directory(connection, database.settings, folder)


def refused(database: Database, folder: Path) -> ImportRefusedError:
    """Import what must be refused, and check that nothing came in."""
    before = database.rows(COUNTS)
    with pytest.raises(ImportRefusedError) as caught:
        load(database, folder)
    assert database.rows(COUNTS) == before
    return caught.value


def told(database: Database, folder: Path) -> list[str]:
    return [str(problem) for problem in refused(database, folder).problems]


def counts(report: importer.ImportReport) -> dict[str, tuple[int, ...]]:
    return {
        one.table: (one.rows_read, one.inserted, one.already_there, one.different, one.repeated)
        for one in report.tables
    }


def as_csv(rows: Iterable[Sequence[Any]], *, newline: str = "\n") -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=newline).writerows(rows)
    return text.getvalue()


# -- what comes in -------------------------------------------------------------


@pytest.mark.both_versions
def test_rows_come_in_as_the_files_say(database: Database, folder: Path) -> None:
    report = load(database, folder)
    assert counts(report) == {
        "consumers": (2, 2, 0, 0, 0),
        "customers": (2, 2, 0, 0, 0),
        "customer_events": (2, 2, 0, 0, 0),
    }
    assert database.rows(
        "select consumer_id::text, name, status, created_at::text from consumers order by 1"
    ) == [
        # A consumer of whom the file does not say it was always there.
        (SHOP, "Shop", "ACTIVE", "1970-01-01 00:00:00+00"),
        (BANK, "Bank", "ACTIVE", "1970-01-01 00:00:00+00"),
    ]
    assert database.rows(
        "select customer_id::text, consumer_id::text, status, created_at::text, "
        "updated_at > now() - interval '1 hour' from customers order by 1"
    ) == [
        (ANNA, SHOP, "ACTIVE", "2025-03-01 08:00:00+00", True),
        (BERT, BANK, "BLOCKED", "2025-03-02 08:00:00+00", True),
    ]
    assert database.rows(
        "select event_id::text, customer_id::text, consumer_id::text, event_type, payload_json, "
        "created_at::text from customer_events order by 1"
    ) == [
        (E1, ANNA, SHOP, "login", {}, "2025-03-01 09:00:00+00"),
        (E2, BERT, BANK, "login", {}, "2025-03-02 09:00:00+00"),
    ]


def test_gzip_column_order_byte_order_mark_and_line_ends_are_free(
    database: Database, folder: Path
) -> None:
    (folder / "customer_events.csv").unlink()
    rows = [
        ("created_at", "event_type", "note", "consumer_id", "event_id", "", "customer_id"),
        ("2025-03-01 09:00:00", "log\tin", "x", SHOP, E1, "0", ANNA),
        ("2025-03-01 10:00:00.123456+02:00", 'a "b"\\N, \r\n c', "y", BANK, E2, "1", ""),
        ("2025-03-02", "\\.", "y", BANK, E3, "2", ""),
    ]
    text = "\ufeff" + as_csv(rows, newline="\r\n") + "\r\n\r\n"
    write(folder, "customer_events.csv.gz", text)
    report = load(database, folder)
    assert report.tables[2].rows_read == 3
    assert report.tables[2].ignored_columns == ["note", "(no name)"]
    assert database.rows(
        "select event_id::text, customer_id::text, event_type, created_at::text "
        "from customer_events order by event_id"
    ) == [
        (E1, ANNA, "log\tin", "2025-03-01 09:00:00+00"),
        (E2, None, 'a "b"\\N, \r\n c', "2025-03-01 08:00:00.123456+00"),
        (E3, None, "\\.", "2025-03-02 00:00:00+00"),
    ]


@pytest.mark.both_versions
def test_what_the_contract_tolerates_is_taken_in(database: Database, folder: Path) -> None:
    nobody = str(uuid.UUID(int=99))
    write(
        folder,
        "customer_events.csv",
        as_csv(
            [
                EVENT_COLUMNS.split(","),
                (E1, "", "", "", "", "2025-03-01T09:00:00Z"),
                (E2, ANNA, nobody, "  ", '{"a": "ü\\u20ac"}', "2099-12-31T23:59:59.999999Z"),
            ]
        ),
    )
    write(
        folder,
        "customers.csv",
        f"customer_id,consumer_id,status,created_at,updated_at\n{ANNA},,,2099-01-01T00:00:00Z,\n",
    )
    load(database, folder)
    assert database.rows(
        "select customer_id::text, consumer_id::text, event_type, payload_json, created_at::text "
        "from customer_events order by event_id"
    ) == [
        (None, None, None, {}, "2025-03-01 09:00:00+00"),
        (ANNA, nobody, "  ", {"a": "ü€"}, "2099-12-31 23:59:59.999999+00"),
    ]
    assert database.rows(
        "select consumer_id, status, updated_at > now() - interval '1 hour' from customers"
    ) == [(None, None, True)]


@pytest.mark.parametrize("kind", lanes.first(1, ["timestamp", "timestamptz"]))
def test_tables_may_live_elsewhere_and_differ(
    new_database: Callable[..., Database], folder: Path, kind: str
) -> None:
    database = new_database(migrated=False, source_schema="shop data")
    database.execute(
        f"""
        create schema "shop data";
        create type public.mood as enum ('ACTIVE', 'BLOCKED');
        create table "shop data".consumers (
            consumer_id uuid primary key, name varchar(10), status text default 'NEW',
            created_at {kind} not null default now(), plan text default 'free');
        create table "shop data".customers (
            customer_id uuid primary key, consumer_id uuid, status public.mood not null,
            created_at {kind}, updated_at {kind} not null default '2000-01-01', extra int);
        create table "shop data".customer_events (
            event_id uuid primary key, customer_id uuid, consumer_id uuid, event_type varchar(20),
            payload_json json not null default '{{"by": "default"}}', created_at {kind});
        """
    )
    schema.migrate(database.settings)
    write(
        folder,
        "customer_events.csv",
        as_csv(
            [
                EVENT_COLUMNS.split(","),
                (E1, ANNA, SHOP, "login", "", "2025-03-01T23:30:00-05:00"),
                (E2, ANNA, SHOP, "login", '{"n": 1}', "2025-03-01 23:30"),
            ]
        ),
    )
    first = load(database, folder)
    assert counts(first)["customer_events"] == (2, 2, 0, 0, 0)
    assert database.rows(
        "select payload_json, created_at::timestamp::text "
        'from "shop data".customer_events order by event_id'
    ) == [({"by": "default"}, "2025-03-02 04:30:00"), ({"n": 1}, "2025-03-01 23:30:00")]
    assert database.rows('select name, status, plan from "shop data".consumers order by 1') == [
        ("Bank", "NEW", "free"),
        ("Shop", "NEW", "free"),
    ]
    again = load(database, folder)
    assert counts(again) == {
        "consumers": (2, 0, 2, 0, 0),
        "customers": (2, 0, 2, 0, 0),
        "customer_events": (2, 0, 2, 0, 0),
    }


def test_a_consumer_without_a_date_was_always_there(database: Database, folder: Path) -> None:
    write(
        folder,
        "consumers.csv",
        f"consumer_id,name,created_at\n{SHOP},Shop,\n{BANK},Bank,2025-02-03T04:05:06Z\n",
    )
    for _ in range(2):
        load(database, folder)
        assert database.rows("select created_at::text from consumers order by 1") == [
            ("1970-01-01 00:00:00+00",),
            ("2025-02-03 04:05:06+00",),
        ]


def test_some_of_the_files_are_enough(database: Database, folder: Path) -> None:
    (folder / "consumers.csv").unlink()
    (folder / "customers.csv").unlink()
    write(folder, "totals.csv", "a\n1\n")
    report = load(database, folder)
    assert report.missing == ["consumers", "customers"]
    assert report.other_files == ["totals.csv"]
    assert database.rows(COUNTS) == [(0, 0, 2)]


def test_a_header_alone_is_an_empty_table(database: Database, folder: Path) -> None:
    write(folder, "customer_events.csv", EVENTS.splitlines()[0])
    assert counts(load(database, folder))["customer_events"] == (0, 0, 0, 0, 0)


# -- twice ---------------------------------------------------------------------


@pytest.mark.both_versions
def test_a_second_import_changes_no_row(database: Database, folder: Path) -> None:
    load(database, folder)
    versions = (
        "select 'c', consumer_id, xmin::text, ctid::text from consumers union all "
        "select 'u', customer_id, xmin::text, ctid::text from customers union all "
        "select 'e', event_id, xmin::text, ctid::text from customer_events order by 1, 2"
    )
    before = database.rows(versions)
    report = load(database, folder)
    assert counts(report) == {
        "consumers": (2, 0, 2, 0, 0),
        "customers": (2, 0, 2, 0, 0),
        "customer_events": (2, 0, 2, 0, 0),
    }
    assert database.rows(versions) == before
    assert report.touched_days == 0


def test_other_content_under_a_known_id_is_told_and_left_alone(
    database: Database, folder: Path
) -> None:
    load(database, folder)
    write(
        folder,
        "customers.csv",
        CUSTOMERS.replace("ACTIVE", "CLOSED") + f"{E3},{BANK},NEW,2025-03-03T00:00:00Z\n",
    )
    report = load(database, folder)
    assert counts(report)["customers"] == (3, 1, 1, 1, 0)
    assert report.tables[1].first_different_line == 2
    assert database.rows("select status from customers order by customer_id") == [
        ("ACTIVE",),
        ("BLOCKED",),
        ("NEW",),
    ]


def test_the_same_row_twice_in_a_file_comes_in_once(database: Database, folder: Path) -> None:
    write(folder, "customer_events.csv", EVENTS + EVENTS.splitlines()[1] + "\n")
    assert counts(load(database, folder))["customer_events"] == (3, 2, 0, 0, 1)
    assert counts(load(database, folder))["customer_events"] == (3, 0, 2, 0, 1)


def test_one_id_with_two_contents_is_refused(database: Database, folder: Path) -> None:
    write(
        folder,
        "customer_events.csv",
        EVENTS + f"{E2},{BERT},{BANK},logout,2025-03-02T09:00:00Z\n",
    )
    assert told(database, folder) == [
        f"customer_events.csv:4: event_id: line 3 has the same id with other content: '{E2}'"
    ]


def test_lines_are_counted_through_records_of_several_lines(
    database: Database, folder: Path
) -> None:
    text = EVENTS + f'{E3},,,"a\r\nb\n\rc",2025-03-02\n\n{E2},,,logout,2025-03-02\n'
    write(folder, "customer_events.csv", text)
    assert told(database, folder) == [
        f"customer_events.csv:9: event_id: line 3 has the same id with other content: '{E2}'"
    ]


def test_new_rows_among_many_known_ones(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "_SLICE_PAGES", 1)

    def events(numbers: Iterable[int]) -> str:
        rows = [
            (uuid.UUID(int=n), ANNA, SHOP, "login", f"2025-03-01T00:00:{n % 60:02d}Z")
            for n in numbers
        ]
        return as_csv(
            [("event_id", "customer_id", "consumer_id", "event_type", "created_at"), *rows]
        )

    write(folder, "customer_events.csv", events(range(3000, 4000)))
    load(database, folder)
    # All new in the first slices, known ones in the middle, then new again.
    write(folder, "customer_events.csv", events(range(1000, 6000)))
    assert counts(load(database, folder))["customer_events"] == (5000, 4000, 1000, 0, 0)
    assert database.rows("select count(*), count(distinct event_id) from customer_events") == [
        (5000, 5000)
    ]


# -- what runs must look at again ----------------------------------------------

PROCESSED = "update consumer_analytics_internal.state set processed_through = %s"
TOUCHED = (
    "select distinct consumer_id::text, day::text "
    "from consumer_analytics_internal.touched_days order by 1, 2"
)
VERSION = "select version from consumer_analytics_internal.state"


@pytest.mark.both_versions
def test_days_below_what_was_processed_are_noted(database: Database, folder: Path) -> None:
    database.execute(PROCESSED, ["2025-03-02 08:30:00+00"])
    assert load(database, folder).touched_days == 5
    # Consumers, customers and Anna's login; Bert's login is still ahead of the runs.
    assert database.rows(TOUCHED) == [
        (SHOP, "1970-01-01"),
        (SHOP, "2025-03-01"),
        (BANK, "1970-01-01"),
        (BANK, "2025-03-02"),
    ]


def test_only_rows_that_came_in_are_noted(database: Database, folder: Path) -> None:
    load(database, folder)
    assert database.rows(TOUCHED) == []
    database.execute(PROCESSED, ["2025-04-01 00:00:00+00"])
    version = database.rows(VERSION)
    load(database, folder)
    assert database.rows(TOUCHED) == []
    assert database.rows(VERSION) == version
    write(folder, "customer_events.csv", EVENTS + f"{E3},,,x,2025-03-03T23:59:59.999999Z\n")
    load(database, folder)
    assert database.rows(TOUCHED) == [(None, "2025-03-03")]
    assert database.rows(VERSION) > version


def test_a_lifecycle_event_touches_its_customers_first_day(
    database: Database, folder: Path
) -> None:
    gone = str(uuid.UUID(int=13))
    write(
        folder,
        "customer_events.csv",
        EVENTS + f"{uuid.UUID(int=200)},{gone},{BANK},customer_creation,2025-02-20T00:00:00Z\n",
    )
    load(database, folder)
    database.execute(PROCESSED, ["2025-04-01 00:00:00+00"])
    payload = '{"old_status": "NEW", "new_status": "ACTIVE"}'
    rows = [
        (E3, ANNA, SHOP, "customer_status_change", payload, "2025-03-20T10:00:00Z"),
        (uuid.UUID(int=201), gone, BANK, "customer_deletion", "{}", "2025-03-21T10:00:00Z"),
    ]
    write(folder, "customer_events.csv", as_csv([EVENT_COLUMNS.split(","), *rows]))
    load(database, folder)
    assert database.rows(TOUCHED) == [
        (SHOP, "2025-03-01"),
        (SHOP, "2025-03-20"),
        (BANK, "2025-02-20"),
        (BANK, "2025-03-21"),
    ]


#: Events of one customer whose row is gone: what is there, and what comes late.
LIVES = {
    "a creation": (["customer_deletion"], ["customer_creation"]),
    "a deletion": (["customer_creation"], ["customer_deletion"]),
    "a deletion, where another event tells the birth": (["login"], ["customer_deletion"]),
    "an event that tells the birth": (["customer_deletion"], ["login"]),
    "all": ([], ["customer_creation", "customer_deletion"]),
}


@pytest.mark.parametrize(
    ("late", "end"),
    lanes.each_once(
        LIVES,
        [pytest.param(6, id="before the last run"), pytest.param(8, id="since the last run")],
        every=2,
    ),
)
def test_what_comes_late_of_a_life_that_is_over_is_restated_by_the_next_run(
    database: Database, folder: Path, late: str, end: int
) -> None:
    def put(kinds: list[str]) -> None:
        days = {"customer_creation": 4, "login": 4, "customer_deletion": end}
        rows = [
            (uuid.uuid4(), uuid.UUID(int=13), BANK, kind, "{}", f"2025-03-{days[kind]:02d}T12:00Z")
            for kind in kinds
        ]
        (folder / "customers.csv").unlink(missing_ok=True)
        write(folder, "customer_events.csv", as_csv([EVENT_COLUMNS.split(","), *rows]))
        load(database, folder)

    def figures() -> list[int]:
        return [
            total
            for (total,) in database.rows(
                "select (metrics_json -> 'total_customers')::int from consumer_analytics "
                "where consumer_id = %s order by snapshot_timestamp",
                [BANK],
            )
        ]

    there, comes = LIVES[late]
    put(there)
    with database.session("run") as session:
        for day in (4, 5, 6, 7, 8):
            run.run(session, database.settings, at=dt.datetime(2025, 3, day, tzinfo=dt.UTC))
        assert figures() == [0, 0, 0, 0, 0]
        put(comes)
        run.run(session, database.settings, at=dt.datetime(2025, 3, 9, tzinfo=dt.UTC))
    assert figures() == [0, *(int(4 < day <= end) for day in (5, 6, 7, 8, 9))]


# -- what is refused -----------------------------------------------------------

_NOT_A_TIME = "created_at: not a time such as 2025-10-01T12:00:00Z"
_BEHIND = "; behind its digits there may be Z, or an offset such as +02:00"
_ESCAPED = (
    'its quotes are escaped by backslashes, as Spark writes them; in CSV they are doubled ("")'
)
BAD_EVENTS: list[tuple[str, str, str]] = [
    # name, the record, what is told behind `customer_events.csv:4: `
    ("uuid", f"x,{ANNA},{SHOP},login,,2025-03-01", "event_id: not a UUID: 'x'"),
    ("customer", f"{E3},1,{SHOP},login,,2025-03-01", "customer_id: not a UUID: '1'"),
    ("consumer", f"{E3},{ANNA},shop,login,,2025-03-01", "consumer_id: not a UUID: 'shop'"),
    ("no id", f",{ANNA},{SHOP},login,,2025-03-01", "event_id: a value is required"),
    ("no time", f"{E3},{ANNA},{SHOP},login,,", "created_at: a value is required"),
    ("month 13", f"{E3},,,login,,2025-13-01", f"{_NOT_A_TIME}: '2025-13-01'"),
    (
        "February 30",
        f"{E3},,,login,,2025-02-30T00:00:00Z",
        f"{_NOT_A_TIME}: '2025-02-30T00:00:00Z'",
    ),
    ("now", f"{E3},,,login,,now", f"{_NOT_A_TIME}: 'now'"),
    ("infinity", f"{E3},,,login,,infinity", f"{_NOT_A_TIME}: 'infinity'"),
    ("slashes", f"{E3},,,login,,01/02/2025", f"{_NOT_A_TIME}: '01/02/2025'"),
    ("before Christ", f"{E3},,,login,,2025-01-01 BC", f"{_NOT_A_TIME}: '2025-01-01 BC'"),
    *(
        (text, f"{E3},,,login,,{text}", f"{_NOT_A_TIME}{_BEHIND}: '{text}'")
        for text in (
            # PostgreSQL takes all of these, some for other than what they say.
            "2025-10-01 12:00:00 UTC+2",
            "2025-10-01 12:00:00 GMT+02:00",
            "2025-10-01 12:00:00 IST",
            "2025-10-01 12:00:00 CST",
            "2025-10-01T12:00:00 BST",
            "2025-10-01 12:00:00 XYZ+3",
            "2025-10-01T12:00:00[Europe/Berlin]",
            "2025-10-01T12:00:00+02:00[Europe/Berlin]",
            "2025-10-01 01:00:00 PM",
            "2025-10-01 12:00:00UTC",
            "2025-10-01 12:00:00 utc",
            "2025-10-01 12:00:00 BC",
        )
    ),
    *(
        (text, f"{E3},,,login,,{text}", f"{_NOT_A_TIME}: '{text}'")
        for text in (
            "2025-10-01 allballs",
            "2025-10-01 Monday",
            "Monday 2025-10-01",
            "today",
            "epoch",
            "-infinity",
            "J2460950",
            "2025.274",
            "01-10-2025",
            "10/01/2025 12:00",
            "1 Oct 2025",
            "25-10-01",
            "02025-10-01",
            "12025-10-01",
            "2025-W40-3",
            "2025-274",
            "20251001T120000Z",
            "2025-10-01Z",
            "2025-10-01T12",
            "2025-10-01T12:00:00+2",
            "2025-10-01T12:00:00 +02:00 Z",
            "2025-10-01T12:00:00+02:60",
            "2025-10-01T12:00:00+99",
            "2025-10-01T24:00:01",
            "2025-10-01T25:00:00",
            "2025-10-01T12:60:00",
            # PostgreSQL takes it for the next minute.
            "2025-10-01T12:00:60Z",
            "2025-10-01T23:59:60",
            "0000-01-01",
            " 2025-10-01",
            "\uff12025-10-01",
        )
    ),
    (
        "two times",
        f'{E3},,,login,,"2025-03-01\n2025-03-01"',
        f"{_NOT_A_TIME}: '2025-03-01\\n2025-03-01'",
    ),
    (
        "escaped JSON",
        f'{E3},,,login,{{\\"a\\":1}},2025-03-01',
        f"payload_json: not JSON: {_ESCAPED}: '{{\\\\\"a\\\\\":1}}'",
    ),
    (
        "escaped and quoted JSON",
        f'{E3},,,login,"{{\\"a\\":1}}",2025-03-01',
        f"not CSV: ',' expected after '\"'; {_ESCAPED}",
    ),
    ("epoch seconds", f"{E3},,,login,,1740787200", f"{_NOT_A_TIME}: '1740787200'"),
    ("JSON", f"{E3},,,login,[a],2025-03-01", "payload_json: not JSON: '[a]'"),
    (
        "JSON too deep for the server",
        f"{E3},,,login,{'[' * 20000 + ']' * 20000},2025-03-01",
        f"payload_json: not JSON: '{'[' * 80}…'",
    ),
    (
        "NUL in JSON",
        f'{E3},,,login,"""\\u0000""",2025-03-01',
        "payload_json: not JSON: '\"\\\\u0000\"'",
    ),
    ("few fields", f"{E3},,login", "3 fields, but the header has 6"),
    ("many fields", f"{E3},,,login,,2025-03-01,", "7 fields, but the header has 6"),
    ("one field", "\\.", "1 field, but the header has 6"),
    ("header again", EVENT_COLUMNS, "the header again"),
    ("not UTF-8", f"{E3},,,caf\udce9,,2025-03-01", "event_type: not UTF-8: 'caf\\\\xe9'"),
    ("NUL", f"{E3},,,a\0b,,2025-03-01", "event_type: a NUL character: 'a\\x00b'"),
    ("open quote", f'{E3},,,"login,,2025-03-01', "a quoted field begins here and never ends"),
    ("half a quote", f'{E3},,,"a"b,,2025-03-01', "not CSV: ',' expected after '\"'"),
]


@pytest.mark.both_versions
@pytest.mark.parametrize("part", lanes.first(1, range(3)))
def test_a_bad_row_is_told_by_file_line_column_and_reason(
    database: Database, folder: Path, part: int
) -> None:
    heard: dict[str, list[str]] = {}
    expected: dict[str, list[str]] = {}
    for name, record, reason in BAD_EVENTS[part::3]:
        text = (
            f"{EVENT_COLUMNS}\n"
            # A record of two lines, so that lines and records differ.
            f'{E1},{ANNA},{SHOP},"log\nin",,2025-03-01\n'
            f"{record}\n"
            f"{E2},{BERT},{BANK},login,,2025-03-01\n"
        )
        write(folder, "customer_events.csv", text.encode("utf-8", "surrogateescape"))
        heard[name] = told(database, folder)
        expected[name] = [f"customer_events.csv:4: {reason}"]
    assert heard == expected
    assert len(heard) == len(BAD_EVENTS[part::3]), "a name stands for two"
    # With that record right, the others come in.
    write(folder, "customer_events.csv", EVENTS)
    load(database, folder)


def test_the_first_bad_rows_are_told_and_all_are_counted(database: Database, folder: Path) -> None:
    good = f"{BERT},{BANK},BLOCKED,2025-03-02T08:00:00Z\n"
    write(folder, "customers.csv", CUSTOMERS + "x,y,z\n" + good + f"x,y,z,{'long' * 100}\n" + "a\n")
    bad = "".join(f"bad{n},,,login,soon\n" for n in range(50))
    write(folder, "customer_events.csv", EVENTS + bad)
    error = refused(database, folder)
    problems = [str(problem) for problem in error.problems]
    assert problems[:5] == [
        "customers.csv:4: 3 fields, but the header has 4",
        "customers.csv:6: customer_id: not a UUID: 'x'",
        "customers.csv:6: consumer_id: not a UUID: 'y'",
        f"customers.csv:6: {_NOT_A_TIME}: '{'long' * 20}…'",
        "customers.csv:7: 1 field, but the header has 4",
    ]
    assert problems[5] == "customer_events.csv:4: event_id: not a UUID: 'bad0'"
    assert len(problems) == importer.MOST_PROBLEMS
    assert error.total == 5 + 100
    assert str(error).endswith("3 fields, but the header has 4 (and 104 more)")


_NAME_IT_SO = "name it so, or leave it out"
HEADERS: list[tuple[str | bytes, str]] = [
    ("", "customers.csv: is empty; its first line must name the columns"),
    ("\n", "customers.csv:1: the first line is blank; it must name the columns"),
    (
        "customer_id,status\n",
        "customers.csv:1: no column consumer_id, created_at; the header has customer_id, status",
    ),
    (
        CUSTOMERS.replace(",", ";"),
        (
            "customers.csv:1: no column customer_id, consumer_id, created_at; the header has "
            "customer_id;consumer_id;status;created_at; fields must be separated by commas"
        ),
    ),
    (
        "customer_id,consumer_id,status,created_at,status\n",
        "customers.csv:1: the header names status twice",
    ),
    (
        CUSTOMERS.encode("utf-16"),
        "customers.csv:1: the header is not UTF-8; save the file as UTF-8",
    ),
    (
        gzip.compress(CUSTOMERS.encode()),
        "customers.csv: is gzip; name it customers.csv.gz",
    ),
    *(
        (
            CUSTOMERS.replace(name, other, 1),
            f"customers.csv:1: the header's {other!r} is nearly {name}; {_NAME_IT_SO}",
        )
        for name, other in (
            ("status", "Status"),
            ("status", "STATUS"),
            ("status", "statuss"),
            ("status", "status:"),
        )
    ),
    (
        CUSTOMERS.replace("customer_id,consumer_id", "Customer_ID,consumerId", 1),
        (
            "customers.csv:1: no column customer_id, consumer_id; the header has Customer_ID, "
            "consumerId, status, created_at; Customer_ID must read customer_id, "
            "consumerId must read consumer_id"
        ),
    ),
    (
        CUSTOMERS.replace("created_at", "created at", 1),
        (
            "customers.csv:1: no column created_at; the header has customer_id, consumer_id, "
            "status, created at; created at must read created_at"
        ),
    ),
]


def test_headers_that_cannot_be_used(database: Database, folder: Path) -> None:
    for content, reason in HEADERS:
        write(folder, "customers.csv", content)
        assert told(database, folder) == [reason]


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("payload", "payload_json"),
        ("Payload_JSON", "payload_json"),
        ("payload json", "payload_json"),
        ("customer", "customer_id"),
        ("customerId", "customer_id"),
    ],
)
def test_a_column_that_is_nearly_a_known_one_is_not_passed_over(
    database: Database, folder: Path, other: str, name: str
) -> None:
    """Its table's default would stand for what the file says."""
    header = f"event_id,consumer_id,event_type,created_at,{other}\n"
    write(folder, "customer_events.csv", header + f"{E1},{SHOP},login,2025-03-01,\n")
    assert told(database, folder) == [
        f"customer_events.csv:1: the header's {other!r} is nearly {name}; {_NAME_IT_SO}"
    ]


def test_columns_that_people_have_besides_are_named_and_ignored(
    database: Database, folder: Path
) -> None:
    others = ["created_by", "customer_type", "state", "full_name", "Status_Code", "deleted_at"]
    rows = [
        ("customer_id", "consumer_id", "created_at", "Status", "status", *others),
        (ANNA, SHOP, "2025-03-01", "OLD", "ACTIVE", *others),
    ]
    write(folder, "customers.csv", as_csv(rows))
    report = load(database, folder)
    assert report.tables[1].ignored_columns == ["Status", *others]
    assert database.rows("select status from customers") == [("ACTIVE",)]


@pytest.mark.both_versions
def test_times_that_are_written_in_digits_mean_what_they_say(
    database: Database, folder: Path
) -> None:
    times = {
        "2025-10-01T12:00:00Z": "2025-10-01 12:00:00",
        "2025-10-01t12:00:00z": "2025-10-01 12:00:00",
        "2025-10-01 12:00": "2025-10-01 12:00:00",
        "2025-10-01": "2025-10-01 00:00:00",
        "2025-10-01 12:00:00 UTC": "2025-10-01 12:00:00",
        "2025-10-01 12:00:00.5+02": "2025-10-01 10:00:00.5",
        "2025-10-01T12:00:00+0230": "2025-10-01 09:30:00",
        "2025-10-01T12:00:00-02:30": "2025-10-01 14:30:00",
        "2025-10-01 12:00:00 -0230": "2025-10-01 14:30:00",
        "1890-10-01 12:00:00+00:53:28": "1890-10-01 11:06:32",
        "2025-10-01T12:00Z": "2025-10-01 12:00:00",
        "2025-10-01T12:00:00.123456789Z": "2025-10-01 12:00:00.123457",
        # The midnight that ends the day.
        "2025-10-01T24:00:00Z": "2025-10-02 00:00:00",
        "2025-10-01 12:00:00  ": "2025-10-01 12:00:00",
    }
    rows = [(uuid.UUID(int=n), SHOP, "login", text) for n, text in enumerate(times, 1)]
    header = ("event_id", "consumer_id", "event_type", "created_at")
    write(folder, "customer_events.csv", as_csv([header, *rows]))
    load(database, folder)
    stored = database.rows(
        "select created_at::timestamp::text from customer_events order by event_id"
    )
    assert dict(zip(times, [one for (one,) in stored], strict=True)) == times


@pytest.mark.parametrize("name", ["customers.csv", "customers.csv.gz"])
@pytest.mark.parametrize("quoted", [False, True])
def test_byte_order_marks_are_read_over_however_many(
    database: Database, folder: Path, name: str, quoted: bool
) -> None:
    (folder / "customers.csv").unlink()
    text = CUSTOMERS.replace("customer_id", '"customer_id"', 1) if quoted else CUSTOMERS
    write(folder, name, "\ufeff\ufeff" + text)
    assert counts(load(database, folder))["customers"] == (2, 2, 0, 0, 0)


def test_a_file_behind_another_with_its_mark_has_the_header_again(
    database: Database, folder: Path
) -> None:
    write(folder, "customers.csv", CUSTOMERS + "\ufeff" + CUSTOMERS)
    assert told(database, folder)[0] == "customers.csv:4: the header again"


def test_gzip_that_is_none_or_damaged(database: Database, folder: Path) -> None:
    (folder / "customers.csv").unlink()
    path = folder / "customers.csv.gz"
    path.write_text(CUSTOMERS)
    assert told(database, folder) == ["customers.csv.gz: is not gzip, whatever its name says"]
    rows = CUSTOMERS + "".join(
        f"{uuid.UUID(int=n)},{SHOP},ACTIVE,2025-03-01\n" for n in range(1000, 9000)
    )
    whole = gzip.compress(rows.encode())
    path.write_bytes(whole[: len(whole) // 2])
    (problem,) = refused(database, folder).problems
    assert "the gzip data ends too early" in str(problem)
    assert int(str(problem).split(":")[1]) > 1000
    path.write_bytes(whole[:2000] + b"\0" * 200 + whole[2200:])
    (problem,) = refused(database, folder).problems
    assert "the gzip data is damaged: " in str(problem)
    path.write_bytes(whole + b"trailing")
    (problem,) = refused(database, folder).problems
    assert "what follows the gzip data is none; was something appended?" in str(problem)


def test_a_row_that_the_users_own_table_refuses(database: Database, folder: Path) -> None:
    database.execute(
        "alter table customer_events add check (event_type <> 'forbidden'), "
        "alter event_type type varchar(12)"
    )
    rows = [
        (uuid.UUID(int=n), ANNA, SHOP, "login", "2025-03-01T00:00:00Z") for n in range(1000, 3000)
    ]
    header = ("event_id", "customer_id", "consumer_id", "event_type", "created_at")
    rows[1234] = (*rows[1234][:3], "forbidden", rows[1234][4])
    write(folder, "customer_events.csv", as_csv([header, *rows]))
    (problem,) = refused(database, folder).problems
    assert isinstance(problem, csv_reader.ImportProblem)
    assert (problem.file, problem.line) == ("customer_events.csv", 1236)
    assert "violates check constraint" in problem.reason
    rows[1234] = (*rows[1234][:3], "much too long a type", rows[1234][4])
    write(folder, "customer_events.csv", as_csv([header, *rows]))
    (problem,) = told(database, folder)
    assert problem == (
        "customer_events.csv:1236: table customer_events refuses it: "
        "value too long for type character varying(12)"
    )
    database.execute(
        "alter table customer_events alter event_type type text; "
        "create index on customer_events (event_type)"
    )
    # Too long for the index, however it is compressed.
    long = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(6000))
    rows[1234] = (*rows[1234][:3], long, rows[1234][4])
    write(folder, "customer_events.csv", as_csv([header, *rows]))
    (problem,) = told(database, folder)
    assert problem.startswith("customer_events.csv:1236: table customer_events refuses it: index")


_OTHER_MEANS = "fill the table by other means, or offer a file that says the same"
GENERATED = """
    alter table customers drop column updated_at, drop column status cascade;
    alter table customers
        add updated_at timestamptz generated always as (created_at) stored,
        add status text generated always as (
            case when consumer_id is null then 'LOST' else 'ACTIVE' end
        ) stored
    """


def test_what_the_table_works_out_itself_is_left_to_it(database: Database, folder: Path) -> None:
    database.execute(GENERATED)
    text = CUSTOMERS.replace("BLOCKED", "").replace("created_at", "created_at,updated_at")
    text = text.replace("08:00:00Z\n", "08:00:00Z,\n")
    write(folder, "customers.csv", text)
    assert counts(load(database, folder))["customers"] == (2, 2, 0, 0, 0)
    assert database.rows("select status, updated_at = created_at from customers") == [
        ("ACTIVE", True),
        ("ACTIVE", True),
    ]
    # What the table has made is no other content than nothing.
    assert counts(load(database, folder))["customers"] == (2, 0, 2, 0, 0)


@pytest.mark.parametrize("known", [False, True])
def test_what_the_table_works_out_otherwise_is_told_by_line(
    database: Database, folder: Path, known: bool
) -> None:
    if known:
        write(folder, "customers.csv", CUSTOMERS.replace("BLOCKED", "ACTIVE").rsplit("\n", 2)[0])
        load(database, folder)
        database.execute("delete from customer_events; delete from consumers")
    database.execute(GENERATED)
    write(folder, "customers.csv", CUSTOMERS)
    (problem,) = told(database, folder)
    assert problem == (
        "customers.csv:3: status: table customers works this column out itself, as 'ACTIVE'; "
        f"{_OTHER_MEANS}: 'BLOCKED'"
    )


def test_what_a_table_below_a_view_works_out_is_told_by_file(
    database: Database, folder: Path
) -> None:
    database.execute(
        GENERATED + "; alter table customers rename to the_customers; "
        "create view customers as select * from the_customers"
    )
    assert told(database, folder) == [
        f'customers.csv:1: cannot insert a non-DEFAULT value into column "status"; {_OTHER_MEANS}'
    ]


def test_folders_that_cannot_be_used(database: Database, folder: Path, tmp_path: Path) -> None:
    def reason(directory: Path) -> str:
        with pytest.raises(UsageError) as caught:
            load(database, directory)
        return str(caught.value).replace(str(tmp_path), "…")

    assert reason(tmp_path / "nowhere") == "…/nowhere: No such file or directory"
    assert reason(folder / "customers.csv") == "…/files/customers.csv: Not a directory"
    assert reason(tmp_path) == (
        "… has none of consumers.csv, customers.csv, customer_events.csv (each may end in .gz)"
    )
    write(folder, "customers.csv.gz", CUSTOMERS)
    assert reason(folder) == (
        "…/files has both customers.csv and customers.csv.gz; remove one of them"
    )
    (folder / "customers.csv.gz").unlink()
    (folder / "customers.csv").rename(folder / "Customers.CSV")
    assert reason(folder) == (
        "…/files has no customers.csv, but Customers.CSV; "
        "rename it, or move it away to import without"
    )
    (folder / "Customers.CSV").unlink()
    (folder / "customer_events.csv").rename(folder / "Customer_Events.csv")
    assert reason(folder) == (
        "…/files has no customer_events.csv, but Customer_Events.csv; "
        "rename it, or move it away to import without"
    )
    # An older copy of a file that is there is no other table's.
    (folder / "Customer_Events.csv").unlink()
    write(folder, "customers.csv", CUSTOMERS)
    write(folder, "customers_old.csv", CUSTOMERS)
    load(database, folder)


def test_a_schema_or_source_that_is_not_as_it_must_be(
    database: Database, empty_database: Database, folder: Path
) -> None:
    with pytest.raises(SchemaError):
        load(empty_database, folder)
    database.execute("alter table customer_events drop column payload_json")
    with pytest.raises(SourceError, match="no column payload_json"):
        load(database, folder)


# -- all or nothing ------------------------------------------------------------


def many_events(folder: Path, number: int) -> None:
    with (folder / "customer_events.csv").open("w") as file:
        file.write("event_id,customer_id,consumer_id,event_type,created_at\n")
        for n in range(number):
            clock = f"{n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}"
            file.write(f"{n:032x},{ANNA},{SHOP},login,2025-01-01T{clock}Z\n")


@pytest.mark.parametrize(
    "statement", lanes.first(1, ["ingest/importer/insert-new", "ingest/importer/copy"])
)
def test_killed_in_the_middle_nothing_is_left(
    database: Database, folder: Path, statement: str
) -> None:
    many_events(folder, 200_000)
    kill_during(database, statement, "import", folder)
    assert database.rows(COUNTS) == [(0, 0, 0)]
    assert counts(load(database, folder))["customer_events"] == (200_000, 200_000, 0, 0, 0)


@pytest.mark.long
def test_a_run_that_ends_while_an_import_is_open_loses_no_row(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It processes up to the import's beginning, and so past rows that it cannot see."""
    impatient = database.settings.replaced({"holdback_wait": 0.0})
    invalidate = importer.invalidate_extracts

    def a_run_comes_first(connection: Connection) -> dt.datetime:
        with connected(impatient, "run") as other:
            summary = run.run(other, impatient).as_json()
        assert "import" in summary["held_back_by"][0]["application_name"]
        return invalidate(connection)

    monkeypatch.setattr(importer, "invalidate_extracts", a_run_comes_first)
    load(database, folder)
    figures_equal_a_recount(database)


def test_a_run_that_extracted_before_an_import_extracts_again(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = database.settings.replaced({"holdback_wait": 0.0})
    invalidate = importer.invalidate_extracts
    opened = []

    def a_run_extracts_first(connection: Connection) -> dt.datetime:
        with connected(impatient, "run") as other:
            opened.append(run.open_run(other, impatient, at=None))
            extract.customers(other, impatient, opened[0])
            extract.events(other, impatient, opened[0])
        return invalidate(connection)

    monkeypatch.setattr(importer, "invalidate_extracts", a_run_extracts_first)
    load(database, folder)
    said: list[str] = []
    with connected(impatient, "run") as other:
        run_load.load(other, impatient, opened[0], said.append)
    assert any("stale" in line for line in said)
    figures_equal_a_recount(database)


def figures_equal_a_recount(database: Database) -> None:
    """Run once more, and compare every snapshot with what the source says now."""
    with connected(database.settings, "run") as connection:
        run.run(connection, database.settings)
    with database.connect() as connection:
        sources = oracle.Sources(connection)
        stamps = connection.execute(
            "select distinct snapshot_timestamp from consumer_analytics order by 1"
        ).fetchall()
        assert len(stamps) == 2
        for (at,) in stamps:
            stored = oracle.without_window(oracle.stored(connection, at))
            assert stored == oracle.without_window(oracle.snapshot(sources, at))
            assert stored[None]["total_events_all_consumers"] == 2


def peak_of_an_import(database: Database, folder: Path) -> tuple[int, str]:
    """Import in a process of its own; return its most memory, in MiB, and what it was told."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from consumer_analytics.db.connection import connected\n"
        "from consumer_analytics.errors import ImportRefusedError\n"
        "from consumer_analytics.ingest.importer import import_directory\n"
        "from consumer_analytics.settings import settings\n"
        "try:\n"
        "    with connected(settings(), 'import', writes_sources=True) as connection:\n"
        "        import_directory(connection, settings(), Path(sys.argv[1]))\n"
        "except ImportRefusedError as error:\n"
        "    print(error, file=sys.stderr)\n"
        # The kernel's ru_maxrss would begin with what the test's own process had at the fork.
        "lines = Path('/proc/self/status').read_text().splitlines()\n"
        "print(*(line.split()[1] for line in lines if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run(
        [str(COMMAND.with_name("python")), "-c", script, str(folder)],
        env=command_environment({"CONSUMER_ANALYTICS_DATABASE_URL": database.url}),
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout) // 1024, done.stderr.strip()


@lanes.LONG
def test_memory_stays_flat(database: Database, folder: Path) -> None:
    peaks = []
    for number in (10_000, 200_000):
        many_events(folder, number)
        peaks.append(peak_of_an_import(database, folder)[0])
    small, large = peaks
    assert large < 200
    assert large - small < 40


LONG_LINES = {
    "a field": (b"x", "a record longer than 12 MiB begins here"),
    "fields": (b",", "a record longer than 12 MiB begins here"),
    "quoted lines": (b'"\n",', "a record longer than 12 MiB begins here"),
    "a quote that never ends": (b"x\n", "a field longer than 8 MiB; is a quote never closed?"),
}


@pytest.mark.parametrize("kind", lanes.first(1, LONG_LINES))
@pytest.mark.parametrize("place", lanes.first(1, ["row", "header"]))
def test_a_long_line_is_refused_before_it_is_held(
    database: Database, folder: Path, kind: str, place: str
) -> None:
    (folder / "customers.csv").unlink()
    unit, reason = LONG_LINES[kind]
    before = CUSTOMERS.encode() if place == "row" else b""
    before += b'"' if kind == "a quote that never ends" else b""
    with gzip.open(folder / "customers.csv.gz", "wb", 1) as file:
        file.write(before)
        for _ in range(200):
            file.write(unit * (2**20 // len(unit)))
    assert (folder / "customers.csv.gz").stat().st_size < 5 * 2**20
    peak, said = peak_of_an_import(database, folder)
    assert said == f"nothing was imported: customers.csv.gz:{4 if place == 'row' else 1}: " + (
        reason
        if "quote" in reason
        else f"{reason}; are its lines ended by line feeds, and is a quote never closed?"
    )
    assert peak < 150
    assert database.rows(COUNTS) == [(0, 0, 0)]


@pytest.mark.long
def test_many_long_rows_are_taken_a_few_at_a_time(database: Database, folder: Path) -> None:
    payload = json.dumps({"text": "x" * (4 * 2**20)})
    with (folder / "customer_events.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(EVENT_COLUMNS.split(","))
        for number in range(300):
            writer.writerow([uuid.UUID(int=number), ANNA, SHOP, "login", "{}", "2025-03-01"])
        for number in range(300, 312):
            writer.writerow([uuid.UUID(int=number), ANNA, SHOP, "login", payload, "2025-03-01"])
    peak, said = peak_of_an_import(database, folder)
    assert said == ""
    assert peak < 150
    assert database.rows("select count(*) from customer_events") == [(312,)]


def test_what_is_no_file_is_refused_at_once(database: Database, folder: Path) -> None:
    path = folder / "customers.csv"
    path.unlink()
    os.mkfifo(path)
    assert told(database, folder) == ["customers.csv: is a pipe, not a file"]
    (folder / "pipe").symlink_to("customers.csv")
    path.rename(folder / "a pipe")
    for aim, kind in (("a pipe", "a pipe"), ("/dev/zero", "a device"), (".", "a folder")):
        path.symlink_to(aim)
        assert told(database, folder) == [f"customers.csv: is {kind}, not a file"]
        path.unlink()
    path.symlink_to("nowhere")
    assert told(database, folder) == ["customers.csv: cannot be read: No such file or directory"]
    path.unlink()
    path.mkdir()
    assert told(database, folder) == ["customers.csv: is a folder, not a file"]
    path.rmdir()
    with socket.socket(socket.AF_UNIX) as listening, contextlib.chdir(folder):
        listening.bind("customers.csv")
    assert told(database, folder) == ["customers.csv: is a socket, not a file"]


def test_a_link_to_a_file_is_followed(database: Database, folder: Path) -> None:
    (folder / "customers.csv").rename(folder / "export-2025.csv")
    (folder / "customers.csv").symlink_to("export-2025.csv")
    assert counts(load(database, folder))["customers"] == (2, 2, 0, 0, 0)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("root:$6$salt$hash:19000:0\n", ":1: no column customer_id, consumer_id, created_at"),
        (
            CUSTOMERS.replace("status", "status,hash", 1).replace("ACTIVE", "ACTIVE,$6$salt"),
            ":3: 4 fields, but the header has 5",
        ),
        (CUSTOMERS.replace(ANNA, "$6$salt"), ":2: customer_id: not a UUID"),
        (CUSTOMERS.replace(BERT, ANNA).replace("BLOCKED", "$6$salt"), ":3: customer_id: line 2"),
        (CUSTOMERS.replace("ACTIVE", "\udcff$6$salt"), ":2: status: not UTF-8"),
    ],
)
def test_what_a_link_leads_to_is_not_told(
    cli: Cli, folder: Path, tmp_path: Path, secret: str, reason: str
) -> None:
    (tmp_path / "shadow").write_bytes(secret.encode(errors="surrogateescape"))
    (folder / "customers.csv").unlink()
    (folder / "customers.csv").symlink_to(tmp_path / "shadow")
    for options in ([], ["--json"]):
        done = cli("import", *options, str(folder))
        assert done.exit_code == 1
        assert f"customers.csv{reason}" in done.stderr
        for hidden in ("salt", "shadow", ANNA):
            assert hidden not in done.stderr + done.stdout


def test_a_file_that_is_written_meanwhile_is_refused(
    database: Database, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = csv_reader.CsvFile.batches

    def written_to(file: csv_reader.CsvFile) -> Iterator[bytes]:
        yield from batches(file)
        with (folder / "customers.csv").open("a") as other:
            other.write(f"{uuid.UUID(int=99)},{SHOP},ACTIVE,2025-03-01\n")

    monkeypatch.setattr(csv_reader.CsvFile, "batches", written_to)
    assert told(database, folder) == [
        "customers.csv: changed while it was read; import it when it is complete"
    ]


@pytest.mark.parametrize(
    ("begins", "kind"), [(b"PK\x03\x04", "a zip archive"), (b"\xfd7zXZ\0", "xz")]
)
def test_other_ways_of_packing_are_named(
    database: Database, folder: Path, begins: bytes, kind: str
) -> None:
    (folder / "customers.csv").write_bytes(begins + b"\0" * 100)
    assert told(database, folder) == [f"customers.csv: is {kind}; unpack it, or pack it with gzip"]


# -- the command ---------------------------------------------------------------


def test_no_folder_is_not_the_one_that_one_stands_in(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, "consumers.csv", f"consumer_id\n{SHOP}\n")
    monkeypatch.chdir(folder)
    refused = cli("import", "")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: '' is not a folder")
    assert cli("import", ".").exit_code == 0


def test_the_command_prints_a_table(cli: Cli, folder: Path) -> None:
    write(folder, "consumers.csv", "consumer_id,name,colour\n" + f"{SHOP},Shop,red\n")
    result = cli("import", folder)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[1][:6] == ["consumers", "1", "1", "0", "0", "0"]
    assert "consumers.csv: ignored columns: colour" in result.stdout


def test_the_command_reports_as_json(cli: Cli, folder: Path) -> None:
    cli("import", folder)
    write(folder, "customers.csv", CUSTOMERS.replace("ACTIVE", "CLOSED"))
    report = cli("import", folder, "--json").json
    assert [table["table"] for table in report["tables"]] == [
        "consumers",
        "customers",
        "customer_events",
    ]
    customers = report["tables"][1]
    assert customers.pop("seconds") > 0
    assert customers == {
        "table": "customers",
        "file": "customers.csv",
        "rows_read": 2,
        "inserted": 0,
        "already_there": 1,
        "different": 1,
        "repeated": 0,
        "first_different_line": 2,
        "ignored_columns": [],
    }


def test_the_command_tells_bad_rows(cli: Cli, folder: Path) -> None:
    write(folder, "customers.csv", CUSTOMERS + "x,,,\n")
    result = cli("import", folder)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "customers.csv:4: customer_id: not a UUID: 'x'",
        "customers.csv:4: created_at: a value is required",
    ]
    assert result.stderr.splitlines()[-1] == (
        "error: nothing was imported: customers.csv:4: customer_id: not a UUID: 'x' (and 1 more)"
    )
    result = cli("import", folder, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "problems": [
            {
                "file": "customers.csv",
                "line": 4,
                "column": "customer_id",
                "reason": "not a UUID",
                "value": "x",
            },
            {
                "file": "customers.csv",
                "line": 4,
                "column": "created_at",
                "reason": "a value is required",
                "value": None,
            },
        ],
        "total_problems": 2,
    }


def test_consumers_without_a_time_are_taken_to_have_always_been_there(
    cli: Any, database: Any, tmp_path: Path
) -> None:
    (tmp_path / "consumers.csv").write_text(f"consumer_id,name\n{uuid.uuid4()},Quiet\n")
    assert cli("import", tmp_path).exit_code == 0
    assert cli("run", "--as-of", "2012-01-01").exit_code == 0
    assert database.rows(
        "select metrics_json -> 'total_events' from consumer_analytics "
        "where consumer_id is not null"
    ) == [(0,)]
