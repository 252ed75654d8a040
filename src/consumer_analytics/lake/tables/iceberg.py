"""An Iceberg table of the archive's files, without a catalogue."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra
from consumer_analytics.lake import stores
from consumer_analytics.lake.tables.models import Listed

if TYPE_CHECKING:
    from consumer_analytics.lake.tables.iceberg_log import Log

_DAY_US = dt.timedelta(days=1) // dt.timedelta(microseconds=1)
_EPOCH = dt.date(1970, 1, 1).toordinal()
_TIME = "created_at"
#: Of a text no more is kept than how many there are: it would be what customers did. A check reads
#: all manifests, so they are merged before there are many.
_PROPERTIES = {
    "write.metadata.metrics.default": "counts",
    f"write.metadata.metrics.column.{_TIME}": "full",
    "write.metadata.previous-versions-max": "10",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "16",
}


class IcebergTable:
    """An Iceberg table, as it is now."""

    named = "an Iceberg table"

    def __init__(self, store: stores.Store, name: str) -> None:
        """Read its log, if there is one.

        Args:
            store: where it lies.
            name: its folder's.

        Raises:
            ArchiveError: the log cannot be read, or is another place's.
            MissingExtraError: what reads it is not installed.
        """
        with of_extra("iceberg", "an archive that is an Iceberg table"):
            import pyiceberg.table  # noqa: F401
        from consumer_analytics.lake.tables.iceberg_log import Log

        self._where = store.location(name)
        self._log: Log = Log(store, name)
        with self._told("read"):
            self._table: Any = self._log.newest()
        if self._table is not None and not self._log.files.is_here(self._table.location()):
            raise ArchiveError(
                f"{self._where} is an Iceberg table that says it lies at {self._table.location()}: "
                "its log has whole addresses, so it cannot be read or added to from another place"
            )

    @property
    def version(self) -> int:
        """Return its sequence number; -1 where there is no table."""
        if self._table is None:
            return -1
        snapshot = self._table.current_snapshot()
        return 0 if snapshot is None else int(snapshot.sequence_number or 0)

    def files(self) -> Mapping[str, Listed]:
        """Return its files, by their names within the table; elsewhere, by their addresses.

        Raises:
            ArchiveError: rows of them may be marked as deleted, or the log cannot be read.
        """
        times = self._times()
        return {name: _listed(file, times) for name, file in self._data_files().items()}

    def add(self, name: str, day: dt.date, rows: int, size: int, columns: Any) -> int:
        """Let the table have a file more, or the same again; return the version that has it.

        Args:
            name: within the table.
            day: whose rows it has.
            rows: how many.
            size: in bytes.
            columns: of the file, as Arrow has them.

        Raises:
            ArchiveError: the log cannot be written.
        """
        from pyiceberg.io.pyarrow import parquet_file_to_data_file

        with self._told("written"):
            if self._table is None:
                self._table = self._log.create(_begun(self._log.files.address, columns))
            before = self._data_files().get(name)
            with self._table.transaction() as commit:
                added = parquet_file_to_data_file(
                    self._log.files, commit.table_metadata, f"{self._log.files.address}/{name}"
                )
                if (added.record_count, added.file_size_in_bytes) != (rows, size):
                    raise ArchiveError(f"{self._where}/{name} of {day} is not what was written")
                self._require_placed(commit.table_metadata.spec(), added)
                update = commit.update_snapshot()
                if before is None:
                    with update.merge_append() as snapshot:
                        snapshot.append_data_file(added)
                else:
                    with update.overwrite() as snapshot:
                        snapshot.delete_data_file(before)
                        snapshot.append_data_file(added)
        return self.version

    def _data_files(self) -> dict[str, Any]:
        """Return what the log says of each file, by the name within the table."""
        found: dict[str, Any] = {}
        with self._told("read"):
            snapshot = self._table and self._table.current_snapshot()
            for manifest in snapshot.manifests(self._log.files) if snapshot else ():
                for entry in manifest.fetch_manifest_entry(self._log.files, discard_deleted=True):
                    file = entry.data_file
                    if file.content != 0:
                        raise ArchiveError(
                            f"{file.file_path} marks rows of the Iceberg table {self._where} as "
                            "deleted: a day that is archived does not change; see "
                            "`consumer-analytics docs lake`"
                        )
                    name = self._log.files.within(file.file_path)
                    if name in found:
                        raise ArchiveError(
                            f"{file.file_path} is twice in the Iceberg table {self._where}: a day "
                            "that is archived does not change; see `consumer-analytics docs lake`"
                        )
                    found[name] = file
        return found

    def _require_placed(self, partitions: Any, file: Any) -> None:
        """Refuse a table whose partitions pyiceberg cannot tell of a file.

        By a column without bounds it would say NULL, and readers that look for a value would pass
        over rows that are there.
        """
        times = self._times()
        for place, field in enumerate(partitions.fields):
            if field.source_id != times or file.partition[place] is None:
                raise ArchiveError(
                    f"{self._where} is an Iceberg table with partitions ({field.name}) of which "
                    f"the archive's files do not tell: partition it by the day of {_TIME} again"
                )

    def _times(self) -> int | None:
        """Return the number of the column of instants, whatever it is called by now."""
        if self._table is None:
            return None
        schemas = sorted(self._table.metadata.schemas, key=lambda one: one.schema_id)
        fields = (field for schema in schemas for field in schema.fields if field.name == _TIME)
        return next((int(field.field_id) for field in fields), None)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            yield
        except ArchiveError:
            raise
        except Exception as error:  # noqa: BLE001  (its library has no class for what it cannot read)
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ArchiveError(
                f"{self._where} of the archive cannot be {what} as an Iceberg table: {first}"
            ) from None


def _begun(address: str, columns: Any) -> Any:
    """Return what is written of a table without rows."""
    import pyarrow as arrow  # noqa: ICN001
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import new_table_metadata
    from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
    from pyiceberg.transforms import DayTransform
    from pyiceberg.types import NestedField, StringType, TimestamptzType

    schema = Schema(
        *(
            NestedField(
                number,
                one.name,
                TimestamptzType() if arrow.types.is_timestamp(one.type) else StringType(),
                required=False,
            )
            for number, one in enumerate(columns, 1)
        )
    )
    times = schema.find_field(_TIME).field_id
    partition = PartitionField(source_id=times, field_id=1000, transform=DayTransform(), name="day")
    # The files know no numbers of columns: they are those of an archive without a table.
    names = {"schema.name-mapping.default": schema.name_mapping.model_dump_json()}
    return new_table_metadata(
        schema, PartitionSpec(partition), UNSORTED_SORT_ORDER, address, {**_PROPERTIES, **names}
    )


def _listed(file: Any, times: int | None) -> Listed:
    first, last = (
        None if bound is None else _EPOCH + int.from_bytes(bound, "little", signed=True) // _DAY_US
        for bound in ((file.lower_bounds or {}).get(times), (file.upper_bounds or {}).get(times))
    )
    return Listed(int(file.file_size_in_bytes), first, last)
