"""The archive's files: what they are called, and whether they are still those of the manifest."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import stores, tables
from consumer_analytics.settings import Settings, variable

#: What the files of other tables would lie beside.
TABLE = "customer_events"


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the manifest.

    Attributes:
        name: below the lake's address.
        day: the UTC day whose rows it has.
        rows: how many.
        bytes: its size.
        sha256: of all of it, hexadecimal.
        etag: what the store said of its content; None where it says nothing.
        version: the Delta table's that added it; None where there is no such table.
    """

    name: str
    day: dt.date
    rows: int
    bytes: int
    sha256: str
    etag: str | None = None
    version: int | None = None


def name_of(day: dt.date, part: int) -> str:
    """Return the name of a day's first file, second file and so on, below the lake's address."""
    return f"{TABLE}/day={day.isoformat()}/part-{part:04}.parquet"


def checked(
    settings: Settings, files: Sequence[ArchivedFile], *, unfinished: bool = False
) -> list[str]:
    """Return where files are that are surely those of the manifest, and the only ones there.

    Args:
        settings: for the lake's address.
        files: all files of the days that are to be read.
        unfinished: whether each day may have its next file: `archive`, which was killed at it, is
            about to write it again.

    Raises:
        ArchiveError: a file is gone, changed, one more, or elsewhere; the message names it.
    """
    store = stores.of(settings)
    _require_within(files)
    _require_format(settings, store, files)
    found = store.looked_at(file.name for file in files)
    for file in files:
        _require_same(store, file, found[file.name])
    known = {file.name for file in files}
    if unfinished:
        parts = Counter(file.day for file in files)
        known |= {name_of(day, n + 1) for day, n in parts.items()}
    if (table := tables.of(settings, store, TABLE)) is not None:
        _require_table(settings, store, table, files, known)
        return [store.location(file.name) for file in files]
    # Whoever else reads the folder would count it.
    for name in store.below({name.rpartition("/")[0] for name in known}):
        if name not in known:
            raise _drifted(store.location(name), "is none of the archive's files")
    return [store.location(file.name) for file in files]


def unlike(settings: Settings, files: Iterable[ArchivedFile]) -> list[str]:
    """Return where files are gone or of another size; what they hold is not read.

    Raises:
        ArchiveError: no address is set, a name leads elsewhere, or nothing can be read there.
    """
    store = stores.of(settings)
    listed = list(files)
    _require_within(listed)
    found = store.looked_at(one.name for one in listed)
    return [
        store.location(one.name)
        for one in listed
        if (there := found[one.name]) is None or there.bytes != one.bytes
    ]


def require_table(settings: Settings, files: Sequence[ArchivedFile]) -> None:
    """Hold a table's log to the manifest, where the archive is a table; no file is read.

    Raises:
        ArchiveError: the table is another one, gone or cannot be read, or no address is set.
        MissingExtraError: what reads the log is not installed.
    """
    store = stores.of(settings)
    _require_format(settings, store, files)
    if (table := tables.of(settings, store, TABLE)) is not None:
        _require_table(settings, store, table, files, {file.name for file in files})


def table_of(settings: Settings) -> tables.FileTable | None:
    """Return the table of the archive's files; None where they are files in folders.

    Raises:
        ArchiveError: its log cannot be read, or no address is set.
        MissingExtraError: what reads it is not installed.
    """
    return tables.of(settings, stores.of(settings), TABLE)


def _require_format(settings: Settings, store: stores.Store, files: Sequence[ArchivedFile]) -> None:
    for file in files:
        if (file.version is None) != (settings.lake_format == "parquet"):
            other = "parquet" if file.version is None else tables.found_at(store, TABLE) or "delta"
            raise _misset(settings, file, other)


def _misset(settings: Settings, file: ArchivedFile, other: str) -> ArchiveError:
    return ArchiveError(
        f"{file.day} was archived as {other}, and {settings.lake_format} is set: "
        f"set {variable('lake_format')}={other}"
    )


def _require_table(
    settings: Settings,
    store: stores.Store,
    table: tables.FileTable,
    files: Sequence[ArchivedFile],
    known: set[str],
) -> None:
    """Hold a table's files of some days to the manifest's."""
    reached = max((file.version or 0 for file in files), default=-1)
    if table.version < reached:
        # Of both formats the manifest has versions; which it was is told by the log that is there.
        other = tables.found_at(store, TABLE) if table.version < 0 else None
        if other not in {None, settings.lake_format}:
            raise _misset(settings, files[0], str(other))
        of = f"of version {table.version}, not {reached}" if table.version >= 0 else "no longer"
        raise _drifted(store.location(TABLE), f"is {table.named} {of}")
    within = len(TABLE) + 1
    sizes = {file.name[within:]: file.bytes for file in files}
    unfinished = {name[within:] for name in known}
    if found := tables.differing(table, sizes, {file.day for file in files}, unfinished):
        name, what = found
        elsewhere = name.startswith("/") or ":/" in name
        raise _drifted(name if elsewhere else store.location(f"{TABLE}/{name}"), what)


def _require_within(files: Iterable[ArchivedFile]) -> None:
    """Refuse a name that leads out: whoever may write the manifest is to reach nothing by it."""
    for file in files:
        name = PurePosixPath(file.name)
        if name.is_absolute() or ".." in name.parts:
            raise ArchiveError(
                f"the manifest has {file.name!r}, which is no name within the archive"
            )


def _require_same(store: stores.Store, file: ArchivedFile, there: stores.Stored | None) -> None:
    where = store.location(file.name)
    if there is None:
        raise _drifted(where, "is gone")
    same = there.bytes == file.bytes
    # A store's own word is enough; without it, or where a copy was put back, the content is read.
    if same and (there.etag is None or there.etag != file.etag):
        same = store.sha256(file.name) == file.sha256
    if not same:
        raise _drifted(where, "is not what was archived")


def _drifted(where: str, what: str) -> ArchiveError:
    return ArchiveError(
        f"{where} {what}: a day that is archived does not change; put the folder back as it was, "
        "or see `consumer-analytics docs lake`"
    )
