"""`consumer-analytics import`: take CSV files into the source tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, print_table, progress, say, warn
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ImportRefusedError, UsageError
from consumer_analytics.formatting import counted, duration
from consumer_analytics.ingest import importer
from consumer_analytics.settings import settings


@contextmanager
def steps() -> Iterator[importer.Progress]:
    """Show one progress bar after the other, a new one with each new step."""
    with ExitStack() as bars:
        current: str | None = None
        bar: Callable[[int, int], None] | None = None

        def show(step: str, done: int, total: int) -> None:
            nonlocal current, bar
            if bar is None or step != current:
                bars.close()
                current = step
                bar = bars.enter_context(progress(step, of_bytes=step.startswith(importer.READING)))
            bar(done, total)

        yield show


def import_(
    directory: Annotated[
        str,
        typer.Argument(
            metavar="DIR",
            help="Folder with consumers.csv, customers.csv and customer_events.csv, "
            "or some of them; each may be gzipped (.csv.gz).",
        ),
    ],
    as_json: JsonFlag = False,
) -> None:
    """Import CSV files into the source tables: all or nothing, each id once."""
    # A path that is empty, as of a variable that is not set, would be the folder one stands in.
    if not directory:
        raise UsageError("'' is not a folder; name the one that holds the files, such as exported/")
    try:
        with (
            connected(settings(), "import", writes_sources=True) as connection,
            steps() as show,
        ):
            report = importer.import_directory(connection, settings(), Path(directory), show)
    except ImportRefusedError as refused:
        if as_json:
            print_json(
                {
                    "problems": [asdict(problem) for problem in refused.problems],  # type: ignore[call-overload]
                    "total_problems": refused.total,
                }
            )
        elif refused.total > 1:
            for problem in refused.problems:
                say(str(problem))
        raise
    if as_json:
        print_json(asdict(report))
        return
    _tell(report)


def _tell(report: importer.ImportReport) -> None:
    print_table(
        ("table", "read", "inserted", "already there", "different", "repeated", "took"),
        [
            (
                table.table,
                table.rows_read,
                table.inserted,
                table.already_there,
                table.different,
                table.repeated,
                duration(table.seconds),
            )
            for table in report.tables
        ],
    )
    for table in report.tables:
        if table.ignored_columns:
            say(f"{table.file}: ignored columns: {', '.join(table.ignored_columns)}")
        if table.different:
            warn(
                f"{table.file}: {counted(table.different, 'id is', 'ids are')} there already "
                f"with other content, "
                f"the first on line {table.first_different_line}; the table's rows stand"
            )
    if report.missing:
        say(f"no file for {', '.join(report.missing)}: nothing imported there")
    if report.other_files:
        say(f"other files, not read: {', '.join(report.other_files)}")
    if report.touched_days:
        say("rows from before the last run's instant came in; the next run counts them")
