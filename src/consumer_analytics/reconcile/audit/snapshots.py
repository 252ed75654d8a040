"""Snapshots: what every row must say, key by key, beside what it says."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from psycopg import sql

from consumer_analytics.db.connection import Connection, scalar
from consumer_analytics.formatting import moment
from consumer_analytics.reconcile.audit.columns import Columns, figures, sums
from consumer_analytics.reconcile.audit.models import (
    AuditDifference,
    AuditResult,
    Collector,
    flat,
    read_document,
)
from consumer_analytics.reconcile.audit.reading import stream
from consumer_analytics.settings import Settings
from consumer_analytics.sql import named, query

#: Rows put together at once: what bounds the space on disk.
_ROWS_AT_ONCE = 50_000
_UNTOLD = (
    "lifecycle events have vanished, so that the source cannot tell these figures of customers "
    "again; what was reported is known by a digest alone"
)
_AHEAD = "it lies after what runs have counted: the run that comes to it puts it right"


def known(
    connection: Connection,
    lower: dt.datetime,
    upper: dt.datetime,
    result: AuditResult,
    *,
    with_vanished: bool,
) -> tuple[list[dt.datetime], list[dt.datetime]]:
    """Find out what was written in a range, and what is there.

    Returns:
        The instants to compare, ascending, and with them the starts of their windows.
    """
    span = {"lower": lower, "upper": upper}
    connection.execute(query("reconcile/audit/snapshots/scopes"), span)
    connection.execute("analyze audit_scopes")
    marks = connection.execute(
        query("reconcile/audit/snapshots/instants", is_noted=sql.Literal(with_vanished)), span
    ).fetchall()
    compared = [at for at, is_recountable in marks if is_recountable]
    result.snapshots_not_recountable = len(marks) - len(compared)
    return compared, bounds_of(connection, compared)


def bounds_of(connection: Connection, compared: list[dt.datetime]) -> list[dt.datetime]:
    """Return instants with the starts of the windows that were written, ascending."""
    bounds = connection.execute(
        query("reconcile/audit/snapshots/bounds"), {"instants": compared}
    ).fetchall()
    return [bound for (bound,) in bounds]


def find_doubled(
    connection: Connection,
    lower: dt.datetime,
    upper: dt.datetime,
    result: AuditResult,
    differences: Collector,
) -> None:
    """Find rows that are there more than once, or whose instant no calendar has."""
    span = {"lower": lower, "upper": upper}
    for consumer, at in stream(connection, "reconcile/audit/snapshots/beyond", span):
        result.wrong_snapshots.append(at)
        differences.add(AuditDifference("snapshot", consumer, "row", at, "1 row", "no row"))
    for consumer, at, rows in stream(connection, "reconcile/audit/snapshots/doubled", span):
        result.doubled_rows += rows - 1
        result.wrong_snapshots.append(at)
        differences.add(AuditDifference("snapshot", consumer, "row", at, f"{rows} rows", "1 row"))


def compare(
    connection: Connection,
    settings: Settings,
    columns: Columns,
    compared: list[dt.datetime],
    bounds: list[dt.datetime],
    result: AuditResult,
    differences: Collector,
    *,
    with_vanished: bool,
    notify: Callable[[str], None],
) -> None:
    """Put together what the rows must say, some snapshots at a time, and compare."""
    step = at_once(connection, settings)
    rest = without_columns(connection)
    for begin in range(0, len(compared), step):
        chunk = compared[begin : begin + step]
        notify(f"comparing snapshots from {moment(chunk[0])} on")
        rows, on_trust, taken_apart = put_together(
            connection, settings, columns, rest, chunk, bounds, with_vanished=with_vanished
        )
        result.snapshots += len(chunk)
        result.rows += rows
        result.snapshots_on_trust += on_trust
        if taken_apart:
            _compare(connection, result, differences)
        if on_trust:
            _hold_to_digests(connection, result, differences)


def at_once(connection: Connection, settings: Settings) -> int:
    """Return how many snapshots to put together at once."""
    width: int = scalar(connection, query("reconcile/audit/snapshots/width", settings.sources))
    return max(1, _ROWS_AT_ONCE // width)


def without_columns(connection: Connection) -> tuple[bool, bool]:
    """Tell whether types, and statuses, are laid out that have no column."""
    types, statuses = connection.execute(
        query("reconcile/audit/snapshots/rest-exists")
    ).fetchone() or (True, True)
    return types, statuses


def put_together(
    connection: Connection,
    settings: Settings,
    columns: Columns,
    rest: tuple[bool, bool],
    instants: list[dt.datetime],
    bounds: list[dt.datetime],
    *,
    with_vanished: bool,
) -> tuple[int, int, int]:
    """Put together what the rows of some snapshots must say, and compare.

    Those that say something else, or are one too many, and all rows of snapshots with figures on
    trust, are in `audit_figures` after.

    Returns:
        How many rows there must be, how many snapshots have figures on trust, and how many rows
        are in `audit_figures`.
    """
    connection.execute("delete from audit_figures")
    of_points = sums(columns, rest_types=rest[0], rest_statuses=rest[1])
    of_documents = figures(columns, settings.sources.words)
    statement = query(
        "reconcile/audit/snapshots/figures",
        settings.sources,
        is_noted=sql.Literal(with_vanished),
        missed=query("reconcile/audit/snapshots/missed"),
        moved=query("reconcile/audit/snapshots/moved", settings.sources),
        reported=query("reconcile/audit/snapshots/reported", settings.sources),
        points=query("reconcile/audit/snapshots/points", settings.sources, **of_points),
        **of_documents,
    )
    values = {"all_bounds": bounds, "instants": instants, **columns.values}
    return connection.execute(statement, named(statement, values)).fetchone() or (0, 0, 0)


def _compare(
    connection: Connection,
    result: AuditResult,
    differences: Collector,
) -> None:
    for consumer, at, kept, true_now in stream(connection, "reconcile/audit/snapshots/compare"):
        result.wrong_snapshots.append(at)
        # A row that nobody has written goes, wherever it lies.
        is_ahead = true_now is not None and at > result.processed_through
        lasting = _AHEAD if is_ahead else None
        if kept is None or true_now is None:
            rows = ("no row", "a row") if kept is None else ("a row", "no row")
            differences.add(AuditDifference("snapshot", consumer, "row", at, *rows, lasting))
            continue
        for figure, said, must in _unlike(read_document(kept), read_document(true_now)):
            if said == must:
                result.written_otherwise += 1
            # How they are written is of interest only where nothing else differs.
            show = str if said == must else _plain
            differences.add(
                AuditDifference("snapshot", consumer, figure, at, show(said), show(must), lasting)
            )


def _unlike(kept: Any, true_now: Any) -> list[tuple[str, Any, Any]]:
    """Return what two documents say differently, each with its path; at least one thing.

    Numbers that are written otherwise differ: who reads 2.0 as an integer reads nothing.
    """
    if not isinstance(kept, dict):
        return [("document", kept, "a document with figures")]
    try:
        said, must = dict(flat(kept)), dict(flat(true_now))
        unlike = [
            (key, said.get(key), must.get(key))
            for key in sorted(said.keys() | must.keys())
            if str(said.get(key)) != str(must.get(key))
            or said.get(key) != must.get(key)
            or (key in said) != (key in must)
        ]
    except RecursionError:
        return [("document", "nested too deeply to be read", "a document with figures")]
    return unlike or [("document", "keys that look alike", "other figures")]


def _plain(value: Any) -> Any:
    """Return a number as JSON has it."""
    return float(value) if isinstance(value, Decimal) else value


def _hold_to_digests(connection: Connection, result: AuditResult, differences: Collector) -> None:
    untold = query(
        "reconcile/audit/snapshots/untold",
        trusted_digest=query("reconcile/audit/trusted-digest"),
    )
    for (at,) in connection.execute(untold).fetchall():
        result.wrong_snapshots.append(at)
        result.untold_snapshots.append(at)
        differences.add(
            AuditDifference("snapshot", None, "customers", at, "edited", "as written", _UNTOLD)
        )


def awaited(connection: Connection) -> tuple[dt.datetime, bool]:
    """Return how far runs have counted, and whether the next one repairs something by itself."""
    row = connection.execute(query("reconcile/audit/state")).fetchone()
    if row is None:
        raise LookupError("the job has no state")
    return row[0], row[1]
