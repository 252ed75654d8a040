"""SQL as files: `queries/<object>-<action>.sql`, read once and composed by psycopg.

A query names bound values as `%(name)s` and identifiers as `{name}`; the three
source tables are always there as `{consumers}`, `{customers}` and
`{customer_events}`, and what several queries have in common as the name of its
file in `fragments/`. Every statement carries its file's name as a comment, so
that `pg_stat_activity` and the server's log say what is running.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from psycopg import sql

SOURCE_TABLES = ("consumers", "customers", "customer_events")


@cache
def _text(name: str, folder: str = "queries") -> str:
    return (files(__name__) / folder / f"{name}.sql").read_text(encoding="utf-8").strip()


@cache
def _fragments(name: str) -> dict[str, sql.Composable]:
    """Return the fragments that a query names, by their names."""
    names = (file.name.removesuffix(".sql") for file in (files(__name__) / "fragments").iterdir())
    return {
        fragment: sql.SQL(_text(fragment, "fragments"))
        for fragment in names
        if f"{{{fragment}}}" in _text(name)
    }


def read_ahead() -> None:
    """Read every file now, for processes that will be forked from this one."""
    for file in (files(__name__) / "queries").iterdir():
        _fragments(file.name.removesuffix(".sql"))


def query(name: str, source_schema: str = "public", **parts: sql.Composable) -> sql.Composed:
    """Compose the query file `name`.

    Args:
        name: the file's name without `.sql`, such as `events-extract`.
        source_schema: schema of the three source tables.
        parts: further identifiers or fragments that the file names in braces.

    Returns:
        The statement, ready for `execute` with its values bound.
    """
    return _composed(name, source_schema, parts) if parts else _composed_alone(name, source_schema)


def _composed(name: str, source_schema: str, parts: Mapping[str, sql.Composable]) -> sql.Composed:
    tables: dict[str, sql.Composable] = {
        table: sql.Identifier(source_schema, table) for table in SOURCE_TABLES
    }
    body = sql.SQL(_text(name)).format(**{**tables, **_fragments(name), **parts})
    return sql.SQL("/* consumer_analytics: {} */\n").format(sql.SQL(name)) + body


@cache
def _composed_alone(name: str, source_schema: str) -> sql.Composed:
    return _composed(name, source_schema, {})
