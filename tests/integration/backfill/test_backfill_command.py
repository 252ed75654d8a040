"""The backfill command as a person meets it: what it says, refuses, and does when stopped."""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
from contextlib import ExitStack
from typing import Any

import pytest
from tests.conftest import Cli, Database
from tests.support import crashes, lanes
from tests.support.checks import wrong_snapshots
from tests.support.history import random_history
from tests.support.small_backfill import (
    ONE_SESSION,
    TWO_SESSIONS,
    await_parked,
    await_periods,
    started,
)

from consumer_analytics.db.tags import Tag

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)
MARCH = ("backfill", "--start-date", "2025-03-01", "--end-date", "2025-03-09")
#: Long enough to be caught in the middle: 433 days, most of them before there was anything.
LONG = ("backfill", "--start-date", "2024-01-01", "--end-date", "2025-03-09")
LONG_PERIODS = 433
VERSIONS = "select analytics_id, ctid, xmin, metrics_json::text from consumer_analytics order by 1"


def history(database: Database, seed: int) -> None:
    with database.connect() as connection:
        random_history(connection, random.Random(seed), BEGIN, END)


def written(database: Database) -> tuple[int, int]:
    """Return how many backfills are on record, and how many snapshots there are."""
    ((backfills, snapshots),) = database.rows(
        "select (select count(*) from consumer_analytics_internal.backfills), "
        "(select count(*) from consumer_analytics)"
    )
    return backfills, snapshots


# -- what it says and refuses ----------------------------------------------------


