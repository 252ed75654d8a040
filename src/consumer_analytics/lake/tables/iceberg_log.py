"""An Iceberg table's log, without a catalogue: the newest `v<number>.metadata.json` is the table.

So lie the tables that engines open by their folder alone; `version-hint.text` names the number for
those that do not look. What pyiceberg reads and writes goes through the archive's store: with its
access, its rights, and nothing that is half written.

It is imported where an archive is an Iceberg table.
"""

from __future__ import annotations

import re
from contextlib import closing
from io import BytesIO
from typing import Any

from pyiceberg.catalog.noop import NoopCatalog
from pyiceberg.serializers import FromInputFile, ToOutputFile
from pyiceberg.table import CommitTableResponse, Table
from pyiceberg.table.update import RemoveSnapshotsUpdate, update_table_metadata

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import stores

#: Below the table's folder.
_FOLDER = "metadata"
_HINT = "version-hint.text"
_OWN = re.compile(r"v(\d+)\.(?:gz\.)?metadata\.json(?:\.gz)?")
#: As catalogues call them, which keep elsewhere what is the newest.
_CATALOGUES = re.compile(r"(\d+)-[^/]+\.metadata\.json")
#: Further ones would make each commit write all that were before it.
_SNAPSHOTS_KEPT = 10
_IDENTIFIER = ("archive", "events")


class StoreFile:
    """A file in the store, as pyiceberg reads and writes it."""

    def __init__(self, store: stores.Store, name: str, location: str) -> None:
        """Take its name in the store, and its address in the log."""
        self._store, self._name, self.location = store, name, location

    def __len__(self) -> int:
        """Return its size."""
        there = self._store.looked_at([self._name])[self._name]
        if there is None:
            raise stores.unreadable(self._store.location(self._name), "it is gone")
        return there.bytes

    def exists(self) -> bool:
        """Tell whether it is there."""
        return self._store.looked_at([self._name])[self._name] is not None

    def open(self, seekable: bool = True) -> Any:  # noqa: ARG002  (pyiceberg hands it over)
        """Open it for reading."""
        return self._store.opened(self._name)

    def create(self, overwrite: bool = False) -> Any:  # noqa: ARG002  (pyiceberg hands it over)
        """Return what is written to, and stands at the file's place once it is closed."""
        return _Written(self._store, self._name)

    def to_input_file(self) -> StoreFile:
        """Return it for reading."""
        return self


class _Written(BytesIO):
    def __init__(self, store: stores.Store, name: str) -> None:
        super().__init__()
        self._store, self._name, self._failed = store, name, False

    def __exit__(self, *error: object) -> None:
        self._failed = error[0] is not None
        self.close()

    def close(self) -> None:
        if not self.closed and not self._failed:
            with self._store.placing(self._name) as path, stores.new_file(path) as file:
                file.write(self.getvalue())
        super().close()


class StoreFiles:
    """A table's files, and no other's: addresses that lead elsewhere are refused."""

    properties: dict[str, str] = {}  # noqa: RUF012  (nobody changes it)

    def __init__(self, store: stores.Store, table: str) -> None:
        """Take the store, and the name of the table's folder in it."""
        self._store, self._table = store, table
        self._root = store.location(table)
        #: The table's address in its log.
        self.address = self._root if self._root.startswith("s3://") else f"file://{self._root}"

    def within(self, address: str) -> str:
        """Return a file's name within the table; elsewhere, its address."""
        path = _plain(address)
        below = path.removeprefix(f"{self._root}/")
        return address if path == below or ".." in below.split("/") else below

    def is_here(self, address: str) -> bool:
        """Tell whether an address is the table's."""
        return _plain(address).rstrip("/") == self._root

    def file(self, address: str) -> StoreFile:
        """Return a file of the table's.

        Raises:
            ArchiveError: it lies elsewhere.
        """
        name = self.within(address)
        if name == address:
            raise ArchiveError(
                f"{address}, which {self._root} names as a part of itself, lies elsewhere"
            )
        return StoreFile(self._store, f"{self._table}/{name}", address)

    #: What pyiceberg calls it.
    new_input = new_output = file

    def delete(self, address: Any) -> None:
        """Delete nothing: what is written and not named is in nobody's way."""


