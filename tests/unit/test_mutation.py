"""The tool of mutants: what it changes, and what it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.mutation import configuration, sql_mutants
from tools.mutation.edits import Mutant, mutant_of
from tools.mutation.results import Equivalent, equivalents
from tools.mutation.sql_lexer import UnknownTextError, tokens

STATEMENTS = [
    configuration.ROOT / file for file in configuration.read().files if file.endswith(".sql")
]


def mutated(statement: str) -> set[str]:
    """Return all that a statement is made of."""
    return {edit.apply(statement) for edit in sql_mutants.edits(statement)}


@pytest.mark.parametrize("file", STATEMENTS, ids=lambda file: file.stem)
def test_a_statement_is_cut_into_tokens_and_nothing_is_lost(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "".join(text[token.start : token.end] for token in tokens(text)) == text


def test_what_is_no_statement_is_refused() -> None:
    with pytest.raises(UnknownTextError, match="no token at '§'"):
        tokens("select §")


@pytest.mark.parametrize(
    ("statement", "mutants"),
    [
        ("select 'a < b' -- c < d\n", set()),
        ('select "a < b", %(c)s from {d}', set()),
        ("select a < b", {"select a <= b", "select a >= b"}),
        ("update t set a = 1, (b, c) = (d)", set()),
        (
            "select a is distinct from b",
            {"select a is not distinct from b", "select a <> b"},
        ),
        ("select a is null", {"select a is not null"}),
        ("select a from b left join c using (d)", {"select a from b join c using (d)"}),
        ("select a from b join c using (d)", {"select a from b left join c using (d)"}),
        (
            "select a from b full join c using (d)",
            {
                "select a from b left join c using (d)",
                "select a from b right join c using (d)",
            },
        ),
        ("select left(a, 1) from b", set()),
        ("select a from b left join c on true", {"select a from b join c on true"}),
        ("select a where b", {"select a where true"}),
        ("select a where not (b)", {"select a where true", "select a where (b)"}),
        (
            "select a where b and c",
            {"select a where true and c", "select a where b and true", "select a where b or c"},
        ),
        (
            "select a where b or c",
            {"select a where false or c", "select a where b or false", "select a where b and c"},
        ),
        ("select a where b between 1 and 2", {"select a where true"}),
        (
            "select count(*) filter (where a) from b",
            {"select count(*) filter (where true) from b"},
        ),
        ("insert into a on conflict (b) do nothing", set()),
        ("create temporary table a (b int not null) on commit drop", set()),
        (
            "select case when a then b else c end",
            {"select case when true then b else c end", "select case when false then b else c end"},
        ),
        ("select case a when b then c end", set()),
        ("select coalesce(a, 0)::int", {"select (a)::int", "select (0)::int"}),
        (
            "select coalesce(a, b, c)",
            {"select coalesce(b, c)", "select coalesce(a, c)", "select coalesce(a, b)"},
        ),
        ("select greatest(a, -1)", {"select least(a, -1)"}),
        ("select a - 1", {"select a + 1"}),
        ("select a union all select b", {"select a union select b"}),
        ("select a union select b", {"select a union all select b"}),
        ("select distinct a", {"select a"}),
        ("select distinct on (a) b", {"select b"}),
        ("select a order by b", {"select a order by b desc"}),
        (
            "select a order by b desc, c nulls first limit 1",
            {
                "select a order by b, c nulls first limit 1",
                "select a order by b desc, c desc nulls first limit 1",
                "select a order by b desc, c nulls first",
            },
        ),
        ("select a where b in (1)", {"select a where true", "select a where b not in (1)"}),
        (
            "select a where not exists (select from b)",
            {"select a where true", "select a where exists (select from b)"},
        ),
    ],
)
def test_each_mutant_of_a_statement_is_one_mistake(statement: str, mutants: set[str]) -> None:
    assert mutated(statement) == mutants


def one() -> Mutant:
    text = "select a\nfrom b\nwhere  c < 1"
    edit = next(edit for edit in sql_mutants.edits(text) if edit.new == "<=")
    return mutant_of("src/sql/b.sql", text, edit)


def test_a_mutant_says_where_it_is() -> None:
    assert str(one()) == "src/sql/b.sql:3  [comparison]  where c < 1  ->  where c <= 1"


def test_what_is_equal_is_named_by_its_line_not_by_its_place() -> None:
    assert Equivalent("b.sql", "why", line="where c < 1", becomes="where c <= 1").fits(one())
    assert Equivalent("b.sql", "why", kind="comparison").fits(one())
    assert not Equivalent("b.sql", "why", line="where c < 1", becomes="where true").fits(one())
    assert not Equivalent("c.sql", "why", line="where c < 1").fits(one())


def test_what_is_told_as_equal_is_there_still() -> None:
    """One of a line that is there no more would justify nothing, or something else later."""
    mutants = [
        mutant_of(file, text, edit)
        for file in configuration.read().files
        if file.endswith(".sql")
        for text in [(configuration.ROOT / file).read_text(encoding="utf-8")]
        for edit in sql_mutants.edits(text)
    ]
    told = [one for one in equivalents() if one.file.endswith(".sql")]
    assert [one for one in told if not any(map(one.fits, mutants))] == []
