"""The archive's folder: where the files are, and whether they are still those of the manifest."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from consumer_analytics.errors import ArchiveError
from consumer_analytics.settings import Settings, variable

#: What the files of other tables would lie beside.
_TABLE = "customer_events"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ArchivedFile:
    """A file of the manifest.

    Attributes:
        name: below the lake's address.
        day: the UTC day whose rows it has.
        rows: how many.
        bytes: its size.
        sha256: of all of it, hexadecimal.
    """

    name: str
    day: dt.date
    rows: int
    bytes: int
    sha256: str


def root(settings: Settings) -> Path:
    """Return the folder that the lake's address names.

    Raises:
        ArchiveError: no address is set.
    """
    if settings.lake_url is None:
        raise ArchiveError(
            f"days are archived, and nothing says where: set {variable('lake_url')} as it was when "
            "they were archived"
        )
    return Path(unquote(urlsplit(settings.lake_url).path))


def name_of(day: dt.date, part: int) -> str:
    """Return the name of a day's first file, second file and so on, below the lake's address."""
    return f"{_TABLE}/day={day.isoformat()}/part-{part:04}.parquet"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def checked(
    settings: Settings, files: Sequence[ArchivedFile], *, unfinished: bool = False
) -> list[Path]:
    """Return the paths of files that are surely those of the manifest, and the only ones there.

    Args:
        settings: for the lake's address.
        files: all files of the days that are to be read.
        unfinished: whether each day may have its next file: `archive`, which was killed at it, is
            about to write it again.

    Raises:
        ArchiveError: a file is gone, changed, one more, or elsewhere; the message names it.
    """
    folder = root(settings)
    found = []
    for file in files:
        path = _place(folder, file)
        try:
            size = path.stat().st_size
            same = size == file.bytes and digest_of(path) == file.sha256
        except FileNotFoundError:
            raise _drifted(path, "is gone") from None
        except OSError as error:
            raise ArchiveError(f"{path} of the archive cannot be read: {error.strerror}") from None
        if not same:
            raise _drifted(path, "is not what was archived")
        found.append(path)
    known = {file.name for file in files}
    if unfinished:
        parts = Counter(file.day for file in files)
        known |= {name_of(day, n + 1) for day, n in parts.items()}
    _refuse_strangers(folder, known)
    return found


def unlike(settings: Settings, files: Iterable[ArchivedFile]) -> list[Path]:
    """Return the paths of files that are gone or of another size; what they hold is not read.

    Raises:
        ArchiveError: no address is set, or a name leads out of the folder.
    """
    folder = root(settings)
    return [path for one in files if _size_of(path := _place(folder, one)) != one.bytes]


def _place(folder: Path, file: ArchivedFile) -> Path:
    """Return where a file is: whoever may write the manifest is to reach no other folder by it.

    Raises:
        ArchiveError: the name leads out of the folder.
    """
    name = PurePosixPath(file.name)
    if name.is_absolute() or ".." in name.parts:
        raise ArchiveError(f"the manifest has {file.name!r}, which is no name within the archive")
    return folder / name


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _refuse_strangers(folder: Path, names: Iterable[str]) -> None:
    """Refuse a file beside those known, which whoever else reads the folder would count."""
    known = {folder / name for name in names}
    for day in sorted({path.parent for path in known}):
        for path in sorted(day.glob("*.parquet")):
            if path not in known:
                raise _drifted(path, "is none of the archive's files")


def _drifted(path: Path, what: str) -> ArchiveError:
    return ArchiveError(
        f"{path} {what}: a day that is archived does not change; put the folder back as it was, or "
        "see `consumer-analytics docs lake`"
    )
