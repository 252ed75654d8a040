"""Writing a file of the archive: Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from consumer_analytics.installation import of_extra
from consumer_analytics.lake.stores import new_file

#: So many rows are one row group: what is in memory at once, and what a reader can skip.
_ROWS_OF_A_GROUP = 50_000


def file_schema() -> Any:
    """Return the schema of a file, as Arrow has it."""
    import pyarrow as arrow  # noqa: ICN001  (a word, not two letters)

    text, instant = arrow.string(), arrow.timestamp("us", tz="UTC")
    names = ("event_id", "customer_id", "consumer_id", "event_type", "payload_json")
    # A UUID as text is what every engine reads: some refuse Parquet's own, others make it bytes.
    return arrow.schema([*((name, text) for name in names), ("created_at", instant)])


def columns_read() -> Mapping[str, Any]:
    """Return what rows are written from, with Arrow's types: the instant is microseconds."""
    import pyarrow as arrow  # noqa: ICN001  (a word, not two letters)

    schema = file_schema()
    return dict(zip(schema.names, schema.types, strict=True)) | {"created_at": arrow.int64()}


def write(path: Path, tables: Iterator[Any]) -> None:
    """Write rows.

    Args:
        path: of a new file.
        tables: Arrow's, of some rows each, with the columns of `columns_read`.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with of_extra("lake", "writing the archive"):
        from pyarrow import parquet
    schema = file_schema()
    with (
        new_file(path) as file,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=_ROWS_OF_A_GROUP)
