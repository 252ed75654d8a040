"""The flat views say what the documents say, in columns, and are documented."""

from __future__ import annotations

import datetime as dt
import random
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Database
from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.etl import run
from consumer_analytics.reconcile import sweep

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "views.md"
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
COLUMNS = """
select relname, attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
from pg_attribute
join pg_class on pg_class.oid = attrelid
where relkind = 'v' and attnum > 0 and relnamespace = 'public'::regnamespace
    and (relname = 'consumer_analytics_flat' or relname like 'consumer\\_analytics\\_flat\\_%')
order by relname, attnum
"""


@pytest.fixture
def filled(database: Database) -> Database:
    """Return a database with live, backfilled and restated snapshots."""

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(11), BEGIN, BEGIN + dt.timedelta(days=5))
            backfill.backfill(
                connection,
                database.settings,
                backfill.request_of(BEGIN.date(), BEGIN.date() + dt.timedelta(days=4), "daily"),
            )
        with database.connect() as connection:
            run.run(connection, database.settings, at=BEGIN + dt.timedelta(days=6))
            connection.execute(
                "insert into customer_events (event_id, consumer_id, event_type, created_at) "
                "select gen_random_uuid(), consumer_id, 'late', %s from consumers",
                [BEGIN + dt.timedelta(days=1, hours=3)],
            )
            sweep.sweep(connection, database.settings, since=BEGIN.date())

    database.prepared("views", fill)
    return database


def rows(database: Database, view: str) -> list[dict[str, Any]]:
    """Return a view's rows by its columns' names."""
    with database.connect() as connection:
        found = connection.execute(f"select * from {view}")
        names = [column.name for column in found.description or ()]
        return [dict(zip(names, row, strict=True)) for row in found]


def documents(database: Database, *, whole: bool) -> dict[int, tuple[Any, ...]]:
    return {
        row[0]: row[1:]
        for row in database.rows(
            "select analytics_id, consumer_id, snapshot_timestamp, metrics_json, created_at "
            "from consumer_analytics where (consumer_id is null) = %s",
            [whole],
        )
    }


def test_a_row_per_consumer_and_snapshot(filled: Database) -> None:
    expected = documents(filled, whole=False)
    flat = rows(filled, "consumer_analytics_flat")
    assert len(flat) == len(expected) > 15
    for row in flat:
        consumer, at, metrics, created = expected[row["analytics_id"]]
        stats = metrics["incremental_stats"]
        ratio = (
            round(Decimal(metrics["active_customers"]) / metrics["total_customers"], 4)
            if metrics["total_customers"]
            else 0
        )
        assert abs(row.pop("active_ratio") - ratio) <= Decimal("0.0001")
        lifetime = row.pop("avg_customer_lifetime_days")
        assert lifetime == (
            None
            if metrics["avg_customer_lifetime_days"] is None
            else Decimal(str(metrics["avg_customer_lifetime_days"]))
        )
        assert row == {
            "analytics_id": row["analytics_id"],
            "consumer_id": consumer,
            "snapshot_timestamp": at,
            "total_customers": metrics["total_customers"],
            "active_customers": metrics["active_customers"],
            "inactive_customers": metrics["inactive_customers"],
            "total_events": metrics["total_events"],
            "window_start": dt.datetime.fromisoformat(stats["window_start"]),
            "window_end": dt.datetime.fromisoformat(stats["window_end"]),
            "new_customers_in_window": stats["new_customers_in_window"],
            "new_events_in_window": stats["new_events_in_window"],
            "snapshot_source": metrics["snapshot_source"],
            "is_backfilled": metrics["snapshot_source"].endswith("backfill"),
            "created_at": created,
        }
    assert {row["is_backfilled"] for row in flat} == {True, False}
    latest = rows(filled, "consumer_analytics_flat_latest")
    newest = max(row["snapshot_timestamp"] for row in flat)
    assert {row["analytics_id"] for row in latest} == {
        row["analytics_id"] for row in flat if row["snapshot_timestamp"] == newest
    }


def test_a_row_per_snapshot_of_the_whole_system(filled: Database) -> None:
    expected = documents(filled, whole=True)
    flat = rows(filled, "consumer_analytics_flat_system")
    assert len(flat) == len(expected) == 5
    for row in flat:
        _, at, metrics, _ = expected[row["analytics_id"]]
        assert row["snapshot_timestamp"] == at
        assert row["total_customers"] == metrics["total_customers_all_consumers"]
        assert row["active_customers"] == metrics["active_customers_all_consumers"]
        assert row["inactive_customers"] == metrics["inactive_customers_all_consumers"]
        assert row["active_ratio"] == Decimal(str(metrics["system_wide_active_ratio"]))
        assert row["total_events"] == metrics["total_events_all_consumers"]
        assert row["consumers"] == metrics["consumers_in_system"]
        for key in ("unattributed_events", "unattributed_customers"):
            assert row[key] == metrics[key]
    assert any(row["unattributed_events"] for row in flat)


@pytest.mark.parametrize(
    ("view", "key", "name", "value"),
    [
        ("consumer_analytics_flat_events", "events_by_type", "event_type", "total_events"),
        ("consumer_analytics_flat_statuses", "customers_by_status", "status", "customers"),
    ],
)
def test_a_row_per_type_and_per_status(
    filled: Database, view: str, key: str, name: str, value: str
) -> None:
    expected = {
        (number, consumer, at, one, n)
        for whole in (True, False)
        for number, (consumer, at, metrics, _) in documents(filled, whole=whole).items()
        for one, n in metrics[key + ("_all_consumers" if whole else "")].items()
    }
    found = {
        (row["analytics_id"], row["consumer_id"], row["snapshot_timestamp"], row[name], row[value])
        for row in rows(filled, view)
    }
    assert found == expected
    assert found


def test_a_row_per_restatement(filled: Database) -> None:
    expected = filled.rows(
        "select revision_id, reason, metrics_json from consumer_analytics_revisions "
        "order by revision_id"
    )
    flat = sorted(
        rows(filled, "consumer_analytics_flat_revisions"), key=lambda row: row["revision_id"]
    )
    assert [row["revision_id"] for row in flat] == [row[0] for row in expected]
    assert flat
    for row, (_, reason, metrics) in zip(flat, expected, strict=True):
        suffix = "" if row["consumer_id"] else "_all_consumers"
        assert row["reason"] == reason
        for key in ("total_customers", "active_customers", "inactive_customers", "total_events"):
            assert row[key] == metrics[key + suffix]


@pytest.mark.both_versions
def test_every_column_is_typed_and_documented(database: Database) -> None:
    """In the catalog, where tools find it, and on the page."""
    found = database.rows(COLUMNS)
    assert len(found) > 50
    assert {kind for _, _, kind, _ in found} == {
        "bigint",
        "boolean",
        "numeric",
        "text",
        "timestamp with time zone",
        "uuid",
    }
    assert [row[:2] for row in found if not row[3]] == []
    text = PAGE.read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    said = [
        (view, *row)
        for view, section in sorted(sections.items())
        for row in re.findall(r"^\| `(\w+)` \| ([\w ]+) \| (.*) \|$", section, re.MULTILINE)
    ]
    assert said == found, page(found)


def page(found: list[tuple[Any, ...]]) -> str:
    """Return the page's tables as they should be."""
    lines: list[str] = []
    for view, column, kind, meaning in found:
        if f"## `{view}`" not in lines:
            lines += ["", f"## `{view}`", "", "| column | type | meaning |", "|---|---|---|"]
        lines.append(f"| `{column}` | {kind} | {meaning} |")
    return "\n".join(lines)
