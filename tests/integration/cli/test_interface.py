"""What users and their SQL rely on: tables, columns, keys, commands."""

from __future__ import annotations

import datetime as dt
import random
import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.history import random_history

from consumer_analytics import __version__

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)


@pytest.fixture
def filled(database: Any) -> Any:
    with database.connect() as connection:
        random_history(connection, random.Random(1), BEGIN, END)
    return database


@pytest.mark.both_versions(each_change=True)
def test_migrate_twice_and_check(cli: Any, new_database: Any) -> None:
    bare = new_database(migrated=False)
    env = {"CONSUMER_ANALYTICS_DATABASE_URL": bare.url}
    assert cli("migrate", "--check", env=env).exit_code == 1
    applied = cli("migrate", "--json", env=env).json["applied"]
    assert applied == sorted(applied)
    assert applied[0] == "0001_bookkeeping"
    assert cli("migrate", "--json", env=env).json == {"applied": []}
    assert cli("migrate", "--check", env=env).exit_code == 0
    recorded = bare.rows(
        "select version_num, cardinality(checksums), product_version, migrated_by = session_user, "
        "migrated_at - installed_at between '0' and '1 minute' "
        "from consumer_analytics_internal.alembic_version"
    )
    assert recorded == [(applied[-1][:4], len(applied), __version__, True, True)]


def test_migrate_leaves_a_users_own_tables_alone(cli: Any, new_database: Any) -> None:
    own = new_database(migrated=False)
    own.execute(
        "create table consumers (consumer_id uuid primary key, name text, status text, "
        "created_at timestamp, colour text);"
        "create table customers (customer_id uuid primary key, consumer_id uuid, "
        "status varchar(20), created_at timestamp, updated_at timestamp);"
        "create table customer_events (event_id uuid primary key, customer_id uuid, "
        "consumer_id uuid, event_type varchar(50), payload_json jsonb, created_at timestamp)"
    )
    shape = (
        "select table_name, column_name, data_type from information_schema.columns "
        "where table_name in ('consumers', 'customers', 'customer_events') order by 1, 2"
    )
    before = own.rows(shape)
    env = {"CONSUMER_ANALYTICS_DATABASE_URL": own.url}
    assert cli("migrate", env=env).exit_code == 0
    assert own.rows(shape) == before
    assert cli("run", env=env).exit_code == 0


@pytest.mark.long
def test_sources_in_a_schema_of_their_own(cli: Any, new_database: Any) -> None:
    other = new_database(migrated=False)
    env = {
        "CONSUMER_ANALYTICS_DATABASE_URL": other.url,
        "CONSUMER_ANALYTICS_SOURCE_SCHEMA": "Odd schema",
    }
    assert cli("migrate", env=env).exit_code == 0
    other.execute(
        'insert into "Odd schema".customer_events (event_id, consumer_id, event_type) '
        "values (gen_random_uuid(), gen_random_uuid(), 'login')"
    )
    summary = cli("run", "--json", env=env).json
    assert summary["new_events"] == 1
    assert summary["snapshots_written"] == 2


def test_the_keys_of_a_snapshot(cli: Any, filled: Any) -> None:
    assert cli("run").exit_code == 0
    per_consumer = filled.rows(
        "select distinct array(select jsonb_object_keys(metrics_json) order by 1) "
        "from consumer_analytics where consumer_id is not null"
    )
    assert per_consumer == [
        (
            [
                "active_customers",
                "avg_customer_lifetime_days",
                "customers_by_status",
                "etl_job",
                "events_by_type",
                "inactive_customers",
                "incremental_stats",
                "snapshot_source",
                "total_customers",
                "total_events",
            ],
        )
    ]
    whole = filled.rows("select metrics_json from consumer_analytics where consumer_id is null")
    assert set(whole[0][0]) == {
        "active_customers_all_consumers",
        "consumers_in_system",
        "customers_by_status_all_consumers",
        "etl_job",
        "events_by_type_all_consumers",
        "inactive_customers_all_consumers",
        "incremental_stats",
        "snapshot_source",
        "snapshot_type",
        "system_wide_active_ratio",
        "total_customers_all_consumers",
        "total_events_all_consumers",
        "unattributed_customers",
        "unattributed_events",
    }
    assert whole[0][0]["snapshot_source"] == "cli_etl"
    assert whole[0][0]["etl_job"] == "consumer_analytics_daily"


