"""Events that change places within their day, past an instant that was reported.

No day's count changes by it. Days are of January 2026; a snapshot lies at noon of the 5th, and one
at each midnight.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.support import lanes
from tests.support.checks import figures, touched_rows, wrong_snapshots

from consumer_analytics.etl import capture, run
from consumer_analytics.operations import snapshots
from consumer_analytics.reconcile import audit, sweep

A, B = uuid.UUID(int=0xA), uuid.UUID(int=0xB)


def on(day: int, hour: float = 0) -> dt.datetime:
    return dt.datetime(2026, 1, day, tzinfo=dt.UTC) + dt.timedelta(hours=hour)


def put(database: Any, at: dt.datetime, kind: str = "login", consumer: Any = A, n: int = 1) -> None:
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), %s, %s, %s from generate_series(1, %s)",
        [consumer, kind, at, n],
    )


def go(database: Any, at: dt.datetime) -> dict[str, Any]:
    with database.session("run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def audited(database: Any) -> audit.AuditResult:
    with database.session("audit") as connection:
        return audit.audit(connection, database.settings)


def moved(old: dt.datetime, new: dt.datetime, kind: str = "login") -> Callable[[Any], None]:
    """Move one event of a type."""

    def happens(database: Any) -> None:
        database.execute(
            "update customer_events set created_at = %s where event_id = (select event_id "
            "from customer_events where created_at = %s and event_type = %s limit 1)",
            [new, old, kind],
        )

    return happens


def replaced(database: Any) -> None:
    """Take one away, and put another one into the day's other half."""
    database.execute(
        "delete from customer_events where created_at = %s and event_type = 'login'", [on(5, 4)]
    )
    put(database, on(5, 14), n=2)


def swapped(database: Any) -> None:
    """Move two types past each other: their sum stays."""
    moved(on(5, 4), on(5, 14))(database)
    moved(on(5, 16), on(5, 9), "pay")(database)


def corrected_besides(database: Any) -> None:
    """Move one, and let others of the day, and of the day before, come late."""
    moved(on(5, 4), on(5, 14))(database)
    put(database, on(5, 3), "late")
    put(database, on(4, 3), "login")


#: What happens, and from when on snapshots say something else: at noon, and where windows begin.
CHANGES: dict[str, Callable[[Any], None]] = {
    "later": moved(on(5, 4), on(5, 14)),
    "earlier": moved(on(5, 16), on(5, 9), "pay"),
    "to the very instant": moved(on(5, 4), on(5, 12)),
    "from the very instant": moved(on(5, 12), on(5, 11), "at noon"),
    "replaced": replaced,
    "swapped": swapped,
    "of nobody": moved(on(5, 6), on(5, 14), "nobody's"),
    "the only one of one who is not registered": moved(on(5, 7), on(5, 14), "stranger's"),
    "the other way": moved(on(5, 15), on(5, 1), "late stranger's"),
    "with corrections": corrected_besides,
}


def sweeps(database: Any) -> None:
    with database.session("sweep") as connection:
        sweep.sweep(connection, database.settings)


def resets(database: Any) -> None:
    database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
    go(database, on(8))


def runs(database: Any) -> None:
    go(database, on(8))


def history(database: Any) -> None:
    def fill() -> None:
        for consumer in (A, B):
            database.execute(
                "insert into consumers (consumer_id, name, created_at) values (%s, 'one', %s)",
                [consumer, on(1)],
            )
            for day in range(2, 8):
                put(database, on(day, 4), n=2, consumer=consumer)
                put(database, on(day, 16), "pay", consumer=consumer)
        put(database, on(5, 12), "at noon")
        put(database, on(5, 6), "nobody's", None)
        put(database, on(5, 7), "stranger's", uuid.UUID(int=1))
        put(database, on(5, 15), "late stranger's", uuid.UUID(int=2))
        for at in (on(3), on(4), on(5), on(5, 12), on(6), on(7)):
            go(database, at)

    database.prepared(history, fill)


