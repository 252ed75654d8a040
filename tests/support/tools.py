"""Programs that tests use and no Python package carries: a browser, a pooler and others.

    python -m tests.support.tools     # installs what is missing, where that can be done

All are Debian packages. Prometheus is unpacked below build/tools, so that no service is
installed with it and nobody has to be root; Chromium is installed with all it depends on, which
takes root. Where that cannot be done the tests that need them are skipped and say so; where CI is
set they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

UNPACKED = Path(__file__).parents[2] / "build" / "tools"
#: Program to Debian package.
PACKAGES = {
    "chromium": "chromium",
    "faketime": "faketime",
    "pgbouncer": "pgbouncer",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    # With the package of its own name comes a service, which is started at once.
    "redis-server": "redis-tools",
}
#: Names under which a program comes, the one that is wanted most first; packages are called so
#: too. The shell has no windows to draw: it shows the same pages at half of the processor's time.
_NAMES = {
    "chromium": ("chromium-headless-shell", "chromium"),
    # One program, which does what it is called.
    "redis-server": ("redis-server", "redis-check-rdb"),
}
#: These run from wherever they were unpacked.
_SELF_CONTAINED = {"prometheus"}
_MINUTES = 10


def find(program: str) -> Path | None:
    """Return where a program is, or None."""
    for name in _NAMES.get(program, (program,)):
        unpacked = UNPACKED / "usr" / "bin" / name
        if unpacked.exists():
            return unpacked
        # What is a service lies where only root's path leads.
        if found := shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin"):
            return Path(found)
    return None


def require(program: str) -> Path:
    """Return where a program is; skip the test where it is missing, fail it under CI."""
    found = find(program)
    if found is not None:
        return found
    reason = f"{program} is missing: apt install {PACKAGES[program]}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    subprocess.run(
        command,
        cwd=cwd,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_MINUTES * 60,
        # In that run level an installed service is not started.
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
    )


def _unpack(package: str) -> None:
    UNPACKED.mkdir(parents=True, exist_ok=True)
    # Within the checkout: apt's own user cannot write there, and says so; a plain file is enough.
    with tempfile.TemporaryDirectory(dir=UNPACKED.parent) as folder:
        _run(["apt-get", "download", package], Path(folder))
        (archive,) = Path(folder).glob("*.deb")
        _run(["dpkg-deb", "--extract", str(archive), str(UNPACKED)])


def odbc(folder: Path) -> Path:
    """Return PostgreSQL's ODBC driver, unpacked with what it needs; skip where it cannot be had."""
    packages = ("odbc-postgresql", "libodbc2", "libodbcinst2", "libpq5", "libltdl7")
    try:
        for package in packages:
            _run(["apt-get", "download", package], folder)
        for archive in folder.glob("*.deb"):
            _run(["dpkg-deb", "--extract", str(archive), str(folder)])
    except (subprocess.SubprocessError, OSError):
        pytest.skip("no Debian package odbc-postgresql here")
    (driver,) = folder.glob("usr/lib/*/odbc/psqlodbcw.so")
    return driver


def _as_root() -> list[str] | None:
    """Return what makes a command root's; None where nothing does."""
    if os.geteuid() == 0:
        return []
    if (
        shutil.which("sudo")
        and not subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode
    ):
        return ["sudo", "-n"]
    return None


def _install(packages: list[str]) -> None:
    root = _as_root()
    if root is not None:
        _run([*root, "apt-get", "update", "--quiet"])
    for package in packages:
        if package in _SELF_CONTAINED:
            _unpack(package)
        elif root is not None:
            _install_one_of([*root, "apt-get"], _NAMES.get(package, (package,)))
            _install_one_of([*root, "apt-get"], ["fonts-dejavu"])


def _install_one_of(apt: list[str], packages: Sequence[str]) -> None:
    """Install the first package; where that cannot be had, the next."""
    for package in packages:
        try:
            return _run([*apt, "install", "--yes", "--no-install-recommends", package])
        except subprocess.CalledProcessError:
            if package == packages[-1]:
                raise
    return None


def main() -> None:
    """Install what is missing; what cannot be had is named, and ends nothing."""
    missing = sorted({package for name, package in PACKAGES.items() if find(name) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        print(f"not installed, tests that need them are skipped: {', '.join(missing)}")
        return
    print(f"installing for the tests: {', '.join(missing)}", flush=True)
    try:
        _install(missing)
    except (subprocess.SubprocessError, OSError) as error:
        told = getattr(error, "stderr", None) or str(error)
        print("\n".join(str(told).strip().splitlines()[-3:]), file=sys.stderr)
    if still := sorted(name for name in PACKAGES if find(name) is None):
        print(f"not installed, tests that need them are skipped: {', '.join(still)}")


if __name__ == "__main__":
    main()
