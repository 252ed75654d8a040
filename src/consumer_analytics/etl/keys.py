"""The keys of a snapshot's document, each defined here and nowhere else.

A figure has one name in a consumer's document and one in the whole system's, or is told by
one of them only. Rendering writes what stands here, in jsonb's own order; restatements and
audits take from it what is provenance and no figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import LiteralString


class Kind(Enum):
    """What stands under a key.

    Attributes:
        NUMBER: a count.
        RATIO: a figure computed from counts; may be null.
        MAP: counts by name.
        WORD: the same text in every document.
        PROVENANCE: where a snapshot comes from, no figure: a restatement leaves it as it was.
        WINDOW: the keys of the window, in a document of their own.
    """

    NUMBER = "number"
    RATIO = "ratio"
    MAP = "map"
    WORD = "word"
    PROVENANCE = "provenance"
    WINDOW = "window"


@dataclass(frozen=True)
class SnapshotKey:
    """One key.

    Attributes:
        of_consumer: its name in a consumer's document; None where that does not tell it.
        of_whole: its name in the whole system's document; None where that does not tell it.
        kind: what stands under it.
        value: SQL over the accumulated figures: for a number or ratio what it is, for a map the
            fragment with its pieces, for a word the word; for provenance and the window the
            column of `instants` that has the piece of the document.
    """

    of_consumer: LiteralString | None
    of_whole: LiteralString | None
    kind: Kind
    value: LiteralString


def _everywhere(name: LiteralString, kind: Kind, value: LiteralString) -> SnapshotKey:
    return SnapshotKey(name, name, kind, value)


def _summed(name: LiteralString, kind: Kind, value: LiteralString) -> SnapshotKey:
    return SnapshotKey(name, name + "_all_consumers", kind, value)


KEYS = (
    _summed("total_customers", Kind.NUMBER, "customers"),
    _summed("active_customers", Kind.NUMBER, "{active}"),
    _summed("inactive_customers", Kind.NUMBER, "{inactive}"),
    _summed("customers_by_status", Kind.MAP, "{by_status}"),
    SnapshotKey(
        "avg_customer_lifetime_days",
        None,
        Kind.RATIO,
        "case when dated > 0 "
        "then round((dated * instants.at_us - created_us) / dated / 86400000000, 2)::text "
        "else 'null' end",
    ),
    _summed("total_events", Kind.NUMBER, "events"),
    _summed("events_by_type", Kind.MAP, "{by_type}"),
    SnapshotKey(None, "snapshot_type", Kind.WORD, "GLOBAL"),
    SnapshotKey(None, "consumers_in_system", Kind.NUMBER, "consumers"),
    SnapshotKey(
        None,
        "system_wide_active_ratio",
        Kind.RATIO,
        "case when customers > 0 then round({active}::numeric / customers, 4) else 0 end",
    ),
    SnapshotKey(None, "unattributed_customers", Kind.NUMBER, "stray_customers"),
    SnapshotKey(None, "unattributed_events", Kind.NUMBER, "stray_events"),
    _everywhere("incremental_stats", Kind.WINDOW, "instants.window_json"),
    _everywhere("etl_job", Kind.PROVENANCE, "instants.provenance_json"),
    _everywhere("snapshot_source", Kind.PROVENANCE, "instants.source_json"),
)

#: Within `incremental_stats`, after what `instants` has of the window.
WINDOW_KEYS = (
    _everywhere("new_customers_in_window", Kind.NUMBER, "new_customers"),
    _everywhere("new_events_in_window", Kind.NUMBER, "new_events"),
)
#: Within `incremental_stats`, from `instants`: where a snapshot comes from as well.
WINDOW_PROVENANCE = ("window_start", "window_end")

#: What is no figure, wherever it stands in the document.
PROVENANCE = (
    *(key.of_whole for key in KEYS if key.kind is Kind.PROVENANCE),
    *WINDOW_PROVENANCE,
)


def of_consumer(keys: tuple[SnapshotKey, ...] = KEYS) -> dict[LiteralString, SnapshotKey]:
    """Return the keys of a consumer's document by name, in jsonb's own order."""
    return _in_order({key.of_consumer: key for key in keys})


def of_whole(keys: tuple[SnapshotKey, ...] = KEYS) -> dict[LiteralString, SnapshotKey]:
    """Return the keys of the whole system's document by name, in jsonb's own order."""
    return _in_order({key.of_whole: key for key in keys})


def _in_order(
    keys: dict[LiteralString | None, SnapshotKey],
) -> dict[LiteralString, SnapshotKey]:
    named = [(name, key) for name, key in keys.items() if name is not None]
    return dict(sorted(named, key=lambda one: (len(one[0]), one[0])))
