"""Tests that share something dear run on one worker, and all others anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.scheduling import AIRFLOWS, FOR_EACH_CHANGE, group_of

SESSIONS = "tests/integration/db/test_session.py"


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("tests/dags/test_dag.py::test_a", "tests/dags/test_tasks.py::test_b[1]", True),
        ("tests/web/test_api.py::test_a", "tests/web/test_api.py::test_b[1]", True),
        ("tests/web/test_api.py::test_a", "tests/web/test_pages.py::test_b[1]", False),
        ("tests/e2e/test_up_airflow.py::test_a", "tests/e2e/test_up_airflow.py::test_b", True),
        ("tests/e2e/test_up_airflow.py::test_a", "tests/e2e/test_operation.py::test_b", False),
        ("tests/e2e/test_tutorial.py::test_a", "tests/e2e/test_operation.py::test_b", True),
        ("tests/integration/etl/test_a.py::test_a", "tests/integration/etl/test_a.py::b", False),
        ("tests/integration/etl/test_a.py::a[other]", "tests/integration/b.py::b[other-1]", True),
        ("tests/integration/etl/test_a.py::a[main]", "tests/integration/b.py::b[main]", False),
        (f"{SESSIONS}::a", f"{SESSIONS}::b", True),
        (f"{SESSIONS}::a", "tests/integration/db/test_roles.py::b", False),
        (
            "tests/integration/monitoring/test_health.py::a",
            "tests/integration/operations/test_doctor.py::b",
            True,
        ),
    ],
)
def test_who_shares_runs_together(one: str, other: str, together: bool) -> None:
    assert (group_of(one) == group_of(other)) is together


@pytest.mark.parametrize(
    "ids",
    [
        ("tests/integration/a.py::a[other]", "tests/integration/b.py::b[other]"),
        (f"{SESSIONS}::a[1]", f"{SESSIONS}::a[2]"),
    ],
)
def test_the_long_lane_has_enough_to_make_what_is_shared_on_each_worker(
    ids: tuple[str, str],
) -> None:
    assert len({group_of(one, is_long=True) for one in ids}) == len(ids)


@pytest.mark.parametrize(
    "file", [file for files in (*AIRFLOWS, *FOR_EACH_CHANGE) for file in files]
)
def test_whatever_is_kept_together_is_there(file: str) -> None:
    assert (Path(__file__).parents[2] / file).is_file()


@pytest.mark.long
def test_workers_keep_to_it(tmp_path: Path) -> None:
    """With the real pytest and the real workers, as the suite is run."""
    folder = tmp_path / "tests" / "web"
    folder.mkdir(parents=True)
    root = Path(__file__).parents[2]
    (tmp_path / "conftest.py").write_text(
        "from tests.support.scheduling import Scheduling\n\n\n"
        "def pytest_xdist_make_scheduler(config, log):\n    return Scheduling(config, log)\n",
        encoding="utf-8",
    )
    (folder / "test_shared.py").write_text(
        "import os, pathlib, time\n\nimport pytest\n\n\n"
        "@pytest.mark.parametrize('n', range(6))\n"
        "def test_one(n):\n    time.sleep(0.05)\n"
        "    pathlib.Path('workers').open('a').write(f'{os.getpid()}\\n')\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "xdist", "-n", "2"),
            *("--dist=loadscope", "--no-loadscope-reorder", "-o", f"pythonpath={root}"),
            "--rootdir=.",
        ],
        cwd=tmp_path,
        # Three processes, each of which would read every plugin there is.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workers = (tmp_path / "workers").read_text(encoding="utf-8").split()
    assert (len(workers), len(set(workers))) == (6, 1)
