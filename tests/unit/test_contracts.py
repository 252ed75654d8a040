"""The contracts of imports notice what they forbid: each is broken, one import at a time."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import grimp
import pytest
from importlinter.configuration import configure
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
LINTER = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]
CONTRACTS = {one["name"]: one for one in LINTER["contracts"]}
EXTERNAL = {"airflow", "fastapi", "typer"}

#: Who imports whom against each contract.
FORBIDDEN = {
    "Packages stand above one another; siblings do not know each other": [
        ("local.home", "web.tokens"),
        ("web.app", "local.home"),
        ("orchestration.tasks", "web.tokens"),
        ("cli.main", "dags.consumer_analytics_etl"),
        ("dags.consumer_analytics_etl", "cli.main"),
        ("local.home", "cli.main"),
        ("cli.main", "notebooks.tables"),
        ("notebooks.tables", "cli.main"),
        ("reporting.ranges", "notebooks.tables"),
        ("reporting.ranges", "operations.storage"),
        ("operations.storage", "reporting.ranges"),
        ("operations.storage", "shards.runs"),
        ("backfill.record", "reconcile.sweep"),
        ("reconcile.sweep", "ingest.importer"),
        ("monitoring.heartbeat", "backfill.record"),
        ("ingest.importer", "monitoring.heartbeat"),
        ("monitoring.metrics.collector", "orchestration.tasks"),
        ("airflow.command", "etl.run"),
        ("etl.run", "backfill.record"),
        ("db.connection", "etl.run"),
        ("calendar.instants", "etl.run"),
        ("settings", "db.connection"),
    ],
    "DAG files call what DAG tasks do, and nothing that serves people": [
        ("dags.consumer_analytics_etl", "web.tokens"),
        ("dags.consumer_analytics_sweep", "local.home"),
    ],
    "Within monitoring: one pass reads incidents, these tell people, all read health": [
        ("monitoring.observation.due", "monitoring.measures"),
        ("monitoring.measures", "monitoring.health"),
        ("monitoring.health", "monitoring.notifications.outbox"),
        ("monitoring.notifications.outbox", "monitoring.incidents.store"),
        ("monitoring.metrics.collector", "monitoring.incidents.store"),
        ("monitoring.incidents.store", "monitoring.monitor"),
    ],
    "Within notifications: the outbox sends by channels, and what a message says knows neither": [
        ("monitoring.notifications.message", "monitoring.notifications.channels.mail"),
        ("monitoring.notifications.channels.mail", "monitoring.notifications.outbox"),
    ],
    "Channels are known by their register alone": [
        ("monitoring.notifications.outbox", "monitoring.notifications.channels.mail"),
        ("operations.doctor.mail", "monitoring.notifications.channels.smtp"),
    ],
    "Figures know nothing of Airflow": [
        ("etl.run", "airflow.command"),
        ("backfill.record", "airflow.command"),
        ("reconcile.sweep", "airflow.command"),
        ("ingest.importer", "airflow.command"),
    ],
    "Below the interfaces: neither Airflow, nor a web framework, nor a command line's": [
        ("etl.run", "typer"),
        ("monitoring.monitor", "airflow"),
        ("reporting.ranges", "fastapi"),
    ],
}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Return who imports whom, as the source stands."""
    configure()
    return grimp.build_graph("consumer_analytics", include_external_packages=True, cache_dir=None)


def is_kept(name: str, graph: grimp.ImportGraph) -> bool:
    """Tell whether a contract holds for a graph, as `lint-imports` does."""
    options: dict[str, Any] = CONTRACTS[name]
    kind = LayersContract if options["type"] == "layers" else ForbiddenContract
    session = {"root_packages": [LINTER["root_package"]], "include_external_packages": "True"}
    kept: bool = kind(name, session, options).check(graph, verbose=False).kept
    return kept


def test_every_contract_is_tried_and_holds(graph: grimp.ImportGraph) -> None:
    assert list(FORBIDDEN) == list(CONTRACTS)
    assert all(is_kept(name, graph) for name in CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "importer", "imported"),
    [(name, *pair) for name, pairs in FORBIDDEN.items() for pair in pairs],
)
def test_a_forbidden_import_breaks_its_contract(
    graph: grimp.ImportGraph, contract: str, importer: str, imported: str
) -> None:
    of, to = f"consumer_analytics.{importer}", imported
    if imported not in EXTERNAL:
        to = f"consumer_analytics.{imported}"
        assert to in graph.modules, "it is gone: break the contract elsewhere"
    assert of in graph.modules, "it is gone: break the contract elsewhere"
    there = to in graph.modules
    if not there:
        graph.add_module(to, is_squashed=True)
    graph.add_import(importer=of, imported=to)
    try:
        assert not is_kept(contract, graph)
    finally:
        graph.remove_import(importer=of, imported=to)
        if not there:
            graph.remove_module(to)
