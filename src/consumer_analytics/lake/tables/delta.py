"""A Delta table of the archive's files: a log beside them that says which of them are the table."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Mapping
from typing import Any

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra
from consumer_analytics.lake.tables.models import Listed

_DAY = "day"
#: Marks rows as deleted without rewriting a file.
_VECTORS = "deletionVectors"


class DeltaTable:
    """A Delta table, as it is now."""

    named = "a Delta table"

    def __init__(self, address: str) -> None:
        """Read its log, if there is one.

        Args:
            address: a path, or an `s3:` address.

        Raises:
            ArchiveError: the log cannot be read.
            MissingExtraError: what reads it is not installed.
        """
        with of_extra("delta", "an archive that is a Delta table"):
            import deltalake
            from deltalake.exceptions import TableNotFoundError
        self._address = address
        self._table: Any = None
        try:
            self._table = deltalake.DeltaTable(address)
        except TableNotFoundError:
            return
        except (OSError, deltalake.exceptions.DeltaError) as error:
            raise self._unreadable(error) from None

    @property
    def version(self) -> int:
        """Return its version; -1 where there is no table."""
        return -1 if self._table is None else int(self._table.version())

    def files(self) -> Mapping[str, Listed]:
        """Return its files, by their names within the table.

        Raises:
            ArchiveError: rows of them may be marked as deleted.
        """
        if self._table is None:
            return {}
        if _VECTORS in (self._table.protocol().reader_features or ()):
            raise ArchiveError(
                f"{self._address} is a Delta table with deletion vectors, so rows of its files may "
                "be gone: a day that is archived does not change; see `consumer-analytics docs "
                "lake`"
            )
        names = ("path", f"partition.{_DAY}", "size_bytes")
        actions = self._table.get_add_actions(flatten=True)
        columns = (_values(actions, name) for name in names)
        return {
            path: Listed(size, number, number)
            for path, day, size in zip(*columns, strict=True)
            for number in (day and day.toordinal(),)
        }

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
        import deltalake
        import pyarrow as arrow  # noqa: ICN001
        from deltalake import transaction

        added = transaction.AddAction(
            name,
            size,
            {_DAY: day.isoformat()},
            int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": rows}),
        )
        schema = deltalake.Schema.from_arrow(
            arrow.schema([*columns, arrow.field(_DAY, arrow.date32())])
        )
        try:
            if self._table is None:
                transaction.create_table_with_add_actions(
                    self._address, schema, [added], mode="error", partition_by=[_DAY]
                )
                self._table = deltalake.DeltaTable(self._address)
            else:
                self._table.create_write_transaction([added], "append", schema, [_DAY])
                self._table.update_incremental()
        except (OSError, deltalake.exceptions.DeltaError) as error:
            first = str(error).strip().splitlines()[0]
            raise ArchiveError(
                f"{self._address} of the archive cannot be written: {first}"
            ) from None
        return self.version

    def _unreadable(self, error: Exception) -> ArchiveError:
        first = str(error).strip().splitlines()[0]
        return ArchiveError(f"{self._address} of the archive cannot be read: {first}")


def _values(actions: Any, name: str) -> list[Any]:
    import pyarrow as arrow  # noqa: ICN001

    found: list[Any] = arrow.table(actions).column(name).to_pylist()
    return found
