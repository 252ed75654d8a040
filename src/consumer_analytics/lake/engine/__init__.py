"""Reading the archive's files: DuckDB, in this process, in UTC and without extensions.

Statements of DuckDB's lie beside this module; what they read is `rows`: a file's columns as the
product understands them. A UUID may be text, bytes or a UUID; a time without a zone is UTC; an
instant is a number of microseconds since 1970, which no session's zone concerns.
"""

from __future__ import annotations

import re
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra

#: DuckDB's own memory; what does not fit goes to a folder that nobody else can look into.
_MEMORY = "256MB"
_ROWS_AT_ONCE = 10_000
_IDS = ("event_id", "customer_id", "consumer_id")
_COLUMNS = (*_IDS, "event_type", "payload_json", "created_at")


@cache
def _text(name: str) -> str:
    return (files(__name__) / f"{name}.sql").read_text(encoding="utf-8")


class Engine:
    """A session of DuckDB's over some files."""

    def __init__(self, session: Any, paths: Sequence[Path]) -> None:
        """Take a session, and the files that it reads: of one shape, one at least."""
        self._session = session
        listed = ", ".join(_literal(_to_the_letter(path)) for path in paths)
        # Columns come from the files, never from a folder's name.
        source = f"read_parquet([{listed}], hive_partitioning = false)"
        described = f"select column_name, column_type from (describe from {source})"  # noqa: S608
        kinds = dict(self._answer(described))
        if lacking := [name for name in _COLUMNS if name not in kinds]:
            raise ArchiveError(f"{paths[0]} of the archive has no column {', '.join(lacking)}")
        columns = [f"{_identity(name, kinds[name])} as {name}" for name in _IDS]
        columns += ["event_type::varchar as event_type", "payload_json::varchar as payload_json"]
        columns += ["epoch_us(created_at) as us"]
        # What is put together are names of ours and paths as literals.
        self._rows = f"select {', '.join(columns)} from {source}"  # noqa: S608

    def counts(self, cuts: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        """Yield how many rows there are: consumer_id, the last cut at or before, event_type, n.

        Args:
            cuts: instants, in microseconds since 1970, one of them before all rows. A row at a cut
                is after it.
        """
        self._session.execute("create or replace temp table cuts (us bigint)")
        self._session.execute("insert into cuts select unnest(?::bigint[])", [sorted(set(cuts))])
        yield from self._ask("counts")

    def digests(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield of each day: its number since 1970, rows, the sum of their digests, the first."""
        for day, n, digest, first_at in self._ask("digests"):
            yield day, n, int(digest), first_at

    def ids(self) -> Iterator[tuple[Any, ...]]:
        """Yield the id of each row."""
        yield from self._ask("ids")

    def known(self, ids: Iterable[uuid.UUID]) -> Iterator[tuple[Any, ...]]:
        """Yield those of some rows' ids that the files have."""
        self._session.execute("create or replace temp table wanted (event_id varchar)")
        wanted = [str(one) for one in ids]
        self._session.execute("insert into wanted select unnest(?::varchar[])", [wanted])
        yield from self._ask("known")

    def lifecycle(self, types: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield customers' events of some types: ids, event_type, payload_json, the instant."""
        self._session.execute("create or replace temp table types (event_type varchar)")
        self._session.execute("insert into types select unnest(?::varchar[])", [list(types)])
        yield from self._ask("lifecycle")

    def of_customers(self, customers: Iterable[uuid.UUID]) -> Iterator[tuple[Any, ...]]:
        """Yield all events of some customers, as `lifecycle` does."""
        self._session.execute("create or replace temp table customers (customer_id varchar)")
        ids = [str(one) for one in customers]
        self._session.execute("insert into customers select unnest(?::varchar[])", [ids])
        yield from self._ask("of-customers")

    def _ask(self, name: str) -> Iterator[tuple[Any, ...]]:
        return self._answer(_text(name).format(rows=self._rows))

    def _answer(self, statement: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._session.execute(statement)
        while rows := cursor.fetchmany(_ROWS_AT_ONCE):
            yield from rows


@contextmanager
def started() -> Iterator[Callable[[Sequence[Path]], Engine]]:
    """Start DuckDB for the block, which takes longer than to read a small file.

    Yields:
        What opens some files of the archive; those before them are no longer read then.

    Raises:
        ArchiveError: files cannot be read as what was archived.
        MissingExtraError: DuckDB is not installed.
    """
    with of_extra("lake", "reading the archive"):
        import duckdb
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
            yield partial(Engine, session)
        except duckdb.Error as error:
            first = str(error).strip().splitlines()[0]
            raise ArchiveError(f"the archive cannot be read: {first}") from None


@contextmanager
def opened(paths: Sequence[Path]) -> Iterator[Engine]:
    """Open files of the archive for the block.

    Raises:
        ArchiveError: they cannot be read as what was archived.
        MissingExtraError: DuckDB is not installed.
    """
    with started() as open_files:
        yield open_files(paths)


def _identity(name: str, kind: str) -> str:
    """Write a UUID's column as text in lower case."""
    if kind == "BLOB":
        return f"cast(lower(hex({name})) as uuid)::varchar"
    return f"cast({name} as uuid)::varchar"


def _to_the_letter(path: Path) -> str:
    """Write a path so that DuckDB, which takes it for a pattern, finds that file and no other."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
