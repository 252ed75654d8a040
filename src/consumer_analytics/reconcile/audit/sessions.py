"""One session or two: what an audit looks at, in which order, and what two of them hand each other.

Of two, which see the same rows, one follows the customers while the other counts the events. Then
each has what it lacks from the other, and compares half of the snapshots.
"""

from __future__ import annotations

import bisect
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import accumulate

from psycopg import sql

from consumer_analytics.db import side_by_side
from consumer_analytics.db.connection import MINUS_INFINITY, Connection, connected, consistent
from consumer_analytics.db.side_by_side import Part, Pipe
from consumer_analytics.reconcile.audit import customers, events, revisions, since, snapshots
from consumer_analytics.reconcile.audit.columns import Columns, choose
from consumer_analytics.reconcile.audit.models import AuditResult, Collector, SinceLast
from consumer_analytics.reconcile.audit.reading import make_room, prepare
from consumer_analytics.settings import Settings
from consumer_analytics.sql import query

#: From so many rows on, two sessions are worth what they have to hand each other.
_ROWS_FOR_TWO = 60_000
#: So many events are as much work as a row.
_EVENTS_PER_ROW = 40
#: In the order in which what they find is told.
_STEPS = ("known", "events", "doubled", "snapshots", "later snapshots", "revisions")


@dataclass(frozen=True)
class AuditRequest:
    """What is to be looked at.

    Attributes:
        settings: where the source is.
        span: from when to when snapshots and days are compared, both ends included.
        limit: how many differences to list.
        with_vanished: whether what has vanished counts.
        notify: told how far it is.
        keeps: whether a later audit may go on from this one.
        since_last: look at what has changed since the last clean audit.
    """

    settings: Settings
    span: tuple[dt.datetime, dt.datetime]
    limit: int
    with_vanished: bool
    notify: Callable[[str], None]
    keeps: bool = False
    since_last: bool = False


@dataclass
class Findings:
    """What each step has found; in the order in which it is told.

    Attributes:
        limit: how many differences a step lists.
        steps: by their names.
        state: what a later audit goes on from, and the digests of the rows; None where it cannot.
        basis: what this audit goes on from; None where it looks at everything.
    """

    limit: int
    state: tuple[since.State, dict[dt.datetime, Decimal]] | None = None
    basis: since.Basis | None = None
    steps: dict[str, AuditResult] = field(default_factory=dict)

    def of(self, step: str, processed_through: dt.datetime) -> tuple[AuditResult, Collector]:
        """Return where a step puts what it finds."""
        result = AuditResult(processed_through=processed_through)
        self.steps[step] = result
        return result, Collector(result, self.limit)

    def together(self) -> AuditResult:
        """Return all of it."""
        steps = [self.steps[step] for step in _STEPS if step in self.steps]
        whole = AuditResult.together(steps, self.limit)
        if self.basis is not None:
            whole.since = SinceLast(self.basis.audited_at, self.basis.base, self.basis.unread)
        return whole


@dataclass(frozen=True)
class AuditBounds:
    """What there is to compare.

    Attributes:
        processed_through: up to where runs have counted.
        compared: the instants.
        all: these, and the starts of their windows; the instant that is gone on from is the first.
        lower: events and customers are read from here on.
    """

    processed_through: dt.datetime
    compared: list[dt.datetime]
    all: list[dt.datetime]
    lower: dt.datetime = MINUS_INFINITY


def look(connection: Connection, request: AuditRequest) -> Findings:
    """Recount and compare, in read-only transactions that see one moment.

    Raises:
        UsageError: there is no audit to go on from, or nobody knows what has changed since.
    """
    columns = choose(connection, request.settings)
    findings = Findings(request.limit)
    values = {"lower": request.span[0], "upper": request.span[1], "events": _EVENTS_PER_ROW}
    statement = query("reconcile/audit/size", request.settings.sources)
    (size,) = connection.execute(statement, values).fetchone() or (0,)
    with _tables(connection, columns):
        if request.since_last or size < _ROWS_FOR_TWO or request.settings.workers == 0:
            with consistent(connection):
                _alone(connection, request, columns, findings)
        else:
            with (
                connected(request.settings, "audit, second session", works_long=True) as second,
                _tables(second, columns),
            ):
                _in_two(connection, second, request, columns, findings)
    return findings


