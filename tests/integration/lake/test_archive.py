"""Archived, purged, and all figures as they would have been: what an archive is for.

Two databases have the same history; from one of them days are archived and purged. What happens
then happens to both, and whatever they tell has to be the same.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli
from tests.support import lanes, own_names, sail
from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ArchiveError, UsageError
from consumer_analytics.etl import capture, run, vanished
from consumer_analytics.fields import Secret
from consumer_analytics.ingest import simulate
from consumer_analytics.lake.engine import duck
from consumer_analytics.operations.archive import ArchiveResult, archive
from consumer_analytics.operations.doctor.archive import readable
from consumer_analytics.operations.doctor.findings import Context, Finding, Verdict
from consumer_analytics.reconcile import audit, sweep

BEGIN = dt.datetime(2025, 3, 20, tzinfo=dt.UTC)
END = dt.datetime(2025, 4, 20, tzinfo=dt.UTC)
FIRST_DAY = BEGIN.date()
THROUGH = dt.date(2025, 4, 8)
PUT = (
    "insert into customer_events (event_id, customer_id, consumer_id, event_type, payload_json, "
    "created_at) values (%s, %s, %s, %s, %s, %s)"
)
#: Its clocks were put forward on one of these days.
CUTTING = "Europe/Berlin"
HOUR = dt.timedelta(hours=1)
A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)


class Pair:
    """A database that is archived and purged, and one to which nothing of that happens."""

    def __init__(self, lake: Any, other: Any) -> None:
        self.lake, self.other = lake, other

    def __iter__(self) -> Iterator[Any]:
        return iter((self.lake, self.other))

    def each(self, do: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        for database in self:
            do(database, *arguments, **named)

    def same(self) -> None:
        """Hold what both tell to each other, and what the audits find."""
        mine, theirs = map(shown, self)
        unlike = [key for key in mine | theirs if mine.get(key) != theirs.get(key)]
        if unlike:
            key = min(unlike, key=lambda key: (key[1], str(key[0])))
            print(len(unlike), key, mine.get(key), theirs.get(key), sep="\n")
        assert unlike == []
        found, others = map(differing, self)
        assert found == others

    def clean(self) -> None:
        """Hold both to each other, and each to its audit."""
        self.same()
        self.each(clean)


@pytest.fixture
def pair(new_database: Any, tmp_path: Path) -> Pair:
    """Two databases; the archive's folder has a name that has to be quoted everywhere."""
    return Pair(new_database(lake_url=(tmp_path / "lake it's").as_uri()), new_database())


def fill(database: Any, seed: int) -> None:
    """Fill with a random history, and customers of whom no creation tells."""
    rng = random.Random(seed)
    with database.connect() as connection:
        random_history(connection, rng, BEGIN, END, customers=40, events=300)
        for place in range(12):
            customer = uuid.UUID(int=rng.getrandbits(128))
            for _ in range(rng.randrange(1, 9)):
                kind = rng.choice(["login", "pay", "customer_deletion", None])
                values = [rng.choice([A, B, None]), kind, json.dumps({"status": "ACTIVE"})]
                at = BEGIN + rng.randrange(int((END - BEGIN) / HOUR)) * HOUR
                event = uuid.UUID(int=rng.getrandbits(128))
                connection.execute(PUT, [event, customer, *values, at])
            if place % 3 == 0:
                connection.execute(
                    "insert into customers (customer_id, consumer_id, status, created_at) "
                    "values (%s, %s, 'ACTIVE', %s)",
                    [customer, A, BEGIN + place * HOUR],
                )


def go(database: Any, at: dt.datetime) -> None:
    with database.session("run") as connection:
        run.run(connection, database.settings, at=at)


def archived(database: Any, through: dt.date = THROUGH) -> ArchiveResult:
    with database.session("archive") as connection:
        return archive(connection, database.settings, through)


def purge(database: Any, where: str = "created_at < '2025-04-09'") -> int:
    with database.connect() as connection:
        gone: int = connection.execute(f"delete from customer_events where {where}").rowcount
        return gone


def filled_in(database: Any, zone: str = "UTC") -> None:
    """Backfill all days of a zone: where it is not UTC, each instant cuts a UTC day in two."""
    with database.session("backfill") as connection:
        request = backfill.request_of(BEGIN.date(), END.date(), "daily")
        backfill.backfill(connection, replace(database.settings, timezone=zone), request)


