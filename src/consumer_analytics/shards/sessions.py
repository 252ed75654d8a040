"""A session in each shard, all at work at the same time; and whose turn it is to have them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

import psycopg
from psycopg import sql

from consumer_analytics.db import locks
from consumer_analytics.db.connection import Connection, connect, connected, wait_long
from consumer_analytics.db.locks import Lock
from consumer_analytics.db.side_by_side import in_blocks
from consumer_analytics.errors import (
    BusyError,
    ConsumerAnalyticsError,
    ShardsError,
    one_line,
)
from consumer_analytics.messages import Information
from consumer_analytics.settings import Settings, variable
from consumer_analytics.shards import addresses

T = TypeVar("T")
Notify = Callable[[str], None]

#: How often a thread is looked after, and how long one may take to end that is told to.
_PATIENCE = 0.2
_SECONDS_TO_END = 10.0


@dataclass(frozen=True)
class Shard:
    """A shard and a session in it.

    Attributes:
        name: as the file has it.
        settings: for work in it.
        connection: in autocommit.
    """

    name: str
    settings: Settings
    connection: Connection

    def telling(self, notify: Notify) -> Notify:
        """Return what tells people something of this shard."""

        def told(text: str) -> None:
            of_this = f"shard {self.name}: {text}"
            notify(Information(of_this) if isinstance(text, Information) else of_this)

        return told


@contextmanager
def opened(
    settings: Settings,
    purpose: str,
    *,
    as_admin: bool = False,
    works_long: bool = True,
    only: str | None = None,
) -> Iterator[tuple[Shard, ...]]:
    """Open a session in every shard, or in one, for a `with` block, and close them after.

    Raises:
        SettingsError: the file of shards cannot be used.
        ShardsError: one of them cannot be reached, or does not let us in; it is named. Or there is
            none of the name.
    """
    chosen = [one for one in addresses.read(settings) if only in (None, one.name)]
    if not chosen:
        raise ShardsError(f"shard {only} is not in the file")
    found: list[Shard] = []
    with ExitStack() as stack:
        for address in chosen:
            own = address.settings(settings)
            try:
                session = connect(own, purpose, as_admin=as_admin, works_long=works_long)
            except ConsumerAnalyticsError as error:
                raise of_shard(address.name, error) from error
            stack.callback(session.close)
            session.shard = address.name
            found.append(Shard(address.name, own, session))
        yield tuple(found)


@contextmanager
def turn(settings: Settings, *, shared: bool = False) -> Iterator[None]:
    """Have the turn to work over all shards, for a `with` block.

    Args:
        settings: `lock_wait` bounds the waiting.
        shared: others who share it may have it too: they work in other shards.

    Raises:
        BusyError: another one has it for longer than `lock_wait`.
    """
    with connected(settings, "turn over shards") as session:
        locks.limit_waiting(session, settings.lock_wait)
        with session.transaction():
            try:
                locks.take(session, Lock.SHARDS, shared=shared)
            except psycopg.errors.LockNotAvailable:
                raise BusyError(
                    f"others still work over all shards after {settings.lock_wait:g} s; "
                    "run again when they are done"
                ) from None
            wait_long(session)
            yield


def each(shards: Sequence[Shard], work: Callable[[Shard], T]) -> dict[str, T]:
    """Let all shards work at the same time; return what each answers, by its name.

    All have ended when this returns, or raises.

    Raises:
        ShardsError: one of them failed, for a reason that people can do something about; the
            first in the file's order is named.
    """
    answers: dict[str, T] = {}
    failures: dict[str, BaseException] = {}

    def one(shard: Shard) -> None:
        try:
            answers[shard.name] = work(shard)
        except BaseException as error:  # noqa: BLE001  (raised again below)
            failures[shard.name] = error

    threads = {
        shard.name: threading.Thread(target=one, args=[shard], daemon=True) for shard in shards
    }
    for thread in threads.values():
        thread.start()
    try:
        for thread in threads.values():
            while thread.is_alive():
                thread.join(_PATIENCE)
    except BaseException:
        _end(shards, threads)
        raise
    for shard in shards:
        if shard.name in failures:
            raise of_shard(shard.name, failures[shard.name]) from failures[shard.name]
    return {shard.name: answers[shard.name] for shard in shards}


def _end(shards: Sequence[Shard], threads: dict[str, threading.Thread]) -> None:
    """Cancel what is at work, again until it ends: between two statements there is nothing to."""
    until = time.monotonic() + _SECONDS_TO_END
    while time.monotonic() < until and any(thread.is_alive() for thread in threads.values()):
        for shard in shards:
            if threads[shard.name].is_alive():
                with suppress(psycopg.Error):
                    shard.connection.cancel_safe(timeout=_PATIENCE)
                threads[shard.name].join(_PATIENCE)


def of_shard(name: str, error: BaseException) -> BaseException:
    """Return an error that says which shard it is of, where people are meant to read it."""
    if not isinstance(error, ConsumerAnalyticsError | psycopg.Error):
        return error
    own = f"its url in the file that {variable('shards_file')} names"
    told = ShardsError(f"shard {name}: {one_line(error).replace(variable('database_url'), own)}")
    if isinstance(error, ConsumerAnalyticsError):
        told.exit_code = error.exit_code
    return told


def copied(
    source: Connection,
    reading: sql.SQL | sql.Composed,
    target: Connection,
    writing: sql.SQL | sql.Composed,
) -> None:
    """Put what a COPY of one session answers into a table of another's, some rows at a time."""
    with (
        source.cursor() as reader,
        target.cursor() as writer,
        reader.copy(reading) as rows,
        writer.copy(writing) as copy,
    ):
        for block in in_blocks(rows):
            copy.write(block)
