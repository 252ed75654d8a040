"""Counted by DuckDB, by Sail and by PostgreSQL: the same, group by group, whatever rows are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as arrow  # noqa: ICN001
import pytest
from pyarrow import parquet
from tests.support import hostile, sail

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import engine


@pytest.mark.parametrize("shape", hostile.SHAPES)
def test_groups_are_those_of_postgresql(database: Any, tmp_path: Path, shape: str) -> None:
    hostile.compare(database, tmp_path / "it's", shape, None)


@pytest.mark.parametrize("shape", hostile.SHAPES)
def test_groups_that_sail_counts_are_those_of_postgresql(
    database: Any, tmp_path: Path, sail_server: sail.Server, shape: str
) -> None:
    hostile.compare(database, tmp_path, shape, sail_server.remote)


def test_a_file_of_another_shape_is_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    parquet.write_table(arrow.table({"event_id": ["1"], "day": [1]}), path)
    said = r"other\.parquet of the archive has no column customer_id"
    with pytest.raises(ArchiveError, match=said), engine.started() as open_files:
        open_files([str(path)])
    path.write_bytes(b"PAR1 and nothing else")
    said = "the archive cannot be read: "
    with pytest.raises(ArchiveError, match=said), engine.started() as open_files:
        open_files([str(path)])