def swept(database: Any, since: dt.date = FIRST_DAY) -> sweep.SweepResult:
    with database.session("sweep") as connection:
        return sweep.sweep(connection, database.settings, since=since)


def reset(database: Any) -> None:
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")


def differing(database: Any) -> list[Any]:
    with database.session("audit") as connection:
        found = audit.audit(connection, database.settings, limit=10_000)
        return sorted(map(str, found.listed))


def clean(database: Any) -> None:
    with database.session("audit") as connection:
        found = audit.audit(connection, database.settings)
        assert (found.differences, found.listed) == (0, [])
        assert vanished.total(connection) == 0


def shown(database: Any) -> dict[Any, str]:
    return {
        (consumer, at): text
        for consumer, at, text in database.rows(
            "select consumer_id, snapshot_timestamp, metrics_json::text from consumer_analytics"
        )
    }


def forget_snapshots(database: Any) -> None:
    database.execute(
        "delete from consumer_analytics; delete from consumer_analytics_revisions; "
        "delete from consumer_analytics_internal.written_snapshots; "
        "delete from consumer_analytics_internal.written_apart"
    )


def live_on(database: Any, seed: int) -> None:
    """Let customers of the archive's days go, change and come back, with and without events."""
    rng = random.Random(1000 + seed)
    with database.connect() as connection:
        rows = connection.execute(
            "select customer_id, consumer_id, status from customers order by customer_id"
        ).fetchall()
        for customer, consumer, status in rng.sample(rows, min(18, len(rows))):
            event, at = uuid.UUID(int=rng.getrandbits(128)), END + rng.randrange(1, 20) * HOUR
            kind = rng.choice(["customer_deletion", "customer_status_change"])
            told = {"status": status, "old_status": status, "new_status": "BLOCKED"}
            owner = rng.choice([consumer, None])
            connection.execute(PUT, [event, customer, owner, kind, json.dumps(told), at])
            if kind == "customer_deletion":
                connection.execute("delete from customers where customer_id = %s", [customer])
            else:
                connection.execute(
                    "update customers set status = 'BLOCKED' where customer_id = %s", [customer]
                )


@pytest.mark.parametrize("seed", lanes.first(1, range(6), long=1))
def test_what_is_archived_and_purged_is_missed_by_nothing(pair: Pair, seed: int) -> None:
    pair.each(fill, seed)
    pair.each(go, BEGIN + dt.timedelta(days=9, hours=5))
    pair.each(go, END)
    done = archived(pair.lake)
    assert purge(pair.lake) == done.rows > 0
    pair.each(filled_in)
    pair.clean()
    pair.each(live_on, seed)
    pair.each(go, END + dt.timedelta(days=1))
    # Without capture a run knows nothing of the past of whose row has gone: both the same.
    pair.same()
    pair.each(swept)
    pair.clean()
    pair.each(filled_in, CUTTING)
    pair.each(reset)
    pair.each(go, END + dt.timedelta(days=2))
    pair.clean()


def test_a_backfill_from_nothing_but_the_lake_is_equal(pair: Pair) -> None:
    pair.each(fill, 3)
    pair.each(go, END)
    archived(pair.lake)
    purge(pair.lake)
    pair.each(forget_snapshots)
    pair.each(filled_in, CUTTING)
    pair.clean()


def test_all_is_the_same_where_a_spark_connect_server_reads(
    new_database: Any, tmp_path: Path, sail_server: sail.Server
) -> None:
    lake = new_database(
        lake_url=(tmp_path / "lake").as_uri(), spark_remote=sail_server.remote, sweep_days=5
    )
    pair = Pair(lake, new_database(sweep_days=5))
    pair.each(fill, 3)
    pair.each(go, END)
    archived(lake)
    assert examined(lake).verdict is Verdict.OK
    purge(lake)
    (payer,) = pair.other.rows(
        "select customer_id from customer_events where event_type = 'pay' "
        "and customer_id is not null order by created_at limit 1"
    )[0]
    pair.each(late_rows, payer)
    pair.each(swept, BEGIN.date() - dt.timedelta(days=30))
    pair.clean()
    assert archived(lake).late_rows > 0
    purge(lake)
    pair.each(forget_snapshots)
    pair.each(filled_in, CUTTING)
    pair.clean()
    lake.execute("update consumer_analytics_internal.archived_counts set n = n + 3")
    with lake.session("audit") as connection:
        audit.repair(connection, lake.settings, audit.audit(connection, lake.settings))
    pair.clean()


