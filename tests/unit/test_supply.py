"""What an installation fetches is what was locked: the tool by its hashes, and pip by the lock."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PINS = ROOT / "tools" / "uv.txt"


def lock() -> dict[str, list[dict[str, Any]]]:
    """Return the lock's packages, by name; of some there are several versions."""
    found: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]:
        found.setdefault(package["name"], []).append(package)
    return found


def needed() -> Iterator[tuple[str, str]]:
    """Yield name and version of all that the product needs with all of its extras."""
    packages = lock()
    (product,) = packages["consumer-analytics"]
    ahead = [("consumer-analytics", extra) for extra in product["optional-dependencies"]]
    ahead.append(("consumer-analytics", ""))
    seen = set(ahead)
    while ahead:
        name, extra = ahead.pop()
        for package in packages[name]:
            if name != "consumer-analytics":
                yield name, package["version"]
            further = package.get("dependencies", [])
            if extra:
                further = package.get("optional-dependencies", {}).get(extra, [])
            for one in further:
                for wanted in ("", *one.get("extra", [])):
                    if (key := (one["name"], wanted)) not in seen:
                        seen.add(key)
                        ahead.append(key)


def test_what_pip_is_constrained_to_is_what_the_lock_has() -> None:
    """After a change of the lock: `make constraints`."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = re.compile(r"([a-z0-9-]+)==([^ ;]+)(?: ; .+)?")
    found = [pinned.fullmatch(line) for line in lines if not line.startswith("#")]
    constrained = {(one[1], one[2]) for one in found if one is not None}
    # What is no pin of a version would constrain nothing, or something else.
    assert len(constrained) == len(found) > 100
    assert constrained == set(needed())


def test_the_one_tool_that_the_makefile_fetches_is_held_to_hashes() -> None:
    comment, first, *hashes = PINS.read_text().splitlines()
    assert comment.startswith("#")
    assert re.fullmatch(r"uv==\d+\.\d+\.\d+ \\", first)
    # Of each machine's wheel: Linux with either C library, macOS, on either processor, at least.
    assert len(hashes) >= 6
    assert all(re.fullmatch(r" +--hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in hashes)
    makefile = (ROOT / "Makefile").read_text()
    assert '--only-binary=:all: --require-hashes -r $(UV_PINS)"' in makefile
    fetching = [line for line in makefile.splitlines() if "-m pip install" in line]
    assert fetching
    assert all("pip install $$held" in line for line in fetching)
    # What is in the lock has a hash in it; `--frozen` takes nothing else.
    assert all("--frozen" in line for line in makefile.splitlines() if "$(UV) sync" in line)
    release = (ROOT / "tools" / "dist.py").read_text()
    assert release.count('"sync"') == release.count('"--frozen"') == 2


def test_building_the_product_fetches_nothing() -> None:
    """Uv builds with what it brings itself, where its version is within the bounds."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert build["build-backend"] == "uv_build"
    (requirement,) = build["requires"]
    bounds = re.fullmatch(r"uv_build>=(\d+)\.(\d+),<(\d+)\.(\d+)", requirement)
    assert bounds is not None
    numbers = [int(one) for one in bounds.groups()]
    uv = re.search(r"^uv==(\d+)\.(\d+)\.\d+", PINS.read_text(), re.MULTILINE)
    assert uv is not None
    assert numbers[:2] <= [int(one) for one in uv.groups()] < numbers[2:]


def test_every_locked_package_has_its_hashes() -> None:
    for versions in lock().values():
        for package in versions:
            if "registry" in package["source"]:
                files = [*package.get("wheels", []), *filter(None, [package.get("sdist")])]
                assert files
                assert all(file["hash"].startswith("sha256:") for file in files)
