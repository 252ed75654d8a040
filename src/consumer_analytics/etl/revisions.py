"""Restatements: when a snapshot was restated, why, and what it said before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from consumer_analytics.db.connection import Connection, scalar_of
from consumer_analytics.etl.keys import PROVENANCE
from consumer_analytics.sql import query


@dataclass(frozen=True)
class Revision:
    """One restatement of one snapshot row.

    Attributes:
        at: when.
        reason: what restated it, such as `sweep at …`.
        consumer_id: whose row; None for the whole system's.
        snapshot: its instant.
        changed: key to (before, after), such as `events_by_type.login`; None
            as a value where a key, or after a withdrawal the row, is not there.
        withdrawn: whether the row is gone: the consumer had no part in the snapshot.
    """

    at: dt.datetime
    reason: str
    consumer_id: str | None
    snapshot: dt.datetime
    changed: dict[str, tuple[Any, Any]]
    withdrawn: bool

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return {
            "restated_at": self.at,
            "reason": self.reason,
            "consumer_id": self.consumer_id,
            "snapshot_timestamp": self.snapshot,
            "withdrawn": self.withdrawn,
            "changed": {
                key: {"from": before, "to": after} for key, (before, after) in self.changed.items()
            },
        }


def latest(connection: Connection, limit: int) -> list[Revision]:
    """Return the latest restatements, the newest first."""
    return [
        Revision(
            at,
            reason,
            consumer,
            snapshot,
            _changed(before, {} if withdrawn else after),
            withdrawn,
        )
        for at, reason, consumer, snapshot, before, after, withdrawn in connection.execute(
            query("etl/revisions/latest"), {"limit": limit}
        )
    ]


def total(connection: Connection) -> int:
    """Return how many restatements of snapshot rows there are."""
    return int(scalar_of(connection, "etl/revisions/total"))


def flat(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a document's values with their paths, such as `events_by_type.login`."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield from flat(value, f"{path}.{key}" if path else key)
    else:
        yield path, document


def _changed(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    old, new = dict(flat(before)), dict(flat(after))
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and key.rpartition(".")[2] not in PROVENANCE
    }
