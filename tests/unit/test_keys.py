"""The snapshot's keys stand in one register; what computes them apart and what reads them agree."""

from __future__ import annotations

import re

import pytest

from consumer_analytics import sql
from consumer_analytics.etl import keys
from consumer_analytics.etl.keys import Kind

CONSUMER, WHOLE = keys.of_consumer(), keys.of_whole()
WINDOW = keys.of_whole(keys.WINDOW_KEYS)
#: Types of events that stand among the keys of `events_by_type` wherever there are any.
TYPES = {"customer_creation", "customer_deletion"}
KNOWN = {*CONSUMER, *WHOLE, *WINDOW, *keys.WINDOW_PROVENANCE, *TYPES}
#: What a statement takes out of a document: `metrics_json -> 'key'`, `#>> '{a,b}'`, `? 'key'`.
TAKEN = re.compile(r"(?:metrics_json|metrics|reported|true_now)\s*(?:->>?|#>>?|\?|-)\s*'([^']+)'")


def text(name: str) -> str:
    """Return a statement with the braces that its server sees."""
    return sql.text(name).replace("{{", "{").replace("}}", "}")


def figures(document: dict[str, keys.SnapshotKey]) -> set[str]:
    return {name for name, key in document.items() if key.kind is not Kind.PROVENANCE}


def test_a_document_has_its_keys_in_the_order_of_jsonb() -> None:
    for document in (CONSUMER, WHOLE, WINDOW):
        assert list(document) == sorted(document, key=lambda name: (len(name), name))
    # What `instants` has of a document opens it.
    assert next(iter(CONSUMER)) == next(iter(WHOLE)) == "etl_job"
    assert max(map(len, keys.WINDOW_PROVENANCE)) < min(map(len, WINDOW))


def test_the_audit_computes_exactly_these_keys_apart() -> None:
    figured = text("reconcile/audit/snapshots/figures")
    _, consumer, whole = re.split(r"\n +concat\(\n +job,", figured)
    named = re.compile(r'"([a-z_]{5,})":')
    assert set(named.findall(re.split(r"\n *union all\n", consumer)[0])) == figures(CONSUMER) | {
        *WINDOW
    }
    assert set(named.findall(whole)) == figures(WHOLE) | {*WINDOW}


def test_provenance_is_written_once_for_an_instant_and_compared_nowhere() -> None:
    written = re.findall(r'"([a-z_]+)":', text("etl/figures/instants"))
    provenance = {name for name, key in WHOLE.items() if key.kind is Kind.PROVENANCE}
    windows = {name for name, key in WHOLE.items() if key.kind is Kind.WINDOW}
    assert set(written) == provenance | windows | {*keys.WINDOW_PROVENANCE}
    for statement, apart in (("shared/snapshots-restate", provenance | windows),):
        left_out = re.findall(r"- '\{([a-z_,]+)\}'::text\[\]", text(statement))
        assert left_out
        assert all(set(names.split(",")) == apart for names in left_out), statement


@pytest.mark.parametrize("statement", sorted(sql.names()))
def test_what_a_statement_takes_out_of_a_document_is_in_it(statement: str) -> None:
    for taken in TAKEN.findall(sql.text(statement)):
        assert set(re.findall(r"[a-z_]+", taken)) <= KNOWN
