"""The audit over several shards: each one's own, and what is published against their sum."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
from tests.integration.shards.conftest import Federation, documents
from tests.integration.shards.test_runs import B, C, add_customer, add_event, fill
from tests.support import lanes

from consumer_analytics import backfill
from consumer_analytics.shards import audits, backfills, repairs

#: What somebody does to what is published, and under which key that is found.
EDITS: list[tuple[str, str]] = [
    ("set metrics_json = jsonb_set(metrics_json, '{total_events}', '99') {b}", "total_events"),
    (
        "set metrics_json = jsonb_set(metrics_json, '{events_by_type,bought}', '1') {b}",
        "events_by_type.bought",
    ),
    (
        "set metrics_json = jsonb_set(metrics_json, '{system_wide_active_ratio}', '0.5') {whole}",
        "system_wide_active_ratio",
    ),
    # By little, and by much.
    (
        """set metrics_json = jsonb_set(metrics_json, '{avg_customer_lifetime_days}', to_jsonb(
        (metrics_json ->> 'avg_customer_lifetime_days')::numeric + 0.01)) {c}""",
        "customers",
    ),
    (
        "set metrics_json = jsonb_set(metrics_json, '{avg_customer_lifetime_days}', '7e30') {c}",
        "avg_customer_lifetime_days",
    ),
    (
        "set metrics_json = jsonb_set(metrics_json, '{consumers_in_system}', '9') {whole}",
        "consumers_in_system",
    ),
    ("set metrics_json = '[7]' {b}", "total_events"),
]
#: And rows that go or come.
REMOVALS = [
    "delete from consumer_analytics {b}",
    "delete from consumer_analytics where snapshot_timestamp = '2025-01-03Z'",
    "delete from consumer_analytics {whole} and snapshot_timestamp = '2025-01-03Z'",
    """insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
    select gen_random_uuid(), snapshot_timestamp, metrics_json from consumer_analytics
    {b} and snapshot_timestamp = '2025-01-03Z'""",
]
EVERY = [
    *((f"update consumer_analytics {set_to}", figure) for set_to, figure in EDITS),
    *((statement, "row") for statement in REMOVALS),
]


def edit(federation: Federation, statement: str) -> None:
    """Edit what is published, by hand."""
    for whose, where in (("{b}", f"= '{B}'"), ("{c}", f"= '{C}'"), ("{whole}", "is null")):
        statement = statement.replace(whose, f"where consumer_id {where}")
    federation.analytics.execute(statement)


def prepared(federation: Federation) -> None:
    """Publish two snapshots; the second one has another number of consumers."""
    fill(federation)
    for at in ("2025-01-02T00:00Z", "2025-01-03T00:00Z"):
        federation.run(at)


def figures(found: audits.ShardedAudit) -> set[str]:
    """Return the keys under which something published differs."""
    return {one.figure for one in found.together.listed}


@pytest.mark.parametrize("edits", lanes.first(0, [EVERY[::4], EVERY]), ids=["some", "all"])
def test_every_edit_of_what_is_published_is_found_and_repaired(
    federation: Federation, edits: list[tuple[str, str]]
) -> None:
    prepared(federation)
    clean = audits.audit(federation.settings)
    assert clean.clean
    assert clean.together.rows == len(documents(federation.analytics)) == 9
    before = documents(federation.analytics)
    for statement, figure in edits:
        edit(federation, statement)
        found = audits.audit(federation.settings)
        assert figure in figures(found), statement
        assert all(one.clean for one in found.shards.values()), statement
        repaired = audits.audit(federation.settings, repair=True)
        assert repaired.clean, (statement, repaired.together.listed)
        assert documents(federation.analytics) == before, statement
    assert audits.audit(federation.settings).clean


@pytest.mark.long
def test_a_customer_whose_id_several_shards_have_is_named(federation: Federation) -> None:
    prepared(federation)
    assert audits.audit(federation.settings).customers_in_several == 0
    for name in ("north", "east"):
        add_customer(federation.shards[name], C, "2025-01-02 12:00", number=0x99)
    add_customer(federation.shards["west"], C, "2025-01-02 12:00", number=0x98)
    repairs.sweep(federation.settings, lambda _: None)
    found = audits.audit(federation.settings)
    assert found.clean
    # Each of the shards counts it.
    assert found.customers_in_several == 1
    assert found.listed == ((str(UUID(int=0x99)), ["east", "north"]),)
    ((customers,),) = federation.analytics.rows(
        "select metrics_json -> 'total_customers' from consumer_analytics "
        "where consumer_id = %s and snapshot_timestamp = '2025-01-03Z'",
        [C],
    )
    assert customers == 6 + 3


@pytest.mark.long
def test_a_revision_that_is_lost_is_told_and_cannot_be_made_good(federation: Federation) -> None:
    prepared(federation)
    add_event(federation.shards["west"], C, "2025-01-01 12:00", "late")
    federation.analytics.execute(
        "update etl_job_watermarks set last_processed_timestamp = '1970-01-01Z'"
    )
    federation.run("2025-01-04T00:00Z")
    assert audits.audit(federation.settings).clean
    federation.analytics.execute(
        "delete from consumer_analytics_revisions where consumer_id = %s "
        "and snapshot_timestamp = '2025-01-03Z'",
        [C],
    )
    found = audits.audit(federation.settings)
    assert [(one.where, one.kept, one.recounted) for one in found.together.listed] == [
        ("revision", 1, 2)
    ]
    assert not audits.audit(federation.settings, repair=True).clean


@pytest.mark.parametrize("edited", lanes.first(1, ["snapshot", "counts"]))
def test_what_is_wrong_in_a_shard_is_repaired_there_and_published(
    federation: Federation, edited: str
) -> None:
    prepared(federation)
    before: dict[Any, Any] = documents(federation.analytics)
    west = federation.shards["west"]
    if edited == "snapshot":
        west.execute(
            "update consumer_analytics set metrics_json = jsonb_set(metrics_json, "
            "'{total_events}', '99') where consumer_id = %s",
            [B],
        )
    else:
        west.execute("update consumer_analytics_internal.event_days set n = n - 1 where n > 1")
        west.execute("update consumer_analytics_internal.event_totals set n = n - 1 where n > 1")
    found = audits.audit(federation.settings)
    assert [name for name, one in found.shards.items() if not one.clean] == ["west"]
    repaired = audits.audit(federation.settings, repair=True)
    assert repaired.clean
    assert documents(federation.analytics) == before


#: What somebody writes into every figure of a row, or into the whole of it.
ODD = ['"many"', "1e400"]
ODD_FIGURES = """(
    select jsonb_object_agg(
        key,
        case when jsonb_typeof(inner_of) <> 'object' then '{value}' else (
            select jsonb_object_agg(inner_key, '{value}'::jsonb)
            from jsonb_object_keys(inner_of) as inner_key
        ) end
    )
    from jsonb_each(metrics_json) as told (key, inner_of)
)"""


@pytest.mark.long
@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("whole", [False, True])
def test_nothing_that_a_published_row_holds_stops_anybody(
    federation: Federation, value: str, whole: bool
) -> None:
    prepared(federation)
    edited = f"'{value}'" if whole else ODD_FIGURES.format(value=value)
    federation.analytics.execute(f"update consumer_analytics set metrics_json = {edited}")
    days = (dt.date(2025, 1, 1), dt.date(2025, 1, 6))
    backfills.backfill(federation.settings, backfill.request_of(*days, "daily"))
    federation.run("2025-01-07T00:00Z")
    audits.audit(federation.settings, repair=True)
    assert audits.audit(federation.settings).clean
