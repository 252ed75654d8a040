"""Build a release: a wheel, a source distribution, the list of their parts, and pip's constraints.

python tools/dist.py               into dist/
python tools/dist.py --to FOLDER   into an empty folder of your own

Whatever is built is looked at by tools that the lock has, each held to its hash: for what an index
would refuse, what does not belong into a wheel, and a list of parts that is none by its standard.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
#: The Makefile fetches it.
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
#: Environments of their own, so that neither what is developed with nor the tools are parts.
TOOLS, PARTS = ROOT / "build" / "dist-tools", ROOT / "build" / "dist-parts"


def _run(*command: str | Path, environment: Path | None = None) -> None:
    """Run a command; where it fails, end with what it said."""
    variables = {
        **os.environ,
        # One for all of them, whatever else is on this machine.
        "UV_PYTHON": sys.executable,
        "UV_COMPILE_BYTECODE": "0",
        "UV_LINK_MODE": "hardlink",
    }
    if environment is not None:
        variables["UV_PROJECT_ENVIRONMENT"] = str(environment)
    done = subprocess.run(
        command, cwd=ROOT, env=variables, check=False, capture_output=True, text=True
    )
    if done.returncode:
        program = Path(command[0]).name
        sys.exit(f"{done.stdout}{done.stderr}error: {program} failed: nothing is released")


def build(folder: Path, *, validated: bool = True) -> list[Path]:
    """Build a release into an empty folder, and return its files.

    Args:
        folder: where to; it is there, and empty.
        validated: whether the list of parts is held to its standard's schema, which takes longer
            than all the rest.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = f"{project['name'].replace('-', '_')}-{project['version']}"
    # The wheel from the source distribution: what that lacks would be missed here.
    _run(UV, "build", "--quiet", "--no-create-gitignore", "--out-dir", folder)
    wheel, source = folder / f"{name}-py3-none-any.whl", folder / f"{name}.tar.gz"

    _run(UV, "sync", "--quiet", "--frozen", "--only-group", "dist", environment=TOOLS)
    tools = TOOLS / "bin"
    _run(tools / "twine", "check", "--strict", wheel, source)
    _run(tools / "check-wheel-contents", wheel)

    everything = ("--all-extras", "--no-default-groups", "--no-install-project")
    _run(UV, "sync", "--quiet", "--frozen", *everything, environment=PARTS)
    parts = folder / f"{name}.cdx.json"
    described = ("--pyproject", ROOT / "pyproject.toml", "--mc-type", "application")
    _run(
        *(tools / "cyclonedx-py", "environment", PARTS / "bin" / "python", *described),
        *("--output-reproducible", f"--{'' if validated else 'no-'}validate"),
        *("--output-file", parts),
    )
    constraints = folder / "constraints.txt"
    shutil.copyfile(ROOT / "constraints.txt", constraints)
    return [wheel, source, parts, constraints]


def main() -> None:
    """Build into the folder that is asked for."""
    parser = argparse.ArgumentParser(description="Build a release.")
    parser.add_argument("--to", type=Path, help="an empty folder; default: dist/, emptied")
    parser.add_argument(
        "--unvalidated", action="store_true", help="do not hold the list of parts to its schema"
    )
    given = parser.parse_args()
    folder = given.to
    if folder is None:
        folder = ROOT / "dist"
        shutil.rmtree(folder, ignore_errors=True)
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"error: {folder} is not empty")
    for file in build(folder, validated=not given.unvalidated):
        print(file)


if __name__ == "__main__":
    main()
