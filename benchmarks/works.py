"""The works: what is measured, on which histories, by whom, how often."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from operator import attrgetter

from psycopg import sql

from benchmarks import busy, dag_runtime, imports
from benchmarks import late as late_rows
from benchmarks.measure import Worker
from benchmarks.results import BACKFILL, COMMAND, ENGINE, FLOOR, Work, span
from benchmarks.server import FIRST_DAY, UNTIL, Database, History, Server, add_day, instant
from benchmarks.systems import System
from benchmarks.systems.floor import Floor
from benchmarks.systems.loop import Loop
from benchmarks.systems.ours import Command, Engine
from benchmarks.systems.peers import Dbt, SqlMesh

_MILLION = 1_000_000


@dataclass(frozen=True)
class Scale:
    """How large, and how often.

    Attributes:
        base: the history of the day, the month and the year.
        new: events of a day.
        large: the history before the large window, and that window's events.
        histories: sizes of history for the same window.
        consumers: few and many consumers, all else equal.
        customers: few and many customers, and the events that their own histories need.
        types: the history with very many event types.
        imported: the history that is imported from files.
        rounds: of what takes a second or less.
        backfills: rounds of a backfill, ours and the floor.
        loop_year: whether the loop fills the year as well.
        seconds: of each stretch beside the insert load.
        dag_runs: runs of each DAG.
        peers: whether dbt and SQLMesh take part.
    """

    base: History
    new: int
    large: tuple[History, int]
    histories: tuple[History, ...]
    consumers: tuple[History, ...]
    customers: tuple[History, ...]
    types: History
    imported: History
    rounds: int
    backfills: int
    loop_year: bool
    seconds: int
    dag_runs: int
    peers: bool


DEFAULT = Scale(
    base=History(5 * _MILLION),
    new=14_000,
    large=(History(10 * _MILLION), _MILLION),
    histories=(History(_MILLION), History(10 * _MILLION)),
    consumers=(
        History(_MILLION, 10, 100_000),
        History(_MILLION, 1_000, 100_000),
        History(_MILLION, 10_000, 100_000),
    ),
    customers=(
        History(3 * _MILLION, customers=10_000),
        History(3 * _MILLION, customers=100_000),
        History(3 * _MILLION, customers=_MILLION),
    ),
    types=History(_MILLION, event_types=500),
    imported=History(_MILLION, 1_000, 100_000),
    rounds=5,
    backfills=3,
    loop_year=False,
    seconds=6,
    dag_runs=30,
    peers=True,
)
FULL = replace(
    DEFAULT,
    histories=(*DEFAULT.histories, History(100 * _MILLION)),
    customers=(*DEFAULT.customers, History(26 * _MILLION, customers=10 * _MILLION)),
    types=History(5 * _MILLION, event_types=500),
    loop_year=True,
    seconds=20,
)
#: To see that everything works, not how fast.
TINY = Scale(
    base=History(20_000, 20, 2_000),
    new=300,
    large=(History(20_000, 20, 2_000), 1_000),
    histories=(History(20_000, 20, 2_000), History(40_000, 20, 2_000)),
    consumers=(History(20_000, 5, 2_000), History(20_000, 20, 2_000)),
    customers=(History(20_000, 20, 1_000), History(20_000, 20, 2_000)),
    types=History(20_000, 20, 2_000, event_types=100),
    imported=History(20_000, 20, 2_000),
    rounds=1,
    backfills=1,
    loop_year=True,
    seconds=2,
    dag_runs=2,
    peers=False,
)

_SAME = """
select
    -- A consumer that did not exist yet has no row of ours.
    count(*) filter (where coalesce(ours.events, '{{}}') <> coalesce(theirs.events, '{{}}')),
    count(*)
