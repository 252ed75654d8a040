"""The sweep: what came in late, changed or went is found, repaired, restated and told."""

from __future__ import annotations

import datetime as dt
import json
import random
import uuid
from typing import Any

import pytest
from tests.support import lanes, oracle
from tests.support.checks import figures, touched_rows, wrong_snapshots
from tests.support.history import random_history

from consumer_analytics.etl import revisions, run, vanished
from consumer_analytics.formatting import exactly
from consumer_analytics.reconcile import sweep

DAY = dt.timedelta(days=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = BEGIN + 9 * DAY


def go(database: Any, at: dt.datetime) -> dict[str, Any]:
    with database.session("run") as connection:
        return run.run(connection, database.settings, at=at).as_json()


def swept(database: Any, **options: Any) -> sweep.SweepResult:
    with database.session("sweep") as connection:
        return sweep.sweep(connection, database.settings, **options)


def history(database: Any, seed: int | None = None, *, snapshots: int = 9) -> random.Random:
    """Fill the sources and write a snapshot a day; without a seed as for the other tests."""

    def fill() -> random.Random:
        rng = random.Random(50 if seed is None else seed)
        with database.connect() as connection:
            random_history(connection, rng, BEGIN, END)
        with database.connect("run", writes_sources=False) as connection:
            for day in range(1, snapshots + 1):
                # Not all at midnight.
                at = BEGIN + day * DAY - dt.timedelta(hours=rng.choice([0, 0, 5]))
                run.run(connection, database.settings, at=at)
        return rng

    # Whichever columns a test has changed before: a copy would have others.
    return fill() if seed is not None else database.prepared((history, snapshots), fill)


def tamper(connection: Any, rng: random.Random, since: dt.datetime) -> None:
    """Let rows come in late, change and go, in ways that an application has."""
    tenants = [row[0] for row in connection.execute("select consumer_id from consumers")]

    def moment() -> dt.datetime:
        return since + (END - since) * rng.random()

    for _ in range(5):
        connection.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "values (%s, %s, %s, %s)",
            [
                uuid.UUID(int=rng.getrandbits(128)),
                rng.choice([*tenants, uuid.UUID(int=rng.getrandbits(128)), None]),
                rng.choice(["login", "a new type"]),
                moment(),
            ],
        )
        connection.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (%s, %s, 'ACTIVE', %s)",
            [uuid.UUID(int=rng.getrandbits(128)), rng.choice([*tenants, None]), moment()],
        )
    rows = connection.execute(
        "select event_id from customer_events where created_at >= %s order by 1", [since]
    ).fetchall()
    gone, retyped, moved = rng.sample(rows, 3)
    connection.execute("delete from customer_events where event_id = %s", gone)
    connection.execute(
        "update customer_events set event_type = 'retyped' where event_id = %s", retyped
    )
    connection.execute(
        "update customer_events set created_at = %s where event_id = %s", [moment(), *moved]
    )
    young = connection.execute(
        "select customer_id from customers where created_at >= %s order by 1", [since]
    ).fetchall()
    if len(young) > 1:
        corrected, removed = rng.sample(young, 2)
        connection.execute(
            "update customers set status = 'FIXED' where customer_id = %s", corrected
        )
        connection.execute("delete from customers where customer_id = %s", removed)
    connection.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'late', %s)",
        [uuid.UUID(int=rng.getrandbits(128)), moment()],
    )


@pytest.mark.parametrize("seed", lanes.first(1, range(3)))
@pytest.mark.both_versions
def test_what_came_in_late_changed_or_went_is_repaired(database: Any, seed: int) -> None:
    rng = history(database, seed)
    # Windows that are not from one snapshot to the next.
    database.execute("update etl_job_watermarks set last_processed_timestamp = '2025-03-03'")
    go(database, END + dt.timedelta(minutes=1))
    go(database, END - 2 * DAY - dt.timedelta(minutes=7))
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
        reported = figures(connection)
        tamper(connection, rng, BEGIN + 3 * DAY)
        assert wrong_snapshots(connection) != []

        found = swept(database)

        assert wrong_snapshots(connection) == []
        assert found.snapshots_restated > 0
        as_reported = {
            (consumer, at): text
            for consumer, at, text in connection.execute(
                "select consumer_id, snapshot_timestamp, metrics_json::text "
                "from consumer_analytics_as_reported"
            )
        }
        # Rows that joined a snapshot later are reported since then only.
        assert {key: as_reported[key] for key in reported} == reported
        changed = {key for key, text in figures(connection).items() if reported.get(key) != text}
        changed |= reported.keys() - figures(connection).keys()
        assert len(changed) == found.snapshots_restated


