"""CSV files as `import` takes them: found, opened, and read record by record.

Two ways through a file. `batches` is fast and says no more than that something
is wrong (`DoubtError`). `records` is slow and tells what is wrong, and where.
"""

from __future__ import annotations

import csv
import difflib
import errno
import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Any

from consumer_analytics.errors import ImportRefusedError, UsageError
from consumer_analytics.formatting import counted
from consumer_analytics.mapping import SOURCES

#: In characters; a field longer than this is taken for a quote that was never closed.
LONGEST_FIELD = 8 * 1024 * 1024
#: In bytes, a header's too. What a file unpacks to has no bound, what is held of it has: a
#: megabyte of gzip may be one line of a gigabyte.
LONGEST_RECORD = 12 * 1024 * 1024
#: As many as a table of PostgreSQL's may have.
MOST_COLUMNS = 1600
_BATCH_BYTES = 32 * 1024
_BATCH_ROWS = 256
#: A batch ends when this much has been read for it, however few its rows are.
_BATCH_READ = 1024 * 1024
_SHOWN_CHARACTERS = 80
#: From how much of two names in common on one is taken for the other, mistyped: below it are
#: columns that people have besides, such as `created_by`.
_ALIKE = 0.8
_GZIP_MAGIC = b"\x1f\x8b"
#: What other packed files begin with.
_PACKED = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}
#: A name may lead to what its owner may not read, and whoever imports may; errors are kept and
#: passed on.
NOT_SHOWN = "the name is a link's, so what the file holds is not shown"
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_BYTE_ORDER_MARK = "\ufeff".encode()
#: What a time looks like, for Python and for PostgreSQL. PostgreSQL's own reading takes far more:
#: `now`, `01/02/2025`, `12:00 PM`, `Monday`, and zones by names that mean one thing here and
#: another there (`IST`), or the opposite of what they say (`UTC+2` is two hours behind UTC).
TIME = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[Tt ](?:[01][0-9]|2[0-4]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
    r"(?: ?(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2})?)?)| UTC)?)? *"
)
_is_time = re.compile(TIME).fullmatch
#: Times that differ in their digits look the same; whether such a day and hour are there is
#: PostgreSQL's to say, but it would take the second 60 for the next minute.
_DIGITS = str.maketrans("123456789", "000000000")
_SECOND_60 = ":60"
#: Where a quote stands behind a backslash: in a field that has ended there for a CSV reader.
_ESCAPED_QUOTE = re.compile(r'\\"(?!")')
ESCAPED_QUOTES = (
    'its quotes are escaped by backslashes, as Spark writes them; in CSV they are doubled ("")'
)
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


