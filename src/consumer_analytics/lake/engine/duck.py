"""DuckDB, in this process, in UTC and without extensions."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra
from consumer_analytics.lake import stores
from consumer_analytics.lake.engine.answer import Answer
from consumer_analytics.lake.engine.dialect import DUCKDB

#: DuckDB's own memory; what does not fit goes to a folder that nobody else can look into.
_MEMORY = "160MB"
_ROWS_AT_ONCE = 10_000
_S3 = "s3://"
_TYPES = {int: "bigint", str: "varchar"}
#: What DuckDB says when it has heard a signal: by a class of Python's own, and without its cause.
_INTERRUPTED = "Query interrupted"


class DuckSession:
    """A session of DuckDB's."""

    dialect = DUCKDB

    def __init__(self, session: Any) -> None:
        """Take the session."""
        self._session = session

    def open(self, paths: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return what reads files in a FROM clause, and their columns with their types."""
        # Columns come from the files, never from a folder's name.
        if any(path.startswith(_S3) for path in paths):
            # DuckDB's own way there is an extension, which it would fetch from elsewhere.
            from pyarrow import dataset

            names = [path.removeprefix(_S3) for path in paths]
            try:
                found = dataset.dataset(names, filesystem=stores.s3(), format="parquet")
            except (OSError, ValueError) as error:
                raise stores.unreadable(paths[0], str(error)) from None
            self._session.register("archived_files", found)
            source = "archived_files"
        else:
            listed = ", ".join(_literal(_to_the_letter(path)) for path in paths)
            source = f"read_parquet([{listed}], hive_partitioning = false)"
        described = f"select column_name, column_type from (describe from {source})"  # noqa: S608
        return source, dict(self.answer(described))

    def put(
        self, name: str, columns: Mapping[str, type], rows: Sequence[tuple[int | str, ...]]
    ) -> None:
        """Make a temporary table of some rows."""
        typed = ", ".join(f"{column} {_TYPES[kind]}" for column, kind in columns.items())
        self._session.execute(f"create or replace temp table {name} ({typed})")
        if not rows:
            return
        unnested = ", ".join(f"unnest(?::{_TYPES[kind]}[])" for kind in columns.values())
        values = [list(column) for column in zip(*rows, strict=True)]
        self._session.execute(f"insert into {name} select {unnested}", values)

    def answer(self, statement: str) -> Answer:
        """Return what a statement answers."""
        return Answer(self._batches(statement))

    def _batches(self, statement: str) -> Iterator[Any]:
        yield from self._session.sql(statement).to_arrow_reader(_ROWS_AT_ONCE)


@contextmanager
def started() -> Iterator[DuckSession]:
    """Start DuckDB for the block.

    Raises:
        ArchiveError: files cannot be read as what was archived.
        KeyboardInterrupt: also where DuckDB, or Arrow, was the one to hear of it.
        MissingExtraError: DuckDB is not installed.
    """
    with of_extra("lake", "reading the archive"):
        import duckdb
        import pyarrow as arrow  # noqa: ICN001
    settings: dict[str, Any] = {
        "memory_limit": _MEMORY,
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with (
        tempfile.TemporaryDirectory(prefix="consumer-analytics-") as beside,
        # By itself it would be .tmp in whatever folder the command was called in.
        duckdb.connect(":memory:", config={**settings, "temp_directory": beside}) as session,
    ):
        try:
            yield DuckSession(session)
        except (duckdb.InterruptException, arrow.ArrowCancelled):
            raise KeyboardInterrupt from None
        except RuntimeError as error:
            if str(error) != _INTERRUPTED:
                raise
            raise KeyboardInterrupt from None
        except (duckdb.Error, arrow.ArrowException) as error:
            first = str(error).strip().splitlines()[0]
            raise ArchiveError(f"the archive cannot be read: {first}") from None


def _to_the_letter(path: str) -> str:
    """Write a path so that DuckDB, which takes it for a pattern, finds that file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", path)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
