"""Folders for what the tests' servers write: in memory, where there is room.

A database for each test is three hundred small files, made and removed again. On a disk that
costs several times as much of the processor as all else that a test's start does.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

#: What Linux keeps in memory and everybody may write to.
_MEMORY = Path("/dev/shm")
#: Containers give it 64 MB. Some servers at once, and what their tests write.
_ENOUGH = 4 * 2**30


def folder(prefix: str) -> Path:
    """Make a folder of the caller's own; whoever makes it removes it.

    Not below pytest's own folder: as root, a server's user must get through. TMPDIR, where
    it is set, decides where.
    """
    return Path(tempfile.mkdtemp(prefix=prefix, dir=place()))


def place() -> Path | None:
    """Return where such folders are made; None: where temporary files are."""
    if "TMPDIR" in os.environ:
        return None
    try:
        space = os.statvfs(_MEMORY)
        free = int((Path("/proc") / "meminfo").read_text().split("MemAvailable:")[1].split()[0])
    except (OSError, IndexError):
        return None
    enough = min(space.f_bavail * space.f_frsize, free * 1024) >= _ENOUGH
    return _MEMORY if enough and os.access(_MEMORY, os.W_OK) else None