def test_a_server_that_is_away_is_a_line_and_changes_nothing(pair: Pair) -> None:
    lake = pair.lake
    pair.each(fill, 3)
    pair.each(go, END)
    archived(lake)
    purge(lake)
    away = replace(lake, settings=replace(lake.settings, spark_remote=Secret("sc://127.0.0.1:1")))
    cli = partial(
        Cli(lake),
        env={
            "CONSUMER_ANALYTICS_LAKE_URL": lake.settings.lake_url,
            "CONSUMER_ANALYTICS_SPARK_REMOTE": "sc://127.0.0.1:1/;token=hush;use_ssl=true",
            "CONSUMER_ANALYTICS_TIMEZONE": CUTTING,
        },
    )
    told = "error: the Spark Connect server at 127.0.0.1:1 does not answer\n"
    days = ("--start-date", "2025-03-21", "--end-date", "2025-04-01")
    for command in (("audit",), ("backfill", *days)):
        refused = cli(*command)
        assert (refused.exit_code, refused.stderr[-len(told) :]) == (1, told)
        assert "hush" not in refused.stderr + refused.stdout
    found = examined(away)
    assert found.verdict is Verdict.WARNING
    assert "127.0.0.1:1 does not answer" in found.says
    pair.clean()


def late_rows(database: Any, payer: uuid.UUID) -> int:
    """Let rows come late to days that were archived: of each kind that concerns lives."""
    with database.connect() as connection:
        customers = connection.execute(
            "select customer_id, consumer_id from customers where created_at < '2025-04-01' "
            "and created_at > '2025-03-22' order by customer_id limit 3"
        ).fetchall()
        told = json.dumps({"status": "ACTIVE"})
        kinds = ["login", "customer_deletion", "customer_creation"]
        for place, ((customer, consumer), kind) in enumerate(zip(customers, kinds, strict=True)):
            at = dt.datetime(2025, 4, 3, 7, tzinfo=dt.UTC) + place * HOUR
            connection.execute(PUT, [uuid.UUID(int=place), customer, consumer, kind, told, at])
        moved = [uuid.UUID(int=0xD0), uuid.UUID(int=0xC1), B, "login", told]
        connection.execute(PUT, [*moved, dt.datetime(2025, 4, 3, 1, tzinfo=dt.UTC)])
        connection.execute(
            PUT, [uuid.UUID(int=0xD1), payer, A, "login", told, BEGIN - 9 * 24 * HOUR]
        )
    return len(kinds) + 2


@pytest.mark.parametrize("seed", lanes.first(1, range(4), long=1))
def test_rows_that_come_late_count_once_and_are_archived_next(pair: Pair, seed: int) -> None:
    pair.each(fill, seed)
    pair.each(go, END)
    archived(pair.lake)
    # Once while the rows are there, once when those that came late are the only ones.
    if seed % 2:
        purge(pair.lake)
    (payer,) = pair.other.rows(
        "select customer_id from customer_events where event_type = 'pay' "
        "and customer_id is not null order by created_at limit 1"
    )[0]
    (late,) = {late_rows(database, payer) for database in pair}
    pair.each(swept, BEGIN.date() - dt.timedelta(days=30))
    pair.clean()
    done = archived(pair.lake)
    assert (done.late_rows, done.days) == (late, 0)
    pair.clean()
    purge(pair.lake)
    pair.clean()
    pair.each(live_on, seed)
    pair.each(go, END + dt.timedelta(days=1))
    pair.each(swept)
    pair.each(filled_in, CUTTING)
    pair.clean()


@pytest.mark.parametrize("purges", [False, True])
def test_an_audit_takes_a_late_change_once_though_it_says_what_was_before_it(
    pair: Pair, purges: bool
) -> None:
    customer = uuid.UUID(int=0xC)

    def happens(database: Any, kind: str, day: int, **told: str) -> None:
        values = [uuid.uuid4(), customer, A, kind, json.dumps(told), BEGIN + day * 24 * HOUR]
        with database.connect() as connection:
            connection.execute(PUT, values)

    def lives(database: Any) -> None:
        with database.connect() as connection:
            connection.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                "values (%s, %s, 'ACTIVE', %s)",
                [customer, A, BEGIN],
            )
        happens(database, "customer_status_change", 1, old_status="ACTIVE", new_status="BLOCKED")
        happens(database, "customer_status_change", 9, old_status="BLOCKED", new_status="ACTIVE")

    pair.each(lives)
    for day in (3, 6, 31):
        pair.each(go, BEGIN + day * 24 * HOUR)
    archived(pair.lake)
    if purges:
        purge(pair.lake)
    # Between the two the customer was what this says: told twice, it would lead back to itself.
    late = {"old_status": "ACTIVE", "new_status": "ACTIVE"}
    pair.each(happens, "customer_status_change", 5, **late)
    pair.each(swept)
    pair.clean()


