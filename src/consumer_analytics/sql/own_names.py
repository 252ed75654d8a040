"""The user's names in statements: what stands for the three source tables, and for words in them.

Names are written as identifiers and words as literals, whatever they consist of. A table whose
columns are called otherwise is read through a subquery that calls them as the product does;
PostgreSQL takes such a subquery apart, so that indexes serve as ever.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

from psycopg import sql
from psycopg.abc import AdaptContext

from consumer_analytics.mapping import SOURCES, Constant, Sources, SourceTable, Words

SOURCE_TABLES = tuple(SOURCES)
_WORD = re.compile(r"[a-z_]+")
_COLUMNS = frozenset().union(*SOURCES.values())


class Name(sql.Identifier):
    """An identifier that may hold a percent sign, whether values are bound beside it or not.

    Where there are any, psycopg takes a percent sign for the beginning of a placeholder, within
    quotes too; so it is written by its number.
    """

    def as_bytes(self, context: AdaptContext | None = None) -> bytes:
        """Return it as a statement has it."""
        return b".".join(
            _without_percent(sql.Identifier(part).as_bytes(context)) for part in self._obj
        )


class Word(sql.Literal):
    """A text that may hold a percent sign, as `Name` does."""

    def as_bytes(self, context: AdaptContext | None = None) -> bytes:
        """Return it as a statement has it, in UTF-8 as our sessions talk."""
        text = str(self._obj)
        if "%" not in text:
            return super().as_bytes(context)
        return _without_percent(f"'{text.replace(chr(39), chr(39) * 2)}'".encode())


def _without_percent(quoted: bytes) -> bytes:
    if b"%" not in quoted:
        return quoted
    return b"U&" + quoted.replace(b"\\", b"\\\\").replace(b"%", b"\\0025")


def source_table(sources: Sources, known: str) -> Name:
    """Return the name of a source table, by the product's name for it."""
    table = sources[known]
    return Name(table.schema, table.name)


def source_regclass(sources: Sources, known: str) -> str:
    """Return a source table's name as `to_regclass` reads it."""
    table = sources[known]
    return sql.Identifier(table.schema, table.name).as_string(None)


def own_columns(sources: Sources, known: str, columns: Iterable[str]) -> sql.Composed:
    """Return what a source table calls columns, one after the other, for writing to it.

    Args:
        sources: the user's names.
        known: the product's name of the table.
        columns: the product's names of columns, of which the table has each.
    """
    own = sources[known].own
    return sql.SQL(", ").join(Name(own[column]) for column in columns)


def source_rows(
    sources: Sources,
    known: str,
    *,
    columns: Iterable[str] | None = None,
    read: sql.Composable | None = None,
    sample: sql.Composable | None = None,
) -> sql.Composable:
    """Compose what the rows of a source table are read from, under the product's names.

    It takes an alias behind it: where columns are called otherwise, or some rows of a table are
    to be read, it is a subquery.

    Args:
        sources: the user's names.
        known: the product's name of the table.
        columns: which are read, by the product's names; None: all. A login needs the right to
            read these alone.
        read: a relation with the table's columns to read instead, such as a trigger's.
        sample: a TABLESAMPLE of it.
    """
    table = sources[known]
    relation = read or source_table(sources, known)
    if sample is None and not table.is_renamed:
        return relation
    wanted = set(SOURCES[known] if columns is None else columns)
    written = [_column(table, column) for column in SOURCES[known] if column in wanted]
    sampled = sql.SQL("") if sample is None else sql.SQL(" {}").format(sample)
    return sql.SQL("(select {} from {} as own{})").format(
        sql.SQL(", ").join(written), relation, sampled
    )


def _column(table: SourceTable, column: str) -> sql.Composed:
    own = table.columns[column]
    if isinstance(own, Constant):
        value = sql.SQL("null") if own.value is None else Word(own.value)
        return sql.SQL("{}::{} as {}").format(
            value, sql.SQL(SOURCES[table.known][column].kind), sql.Identifier(column)
        )
    return sql.SQL("own.{} as {}").format(Name(own), sql.Identifier(column))


def words(sources: Words) -> dict[str, sql.Composable]:
    """Return the words that carry meaning, by the names that statements have for them."""
    return {name: Word(word) for name, word in sources.items()}


def columns_in(written: str) -> frozenset[str]:
    """Return what may be columns of the source tables in a statement, or is called like one."""
    return _COLUMNS.intersection(_WORD.findall(written))


@cache
def parts(sources: Sources, mentioned: frozenset[str]) -> Mapping[str, sql.Composable]:
    """Return what stands for the user's names in a statement, by the names it has for them.

    Args:
        sources: the user's names.
        mentioned: columns that are read of the source tables, as `columns_in` finds them.
    """
    return {
        **{
            known: source_rows(sources, known, columns=mentioned & SOURCES[known].keys())
            for known in SOURCE_TABLES
        },
        "source_tables": _listed([(one.known, one.schema, one.name) for one in sources.tables]),
        "source_columns": _listed(
            [
                (table.known, known, own)
                for table in sources.tables
                for known, own in table.own.items()
            ]
        ),
        **words(sources.words),
    }


def _listed(rows: list[tuple[str, ...]]) -> sql.Composed:
    """Write texts as rows that a statement reads like a table, which it gives a name."""
    return sql.SQL("(values {})").format(
        sql.SQL(", ").join(
            sql.SQL("({})").format(sql.SQL(", ").join(map(Word, row))) for row in rows
        )
    )