from (
    select consumer_id, snapshot_timestamp, metrics_json -> 'events_by_type' as events
    from consumer_analytics
    where consumer_id is not null and snapshot_timestamp > %(from)s and snapshot_timestamp <= %(to)s
) as ours
full join (
    select
        consumer_id,
        snapshot_timestamp::timestamptz as snapshot_timestamp,
        events_by_type as events
    from {table}
    where snapshot_timestamp > %(from)s and snapshot_timestamp <= %(to)s
) as theirs using (consumer_id, snapshot_timestamp)
"""


def _compare(
    work: Work, system: System, database: Database, lower: dt.date, upper: dt.date, variant: str
) -> None:
    """Compare counts by consumer and type with ours, for every snapshot of a range."""
    row = work.row(system.name, variant)
    if row is None or system.table is None:
        return
    with database.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        different, compared = connection.execute(
            sql.SQL(_SAME).format(table=sql.Identifier(*str(system.table).split("."))),
            {"from": instant(lower), "to": instant(upper)},
        ).fetchone() or (0, 0)
    row.equal = compared > 0 and different == 0
    if not row.equal:
        print(f"  WRONG: {system.name} differs at {different:,} of {compared:,} snapshots")


def _describe(work: Work, systems: Sequence[System]) -> None:
    for row in work.rows:
        row.less = next((s.less for s in systems if s.name == row.system), "")


# -- the day and the large window -------------------------------------------------


def _days(
    work: Work,
    server: Server,
    history: History,
    events: int,
    rounds: int,
    others: Sequence[System],
    others_rounds: int,
) -> None:
    """Measure day after day of new events, every system on each, the order turning."""
    engine, command, floor = Engine(), Command(), Floor()
    with server.history(history) as database, ExitStack() as stack:
        systems: list[System] = [engine, floor, *others]
        for system in systems:
            system.prepare(database, UNTIL)
            stack.callback(system.close)
        for number in range(1 + rounds):
            day = UNTIL + dt.timedelta(days=number)
            add_day(database, day, events)
            # A day can be taken in once: by the engine, then by the command, in turn.
            ours: System = command if number and number % 2 == 0 else engine
            taking = [ours, floor, *(others if number <= others_rounds else [])]
            turned = taking[number % len(taking) :] + taking[: number % len(taking)]
            for system in turned:
                measured = system.day(database, day)
                if number:
                    work.add(system.name, number, measured)
            if number == min(rounds, others_rounds):
                for system in others:
                    _compare(work, system, database, day, day + dt.timedelta(days=1), "")
    _describe(work, [*systems, command])


def _others(scale: Scale) -> list[System]:
    return [Loop(), Dbt(), SqlMesh()] if scale.peers else [Loop()]


def day(work: Work, server: Server, scale: Scale) -> None:
    """Take one day of new events in."""
    _days(work, server, scale.base, scale.new, 2 * scale.rounds, _others(scale), scale.rounds)


def million(work: Work, server: Server, scale: Scale) -> None:
    """Take a large window in."""
    history, events = scale.large
    _days(work, server, history, events, max(1, scale.rounds), _others(scale), 2)


# -- the same window on other sizes -------------------------------------------------


def _sizes(
    work: Work, server: Server, sizes: dict[str, History], events: int, rounds: int
) -> dict[str, float]:
    """Measure the same window on several histories in turn; return the engine's medians."""
    with ExitStack() as stack:
        databases = {
            name: stack.enter_context(server.history(history, f"work_{number}"))
            for number, (name, history) in enumerate(sizes.items())
        }
        systems: dict[str, list[System]] = {name: [Engine(), Floor()] for name in sizes}
        for name, database in databases.items():
            for system in systems[name]:
                system.prepare(database, UNTIL)
                stack.callback(system.close)
        for number in range(1 + rounds):
            day = UNTIL + dt.timedelta(days=number)
            for database in databases.values():
                add_day(database, day, events)
            # In turn, so that what the machine does meanwhile meets all of them.
            for name, database in list(databases.items())[:: 1 if number % 2 else -1]:
                for system in systems[name]:
                    measured = system.day(database, day)
                    if number:
                        work.add(system.name, number, measured, variant=name)
        work.rows.sort(key=lambda row: list(sizes).index(row.variant))
        _describe(work, next(iter(systems.values())))
    return {name: row.median for name in sizes if (row := work.row(ENGINE, name))}


