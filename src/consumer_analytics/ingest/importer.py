"""Importing CSV files into the source tables: all of them or nothing, and each row once.

Every file is first copied into a temporary table whose columns have the right
types; the source tables are touched only when all files have passed. Reading
is fast and only notices that something is wrong; what is wrong is then found
out by reading again, slowly.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from consumer_analytics.db import schema
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, scalar
from consumer_analytics.errors import ImportRefusedError
from consumer_analytics.etl import federation, sources
from consumer_analytics.ingest import csv_reader
from consumer_analytics.ingest.csv_reader import CsvFile, DoubtError, ImportProblem
from consumer_analytics.mapping import SOURCES, Sources
from consumer_analytics.settings import Settings
from consumer_analytics.sql import (
    named,
    own_columns,
    query,
    source_regclass,
    source_rows,
    source_table,
)

#: Called with what is being done, how much is done, and how much there is.
Progress = Callable[[str, int, int], None]

#: Problems listed in full; the others are counted.
MOST_PROBLEMS = 10
#: Pages of the stage that are inserted by one statement, 8 MiB.
_SLICE_PAGES = 1024
_LAST_PAGE = 4294967294
#: What is sent at once: a batch, or a part of one that has a long row.
_SENT_BYTES = 64 * 1024
_LAST_LINE = 2**63 - 1

#: When a consumer came whose file does not say when.
_ALWAYS = "'1970-01-01 00:00:00+00'"
_REASONS = {
    "uuid": "not a UUID",
    "timestamptz": "not a time such as 2025-10-01T12:00:00Z",
    "jsonb": "not JSON",
    "text": "not text that this database can hold",
}
#: Zones by their names, `PM`, `BC`: what PostgreSQL knows and nobody can be sure of.
_TIME_AND_WORDS = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*[^\W\d_Zz]", re.DOTALL)
_LOAD = "fill the table by other means, or offer a file that says the same"
#: What a value may be refused with; the last two where it is too deep or too long for the server.
_UNFIT = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.StatementTooComplex,
)
#: What a row may be refused with by the user's own table.
_REFUSALS = (*_UNFIT, psycopg.errors.RaiseException)


#: What a step of so many bytes is called, before its file; other steps are of rows.
READING = "reading "


def no_progress(step: str, done: int, total: int) -> None:
    """Show nothing."""


@dataclass
class TableReport:
    """What an import did for a table.

    `rows_read` is the sum of the four counts below it.

    Attributes:
        table: the table's name.
        file: the file's name.
        rows_read: records in the file, the header aside.
        inserted: rows that were new.
        already_there: rows whose id the table held with the same content.
        different: rows whose id the table held with other content; the table's
            stands.
        repeated: further rows of the file with an id and content it had before.
        first_different_line: where in the file the first different row begins.
        ignored_columns: columns of the file that the table does not take.
        seconds: how long it took.
    """

    table: str
    file: str
    rows_read: int = 0
    inserted: int = 0
    already_there: int = 0
    different: int = 0
    repeated: int = 0
    first_different_line: int | None = None
    ignored_columns: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        tables: one report for each file, in the order of import.
        missing: tables that no file was there for.
        other_files: CSV files in the folder that are no import's.
        touched_days: pairs of consumer and UTC day, below what runs have
            processed, that the next run takes in.
        seconds: how long all of it took.
    """

    tables: list[TableReport]
    missing: list[str]
    other_files: list[str]
    touched_days: int = 0
    seconds: float = 0.0


@dataclass
class _Stage:
    """A file's rows in their temporary table.

    Attributes:
        sources: where the source tables are.
        path: the file.
        table: the source table.
        columns: those of the file that the table takes.
        insertable: the columns' expressions in the source table's types; not of those
            that the table generates.
        defaulted: columns in which nothing stands for the default, or for what is generated.
        generated: columns that the table works out itself, from others.
        report: what is reported in the end.
        shows: whether what the file holds may be told in an error.
        all_new_until: page up to which all rows were inserted.
    """

    sources: Sources
    path: Path
    table: str
    columns: list[str]
    insertable: dict[str, sql.Composable]
    defaulted: frozenset[str]
    generated: list[str]
    report: TableReport
    shows: bool
    all_new_until: int = 0

    @property
    def target(self) -> str:
        return self.sources[self.table].name

    @property
    def key(self) -> str:
        return next(iter(SOURCES[self.table]))

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"consumer_analytics_stage_{self.table}")

    @property
    def inserted(self) -> sql.Identifier:
        return sql.Identifier("pg_temp", f"consumer_analytics_inserted_{self.table}")

    def query(self, name: str, **parts: sql.Composable) -> sql.Composed:
        return query(
            name,
            self.sources,
            table=source_table(self.sources, self.table),
            present=source_rows(self.sources, self.table),
            stage=self.name,
            inserted=self.inserted,
            key=sql.Identifier(self.key),
            own_key=own_columns(self.sources, self.table, [self.key]),
            columns=own_columns(self.sources, self.table, self.insertable),
            values=sql.SQL(", ").join(self.insertable.values()),
            **parts,
        )


