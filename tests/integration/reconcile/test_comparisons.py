"""What sweep and audit take for a difference, statement by statement, on a few rows each."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from consumer_analytics.db.connection import Connection
from consumer_analytics.etl import extract
from consumer_analytics.sql import query

DAY = dt.timedelta(days=1)
ONE_MICROSECOND = dt.timedelta(microseconds=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
FIRST, SECOND = BEGIN + 2 * DAY, BEGIN + 4 * DAY
BOUNDS = [BEGIN, FIRST, SECOND]
A, B, C = (uuid.UUID(int=number) for number in (1, 2, 3))


def answer(connection: Connection, name: str, values: Any = None, **parts: Any) -> list[Any]:
    """Return what a statement answers."""
    rows = connection.execute(query(f"reconcile/{name}", "public", **parts), values).fetchall()
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


def differing(connection: Connection) -> list[dt.datetime]:
    return answer(connection, "sweep/customers-differ", {"bounds": BOUNDS})


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
        rows = answer(trial, "sweep/snapshots-before", {**known, **values})
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
        query("reconcile/sweep/events-differ", extracted_events=extract.OWN.events),
        {"recount": f"{{[{days[1]},{days[4]})}}"},
    )
    # One of the two that are missing has vanished.
    trial.execute(
        "create temporary table event_changes as select consumer_id, day, event_type, "
        "counted - known + case when known = 5 then 1 else 0 end as n from differing_events"
    )
    listed = answer(trial, "sweep/events-differ-list", {"limit": 10})
    one, three = str(days[1]), str(days[3])
    assert listed == [
        (str(A), "login", one, 3, 4, 0),
        (str(A), "login", str(days[2]), 0, 1, 0),
        (str(A), "pay", str(days[2]), 5, 3, 1),
        (str(A), "pay", three, 1, 0, 0),
        (None, "pay", three, 0, 4, 0),
    ]
    assert answer(trial, "sweep/events-differ-list", {"limit": 2}) == listed[:2]
    # Days, consumers (nobody is one), types; found and taken out.
    assert answer(trial, "sweep/events-differ-sum") == [(3, 2, 2, 6, 2)]


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
        query("reconcile/sweep/events-differ", extracted_events=extract.OWN.events),
        {"recount": f"{{[{day},{day}]}}"},
    )
    assert trial.execute("select * from differing_events").fetchall() == []


@pytest.fixture
def recounted(trial: Connection) -> Connection:
    """What an audit has counted, and what runs have kept of it: all the same."""
    trial.execute(query("reconcile/audit/tables"))
    rows = [
        (A, 1, 0, "login", 2, True),
        (A, 1, 1, "login", 2, True),
        (None, 2, 1, "login", 1, True),
        # After what runs have come to.
        (A, 2, 2, "login", 8, False),
        (A, 1, 1, "pay", 3, True),
    ]
    for consumer, day, slot, kind, n, counted in rows:
        trial.execute(
            "insert into audit_events values (%s, %s, %s, %s, %s, %s)",
            [consumer, (BEGIN + day * DAY).date(), slot, kind, n, counted],
        )
    count(trial, A, 1, "login", 4)
    count(trial, None, 2, "login", 1)
    count(trial, A, 1, "pay", 3)
    trial.execute(
        "insert into consumer_analytics_internal.event_totals "
        "select consumer_id, event_type, sum(n) from consumer_analytics_internal.event_days "
        "group by 1, 2"
    )
    return trial


def audited_days(connection: Connection, begin: int = 0, end: int = 9) -> list[Any]:
    days = {"from_day": (BEGIN + begin * DAY).date(), "to_day": (BEGIN + end * DAY).date()}
    return answer(connection, "audit/days", days)


def test_counts_by_day_and_totals_that_are_right(recounted: Connection) -> None:
    assert audited_days(recounted) == []
    assert answer(recounted, "audit/totals") == []


def test_counts_by_day_that_are_wrong(recounted: Connection) -> None:
    recounted.execute(
        "update consumer_analytics_internal.event_days set n = n + 1 where consumer_id is not null"
    )
    recounted.execute(
        "delete from consumer_analytics_internal.event_days where consumer_id is null"
    )
    count(recounted, B, 2, "pay", 7)
    first, second = ((BEGIN + day * DAY).date().isoformat() for day in (1, 2))
    wrong = [
        (str(A), "login", first, 5, 4),
        (str(A), "pay", first, 4, 3),
        (str(B), "pay", second, 7, 0),
        (None, "login", second, 0, 1),
    ]
    assert audited_days(recounted) == wrong
    assert audited_days(recounted, 1, 1) == wrong[:2]
    assert audited_days(recounted, 2, 2) == wrong[2:]


def test_totals_that_are_wrong_and_are_made_the_sum_of_the_days_again(
    recounted: Connection,
) -> None:
    recounted.execute(
        "update consumer_analytics_internal.event_totals set n = n - 1 where consumer_id is null"
    )
    recounted.execute(
        "delete from consumer_analytics_internal.event_totals where consumer_id is not null"
    )
    recounted.execute(
        "insert into consumer_analytics_internal.event_totals values (%s, 'pay', 7)", [B]
    )
    assert answer(recounted, "audit/totals") == [
        (str(A), "login", 0, 4),
        (str(A), "pay", 0, 3),
        (str(B), "pay", 7, 0),
        (None, "login", 0, 1),
    ]
    assert answer(recounted, "audit/totals-rebuild") == [4]
    assert answer(recounted, "audit/totals") == []
    assert answer(recounted, "audit/totals-rebuild") == [0]
    # Each has what another one should have, by type and by consumer; a type that is no more.
    for statement, corrected in (
        ("update {} set n = case event_type when 'login' then 3 else 4 end where n > 1", 2),
        ("update {} set n = case n when 4 then 1 else 4 end where event_type = 'login'", 2),
        (f"insert into {{}} values ('{A}', 'old', 1)", 1),
    ):
        table = "consumer_analytics_internal.event_totals"
        recounted.execute(statement.format(table))
        assert answer(recounted, "audit/totals-rebuild") == [corrected]
        assert answer(recounted, "audit/totals") == []


def test_what_has_vanished_counts_as_it_was_noted(recounted: Connection) -> None:
    days = [(BEGIN + day * DAY).date() for day in range(4)]
    recounted.execute("delete from audit_events where consumer_id is null")
    assert audited_days(recounted) == [(None, "login", str(days[2]), 1, 0)]
    recounted.execute(
        "insert into consumer_analytics_internal.vanished_events "
        "(event_type, since, until, n, noted_by) values ('login', %s, %s, 1, 'a test')",
        [BEGIN + 2 * DAY, BEGIN + 3 * DAY],
    )
    recounted.execute(query("reconcile/audit/vanished"), {"bounds": BOUNDS})
    assert audited_days(recounted) == []


# -- the audit's rows --------------------------------------------------------------------


def truth(connection: Connection, consumer: uuid.UUID | None, at: dt.datetime, **of: Any) -> None:
    connection.execute("insert into audit_figures values (%s, %s, %s)", [consumer, at, Jsonb(of)])


@pytest.fixture
def compared(trial: Connection) -> Connection:
    """Rows of a consumer and of all, at two instants, that say what they must."""
    trial.execute(query("reconcile/audit/tables"))
    for consumer in (A, None):
        for at in (FIRST, SECOND):
            stats = {"new_events_in_window": 1}
            truth(trial, consumer, at, total_events=3, incremental_stats=stats)
            put(
                trial,
                consumer,
                at,
                total_events=3,
                incremental_stats={"window_start": "x", **stats},
                snapshot_source="cli_etl",
                etl_job="a job",
            )
    return trial


def wrong(connection: Connection, *snapshots: dt.datetime) -> list[Any]:
    values = {"snapshots": list(snapshots or (FIRST, SECOND))}
    return [row[:2] for row in answer(connection, "audit/compare", values)]


def test_rows_that_say_what_they_must(compared: Connection) -> None:
    assert wrong(compared) == []
    # Others are not asked for.
    put(compared, A, SECOND + DAY, total_events=9)
    assert wrong(compared) == []


def test_a_consumer_whose_number_is_nought_is_not_taken_for_the_whole_system(
    compared: Connection,
) -> None:
    nobody = uuid.UUID(int=0)
    truth(compared, nobody, FIRST, total_events=5, incremental_stats={})
    put(compared, nobody, FIRST, total_events=5)
    assert wrong(compared) == []


def test_rows_that_are_wrong_missing_or_too_many(compared: Connection) -> None:
    put(compared, A, SECOND, total_events=4, incremental_stats={"new_events_in_window": 1})
    put(compared, B, FIRST, total_events=3)
    compared.execute(
        "delete from consumer_analytics where snapshot_timestamp = %s and "
        "consumer_id is distinct from %s",
        [FIRST, B],
    )
    # By instant, the whole system's row first.
    assert wrong(compared) == [
        (None, FIRST),
        (str(A), FIRST),
        (str(B), FIRST),
        (str(A), SECOND),
    ]
    answers = answer(compared, "audit/compare", {"snapshots": [FIRST, SECOND]})
    (missing, _, stranger, other) = [(kept, figures) for _, _, kept, figures in answers]
    assert missing[0] is None
    assert missing[1]["total_events"] == 3
    assert stranger[0]["total_events"] == 3
    assert stranger[1] is None
    assert other[0] == {"total_events": 4, "incremental_stats": {"new_events_in_window": 1}}


@pytest.mark.parametrize("stats", [{"new_events_in_window": 2}, {}, [1], "text", None])
def test_the_windows_figures_are_compared_whatever_a_row_holds(
    compared: Connection, stats: Any
) -> None:
    put(compared, A, FIRST, total_events=3, incremental_stats=stats)
    assert wrong(compared) == [(str(A), FIRST)]


def test_a_windows_figure_that_the_audit_cannot_tell_is_left_out(compared: Connection) -> None:
    compared.execute(
        "update audit_figures set figures = jsonb_set(figures, '{incremental_stats}', '{}')"
    )
    put(compared, A, FIRST, total_events=3, incremental_stats={"new_events_in_window": 9})
    put(compared, A, SECOND, total_events=3)
    assert wrong(compared) == []


def test_rows_of_chosen_consumers_are_compared_where_they_are(compared: Connection) -> None:
    for at in (FIRST, SECOND):
        truth(compared, B, at, total_events=5)
    compared.execute("delete from consumer_analytics where consumer_id is null")
    # It has a row at another instant.
    put(compared, B, SECOND)
    compared.execute(query("reconcile/audit/partial"), {"partial": [FIRST]})
    assert compared.execute(
        "select consumer_id, snapshot_timestamp from audit_figures order by 2, 1"
    ).fetchall() == [(A, FIRST), (A, SECOND), (B, SECOND), (None, SECOND)]


def test_rows_that_are_there_twice(trial: Connection) -> None:
    trial.execute("alter table consumer_analytics drop constraint consumer_analytics_once")
    for consumer, at, times in ((A, FIRST, 3), (None, SECOND, 2), (A, SECOND, 2), (B, SECOND, 1)):
        for _ in range(times):
            trial.execute(
                "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
                "values (%s, %s, '{}')",
                [consumer, at],
            )

    def doubled(lower: dt.datetime, upper: dt.datetime) -> list[Any]:
        return answer(trial, "audit/doubled", {"lower": lower, "upper": upper})

    every = [(str(A), FIRST, 3), (str(A), SECOND, 2), (None, SECOND, 2)]
    assert doubled(BEGIN, SECOND) == every
    assert doubled(FIRST, FIRST) == every[:1]
    assert doubled(FIRST + ONE_MICROSECOND, SECOND) == every[1:]


def instants_of(connection: Connection, **values: Any) -> list[Any]:
    known = {
        "lower": BEGIN,
        "upper": BEGIN + 9 * DAY,
        "backfilled": [BEGIN + 6 * DAY],
    }
    return answer(connection, "audit/instants", {**known, **values})


def test_the_instants_that_must_have_a_snapshot(trial: Connection) -> None:
    stats = {"incremental_stats": {"window_start": BEGIN.isoformat()}}
    put(trial, None, FIRST, **stats)
    put(trial, A, FIRST, incremental_stats={"window_start": "2030-01-01T00:00:00+00:00"})
    put(trial, A, SECOND, snapshot_source="cli_backfill")
    put(trial, None, SECOND, incremental_stats={"window_start": "no instant"})
    # Of a chosen consumer's backfill; of everybody's, whose global row is gone; of a run; of
    # nobody knows whom.
    third, fourth, fifth, sixth = (BEGIN + day * DAY for day in (5, 6, 7, 8))
    put(trial, A, sixth)
    put(trial, A, third, snapshot_source="cli_backfill")
    put(trial, A, fourth, snapshot_source="cli_backfill")
    put(trial, A, fifth, snapshot_source="cli_etl")
    marks = [
        (FIRST, BEGIN, False),
        (SECOND, None, False),
        (third, None, True),
        (fourth, None, False),
        (fifth, None, False),
        (sixth, None, False),
    ]
    assert instants_of(trial) == marks
    assert instants_of(trial, lower=SECOND, upper=third) == marks[1:3]


def test_which_backfills_wrote_whole_snapshots(trial: Connection) -> None:
    # Twice the same; one that failed, and rows of a chosen consumer alone.
    made = (("06", "done", None), ("06", "done", None), ("05", "failed", None), ("04", "done", [A]))
    for first, state, consumers in made:
        trial.execute(
            "insert into consumer_analytics_internal.backfills (start_date, end_date, period, "
            "timezone, consumers, snapshot_source, requested_by, state, periods) "
            "values (%s, '2025-03-08', 'daily', 'UTC', %s, '', '', %s, 2)",
            [f"2025-03-{first}", consumers, state],
        )
    begin, end = dt.date(2025, 3, 6), dt.date(2025, 3, 8)
    assert answer(trial, "audit/backfills") == [(begin, end, "daily", "UTC")]


def test_what_a_run_wrote_must_be_there_unless_it_was_thinned(trial: Connection) -> None:
    last = BEGIN + 8 * DAY
    put(trial, None, FIRST)
    put(trial, None, last)

    def ran(at: dt.datetime, state: str = "success", summary: str = '{"window_end": "x"}') -> None:
        trial.execute(
            "insert into consumer_analytics_internal.runs "
            "(run_key, snapshot_source, state, requested_at, reached_at, named, summary) "
            "values (%s, 'cli_etl', %s, %s, %s, false, %s)",
            [str(at), state, at, at, summary],
        )

    # Before the first that is kept; thinned; failed; one that wrote none.
    ran(FIRST - ONE_MICROSECOND)
    ran(FIRST)
    ran(SECOND)
    ran(SECOND + DAY)
    trial.execute(
        "insert into consumer_analytics_internal.thinned_snapshots values (%s, 1)", [SECOND + DAY]
    )
    ran(SECOND + 2 * DAY, "failed")
    ran(SECOND + 3 * DAY, summary="{}")
    assert [one[0] for one in instants_of(trial)] == [FIRST, SECOND, last]


@pytest.mark.parametrize(
    "note",
    [
        "insert into consumer_analytics_internal.touched_days (day) values ('2025-03-01')",
        (
            "insert into consumer_analytics_internal.touched_customers (customer_id) "
            "values (gen_random_uuid())"
        ),
        "update consumer_analytics_internal.state set restate_after = now()",
    ],
)
def test_what_the_next_run_repairs_by_itself(trial: Connection, note: str) -> None:
    assert answer(trial, "audit/awaiting") == [False]
    trial.execute(note)
    assert answer(trial, "audit/awaiting") == [True]


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
