"""Two sessions that see the same rows, each on a core of its own, and what they hand each other.

Rows go from one's tables to the other's in blocks of COPY: each session sees its own temporary
tables alone, and PostgreSQL's parallel workers write to none.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from psycopg import sql
from psycopg.abc import Buffer

from consumer_analytics.db.connection import Connection, consistent, scalar, wait_long

T = TypeVar("T")

#: Bytes that one session hands the other at a time, and how many times ahead of it.
_BLOCK = 64 * 1024
_BLOCKS_AHEAD = 512
#: How often a session that waits for the other one looks whether that still works, in seconds.
_PATIENCE = 0.2


class AbandonedError(Exception):
    """The other one of the two sessions has failed."""


def in_blocks(rows: Iterable[Buffer]) -> Iterator[bytes]:
    """Yield what a COPY answers, many of its rows at a time; none of it is empty."""
    block = bytearray()
    for row in rows:
        block += row
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class Pipe:
    """Hands rows of one session's tables to the other's, some at a time."""

    def __init__(self, stopped: threading.Event) -> None:
        """Make one that ends when `stopped` is set."""
        self._blocks: queue.Queue[bytes] = queue.Queue(_BLOCKS_AHEAD)
        self._stopped = stopped

    def send_rows(self, connection: Connection, select: sql.Composable) -> None:
        """Hand over what a query answers."""
        statement = sql.SQL("copy ({}) to stdout (format binary)").format(select)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for block in in_blocks(copy):
                self._put(block)
        self._put(b"")

    def receive_rows(self, connection: Connection, into: sql.Composable) -> None:
        """Put what is handed over into a table: `name (column, …)`."""
        statement = sql.SQL("copy {} from stdin (format binary)").format(into)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            while block := self._get():
                copy.write(block)

    def send(self, value: Any) -> None:
        """Hand over a value that JSON knows, before or after rows."""
        self._put(json.dumps(value).encode())

    def receive(self) -> Any:
        """Return the value that is handed over."""
        return json.loads(self._get())

    def _put(self, block: bytes) -> None:
        while not self._stopped.is_set():
            with suppress(queue.Full):
                self._blocks.put(block, timeout=_PATIENCE)
                return
        raise AbandonedError

    def _get(self) -> bytes:
        while not self._stopped.is_set():
            with suppress(queue.Empty):
                return self._blocks.get(timeout=_PATIENCE)
        raise AbandonedError


@dataclass(frozen=True)
class Part(Generic[T]):
    """What one of the two does.

    Attributes:
        reads: in its transaction, whose rows both see.
        then: after it, with what that returned.
    """

    reads: Callable[[Connection], T]
    then: Callable[[Connection, T], None]


def work(
    connection: Connection,
    second: Connection,
    stopped: threading.Event,
    parts: tuple[Part[T], Part[T]],
) -> None:
    """Let two sessions work at the same time, in two transactions that see the same rows.

    Args:
        connection: the first session, in autocommit; the calling thread works in it.
        second: the other one, likewise; a thread of its own works in it.
        stopped: of the pipes between them; set where one of them fails.
        parts: what the first does, and what the second.

    Raises:
        Exception: what the first of them failed with.
    """
    mine, its = parts
    failure: list[BaseException] = []
    imported = threading.Event()

    def other(snapshot: str) -> None:
        try:
            with consistent(second):
                second.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
                imported.set()
                # Each waits for the other's rows.
                wait_long(second)
                found = its.reads(second)
            its.then(second, found)
        except BaseException as error:  # noqa: BLE001  (raised again by the first session)
            failure.append(error)
            stopped.set()
        finally:
            imported.set()

    thread: threading.Thread | None = None
    try:
        with consistent(connection):
            wait_long(connection)
            snapshot = scalar(connection, "select pg_export_snapshot()")
            thread = threading.Thread(target=other, args=[snapshot], daemon=True)
            thread.start()
            found = mine.reads(connection)
            # The snapshot is there to be taken as long as this transaction is.
            imported.wait()
        mine.then(connection, found)
        while thread.is_alive():
            thread.join(_PATIENCE)
    except AbandonedError:
        pass
    finally:
        if thread is not None and thread.is_alive():
            stopped.set()
            # Again until it ends: between two statements there is nothing to cancel.
            while thread.is_alive():
                second.cancel_safe()
                thread.join(_PATIENCE)
    if failure:
        raise failure[0]