@pytest.mark.parametrize(
    "where",
    ["event_type = 'login' and created_at < '2025-04-05'", "created_at < '2025-04-03 11:00'"],
)
def test_a_purge_of_a_part_is_no_loss_either(pair: Pair, where: str) -> None:
    pair.each(fill, 5)
    pair.each(go, END)
    archived(pair.lake)
    assert purge(pair.lake, where)
    pair.each(go, END + 5 * HOUR)
    pair.each(swept)
    pair.each(filled_in, CUTTING)
    pair.clean()


def test_what_is_purged_beyond_the_archive_has_vanished_and_nothing_else(pair: Pair) -> None:
    pair.each(fill, 5)
    pair.each(go, END)
    archived(pair.lake)
    lost = purge(pair.lake, "created_at < '2025-04-11'") - archived_rows(pair.lake)
    go(pair.lake, END + 5 * HOUR)
    notes = pair.lake.rows(
        "select sum(n), min(since), max(until) from consumer_analytics_internal.vanished_events"
    )
    assert lost > 0
    assert notes == [
        (lost, dt.datetime(2025, 4, 9, tzinfo=dt.UTC), dt.datetime(2025, 4, 11, tzinfo=dt.UTC))
    ]


def test_a_row_that_is_moved_below_the_boundary_counts_where_the_archive_has_it(pair: Pair) -> None:
    pair.each(fill, 5)
    pair.each(go, END)
    archived(pair.lake)
    pair.lake.execute(
        "update customer_events set created_at = created_at + interval '1 day 7 minutes' "
        "where created_at between '2025-04-02' and '2025-04-03 05:00'"
    )
    assert archived(pair.lake).late_rows == 0
    pair.each(reset)
    pair.each(go, END + HOUR)
    pair.each(filled_in, CUTTING)
    pair.clean()


def archived_rows(database: Any) -> int:
    ((rows,),) = database.rows(
        "select sum(rows)::bigint from consumer_analytics_internal.archived_files"
    )
    return int(rows)


def test_with_capture_on_a_purge_is_seen_and_no_loss(pair: Pair) -> None:
    pair.each(fill, 6)
    for database in pair:
        with database.connect() as connection:
            capture.enable(connection, database.settings)
    pair.each(go, END)
    archived(pair.lake)
    purge(pair.lake)
    pair.each(go, END + 5 * HOUR)
    pair.clean()
    pair.each(live_on, 6)
    pair.each(go, END + dt.timedelta(days=1))
    pair.clean()


def test_the_second_archive_writes_nothing_and_one_that_was_killed_is_made_good(pair: Pair) -> None:
    lake = pair.lake
    fill(lake, 2)
    go(lake, END)
    folder = Path(str(lake.settings.home.parent), "lake it's", "customer_events")
    # Killed after the file was there, and before the manifest said so.
    left = folder / "day=2025-03-21" / "part-0001.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    first = archived(lake, dt.date(2025, 3, 31))
    second = archived(lake)
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert len(files) == second.files == first.files + second.days
    (folder / "day=2025-03-21" / "part-0002.parquet").write_bytes(b"half")
    third = archived(lake)
    assert (third.days, third.rows, third.bytes, third.files) == (0, 0, 0, second.files)
    (folder / "day=2025-03-21" / "part-0002.parquet").unlink()
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == files
    assert lake.rows("select count(*) from customer_events where created_at < '2025-04-09'") == [
        (first.rows + second.rows,)
    ]


DRIFTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "gone": (Path.unlink, "part-0001.parquet is gone"),
    "changed": (
        lambda path: path.write_bytes(path.read_bytes()[:-9] + b"x" + path.read_bytes()[-8:]),
        "part-0001.parquet is not what was archived",
    ),
    "one more": (
        lambda path: path.with_name("copy.parquet").write_bytes(path.read_bytes()),
        "copy.parquet is none of the archive's files",
    ),
}