@pytest.mark.parametrize("kind", lanes.first(2, ["logout", "", " odd", "t" * 300]))
def test_events_that_change_places_are_found(database: Any, kind: str) -> None:
    """As many of each consumer and of each type: only both together tell."""
    history(database)
    day = BEGIN + 4 * DAY
    with database.connect() as connection:
        first, second = (
            one
            for (one,) in connection.execute(
                "select consumer_id from consumers order by consumer_id limit 2"
            )
        )
        connection.cursor().executemany(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "values (gen_random_uuid(), %s, %s, %s)",
            [(first, "login", day), (second, kind, day)],
        )
        swept(database)
        assert wrong_snapshots(connection) == []
        connection.execute(
            "update customer_events set consumer_id = case consumer_id when %(first)s "
            "then %(second)s else %(first)s end where created_at = %(day)s "
            "and consumer_id in (%(first)s, %(second)s)",
            {"first": first, "second": second, "day": day},
        )
        assert wrong_snapshots(connection) != []
        assert swept(database).days_corrected == 1
        assert wrong_snapshots(connection) == []


def test_a_sweep_with_nothing_to_do_touches_no_row(database: Any) -> None:
    history(database)
    swept(database)
    with database.connect() as connection:
        before = touched_rows(connection)
        found = swept(database)
        assert touched_rows(connection) == before
    assert found.days_corrected == found.snapshots_restated == 0
    assert found.snapshots_with_other_customers == 0


def test_it_tells_what_it_corrected(database: Any, cli: Any) -> None:
    history(database)
    database.execute(
        "update consumer_analytics_internal.written_snapshots set snapshot_source = 'airflow_etl'"
    )
    tenant = uuid.UUID(int=7)
    at = BEGIN + 6 * DAY + dt.timedelta(hours=1)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), %s, 'late', %s from generate_series(1, 3)",
        [tenant, at],
    )
    answer = cli("sweep", "--json").json
    assert answer["days_corrected"] == answer["consumers_corrected"] == 1
    assert answer["types_corrected"] == 1
    assert (answer["events_found"], answer["events_vanished"]) == (3, 0)
    assert answer["differences"] == [
        {
            "consumer_id": str(tenant),
            "event_type": "late",
            "day": at.date().isoformat(),
            "counted": 0,
            "source": 3,
            "vanished": 0,
        }
    ]
    # The consumer's own rows and the global ones, after the day.
    assert answer["snapshots_restated"] == 2 * 3
    told = cli("sweep").stdout
    assert "nothing differs" in told
    (sources,) = {
        source
        for (source,) in database.rows(
            "select metrics_json ->> 'snapshot_source' from consumer_analytics "
            "where consumer_id = %s",
            [tenant],
        )
    }
    # The provenance of the snapshot that the row has joined.
    assert sources == "airflow_etl"


@pytest.mark.long
def test_a_consumer_that_had_no_part_in_a_snapshot_is_withdrawn_and_kept(
    database: Any, cli: Any
) -> None:
    tenant = uuid.UUID(int=8)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "values (gen_random_uuid(), %s, 'login', %s)",
        [tenant, END - 3 * DAY],
    )
    history(database, 25)
    with database.connect() as connection:
        reported = {key: text for key, text in figures(connection).items() if key[0] == tenant}
        assert reported
        connection.execute("delete from customer_events where consumer_id = %s", [tenant])
        # Its only event: nothing tells that somebody took it out.
        assert swept(database).events_noted == 1
        assert reported.items() <= figures(connection).items()
        swept(database, accepted=vanished.EVERYTHING)
        assert [key for key in figures(connection) if key[0] == tenant] == []
        assert wrong_snapshots(connection) == []
        kept = connection.execute(
            "select consumer_id, snapshot_timestamp, metrics_json::text "
            "from consumer_analytics_as_reported where consumer_id = %s",
            [tenant],
        ).fetchall()
    assert {(consumer, at): text for consumer, at, text in kept} == reported
    assert "withdrawn" in cli("status", "--revisions").stdout