def test_one_row_per_consumer_and_instant_null_included(cli: Any, filled: Any) -> None:
    cli("run")
    import psycopg

    for consumer in ("consumer_id is null", "consumer_id is not null"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            filled.execute(
                "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
                "select consumer_id, snapshot_timestamp, '{}' from consumer_analytics "
                f"where {consumer} limit 1"
            )


def test_the_window_begins_at_the_snapshot_before_where_the_watermark_is_no_earlier(
    cli: Any, filled: Any
) -> None:
    for day in ("2025-03-04", "2025-03-07"):
        assert cli("run", "--as-of", day).exit_code == 0
    filled.execute("delete from consumer_analytics where snapshot_timestamp = '2025-03-07'")
    again = cli("run", "--as-of", "2025-03-07", "--json").json
    assert again["window_start"].startswith("2025-03-04T00:00:00")
    assert again["new_events"] > 0
    # And an earlier instant does not take the watermark back.
    assert cli("run", "--as-of", "2025-03-05").exit_code == 0
    mark = cli("watermark", "show", "--json").json["last_processed_timestamp"]
    assert mark.startswith("2025-03-07T00:00:00")


def test_moving_the_watermark_by_sql_and_by_command(cli: Any, filled: Any) -> None:
    cli("run")
    total = (
        "select metrics_json -> 'total_events_all_consumers' from consumer_analytics "
        "where consumer_id is null order by snapshot_timestamp desc limit 1"
    )
    right = filled.rows(total)
    # As an operator types it, session time zone and all.
    filled.execute(
        "update etl_job_watermarks set last_processed_timestamp = '1970-01-01 00:00:00', "
        "last_run_status = 'pending', metadata_json = jsonb_build_object('reset_reason', "
        "'manual_reset', 'reset_at', now()) where job_name = 'consumer_analytics_daily'"
    )
    assert cli("run", "--json").json["rows_read"] > 0
    assert filled.rows(total) == right
    moved = cli("watermark", "set", "2025-03-04", "--yes", "--reason", "a test", "--json").json
    assert moved["to"] == "2025-03-04T00:00:00+00:00"
    assert cli("run", "--json").exit_code == 0
    assert filled.rows(total) == right
    shown = cli("watermark", "show", "--json").json
    assert shown["last_run_status"] == "success"
    assert shown["changes"][0]["reason"] == "a test"
    assert shown["changes"][0]["changed_by"]


def test_status_tells_the_figures(cli: Any, filled: Any) -> None:
    assert "no snapshot yet" in cli("status").stdout
    cli("run", "--as-of", "2025-03-05")
    status = cli("status", "--json").json
    assert status["latest_snapshot"] == "2025-03-05T00:00:00+00:00"
    assert status["watermark"]["last_processed_timestamp"] == "2025-03-05T00:00:00+00:00"
    assert status["runs"][0]["state"] == "success"
    stored = dict(
        filled.rows(
            "select consumer_id::text, (metrics_json -> 'total_events')::int "
            "from consumer_analytics where consumer_id is not null"
        )
    )
    assert {one["consumer_id"]: one["events"] for one in status["consumers"]} == stored
    text = cli("status").stdout
    # Not "events": a run that took in late ones read many, of which none is new.
    assert re.search(r"processed up to +new events +snapshots", text)
    assert "2025-03-05 00:00:00 UTC" in text
    assert "consumer 0" in text


def test_who_only_reads_is_told_that_the_archives_address_is_lacking(
    cli: Any, filled: Any, tmp_path: Path
) -> None:
    cli("run", "--as-of", "2025-03-05")
    assert cli("status", "--json").json["archive"] is None
    assert cli("health", "--json").json["archive"] is None
    filled.execute("insert into consumer_analytics_internal.archive values (true, '2025-03-02')")
    said = "days before 2025-03-02 are archived, and nothing says where: set CONSUMER_ANALYTICS_"
    for command in ("status", "health"):
        assert cli(command, "--json").json["archive"].startswith(said)
        shown = cli(command)
        assert (shown.stdout + shown.stderr).count(said) == 1
        named = cli(command, env={"CONSUMER_ANALYTICS_LAKE_URL": tmp_path.as_uri()})
        assert named.exit_code == shown.exit_code
        assert "archived" not in named.stdout + named.stderr


def test_every_command_has_help(cli: Any) -> None:
    found = []

    def look(*path: str) -> None:
        result = cli(*path, "--help")
        assert result.exit_code == 0
        assert " ".join(["Usage: consumer-analytics", *path]) in result.stdout
        # Neither a value behind a flag, which takes none, nor Python's names for one.
        assert not re.search("<(bool|int|str|%)", result.stdout), path
        found.append(path)
        for name in re.findall(r"^│ ([a-z][a-z-]*) ", result.stdout, re.MULTILINE):
            look(*path, name)

    look()
    assert ("run",) in found
    assert ("watermark", "reset") in found