def test_a_file_that_changed_is_refused_by_name_and_runs_go_on(pair: Pair) -> None:
    lake = pair.lake
    fill(lake, 2)
    go(lake, END)
    archived(lake)
    purge(lake)
    path = Path(str(lake.settings.home.parent), "lake it's/customer_events/day=2025-03-28")
    whole = (path / "part-0001.parquet").read_bytes()
    for drift, said in DRIFTS.values():
        drift(path / "part-0001.parquet")
        for does in (clean, lambda one: filled_in(one, CUTTING), archived):
            with pytest.raises(ArchiveError, match=said):
                does(lake)
        # What the database keeps of the files is enough for these.
        reset(lake)
        go(lake, END + HOUR)
        (path / "copy.parquet").unlink(missing_ok=True)
        (path / "part-0001.parquet").write_bytes(whole)
        clean(lake)


def test_days_that_are_not_sure_are_not_archived(pair: Pair) -> None:
    lake = pair.lake
    with pytest.raises(UsageError, match="no run has counted anything"):
        archived(lake)
    fill(lake, 2)
    go(lake, END)
    with pytest.raises(UsageError, match=r"2025-04-13 is still open.* archived is 2025-04-12"):
        archived(lake, dt.date(2025, 4, 13))
    with pytest.raises(UsageError, match="nothing says where to"):
        archived(pair.other)
    values = [uuid.UUID(int=1), None, A, "late", "{}", dt.datetime(2025, 4, 1, tzinfo=dt.UTC)]
    lake.execute(PUT, values)
    with pytest.raises(ArchiveError, match="2025-04-01 is not what was counted, 1 row more"):
        archived(lake)
    # Those before it are archived, whole.
    assert lake.rows("select first_day from consumer_analytics_internal.archive") == [
        (dt.date(2025, 4, 1),)
    ]
    swept(lake)
    purge(lake, "event_type = 'late'")
    swept(lake)
    with pytest.raises(ArchiveError, match="1 event of 2025-04-01 vanished"):
        archived(lake)


def test_without_the_address_nothing_works_on_an_archived_database(pair: Pair) -> None:
    lake = pair.lake
    fill(lake, 2)
    go(lake, END)
    archived(lake)
    forgetful = replace(lake, settings=replace(lake.settings, lake_url=None))
    for does in (clean, swept, filled_in, lambda one: go(one, END + HOUR)):
        with pytest.raises(ArchiveError, match=r"days before 2025-04-09 are archived.*LAKE_URL"):
            does(forgetful)


def examined(database: Any) -> Finding:
    with database.session("doctor") as connection:
        return readable(Context(database.settings, connection))


def test_the_doctor_tells_what_keeps_the_archive_from_being_read(pair: Pair) -> None:
    lake = pair.lake
    assert examined(lake).says == "nothing is archived"
    fill(lake, 2)
    go(lake, END)
    done = archived(lake)
    found = examined(lake)
    assert found == Finding(
        Verdict.OK, f"days before 2025-04-09 are archived, in {done.files} files"
    )
    forgetful = replace(lake, settings=replace(lake.settings, lake_url=None))
    assert "nothing says where" in examined(forgetful).says
    lake.execute(PUT, [uuid.UUID(int=1), None, A, "late", "{}", BEGIN])
    found = examined(lake)
    assert (found.verdict, found.evidence) == (Verdict.WARNING, ("2025-03-20",))
    path = Path(str(lake.settings.home.parent), "lake it's/customer_events/day=2025-03-28")
    (path / "part-0001.parquet").unlink()
    found = examined(lake)
    assert found.verdict is Verdict.PROBLEM
    assert found.says.endswith(f"1 of {done.files} files are gone or of another size")


