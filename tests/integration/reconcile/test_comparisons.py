"""What sweep and audit take for a difference, statement by statement, on a few rows each."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import comparison, extract
from consumer_analytics.mapping import PLAIN
from consumer_analytics.sql import query

DAY = dt.timedelta(days=1)
ONE_MICROSECOND = dt.timedelta(microseconds=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
FIRST, SECOND = BEGIN + 2 * DAY, BEGIN + 4 * DAY
BOUNDS = [BEGIN, FIRST, SECOND]
HELD = sql.SQL(
    "select consumer_id, day::timestamptz as day, event_type, n from pg_temp.extracted_events"
)
A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


def answer(connection: Connection, name: str, values: Any = None, **parts: Any) -> list[Any]:
    """Return what a statement answers."""
    rows = connection.execute(query(name, PLAIN, **parts), values).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def put(connection: Connection, consumer: uuid.UUID | None, at: dt.datetime, **figures: Any) -> int:
    """Put a row of a snapshot, and return its number."""
    row = connection.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
        "values (%s, %s, %s) on conflict (consumer_id, snapshot_timestamp) "
        "do update set metrics_json = excluded.metrics_json returning analytics_id",
        [consumer, at, Jsonb(figures)],
    ).fetchone()
    assert row is not None
    return int(row[0])


# -- who there was ----------------------------------------------------------------------


def whole(unattributed: int = 0) -> dict[str, Any]:
    return {"unattributed_customers": unattributed, "snapshot_type": "GLOBAL"}


def mine(lifetime: float | None, events: int = 0, **by_status: int) -> dict[str, Any]:
    return {
        "total_customers": sum(by_status.values()),
        "customers_by_status": by_status,
        "avg_customer_lifetime_days": lifetime,
        "total_events": events,
    }


def change(
    connection: Connection,
    consumer: uuid.UUID | None,
    slot: int,
    status: str,
    n: int,
    born: dt.datetime | None = BEGIN,
) -> None:
    """Put what an extract finds: so many more customers, or fewer, from a slot on."""
    connection.execute(
        "insert into pg_temp.extracted_customers values (%s, %s, %s, %s, %s, %s, 0)",
        [
            consumer,
            slot,
            status,
            n,
            n if born else 0,
            n * int(born.timestamp()) * 1_000_000 if born else 0,
        ],
    )


@pytest.fixture
def alike(trial: Connection) -> Connection:
    """Two snapshots that say what there was.

    A has two customers from before the window, both INACTIVE since the first instant; B has
    been registered since then, and has none; C has none any more.
    """
    trial.execute(
        query("shared/customers-changes", table=extract.OWN.customers, lifetime=sql.SQL(""))
    )
    change(trial, A, 0, "ACTIVE", 2)
    change(trial, A, 2, "ACTIVE", -2)
    change(trial, A, 2, "INACTIVE", 2)
    change(trial, C, 1, "ACTIVE", 1)
    change(trial, C, 2, "ACTIVE", -1)
    trial.execute("insert into consumers (consumer_id, created_at) values (%s, %s)", [B, FIRST])
    put(trial, A, FIRST, **mine(2.0, ACTIVE=2))
    put(trial, A, SECOND, **mine(4.0, INACTIVE=2))
    put(trial, B, SECOND, **mine(None))
    put(trial, C, FIRST, **mine(2.0, ACTIVE=1))
    put(trial, None, FIRST, **whole())
    put(trial, None, SECOND, **whole())
    return trial


def put_cells(connection: Connection) -> list[comparison.StatusColumn] | None:
    """Put the changes as cells, a column for each status."""
    columns = comparison.columns_of(
        connection.execute(
            "select status, to_json(status)::text "
            "from (select distinct status from pg_temp.extracted_customers) as statuses "
            "order by octet_length(status), status"
        ).fetchall()
    )
    statuses = [
        sql.SQL(", coalesce(sum(n) filter (where status = {}), 0)::bigint as {}").format(
            one.status, one.name
        )
        for one in columns or []
    ]
    connection.execute("drop table if exists pg_temp.customer_cells")
    connection.execute(
        sql.SQL(
            "create temporary table customer_cells as "
            "select consumer_id, greatest(slot, 1) as slot, sum(n)::bigint as customers, "
            "sum(dated)::bigint as dated, sum(created_us) as created_us, sum(born)::bigint as born"
            "{} from pg_temp.extracted_customers group by 1, 2"
        ).format(sql.Composed(statuses))
    )
    return columns


def differing(connection: Connection) -> list[dt.datetime]:
    """Return the instants that differ, whether each status has a column or none has."""
    values = {"bounds": BOUNDS, "accepts_all": True, "accepted": []}
    found = []
    for most in (comparison.MOST_COLUMNS, -1):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(comparison, "MOST_COLUMNS", most)
            columns = put_cells(connection)
        assert (columns is None) == (most < 0)
        statement, names = comparison.comparing(PLAIN, columns)
        found.append({row[0] for row in connection.execute(statement, values | names)})
    assert found[0] == found[1]
    return sorted(found[0])


def test_snapshots_that_say_who_there_was_do_not_differ(alike: Connection) -> None:
    assert differing(alike) == []
    # What else a row says is none of this comparison's business.
    put(alike, A, FIRST, **mine(2.0, ACTIVE=2), total="any", more={"of": "it"})
    assert differing(alike) == []
    # Nor do those of one consumer alone.
    for table in ("consumer_analytics", "consumers", "pg_temp.extracted_customers"):
        alike.execute(f"delete from {table} where consumer_id in (%s, %s)", [B, C])
    assert differing(alike) == []


@pytest.mark.parametrize(
    "figures",
    [
        {**mine(2.0, ACTIVE=2), "total_customers": 3},
        mine(2.0, ACTIVE=1, INACTIVE=1),
        mine(2.01, ACTIVE=2),
        mine(None, ACTIVE=2),
        {"total_customers": 2, "customers_by_status": {"ACTIVE": 2}},
        {},
    ],
)
def test_each_figure_of_a_consumers_row_is_compared(
    alike: Connection, figures: dict[str, Any]
) -> None:
    put(alike, A, FIRST, **figures)
    assert differing(alike) == [FIRST]


def test_every_instant_is_named_once_in_order(alike: Connection) -> None:
    put(alike, A, SECOND, **mine(4.0, ACTIVE=2))
    put(alike, None, SECOND, **whole(1))
    put(alike, B, SECOND, **mine(1.0))
    put(alike, A, FIRST, **mine(1.0, ACTIVE=2))
    assert differing(alike) == [FIRST, SECOND]


@pytest.mark.parametrize("gone", [A, C])
def test_a_row_that_is_missing(alike: Connection, gone: uuid.UUID) -> None:
    alike.execute(
        "delete from consumer_analytics where consumer_id = %s and snapshot_timestamp = %s",
        [gone, FIRST],
    )
    assert differing(alike) == [FIRST]


def test_a_consumer_has_a_row_from_after_it_was_registered_on(alike: Connection) -> None:
    alike.execute("delete from consumer_analytics where consumer_id = %s", [B])
    assert differing(alike) == [SECOND]
    alike.execute("update consumers set created_at = %s", [SECOND])
    assert differing(alike) == []
    put(alike, B, FIRST, **mine(None))
    assert differing(alike) == [FIRST]


def test_a_row_of_one_that_owns_no_customer_is_there_for_its_events_alone(
    alike: Connection,
) -> None:
    put(alike, C, SECOND, **mine(None, 7))
    assert differing(alike) == []
    for wrong in (mine(None, 0), mine(None, 7, ACTIVE=1), {"total_events": 7}):
        put(alike, C, SECOND, **wrong)
        assert differing(alike) == [SECOND], wrong


def test_customers_whose_birth_is_not_known_have_no_part_in_the_mean(alike: Connection) -> None:
    change(alike, A, 1, "BLOCKED", 1, None)
    put(alike, A, FIRST, **mine(2.0, ACTIVE=2, BLOCKED=1))
    put(alike, A, SECOND, **mine(4.0, INACTIVE=2, BLOCKED=1))
    change(alike, B, 2, "ACTIVE", 1, None)
    put(alike, B, SECOND, **mine(None, ACTIVE=1))
    assert differing(alike) == []


def test_customers_without_a_consumer_are_those_of_the_global_row(alike: Connection) -> None:
    put(alike, None, SECOND, **whole(1))
    assert differing(alike) == [SECOND]
    change(alike, None, 2, "ACTIVE", 1)
    assert differing(alike) == []
    put(alike, None, SECOND, snapshot_type="GLOBAL")
    assert differing(alike) == [SECOND]
    # A snapshot without a global row says nothing of them.
    alike.execute("delete from consumer_analytics where consumer_id is null")
    assert differing(alike) == []


@pytest.mark.parametrize("asked", [[], [A], [A, B], [A, B, C]])
def test_changes_of_others_are_laid_down_together_and_nobodys_apart(
    trial: Connection, asked: list[uuid.UUID]
) -> None:
    trial.execute(
        query("shared/customers-changes", table=extract.OWN.customers, lifetime=sql.SQL(""))
    )
    changes = [(None, 1, "ACTIVE", 5), (A, 1, "ACTIVE", 1), (B, 1, "ACTIVE", 2), (B, 2, "GONE", -2)]
    changes += [(B, 2, "ACTIVE", 2), (C, 2, "ACTIVE", 3)]
    for each in changes:
        change(trial, *each)
    columns = put_cells(trial)
    assert columns is not None
    # Nobody's lie first.
    trial.execute(
        "alter table pg_temp.customer_cells rename to cells; create temporary table customer_cells "
        "as select * from pg_temp.cells order by consumer_id nulls first"
    )
    comparison.take_apart(trial, columns, asked)
    rows = trial.execute("select * from pg_temp.extracted_customers").fetchall()
    of_each = {key: [row[1:6] for row in rows if row[0] == key] for key, *_ in changes}
    for consumer in (None, *asked):
        own = [each[1:] for each in changes if each[0] == consumer]
        # What is no status's may come with a status that nobody has.
        assert sorted(row[:3] for row in of_each[consumer] if row[2]) == sorted(own)
    others = {row[0] for row in rows} - {None, *asked}
    assert len(others) == (len({A, B, C} - {*asked}) > 0)
    for status, n in (("ACTIVE", 13), ("GONE", -2)):
        assert sum(row[3] for row in rows if row[2] == status) == n
    at = int(BEGIN.timestamp()) * 1_000_000
    assert [sum(row[place] for row in rows) for place in (4, 5)] == [11, 11 * at]


@pytest.mark.parametrize("asked", [[A], [A, C]])
def test_customers_of_others_that_were_counted_beside_some_are_forgotten(
    trial: Connection, asked: list[uuid.UUID]
) -> None:
    trial.execute(
        query("shared/customers-changes", table=extract.OWN.customers, lifetime=sql.SQL(""))
    )
    for consumer in (None, A, B, C):
        change(trial, consumer, 1, "ACTIVE", 1)
    trial.execute(query("etl/customers/forget-others"), {"consumers": asked})
    rows = trial.execute("select consumer_id from pg_temp.extracted_customers order by 1")
    assert [consumer for (consumer,) in rows] == asked


@pytest.mark.parametrize("place", ["n", "dated", "created_us", "born"])
def test_a_change_of_any_figure_is_laid_down(trial: Connection, place: str) -> None:
    trial.execute(
        query("shared/customers-changes", table=extract.OWN.customers, lifetime=sql.SQL(""))
    )
    change(trial, A, 1, "ACTIVE", 0)
    trial.execute(f"update pg_temp.extracted_customers set {place} = 1")
    columns = put_cells(trial)
    assert columns is not None
    comparison.take_apart(trial, columns, [A])
    assert trial.execute(f"select {place} from pg_temp.extracted_customers").fetchall() == [(1,)]


def test_snapshots_at_other_instants_are_not_looked_at(alike: Connection) -> None:
    put(alike, A, FIRST + ONE_MICROSECOND, **mine(9.0, ACTIVE=9))
    put(alike, None, FIRST + ONE_MICROSECOND, **whole(9))
    assert differing(alike) == []


# -- which snapshots ---------------------------------------------------------------------


def test_the_latest_snapshots_before_an_instant(trial: Connection) -> None:
    for day in range(1, 6):
        put(trial, None, BEGIN + day * DAY)
    put(trial, A, BEGIN + DAY / 2)

    def days(**values: Any) -> list[int]:
        known = {"before": None, "until": BEGIN + 9 * DAY, "limit": 9}
        rows = answer(trial, "reconcile/sweep/snapshots-before", {**known, **values})
        return [(at - BEGIN).days for at in rows]

    assert days() == [1, 2, 3, 4, 5]
    assert days(limit=2) == [4, 5]
    assert days(before=BEGIN + 3 * DAY) == [1, 2]
    assert days(until=BEGIN + 3 * DAY) == [1, 2, 3]


# -- counts by day -----------------------------------------------------------------------


def count(connection: Connection, consumer: uuid.UUID | None, day: int, kind: str, n: int) -> None:
    """Put a count that earlier runs have kept."""
    connection.execute(
        "insert into consumer_analytics_internal.event_days (day, consumer_id, event_type, n) "
        "values (%s, %s, %s, %s)",
        [(BEGIN + day * DAY).date(), consumer, kind, n],
    )


def test_days_are_compared_by_consumer_and_type(trial: Connection) -> None:
    trial.execute(
        "create temporary table extracted_events "
        "(consumer_id uuid, day date, slot int, event_type text, n bigint)"
    )
    days = [(BEGIN + day * DAY).date() for day in range(6)]
    known = [(A, 1, "login", 3), (B, 1, "login", 2), (A, 2, "pay", 5), (A, 3, "pay", 1)]
    for each in known:
        count(trial, *each)
    # Out of the days that are counted anew, before and after them.
    count(trial, A, 0, "login", 9)
    count(trial, A, 4, "login", 9)
    found = [
        # In two slots of a day as many each; another type; one that is new; one is gone.
        (A, days[1], 0, "login", 2),
        (A, days[1], 1, "login", 2),
        (B, days[1], 0, "login", 2),
        (A, days[2], 1, "pay", 3),
        (A, days[2], 1, "login", 1),
        (None, days[3], 1, "pay", 4),
    ]
    with trial.cursor() as cursor:
        cursor.executemany("insert into extracted_events values (%s, %s, %s, %s, %s)", found)
    trial.execute(
        query("reconcile/sweep/events-differ", held=HELD),
        {"recount": f"{{[{days[1]},{days[4]})}}"},
    )
    # One of the two that are missing has vanished.
    trial.execute(
        "create temporary table event_changes as select consumer_id, day, event_type, "
        "counted - known + case when known = 5 then 1 else 0 end as n from differing_events"
    )
    listed = answer(trial, "reconcile/sweep/events-differ-list", {"limit": 10})
    one, three = str(days[1]), str(days[3])
    assert listed == [
        (str(A), "login", one, 3, 4, 0),
        (str(A), "login", str(days[2]), 0, 1, 0),
        (str(A), "pay", str(days[2]), 5, 3, 1),
        (str(A), "pay", three, 1, 0, 0),
        (None, "pay", three, 0, 4, 0),
    ]
    assert answer(trial, "reconcile/sweep/events-differ-list", {"limit": 2}) == listed[:2]
    # Days, consumers (nobody is one), types; found and taken out.
    assert answer(trial, "reconcile/sweep/events-differ-sum") == [(3, 2, 2, 6, 2)]


def test_what_is_noted_as_vanished_does_not_differ(trial: Connection) -> None:
    trial.execute(
        "create temporary table extracted_events "
        "(consumer_id uuid, day date, slot int, event_type text, n bigint)"
    )
    count(trial, A, 1, "login", 3)
    trial.execute(
        "insert into consumer_analytics_internal.vanished_events "
        "(consumer_id, event_type, since, until, n, noted_by) values (%s, 'login', %s, %s, 3, 'a')",
        [A, BEGIN + DAY, BEGIN + 2 * DAY],
    )
    day = (BEGIN + DAY).date()
    trial.execute(
        query("reconcile/sweep/events-differ", held=HELD),
        {"recount": f"{{[{day},{day}]}}"},
    )
    assert trial.execute("select * from differing_events").fetchall() == []


def test_what_a_sweep_found_is_added_up(trial: Connection) -> None:
    found = {
        "days_corrected": 2,
        "events_found": 3,
        "events_vanished": 4,
        "snapshots_restated": 5,
    }
    for _ in range(2):
        trial.execute(query("reconcile/sweep/counters-sweep"), found)
    assert trial.execute(
        "select name, labels, n from consumer_analytics_internal.counters order by 1, 2"
    ).fetchall() == [
        ("sweep_days", [], 4),
        ("sweep_events", ["found"], 6),
        ("sweep_events", ["vanished"], 8),
        ("sweep_snapshots", [], 10),
        ("sweeps", [], 2),
    ]
