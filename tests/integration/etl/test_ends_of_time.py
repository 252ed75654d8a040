"""Times at which no calendar is: before Christ, after the year 9999, and without end."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from tests.support import lanes

SHOP, BANK = (uuid.UUID(int=number) for number in (1, 2))
ANNA, BERT, NOBODY = (uuid.UUID(int=number) for number in (11, 12, 13))
BEFORE = ["-infinity", "0044-03-15 12:00:00+00 BC", "4713-01-01 00:00:00+00 BC"]
AFTER = ["infinity", "294276-12-31 00:00:00+00", "10000-01-01 00:00:00+00"]
#: One of each kind first.
STAMPS = [stamp for pair in zip(BEFORE, AFTER, strict=True) for stamp in pair]


def add(database: Any, stamp: str) -> None:
    """Add rows that are stamped so: of each table, and an event of each kind."""
    database.execute(
        f"""
        insert into consumers (consumer_id, name, created_at) values ('{BANK}', 'Bank', '{stamp}');
        insert into customers (customer_id, consumer_id, status, created_at)
        values ('{BERT}', '{SHOP}', 'BLOCKED', '{stamp}');
        insert into customer_events
            (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
        values
            (gen_random_uuid(), '{ANNA}', '{SHOP}', 'login', '{{}}', '{stamp}'),
            (gen_random_uuid(), '{ANNA}', '{SHOP}', 'customer_status_change',
                '{{"old_status": "ACTIVE", "new_status": "ACTIVE"}}', '{stamp}'),
            (gen_random_uuid(), '{BERT}', '{SHOP}', 'customer_creation',
                '{{"status": "BLOCKED"}}', '{stamp}'),
            -- Born when it ended, as far as anybody knows: it never counts.
            (gen_random_uuid(), '{NOBODY}', '{SHOP}', 'customer_deletion',
                '{{"status": "ACTIVE"}}', '{stamp}')
        """
    )


@pytest.fixture
def shop(database: Any) -> Any:
    database.execute(
        f"""
        insert into consumers (consumer_id, name, created_at)
        values ('{SHOP}', 'Shop', '2026-01-01');
        insert into customers (customer_id, consumer_id, status, created_at)
        values ('{ANNA}', '{SHOP}', 'ACTIVE', '2026-01-01 12:00');
        insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at)
        select gen_random_uuid(), '{ANNA}', '{SHOP}', 'login', day + interval '12 hours'
        from generate_series('2026-01-01'::timestamptz, '2026-01-05', '1 day') as day
        """
    )
    return database


def snapshots(database: Any) -> list[tuple[str, int, int, int]]:
    """Return the day of each snapshot, its events, customers and consumers."""
    rows: list[tuple[str, int, int, int]] = database.rows(
        "select snapshot_timestamp::date::text, "
        "(metrics_json -> 'total_events_all_consumers')::int, "
        "(metrics_json -> 'total_customers_all_consumers')::int, "
        "(metrics_json -> 'consumers_in_system')::int "
        "from consumer_analytics where consumer_id is null order by 1"
    )
    return rows


def right(stamp: str, *days: int) -> list[tuple[str, int, int, int]]:
    """Return what the snapshots of these days of January must say."""
    counts = stamp in BEFORE
    return [(f"2026-01-{day:02}", day - 1 + 4 * counts, 1 + counts, 1 + counts) for day in days]


@pytest.mark.parametrize("stamp", lanes.first(1, STAMPS))
def test_rows_at_the_end_of_time_stop_no_command(shop: Any, cli: Any, stamp: str) -> None:
    add(shop, stamp)
    for command in (
        ("run", "--as-of", "2026-01-03"),
        ("sweep", "--days", "30"),
        ("audit",),
        ("backfill", "--start-date", "2026-01-01", "--end-date", "2026-01-05"),
        ("watermark", "reset", "--reason", "test", "--yes"),
        ("run", "--as-of", "2026-01-06"),
        ("audit", "--repair"),
        ("status",),
        ("doctor",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout, done.stderr)
    assert snapshots(shop) == right(stamp, 2, 3, 4, 5, 6)


@pytest.mark.parametrize("stamp", lanes.first(1, STAMPS))
def test_with_capture_late_ones_are_taken_in_by_the_next_run(
    shop: Any, cli: Any, stamp: str
) -> None:
    assert cli("capture", "enable").exit_code == 0
    assert cli("run", "--as-of", "2026-01-03").exit_code == 0
    add(shop, stamp)
    for command in (
        ("run", "--as-of", "2026-01-06"),
        ("sweep", "--days", "30"),
        ("audit",),
        ("status",),
        ("capture", "status"),
        ("doctor",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout, done.stderr)
    assert snapshots(shop) == right(stamp, 3, 6)
    # They go as they came.
    shop.execute(
        f"delete from customer_events where created_at = '{stamp}'; "
        f"update customers set created_at = '2026-01-01' where created_at = '{stamp}'"
    )
    assert cli("run", "--as-of", "2026-01-06").exit_code == 0
    done = cli("audit")
    assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize("stamp", lanes.first(1, STAMPS))
def test_without_capture_the_audit_finds_late_ones_and_repairs(
    shop: Any, cli: Any, stamp: str
) -> None:
    assert cli("run", "--as-of", "2026-01-03").exit_code == 0
    add(shop, stamp)
    assert cli("audit").exit_code == (1 if stamp in BEFORE else 0)
    done = cli("audit", "--repair")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert cli("audit").exit_code == 0
    assert snapshots(shop) == right(stamp, 3)


@pytest.mark.parametrize(
    "stamp",
    lanes.first(0, [BEFORE[0], "294276-12-31 00:00:00+00", BEFORE[1], "infinity"], long=1),
)
def test_a_watermark_at_the_end_of_time_changes_no_figure(shop: Any, cli: Any, stamp: str) -> None:
    assert cli("run", "--as-of", "2026-01-03").exit_code == 0
    for day in (4, 5):
        shop.execute("update etl_job_watermarks set last_processed_timestamp = %s", [stamp])
        assert cli("status").exit_code == 0
        assert cli("watermark", "show").exit_code == 0
        assert cli("watermark", "show", "--json").exit_code == 0
        assert cli("health").exit_code in (0, 1, 2)
        done = cli("run", "--as-of", f"2026-01-0{day}")
        assert done.exit_code == 0, done.stderr
    done = cli("run", "--as-of", "2026-01-06")
    assert done.exit_code == 0, done.stderr
    assert snapshots(shop) == [(f"2026-01-{day:02}", day - 1, 1, 1) for day in (3, 4, 5, 6)]
    assert shop.rows(
        "select last_processed_timestamp::date::text, last_run_status from etl_job_watermarks"
    ) == [("2026-01-06", "success")]
    assert cli("audit").exit_code == 0


@pytest.mark.parametrize(
    "later", lanes.first(0, [True, False], long=1), ids=["after a later one", "alone"]
)
def test_a_snapshot_of_a_time_before_1970_counts_what_was_before_it(
    shop: Any, cli: Any, later: bool
) -> None:
    """Its window does not begin after its end: what is at its instant is the next one's."""
    shop.execute(
        f"""
        insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at)
        select gen_random_uuid(), '{ANNA}', '{SHOP}', 'login', at
        from unnest('{{1965-03-01, 1965-03-01 10:00, 1965-03-02}}'::timestamptz[]) as at
        """
    )
    for at in ([*["2026-01-03"] * later, "1965-03-02"], ["1965-03-03"], ["2026-01-04"]):
        for one in at:
            assert cli("run", "--as-of", one).exit_code == 0
    told = dict(
        shop.rows(
            "select snapshot_timestamp::date::text, "
            "array[metrics_json -> 'total_events_all_consumers', "
            "metrics_json #> '{incremental_stats,new_events_in_window}']::int[] "
            "from consumer_analytics where consumer_id is null"
        )
    )
    assert told["1965-03-02"] == [2, 2]
    assert told["1965-03-03"] == [3, 1]
    assert told["2026-01-04"][0] == 6
    done = cli("audit")
    assert done.exit_code == 0, done.stdout
    # Who reads the windows can read this one.
    for command in (("snapshots", "list"), ("status",), ("sweep", "--since", "1960-01-01")):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout, done.stderr)