def import_directory(
    connection: Connection,
    settings: Settings,
    directory: Path,
    progress: Progress = no_progress,
) -> ImportReport:
    """Import the CSV files of a directory, in one transaction.

    Rows whose id is there already are left as they are. New rows from before
    what runs have processed are noted for the next run.

    Args:
        connection: a session that may write the source tables, in autocommit.
        settings: which schema they are in.
        directory: holds `consumers.csv`, `customers.csv`, `customer_events.csv`,
            or some of them, each optionally `.gz`.
        progress: told about every step, in bytes of files, then in rows.

    Raises:
        UsageError: the directory, or the names of its files, cannot be used.
        ImportRefusedError: a file or row cannot be imported; nothing was.
        SchemaError: the schema is not this version's.
        SourceError: a source table is missing or lacks a column.
    """
    started = time.monotonic()
    paths, other_files = csv_reader.find(directory)
    schema.require_current(connection)
    federation.require_rows(connection, "put them into a shard, by its own address")
    sources.require_usable(connection, settings)
    report = ImportReport([], [table for table in SOURCES if table not in paths], other_files)
    with connection.transaction():
        stages = _stage_all(connection, settings, paths, progress)
        for stage in stages:
            _insert(connection, stage, progress)
        report.tables = [stage.report for stage in stages]
        report.touched_days = _touch(connection, stages)
    for stage in stages:
        if stage.report.inserted:
            connection.execute(
                sql.SQL("analyze {}").format(source_table(settings.sources, stage.table))
            )
    report.seconds = round(time.monotonic() - started, 3)
    return report


# -- from the files to the stages ----------------------------------------------


def _stage_all(
    connection: Connection, settings: Settings, paths: dict[str, Path], progress: Progress
) -> list[_Stage]:
    stages = []
    for place, (table, path) in enumerate(paths.items()):
        started = time.monotonic()
        try:
            with connection.transaction(), csv_reader.opened(path, table) as file:
                stage = _stage(connection, settings, file, path)
                _copy(connection, stage, file, progress)
        except (DoubtError, *_UNFIT) as error:
            # Those before this file have passed; those after it may not either.
            _refuse(connection, dict(list(paths.items())[place:]), error)
        stage.report.seconds = round(time.monotonic() - started, 3)
        stages.append(stage)
    return stages


def _stage(connection: Connection, settings: Settings, file: CsvFile, path: Path) -> _Stage:
    """Make the temporary table for a file."""
    taken = table_columns(connection, settings.sources, file.table)
    if file.table == "consumers" and "created_at" in taken:
        # Not now: whoever imports history wants its consumers in the snapshots of the past.
        taken["created_at"] = replace(taken["created_at"], default=_ALWAYS)
    stage = _Stage(
        settings.sources,
        path,
        file.table,
        [name for name in file.columns if name in taken],
        {},
        frozenset(name for name, one in taken.items() if one.default or one.generated),
        [name for name in file.columns if name in taken and taken[name].generated],
        TableReport(file.table, file.name),
        file.shows,
    )
    stage.report.ignored_columns = [*file.ignored, *(n for n in file.columns if n not in taken)]
    for name in stage.columns:
        target = taken[name]
        value = sql.SQL("{}::{}").format(sql.Identifier("staged", name), sql.SQL(target.type))
        if target.default:
            value = sql.SQL("coalesce({}, {})").format(value, sql.SQL(target.default))
        if not target.generated:
            stage.insertable[name] = value
    always = file.table == "consumers" and "created_at" not in stage.columns
    if always and "created_at" in taken and not taken["created_at"].generated:
        stage.insertable["created_at"] = sql.SQL(_ALWAYS)
    _create(connection, stage.name, file, typed=True)
    return stage


@dataclass(frozen=True)
class TargetColumn:
    """A column of the user's own table, in words of the catalogue to put into a statement.

    Attributes:
        type: what values are cast to.
        default: what fills a gap; None where the column may be empty, or has no default.
        generated: whether the table works it out itself, and takes no value for it.
    """

    type: str
    default: str | None
    generated: bool


