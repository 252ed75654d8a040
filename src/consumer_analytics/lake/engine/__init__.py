"""Reading the archive's files: by DuckDB in this process, or by a Spark Connect server.

Statements lie beside this module, each once for all engines: what these write differently stands
in `dialect`. What they read is `events`: a file's columns as the product understands them. A UUID
may be text, bytes or a UUID; a time without a zone is UTC; an instant is a number of microseconds
since 1970, which no session's zone concerns. `raw` has ids as the files have them, which are named
once for a group where rows are counted.
"""

from __future__ import annotations

import datetime as dt
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from importlib.resources import files
from itertools import pairwise
from typing import Protocol

from consumer_analytics.errors import ArchiveError
from consumer_analytics.fields import Secret
from consumer_analytics.formatting import counted
from consumer_analytics.lake import folder
from consumer_analytics.lake.engine import duck, spark
from consumer_analytics.lake.engine.answer import Answer
from consumer_analytics.lake.engine.dialect import Dialect
from consumer_analytics.settings import Settings

__all__ = ["Answer", "Engine", "Session", "opened", "started"]

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

    def answer(self, statement: str) -> Answer:
        """Return what a statement answers."""


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
        identities = {name: dialect.identity(name, kinds[name]) for name in _IDS}
        rest = [
            *(f"cast({name} as {dialect.text}) as {name}" for name in _TEXTS),
            f"{us} as us",
            f"{dialect.day.format(us=us)} as day",
        ]
        # What is put together are names of ours and paths as literals.
        named = ", ".join([*(f"{one} as {name}" for name, one in identities.items()), *rest])
        self._events = f"select {named} from {source}"  # noqa: S608
        # Whose they are once for each group, where that is what is asked for, not for each row.
        self._raw = f"select {', '.join([*_IDS, *rest])} from {source}"  # noqa: S608
        self._consumer = identities["consumer_id"]
        if rows is not None:
            ((found,),) = self._ask("rows")
            if found != rows:
                raise ArchiveError(
                    f"what reads the archive finds {counted(found, 'row')} in it and "
                    f"not {rows:,}: does its "
                    "machine have the same folder?"
                )

    def counts(self, cuts: Iterable[int] = ()) -> Answer:
        """Return how many rows there are: consumer_id, since, event_type, n.

        Each row counts at the last midnight (UTC) or cut at or before it.

        Args:
            cuts: instants in microseconds since 1970.
        """
        instants = sorted(set(cuts))
        days = sorted({us // _DAY for us in instants})
        self._put_pieces((day, begins, ends, begins) for day, begins, ends in _cut(days, instants))
        return self._ask("counts", consumer=self._consumer)

    def slots(
        self, days: Sequence[int], bounds: Sequence[int], columns: Sequence[tuple[str, int]]
    ) -> Answer:
        """Return how many rows there are: consumer_id, slot, rest, events, and a number by type.

        A slot is how many bounds lie at or before a row, as `width_bucket` has it. Rows of types
        without a column stand apart: `rest` is their type, '' where they have none.

        Args:
            days: of all rows, in days since 1970.
            bounds: instants in microseconds since 1970, ascending.
            columns: types, '' for rows without one, each with the number of its column, from 1 on.
        """
        pieces = _cut(days, bounds)
        self._put_pieces((*piece, bisect_right(bounds, piece[1])) for piece in pieces)
        self._session.put("kinds", {"name": str, "place": int}, columns)
        places = sorted({place for _, place in columns})
        return self._ask(
            "slots",
            consumer=self._consumer,
            names="".join(f", e{place}" for place in places),
            pivoted="".join(
                f", count(case when place = {place} then 1 end) as e{place}" for place in places
            ),
        )

    def digests(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield of each day: its number since 1970, rows, the sum of their digests, the first."""
        for day, n, digest, first_at in self._ask("digests"):
            yield day, n, int(digest), first_at

    def ids(self) -> Answer:
        """Return the id of each row."""
        return self._ask("ids")

    def known(self, ids: Iterable[uuid.UUID]) -> Answer:
        """Return those of some rows' ids that the files have."""
        self._session.put("wanted", {"id": str}, [(str(one),) for one in ids])
        return self._ask("known")

    def lifecycle(self, types: Sequence[str]) -> Answer:
        """Return customers' events of some types: ids, event_type, payload_json, the instant."""
        self._session.put("types", {"name": str}, [(one,) for one in types])
        return self._ask("lifecycle")

    def of_customers(self, customers: Iterable[uuid.UUID], besides: Sequence[str] = ()) -> Answer:
        """Return events of some customers, as `lifecycle` does; `besides` those of some types."""
        self._session.put("customers", {"id": str}, [(str(one),) for one in customers])
        self._session.put("types", {"name": str}, [(one,) for one in besides])
        return self._ask("of-customers")

    def _put_pieces(self, pieces: Iterable[tuple[int, int, int, int]]) -> None:
        """Put down stretches of days: the day, begin, end, and what a row of it counts at."""
        columns = {"day": int, "begins": int, "ends": int, "place": int}
        self._session.put("pieces", columns, list(pieces))

    def _ask(self, name: str, **parts: str) -> Answer:
        dialect = self._session.dialect
        own = {"events": self._events, "raw": self._raw, "text": dialect.text}
        statement = _text(name).format(number=dialect.number, **own, **parts)
        return self._session.answer(statement)


def _cut(days: Iterable[int], instants: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield the stretches into which instants, in order, divide days: the day, begin, end."""
    for day in days:
        begins, ends = day * _DAY, (day + 1) * _DAY
        inside = instants[bisect_right(instants, begins) : bisect_left(instants, ends)]
        for piece in pairwise([begins, *inside, ends]):
            yield day, *piece


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
