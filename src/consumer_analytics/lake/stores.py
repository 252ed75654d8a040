"""Where the archive's files lie: a folder, or a bucket of an object store.

Names are those below the lake's address; what a store returns for one is what people read and
engines open: a path, or an `s3:` address.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import unquote, urlsplit

from consumer_analytics.errors import ArchiveError
from consumer_analytics.installation import of_extra
from consumer_analytics.settings import Settings, variable

_BLOCK = 1 << 20
#: What customers did is for whoever owns folder and file, and for its group at the most.
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640
_SUFFIX = ".parquet"
#: Requests at once: each waits for the network, and does nothing else.
_AT_ONCE = 16
#: Seconds.
_CONNECTED = 5
_ANSWERED = 30
_TRIES = 3


@dataclass(frozen=True)
class Stored:
    """What a store says of a file without reading it.

    Attributes:
        bytes: its size.
        etag: is another one where the content is another one; None where the store has none.
    """

    bytes: int
    etag: str | None = None


class Store(Protocol):
    """A place for files."""

    def location(self, name: str) -> str:
        """Return what a file is called outside of here."""

    def looked_at(self, names: Iterable[str]) -> Mapping[str, Stored | None]:
        """Return what the store says of files; None of one that is not there.

        Raises:
            ArchiveError: nothing can be read there.
        """

    def below(self, folders: Iterable[str]) -> list[str]:
        """Return the names of all Parquet files in some folders, in order."""

    def names(self, folder: str) -> list[str]:
        """Return what the files right in a folder are called there, in order.

        Raises:
            ArchiveError: nothing can be read there.
        """

    def opened(self, name: str) -> Any:
        """Return a context: a file's content, to be read from any place.

        Raises:
            ArchiveError: it cannot be read.
        """

    def sha256(self, name: str) -> str:
        """Return the digest of all of a file, hexadecimal.

        Raises:
            ArchiveError: it cannot be read.
        """

    def placing(self, name: str) -> Any:
        """Return a context: a path to write to, which becomes the file when the block ends well.

        Raises:
            ArchiveError: the file cannot be written.
        """


def of(settings: Settings) -> Store:
    """Return the store that the lake's address names.

    Raises:
        ArchiveError: no address is set.
        MissingExtraError: what reads it is not installed.
    """
    if settings.lake_url is None:
        raise ArchiveError(
            f"days are archived, and nothing says where: set {variable('lake_url')} as it was when "
            "they were archived"
        )
    parts = urlsplit(settings.lake_url)
    if parts.scheme == "s3":
        return Bucket(f"{parts.netloc}{unquote(parts.path)}".rstrip("/"))
    return Folder(Path(unquote(parts.path)))


def digest_of(file: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of a file, hexadecimal."""
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def digest_of_path(path: Path) -> str:
    """Return the SHA-256 of a file of this machine's, hexadecimal."""
    with path.open("rb") as file:
        return digest_of(file)


def new_file(path: Path) -> IO[bytes]:
    """Open a file that is not there yet, for its owner to write and its group to read.

    Raises:
        OSError: it cannot be made, or is there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, _FILE_MODE), "wb")


class Folder:
    """A folder of this machine's."""

    def __init__(self, root: Path) -> None:
        """Take the folder."""
        self._root = root

    def location(self, name: str) -> str:
        """Return the file's path."""
        return str(self._root / name)

    def looked_at(self, names: Iterable[str]) -> Mapping[str, Stored | None]:
        """Return files' sizes."""
        return {name: self._look(name) for name in names}

    def _look(self, name: str) -> Stored | None:
        try:
            return Stored((self._root / name).stat().st_size)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(self.location(name), error.strerror) from None

    def below(self, folders: Iterable[str]) -> list[str]:
        """Return the names of all Parquet files in some folders, in order."""
        return [
            path.relative_to(self._root).as_posix()
            for folder in sorted(folders)
            for path in sorted((self._root / folder).glob(f"*{_SUFFIX}"))
        ]

    def names(self, folder: str) -> list[str]:
        """Return what the files in a folder are called there."""
        try:
            return sorted(path.name for path in (self._root / folder).iterdir() if path.is_file())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(self.location(folder), error.strerror) from None

    def opened(self, name: str) -> Any:
        """Open the file."""
        try:
            return (self._root / name).open("rb")
        except OSError as error:
            raise unreadable(self.location(name), error.strerror) from None

    def sha256(self, name: str) -> str:
        """Return the file's digest."""
        try:
            return digest_of_path(self._root / name)
        except OSError as error:
            raise unreadable(self.location(name), error.strerror) from None

    @contextmanager
    def placing(self, name: str) -> Iterator[Path]:
        """Let a file be written beside its place, and outlive a loss of power there."""
        path = self._root / name
        beside = path.with_name(f".{path.name}.part")
        try:
            _make_folder(path.parent)
            # Left by one that was killed; or a link, which somebody might have put there.
            beside.unlink(missing_ok=True)
            try:
                yield beside
                _keep(beside)
                beside.replace(path)
                _keep(path.parent)
            finally:
                beside.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritable(str(path), error.strerror) from None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they are missing."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(_FOLDER_MODE, exist_ok=True)