class Log(NoopCatalog):  # type: ignore[misc]
    """What knows which file is the table: a folder."""

    def __init__(self, store: stores.Store, table: str) -> None:
        """Take the store, and the name of the table's folder in it."""
        super().__init__("archive")
        self._store, self._table = store, table
        self.files = StoreFiles(store, table)

    def newest(self) -> Table | None:
        """Return the table as it is now; None where there is none.

        A catalogue that has taken the table over writes beside us: the latest is the table.
        """
        names = self._store.names(f"{self._table}/{_FOLDER}")
        last = [*_last(_OWN, names), *_last(_CATALOGUES, names)]
        return max((self._table_of(name) for name in last), key=_age, default=None)

    def load_table(self, identifier: Any) -> Table:
        """Return the table, which is there."""
        if (found := self.newest()) is None:
            raise stores.unreadable(self._store.location(self._table), f"no {identifier} is there")
        return found

    def create(self, metadata: Any) -> Table:
        """Write the first file, of a table without rows."""
        self._write(metadata, 1)
        return self.load_table(_IDENTIFIER)

    def commit_table(self, table: Any, requirements: Any, updates: Any) -> CommitTableResponse:
        """Write the next file.

        Raises:
            CommitFailedException: somebody else has written meanwhile.
            ArchiveError: a catalogue keeps the table.
        """
        current = self.load_table(table.name())
        for requirement in requirements:
            requirement.validate(current.metadata)
        metadata = _forgetful(
            update_table_metadata(
                current.metadata, updates, metadata_location=current.metadata_location
            )
        )
        place = current.metadata_location.rpartition("/")[2]
        if (number := _OWN.fullmatch(place)) is None:
            raise ArchiveError(
                f"{self._store.location(self._table)} is an Iceberg table that a catalogue keeps "
                f"since it wrote {place}: nothing can be added beside it"
            )
        written = self._write(metadata, int(number[1]) + 1)
        return CommitTableResponse(metadata=metadata, metadata_location=written)

    def _table_of(self, name: str) -> Table:
        address = f"{self.files.address}/{_FOLDER}/{name}"
        metadata = FromInputFile.table_metadata(self.files.file(address))
        return Table(_IDENTIFIER, metadata, address, self.files, self)

    def _write(self, metadata: Any, number: int) -> str:
        address = f"{self.files.address}/{_FOLDER}/v{number}.metadata.json"
        ToOutputFile.table_metadata(metadata, self.files.file(address))
        # Whoever is killed here leaves a hint at the one before, which the next commit puts right.
        hint = self.files.file(f"{self.files.address}/{_FOLDER}/{_HINT}")
        with closing(hint.create()) as written:
            written.write(str(number).encode())
        return address


def _age(table: Table) -> tuple[int, int]:
    """Return what a commit raises: the number of those that concern rows, and the time of any."""
    return table.metadata.last_sequence_number, table.metadata.last_updated_ms


def _forgetful(metadata: Any) -> Any:
    """Leave out all but the last snapshots, and those that somebody has named."""
    kept = {ref.snapshot_id for ref in metadata.refs.values()}
    old = sorted(metadata.snapshots, key=lambda one: one.sequence_number)[:-_SNAPSHOTS_KEPT]
    gone = [one.snapshot_id for one in old if one.snapshot_id not in kept]
    if not gone:
        return metadata
    return update_table_metadata(metadata, (RemoveSnapshotsUpdate(snapshot_ids=gone),))


def _last(pattern: re.Pattern[str], names: list[str]) -> list[str]:
    """Return the names with the highest number."""
    numbered = [(int(found[1]), name) for name in names if (found := pattern.fullmatch(name))]
    highest = max((number for number, _ in numbered), default=0)
    return [name for number, name in numbered if number == highest]


def _plain(address: str) -> str:
    """Return an address in one of the ways in which engines write it."""
    scheme, colon, rest = address.partition(":")
    if colon and scheme == "file":
        return "/" + rest.lstrip("/")
    if colon and scheme in {"s3", "s3a", "s3n"}:
        return f"s3:{rest}"
    return address