@pytest.mark.long
def test_a_row_edited_to_a_null_of_json_is_not_withdrawn(database: Any) -> None:
    history(database, 3)
    database.execute("update consumer_analytics set metrics_json = 'null'")
    assert swept(database).snapshots_restated > 0
    database.execute("update consumer_analytics set metrics_json = 'null'")
    with database.connect() as connection:
        assert {one.withdrawn for one in revisions.latest(connection, 100)} == {False}


def test_days_and_since_say_how_far_back(database: Any, cli: Any) -> None:
    history(database, 23)
    at = BEGIN + dt.timedelta(hours=1)
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', %s)",
        [at],
    )
    assert cli("sweep", "--days", "2", "--json").json["days_corrected"] == 0
    assert cli("sweep", "--since", at.date().isoformat(), "--json").json["days_corrected"] == 1
    refused = cli("sweep", "--days", "2", "--since", "2025-03-01")
    assert refused.exit_code == 2
    assert "not both" in refused.stderr
    refused = cli("sweep", "--since", "2025-03-11")
    assert refused.exit_code == 2
    assert "2025-03-11 lies after 2025-03-10" in refused.stderr
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []


def test_a_customer_older_than_the_days_is_followed_back(database: Any) -> None:
    history(database)
    with database.connect() as connection:
        tenant = connection.execute("select consumer_id from consumers limit 1").fetchone()
        connection.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (gen_random_uuid(), %s, 'ACTIVE', %s)",
            [*(tenant or ()), BEGIN + DAY],
        )
        assert len({at for at, *_ in wrong_snapshots(connection)}) > 3
        swept(database, days=1)
        assert wrong_snapshots(connection) == []


def test_a_birth_that_is_corrected_restates_the_mean_lifetime_alone(database: Any) -> None:
    tenant, customer = uuid.UUID(int=1), uuid.UUID(int=2)
    with database.connect() as connection:
        connection.execute(
            "insert into customers (customer_id, consumer_id, status, created_at) "
            "values (%s, %s, 'ACTIVE', %s)",
            [customer, tenant, BEGIN],
        )
        for days in (2, 4):
            go(database, BEGIN + days * DAY)

        def lifetimes() -> list[float]:
            return [
                oracle.stored(connection, BEGIN + days * DAY)[str(tenant)][
                    "avg_customer_lifetime_days"
                ]
                for days in (2, 4)
            ]

        assert lifetimes() == [2.0, 4.0]
        connection.execute("update customers set created_at = %s", [BEGIN + DAY / 2])
        found = swept(database)
        assert lifetimes() == [1.5, 3.5]
    # How many there are, and of which status, is as it was; nor has the global row a mean.
    assert (found.snapshots_with_other_customers, found.snapshots_restated) == (2, 2)


def test_it_works_on_a_database_without_a_run(database: Any, cli: Any) -> None:
    assert swept(database).snapshots_restated == 0
    assert cli("sweep").exit_code == 0


# -- purged sources ------------------------------------------------------------


def purge(database: Any, before: dt.datetime) -> None:
    database.execute("delete from customer_events where created_at < %s", [before])


@pytest.mark.both_versions
def test_a_purge_takes_nothing_from_history(database: Any, cli: Any) -> None:
    history(database, 31)
    swept(database, since=BEGIN.date())  # so that births are remembered
    with database.connect() as connection:
        reported = figures(connection)
        purge(database, BEGIN + 5 * DAY)
        # The whole history is read again, and nothing may go down.
        connection.execute("update etl_job_watermarks set last_processed_timestamp = '-infinity'")
        summary = go(database, END)
        assert summary["corrections"]["vanished"] == 0
        found = cli("sweep", "--since", "2025-03-01", "--json").json
        assert figures(connection) == reported
        assert found["days_corrected"] == 0
        # Noted by the run, and by it alone.
        assert (found["events_noted"], found["noted_as_vanished"]) == (
            0,
            summary["corrections"]["noted"],
        )
        assert "as vanished, in all" in cli("sweep", "--since", "2025-03-01").stdout


