"""Snapshots by their instants: which there are, and taking back those that were a mistake.

What is taken back is no longer reported, and not missed: its rows go among the revisions, and no
note says that it was written, thinned or is owed. Counts, watermark and the windows of other
snapshots stay; whatever writes that instant again writes it as if for the first time.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from consumer_analytics.db import schema
from consumer_analytics.db.connection import INFINITY, MINUS_INFINITY, Connection
from consumer_analytics.db.locks import job_lock
from consumer_analytics.errors import UsageError
from consumer_analytics.etl import federation, vanished, watermark
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: Rows removed in one transaction, unless one instant has more: how long a run may have to wait.
_ROWS_AT_ONCE = 50_000
#: States in which there is something to take back, and those of chosen consumers' rows.
_STANDING = frozenset({"whole", "chosen", "lost", "owed"})
_ALONE = frozenset({"chosen", "lost"})

State = Literal["whole", "chosen", "lost", "owed", "thinned", "removed"]


@dataclass(frozen=True)
class Selection:
    """Which instants are meant; all where nothing is chosen.

    Attributes:
        instants: these alone; none: those of the range.
        lower: from here on.
        upper: up to here, this instant included.
        source: `etl` or `backfill`: those alone that it wrote, or owes.
        consumers: of these the rows alone, where they stand without the whole system's.
    """

    instants: tuple[dt.datetime, ...] = ()
    lower: dt.datetime = MINUS_INFINITY
    upper: dt.datetime = INFINITY
    source: str | None = None
    consumers: tuple[uuid.UUID, ...] = ()


@dataclass(frozen=True)
class SnapshotEntry:
    """What there is at one instant.

    Attributes:
        at: the instant.
        window_start: where its window begins; None where it has none, or its rows have several.
        snapshot_source: who wrote it, or is to write it; None where nobody did.
        state: `whole`: all consumers' rows and the system's; `chosen`: rows of consumers that were
            backfilled by themselves; `lost`: noted as written, and not there; `owed`: the next
            run writes it; `thinned`: maintenance removed it; `removed`: it was taken back.
        rows: how many rows it has.
        revisions: how many versions of its rows are kept beside what they say now.
        is_owed: whether the next run writes it, in whatever state it is.
    """

    at: dt.datetime
    window_start: dt.datetime | None
    snapshot_source: str | None
    state: State
    rows: int
    revisions: int
    is_owed: bool

    @property
    def window(self) -> dt.timedelta | None:
        """How long its window is."""
        return None if self.window_start is None else self.at - self.window_start

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "snapshot_timestamp": self.at,
            "window_start": self.window_start,
            "snapshot_source": self.snapshot_source,
            "state": self.state,
            "rows": self.rows,
            "revisions": self.revisions,
            "owed": self.is_owed,
        }


@dataclass(frozen=True)
class SnapshotListing:
    """Instants, the latest first.

    Attributes:
        total: how many there are.
        entries: the first of them.
    """

    total: int
    entries: tuple[SnapshotEntry, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {"total": self.total, "snapshots": [one.as_json() for one in self.entries]}


@dataclass(frozen=True)
class Found:
    """What there is of what is meant, the earliest first.

    Attributes:
        entries: instants at which there is something to take back.
        others: those at which there is not.
        left: of these, whole snapshots, of which single consumers' rows cannot go.
    """

    entries: tuple[SnapshotEntry, ...]
    others: tuple[SnapshotEntry, ...]
    left: tuple[dt.datetime, ...]


@dataclass(frozen=True)
class Removal:
    """What was taken back, or would be.

    Attributes:
        entries: the instants as they were, the earliest first.
        rows: how many rows went; they are among the revisions.
        no_longer_owed: instants that the next run does not write any more.
        left: whole snapshots of the range, of which single consumers' rows cannot go.
        not_writable: those of the instants that no command can write again, as events have
            vanished since.
        passes_mark: whether the instant that runs have come to is among them.
    """

    entries: tuple[SnapshotEntry, ...]
    rows: int
    no_longer_owed: tuple[dt.datetime, ...]
    left: tuple[dt.datetime, ...]
    not_writable: tuple[dt.datetime, ...]
    passes_mark: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "snapshots": [one.as_json() for one in self.entries],
            "rows": self.rows,
            "no_longer_owed": self.no_longer_owed,
            "left": self.left,
            "not_writable_again": self.not_writable,
        }


def listing(
    connection: Connection, selection: Selection, *, limit: int | None = None
) -> SnapshotListing:
    """List instants that have a snapshot, had one, or are to get one.

    Args:
        connection: to the product's database.
        selection: which.
        limit: how many to list, the latest first; all are counted. None: all.

    Raises:
        SchemaError: the schema is not this version's.
    """
    schema.require_current(connection)
    rows = connection.execute(
        query("operations/snapshots/list"),
        {
            "lower": selection.lower,
            "upper": selection.upper,
            "instants": list(selection.instants) or None,
            "source": selection.source,
            "consumers": list(selection.consumers) or None,
            "limit": limit,
        },
    ).fetchall()
    return SnapshotListing(
        rows[0][-1] if rows else 0, tuple(SnapshotEntry(*row[:-1]) for row in rows)
    )


def remove(
    connection: Connection,
    settings: Settings,
    selection: Selection,
    *,
    who: str,
    reason: str = "",
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Removal:
    """Take snapshots back, some instants at a time, each of them whole or not at all.

    Where it is interrupted, what was removed is kept and noted, and another call does the rest.

    Args:
        connection: in autocommit, outside of a transaction.
        settings: `lock_wait` bounds the waiting for a run.
        selection: which; with consumers, their rows alone.
        who: who asks, kept with each row.
        reason: why, kept with each row.
        dry_run: say what would be removed, and remove nothing.
        progress: told how many instants are done, and how many there are.

    Raises:
        UsageError: there is nothing to remove at an instant that was named, or in the range;
            nothing was.
        BusyError: a run would not end.
        SchemaError: the schema is not this version's.
    """
    schema.require_current(connection)
    federation.require_own(connection)
    found = found_of(connection, selection)
    require(found, selection)
    planned = Removal(
        found.entries,
        sum(one.rows for one in found.entries),
        () if selection.consumers else tuple(one.at for one in found.entries if one.is_owed),
        found.left,
        not_writable(connection, settings, found.entries),
        watermark.processed_through(connection) in [one.at for one in found.entries],
    )
    if dry_run:
        return planned
    rows, owed = take_back(
        connection,
        settings,
        found.entries,
        selection.consumers,
        who=who,
        reason=reason,
        progress=progress,
    )
    return replace(planned, rows=rows, no_longer_owed=owed)


def found_of(connection: Connection, selection: Selection) -> Found:
    """Look what there is of what is meant, to be taken back and otherwise."""
    found = tuple(reversed(listing(connection, selection).entries))
    states = _ALONE if selection.consumers else _STANDING
    return Found(
        tuple(one for one in found if one.state in states),
        tuple(one for one in found if one.state not in states),
        tuple(one.at for one in found if selection.consumers and one.state == "whole"),
    )


def not_writable(
    connection: Connection, settings: Settings, entries: Sequence[SnapshotEntry]
) -> tuple[dt.datetime, ...]:
    """Return those of some instants that no command can write again once they are taken back."""
    instants = [one.at for one in entries if one.rows]
    return vanished.refused(connection, settings, instants, are_reported=False)


def take_back(
    connection: Connection,
    settings: Settings,
    entries: Sequence[SnapshotEntry],
    consumers: Sequence[uuid.UUID],
    *,
    who: str,
    reason: str,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[int, tuple[dt.datetime, ...]]:
    """Take back what is there at some instants, or of chosen consumers what stands alone there.

    Returns:
        How many rows went, and the instants that were owed.
    """
    why = f"snapshots remove by {who} ({connection.info.user})" + (f": {reason}" if reason else "")
    rows, done = 0, 0
    owed: list[dt.datetime] = []
    for chunk in _chunks(entries):
        with job_lock(connection, settings, sees_commits=True):
            gone = connection.execute(
                query("operations/snapshots/remove"),
                {
                    "instants": chunk,
                    "consumers": list(consumers) or None,
                    "reason": why,
                },
            ).fetchall()
        rows += sum(n for _, n, _ in gone)
        owed += [at for at, _, was_owed in gone if was_owed]
        done += len(chunk)
        progress(done, len(entries))
    return rows, tuple(owed)


def _chunks(entries: Sequence[SnapshotEntry]) -> Iterator[list[dt.datetime]]:
    """Yield the instants, so many together as have no more rows than are removed at once."""
    chunk: list[dt.datetime] = []
    rows = 0
    for one in entries:
        if chunk and rows + one.rows > _ROWS_AT_ONCE:
            yield chunk
            chunk, rows = [], 0
        chunk.append(one.at)
        rows += one.rows
    if chunk:
        yield chunk


def require(found: Found, selection: Selection) -> None:
    """Refuse where there is nothing to remove at an instant that was named, or in the range.

    Raises:
        UsageError: there is not; the message says why.
    """
    states = {one.at: one.state for one in found.others}
    lacking = sorted(set(selection.instants) - {one.at for one in found.entries})
    if found.entries and not lacking:
        return
    if found.left:
        raise UsageError(
            f"all consumers have their rows at {vanished.named(found.left)}: such a snapshot goes "
            "as a whole, without --consumer; nothing was removed"
        )
    what = "rows of these consumers" if selection.consumers else "snapshot"
    if selection.source:
        what += f" of {'a backfill' if selection.source == 'backfill' else 'a run'}"
    raise UsageError(
        f"there {'are' if selection.consumers else 'is'} no {what} "
        + (f"at {_why_not(lacking, states)}" if lacking else "in that range")
        + "; nothing was removed. `consumer-analytics snapshots list` shows which there are"
    )


def _why_not(lacking: Sequence[dt.datetime], states: dict[dt.datetime, State]) -> str:
    """Write instants without a snapshot, and of one alone what became of it."""
    became = {"thinned": ": maintenance has thinned it", "removed": ": it was removed before"}
    only = became.get(states.get(lacking[0], ""), "") if len(lacking) == 1 else ""
    return vanished.named(lacking) + only
