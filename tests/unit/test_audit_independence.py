"""The audit proves: it works figures out by statements and code of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import consumer_analytics
from consumer_analytics.mapping import Words

ROOT = Path(consumer_analytics.__file__).parent
AUDIT = ROOT / "reconcile" / "audit"
STATEMENTS = sorted((AUDIT / "sql").rglob("*.sql"))
#: Those that count; the others write what was found to be wrong.
COUNTING = [path for path in STATEMENTS if path.parent.name not in {"repair", "last"}]
MODULES = sorted(AUDIT.glob("*.py"))
#: What repairs, what notes losses, and what keeps a clean audit, does so by the ways that write
#: anyway, and asks capture whether it is on.
WRITING = {"repair.py", "losses.py", "last.py"}
ALLOWED = (
    "consumer_analytics.calendar",
    "consumer_analytics.db",
    "consumer_analytics.errors",
    "consumer_analytics.formatting",
    # How the archive's files are found and read; what is counted of them is the audit's own.
    "consumer_analytics.lake",
    "consumer_analytics.mapping",
    "consumer_analytics.reconcile.audit",
    "consumer_analytics.settings",
    "consumer_analytics.sql",
)
#: Whether the source can be read at all, and whether it is all of it.
GATES = {"consumer_analytics.etl.federation", "consumer_analytics.etl.sources"}
#: What runs keep, and what is compared with it: never a part of a figure.
COMPARED = {
    # Whether there is any, where nothing is counted, changes no figure.
    "event_days": {"days.sql", "sums.sql", "reaches.sql"},
    # How much work it is, and which types get a column, changes no figure.
    "event_totals": {"totals.sql", "size.sql", "types.sql"},
    "runs": set(),
    "backfills": set(),
    "thinned_snapshots": set(),
}
KNOWN = {
    "audit_scopes", "audit_events", "audit_marks", "audit_others", "audit_lives", "audit_steps",
    "audit_births", "audit_owners", "audit_figures", "audit_changes", "audit_carried",
    "audit_merged", "audit_sum", "audit_rest", "audit_arrivals", "audit_wanted", "audit_filed",
    "audit_filed_days", "audit_filed_ids", "audit_filed_counts", "audit_strays",
    "audit_eventful", "audit_uneventful",
}  # fmt: skip


def imports(module: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.startswith("consumer_analytics")}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_module_that_counts_reads_the_code_of_runs(module: Path) -> None:
    if module.name in WRITING:
        return
    others = {
        name for name in imports(module) if not name.startswith(ALLOWED) and name not in GATES
    }
    assert others == set()


#: Statements that whoever changes figures notes it by, and that read no figure.
WRITTEN_BY_ALL = ("extracts-outdate", "snapshots-undouble", "state-restate-after")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_module_that_counts_runs_a_statement_of_another_package(module: Path) -> None:
    named = set(re.findall(r'"((?:[a-z_]+/)+[a-z-]+)"', module.read_text(encoding="utf-8")))
    if module.name in WRITING:
        named -= {f"shared/{name}" for name in WRITTEN_BY_ALL}
    assert {name for name in named if not name.startswith("reconcile/audit/")} == set()


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda path: path.name)
def test_no_statement_takes_a_part_from_the_fragments(statement: Path) -> None:
    text = statement.read_text(encoding="utf-8")
    parts = set(re.findall(r"(?<!{){([a-z_]+)}(?!})", text))
    # What the tables and the words in their rows are called is nobody's computation.
    words = {name for name, _ in Words().items()}
    # Columns of types and statuses, which the audit composes, and parts that are files beside it.
    assert parts - words <= {
        "consumers", "customers", "customer_events", "job", "is_noted", "missed",
        "moved", "active_customers", "base", "by_status", "by_type", "columns", "counted",
        "creations",
        "deletions", "inactive_customers", "kept", "named", "no_statuses", "no_types", "pivoted",
        "place", "points", "reported", "rest_statuses", "rest_types", "since", "statuses",
        "summed", "trusted_digest", "typed", "types", "unequal", "which",
    }  # fmt: skip


@pytest.mark.parametrize("statement", COUNTING, ids=lambda path: path.name)
def test_no_statement_that_counts_reads_what_runs_keep(statement: Path) -> None:
    text = statement.read_text(encoding="utf-8")
    internal = set(re.findall(r"consumer_analytics_internal\.([a-z_]+)", text))
    for table, readers in COMPARED.items():
        assert table not in internal or statement.name in readers
    assert internal <= {
        *COMPARED, "accepted_events", "archive", "contradicted_deletions", "deleted_customers",
        "state", "touched_customers", "touched_days", "undated_births",
        "untold_events", "vanished_events", "written_apart", "written_snapshots",
        "audited_snapshots", "capture_unsure", "clean_audits", "noted_changes",
    }  # fmt: skip
    # Of a session's own tables the audit's alone.
    temporary = set(re.findall(r"pg_temp\.([a-z_]+)", text))
    assert temporary <= KNOWN
    for theirs in ("event_slots", "rendered_snapshots", "figures_", "_cells", "extracted_"):
        assert theirs not in text.replace("audit_figures", "")