@contextmanager
def _tables(connection: Connection, columns: Columns) -> Iterator[None]:
    """Let transactions of the block be read-only; they may fill temporary tables, not make them."""
    make_room(connection)
    connection.execute(query("reconcile/audit/tables", None, **columns.tables()))
    connection.read_only = True
    try:
        yield
    finally:
        if not connection.closed:
            connection.read_only = None
            connection.execute(query("reconcile/audit/forget"))


def _known(connection: Connection, request: AuditRequest, findings: Findings | None) -> AuditBounds:
    """Find out what there is to compare; only one of two sessions says what it found."""
    prepare(connection)
    result = AuditResult()
    result.processed_through, result.awaiting = snapshots.awaited(connection)
    compared, bounds = snapshots.known(
        connection, *request.span, result, with_vanished=request.with_vanished
    )
    if findings is not None:
        findings.steps["known"] = result
        if request.keeps or request.since_last:
            findings.state = (
                since.state(connection, request.settings),
                since.digests(connection),
            )
    return AuditBounds(result.processed_through, compared, bounds)


def _from_last(
    connection: Connection, request: AuditRequest, bounds: AuditBounds, findings: Findings
) -> AuditBounds:
    """Leave out what has not changed since the last clean audit."""
    if findings.state is None:
        raise LookupError("the state of the last audit was not read")
    basis = since.choose(
        connection, request.settings, findings.state[0], bounds.compared, findings.state[1]
    )
    findings.basis = basis
    if basis.base is None:
        return bounds
    connection.execute(query("reconcile/audit/sessions/only"), {"instants": basis.compared})
    starts = snapshots.bounds_of(connection, [basis.base, *basis.compared])
    return replace(bounds, compared=basis.compared, all=starts, lower=basis.base)


def _count_events(
    connection: Connection,
    request: AuditRequest,
    columns: Columns,
    bounds: AuditBounds,
    findings: Findings,
) -> None:
    request.notify("recounting the events")
    result, differences = findings.of("events", bounds.processed_through)
    events.count(
        connection,
        request.settings,
        columns,
        bounds.all,
        result,
        lower=bounds.lower,
        with_vanished=request.with_vanished,
    )
    is_based = bounds.lower > MINUS_INFINITY
    if is_based:
        since.lay_out(connection, columns, bounds.lower)
    lower, upper = max(request.span[0], bounds.lower), request.span[1]
    events.compare(connection, columns, lower, upper, result, differences, is_based=is_based)


def _follow_customers(
    connection: Connection, request: AuditRequest, columns: Columns, bounds: AuditBounds
) -> None:
    request.notify("following the customers")
    customers.build(
        connection,
        request.settings,
        columns,
        bounds.all,
        lower=bounds.lower,
        with_vanished=request.with_vanished,
    )


def _compare(
    connection: Connection,
    request: AuditRequest,
    columns: Columns,
    bounds: AuditBounds,
    chosen: slice,
    found: tuple[AuditResult, Collector],
) -> None:
    events.change(connection, columns)
    connection.execute("analyze audit_changes (is_whole, consumer_id, place)")
    snapshots.compare(
        connection,
        request.settings,
        columns,
        bounds.compared[chosen],
        bounds.all,
        *found,
        with_vanished=request.with_vanished,
        notify=request.notify,
    )


def _look_beside(
    connection: Connection, request: AuditRequest, bounds: AuditBounds, findings: Findings
) -> None:
    """Look at what needs no recount: rows that are there twice, and revisions."""
    doubled = findings.of("doubled", bounds.processed_through)
    # Of what is as it was, none is.
    lower = max(request.span[0], bounds.lower)
    snapshots.find_doubled(connection, lower, request.span[1], *doubled)
    _, differences = findings.of("revisions", bounds.processed_through)
    revisions.compare(connection, *request.span, differences)


def _alone(
    connection: Connection, request: AuditRequest, columns: Columns, findings: Findings
) -> None:
    bounds = _known(connection, request, findings)
    if request.since_last:
        bounds = _from_last(connection, request, bounds, findings)
    _count_events(connection, request, columns, bounds, findings)
    if bounds.compared:
        _follow_customers(connection, request, columns, bounds)
        found = findings.of("snapshots", bounds.processed_through)
        _compare(connection, request, columns, bounds, slice(None), found)
    _look_beside(connection, request, bounds, findings)