@pytest.mark.parametrize(
    ("change", "way"),
    lanes.each_once(CHANGES, ["sweep", "reset", "capture"], every=4),
)
def test_what_moves_past_an_instant_within_its_day_is_restated(
    database: Any, change: str, way: str
) -> None:
    history(database)
    if way == "capture":
        with database.connect() as connection:
            capture.enable(connection, database.settings)
    before = figures(database._session())
    CHANGES[change](database)
    with database.connect() as connection:
        assert on(5, 12) in {at for at, *_ in wrong_snapshots(connection)}

    {"sweep": sweeps, "reset": resets, "capture": runs}[way](database)

    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
        after = figures(connection)
    assert audited(database).clean
    # Nothing that stayed the same was written.
    changed = {at for key, at in before if after.get((key, at)) != before[key, at]}
    assert on(5, 12) in changed
    assert not {on(3), on(4), on(5)} & changed or change == "with corrections"


@pytest.mark.parametrize("way", lanes.first(1, ["sweep", "capture"]))
def test_what_moves_past_no_instant_changes_nothing(database: Any, way: str) -> None:
    history(database)
    if way == "capture":
        with database.connect() as connection:
            capture.enable(connection, database.settings)
    moved(on(5, 4), on(5, 11))(database)
    moved(on(4, 4), on(4, 23))(database)
    with database.connect() as connection:
        before = touched_rows(connection)["consumer_analytics"]
        {"sweep": sweeps, "capture": runs}[way](database)
        assert set(before) <= set(touched_rows(connection)["consumer_analytics"])


def test_a_window_that_began_where_no_snapshot_is_any_more(database: Any) -> None:
    """It tells how many came since; the instant itself was taken back."""
    history(database)
    with database.session("remove") as connection:
        chosen = snapshots.Selection((on(5, 12),))
        snapshots.remove(connection, database.settings, chosen, who="a test")
    moved(on(5, 4), on(5, 14))(database)
    with database.connect() as connection:
        assert {(at, whose) for at, whose, *_ in wrong_snapshots(connection)} == {
            (on(6), str(A)),
            (on(6), None),
        }
        sweeps(database)
        assert wrong_snapshots(connection) == []
    assert audited(database).clean


def test_beside_what_has_vanished_of_the_day(database: Any) -> None:
    """What is noted of the day's stretches is counted where it is noted."""
    history(database)
    database.execute(
        "delete from customer_events where event_type = 'login' and created_at < %s", [on(5, 12)]
    )
    sweeps(database)
    with database.connect() as connection:
        noted = connection.execute(
            "select sum(n) from consumer_analytics_internal.vanished_events where until = %s",
            [on(5, 12)],
        ).fetchone()
        assert noted == (4,)
        before = figures(connection)
        sweeps(database)
        assert figures(connection) == before
        put(database, on(5, 2))
        sweeps(database)
        assert figures(connection)[A, on(5, 12)] != before[A, on(5, 12)]
        after = figures(connection)
        database.execute(
            "update customer_events set created_at = %s where created_at = %s",
            [on(5, 13), on(5, 2)],
        )
        sweeps(database)
        assert figures(connection)[A, on(5, 12)] == before[A, on(5, 12)]
        assert figures(connection)[A, on(6)] == after[A, on(6)].replace(
            '"new_events_in_window": 2', '"new_events_in_window": 3'
        )
    assert audited(database).clean


def test_midnights_of_another_zone_lie_within_days(database: Any) -> None:
    for hour in (22, 22.5, 23.5):
        put(database, on(4, hour))
    for day in (2, 3, 4, 5):
        go(database, on(day, 23))
    moved(on(4, 22.5), on(4, 23.5))(database)
    with database.connect() as connection:
        assert wrong_snapshots(connection) != []
        sweeps(database)
        assert wrong_snapshots(connection) == []
    assert audited(database).clean