@pytest.mark.long
def test_an_old_row_after_a_purge_does_not_make_emptied_days_seem_whole(database: Any) -> None:
    history(database, 32)
    with database.connect() as connection:
        total = connection.execute(
            "select sum(n) from consumer_analytics_internal.event_totals"
        ).fetchone()
        reported = figures(connection)
        purge(database, BEGIN + 5 * DAY)
        go(database, END + dt.timedelta(hours=1))
        # Below all that the source still holds, of a kind that was counted then.
        connection.execute(
            "insert into customer_events (event_id, event_type, created_at) "
            "values (gen_random_uuid(), 'login', %s)",
            [BEGIN + dt.timedelta(minutes=1)],
        )
        connection.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
        go(database, END + dt.timedelta(hours=2))
        swept(database, since=BEGIN.date())
        new_total = connection.execute(
            "select sum(n) from consumer_analytics_internal.event_totals"
        ).fetchone()
        assert new_total is not None
        assert total is not None
        # It counts, beside those that have vanished, and nothing else changes.
        assert new_total[0] == total[0] + 1
        now = figures(connection)
        for key, text in reported.items():
            if key[1] < BEGIN + 5 * DAY:
                was = json.loads(text)
                if key[0] is None:
                    was["unattributed_events"] += 1
                assert json.loads(now[key]) == was


def test_an_emptied_source_goes_on_counting(database: Any) -> None:
    history(database)
    with database.connect() as connection:
        known = connection.execute(
            "select sum(n) from consumer_analytics_internal.event_totals"
        ).fetchone()
        last = END - dt.timedelta(hours=5)
        for hour in (1, 3, 5):
            # All that was counted of the day is gone, and something new is there.
            connection.execute("truncate customer_events")
            connection.execute(
                "insert into customer_events (event_id, event_type, created_at) "
                "values (gen_random_uuid(), 'login', %s)",
                [END + dt.timedelta(hours=hour)],
            )
            connection.execute(
                "update etl_job_watermarks set last_processed_timestamp = %s", [last]
            )
            go(database, END + dt.timedelta(hours=hour + 1))
        total = connection.execute(
            "select sum(n) from consumer_analytics_internal.event_totals"
        ).fetchone()
        assert known is not None
        assert total == (known[0] + 3,)


def test_a_run_leaves_snapshots_of_purged_times_as_they_were_reported(database: Any) -> None:
    history(database)
    with database.connect() as connection:
        reported = figures(connection)
        purge(database, BEGIN + 5 * DAY)
        # Undone no more, the customers of then would look like today's.
        connection.execute("update customers set status = 'OTHER'")
        instants = sorted({at for _, at in reported if at < BEGIN + 5 * DAY})
        for at in (instants[0], instants[-1]):
            assert go(database, at)["not_recountable"] == []
        lost = {
            (consumer, at)
            for consumer, until in connection.execute(
                "select consumer_id, max(until) from consumer_analytics_internal.vanished_events "
                "where event_type like 'customer!_%' escape '!' group by consumer_id"
            )
            for at in instants
            if at < until and consumer is not None
        }
        assert len({consumer for consumer, _ in lost}) > 1
        now = figures(connection)
        assert {key: now.get(key) for key in lost} == {key: reported.get(key) for key in lost}
        # What was never reported is not made up.
        at = instants[0] + dt.timedelta(hours=1)
        assert go(database, at)["not_recountable"] == [at.isoformat()]
        assert figures(connection) == now


def test_accepting_a_purge_lets_counts_go_down(database: Any, cli: Any) -> None:
    history(database)
    with database.connect() as connection:
        purge(database, BEGIN + 5 * DAY)
        found = cli("sweep", "--accept-purged", "--json").json
        assert found["events_taken_off"] == found["events_noted"] > 0
        assert wrong_snapshots(connection) == []
        # And for good: nothing is noted any more.
        again = cli("sweep", "--since", "2025-03-01", "--json").json
        assert (again["noted_as_vanished"], again["days_corrected"]) == (0, 0)