def history(work: Work, server: Server, scale: Scale) -> None:
    """Take the same window in on histories of several sizes."""
    sizes = {f"{size.events:,}": size for size in scale.histories}
    _sizes(work, server, sizes, scale.new, 2 * scale.rounds)
    smallest, *larger = (work.row(ENGINE, name) for name in sizes)
    for row in larger:
        if smallest is not None and row is not None:
            work.facts[f"{row.variant} / {smallest.variant} events"] = (
                f"{row.median / smallest.median:.2f} (rounds {span(row.ratios(smallest))})"
            )


def _each_more(
    work: Work,
    server: Server,
    scale: Scale,
    histories: Sequence[History],
    counted: Callable[[History], int],
) -> float:
    """Take the same window in for few and for many; return the seconds for each one more."""
    sizes = {f"{counted(size):,}": size for size in histories}
    (least, *_, most) = _sizes(work, server, sizes, scale.new, scale.rounds).values()
    return (most - least) / (counted(histories[-1]) - counted(histories[0]))


def consumers(work: Work, server: Server, scale: Scale) -> None:
    """Take the same window in for few and for many consumers."""
    each = _each_more(work, server, scale, scale.consumers, attrgetter("consumers"))
    work.facts["each consumer more"] = f"{1000 * each:.3f} ms"


def customers(work: Work, server: Server, scale: Scale) -> None:
    """Take the same window in with few and with many customers."""
    each = _each_more(work, server, scale, scale.customers, attrgetter("customers"))
    work.facts["each million customers more"] = f"{_MILLION * each:.3f} s"


# -- backfills ------------------------------------------------------------------------


def _backfill(
    work: Work,
    server: Server,
    source: History,
    days: int,
    rounds: int,
    others: Sequence[System],
    *,
    variant: str = "",
) -> None:
    start = UNTIL - dt.timedelta(days=days)
    # What lies before the range has been taken in, where there is anything.
    known = start if start > FIRST_DAY else None
    engine, command, floor = Engine(), Command(), Floor()
    with server.history(source) as database, ExitStack() as stack:
        systems: list[System] = [engine, floor, *others]
        for system in systems:
            system.prepare(database, known)
            stack.callback(system.close)
        for number in range(1, 1 + rounds):
            # The floor inserts what ours has left, so it comes after it.
            both = (engine, command) if number % 2 else (command, engine)
            for system in (*both, floor, *(others if number == 1 else [])):
                work.add(
                    system.name, number, system.backfill(database, start, UNTIL), variant=variant
                )
        for system in others:
            _compare(work, system, database, start, UNTIL, variant)
    _describe(work, [*systems, command])


def month(work: Work, server: Server, scale: Scale) -> None:
    """Fill the last 31 days, what is before them being known."""
    _backfill(work, server, scale.base, 31, scale.backfills, _others(scale))


def year(work: Work, server: Server, scale: Scale) -> None:
    """Fill a year from nothing."""
    others = [one for one in _others(scale) if scale.loop_year or not isinstance(one, Loop)]
    _backfill(work, server, scale.base, 365, scale.backfills, others)


def types(work: Work, server: Server, scale: Scale) -> None:
    """Fill a year from nothing, with very many event types."""
    _backfill(work, server, scale.types, 365, 1, [])


# -- the beginning ----------------------------------------------------------------------


def first(work: Work, server: Server, scale: Scale) -> None:
    """Take a whole history in with the first run."""
    floor = Floor()
    for number in range(1, 1 + scale.backfills):
        with server.history(scale.base) as database:
            work.add(FLOOR, number, floor.first(database))
            with Worker(database) as worker:
                work.add(ENGINE, number, worker("run", at=instant(UNTIL).isoformat()))
    if (row := work.row(FLOOR)) is not None:
        row.less = "nothing kept by consumer, no customers, no snapshot: counts, and inserts them"


def imported(work: Work, server: Server, scale: Scale) -> None:
    """Import files into empty tables, and once more."""
    imports.measure(work, server, scale.imported, scale.backfills)


