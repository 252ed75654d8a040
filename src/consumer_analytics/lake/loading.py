"""Rows between PostgreSQL and Arrow: as CSV that Arrow writes and reads, by COPY.

Value by value through Python would take longer than what is done with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection
from consumer_analytics.lake.engine.answer import Answer

_ROWS_AT_ONCE = 50_000


def load(connection: Connection, into: str, answer: Answer, *, instant: str | None = None) -> None:
    """Put an answer into a temporary table.

    Args:
        connection: in the transaction that has made the table.
        into: the table and its columns, in the answer's order: `name (column, …)`.
        answer: texts and whole numbers; ids as text.
        instant: its column that is microseconds since 1970, and a time in the table.
    """
    from pyarrow import csv

    statement = sql.SQL("copy pg_temp.") + sql.SQL(into) + sql.SQL(" from stdin (format csv)")
    # Texts are in quotes: what has none and nothing in it is NULL.
    as_rows = csv.WriteOptions(include_header=False)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in answer.batches:
            copy.write(_as_csv(_dated(batch, instant), as_rows))


def unload(
    connection: Connection, select: sql.Composed, columns: Mapping[str, Any]
) -> Iterator[Any]:
    """Yield what a query answers, some rows at a time, as Arrow's tables.

    Args:
        connection: not to be used otherwise until the last is read.
        select: without values to be bound.
        columns: of the answer, with Arrow's types of them.
    """
    import pyarrow as arrow  # noqa: ICN001
    from pyarrow import csv

    read = csv.ReadOptions(column_names=list(columns), use_threads=False)
    parse = csv.ParseOptions(newlines_in_values=True)
    convert = csv.ConvertOptions(
        column_types=columns,
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )
    statement = sql.SQL("copy ({}) to stdout (format csv)").format(select)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        # The server sends each row by itself.
        while some := b"".join(islice(copy, _ROWS_AT_ONCE)):
            # No row is too long for a block.
            read.block_size = len(some) + 1
            yield csv.read_csv(arrow.BufferReader(some), read, parse, convert)


def _dated(batch: Any, instant: str | None) -> Any:
    if instant is None:
        return batch
    import pyarrow as arrow  # noqa: ICN001

    place = batch.schema.get_field_index(instant)
    moments = batch.column(place).cast(arrow.timestamp("us", tz="UTC"))
    return batch.set_column(place, instant, moments)


def _as_csv(batch: Any, options: Any) -> memoryview:
    import pyarrow as arrow  # noqa: ICN001
    from pyarrow import csv

    written = arrow.BufferOutputStream()
    csv.write_csv(batch, written, options)
    return memoryview(written.getvalue())
