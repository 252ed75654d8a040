"""A cluster of Spark's own reads the archive: `make test-spark`."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support import archives, hostile, spark_cluster

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import engine
from consumer_analytics.lake.engine import spark

pytestmark = [pytest.mark.spark, pytest.mark.timeout(900)]

READABLE = [shape for shape in hostile.SHAPES if not shape.startswith("uuids")]


@pytest.mark.parametrize("shape", READABLE)
def test_groups_are_those_of_postgresql(
    database: Any, tmp_path: Path, cluster: spark_cluster.Cluster, shape: str
) -> None:
    hostile.compare(database, tmp_path, shape, cluster.remote)


def test_what_spark_does_not_read_is_a_line(tmp_path: Path, cluster: spark_cluster.Cluster) -> None:
    path = hostile.write(tmp_path / "a" / "b.parquet", hostile.rows(1), "uuids, an odd zone")
    with (
        pytest.raises(ArchiveError, match=r"at 127\.0\.0\.1:\d+ cannot read the archive: ") as told,
        engine.started(cluster.remote) as open_files,
    ):
        list(open_files([str(path)]).ids())
    assert "\n" not in str(told.value)


def test_all_figures_are_the_same(
    new_database: Callable[..., Any], tmp_path: Path, cluster: spark_cluster.Cluster
) -> None:
    lake = new_database(lake_url=(tmp_path / "lake").as_uri())
    archives.fill(lake)
    before = archives.shown(lake)
    archives.archived(lake)
    archives.purge(lake)
    by_spark = replace(lake, settings=replace(lake.settings, spark_remote=cluster.remote))
    archives.computed_again(by_spark, before)


def test_an_executor_that_is_killed_in_mid_job_changes_no_count(
    tmp_path: Path, cluster: spark_cluster.Cluster
) -> None:
    rows = hostile.rows(5) * 12
    paths = [
        str(hostile.write(tmp_path / f"{n}" / "part.parquet", rows, "text, UTC")) for n in range(12)
    ]
    with engine.started() as open_files:
        files = open_files(paths)
        expected, digests = Counter(files.counts()), sorted(files.digests())
    killed: list[int] = []

    def kill() -> None:
        killed.append(cluster.kill_executor())

    for _ in range(2):
        with engine.started(cluster.remote) as open_files:
            files = open_files(paths, len(rows) * len(paths))
            timer = threading.Timer(0.7, kill)
            timer.start()
            # Either it is right, or it has failed in a line, and the next one is right.
            with suppress(ArchiveError):
                assert sorted(files.digests()) == digests
                assert Counter(files.counts()) == expected
            timer.join()
    assert len(set(killed)) == 2
    with engine.started(cluster.remote) as open_files:
        files = open_files(paths, len(rows) * len(paths))
        assert Counter(files.counts()) == expected
        assert sorted(files.digests()) == digests


def test_a_job_that_is_interrupted_leaves_the_cores_free(cluster: spark_cluster.Cluster) -> None:
    endless = "select max(md5(cast(id as string))) as digest from range(400000000000)"
    with spark.started(cluster.remote) as session:
        asked = session.answer(endless)
        timer = threading.Timer(5, session._session.interruptAll)
        timer.start()
        with pytest.raises(ArchiveError, match="cannot read the archive"):
            list(asked)
        timer.join()
    # Both cores are free again: this would wait for ever.
    began = time.monotonic()
    with spark.started(cluster.remote) as session:
        assert list(session.answer("select count(*) as n from range(1000)")) == [(1000,)]
    assert time.monotonic() - began < 60


def test_a_server_that_is_killed_in_mid_job_is_a_line(cluster: spark_cluster.Cluster) -> None:
    """The last one: nobody is there after it."""
    endless = "select max(md5(cast(id as string))) as digest from range(400000000000)"
    with spark.started(cluster.remote) as session:
        timer = threading.Timer(4, cluster.server.kill)
        timer.start()
        with pytest.raises(ArchiveError, match=r"at 127\.0\.0\.1:\d+ does not answer"):
            list(session.answer(endless))
        timer.join()
