"""The contracts of imports notice what they forbid: each is broken once, in a copy of the source."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = [one["name"] for one in CONFIGURATION["tool"]["importlinter"]["contracts"]]

#: Who imports what he must not, by the contract that forbids it.
FORBIDDEN = {
    "Packages stand above one another; siblings do not know each other": [
        ("local.home", "web.tokens"),
        ("web.app", "local.home"),
        ("orchestration.tasks", "web.tokens"),
        ("cli.main", "dags.consumer_analytics_etl"),
        ("dags.consumer_analytics_etl", "cli.main"),
        ("reporting.ranges", "operations.storage"),
        ("operations.storage", "reporting.ranges"),
        ("backfill.record", "reconcile.sweep"),
        ("reconcile.sweep", "ingest.importer"),
        ("monitoring.heartbeat", "backfill.record"),
        ("ingest.importer", "monitoring.heartbeat"),
        ("monitoring.metrics.collector", "orchestration.tasks"),
        ("etl.run", "backfill.record"),
        ("db.connection", "etl.run"),
        ("calendar.instants", "etl.run"),
    ],
    "DAG files call what DAG tasks do, and nothing that serves people": [
        ("dags.consumer_analytics_etl", "web.tokens"),
        ("dags.consumer_analytics_sweep", "local.home"),
    ],
    "Within monitoring: one pass reads incidents, these tell people, all read health": [
        ("monitoring.health.models", "monitoring.notifications.outbox"),
        ("monitoring.notifications.outbox", "monitoring.incidents.store"),
        ("monitoring.metrics.collector", "monitoring.incidents.store"),
    ],
    "Figures know nothing of Airflow": [
        ("etl.run", "airflow.metadata_tables"),
        ("backfill.record", "airflow.metadata_tables"),
        ("reconcile.sweep", "airflow.metadata_tables"),
        ("ingest.importer", "airflow.metadata_tables"),
    ],
    "Below the interfaces: neither Airflow, nor a web framework, nor a command line's": [
        ("etl.run", "typer"),
        ("monitoring.monitor", "airflow"),
        ("reporting.ranges", "fastapi"),
    ],
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Break every contract in a copy of the source, and return what the linter says."""
    copy = tmp_path_factory.mktemp("broken")
    shutil.copytree(
        ROOT / "src", copy / "src", ignore=shutil.ignore_patterns("__pycache__", "static", "*.sql")
    )
    shutil.copy(ROOT / "pyproject.toml", copy)
    for pairs in FORBIDDEN.values():
        for importer, imported in pairs:
            module = copy / "src" / "consumer_analytics" / f"{importer.replace('.', '/')}.py"
            assert module.exists(), f"{importer} is gone: break the contract elsewhere"
            name = imported if imported in EXTERNAL else f"consumer_analytics.{imported}"
            with module.open("a", encoding="utf-8") as file:
                file.write(f"\nimport {name}\n")
    lint = subprocess.run(
        [
            sys.executable,
            "-c",
            # Where the copy is imported from; the linter is the one that `make lint` runs.
            "import sys; sys.path.insert(0, 'src'); "
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 1, lint.stdout + lint.stderr
    return lint.stdout


EXTERNAL = {"airflow", "fastapi", "typer"}


def test_every_contract_is_tried() -> None:
    assert list(FORBIDDEN) == CONTRACTS


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_contract_is_broken_by_what_it_forbids(report: str, contract: str) -> None:
    flat = " ".join(report.split())
    assert f"{contract} BROKEN" in flat or f"{contract}BROKEN" in flat
    # Behind the summary each contract's own part tells which imports broke it.
    part = report[report.rindex(contract) :]
    told = " ".join(part.split())
    for importer, imported in FORBIDDEN[contract]:
        name = imported if imported in EXTERNAL else f"consumer_analytics.{imported}"
        assert f"consumer_analytics.{importer} -> {name}" in told, (importer, imported)
