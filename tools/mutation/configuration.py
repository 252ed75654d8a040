"""What is mutated and by which tests it is tried: `tools/mutation/targets.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Everything that is made: the copy, what was measured, the results.
BUILD = ROOT / "build" / "mutation"


@dataclass(frozen=True)
class Configuration:
    """What `targets.toml` says.

    Attributes:
        files: the files that are mutated, from the root of the checkout, sorted.
        tests: the files of tests that are run, sorted.
        slowest: seconds that a test may take and still be used.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]
    slowest: float


def read() -> Configuration:
    """Read the file, and find what its patterns name.

    Raises:
        FileNotFoundError: a pattern names nothing, since something has moved.
    """
    said = tomllib.loads((Path(__file__).parent / "targets.toml").read_text(encoding="utf-8"))
    return Configuration(_found(said["files"]), _found(said["tests"]), float(said["slowest"]))


def _found(patterns: list[str]) -> tuple[str, ...]:
    found: set[str] = set()
    for pattern in patterns:
        names = {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern) if path.is_file()}
        if not names:
            raise FileNotFoundError(f"targets.toml: nothing is named {pattern}")
        found |= names
    return tuple(sorted(name for name in found if not name.endswith("__init__.py")))
