"""The archive as a Delta table: as in a folder, and whoever changes the table is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as arrow  # noqa: ICN001
import pytest
from tests.support import archives, lanes, object_store, sail

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import stores


@pytest.fixture
def lake(new_database: Callable[..., Any], tmp_path: Path) -> Any:
    """A database with a history, whose archive is a Delta table."""
    made = new_database(lake_url=(tmp_path / "lake it's").as_uri(), lake_format="delta")
    archives.fill(made)
    return made


def table_of(lake: Any) -> deltalake.DeltaTable:
    return deltalake.DeltaTable(str(lake.settings.home.parent / "lake it's" / "customer_events"))


def rows_of(lake: Any, where: str = "created_at < '2025-04-09'") -> list[Any]:
    found: list[Any] = lake.rows(
        "select event_id::text, customer_id::text, consumer_id::text, event_type, created_at "
        f"from customer_events where {where} order by 1"
    )
    return found


def test_the_table_has_the_rows_and_all_figures_come_from_it(lake: Any) -> None:
    before, rows = archives.shown(lake), rows_of(lake)
    done = archives.archived(lake, dt.date(2025, 3, 31))
    assert (done.days, table_of(lake).version()) == (done.files, done.files - 1)
    second = archives.archived(lake)
    table = table_of(lake)
    assert table.version() == second.files - 1
    names = ["event_id", "customer_id", "consumer_id", "event_type", "created_at", "day"]
    told = arrow.table(table.to_pyarrow_dataset().to_table(columns=names)).to_pylist()
    assert sorted(tuple(row[name] for name in names[:-1]) for row in told) == rows
    assert all(row["created_at"].date() == row["day"] for row in told)
    assert archives.purge(lake) == len(rows)
    archives.computed_again(lake, before)
    versions = lake.rows(
        "select version from consumer_analytics_internal.archived_files order by day"
    )
    assert versions == [(n,) for n in range(second.files)]


def test_a_command_that_was_killed_is_made_good_and_adds_nothing_twice(lake: Any) -> None:
    rows = len(rows_of(lake))
    archives.archived(lake)
    # Killed after the table had the file, and before the manifest said so.
    lake.execute(
        "delete from consumer_analytics_internal.archived_files where day >= '2025-04-08'; "
        "delete from consumer_analytics_internal.archived_counts where day >= '2025-04-08'; "
        "update consumer_analytics_internal.archive set first_day = '2025-04-08'"
    )
    archives.archived(lake)
    assert table_of(lake).to_pyarrow_dataset().count_rows() == rows
    archives.purge(lake)
    archives.clean(lake)


def appended(table: deltalake.DeltaTable, _: Path) -> None:
    day = table.to_pyarrow_table(filters=[("day", "=", dt.date(2025, 3, 28))])
    deltalake.write_deltalake(table, day, mode="append")


def compacted(table: deltalake.DeltaTable, folder: Path) -> None:
    appended(table, folder)
    table.optimize.compact()


def vacuumed(_: deltalake.DeltaTable, folder: Path) -> None:
    (folder / "day=2025-03-28" / "part-0001.parquet").unlink()


def restored(_: deltalake.DeltaTable, folder: Path) -> None:
    newest = max((folder / "_delta_log").glob("*.json"))
    newest.unlink()


DRIFTS: dict[str, tuple[Callable[[deltalake.DeltaTable, Path], Any], str]] = {
    "a day twice": (appended, r"day=2025-03-28/part-.* was added to the Delta table"),
    "rows deleted": (
        lambda table, _: table.delete("event_type = 'login'"),
        r"part-0001\.parquet is no longer in the Delta table",
    ),
    "compacted": (
        compacted,
        r"part-0001\.parquet is no longer in the Delta table",
    ),
    "a file gone": (vacuumed, r"day=2025-03-28/part-0001\.parquet is gone"),
    "the log cut": (restored, r"customer_events is a Delta table of version \d+, not \d+"),
}


@pytest.mark.parametrize("how", lanes.first(2, DRIFTS, long=0))
def test_whoever_changes_the_table_is_named(lake: Any, how: str) -> None:
    archives.archived(lake)
    archives.purge(lake)
    drift, said = DRIFTS[how]
    drift(table_of(lake), lake.settings.home.parent / "lake it's" / "customer_events")
    with pytest.raises(ArchiveError, match=said) as told:
        archives.clean(lake)
    assert "\n" not in str(told.value)


def test_what_does_not_concern_its_rows_is_let_be(lake: Any) -> None:
    archives.archived(lake)
    archives.purge(lake)
    table = table_of(lake)
    table.alter.set_table_name("archived events")
    table.create_checkpoint()
    assert table_of(lake).version() > 0
    # A file beside the table is none of its rows.
    folder = lake.settings.home.parent / "lake it's" / "customer_events" / "day=2025-03-28"
    (folder / "copy.parquet").write_bytes((folder / "part-0001.parquet").read_bytes())
    archives.clean(lake)


def test_one_format_is_not_taken_for_another(lake: Any) -> None:
    archives.archived(lake)
    as_files = replace(lake, settings=replace(lake.settings, lake_format="parquet"))
    for does in (archives.clean, archives.archived):
        with pytest.raises(ArchiveError, match=r"archived as delta, and parquet is set: set C.*ta"):
            does(as_files)


def test_it_lies_in_a_bucket_and_sail_reads_it(
    new_database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store.started("tables") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stores.s3.cache_clear()
        lake = new_database(lake_url="s3://tables/of/events", lake_format="delta")
        archives.fill(lake)
        before = archives.shown(lake)
        done = archives.archived(lake)
        archives.purge(lake)
        archives.clean(lake)
        table = deltalake.DeltaTable("s3://tables/of/events/customer_events")
        assert table.to_pyarrow_dataset().count_rows() == done.rows
        with sail.started() as server:
            by_sail = replace(lake, settings=replace(lake.settings, spark_remote=server.remote))
            archives.filled_in(by_sail)
            archives.clean(by_sail)
        assert archives.shown(lake) == before
        table.delete("event_type = 'login'")
        with pytest.raises(ArchiveError, match=r"s3://tables.* is no longer in the Delta table"):
            archives.clean(lake)
    stores.s3.cache_clear()
