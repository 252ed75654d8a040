"""Writing a file of the archive: Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from consumer_analytics.installation import of_extra

#: So many rows are one row group: what is in memory at once, and what a reader can skip.
_ROWS_OF_A_GROUP = 50_000
#: What customers did is for whoever owns the file, and for its group at the most.
_FILE_MODE = 0o640


def file_schema() -> Any:
    """Return the schema of a file, as Arrow has it."""
    import pyarrow as arrow  # noqa: ICN001  (a word, not two letters)

    text, instant = arrow.string(), arrow.timestamp("us", tz="UTC")
    names = ("event_id", "customer_id", "consumer_id", "event_type", "payload_json")
    # A UUID as text is what every engine reads: some refuse Parquet's own, others make it bytes.
    return arrow.schema([*((name, text) for name in names), ("created_at", instant)])


def write(path: Path, batches: Iterator[Sequence[Sequence[Any]]]) -> None:
    """Write rows.

    Args:
        path: of a new file.
        batches: some rows at a time: event_id, customer_id, consumer_id, event_type and
            payload_json as text, created_at in microseconds since 1970.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with of_extra("lake", "writing the archive"):
        import pyarrow as arrow  # noqa: ICN001  (a word, not two letters)
        from pyarrow import parquet
    schema = file_schema()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with (
        os.fdopen(os.open(path, flags, _FILE_MODE), "wb") as file,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for rows in batches:
            columns = zip(*rows, strict=True)
            arrays = [
                arrow.array(one, kind) for one, kind in zip(columns, schema.types, strict=True)
            ]
            table = arrow.Table.from_arrays(arrays, schema=schema)
            writer.write_table(table, row_group_size=_ROWS_OF_A_GROUP)