def test_five_commands_lead_from_rows_to_a_clean_audit(pair: Pair) -> None:
    lake = pair.lake
    cli = partial(Cli(lake), env={"CONSUMER_ANALYTICS_LAKE_URL": lake.settings.lake_url})
    fill(lake, 4)
    lake.execute(PUT, [uuid.UUID(int=0xE), None, A, "login", "{}", "-infinity"])
    assert cli("run", "--as-of", END.isoformat()).exit_code == 0
    told = cli("archive", "--through", "2025-04-08").stdout
    assert "1 row of 0001-01-01 and before, -infinity too: no file holds them" in told
    assert "counted here and there" in told
    assert "all days before 2025-04-09, which may be purged here" in told
    purge(lake, "created_at >= '0001-01-02' and created_at < '2025-04-09'")
    days = ("--start-date", "2025-03-21", "--end-date", "2025-04-19")
    assert cli("backfill", *days).exit_code == 0
    assert cli("audit", "--json").json["clean"] is True
    again = cli("archive", "--through", "2025-04-08", "--json").json
    assert (again["days"], again["rows"], again["first_day"]) == (0, 0, "2025-04-09")
    for day, said in [("2025-13-01", "is not a day"), ("2025-04-19", "is still open")]:
        refused = cli("archive", "--through", day)
        assert (refused.exit_code, said in refused.stderr) == (2, True)
        assert refused.stderr.count("\n") == 1


@pytest.mark.both_versions
def test_times_without_a_zone_and_at_the_ends_are_archived_or_stay(pair: Pair) -> None:
    for database in pair:
        database.execute(
            "alter table customer_events alter created_at drop not null, alter created_at type "
            "timestamp using created_at at time zone 'UTC', alter payload_json type json, "
            "alter event_type type varchar(20000)"
        )
        fill(database, 8)
        for place, at in enumerate(ENDS):
            values = [uuid.UUID(int=place), uuid.UUID(int=0xE), B, f"end {place}", "{}", at]
            database.execute(PUT, values)
    pair.each(go, END)
    assert archived(pair.lake).rows_before_calendar == 3
    purge(pair.lake, "created_at >= '0001-01-02' and created_at < '2025-04-09'")
    assert pair.lake.rows(
        "select count(*) from customer_events where event_type like 'end%%'", []
    ) == [(5,)]
    pair.each(live_on, 8)
    pair.each(go, END + dt.timedelta(days=1))
    pair.each(swept)
    pair.each(filled_in, CUTTING)
    pair.each(reset)
    pair.each(go, END + dt.timedelta(days=2))
    pair.clean()


#: Three are archived: of the calendar's second day, and one with microseconds at a day's end.
ENDS = [
    *("0001-01-02", "0001-01-02 00:00:00.000001", "2025-03-31 23:59:59.999999"),
    *("-infinity", "0044-03-15 12:00 BC", "0001-01-01 12:00", "infinity", None),
]


def test_a_repair_counts_from_the_files_what_was_tampered_with(pair: Pair) -> None:
    lake = pair.lake
    fill(lake, 9)
    go(lake, END)
    archived(lake)
    purge(lake)
    kept = lifecycle_kept(lake)
    for table in ("event_days", "archived_counts"):
        lake.execute(
            f"update consumer_analytics_internal.{table} set n = n + 3 "
            "where day between '2025-03-25' and '2025-03-27'"
        )
    lake.execute(
        "delete from consumer_analytics_internal.archived_events "
        "where event_type = 'customer_status_change'; "
        "update consumer_analytics_internal.archived_events set payload_json = '{}' "
        "where event_type = 'customer_creation'; "
        # One that is in no file.
        "insert into consumer_analytics_internal.archived_events "
        "(event_id, customer_id, event_type, created_at) "
        "values (gen_random_uuid(), gen_random_uuid(), 'customer_deletion', '2025-03-26')"
    )
    with lake.session("audit") as connection:
        found = audit.audit(connection, lake.settings)
        assert found.differences > 0
        audit.repair(connection, lake.settings, found)
    assert lifecycle_kept(lake) == kept
    clean(lake)
    filled_in(lake, CUTTING)
    clean(lake)


def lifecycle_kept(database: Any) -> list[Any]:
    """Return what the database keeps of lifecycle events that are in files."""
    return list(
        database.rows(
            "select event_id, customer_id, event_type, payload_json, created_at "
            "from consumer_analytics_internal.archived_events "
            "where event_type like 'customer!_%' escape '!' order by event_id"
        )
    )


