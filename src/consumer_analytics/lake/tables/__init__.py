"""The archive's files as a table of a format that other engines read: Delta, or Iceberg.

A file is written and proven before the table's log has it, by a commit for each. Whoever reads a
day holds the table's files of it to the manifest's: what others have added, rewritten or removed is
named. Engines read the files themselves, held to their hashes, and need nothing to read a log.

* `delta`, `iceberg`: a format each;
* `iceberg_log`: an Iceberg table's log without a catalogue.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping

from consumer_analytics.lake import stores
from consumer_analytics.lake.tables.delta import DeltaTable
from consumer_analytics.lake.tables.iceberg import IcebergTable
from consumer_analytics.lake.tables.models import FileTable
from consumer_analytics.settings import Settings

__all__ = ["FileTable", "differing", "found_at", "of"]

#: Where the log of each lies within the table.
_LOGS = {"iceberg": "metadata", "delta": "_delta_log"}


def of(settings: Settings, store: stores.Store, name: str) -> FileTable | None:
    """Return the table of the format that is set; None where files are no table.

    Args:
        settings: for the format.
        store: where it lies.
        name: its folder's.

    Raises:
        ArchiveError: its log cannot be read.
        MissingExtraError: what reads it is not installed.
    """
    if settings.lake_format == "delta":
        return DeltaTable(store.location(name))
    if settings.lake_format == "iceberg":
        return IcebergTable(store, name)
    return None


def found_at(store: stores.Store, name: str) -> str | None:
    """Return the format of the table that lies in a folder, whatever is set."""
    return next((kind for kind, log in _LOGS.items() if store.names(f"{name}/{log}")), None)


def differing(
    table: FileTable,
    known: Mapping[str, int],
    days: Collection[dt.date],
    may_have: Collection[str],
) -> tuple[str, str] | None:
    """Return the name of a file that makes some days others than they were, and what it does.

    Args:
        table: as it is.
        known: the manifest's files of the days, with their sizes.
        days: those.
        may_have: further files, of which nobody knows yet whether they are there.
    """
    there = table.files()
    the_table = f"the {table.named.partition(' ')[2]}"
    for name, size in known.items():
        if name not in there:
            return name, f"is no longer in {the_table}"
        if there[name].bytes != size:
            return name, f"is another one in {the_table}"
    for name, file in sorted(there.items()):
        if name in known or name in may_have:
            continue
        if any(file.may_have(day) for day in days):
            return name, f"was added to {the_table}"
    return None