@dataclass(frozen=True)
class ImportProblem:
    """Why a row, or a file, cannot be imported.

    Attributes:
        file: the file's name.
        line: where the record begins, the header being line 1; None where
            the file as a whole is meant.
        column: the column; None where the record as a whole is meant.
        reason: what is wrong.
        value: what stands there, shortened.
    """

    file: str
    line: int | None
    column: str | None
    reason: str
    value: str | None = None

    def __str__(self) -> str:
        """Say it in one line: `customers.csv:17: created_at: not a time: 'soon'`."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        column = f"{self.column}: " if self.column else ""
        value = f": {self.value!r}" if self.value is not None else ""
        return f"{place}: {column}{self.reason}{value}"


class _RecordTooLongError(OSError):
    """A record has not ended after all that one may have."""


class _Bounded(io.RawIOBase):
    """Hands on what a stream gives, and ends where a record is longer than one may be.

    Attributes:
        since: bytes since the last mark.
    """

    def __init__(self, source: io.BufferedIOBase) -> None:
        self._source = source
        self.since = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        read = self._source.readinto(buffer)
        self.since += read
        # Between two marks lie a batch's shorter rows as well.
        if self.since > LONGEST_RECORD + _BATCH_READ:
            raise _RecordTooLongError
        return read

    def mark(self) -> None:
        """Count from here: a record ends, or the first one begins."""
        self.since = 0


class DoubtError(Exception):
    """Something in a file is not as it should be; `records` tells what."""


def shown(value: str) -> str:
    """Shorten a value to what a message can hold; bytes that are no UTF-8 stand as escapes."""
    text = value if len(value) <= _SHOWN_CHARACTERS else value[:_SHOWN_CHARACTERS] + "…"
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def find(directory: Path) -> tuple[dict[str, Path], list[str]]:
    """Find the files of an import.

    Args:
        directory: where to look; nothing below it is read.

    Returns:
        Each table's file, in the order of `SOURCES`, and the names of other
        CSV files that lie there.

    Raises:
        UsageError: it is no directory, cannot be read, has none of the files,
            or has one both as `.csv` and as `.csv.gz`, or under a name that
            looks mistyped.
        ImportRefusedError: what has a file's name is no file.
    """
    try:
        found = {entry.name: entry.is_dir() for entry in directory.iterdir()}
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}") from None
    paths: dict[str, Path] = {}
    for table in SOURCES:
        both = [name for name in (f"{table}.csv", f"{table}.csv.gz") if name in found]
        if len(both) > 1:
            raise UsageError(f"{directory} has both {both[0]} and {both[1]}; remove one of them")
        if both:
            paths[table] = directory / both[0]
    others = [
        name
        for name in sorted(name for name, is_folder in found.items() if not is_folder)
        if re.search(r"\.csv(\.gz)?$", name, re.IGNORECASE)
        and name not in {path.name for path in paths.values()}
    ]
    # Of the table that it is closest to: Customer_Events.csv is like customers.csv, too.
    tables = {f"{table}.csv": table for table in SOURCES}
    for name in others:
        close = difflib.get_close_matches(name.lower(), tables, n=1, cutoff=0.75)
        if close and tables[close[0]] not in paths:
            raise UsageError(
                f"{directory} has no {close[0]}, but {name}; "
                "rename it, or move it away to import without"
            )
    if not paths:
        wanted = ", ".join(f"{table}.csv" for table in SOURCES)
        raise UsageError(f"{directory} has none of {wanted} (each may end in .gz)")
    # Before the first is read: to open a pipe would wait for whoever writes it.
    for path in paths.values():
        _require_file(path, path.stat)
    return paths, others


def _require_file(path: Path, look: Callable[[], os.stat_result]) -> os.stat_result:
    """Return what `look` says of a path, which must be a regular file.

    Raises:
        ImportRefusedError: it is not, or is not there.
    """
    try:
        status = look()
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for holds, kind in _KINDS if holds(status.st_mode)), "something else")
        raise _unreadable(path, f"is {kind}, not a file")
    return status


def _unreadable(path: Path, reason: str) -> ImportRefusedError:
    return ImportRefusedError([ImportProblem(path.name, None, None, reason)])


def _broken(error: Exception) -> str:
    """Say what the unpacking, or the disk, could not read."""
    text = str(error)
    if isinstance(error, EOFError):
        return "the gzip data ends too early"
    if isinstance(error, gzip.BadGzipFile) and text.startswith("Not a gzipped file"):
        # The file's own beginning has been looked at.
        return "what follows the gzip data is none; was something appended? pack it again"
    if isinstance(error, (gzip.BadGzipFile, zlib.error)):
        return f"the gzip data is damaged: {text}"
    return f"cannot be read: {text}"


class CsvFile:
    """An opened file: its header read, its records still to come.

    Attributes:
        name: the file's name, without its folder.
        table: the table it is for.
        columns: the known columns that it has, in the table's order.
        ignored: the columns that it has besides.
        size: bytes on disk.
        shows: whether what it holds may be told in an error; not where its name is a link's.
    """

    def __init__(
        self, path: Path, table: str, raw: io.BufferedReader, *, shows: bool = True
    ) -> None:
        """Read the header; use `opened`, which closes what it opens."""
        self.name = path.name
        self.table = table
        self.shows = shows
        self._raw = raw
        self._status = os.fstat(raw.fileno())
        self.size = self._status.st_size
        unpacked: io.BufferedIOBase = raw
        begins = raw.read(8)
        magic = begins[:2]
        raw.seek(0)
        if self.name.endswith(".gz"):
            if magic and magic != _GZIP_MAGIC:
                raise self._refused("is not gzip, whatever its name says")
            unpacked = gzip.GzipFile(fileobj=raw)
        elif magic == _GZIP_MAGIC:
            raise self._refused(f"is gzip; name it {self.name}.gz")
        for packed, kind in _PACKED.items():
            if begins.startswith(packed):
                raise self._refused(f"is {kind}; unpack it, or pack it with gzip")
        self._bounded = _Bounded(unpacked)
        stream = io.BufferedReader(self._bounded, 256 * 1024)
        self._pass_byte_order_marks(stream)
        # What is not UTF-8 comes through as lone surrogates, to be told by line.
        self._text = io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="")
        self._reader = csv.reader(self._text, strict=True)
        self._header = self._read_header()
        self._next_line = self._reader.line_num + 1
        known = SOURCES[table]
        self.columns = [name for name in known if name in self._header]
        self.ignored = [shown(name) or "(no name)" for name in self._header if name not in known]

    def _refused(self, reason: str, line: int | None = None) -> ImportRefusedError:
        return ImportRefusedError([ImportProblem(self.name, line, None, reason)])

    def _pass_byte_order_marks(self, stream: io.BufferedReader[Any]) -> None:
        """Read over what a file begins with: none, one, or one before another's."""
        try:
            while stream.peek(len(_BYTE_ORDER_MARK)).startswith(_BYTE_ORDER_MARK):
                stream.read(len(_BYTE_ORDER_MARK))
        except (EOFError, zlib.error, OSError) as error:
            raise self._refused(self._damage(error), 1) from None

    def _read_header(self) -> list[str]:
        try:
            header = [name.strip() for name in next(self._reader)]
        except StopIteration:
            raise self._refused("is empty; its first line must name the columns") from None
        except (csv.Error, EOFError, zlib.error, OSError) as error:
            raise self._refused(self._damage(error), 1) from None
        if not any(header):
            raise self._refused("the first line is blank; it must name the columns", 1)
        if len(header) > MOST_COLUMNS:
            raise self._refused(f"the header has {counted(len(header), 'column')}", 1)
        if twice := [name for name in SOURCES[self.table] if header.count(name) > 1]:
            raise self._refused(f"the header names {twice[0]} twice", 1)
        self._require_columns(header)
        if close := _nearly(header, self.table):
            # Left out in silence, its table's default would stand for what the file says.
            told = ", ".join(f"{shown(one)!r} is nearly {name}" for name, one in close)
            reason = f"the header's {told}; name it so, or leave it out"
            if not self.shows:
                names = ", ".join(name for name, _ in close)
                reason = f"the header has nearly {names}; {NOT_SHOWN}"
            raise self._refused(reason, 1)
        return header

    def _require_columns(self, header: Sequence[str]) -> None:
        """Check that a header names every column that it must.

        Raises:
            ImportRefusedError: it does not; what it has instead is told.
        """
        missing = [
            name
            for name, column in SOURCES[self.table].items()
            if column.in_file and name not in header
        ]
        if not missing:
            return
        if re.search("[\0\udc80-\udcff]", "".join(header)):
            raise self._refused("the header is not UTF-8; save the file as UTF-8", 1)
        if not self.shows:
            raise self._refused(f"no column {', '.join(missing)}; {NOT_SHOWN}", 1)
        names = ", ".join(shown(name) for name in header)
        hint = ""
        if len(header) == 1 and re.search(r"[;\t|]", header[0]):
            hint = "; fields must be separated by commas"
        close = _nearly(header, self.table)
        if close and not hint:
            hint = "; " + ", ".join(f"{shown(one)} must read {name}" for name, one in close)
        raise self._refused(f"no column {', '.join(missing)}; the header has {names}{hint}", 1)

    @staticmethod
    def _damage(error: Exception) -> str:
        """Say what an error of reading means."""
        text = str(error)
        if isinstance(error, _RecordTooLongError):
            return (
                f"a record longer than {LONGEST_RECORD // 1024**2} MiB begins here; are its lines "
                "ended by line feeds, and is a quote never closed?"
            )
        if "unexpected end of data" in text:
            return "a quoted field begins here and never ends"
        if "field larger than field limit" in text:
            return f"a field longer than {LONGEST_FIELD // 1024**2} MiB; is a quote never closed?"
        if isinstance(error, csv.Error):
            return f"not CSV: {text}"
        return _broken(error)

    def value(self, text: str) -> str | None:
        """Return a value as an error may show it; None for not at all."""
        return shown(text) if self.shows else None

    def require_unchanged(self) -> None:
        """Check that nobody has written the file since it was opened.

        Raises:
            ImportRefusedError: somebody has.
        """
        now, then = os.fstat(self._raw.fileno()), self._status
        if (now.st_size, now.st_mtime_ns) != (then.st_size, then.st_mtime_ns):
            raise self._refused("changed while it was read; import it when it is complete")

    @property
    def bytes_read(self) -> int:
        """How much of `size` has been read."""
        return self._raw.tell()

    def batches(self) -> Iterator[bytes]:
        """Yield the records for COPY in text format: line number, then `columns`.

        An empty field is NULL, written as nothing.

        Raises:
            DoubtError: something is wrong; read it with `records`.
        """
        width = len(self._header)
        places = [self._header.index(name) for name in self.columns]
        pick = _picker(places, width)
        kinds = SOURCES[self.table]
        times = [self._header.index(n) for n in self.columns if kinds[n].kind == "timestamptz"]
        looks: set[str] = set()
        reader = self._reader
        count = 1
        try:
            while rows := self._rows(count):
                line = self._next_line
                self._next_line = reader.line_num + 1
                lines: Sequence[int] = range(line, self._next_line)
                if self._next_line - line != len(rows) or set(map(len, rows)) != {width}:
                    lines, rows = self._placed(rows, line)
                for place in times:
                    _require_times(list(filter(None, map(itemgetter(place), rows))), looks)
                batch = _encoded(lines, rows if pick is None else list(map(pick, rows)))
                if batch:
                    yield batch
                # However long the rows are, a batch stays about as big.
                fitting = count * _BATCH_BYTES // max(len(batch), 1)
                count = max(1, min(_BATCH_ROWS, 2 * count, fitting))
        except (csv.Error, EOFError, zlib.error, OSError):
            raise DoubtError from None

    def _rows(self, most: int) -> list[list[str]]:
        """Return the next rows, fewer where they are long."""
        bounded = self._bounded
        bounded.mark()
        rows = []
        for row in islice(self._reader, most):
            rows.append(row)
            if bounded.since > _BATCH_READ:
                break
        return rows

    def _placed(self, rows: list[list[str]], line: int) -> tuple[list[int], list[list[str]]]:
        """Leave out blank lines, and number records that may take several lines."""
        kept, lines = [], []
        for row in rows:
            if row:
                if len(row) != len(self._header):
                    raise DoubtError
                lines.append(line)
                kept.append(row)
            line += 1 + sum(len(_LINE_BREAK.findall(field)) for field in row)
        return lines, kept

    def records(self) -> Iterator[tuple[int, dict[str, str] | ImportProblem]]:
        """Yield each record's first line and its known columns, or what is wrong with it.

        After a quote that hides where the next record begins, nothing follows.

        Raises:
            ImportRefusedError: the file itself is damaged; what its records
                said would mislead.
        """
        places = {name: self._header.index(name) for name in self.columns}
        before = self._reader.line_num
        latest = ""

        def lines() -> Iterator[str]:
            nonlocal latest
            for text in self._text:
                latest = text
                yield text

        reader = csv.reader(lines(), strict=True)
        while True:
            line = before + reader.line_num + 1
            self._bounded.mark()
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                reason = self._damage(error)
                if _ESCAPED_QUOTE.search(latest):
                    reason += f"; {ESCAPED_QUOTES}"
                yield line, ImportProblem(self.name, line, None, reason)
                return
            except (EOFError, zlib.error, OSError) as error:
                raise self._refused(self._damage(error), line) from None
            if row:
                yield line, self._problem(row, line) or {n: row[i] for n, i in places.items()}

    def _problem(self, row: list[str], line: int) -> ImportProblem | None:
        if len(row) != len(self._header):
            fields = counted(len(row), "field")
            return ImportProblem(
                self.name, line, None, f"{fields}, but the header has {len(self._header)}"
            )
        # Of files that were put one behind the other.
        if [field.strip().lstrip("\ufeff") for field in row] == self._header:
            return ImportProblem(self.name, line, None, "the header again")
        for name in self.columns:
            value = row[self._header.index(name)]
            if "\0" in value:
                return ImportProblem(self.name, line, name, "a NUL character", self.value(value))
            try:
                value.encode()
            except UnicodeEncodeError:
                return ImportProblem(self.name, line, name, "not UTF-8", self.value(value))
        return None