def test_sources_under_names_of_their_own_are_archived_alike(
    new_database: Callable[..., Any], tmp_path: Path
) -> None:
    lake = new_database(
        migrated=False,
        sources_file=own_names.mapping_file(tmp_path),
        lake_url=(tmp_path / "lake").as_uri(),
        sweep_days=2,
    )
    own_names.make_tables(lake)
    schema.migrate(lake.settings)
    plan = simulate.SimulationPlan(
        until=END, consumers=3, customers=60, events=500, days=31, seed=7, event_types=3
    )
    with lake.connect() as connection:
        simulate.simulate(connection, lake.settings, plan)
    go(lake, END)
    for zone in ("UTC", CUTTING):
        filled_in(lake, zone)
    before = shown(lake)
    assert archived(lake, dt.date(2025, 4, 17)).rows > 0
    lake.execute("delete from application.customer_events where created_at < '2025-04-18'")
    clean(lake)
    lake.execute("delete from consumer_analytics where snapshot_timestamp < %s", [END])
    lake.execute("delete from consumer_analytics_internal.deleted_customers")
    for zone in ("UTC", CUTTING):
        filled_in(lake, zone)
    assert shown(lake) == before
    clean(lake)


def test_a_backfill_counts_as_many_rows_as_the_manifest_has(pair: Pair) -> None:
    lake = pair.lake
    fill(lake, 3)
    go(lake, END)
    archived(lake)
    lake.execute(
        "update consumer_analytics_internal.archived_files set rows = rows + 1 "
        "where day = '2025-03-25'"
    )
    before = shown(lake)
    with pytest.raises(
        ArchiveError, match=r"^the archive has [\d,]+ rows of 2\d days, and [\d,]+ "
    ):
        filled_in(lake, CUTTING)
    assert shown(lake) == before


class HeldUp:
    """Lets the first that counts rows of files stop in the middle of its answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stopped, self.goes_on = threading.Event(), threading.Event()
        whole = duck.DuckSession._batches

        def batches(session: Any, statement: str) -> Iterator[Any]:
            found = whole(session, statement)
            if "pieces" in statement and not self.stopped.is_set():
                first = next(found)
                yield first.slice(0, 1)
                self.stopped.set()
                assert self.goes_on.wait(60)
                yield first.slice(1)
            yield from found

        monkeypatch.setattr(duck.DuckSession, "_batches", batches)


def beside(database: Any, work: Callable[[Any], Any]) -> threading.Thread:
    """Let something happen at the same time, in a session of its own."""

    def in_its_session() -> None:
        with connected(database.settings, "test") as connection:
            work(connection)

    thread = threading.Thread(target=in_its_session, daemon=True)
    thread.start()
    return thread


def with_a_purged_past(pair: Pair) -> Any:
    """Return the database with an archive, whose old events are in files alone."""
    pair.each(fill, 3)
    pair.each(go, END)
    archived(pair.lake)
    purge(pair.lake)
    return pair.lake


def test_a_try_that_was_given_up_and_its_retry_count_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = with_a_purged_past(pair)
    cutting = replace(lake.settings, timezone=CUTTING)
    request = backfill.request_of(BEGIN.date(), END.date(), "daily")
    held_up = HeldUp(monkeypatch)
    first = beside(lake, lambda session: backfill.backfill(session, cutting, request))
    assert held_up.stopped.wait(60)
    # Somebody has given it up; it has not heard of that.
    filled_in(lake, CUTTING)
    once = shown(lake)
    held_up.goes_on.set()
    first.join(60)
    assert not first.is_alive()
    assert shown(lake) == once
    filled_in(pair.other, CUTTING)
    pair.clean()


def test_a_repair_that_was_given_up_and_its_retry_count_once(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = with_a_purged_past(pair)
    counts = (
        "select day, consumer_id, event_type, n "
        "from consumer_analytics_internal.archived_counts order by 1, 2, 3"
    )
    true = lake.rows(counts)
    tampered = (
        "update consumer_analytics_internal.{} set n = n + 3 "
        "where day between '2025-03-25' and '2025-03-27'"
    )
    lake.execute(tampered.format("event_days"))
    with lake.session("audit") as connection:
        found = audit.audit(connection, lake.settings)
    assert found.differences
    lake.execute(tampered.format("archived_counts"))
    repair = partial(audit.repair, settings=lake.settings, result=found)
    held_up = HeldUp(monkeypatch)
    first = beside(lake, repair)
    assert held_up.stopped.wait(60)
    retry = beside(lake, repair)
    retry.join(1)
    # It reads no file before the other's transaction has ended.
    assert retry.is_alive()
    assert lake.rows(counts) != true
    held_up.goes_on.set()
    first.join(60)
    retry.join(60)
    assert lake.rows(counts) == true
    pair.clean()
