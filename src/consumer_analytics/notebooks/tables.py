"""Tables of snapshots: as rows, as an Arrow table, as a DataFrame of pandas."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from consumer_analytics import installation
from consumer_analytics.errors import SchemaError, StatementRefusedError
from consumer_analytics.notebooks.sessions import session
from consumer_analytics.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

#: Rows that are fetched, and make a batch of an Arrow table, at once.
_AT_ONCE = 10_000
_EXTRA = "dataframes"


@dataclass(frozen=True)
class Table:
    """Rows of snapshots that are read when they are asked for, each time anew.

    Whole and typed: identifiers are text in Arrow and pandas, instants carry UTC, counts are 64-bit
    integers (nullable ones in pandas), ratios and means are floats.

    Attributes:
        settings: for the database.
        statement: what is read.
        values: what it binds.
    """

    settings: Settings
    statement: sql.Composed
    values: Mapping[str, Any]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as dictionaries, with Python's own types, as the server sends them.

        The session is open until the last one, or until the iterator is closed.

        Raises:
            SchemaError: the database has not been migrated.
        """
        for names, batch in self._batches():
            for row in batch:
                yield dict(zip(names, row, strict=True))

    def arrow(self) -> pa.Table:
        """Return all rows as an Arrow table.

        Raises:
            MissingExtraError: there is no pyarrow.
            SchemaError: the database has not been migrated.
        """
        with installation.of_extra(_EXTRA, "an Arrow table"):
            import pyarrow as pa
        kinds = {
            "uuid": pa.string(),
            "text": pa.string(),
            "varchar": pa.string(),
            "timestamptz": pa.timestamp("us", tz="UTC"),
            "int8": pa.int64(),
            "numeric": pa.float64(),
            "bool": pa.bool_(),
        }
        schema = pa.schema(
            [(name, kinds[kind]) for name, kind in self._columns()],
        )
        batches = []
        for _, rows in self._batches():
            columns = zip(*rows, strict=True)
            arrays = [
                pa.array([_plain(value) for value in column], type=field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            batches.append(pa.record_batch(arrays, schema=schema))
        return pa.Table.from_batches(batches, schema=schema)

    def pandas(self) -> pd.DataFrame:
        """Return all rows as a DataFrame: instants with UTC, counts as nullable `Int64`.

        Raises:
            MissingExtraError: there is no pandas.
            SchemaError: the database has not been migrated.
        """
        with installation.of_extra(_EXTRA, "a DataFrame"):
            import pandas as pd
        table = self.arrow()
        import pyarrow as pa

        # An integer with a gap would become a float, and lose digits; so would a boolean.
        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
        return frame

    def _columns(self) -> list[tuple[str, str]]:
        """Return the columns' names and PostgreSQL's names of their types."""
        with _schema_told(), session(self.settings, "notebook") as connection:
            cursor = connection.execute(
                sql.SQL("select * from ({}) as none_of_it limit 0").format(self.statement),
                self.values,
            )
            types = connection.adapters.types
            return [
                (column.name, types[column.type_code].name) for column in cursor.description or ()
            ]

    def _batches(self) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
        """Yield the columns' names with some rows at a time."""
        with (
            _schema_told(),
            session(self.settings, "notebook") as connection,
            connection.transaction(),
            connection.cursor("notebook") as cursor,
        ):
            cursor.execute(self.statement, self.values)
            names = [column.name for column in cursor.description or ()]
            while rows := cursor.fetchmany(_AT_ONCE):
                yield names, rows


@contextmanager
def _schema_told() -> Iterator[None]:
    """Say what to do where the views are not there, in a `with` block."""
    try:
        yield
    except StatementRefusedError as error:
        said = error.__cause__
        if not isinstance(said, psycopg.errors.UndefinedTable):
            raise
        raise SchemaError(
            f"the database has no snapshots of ours ({said.diag.message_primary}); run "
            "`consumer-analytics migrate`"
        ) from None


def _plain(value: Any) -> Any:
    """Return a value as Arrow takes it: identifiers as text, exact decimals as floats."""
    if isinstance(value, uuid.UUID):
        return str(value)
    return float(value) if isinstance(value, Decimal) else value