def table_columns(connection: Connection, sources: Sources, table: str) -> dict[str, TargetColumn]:
    """Return the columns that a source table has of those that the product knows, by its names."""
    there = {
        name: TargetColumn(column_type, default, generated)
        for name, column_type, default, generated in connection.execute(
            query("ingest/importer/columns"), {"table": source_regclass(sources, table)}
        )
    }
    return {known: there[own] for known, own in sources[table].own.items() if own in there}


def _create(connection: Connection, name: sql.Identifier, file: CsvFile, *, typed: bool) -> None:
    columns = []
    for column in file.columns:
        known = SOURCES[file.table][column]
        definition = sql.SQL("{} {}").format(
            sql.Identifier(column), sql.SQL(known.kind if typed else "text")
        )
        if typed and known.filled:
            definition += sql.SQL(" not null")
        if typed and known.kind == "timestamptz":
            definition += sql.SQL(" check ({} >= '0001-01-01 00:00:00+00')").format(
                sql.Identifier(column)
            )
        columns.append(definition)
    connection.execute(
        query("ingest/importer/create-stage", stage=name, columns=sql.SQL(", ").join(columns))
    )


def _copy(connection: Connection, stage: _Stage, file: CsvFile, progress: Progress) -> None:
    step = f"{READING}{file.name}"
    statement = query("ingest/importer/copy", stage=stage.name, columns=_names(file.columns))
    with connection.cursor() as cursor:
        # A thread sends while this one reads on.
        with cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copy:
            for batch in file.batches():
                # So many wait for the server as the writer's queue holds, whatever their length.
                for begin in range(0, len(batch), _SENT_BYTES):
                    copy.write(batch[begin : begin + _SENT_BYTES])
                progress(step, file.bytes_read, file.size)
        file.require_unchanged()
        stage.report.rows_read = cursor.rowcount
    progress(step, file.size, file.size)


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


# -- what is wrong with a file -------------------------------------------------


def _refuse(connection: Connection, paths: dict[str, Path], error: Exception) -> NoReturn:
    """Find out what is wrong with the files, and say so.

    Raises:
        ImportRefusedError: always.
    """
    problems: list[ImportProblem] = []
    total = 0
    connection.execute(query("ingest/importer/refusal-function"))
    for table, path in paths.items():
        try:
            with connection.transaction(), csv_reader.opened(path, table) as file:
                ours, count = _problems(connection, file)
        except ImportRefusedError as refused:
            # Of a file behind the one at fault: its header.
            ours, count = list(refused.problems), refused.total  # type: ignore[arg-type]
        except psycopg.DataError as lacking:
            # Such as a character that the database's encoding lacks.
            said = lacking.diag.message_primary or str(lacking)
            ours, count = [ImportProblem(path.name, None, None, said)], 1
        problems += ours
        total += count
    if not problems:
        # Read again, it is not what it was.
        reason = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        path = next(iter(paths.values()))
        problems, total = (
            [ImportProblem(path.name, None, None, reason or "changed while it was read")],
            1,
        )
    raise ImportRefusedError(problems[:MOST_PROBLEMS], total) from None


def _problems(connection: Connection, file: CsvFile) -> tuple[list[ImportProblem], int]:
    """Return a file's first problems and how many it has."""
    problems: list[ImportProblem] = []
    total = 0
    stage = sql.Identifier("pg_temp", f"consumer_analytics_read_{file.table}")
    _create(connection, stage, file, typed=False)
    with connection.cursor().copy(
        query("ingest/importer/copy", stage=stage, columns=_names(file.columns))
    ) as copy:
        for line, record in file.records():
            if isinstance(record, ImportProblem):
                total += 1
                if len(problems) < MOST_PROBLEMS:
                    problems.append(record)
            else:
                copy.write(csv_reader.copy_text(line, record.values()))
    fields = sql.SQL(", ").join(
        sql.SQL("({}, {}, {}, {}, {})").format(
            place, name, sql.Identifier("staged", name), column.kind, column.filled
        )
        for place, (name, column) in enumerate(SOURCES[file.table].items())
        if name in file.columns
    )
    refusals = connection.execute(
        query("ingest/importer/refusals", stage=stage, fields=fields),
        {"limit": MOST_PROBLEMS, "time": f"^({csv_reader.TIME})$"},
    ).fetchall()
    file.require_unchanged()
    for line, name, value, kind, _ in refusals:
        reason = "a value is required" if value is None else _reason(kind, value)
        seen = None if value is None else file.value(value)
        problems.append(ImportProblem(file.name, line, name, reason, seen))
    problems.sort(key=lambda problem: problem.line or 0)
    return problems[:MOST_PROBLEMS], total + (refusals[0][-1] if refusals else 0)


