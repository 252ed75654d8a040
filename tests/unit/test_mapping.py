"""Mappings: what they may say, and the line that each gets which says something else."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from consumer_analytics.errors import SettingsError
from consumer_analytics.mapping import PLAIN, SOURCES, Constant, Sources, load
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.sql import Name, query, source_rows
from consumer_analytics.sql.own_names import Word, columns_in

ROOT = Path(__file__).parents[2]


def read(folder: Path, text: str, schema: str = "public") -> Sources:
    path = folder / "sources.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, schema)


def test_what_it_does_not_say_is_as_ever(tmp_path: Path) -> None:
    assert read(tmp_path, "") == PLAIN
    assert read(tmp_path, "", "crm") == Sources.within("crm")
    assert not Sources.within("crm").is_mapped
    found = read(tmp_path, 'customers = { table = "clients" }', "crm")
    assert found.is_mapped
    assert [one.shown for one in found.tables] == [
        "crm.consumers",
        "crm.clients",
        "crm.customer_events",
    ]
    assert not found["customers"].is_renamed


def test_the_pages_mappings_can_be_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "own-names.md").read_text(encoding="utf-8")
    whole, least = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    found = read(tmp_path, whole)
    assert [one.shown for one in found.tables] == ["crm.clients", "crm.contacts", "log.activity"]
    # It shows everything that there is.
    said = {f"{one.known}.{name}" for one in found.tables for name, _ in one.mapped}
    assert said == {f"{known}.{name}" for known, columns in SOURCES.items() for name in columns}
    assert all(word != getattr(PLAIN.words, name) for name, word in found.words.items())
    assert read(tmp_path, least)["customers"].shown == "public.contacts"


def test_constants_are_written_as_postgresql_reads_them(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
        [consumers.columns]
        name = { missing = true }
        created_at = { constant = 2020-01-01T00:00:00Z }
        [customers.columns]
        consumer_id = { constant = "AAAAAAAA-0000-4000-8000-000000000001" }
        status = { constant = "" }
        [customer_events.columns]
        payload_json = { constant = { status = "x" } }
        """,
    )
    columns = {f"{one.known}.{name}": own for one in found.tables for name, own in one.mapped}
    assert columns == {
        "consumers.name": Constant(None),
        "consumers.created_at": Constant(dt.datetime(2020, 1, 1, tzinfo=dt.UTC).isoformat()),
        "customers.consumer_id": Constant("aaaaaaaa-0000-4000-8000-000000000001"),
        "customers.status": Constant(""),
        "customer_events.payload_json": Constant('{"status": "x"}'),
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[customer]\n", "customer is nothing that is known; did you mean customers?"),
        ('[customers]\nname = "x"\n', "customers.name is nothing that is known"),
        ('[customers.columns]\nstat = "x"\n', "customers.columns.stat is nothing that is known"),
        ('[customers.columns]\nstatus = ""\n', "customers.columns.status must be a name"),
        ("[customers]\ntable = 7\n", "customers.table must be a name"),
        (f'[customers]\ntable = "{"x" * 64}"\n', "is longer than 63 bytes"),
        ('[customers]\ntable = "a\\u0000b"\n', "customers.table must be a name"),
        ('customers = "clients"\n', "customers must be a table, [customers]"),
        ('[customers]\ntable = "consumers"\n', "consumers and customers are both"),
        (
            '[customers.columns]\nstatus = "created_at"\n',
            "customers.columns: status and created_at are both created_at",
        ),
        (
            "[customers.columns]\ncustomer_id = { missing = true }\n",
            "customers.columns.customer_id: a table has it itself",
        ),
        (
            "[consumers.columns]\ncreated_at = { missing = true }\n",
            "without a time a row counts nowhere",
        ),
        (
            "[customers.columns]\nstatus = { const = 1 }\n",
            "is a column's name, { constant = … } or { missing = true }",
        ),
        ("[customers.columns]\nstatus = { constant = 1 }\n", "the constant must be text"),
        (
            '[customers.columns]\nconsumer_id = { constant = "7" }\n',
            "the constant must be a UUID",
        ),
        (
            '[consumers.columns]\ncreated_at = { constant = "2020-01-01" }\n',
            "the constant must be a time with its zone",
        ),
        (
            '[customer_events.columns]\npayload_json = { constant = "{}" }\n',
            "the constant must be a table",
        ),
        ('[values]\nactive = "x"\n', "values.active is nothing that is known"),
        ('[values]\nACTIVE = " "\n', "values.ACTIVE must be text that is not blank"),
        ('[values]\nACTIVE = "INACTIVE"\n', "active and inactive must differ"),
        (
            '[values]\ncustomer_deletion = "customer_creation"\n',
            "customer_creation and customer_status_change and customer_deletion must differ",
        ),
        (
            f'[values]\ncustomer_deletion = "{"x" * 201}"\n',
            "values.customer_deletion is longer than 200 characters",
        ),
        ('[payload]\nold_status = "new_status"\n', "must differ"),
        ("[customers\n", "is no TOML"),
        (f"x = {'[' * 20_000}", "has lists within lists"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, text)
    line = str(refused.value)
    assert says in line
    assert line.startswith(f"the mapping {tmp_path / 'sources.toml'}")
    assert "\n" not in line


def test_a_file_that_cannot_be_read_is_named_with_the_setting(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "none.toml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(SettingsError) as refused:
            _ = Settings(sources_file=path).sources
        assert str(refused.value).startswith(f"{PREFIX}SOURCES_FILE: the mapping {path} cannot be")
        assert why in str(refused.value)
    latin = tmp_path / "latin.toml"
    latin.write_bytes('schema = "ü"'.encode("latin-1"))
    with pytest.raises(SettingsError, match="is no TOML"):
        _ = Settings(sources_file=latin).sources
    # It has no end.
    with pytest.raises(SettingsError, match="is larger than any mapping"):
        _ = Settings(sources_file=Path("/dev/zero")).sources


# -- in statements -----------------------------------------------------------------------------


def test_a_statement_reads_the_columns_that_it_mentions(tmp_path: Path) -> None:
    found = read(tmp_path, '[customer_events.columns]\ncreated_at = "at"\n')
    written = query("monitoring/observation/events-pending", found).as_string(None)
    assert '(select own."at" as "created_at" from "public"."customer_events" as own) as' in written
    assert "payload_json" not in written
    assert columns_in("select consumer_id, x.status from status") == {"consumer_id", "status"}


def test_a_table_whose_columns_are_the_products_is_read_itself(tmp_path: Path) -> None:
    found = read(tmp_path, '[customers]\nschema = "x"\ntable = "y"\n[values]\nACTIVE = "on"\n')
    assert source_rows(found, "customers").as_string(None) == '"x"."y"'


def test_every_column_has_a_kind_of_constant() -> None:
    kinds = {column.kind for columns in SOURCES.values() for column in columns.values()}
    assert kinds == {"uuid", "text", "timestamptz", "jsonb"}


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_names_and_words_hold_whatever_they_are(text: str) -> None:
    """Nothing of them ends the quotes, or is a placeholder to the driver."""
    for written in (Name(text).as_string(None), Word(text).as_string(None)):
        assert "%" not in written
        quote = '"' if written.lstrip().removeprefix("U&").startswith('"') else "'"
        inner = written.lstrip().removeprefix("U&").removeprefix("E")
        assert (inner[0], inner[-1]) == (quote, quote)
        assert inner[1:-1].replace(quote * 2, "").count(quote) == 0
    if "%" not in text:
        assert Name(text).as_string(None) == sql.Identifier(text).as_string(None)
