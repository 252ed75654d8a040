"""What the product reads of the user's own tables, and under which names it is there.

`SOURCES` is the register of the columns that the product knows: what a table must have is
checked by it, and what an import takes from a file is read by it. A *mapping*, a TOML file, says
what is called otherwise in a database: schemas, tables and columns, what is missing there, and
the words in the rows that carry meaning. Everything else in the product speaks the names of the
register; `consumer_analytics.sql` puts the user's in their place.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, LiteralString

from consumer_analytics.errors import SettingsError

#: The types that a column may have in the user's table, by the type that files are read as; a
#: domain over one of these as well.
_TYPES = {
    "uuid": frozenset({"uuid"}),
    # Statements read them as text: an enumeration takes no word that is not its own, and citext
    # would make one type of two.
    "text": frozenset({"text", "character varying", "character", "name", "enum", "citext"}),
    "timestamptz": frozenset({"timestamp with time zone", "timestamp without time zone"}),
    "jsonb": frozenset({"jsonb", "json"}),
}
#: What PostgreSQL cuts longer names to, in bytes: one that is longer is nobody's.
_LONGEST_NAME = 63
#: Bytes of a mapping: what has no end, such as a device, is not read for ever.
_LARGEST = 2**20
#: Longer event types are counted under another name: see the fragment `event_type_name`.
LONGEST_TYPE = 200


@dataclass(frozen=True)
class SourceColumn:
    """A column of a source table.

    Attributes:
        kind: what it holds, as the type that a file's values are read as: `uuid`, `text`,
            `timestamptz` or `jsonb`.
        required: whether the table must have it: the product reads it.
        in_file: whether the header of a file to import must name it.
        filled: whether each row of such a file must have a value in it.
        own: whether the user's table must have it itself: a mapping cannot say what is in it.
    """

    kind: LiteralString
    required: bool = False
    in_file: bool = False
    filled: bool = False
    own: bool = False

    @property
    def types(self) -> frozenset[str]:
        """The types that it may have in the user's table, as PostgreSQL names them."""
        return _TYPES[self.kind]


#: The source tables in the order in which an import fills them; the first column of each is
#: its key.
SOURCES: dict[str, dict[str, SourceColumn]] = {
    "consumers": {
        "consumer_id": SourceColumn("uuid", required=True, in_file=True, filled=True, own=True),
        "name": SourceColumn("text"),
        "status": SourceColumn("text"),
        "created_at": SourceColumn("timestamptz", required=True),
    },
    "customers": {
        "customer_id": SourceColumn("uuid", required=True, in_file=True, filled=True, own=True),
        "consumer_id": SourceColumn("uuid", required=True, in_file=True),
        "status": SourceColumn("text", required=True),
        "created_at": SourceColumn(
            "timestamptz", required=True, in_file=True, filled=True, own=True
        ),
        "updated_at": SourceColumn("timestamptz"),
    },
    "customer_events": {
        "event_id": SourceColumn("uuid", required=True, in_file=True, filled=True, own=True),
        "customer_id": SourceColumn("uuid", required=True),
        "consumer_id": SourceColumn("uuid", required=True, in_file=True),
        "event_type": SourceColumn("text", required=True, in_file=True),
        "payload_json": SourceColumn("jsonb", required=True),
        "created_at": SourceColumn(
            "timestamptz", required=True, in_file=True, filled=True, own=True
        ),
    },
}


@dataclass(frozen=True)
class Constant:
    """What stands for a column that a user's table does not have.

    Attributes:
        value: in every row, as PostgreSQL reads it; None where nothing is known.
    """

    value: str | None


@dataclass(frozen=True)
class SourceTable:
    """A source table under the user's names.

    Attributes:
        known: what the product calls it: `consumers`, `customers` or `customer_events`.
        schema: where it is.
        name: what it is called there.
        mapped: what the mapping says of its columns, by the product's names, in the register's
            order; the others are called as the product calls them.
    """

    known: str
    schema: str
    name: str
    mapped: tuple[tuple[str, str | Constant], ...] = ()

    @cached_property
    def columns(self) -> dict[str, str | Constant]:
        """Its columns by the product's names: what each is called, or what stands for it."""
        return {name: name for name in SOURCES[self.known]} | dict(self.mapped)

    @cached_property
    def own(self) -> dict[str, str]:
        """The columns that are there, by the product's names."""
        return {known: own for known, own in self.columns.items() if isinstance(own, str)}

    @property
    def needed(self) -> list[str]:
        """The columns that must be there, by the product's names.

        Where any is called otherwise or missing, that is to be said of each that is.
        """
        register = SOURCES[self.known]
        return [known for known in self.own if self.is_renamed or register[known].required]

    @property
    def is_renamed(self) -> bool:
        """Whether any column is called otherwise, or is not there."""
        return bool(self.mapped)

    @property
    def shown(self) -> str:
        """Its name, for messages."""
        return f"{self.schema}.{self.name}"

    def shown_column(self, known: str) -> str:
        """Return the name of a column, for messages, by the product's name for it."""
        return self.own.get(known, known)


