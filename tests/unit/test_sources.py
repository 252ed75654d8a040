"""The columns of the source tables stand in one register."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from consumer_analytics import sql
from consumer_analytics.ingest import csv_reader
from consumer_analytics.mapping import SOURCES, SourceColumn
from consumer_analytics.sql import SOURCE_TABLES

SIMULATED = {
    "consumers": "rows-consumers",
    "customers": "rows-customers",
    "customer_events": "rows-events",
}


def test_it_has_the_tables_that_statements_name() -> None:
    assert tuple(SOURCES) == SOURCE_TABLES
    for columns in SOURCES.values():
        key = next(iter(columns.values()))
        assert (key.kind, key.required, key.in_file, key.filled) == ("uuid", True, True, True)
        assert all(column.in_file for column in columns.values() if column.filled)


def test_a_simulated_history_fills_all_of_it() -> None:
    for table, statement in SIMULATED.items():
        made = sql.text(f"ingest/simulate/{statement}").rpartition("\nselect\n")[2]
        listed = re.findall(r"^    (?:.* as )?(\w+),?$", made.partition("\nfrom ")[0], re.MULTILINE)
        assert listed == list(SOURCES[table])


def test_a_column_more_is_read_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "customers.csv"
    rows = [
        ["customer_id", "region", "consumer_id", "created_at", "note"],
        ["1", "north", "2", "2025-03-01", "-"],
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)

    def read() -> tuple[list[str], list[str], list[bytes]]:
        with csv_reader.opened(path, "customers") as file:
            return file.columns, file.ignored, list(file.batches())

    assert read()[:2] == (["customer_id", "consumer_id", "created_at"], ["region", "note"])
    monkeypatch.setitem(SOURCES["customers"], "region", SourceColumn("text"))
    columns, ignored, batches = read()
    assert columns == ["customer_id", "consumer_id", "created_at", "region"]
    assert ignored == ["note"]
    assert b"".join(batches) == b"2\t1\t2\t2025-03-01\tnorth\n"