# -- the audit ----------------------------------------------------------------------------


_SINCE = "a day later"


def audit(work: Work, server: Server, scale: Scale) -> None:
    """Audit a year of snapshots, beside two scans and the backfill that wrote them.

    Then, with capture on, a day after an audit what has changed since.
    """
    engine, floor = Engine(), Floor()
    with server.history(scale.base) as database:
        engine.prepare(database, UNTIL)
        for number in range(1, 1 + scale.backfills):
            work.add(BACKFILL, number, engine.backfill(database, FIRST_DAY, UNTIL))
            with database.connect() as connection:
                connection.execute("vacuum analyze")
            work.add(FLOOR, number, floor.audit(database))
            work.add(ENGINE, number, engine.audit(database))
        engine.capture()
        engine.audit(database)
        for number in range(1, 1 + scale.backfills):
            day = UNTIL + dt.timedelta(days=number - 1)
            add_day(database, day, scale.new)
            engine.day(database, day)
            since = engine.audit(database, since_last=True)
            work.add(ENGINE, number, since, variant=_SINCE)
            work.add(FLOOR, number, floor.audit_since(database, day), variant=_SINCE)
        engine.close()
    written, audited = work.row(BACKFILL), work.row(ENGINE)
    if written is not None and audited is not None:
        work.facts["audit / backfill"] = (
            f"{audited.median / written.median:.2f} (rounds {span(audited.ratios(written))})"
        )
    if (scans := work.row(FLOOR)) is not None:
        scans.less = "nothing compared: one scan of the events, one of the snapshots"
    gone_on, reading = work.row(ENGINE, _SINCE), work.row(FLOOR, _SINCE)
    if audited is not None and gone_on is not None and reading is not None:
        work.facts["since the last / whole"] = (
            f"{gone_on.median / audited.median:.2f} (rounds {span(gone_on.ratios(audited))})"
        )
        reading.less = "nothing compared: the snapshots read once, a day's events counted"


# -- beside others ----------------------------------------------------------------------


def beside(work: Work, server: Server, scale: Scale) -> None:
    """Insert as fast as one can, with and without runs that follow each other."""
    with server.history(scale.base) as database:
        engine, polite = Engine(), Engine(**busy.POLITENESS)
        engine.prepare(database, UNTIL)
        try:
            polite.day(database, UNTIL - dt.timedelta(days=1))
            rounds = max(2, scale.rounds - 2)
            busy.measure(work, server, database, engine, polite, scale.seconds, rounds)
        finally:
            engine.close()
            polite.close()


def late(work: Work, server: Server, scale: Scale) -> None:
    """Find late rows, and restate what they change."""
    late_rows.measure(work, server, scale.base, scale.new, scale.backfills)


def dag(work: Work, server: Server, scale: Scale) -> None:  # noqa: ARG001
    """Run the DAG and an empty one in turn, on the Airflow of `make run`."""
    dag_runtime.measure(work, scale.dag_runs)


WORKS: dict[str, tuple[str, Callable[[Work, Server, Scale], None]]] = {
    "day": ("a day of {new:,} new events on {base}", day),
    "million": ("{large[1]:,} new events on {large[0]}", million),
    "history": ("{new:,} new events, by events of history", history),
    "consumers": ("{new:,} new events, by consumers", consumers),
    "customers": ("{new:,} new events, by customers", customers),
    "month": ("backfill of 31 days on {base}", month),
    "year": ("backfill of 365 days on {base}", year),
    "types": ("backfill of 365 days on {types}", types),
    "first": ("the first run over {base}", first),
    "import": ("import of {imported} from files", imported),
    "late": ("rows half a year late, on {base} with a snapshot a day", late),
    "audit": ("audit of 365 daily snapshots on {base}", audit),
    "busy": ("inserts beside runs that follow each other, on {base}", beside),
    "dag": ("a DAG run with 3 consumers, and an empty DAG of the same shape", dag),
}

__all__ = ["COMMAND", "DEFAULT", "FLOOR", "FULL", "TINY", "WORKS", "Scale"]
