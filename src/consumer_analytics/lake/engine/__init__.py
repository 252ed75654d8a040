"""Reading the archive's files: by DuckDB in this process, or by a Spark Connect server.

Statements lie beside this module, each once for all engines: what these write differently stands
in `dialect`. What they read is `events`: a file's columns as the product understands them. A UUID
may be text, bytes or a UUID; a time without a zone is UTC; an instant is a number of microseconds
since 1970, which no session's zone concerns.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from importlib.resources import files
from itertools import pairwise
from typing import Any, Protocol

from consumer_analytics.errors import ArchiveError
from consumer_analytics.fields import Secret
from consumer_analytics.formatting import counted
from consumer_analytics.lake import folder
from consumer_analytics.lake.engine import duck, spark
from consumer_analytics.lake.engine.dialect import Dialect
from consumer_analytics.settings import Settings

_DAY = dt.timedelta(days=1) // dt.timedelta(microseconds=1)
_IDS = ("event_id", "customer_id", "consumer_id")
_TEXTS = ("event_type", "payload_json")


class Session(Protocol):
    """What an engine does for `Engine`."""

    dialect: Dialect

    def open(self, paths: Sequence[str]) -> tuple[str, dict[str, str]]:
        """Return what reads files in a FROM clause, and their columns with their types."""

    def put(
        self, name: str, columns: Mapping[str, type], rows: Sequence[tuple[int | str, ...]]
    ) -> None:
        """Make a temporary table of some rows, whose columns are whole numbers and texts."""

    def answer(self, statement: str) -> Iterator[tuple[Any, ...]]:
        """Yield what a statement answers."""


@cache
def _text(name: str) -> str:
    return (files(__name__) / f"{name}.sql").read_text(encoding="utf-8")


class Engine:
    """A session of an engine's over some files."""

    def __init__(self, session: Session, paths: Sequence[str], rows: int | None = None) -> None:
        """Take a session, and the files that it reads.

        Args:
            session: which reads no other files meanwhile.
            paths: of one shape, one at least.
            rows: how many there must be, where somebody knows.

        Raises:
            ArchiveError: the files lack a column, or have other rows.
        """
        self._session = session
        source, kinds = session.open(paths)
        if lacking := [one for one in (*_IDS, *_TEXTS, "created_at") if one not in kinds]:
            raise ArchiveError(f"{paths[0]} of the archive has no column {', '.join(lacking)}")
        dialect = session.dialect
        us = dialect.microseconds.format(column="created_at")
        columns = [
            *(f"{dialect.identity(name, kinds[name])} as {name}" for name in _IDS),
            *(f"cast({name} as {dialect.text}) as {name}" for name in _TEXTS),
            f"{us} as us",
            f"{dialect.day.format(us=us)} as day",
        ]
        # What is put together are names of ours and paths as literals.
        self._events = f"select {', '.join(columns)} from {source}"  # noqa: S608
        if rows is not None:
            ((found,),) = self._ask("rows")
            if found != rows:
                raise ArchiveError(
                    f"what reads the archive finds {counted(found, 'row')} in it and "
                    f"not {rows:,}: does its "
                    "machine have the same folder?"
                )

    def counts(self, cuts: Iterable[int] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield how many rows there are: consumer_id, since, event_type, n.

        Each row counts at the last midnight (UTC) or cut at or before it.

        Args:
            cuts: instants in microseconds since 1970.
        """
        of_days: dict[int, list[int]] = defaultdict(list)
        for us in sorted(set(cuts)):
            of_days[us // _DAY].append(us)
        pieces = [
            (day, begins, ends)
            for day, inside in of_days.items()
            for begins, ends in pairwise([*inside, (day + 1) * _DAY])
        ]
        self._session.put("pieces", {"day": int, "begins": int, "ends": int}, pieces)
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
        self._session.put("wanted", {"id": str}, [(str(one),) for one in ids])
        yield from self._ask("known")

    def lifecycle(self, types: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Yield customers' events of some types: ids, event_type, payload_json, the instant."""
        self._session.put("types", {"name": str}, [(one,) for one in types])
        yield from self._ask("lifecycle")

    def of_customers(self, customers: Iterable[uuid.UUID]) -> Iterator[tuple[Any, ...]]:
        """Yield all events of some customers, as `lifecycle` does."""
        self._session.put("customers", {"id": str}, [(str(one),) for one in customers])
        yield from self._ask("of-customers")

    def _ask(self, name: str) -> Iterator[tuple[Any, ...]]:
        dialect = self._session.dialect
        return self._session.answer(
            _text(name).format(events=self._events, number=dialect.number, text=dialect.text)
        )


@contextmanager
def started(remote: Secret | None = None) -> Iterator[Callable[..., Engine]]:
    """Start an engine for the block, which takes longer than to read a small file.

    Args:
        remote: the address of a Spark Connect server; DuckDB in this process without one.

    Yields:
        What opens some files as `Engine` does; those before them are no longer read then.

    Raises:
        ArchiveError: files cannot be read as what was archived, or nobody answers there.
        MissingExtraError: the engine is not installed.
    """
    start: AbstractContextManager[Session] = (
        duck.started() if remote is None else spark.started(remote)
    )
    with start as session:
        yield partial(Engine, session)


@contextmanager
def opened(settings: Settings, listed: Sequence[folder.ArchivedFile]) -> Iterator[Engine]:
    """Open files of the archive for the block, by the engine of the settings.

    Args:
        settings: where the archive is, and what reads it.
        listed: all files of the days that are to be read, one at least.

    Raises:
        ArchiveError: they are not what was archived, or cannot be read.
        MissingExtraError: what reads them is not installed.
    """
    paths = folder.checked(settings, listed)
    # This process reads what was checked; another machine may see another folder.
    rows = None if settings.spark_remote is None else sum(one.rows for one in listed)
    with started(settings.spark_remote) as open_files:
        yield open_files(paths, rows)
