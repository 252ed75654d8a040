"""The archive's tests, in an environment with its extras: `make setup` installs none of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.support import lanes

pytestmark = [pytest.mark.timeout(2400), lanes.LONG]

ROOT = Path(__file__).parents[2]
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
ENVIRONMENT = ROOT / "build" / "lake"


@pytest.mark.parametrize(
    "lane",
    [
        pytest.param("not spark and not hours", id="long"),
        pytest.param("hours and not spark", id="hours", marks=lanes.HOURS),
    ],
)
def test_the_archive_works_with_its_extras_alone(lane: str) -> None:
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENT)}
    extras = (
        "--extra",
        "sail",
        "--extra",
        "delta",
        "--extra",
        "iceberg",
        "--extra",
        "embedded",
        "--group",
        "dev",
        "--no-default-groups",
    )
    sync: list[str | Path] = [UV, "sync", "--quiet", "--frozen", *extras]
    subprocess.run(sync, cwd=ROOT, env=environment, check=True)
    done = subprocess.run(
        [
            *(ENVIRONMENT / "bin" / "python", "-m", "pytest", "-n0", "-q", "-m", lane),
            "tests/integration/lake",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "skipped" not in done.stdout