def _reason(kind: str, value: str) -> str:
    """Say why a value is refused."""
    if kind == "jsonb" and value.lstrip(" [{").startswith('\\"'):
        return f"{_REASONS[kind]}: {csv_reader.ESCAPED_QUOTES}"
    if kind == "timestamptz" and _TIME_AND_WORDS.match(value):
        return f"{_REASONS[kind]}; behind its digits there may be Z, or an offset such as +02:00"
    return _REASONS[kind]


# -- from the stages to the source tables --------------------------------------


def _insert(connection: Connection, stage: _Stage, progress: Progress) -> None:
    started = time.monotonic()
    report = stage.report
    connection.execute(
        sql.SQL("create temp table {} ({} uuid primary key) on commit drop").format(
            stage.inserted, sql.Identifier(stage.key)
        )
    )
    ways = ["ingest/importer/insert-new", "ingest/importer/insert-missing"]
    for first, last, of in _slices(connection, stage):
        added = None
        while added is None:
            try:
                with connection.transaction():
                    statement = stage.query(ways[0])
                    values = named(statement, _slice(first, last))
                    added = connection.execute(statement, values).rowcount
            except psycopg.errors.GeneratedAlways as error:
                # Of a view, which does not say so of its columns.
                raise ImportRefusedError(
                    [ImportProblem(report.file, 1, None, f"{error.diag.message_primary}; {_LOAD}")]
                ) from None
            except _REFUSALS as error:
                if len(ways) == 1 or not isinstance(error, psycopg.errors.UniqueViolation):
                    _refuse_row(connection, stage, first, last, error)
                # Some are there already: from here on each is asked for.
                ways.pop(0)
        report.inserted += added
        if len(ways) > 1:
            stage.all_new_until = last
        progress(
            f"inserting {stage.table}", report.rows_read * min(last, of) // of, report.rows_read
        )
    if stage.generated and report.inserted:
        _require_generated(connection, stage)
    if report.inserted < report.rows_read:
        _account(connection, stage)
    report.seconds = round(report.seconds + time.monotonic() - started, 3)


def _require_generated(connection: Connection, stage: _Stage) -> None:
    """Check that what a table works out for itself is what the file says.

    Raises:
        ImportRefusedError: it is not, of some rows.
    """
    problems: list[ImportProblem] = []
    total = 0
    for name in stage.generated:
        statement = stage.query(
            "ingest/importer/generated-otherwise",
            column=sql.Identifier(name),
            kind=sql.SQL(SOURCES[stage.table][name].kind),
        )
        values = {"all_new_until": f"({min(stage.all_new_until, _LAST_PAGE)},0)"}
        rows = connection.execute(statement, {**values, "limit": MOST_PROBLEMS}).fetchall()
        for line, said, made, _ in rows:
            as_made = f", as {made!r}" if stage.shows else ""
            reason = f"table {stage.target} works this column out itself{as_made}; {_LOAD}"
            seen = csv_reader.shown(said) if stage.shows else None
            problems.append(ImportProblem(stage.report.file, line, name, reason, seen))
        total += rows[0][-1] if rows else 0
    if problems:
        raise ImportRefusedError(problems[:MOST_PROBLEMS], total)


def _slices(connection: Connection, stage: _Stage) -> Iterator[tuple[int, int, int]]:
    """Yield first and last page of each slice of a stage, and how many pages there are."""
    pages: int = scalar(
        connection,
        "select pg_relation_size(%s::regclass) / current_setting('block_size')::int",
        stage.name.as_string(connection),
    )
    for first in range(0, pages, _SLICE_PAGES):
        yield first, first + _SLICE_PAGES, pages


def _slice(
    first: int, last: int, from_line: int = 0, until_line: int = _LAST_LINE
) -> dict[str, Any]:
    return {
        "from": f"({first},0)",
        "until": f"({min(last, _LAST_PAGE)},0)",
        "from_line": from_line,
        "until_line": until_line,
    }


