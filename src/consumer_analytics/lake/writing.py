"""Writing a file of the archive: Parquet, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra

#: So many rows are one row group: what is in memory at once, and what a reader can skip.
_ROWS_OF_A_GROUP = 50_000
#: What customers did is for whoever owns the folder, and for its group at the most.
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640


@contextmanager
def written(path: Path, batches: Iterator[Sequence[Sequence[Any]]]) -> Iterator[Path]:
    """Write rows beside a file's place for the block, and put them there when it ends well.

    Args:
        path: the file's place; what lies there is replaced.
        batches: some rows at a time: event_id, customer_id, consumer_id, event_type and
            payload_json as text, created_at in microseconds since 1970.

    Yields:
        Where the rows lie meanwhile, on the disk for good.

    Raises:
        ArchiveError: the folder cannot be written to.
        MissingExtraError: pyarrow is not installed.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        _make_folder(path.parent)
        # Left by one that was killed; or a link, which somebody might have put there.
        beside.unlink(missing_ok=True)
        try:
            _write(beside, batches)
            yield beside
            beside.replace(path)
            _keep(path.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ArchiveError(f"{path} of the archive cannot be written: {error.strerror}") from None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(_FOLDER_MODE, exist_ok=True)


def _write(path: Path, batches: Iterator[Sequence[Sequence[Any]]]) -> None:
    with of_extra("lake", "writing the archive"):
        import pyarrow as arrow  # noqa: ICN001  (a word, not two letters)
        from pyarrow import parquet
    text, instant = arrow.string(), arrow.timestamp("us", tz="UTC")
    names = ("event_id", "customer_id", "consumer_id", "event_type", "payload_json")
    # A UUID as text is what every engine reads: some refuse Parquet's own, others make it bytes.
    schema = arrow.schema([*((name, text) for name in names), ("created_at", instant)])
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
    _keep(path)


def _keep(path: Path) -> None:
    """Let a file, or what a folder says of its files, outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