def test_what_it_says_beforehand_is_what_comes(database: Database, cli: Cli) -> None:
    history(database, 1)
    database.execute("update consumers set created_at = '2025-02-01'")
    # One that is registered in the middle of the range, with nothing before: fewer rows.
    database.execute(
        "insert into consumers (consumer_id, created_at) values (gen_random_uuid(), '2025-03-05')"
    )
    database.execute("analyze customer_events")
    dry = cli(*MARCH, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "stamped    2025-03-02 00:00:00 UTC to 2025-03-09 00:00:00 UTC\n" in dry.stdout
    expected = cli(*MARCH, "--dry-run", "--json").json
    assert written(database) == (0, 0)
    (events,) = database.rows("select count(*) from customer_events")[0]
    assert abs(expected["rows_to_scan_estimated"] - events) < events / 2

    done = cli(*MARCH, "--json").json
    # One consumer of this history is in no `consumers` row: it alone is not foreseen.
    (unregistered,) = database.rows(
        "select count(*) from consumer_analytics where consumer_id not in "
        "(select consumer_id from consumers)"
    )[0]
    assert done["snapshots_written"] == expected["snapshots_estimated"] + unregistered
    assert expected["bytes_to_write_estimated"] > 0
    after = cli(*MARCH, "--dry-run", "--json").json
    assert (after["periods_there"], after["bytes_to_write_estimated"]) == (8, 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--start-date", "2025-03-09", "--end-date", "2025-03-01"), "is not after start_date"),
        (("--start-date", "2025-03-01", "--end-date", "2025-03-01"), "is not after start_date"),
        (
            ("--start-date", "2025-02-30", "--end-date", "2025-03-02"),
            "is not a day of the calendar",
        ),
        (("--start-date", "1.3.2025", "--end-date", "2025-03-02"), "write it like 2025-10-01"),
        (("--start-date", "2025-03-01", "--end-date", "2999-01-01"), "lies in the future"),
        (
            (*MARCH[1:], "--interval", "yearly"),
            "interval 'yearly' is unknown; it is daily, weekly, monthly or hourly",
        ),
        ((*MARCH[1:], "--consumer", "acme"), "consumer 'acme' is not a UUID"),
        ((*MARCH[1:], "--consumer", str(uuid.UUID(int=9))), f"{uuid.UUID(int=9)} is unknown"),
        ((*MARCH[1:], "--intervall", "daily"), "no such option: --intervall"),
        (("--start-date", "2025-03-01"), "give --start-date and --end-date"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    database: Database, cli: Cli, arguments: tuple[str, ...], said: str
) -> None:
    refused = cli("backfill", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr
    assert written(database) == (0, 0)


def test_a_consumer_that_only_its_rows_tell_of_can_be_asked_for(
    database: Database, cli: Cli
) -> None:
    history(database, 2)
    ((unregistered,),) = database.rows(
        "select distinct consumer_id from customer_events where consumer_id is not null "
        "and consumer_id not in (select consumer_id from consumers)"
    )
    done = cli(*MARCH, "--consumer", str(unregistered), "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["snapshots_written"] > 0


def test_the_list_tells_everything_and_fits_a_terminal(database: Database, cli: Cli) -> None:
    history(database, 3)
    assert cli("backfill", "list").stdout == "no backfill yet\n"
    cli(*MARCH)
    (chosen,) = database.rows("select consumer_id from consumers limit 1")[0]
    cli(*MARCH, "--interval", "weekly", "--consumer", str(chosen))
    shown = cli("backfill", "list", env={"COLUMNS": "80"}).stdout
    assert all(len(line) <= 80 for line in shown.splitlines())
    weekly, daily = re.split(r"\n(?=   1)", shown)
    assert "2025-03-01 to 2025-03-09, weekly, 1 consumer" in weekly
    assert "2025-03-01 to 2025-03-09, daily, all consumers" in daily
    assert "8 of 8 periods" in daily
    (first, second) = reversed(cli("backfill", "list", "--json").json["backfills"])
    assert f"{first['snapshots_written']} written, 0 untouched, 0 restated" in daily
    assert (first["snapshot_source"], first["state"]) == ("cli_backfill", "done")
    assert first["requested_by"] in " ".join(daily.split())
    assert second["consumers"] == [str(chosen)]


# -- stopped ----------------------------------------------------------------------


def locks(database: Database) -> list[Any]:
    return database.rows(
        "select * from pg_locks where (locktype = 'advisory' and classid = %s::oid "
        "or relation = to_regclass('consumer_analytics_internal.job_lock')) "
        "and database = (select oid from pg_database where datname = current_database())",
        [Tag.BACKFILL.value],
    )


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [TWO_SESSIONS, ONE_SESSION]), ids=["two", "one"]
)
@pytest.mark.parametrize("on_a_terminal", lanes.first(1, [True, False]), ids=["terminal", "pipe"])
def test_ctrl_c_while_it_writes(
    database: Database, cli: Cli, rows_for_two: int, on_a_terminal: bool
) -> None:
    history(database, 4)
    # There from the beginning, so that both sessions have as much to write.
    database.execute("update consumers set created_at = '2023-12-31'")
    sessions = 2 if rows_for_two == TWO_SESSIONS else 1
    with (
        started(
            database, rows_for_two, on_a_terminal=on_a_terminal, dates=(LONG[2], LONG[4])
        ) as command,
        database.connect("watcher", writes_sources=False) as watcher,
    ):
        await_periods(watcher, 12)
        # Both sessions come to wait in the middle of a statement, and have to be got out of it.
        with crashes.locked(database, "consumer_analytics", "access exclusive") as locker:
            await_parked(watcher, locker, sessions)
            command.interrupt()
            assert command.end() == 130
    (record,) = cli("backfill", "list", "--json").json["backfills"]
    assert record["state"] == "interrupted"
    assert 12 <= record["periods_done"] < LONG_PERIODS
    assert record["finished_at"] is not None
    said = f"stopped: {record['periods_done']} of {LONG_PERIODS} periods are written, and whole"
    assert said in " ".join(command.text.split())
    assert "Traceback" not in command.text
    if on_a_terminal:
        assert "periods" in command.text
        # The bar had hidden the cursor; it is there again.
        assert command.text.rfind("\x1b[?25h") > command.text.rfind("\x1b[?25l") > -1
    assert locks(database) == []
    # As many whole snapshots as it says, and no halves.
    assert database.rows("select count(*) from consumer_analytics where consumer_id is null") == [
        (record["periods_done"],)
    ]
    before = database.rows(VERSIONS)
    assert len(before) == record["snapshots_written"]

    again = cli(*LONG, "--json")
    assert again.exit_code == 0, again.stderr
    assert again.json["periods"] == LONG_PERIODS
    assert again.json["snapshots_untouched"] == len(before)
    assert again.json["snapshots_restated"] == 0
    after = database.rows(VERSIONS)
    assert set(before) <= set(after)
    assert len(after) == len(before) + again.json["snapshots_written"]
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


@pytest.mark.parametrize(
    "rows_for_two", lanes.first(1, [ONE_SESSION, TWO_SESSIONS]), ids=["one", "two"]
)
def test_ctrl_c_while_it_reads(database: Database, cli: Cli, rows_for_two: int) -> None:
    history(database, 5)
    with (
        database.connect("watcher", writes_sources=False) as watcher,
        ExitStack() as held,
        crashes.locked(database, "consumer_analytics_internal.backfills", "share") as before,
        started(database, rows_for_two, dates=(LONG[2], LONG[4])) as command,
    ):
        await_parked(watcher, before, 1)
        # From there on only reading comes to it. The other session, where there is one, waits in
        # this process for what this one finds.
        locker = held.enter_context(
            crashes.locked(
                database, "consumer_analytics_internal.deleted_customers", "access exclusive"
            )
        )
        before.execute("rollback")
        await_parked(watcher, locker, 1)
        command.interrupt()
        assert command.end() == 130
    assert "stopped: nothing was written" in command.text
    assert "Traceback" not in command.text
    (record,) = cli("backfill", "list", "--json").json["backfills"]
    assert (record["state"], record["periods_done"]) == ("interrupted", 0)
    assert written(database) == (1, 0)
    assert locks(database) == []


@pytest.mark.long
def test_ctrl_c_while_it_waits_for_a_transaction(database: Database, cli: Cli) -> None:
    history(database, 6)
    today = dt.datetime.now(dt.UTC).date()
    with database.server.connect_admin(database.name) as other:
        # When a prepared one began is not known, so that it may be from before the range's end.
        other.execute("begin; insert into consumers (consumer_id) values (gen_random_uuid())")
        other.execute("prepare transaction 'held'")
        with started(
            database,
            ONE_SESSION,
            dates=(str(today - dt.timedelta(days=9)), str(today)),
        ) as command:
            assert command.process.stdout is not None
            while b"waiting up to 30 s for prepared" not in command.told:
                line = command.process.stdout.readline()
                assert line, command.text
                command.told += line
            command.interrupt()
            assert command.end() == 130
        other.execute("rollback prepared 'held'")
    assert "stopped: nothing was written" in command.text
    assert cli("backfill", "list", "--json").json["backfills"][0]["state"] == "interrupted"