def _refuse_row(
    connection: Connection,
    stage: _Stage,
    first: int,
    last: int,
    error: psycopg.Error,
) -> NoReturn:
    """Find the first row of a slice that the table itself refuses, by halving, and say so.

    Raises:
        ImportRefusedError: always.
    """
    # Lines from `good` on have not been inserted; one of them before `bad` is refused.
    good, bad = connection.execute(
        sql.SQL(
            "select min(line), max(line) + 1 from {} as staged "
            "where ctid >= %(from)s::tid and ctid < %(until)s::tid"
        ).format(stage.name),
        _slice(first, last),
    ).fetchone() or (0, 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        try:
            with connection.transaction():
                connection.execute(
                    stage.query("ingest/importer/insert-missing"), _slice(first, last, good, middle)
                )
            good = middle
        except _REFUSALS as narrower:
            bad, error = middle, narrower
    diag = error.diag
    raise ImportRefusedError(
        [
            ImportProblem(
                stage.path.name,
                good,
                diag.column_name,
                f"table {stage.target} refuses it"
                + (f": {diag.message_primary}" if stage.shows else f"; {csv_reader.NOT_SHOWN}"),
                diag.message_detail if stage.shows else None,
            )
        ]
    ) from None


def _account(connection: Connection, stage: _Stage) -> None:
    """Tell the rows that were not inserted apart.

    Raises:
        ImportRefusedError: the file has rows with one id and different content.
    """
    report = stage.report
    contents = [name for name in stage.columns if name != stage.key]
    repeats, contradictions, examples = connection.execute(
        stage.query("ingest/importer/repeats", contents=_names(contents or [stage.key])),
        {"limit": MOST_PROBLEMS},
    ).fetchone() or (0, 0, [])
    if contradictions:
        raise ImportRefusedError(
            [
                ImportProblem(
                    report.file,
                    example["second_line"],
                    stage.key,
                    f"line {example['first_line']} has the same id with other content",
                    example["id"] if stage.shows else None,
                )
                for example in examples
            ],
            contradictions,
        )
    report.repeated = repeats
    if contents:
        differences = sql.SQL(" or ").join(_differs(stage, name) for name in contents)
        statement = stage.query("ingest/importer/different", differences=differences)
        report.different, report.first_different_line = connection.execute(
            statement, named(statement, _slice(stage.all_new_until, _LAST_PAGE))
        ).fetchone() or (0, None)
    report.already_there = report.rows_read - report.inserted - report.repeated - report.different


def _differs(stage: _Stage, name: str) -> sql.Composed:
    here = sql.Identifier("staged", name)
    there = sql.SQL("{}::{}").format(
        sql.Identifier("present", name), sql.SQL(SOURCES[stage.table][name].kind)
    )
    if name in stage.defaulted:
        # Nothing in the file stands for whatever the default gave.
        return sql.SQL("coalesce({0}, {1}) is distinct from {1}").format(here, there)
    return sql.SQL("{} is distinct from {}").format(here, there)


# -- what runs have to look at again -------------------------------------------


def _touch(connection: Connection, stages: list[_Stage]) -> int:
    """Note the days below what was processed that the new rows fall into."""
    if not any(stage.report.inserted for stage in stages):
        return 0
    processed_through = invalidate_extracts(connection)
    touched = 0
    for stage in stages if processed_through > MINUS_INFINITY else ():
        if not stage.report.inserted:
            continue
        values = {
            "all_new_until": f"({min(stage.all_new_until, _LAST_PAGE)},0)",
            "processed_through": processed_through,
        }
        created_at = sql.SQL("{}::timestamptz").format(
            # One that the table works out is as the file has it.
            stage.insertable.get("created_at", sql.Identifier("staged", "created_at"))
        )
        arrived = [stage.query("ingest/importer/arrived", created_at=created_at)]
        if {"customer_id", "event_type"} <= set(stage.columns):
            arrived.append(stage.query("ingest/importer/arrived-lifecycle"))
            noted = stage.query("ingest/importer/touch-customers", created_at=created_at)
            connection.execute(noted, values)
        for rows in arrived:
            touched += touch_days(connection, rows, processed_through, values)
    return touched


def invalidate_extracts(connection: Connection) -> dt.datetime:
    """Make a run that is under way count again, rows of the caller's transaction included.

    To be called when they have been inserted, and soon before the commit: until
    then no run can finish.

    Returns:
        How far runs have processed. Rows from before need `touch_days`.
    """
    row = connection.execute(query("shared/extracts-outdate")).fetchone()
    return row[0] if row else MINUS_INFINITY


def touch_days(
    connection: Connection,
    rows: sql.Composable,
    processed_through: dt.datetime,
    values: dict[str, Any] | None = None,
) -> int:
    """Note days that new rows fall into, so that the next run counts them again.

    Args:
        connection: within the transaction that inserts the rows.
        rows: a query of two columns, consumer and time of the rows.
        processed_through: what `invalidate_extracts` returned; later rows
            need no note.
        values: bound in `rows`.

    Returns:
        How many pairs of consumer and UTC day were noted.
    """
    return connection.execute(
        query("ingest/importer/touch-days", rows=rows),
        {**(values or {}), "processed_through": processed_through},
    ).rowcount