def _in_two(
    connection: Connection,
    second: Connection,
    request: AuditRequest,
    columns: Columns,
    findings: Findings,
) -> None:
    stopped = threading.Event()
    to_second, to_first = Pipe(stopped), Pipe(stopped)

    def first(session: Connection) -> None:
        bounds = _known(session, request, findings)
        _follow_customers(session, request, columns, bounds)
        middle, place = _middle(session, request, bounds)
        for select, _ in _customers_later(columns, place):
            to_second.send_rows(session, select)
        for _, into in _events_earlier(columns, place):
            to_first.receive_rows(session, into)
        session.execute("analyze audit_events (consumer_id, place); analyze audit_rest")
        found = findings.of("snapshots", bounds.processed_through)
        _compare(session, request, columns, bounds, slice(middle), found)

    def other(session: Connection) -> None:
        bounds = _known(session, request, None)
        _count_events(session, request, columns, bounds, findings)
        # The events are counted before the customers are followed.
        _look_beside(session, request, bounds, findings)
        middle, place = _middle(session, request, bounds)
        for _, into in _customers_later(columns, place):
            to_second.receive_rows(session, into)
        for select, _ in _events_earlier(columns, place):
            to_first.send_rows(session, select)
        session.execute("analyze audit_births (born_place, consumer_id); analyze audit_owners")
        found = findings.of("later snapshots", bounds.processed_through)
        _compare(session, request, columns, bounds, slice(middle, None), found)

    parts = Part(first, _nothing), Part(other, _nothing)
    side_by_side.work(connection, second, stopped, parts)


def _nothing(_: Connection, __: None) -> None:
    """All is done in the transaction."""


def _middle(connection: Connection, request: AuditRequest, bounds: AuditBounds) -> tuple[int, int]:
    """Return how many of the instants have about half of the rows, and the last one's place.

    The same in both sessions, as they see the same rows.
    """
    joined = [
        at
        for (at,) in connection.execute(
            query("reconcile/audit/sessions/joined", request.settings.sources)
        )
    ]
    rows = list(accumulate(1 + bisect.bisect_left(joined, at) for at in bounds.compared))
    middle = bisect.bisect_left(rows, rows[-1] / 2) + 1 if rows else 0
    return middle, bounds.all.index(bounds.compared[middle - 1]) + 1 if middle else 0


#: A query of the one session's rows, and the table of the other one's that they go to.
_Transfer = tuple[sql.Composed, sql.Composed]


def _customers_later(columns: Columns, place: int) -> list[_Transfer]:
    """Compose what the second session needs of the customers: what is after its start, and sums."""
    last = sql.Literal(place)
    changes = sql.SQL("consumer_id, is_whole, place, customers, dated, born_us, undated") + (
        columns.each_status("{}")
    )
    statuses = sql.SQL(", rest_statuses")
    return [
        (
            query(
                "reconcile/audit/sessions/customers-later",
                place=last,
                columns=columns.each_status("{}"),
                summed=columns.each_status("pg_temp.audit_sum({})"),
            ),
            sql.SQL("audit_changes ({})").format(changes + statuses),
        ),
        _rows_of("audit_births", "consumer_id, born_place, end_place, n"),
        _rows_of("audit_owners", "consumer_id, since, is_present"),
        _rows_of("audit_arrivals", "consumer_id, born, ended, n"),
    ]


def _events_earlier(columns: Columns, place: int) -> list[_Transfer]:
    """Compose what the first session needs of the events: those up to its last instant."""
    until = sql.SQL(" where place <= {}").format(place)
    names = sql.SQL("consumer_id, day, place, counted, vanished")
    of_events = names + sql.SQL(", events") + columns.each_type("{}")
    of_rest = names + sql.SQL(", event_type, n")
    return [
        (
            sql.SQL("select {} from {}").format(named, sql.SQL(table)) + until,
            sql.SQL("{} ({})").format(sql.SQL(table), named),
        )
        for table, named in (("audit_events", of_events), ("audit_rest", of_rest))
    ]


def _rows_of(table: str, names: str) -> _Transfer:
    named, of = sql.SQL(names), sql.SQL(table)
    return sql.SQL("select {} from {}").format(named, of), sql.SQL("{} ({})").format(of, named)
