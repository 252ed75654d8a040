"""SQL as files, beside the modules that read them; read once and composed by psycopg.

A statement is named by where its reader is: `etl/customers/present` is read by
`etl/customers.py` and lies in `etl/sql/customers/`; `monitoring/observation/runs` is read in the
package `monitoring/observation` and lies in its folder `sql`. What several packages read is
`shared/…`, here.

A statement names bound values as `%(name)s` and identifiers as `{name}`. Always there are:

- the rows of the three source tables, under the product's names of their columns, as
  `{consumers}`, `{customers}` and `{customer_events}`, each with an alias behind it;
- where these are, as rows of a table: `{source_tables}` (the product's name, schema, name), and
  `{source_columns}` (the product's name of the table, and of the column, the column's name);
- the words in them that carry meaning, as literals: see `Words` in `mapping.py`;
- the job's name as `{job}`, and what several statements have in common as the name of its file
  in `fragments/`. `{a_number}` and `{an_object}` among them are the paths of what somebody may have
  written otherwise into a snapshot: they find nothing there, which no cast stumbles over.

Every statement carries its name as a comment, so that `pg_stat_activity` and the server's log say
what is running.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from psycopg import sql

from consumer_analytics.mapping import PLAIN, Sources
from consumer_analytics.sql.own_names import SOURCE_TABLES as SOURCE_TABLES
from consumer_analytics.sql.own_names import Name as Name
from consumer_analytics.sql.own_names import columns_in
from consumer_analytics.sql.own_names import own_columns as own_columns
from consumer_analytics.sql.own_names import parts as own_parts
from consumer_analytics.sql.own_names import source_regclass as source_regclass
from consumer_analytics.sql.own_names import source_rows as source_rows
from consumer_analytics.sql.own_names import source_table as source_table

#: The schema of what is ours and nobody else reads.
INTERNAL = "consumer_analytics_internal"
#: The job's name in `etl_job_watermarks` and in each snapshot's provenance: there is one.
JOB = "consumer_analytics_daily"
#: What several packages read.
SHARED = "shared"

_ROOT = files("consumer_analytics")
_HERE = files(__name__)


def _folder(place: str) -> Traversable:
    """Return where the statements of a place are: a package, a module, or `shared`."""
    if place == SHARED:
        return _HERE / SHARED
    package = _ROOT / place
    if package.is_dir():
        return package / "sql"
    above, _, module = place.rpartition("/")
    return _ROOT / above / "sql" / module


@cache
def text(name: str) -> str:
    """Return a statement as its file has it."""
    place, _, file = name.rpartition("/")
    return (_folder(place) / f"{file}.sql").read_text(encoding="utf-8").strip()


@cache
def fragment(name: str) -> str:
    """Return what several statements have in common, as its file has it."""
    return (_HERE / "fragments" / f"{name}.sql").read_text(encoding="utf-8").strip()


@cache
def _fragments(name: str) -> dict[str, str]:
    """Return the fragments that a statement names, by their names."""
    names = (file.name.removesuffix(".sql") for file in (_HERE / "fragments").iterdir())
    return {one: fragment(one) for one in names if f"{{{one}}}" in text(name)}


def names() -> Iterator[str]:
    """Yield the name of every statement there is."""
    yield from _names_in(_HERE / SHARED, SHARED)
    yield from _names_below(_ROOT, "")


def names_in(place: str) -> Iterator[str]:
    """Yield the names of the statements of a place, such as `operations/aging`."""
    return _names_in(_folder(place), place)


def _names_below(package: Traversable, place: str) -> Iterator[str]:
    for entry in package.iterdir():
        if not entry.is_dir() or entry.name == "migrations":
            continue
        if entry.name == "sql" and place:
            yield from _names_in(entry, place.rstrip("/"))
        elif (entry / "__init__.py").is_file() and (place or entry.name != "sql"):
            yield from _names_below(entry, f"{place}{entry.name}/")


def _names_in(folder: Traversable, place: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _names_in(entry, f"{place}/{entry.name}")
        elif entry.name.endswith(".sql"):
            yield f"{place}/{entry.name.removesuffix('.sql')}"


def read_ahead() -> None:
    """Read every file now, for processes that will be forked from this one."""
    for name in names():
        _fragments(name)


def query(name: str, sources: Sources | None = None, **parts: sql.Composable) -> sql.Composed:
    """Compose the statement `name`.

    Args:
        name: such as `etl/events/extract`.
        sources: what the source tables, and the words in them, are called; None for a statement
            that names nothing of them.
        parts: further identifiers or fragments that the file names in braces.

    Returns:
        The statement, ready for `execute` with its values bound.

    Raises:
        ValueError: the statement names something of the sources, and nobody says what it is called.
    """
    if sources is None:
        if _names_sources(name):
            raise ValueError(f"statement {name} names the sources: say what they are called")
        sources = PLAIN
    return _composed(name, sources, parts) if parts else _composed_alone(name, sources)


def named(statement: sql.Composed, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that a statement names, of what several share."""
    written = statement.as_string(None)
    return {name: value for name, value in values.items() if f"%({name})s" in written}


@cache
def _names_sources(name: str) -> bool:
    written = "".join([text(name), *_fragments(name).values()])
    return any(f"{{{part}}}" in written for part in own_parts(PLAIN, frozenset()))


def _composed(name: str, sources: Sources, parts: Mapping[str, sql.Composable]) -> sql.Composed:
    fragments = _fragments(name)
    mentioned: frozenset[str] = frozenset()
    if sources.is_mapped:
        filled = (one.as_string(None) for one in parts.values())
        mentioned = columns_in("\n".join([text(name), *fragments.values(), *filled]))
    given = {"job": sql.Literal(JOB), **own_parts(sources, mentioned), **parts}
    shared = {one: sql.SQL(part).format(**given) for one, part in fragments.items()}
    body = sql.SQL(text(name)).format(**shared | given)
    return sql.SQL("/* consumer_analytics: {} */\n").format(sql.SQL(name)) + body


@cache
def _composed_alone(name: str, sources: Sources) -> sql.Composed:
    return _composed(name, sources, {})
