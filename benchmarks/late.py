"""Late rows: what it costs to find them and to restate the snapshots that they change."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.measure import Measured, Worker
from benchmarks.results import ENGINE, FLOOR, Work, span
from benchmarks.server import FIRST_DAY, UNTIL, Database, History, Server, add_day, instant
from benchmarks.systems.floor import DAYS, Floor

#: How old the late rows are, in days, and of how many rows come together.
AGE = 183
MANY = 10
_APART = 17

_EVENT = """
insert into customer_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select gen_random_uuid(), customer_id, consumer_id, 'login', '{}', %(at)s
from (
    select distinct on (consumer_id) customer_id, consumer_id
    from customers
    where created_at < %(at)s
) as known
order by consumer_id
offset %(nth)s
limit 1
returning consumer_id
"""
_CUSTOMER = """
insert into customers (customer_id, consumer_id, status, created_at, updated_at)
select gen_random_uuid(), consumer_id, 'ACTIVE', %(at)s, %(at)s
from consumers
where created_at < %(at)s
order by consumer_id
offset %(nth)s
limit 1
returning consumer_id
"""
#: What capture notes before a day's run, by what is shown for it.
_NOTED = {
    "a day": None,
    "a day, and 1 late event noted": _EVENT,
    "a day, and 1 late customer noted": _CUSTOMER,
}
#: The rows are laid ready, with what they will say; what they said is kept.
_READY = """
drop table if exists floor_restated;
create temporary table floor_restated as
select analytics_id, jsonb_set(metrics_json, '{total_events}', '1') as metrics_json
from consumer_analytics
where snapshot_timestamp > %(at)s and (consumer_id is null or consumer_id = any(%(consumers)s));
"""
_RESTATE = """
with kept as (
    insert into consumer_analytics_revisions
        (analytics_id, consumer_id, snapshot_timestamp, metrics_json, reported_from, reason)
    select analytics_id, consumer_id, snapshot_timestamp, old.metrics_json, created_at, 'floor'
    from floor_restated
    join consumer_analytics as old using (analytics_id)
)

update consumer_analytics as snapshot
set metrics_json = restated.metrics_json
from floor_restated as restated
where restated.analytics_id = snapshot.analytics_id
"""


def _restate(connection: psycopg.Connection[Any], at: dt.datetime, consumers: list[Any]) -> float:
    """Restate the rows concerned by one UPDATE, and take it back; return the seconds."""
    values = {"at": at, "consumers": consumers}
    for statement in _READY.strip().split(";\n"):
        connection.execute(sql.SQL(statement), values if "%(" in statement else None)
    connection.execute("analyze floor_restated")
    with connection.transaction(force_rollback=True):
        began = time.perf_counter()
        connection.execute(_RESTATE)
        return time.perf_counter() - began


def _count(connection: psycopg.Connection[Any], since: dt.date, until: dt.date) -> float:
    began = time.perf_counter()
    connection.execute(DAYS, [instant(since), instant(until)]).fetchone()
    return time.perf_counter() - began


def _swept(
    work: Work,
    worker: Worker,
    database: Database,
    number: int,
    statement: str,
    rows: int,
    *,
    named: bool = False,
) -> None:
    """Let rows come late, and sweep the days since the oldest of them, or their days alone."""
    since = UNTIL - dt.timedelta(days=AGE)
    dates = [since + dt.timedelta(days=place * _APART) for place in range(rows)]
    with database.connect() as connection:
        connection.execute("set jit = off")
        consumers = [
            connection.execute(
                sql.SQL(statement),
                {"at": instant(day) + dt.timedelta(hours=5), "nth": 10 * number + place},
            ).fetchone()
            for place, day in enumerate(dates)
        ]
        floor = (
            sum(_count(connection, day, day + dt.timedelta(days=1)) for day in dates)
            if named
            else _count(connection, since, UNTIL)
        )
        floor += _restate(connection, instant(since), [row[0] for row in consumers if row])
    variant = _variant(statement, rows, named=named)
    work.add(FLOOR, number, Measured(floor), variant=variant)
    asked = {"dates": [day.isoformat() for day in dates]} if named else {"since": since.isoformat()}
    work.add(ENGINE, number, worker("sweep", **asked), variant=variant)


def _variant(statement: str, rows: int, *, named: bool) -> str:
    what = f"{rows} late {'customer' if statement == _CUSTOMER else 'event'}{'s' * (rows > 1)}"
    return (
        f"{what}, {'the days named' if rows > 1 else 'its day named'}"
        if named
        else f"{what}, swept"
    )


def _noted(work: Work, worker: Worker, database: Database, number: int, events: int) -> None:
    """Take a day in: without a late row that capture has noted, with an event, with a customer."""
    floor = Floor()
    floor.prepare(database, None)
    late = UNTIL - dt.timedelta(days=AGE)
    for turn, (variant, statement) in enumerate(_NOTED.items()):
        day = UNTIL + dt.timedelta(days=len(_NOTED) * number + turn)
        add_day(database, day, events)
        least = 0.0
        with database.connect() as connection:
            connection.execute("set jit = off")
            if statement is not None:
                row = connection.execute(
                    sql.SQL(statement),
                    {"at": instant(late) + dt.timedelta(hours=7), "nth": number},
                ).fetchone()
                least = _count(connection, late, late + dt.timedelta(days=1))
                least += _restate(connection, instant(late), [row[0]] if row else [])
        least += floor.day(database, day).seconds
        if number:
            work.add(FLOOR, number, Measured(least), variant=variant)
        taken = worker("run", at=instant(day + dt.timedelta(days=1)).isoformat())
        if number:
            work.add(ENGINE, number, taken, variant=variant)
    floor.close()


def measure(work: Work, server: Server, source: History, events: int, rounds: int) -> None:
    """Measure late rows half a year old, of a year with a snapshot a day."""
    with server.history(source) as database, Worker(database) as worker:
        worker("run", at=instant(UNTIL).isoformat())
        worker("backfill", start=FIRST_DAY.isoformat(), end=UNTIL.isoformat())
        with database.connect() as connection:
            connection.execute("vacuum analyze")
        for number in range(1, 1 + rounds):
            for statement in (_EVENT, _CUSTOMER):
                for rows in (1, MANY):
                    _swept(work, worker, database, number, statement, rows)
                    _swept(work, worker, database, number, statement, rows, named=True)
        worker("capture")
        for number in range(1 + rounds):
            _noted(work, worker, database, number, events)
    _tell(work)


def _tell(work: Work) -> None:
    plain, noted = (work.row(ENGINE, name) for name in list(_NOTED)[:2])
    least, both = (work.row(FLOOR, name) for name in list(_NOTED)[:2])
    if plain and noted and least and both:
        more = (noted.median - plain.median) / (both.median - least.median)
        work.facts["the late event alone"] = f"{more:.1f} times its floor"
    for statement, what in ((_EVENT, "events"), (_CUSTOMER, "customers")):
        for named in (False, True):
            one, many = (
                work.row(ENGINE, _variant(statement, rows, named=named)) for rows in (1, MANY)
            )
            if one and many:
                how = "named" if named else "swept"
                work.facts[f"{MANY} late {what} / 1, {how}"] = span(many.ratios(one))