def _keep(path: Path) -> None:
    """Let a file, or what a folder says of its files, outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Bucket:
    """A bucket of an object store that speaks S3, or a folder in one.

    Who may read it, and where it is, comes as AWS's own tools have it: from the environment, the
    files in `~/.aws`, or the machine.
    """

    def __init__(self, root: str) -> None:
        """Take the bucket's name, and the folder's below it."""
        self._root = root

    def location(self, name: str) -> str:
        """Return the file's address."""
        return f"s3://{self._root}/{name}"

    def looked_at(self, names: Iterable[str]) -> Mapping[str, Stored | None]:
        """Return files' sizes and entity tags."""
        listed = list(names)
        threads = ThreadPoolExecutor(_AT_ONCE)
        try:
            return dict(zip(listed, threads.map(self._look, listed), strict=True))
        finally:
            # Of a store that is away one is enough.
            threads.shutdown(cancel_futures=True)

    def _look(self, name: str) -> Stored | None:
        try:
            with s3().open_input_file(f"{self._root}/{name}") as file:
                etag = file.metadata().get("ETag")
                return Stored(file.size(), etag and etag.decode())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unreadable(self.location(name), str(error)) from None

    def below(self, folders: Iterable[str]) -> list[str]:
        """Return the names of all Parquet files in some folders, in order."""
        wanted = set(folders)
        # One list of all costs less than one of each folder.
        found = (path.removeprefix(f"{self._root}/") for path in self._all(sorted(wanted)))
        return sorted(one for one in found if one.rpartition("/")[0] in wanted)

    def _all(self, folders: list[str]) -> Iterator[str]:
        from pyarrow.fs import FileSelector, FileType

        if not folders:
            return
        common = os.path.commonpath(folders)
        place = f"{self._root}/{common}".rstrip("/")
        selector = FileSelector(place, recursive=True, allow_not_found=True)
        try:
            listed = s3().get_file_info(selector)
        except OSError as error:
            raise unreadable(self.location(common), str(error)) from None
        for one in listed:
            if one.type == FileType.File and one.path.endswith(_SUFFIX):
                yield one.path

    def names(self, folder: str) -> list[str]:
        """Return what the objects in a folder are called there."""
        from pyarrow.fs import FileSelector, FileType

        selector = FileSelector(f"{self._root}/{folder}", allow_not_found=True)
        try:
            listed = s3().get_file_info(selector)
        except OSError as error:
            raise unreadable(self.location(folder), str(error)) from None
        return sorted(one.base_name for one in listed if one.type == FileType.File)

    def opened(self, name: str) -> Any:
        """Open the object."""
        try:
            return s3().open_input_file(f"{self._root}/{name}")
        except OSError as error:
            raise unreadable(self.location(name), str(error)) from None

    def sha256(self, name: str) -> str:
        """Return the file's digest, by reading it."""
        try:
            with s3().open_input_stream(f"{self._root}/{name}") as file:
                return digest_of(file)
        except OSError as error:
            raise unreadable(self.location(name), str(error)) from None

    @contextmanager
    def placing(self, name: str) -> Iterator[Path]:
        """Let a file be written here, and send it; it is there whole or not at all."""
        with tempfile.TemporaryDirectory(prefix="consumer-analytics-") as folder:
            path = Path(folder) / Path(name).name
            yield path
            try:
                with (
                    path.open("rb") as file,
                    s3().open_output_stream(f"{self._root}/{name}") as there,
                ):
                    shutil.copyfileobj(file, there, _BLOCK)
            except OSError as error:
                raise _unwritable(self.location(name), str(error)) from None
            if self.sha256(name) != digest_of_path(path):
                raise _unwritable(self.location(name), "what was sent is not what is read back")


@cache
def s3() -> Any:
    """Return the connection to the object store.

    Raises:
        MissingExtraError: what speaks S3 is not installed.
    """
    with of_extra("lake", "an archive in an object store"):
        from pyarrow import fs
    # pyarrow reads all from the environment but this.
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return fs.S3FileSystem(
        endpoint_override=endpoint or None,
        connect_timeout=_CONNECTED,
        request_timeout=_ANSWERED,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    )


def unreadable(where: str, why: str | None) -> ArchiveError:
    """Return the error that says that a file of the archive cannot be read."""
    return ArchiveError(f"{where} of the archive cannot be read: {_first_line(why)}")


def _unwritable(where: str, why: str | None) -> ArchiveError:
    return ArchiveError(f"{where} of the archive cannot be written: {_first_line(why)}")


def _first_line(why: str | None) -> str:
    return (why or "nobody says why").strip().splitlines()[0]
