"""The archive: tested where the extras `lake` and `sail` are.

`tests/e2e/test_lake.py` makes such a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from tests.integration.shards.conftest import federated, federation
from tests.support import sail, spark_cluster

__all__ = ["federated", "federation"]

collect_ignore_glob = (
    [] if find_spec("duckdb") and find_spec("pyarrow") and find_spec("pysail") else ["test_*.py"]
)


@pytest.fixture(scope="session")
def sail_server() -> Iterator[sail.Server]:
    """Return a server of Sail's, in a process of its own."""
    with sail.started() as server:
        yield server


@pytest.fixture(scope="session")
def cluster() -> Iterator[spark_cluster.Cluster]:
    """Return a cluster of Spark's own: a master, two workers, a server."""
    with spark_cluster.started() as running:
        yield running
