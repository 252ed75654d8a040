"""Files that hold a secret: read, and told of where others than their owner may read them."""

from __future__ import annotations

import errno
import logging
import os
import stat
from functools import cache
from pathlib import Path
from typing import IO

from consumer_analytics.errors import SettingsError

log = logging.getLogger(__name__)

#: Bytes after which a file is taken for one without an end, such as a device.
_LARGEST = 2**20
#: What others may do with a file.
_READ, _WRITE = 0o044, 0o022


def exposure(path: Path) -> str | None:
    """Tell what others may do with a file.

    Returns:
        Such as `can be read by others (mode 0644)`; None for nothing, or where it is not there.
    """
    try:
        status = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        # Such as the pipe that a shell makes of `<(pass show it)`.
        return None
    mode = stat.S_IMODE(status.st_mode)
    able = [word for word, bits in (("read", _READ), ("written", _WRITE)) if mode & bits]
    return f"can be {' and '.join(able)} by others (mode {mode:04o})" if able else None


def first_line(path: Path) -> str:
    """Return a file's first line, without its end; warn once where others may read the file.

    Raises:
        OSError: it cannot be read, or is not UTF-8; the error does not show what it holds.
    """
    warn_if_exposed(path)
    with path.open("rb") as file:
        return _decoded(file.readline(_LARGEST + 1), path).rstrip("\r\n")


def text(path: Path) -> str:
    """Return all of a file.

    Raises:
        OSError: as `first_line`.
    """
    with path.open("rb") as file:
        return _decoded(file.read(_LARGEST + 1), path)


def _decoded(content: bytes, path: Path) -> str:
    if len(content) > _LARGEST:
        raise OSError(errno.EFBIG, "it is larger than any file of secrets", str(path))
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "it is not UTF-8", str(path)) from None


def line_for(setting: str, path: Path) -> str:
    """Return the first line of the file that a setting, given by its variable, names.

    Raises:
        SettingsError: it cannot be read.
    """
    try:
        return first_line(path)
    except OSError as error:
        raise SettingsError(f"{setting}: {error.strerror}: {error.filename}") from None


def opened_lock(path: Path) -> IO[str]:
    """Open a lock's file, made where it is missing, which nobody else may hold."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(path, flags, 0o600), "r+", encoding="utf-8")
    status = os.fstat(file.fileno())
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        os.fchmod(file.fileno(), 0o600)
    return file


def warn_if_exposed(path: Path) -> None:
    """Warn in a line, once in a process, where others may read or write a file."""
    if why := exposure(path):
        _warn(os.fspath(path), why)


@cache
def _warn(path: str, why: str) -> None:
    log.warning("%s holds a secret and %s; take their rights away: chmod go= it", path, why)