def _require_times(values: list[str], looks: set[str]) -> None:
    """Check that values look like times, by what sorts of them there are.

    Args:
        values: none of them empty.
        looks: of times, as far as they are known; added to.

    Raises:
        DoubtError: one does not.
    """
    text = "\n".join(values)
    found = text.translate(_DIGITS).split("\n")
    unseen = set(found) - looks
    if _SECOND_60 in text or len(found) > max(len(values), 1):
        raise DoubtError
    if values and not all(map(_is_time, unseen)):
        raise DoubtError
    looks |= unseen


def _nearly(header: Sequence[str], table: str) -> list[tuple[str, str]]:
    """Return a table's columns that a header lacks, each with what was probably meant for it."""
    known = SOURCES[table]
    others = {_plain(name): name for name in header if name not in known and _plain(name)}
    close: list[tuple[str, str]] = []
    for name in known:
        if name in header:
            continue
        # `payload` for payload_json, `created` for created_at.
        begins = [one for one in others if name.startswith(f"{one}_")]
        alike = difflib.get_close_matches(_plain(name), others, n=1, cutoff=_ALIKE)
        close.extend((name, others.pop(one)) for one in (alike or begins)[:1])
    return close


def _plain(name: str) -> str:
    """Return a column's name without case and signs."""
    return re.sub(r"[\W_]", "", name).casefold()