def test_the_mean_lifetime_survives_the_purge_of_a_creation(database: Any) -> None:
    tenant, customer = uuid.UUID(int=1), uuid.UUID(int=2)
    with database.connect() as connection:
        connection.execute("insert into consumers values (%s, 'a', 'ACTIVE', %s)", [tenant, BEGIN])

        def event(kind: str, at: dt.datetime, payload: str) -> None:
            connection.execute(
                "insert into customer_events values (gen_random_uuid(), %s, %s, %s, %s, %s)",
                [customer, tenant, kind, payload, at],
            )

        event("customer_creation", BEGIN, '{"status": "ACTIVE"}')
        connection.execute(
            "insert into customers values (%s, %s, 'ACTIVE', %s, %s)",
            [customer, tenant, BEGIN, BEGIN],
        )
        for day in (2, 3, 4):
            event("login", BEGIN + day * DAY, "{}")
            go(database, BEGIN + day * DAY + dt.timedelta(hours=1))
        event("customer_deletion", BEGIN + 4 * DAY + dt.timedelta(hours=2), '{"status": "ACTIVE"}')
        connection.execute("delete from customers")
        go(database, BEGIN + 5 * DAY)
        swept(database)
        reported = figures(connection)

        purge(database, BEGIN + 2 * DAY)
        event("late", BEGIN + 2 * DAY + dt.timedelta(minutes=1), "{}")
        assert swept(database, since=BEGIN.date()).snapshots_restated > 0
        at = BEGIN + 3 * DAY + dt.timedelta(hours=1)
        assert figures(connection)[(tenant, at)] != reported[(tenant, at)]
        mine = oracle.stored(connection, at)[str(tenant)]
        assert mine["avg_customer_lifetime_days"] == 3.04


# -- what was reported ---------------------------------------------------------


@pytest.mark.both_versions
def test_what_was_reported_at_an_instant_can_be_asked(database: Any) -> None:
    rng = history(database)
    with database.connect() as connection:
        seen = []
        for _ in range(3):
            at = connection.execute("select clock_timestamp()").fetchone()
            seen.append((at, figures(connection)))
            tamper(connection, rng, BEGIN + 3 * DAY)
            swept(database)
        seen.append(
            (connection.execute("select clock_timestamp()").fetchone(), figures(connection))
        )
        for instant, then in seen:
            told = connection.execute(
                "select consumer_id, snapshot_timestamp, metrics_json::text "
                "from consumer_analytics_reported_at(%s)",
                instant,
            ).fetchall()
            assert {(consumer, at): text for consumer, at, text in told} == then


def test_status_lists_the_latest_restatements(database: Any, cli: Any) -> None:
    history(database)
    assert "no snapshot was ever restated" in cli("status", "--revisions").stdout
    database.execute(
        "insert into customer_events (event_id, event_type, created_at) "
        "values (gen_random_uuid(), 'late', %s)",
        [END - DAY - dt.timedelta(hours=6)],
    )
    swept(database)
    (latest, *_) = cli("status", "--revisions", "--json").json["revisions"]
    before = latest["changed"]["unattributed_events"]["from"]
    assert latest["changed"] == {"unattributed_events": {"from": before, "to": before + 1}}
    assert latest["reason"].startswith("sweep at 20")
    assert latest["consumer_id"] is None
    lines = cli("status", "--revisions").stdout.splitlines()
    assert lines[0].startswith("restated 20")
    snapshot = exactly(dt.datetime.fromisoformat(latest["snapshot_timestamp"]))
    assert lines[1] == f"  {snapshot}  the whole system"
    assert lines[2] == f"    unattributed_events  {before:,} reported, {before + 1:,} known now"
    # Whole, and yet no wider than a terminal.
    assert max(map(len, lines)) <= 80


@pytest.mark.long
def test_status_says_that_there_are_more_restatements_than_it_shows(
    database: Any, cli: Any
) -> None:
    history(database)
    database.execute(
        "insert into customer_events (event_id, event_type, consumer_id, created_at) "
        "select gen_random_uuid(), 'late', consumer_id, %s from consumers",
        [END - 7 * DAY],
    )
    swept(database)
    restated = database.rows("select count(*) from consumer_analytics_revisions")[0][0]
    assert restated > 20
    lines = cli("status", "--revisions").stdout.splitlines()
    assert sum(line.startswith("  2") for line in lines) == 20
    assert lines[-1] == (
        f"… and {restated - 20:,} earlier ones: `consumer-analytics status --revisions "
        f"--limit {restated}` shows all"
    )
    told = cli("status", "--revisions", "--limit", "3", "--json").json
    assert (told["total"], len(told["revisions"])) == (restated, 3)
    whole = cli("status", "--revisions", "--limit", str(restated)).stdout.splitlines()
    assert sum(line.startswith("  2") for line in whole) == restated
    assert not any("earlier ones" in line for line in whole)
    refused = cli("status", "--limit", "3")
    assert (refused.exit_code, "--limit goes with --revisions" in refused.stderr) == (2, True)