@dataclass(frozen=True)
class Words:
    """Words in the rows that carry meaning, as the user's rows have them.

    Figures are told under the user's own words: these say only which of them means what.

    Attributes:
        customer_creation: the type of the event that a customer came into being by.
        customer_status_change: the type of the event that its status changed by.
        customer_deletion: the type of the event that it was deleted by.
        active: the status that counts as active.
        inactive: the status that counts as inactive.
        status_key: under which key a creation's and a deletion's payload has the status.
        old_status_key: under which key a change's payload has the status before.
        new_status_key: and the status after.
    """

    customer_creation: str = "customer_creation"
    customer_status_change: str = "customer_status_change"
    customer_deletion: str = "customer_deletion"
    active: str = "ACTIVE"
    inactive: str = "INACTIVE"
    status_key: str = "status"
    old_status_key: str = "old_status"
    new_status_key: str = "new_status"

    @property
    def lifecycle(self) -> tuple[str, str, str]:
        """The types of events that tell of a customer's life."""
        return self.customer_creation, self.customer_status_change, self.customer_deletion

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield what each word stands for, and the word."""
        for one in dataclasses.fields(self):
            yield one.name, getattr(self, one.name)


@dataclass(frozen=True)
class Sources:
    """The source tables under the user's names, and the words in them that carry meaning.

    Attributes:
        tables: the three, in the register's order.
        words: the words that carry meaning.
    """

    tables: tuple[SourceTable, ...] = field(
        default_factory=lambda: tuple(SourceTable(known, "public", known) for known in SOURCES)
    )
    words: Words = Words()

    @classmethod
    def within(cls, schema: str) -> Sources:
        """Return the sources under the product's own names, in a schema."""
        return cls(tuple(SourceTable(known, schema, known) for known in SOURCES))

    def __getitem__(self, known: str) -> SourceTable:
        """Return a source table by the product's name for it."""
        return next(one for one in self.tables if one.known == known)

    @property
    def schemas(self) -> list[str]:
        """The schemas that they are in, each once."""
        return list(dict.fromkeys(one.schema for one in self.tables))

    @cached_property
    def is_mapped(self) -> bool:
        """Whether anything but the schema is called otherwise than the product calls it."""
        return self != Sources.within(self.tables[0].schema)

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for the database to keep."""
        return {
            "tables": {
                one.known: {
                    "schema": one.schema,
                    "table": one.name,
                    "columns": {
                        known: own if isinstance(own, str) else {"constant": own.value}
                        for known, own in one.columns.items()
                    },
                }
                for one in self.tables
            },
            "words": dict(self.words.items()),
        }


#: The names that the tables have where nobody says otherwise.
PLAIN = Sources()

#: What a mapping calls the words that carry meaning, and under which name `Words` has them.
_VALUES = {
    "customer_creation": "customer_creation",
    "customer_status_change": "customer_status_change",
    "customer_deletion": "customer_deletion",
    "ACTIVE": "active",
    "INACTIVE": "inactive",
}
_PAYLOAD = {
    "status": "status_key",
    "old_status": "old_status_key",
    "new_status": "new_status_key",
}


def _text(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(_LARGEST + 1)
    if len(text) > _LARGEST:
        raise _MappingError("is larger than any mapping")
    return text.decode()


def load(path: Path, schema: str) -> Sources:
    """Read a mapping.

    Args:
        path: the TOML file.
        schema: where a table is of which the file does not say.

    Raises:
        SettingsError: it cannot be read, or says what cannot be; the message names the file and
            what is wrong, in a line.
    """
    import tomllib  # Who has no mapping need not wait for it.

    try:
        return _sources(tomllib.loads(_text(path)), schema)
    except OSError as error:
        raise SettingsError(f"the mapping {path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the mapping {path} is no TOML: {error}") from None
    except RecursionError:
        raise SettingsError(f"the mapping {path} has lists within lists") from None
    except _MappingError as error:
        raise SettingsError(f"the mapping {path}: {error}") from None


class _MappingError(Exception):
    """What is wrong with a mapping, without the file's name."""