def _picker(places: list[int], width: int) -> Callable[[list[str]], Sequence[str]] | None:
    """Return what takes the known columns out of a row; None for all as they stand."""
    if places == list(range(width)):
        return None
    if len(places) == 1:
        # itemgetter of one place gives the value, not a tuple of it.
        return itemgetter(slice(places[0], places[0] + 1))
    return itemgetter(*places)


def copy_text(line: int, fields: Iterable[str]) -> str:
    """Write a record for COPY in text format, an empty field as nothing."""
    return "\t".join([str(line), *(field.translate(_ESCAPES) for field in fields)]) + "\n"


def _encoded(lines: Sequence[int], rows: Sequence[Sequence[str]]) -> bytes:
    """Do what `copy_text` does for many, fast where nothing needs an escape."""
    if not rows:
        return b""
    tabbed = "\t".join
    text = "\n".join([f"{line}\t{tabbed(row)}" for line, row in zip(lines, rows, strict=True)])
    plain = (
        text.count("\t") == len(rows) * len(rows[0])
        and text.count("\n") == len(rows) - 1
        and "\\" not in text
        and "\r" not in text
    )
    text = f"{text}\n" if plain else "".join(map(copy_text, lines, rows))
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise DoubtError from None


@contextmanager
def opened(path: Path, table: str) -> Iterator[CsvFile]:
    """Open a table's file for a `with` block.

    Raises:
        ImportRefusedError: it cannot be read, or its header is not as it must be.
    """
    descriptor, linked = _descriptor(path)
    # The csv module has one limit for the whole process; its default is small.
    csv.field_size_limit(LONGEST_FIELD)
    with os.fdopen(descriptor, "rb") as raw:
        _require_file(path, lambda: os.fstat(descriptor))
        yield CsvFile(path, table, raw, shows=not linked)


def _descriptor(path: Path) -> tuple[int, bool]:
    """Open a path without waiting for anybody; tell whether its name is a link's."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            return os.open(path, flags | os.O_NOFOLLOW), False
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return os.open(path, flags), True
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
