"""The copy of the checkout that mutants are put into.

Programs that tests start find the copy's package before the installed one, so a mutant is
in every process of a test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tools.mutation.configuration import BUILD, ROOT
from tools.mutation.probe import REACH, instrumented
from tools.mutation.probe import ROOT as PROBED

COPY = BUILD / "copy"
_SITE = BUILD / "site"
_REACH = BUILD / "reach.txt"


def renew() -> None:
    """Make the copy what the checkout is, uncommitted changes too; what is alike is left."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    names = {name for name in listed if name and (ROOT / name).is_file()}
    for path in list(COPY.rglob("*")):
        if path.is_file() and str(path.relative_to(COPY)) not in names:
            path.unlink()
    for name in names:
        source, target = ROOT / name, COPY / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def instrument(files: Iterable[str]) -> None:
    """Make the copy's modules note which of their functions are called; `renew` undoes it."""
    for file in files:
        if file.endswith(".py"):
            text = (ROOT / file).read_text(encoding="utf-8")
            (COPY / file).write_text(instrumented(text, file), encoding="utf-8")


def environment(job: Path, *, probe: bool) -> dict[str, str]:
    """Return the environment of a worker.

    Args:
        job: the file that tells it what to do.
        probe: note what is reached, in it and in all that it starts.
    """
    paths = [COPY / "src", COPY]
    environment = {
        **os.environ,
        "MUTATION_JOB": str(job),
    }
    if probe:
        _SITE.mkdir(parents=True, exist_ok=True)
        (_SITE / "sitecustomize.py").write_text(
            "from tools.mutation.probe import start\n\nstart()\n", encoding="utf-8"
        )
        _REACH.unlink(missing_ok=True)
        paths.insert(0, _SITE)
        environment |= {REACH: str(_REACH), PROBED: str(COPY)}
    return {**environment, "PYTHONPATH": os.pathsep.join(map(str, paths))}