def _sources(written: dict[str, Any], schema: str) -> Sources:
    _refuse_others(written, ["schema", *SOURCES, "values", "payload"], "")
    schema = _name(written.get("schema", schema), "schema")
    tables = tuple(_table(known, _section(written, known, ""), schema) for known in SOURCES)
    for place, one in enumerate(tables):
        for other in tables[:place]:
            if (one.schema, one.name) == (other.schema, other.name):
                raise _MappingError(f"{other.known} and {one.known} are both {one.shown}")
    return Sources(tables, _words(written))


def _table(known: str, written: dict[str, Any], schema: str) -> SourceTable:
    _refuse_others(written, ["schema", "table", "columns"], f"{known}.")
    said = _section(written, "columns", f"{known}.")
    _refuse_others(said, SOURCES[known], f"{known}.columns.")
    mapped = {
        column: _column(said[column], register, f"{known}.columns.{column}")
        for column, register in SOURCES[known].items()
        if column in said
    }
    table = SourceTable(
        known,
        _name(written.get("schema", schema), f"{known}.schema"),
        _name(written.get("table", known), f"{known}.table"),
        # What says nothing new would have every row renamed for nothing.
        tuple((column, own) for column, own in mapped.items() if own != column),
    )
    readers: dict[str, str] = {}
    for column, own in table.own.items():
        if own in readers:
            raise _MappingError(f"{known}.columns: {readers[own]} and {column} are both {own}")
        readers[own] = column
    return table


def _column(written: object, register: SourceColumn, place: str) -> str | Constant:
    if not isinstance(written, dict):
        return _name(written, place)
    if register.own:
        raise _MappingError(f"{place}: a table has it itself; nothing can stand for it")
    if written == {"missing": True}:
        if register.kind == "timestamptz" and register.required:
            raise _MappingError(f"{place}: without a time a row counts nowhere; give a constant")
        return Constant(None)
    if list(written) != ["constant"]:
        raise _MappingError(
            f"{place} is a column's name, {{ constant = … }} or {{ missing = true }}"
        )
    return Constant(_constant(written["constant"], register.kind, place))


def _constant(written: object, kind: str, place: str) -> str:
    """Return a constant as PostgreSQL reads it."""
    import json
    import uuid

    try:
        if kind == "jsonb" and isinstance(written, dict):
            return json.dumps(written)
        if kind == "timestamptz":
            if isinstance(written, str):
                written = dt.datetime.fromisoformat(written)
            if isinstance(written, dt.datetime) and written.tzinfo is not None:
                return written.isoformat()
        if kind == "uuid" and isinstance(written, str):
            return str(uuid.UUID(written))
        if kind == "text" and isinstance(written, str) and "\x00" not in written:
            return written
    except (ValueError, TypeError):
        pass
    wanted = {
        "jsonb": "a table, such as {}",
        "timestamptz": "a time with its zone, such as 2020-01-01T00:00:00Z",
        "uuid": "a UUID",
        "text": "text",
    }
    raise _MappingError(f"{place}: the constant must be {wanted[kind]}")


def _words(written: dict[str, Any]) -> Words:
    chosen: dict[str, str] = {}
    for section, register in (("values", _VALUES), ("payload", _PAYLOAD)):
        said = _section(written, section, "")
        _refuse_others(said, register, f"{section}.")
        for name, word in said.items():
            place = f"{section}.{name}"
            if not isinstance(word, str) or not word.strip() or "\x00" in word:
                raise _MappingError(f"{place} must be text that is not blank")
            if name.startswith("customer_") and len(word) > LONGEST_TYPE:
                raise _MappingError(f"{place} is longer than {LONGEST_TYPE} characters")
            chosen[register[name]] = word
    words = Words(**chosen)
    for apart in (
        ("customer_creation", "customer_status_change", "customer_deletion"),
        ("active", "inactive"),
        ("old_status_key", "new_status_key"),
    ):
        values = [getattr(words, one) for one in apart]
        if len(set(values)) < len(values):
            raise _MappingError(f"{' and '.join(apart)} must differ, and are {', '.join(values)}")
    return words


def _section(written: dict[str, Any], name: str, place: str) -> dict[str, Any]:
    section = written.get(name, {})
    if not isinstance(section, dict):
        raise _MappingError(f"{place}{name} must be a table, [{place}{name}]")
    return section


def _name(written: object, place: str) -> str:
    if not isinstance(written, str) or not written or "\x00" in written:
        raise _MappingError(f"{place} must be a name")
    if len(written.encode()) > _LONGEST_NAME:
        raise _MappingError(f"{place} is longer than {_LONGEST_NAME} bytes, which no name is")
    return written


def _refuse_others(written: Mapping[str, Any], known: Iterable[str], place: str) -> None:
    names = list(known)
    for name in written:
        if name not in names:
            import difflib

            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it may say {', '.join(names)}"
            raise _MappingError(f"{place}{name} is nothing that is known; {hint}")
