"""Bad rows of every kind, and strings that try to be something else."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections import Counter
from typing import Any

import pytest
from tests.support import lanes, oracle

from consumer_analytics.db.connection import connected
from consumer_analytics.etl import run

STRINGS = [
    "it's \"quoted\" `and` ''more''",
    "{braces} {{doubled}} {0} {customer_events} %s %(name)s %%",
    "C:\\path\\n \\u0000 \\x00 \\000 E'\\\\'",
    "[red]markup[/red] [/] [link=http://example.com]x[/link] [bold",
    "two\nlines\tand a tab\r",
    "🎉" * 100,
    "'; drop table consumers; --",
    "$$ $1 $tag$ ${HOME} `id`",
    "\x1b[31mescape\x1b[0m \x07 \x7f \x9b1m",
    "ünï\u200bcode \u202eright to left\u202c  \ufeff",
    '{"json": [1, null]}',
    "null",
    "NaN",
    "x" * 200,
]


def test_hostile_strings_come_through_unharmed(database: Any, cli: Any) -> None:
    tenants = {uuid.UUID(int=number + 1): text for number, text in enumerate(STRINGS)}
    with database.connect() as connection:
        for tenant, text in tenants.items():
            connection.execute(
                "insert into consumers (consumer_id, name, created_at) values (%s, %s, %s)",
                [tenant, text, dt.datetime(2025, 1, 1, tzinfo=dt.UTC)],
            )
            connection.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                "values (%s, %s, %s, '2025-01-01')",
                [uuid.uuid4(), tenant, text],
            )
            connection.execute(
                "insert into customer_events (event_id, consumer_id, event_type, created_at) "
                "values (%s, %s, %s, '2025-01-02')",
                [uuid.uuid4(), tenant, text],
            )
    done = cli("run", "--as-of", "2025-02-01")
    assert done.exit_code == 0, done.stderr
    with database.connect() as connection:
        at = dt.datetime(2025, 2, 1, tzinfo=dt.UTC)
        stored = oracle.stored(connection, at)
        for tenant, text in tenants.items():
            assert stored[str(tenant)]["events_by_type"] == {text: 1}
            assert stored[str(tenant)]["customers_by_status"] == {text: 1}
        assert stored[None]["events_by_type_all_consumers"] == dict.fromkeys(STRINGS, 1)

    told = cli("status", "--consumers", "100", "--json").json
    assert {row["consumer_id"]: row["name"] for row in told["consumers"]} == {
        str(tenant): text for tenant, text in tenants.items()
    }
    assert told["system"]["events_by_type_all_consumers"] == dict.fromkeys(STRINGS, 1)

    shown = cli("status", "--consumers", "100", env={"COLUMNS": "2000"})
    assert shown.exit_code == 0, shown.stderr
    for text in STRINGS:
        for line in text.split("\n"):
            # What steers a terminal is shown, not done.
            visible = "".join(
                repr(char)[1:-1] if ord(char) < 32 or 127 <= ord(char) < 160 else char
                for char in line
            )
            assert visible in shown.stdout, repr(text)
    for char in "\x1b\x07\x9b\x7f":
        assert char not in shown.stdout


def test_bad_rows_of_every_kind_are_counted_and_told_and_stop_nothing(
    database: Any, cli: Any
) -> None:
    tenant, unknown = uuid.UUID(int=1), uuid.UUID(int=2)
    late = "now() + interval '1 day'"
    with database.connect() as connection:
        connection.execute(
            "insert into consumers (consumer_id, name, created_at) values (%s, null, '2025-01-01')",
            [tenant],
        )
        for consumer, kind, stamp in [
            (None, "login", "'2025-01-02'"),
            (None, None, "'2025-01-02'"),
            (tenant, None, "'2025-01-02'"),
            (tenant, "", "'2025-01-02'"),
            (tenant, " \t\n", "'2025-01-02'"),
            (unknown, "login", "'2025-01-02'"),
            (tenant, "login", late),
            (tenant, "customer_status_change", "'2025-01-02'"),
        ]:
            connection.execute(
                "insert into customer_events (event_id, consumer_id, event_type, payload_json, "
                f"created_at) values (%s, %s, %s, '[]', {stamp})",
                [uuid.uuid4(), consumer, kind],
            )
        for consumer, status, stamp in [
            (None, "ACTIVE", "'2025-01-02'"),
            (tenant, None, "'2025-01-02'"),
            (tenant, "  ", "'2025-01-02'"),
            (unknown, "ACTIVE", "'2025-01-02'"),
            (tenant, "ACTIVE", late),
        ]:
            connection.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                f"values (%s, %s, %s, {stamp})",
                [uuid.uuid4(), consumer, status],
            )
        done = cli("run", "--json")
        assert done.exit_code == 0, done.stderr
        summary = done.json
        assert summary["bad_rows"] == {
            "unattributed_events": 2,
            "untyped_events": 4,
            "future_events": 1,
            "unreadable_lifecycle_events": 1,
            "lifecycle_events_without_customer": 1,
            "unknown_consumers": [str(unknown)],
            "unattributed_customers": 1,
            "future_customers": 1,
        }
        at = dt.datetime.fromisoformat(summary["window_end"])
        window = dt.datetime.fromisoformat(summary["window_start"])
        stored = oracle.stored(connection, at)
        assert stored == oracle.snapshot(oracle.Sources(connection), at, window)
        assert stored[None]["unattributed_events"] == 2
        assert stored[None]["unattributed_customers"] == 1
        assert stored[str(tenant)]["events_by_type"] == {"(none)": 3, "customer_status_change": 1}
        assert stored[str(tenant)]["customers_by_status"] == {"(none)": 2}
        assert stored[str(unknown)]["total_customers"] == 1
        # The future's rows wait for their time.
        connection.execute("update customer_events set created_at = now() where created_at > now()")
        connection.execute("update customers set created_at = now() where created_at > now()")
        with connected(database.settings, "test") as ours:
            summary = run.run(ours, database.settings).as_json()
        stored = oracle.stored(connection, dt.datetime.fromisoformat(summary["window_end"]))
        assert stored[str(tenant)]["events_by_type"]["login"] == 1
        assert stored[str(tenant)]["total_customers"] == 3
        assert "future_events" not in summary["bad_rows"]
    told = cli("run").stderr
    assert "unattributed events: 2" in told
    assert f"unknown consumers: 1: {unknown}" in told


def long_type(beginning: str) -> str:
    """Return a type that no index takes: 6,000 characters that do not compress."""
    text = "".join(hashlib.sha512(f"{beginning}{n}".encode()).hexdigest() for n in range(47))
    return (beginning * 200)[:200] + text[:5800]


def test_types_of_any_length_are_counted_under_one_name_by_every_command(
    database: Any, cli: Any
) -> None:
    # One is too long by a character, one is what another is counted as.
    types = [long_type("a"), long_type("ä"), "y" * 201, "y" * 200]
    names = [
        f"{kind[:200]} #{hashlib.sha256(kind.encode()).hexdigest()[:16]}" for kind in types[:3]
    ]
    types.append(names[0])
    names += ["y" * 200, f"{names[0][:200]} #{hashlib.sha256(names[0].encode()).hexdigest()[:16]}"]
    tenant = uuid.UUID(int=1)
    with database.connect() as connection:
        for day in range(1, 6):
            for count, kind in enumerate([*types, "login"], 1):
                for _ in range(count):
                    connection.execute(
                        "insert into customer_events (event_id, consumer_id, event_type, "
                        "created_at) values (%s, %s, %s, %s)",
                        [uuid.uuid4(), tenant, kind, dt.datetime(2025, 1, day, 12, tzinfo=dt.UTC)],
                    )
    summary = cli("run", "--as-of", "2025-01-03", "--json").json
    assert summary["bad_rows"]["events_of_long_types"] == 2 * (1 + 2 + 3 + 5)
    for command in (
        # Days that are known, days that are not, days that are cut.
        ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-06"),
        ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-06"),
        ("run", "--as-of", "2025-01-04T18:00:00Z"),
        ("sweep", "--days", "30"),
        ("audit",),
        ("status",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout[-500:], done.stderr[-500:])
    for at, by_type in database.rows(
        "select snapshot_timestamp, metrics_json -> 'events_by_type' from consumer_analytics "
        "where consumer_id is not null"
    ):
        days = (at + dt.timedelta(hours=12)).day - 1
        assert by_type == {
            name: days * count for count, name in enumerate([*names, "login"], 1) if days
        }
    assert database.rows("select count(*) from consumer_analytics_revisions") == [(0,)]
    with database.connect() as connection:
        at = dt.datetime(2025, 1, 4, 18, tzinfo=dt.UTC)
        stored = oracle.without_window(oracle.stored(connection, at))
        assert stored == oracle.without_window(oracle.snapshot(oracle.Sources(connection), at))


def test_a_long_status_is_a_status(database: Any, cli: Any) -> None:
    status = long_type("s")
    tenant, customer = uuid.UUID(int=1), uuid.UUID(int=2)
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, %s, '2025-01-01 12:00')",
        [customer, tenant, "ACTIVE"],
    )
    database.execute(
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) values (gen_random_uuid(), %s, %s, 'customer_status_change', "
        "%s, '2025-01-03 12:00')",
        [customer, tenant, json.dumps({"old_status": status, "new_status": "ACTIVE"})],
    )
    for command in (
        ("run", "--as-of", "2025-01-03"),
        ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-05"),
        ("sweep", "--days", "30"),
        ("audit",),
        ("status",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout[-500:], done.stderr[-500:])
    assert database.rows(
        "select snapshot_timestamp::date::text, metrics_json -> 'customers_by_status' "
        "from consumer_analytics where consumer_id is not null order by 1"
    ) == [
        ("2025-01-02", {status: 1}),
        ("2025-01-03", {status: 1}),
        ("2025-01-04", {"ACTIVE": 1}),
        ("2025-01-05", {"ACTIVE": 1}),
    ]


@pytest.mark.parametrize("capture", lanes.first(1, [True, False]))
def test_rows_without_a_time_are_told_and_count_nowhere(
    database: Any, cli: Any, capture: bool
) -> None:
    tenant, undated, born = (uuid.UUID(int=number) for number in (1, 2, 3))
    for table in ("consumers", "customers", "customer_events"):
        database.execute(f"alter table {table} alter created_at drop not null")
    if capture:
        assert cli("capture", "enable").exit_code == 0
        assert cli("run", "--as-of", "2025-01-02").exit_code == 0
    database.execute(
        f"""
        insert into consumers (consumer_id, created_at) values ('{undated}', null);
        insert into customers (customer_id, consumer_id, status, created_at) values
            ('{undated}', '{tenant}', 'ACTIVE', null),
            ('{born}', '{tenant}', 'ACTIVE', '2025-01-01');
        insert into customer_events (event_id, consumer_id, event_type, created_at) values
            (gen_random_uuid(), '{tenant}', 'login', null),
            (gen_random_uuid(), '{tenant}', 'login', null),
            (gen_random_uuid(), '{tenant}', 'login', '2025-01-01')
        """
    )
    done = cli("run", "--as-of", "2025-01-03", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["bad_rows"] == {
        "undated_events": 2,
        "undated_customers": 1,
        "undated_consumers": 1,
        "unknown_consumers": [str(tenant)],
    }
    for command in (
        ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-05"),
        ("sweep", "--days", "30"),
        ("audit",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stdout, done.stderr)
    assert (
        database.rows(
            "select consumer_id, metrics_json -> 'total_events', metrics_json -> 'total_customers' "
            "from consumer_analytics where consumer_id is not null"
        )
        == [(tenant, 1, 1)] * 4
    )
    found = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert found["source-times"]["verdict"] == "warning"
    assert "2 rows of customer_events" in str(found["source-times"])


@pytest.mark.parametrize("capture", lanes.first(0, [True, False], long=1))
def test_rows_that_are_given_a_time_count_from_then_on(
    database: Any, cli: Any, capture: bool
) -> None:
    """And no longer, where it is taken from them."""
    tenant = uuid.UUID(int=1)
    for table in ("consumers", "customers", "customer_events"):
        database.execute(f"alter table {table} alter created_at drop not null")
    database.execute(
        f"""
        insert into consumers (consumer_id, created_at) values ('{tenant}', '2025-01-01');
        insert into customers (customer_id, consumer_id, status, created_at)
        values ('{tenant}', '{tenant}', 'ACTIVE', null);
        insert into customer_events (event_id, consumer_id, event_type, created_at)
        values ('{tenant}', '{tenant}', 'login', null),
            -- By the day before it shows that nothing was purged.
            (gen_random_uuid(), '{tenant}', 'login', '2025-01-01 12:00')
        """
    )
    if capture:
        assert cli("capture", "enable").exit_code == 0
    figures = (
        "select metrics_json -> 'total_events', metrics_json -> 'total_customers' "
        "from consumer_analytics where consumer_id is not null order by snapshot_timestamp"
    )
    assert cli("run", "--as-of", "2025-01-03").exit_code == 0
    assert database.rows(figures) == [(1, 0)]
    for stamp, right in (("'2025-01-02'", (2, 1)), ("null", (1, 0))):
        database.execute(
            f"update customers set created_at = {stamp}; "
            f"update customer_events set created_at = {stamp} where event_id = '{tenant}'"
        )
        step = ("run", "--as-of", "2025-01-04") if capture else ("sweep", "--days", "30")
        done = cli(*step)
        assert done.exit_code == 0, done.stderr
        assert set(database.rows(figures)) == {right}
        done = cli("audit")
        assert done.exit_code == 0, done.stdout


@pytest.mark.parametrize("way", lanes.first(1, ["capture", "reset"]))
def test_an_event_of_any_kind_tells_the_birth_of_a_row_without_a_time(
    database: Any, cli: Any, way: str
) -> None:
    """So one that comes late changes means, though it is no lifecycle event."""
    tenant, customer = uuid.UUID(int=1), uuid.UUID(int=2)
    login = (
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, created_at) "
        f"values (gen_random_uuid(), '{customer}', '{tenant}', 'login', %s)"
    )
    database.execute(
        f"""
        alter table customers alter created_at drop not null;
        insert into customers (customer_id, consumer_id, status, created_at)
        values ('{customer}', '{tenant}', 'ACTIVE', null)
        """
    )
    database.execute(login, ["2025-01-03"])
    means = (
        "select (metrics_json -> 'avg_customer_lifetime_days')::float from consumer_analytics "
        "where consumer_id is not null order by snapshot_timestamp"
    )
    for day in ("2025-01-05", "2025-01-06"):
        assert cli("run", "--as-of", day).exit_code == 0
    assert [mean for (mean,) in database.rows(means)] == [2.0, 3.0]
    if way == "capture":
        assert cli("capture", "enable").exit_code == 0
    database.execute(login, ["2025-01-02"])
    if way == "reset":
        database.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
    assert cli("run", "--as-of", "2025-01-07").exit_code == 0
    assert [mean for (mean,) in database.rows(means)] == [3.0, 4.0, 5.0]
    done = cli("audit")
    assert done.exit_code == 0, done.stdout


UNREADABLE = {
    "doubled": json.dumps(json.dumps({"old_status": "NEW", "new_status": "ACTIVE"})),
    "array": '[{"old_status": "NEW"}]',
    "null": "null",
    "number": "7",
    "no old status": '{"new_status": "ACTIVE"}',
    "empty": "{}",
}


@pytest.mark.long
def test_lifecycle_events_that_cannot_be_read_are_passed_over_and_told(
    database: Any, cli: Any
) -> None:
    tenant, customer, other = (uuid.UUID(int=number) for number in (1, 2, 3))
    database.execute(
        "insert into customers (customer_id, consumer_id, status, created_at) "
        "values (%s, %s, 'ACTIVE', '2025-01-01')",
        [customer, tenant],
    )
    add = (
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) values (%s, %s, %s, %s, %s, '2025-01-03 12:00')"
    )
    for number, payload in enumerate(UNREADABLE.values(), 100):
        database.execute(
            add, [uuid.UUID(int=number), customer, tenant, "customer_status_change", payload]
        )
    # A creation says what it is to say without a status, but not as a string.
    database.execute(add, [uuid.UUID(int=200), other, tenant, "customer_creation", "{}"])
    database.execute(add, [uuid.UUID(int=201), other, tenant, "customer_creation", '"{}"'])
    database.execute(add, [uuid.UUID(int=202), None, tenant, "customer_deletion", "{}"])
    done = cli("run", "--as-of", "2025-01-03", "--json")
    assert done.exit_code == 0, done.stderr
    # What the run has not read it does not tell of.
    assert done.json["bad_rows"] == {"unknown_consumers": [str(tenant)]}
    done = cli("run", "--as-of", "2025-01-05", "--json")
    assert done.json["bad_rows"] == {
        "unknown_consumers": [str(tenant)],
        "unreadable_lifecycle_events": len(UNREADABLE) + 1,
        "lifecycle_events_without_customer": 1,
    }
    assert database.rows(
        "select distinct metrics_json -> 'customers_by_status' from consumer_analytics "
        "where consumer_id is not null"
    ) == [({"ACTIVE": 1},)]
    found = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert found["source-lifecycle"]["verdict"] == "warning"
    assert str(uuid.UUID(int=100)) in str(found["source-lifecycle"])
    database.execute("delete from customer_events")
    found = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert found["source-lifecycle"]["verdict"] == "ok"


#: What a column of type json takes, by what can be read of it.
AS_JSON = {
    None: [
        r'{"old_status": "A\u0000", "status": "A\u0000"}',
        r'{"old_status": "NEW", "status": "NEW", "of \\\u0000": 1}',
        r'{"old_status": "NEW", "status": "NEW", "half": "\uD83D"}',
        r'{"old_status": "NEW", "status": "NEW", "halves": ["\uD83D\uD83D\uDE00", "\uDE00"]}',
    ],
    "NEW": [
        r'{"old_status": "NEW", "status": "NEW", "smile": "\uD83D\ude00", "text": "\\u0000\\"}',
        '{"old_status": "NEW", "status": "NEW", "more than any number": 1e999999}',
        '{"old_status": "OLD", "old_status": "NEW", "status": "NEW"}',
    ],
    "1e2": ['{"old_status": 1e2, "status": 1e2}'],
    '{"a":  1}': ['{"old_status": {"a":  1}, "status": {"a":  1}}'],
}


@pytest.mark.both_versions
def test_what_type_json_takes_and_nobody_can_read_stops_nothing(database: Any, cli: Any) -> None:
    """Asked for any key of it, PostgreSQL answers with an error; and jsonb has other texts."""
    database.execute("alter table customer_events alter payload_json type json")
    tenant = uuid.UUID(int=1)
    database.execute(
        "insert into consumers (consumer_id, name, created_at) values (%s, 'A', '2025-01-01')",
        [tenant],
    )
    add = (
        "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
        "payload_json, created_at) values (gen_random_uuid(), %s, %s, %s, %s, %s)"
    )
    said = [(status, payload) for status, some in AS_JSON.items() for payload in some]

    def happens(day: int) -> None:
        for number, (_, payload) in enumerate(said):
            there, gone = uuid.UUID(int=100 * day + number), uuid.UUID(int=1000 * day + number)
            database.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                "values (%s, %s, 'ACTIVE', %s)",
                [there, tenant, dt.datetime(2025, 1, day, 1, tzinfo=dt.UTC)],
            )
            for customer, kind, hour in [
                (there, "customer_status_change", 20),
                (gone, "customer_creation", 1),
                (gone, "customer_deletion", 20),
            ]:
                at = dt.datetime(2025, 1, day, hour, tzinfo=dt.UTC)
                database.execute(add, [customer, tenant, kind, payload, at])

    def statuses(at: str) -> dict[str, int]:
        ((found,),) = database.rows(
            "select metrics_json -> 'customers_by_status' from consumer_analytics "
            "where consumer_id is not null and snapshot_timestamp = %s",
            [at],
        )
        return dict(found)

    happens(2)
    done = cli("run", "--as-of", "2025-01-02 12:00", "--json")
    assert done.exit_code == 0, done.stderr
    # What a change cannot tell, the row does; what a deletion cannot, nothing.
    right = Counter(status or other for status, _ in said for other in ("ACTIVE", "(none)"))
    assert statuses("2025-01-02 12:00Z") == right
    done = cli("run", "--as-of", "2025-01-03", "--json")
    # The creations it had read before.
    assert done.json["bad_rows"]["unreadable_lifecycle_events"] == 2 * len(AS_JSON[None])
    assert statuses("2025-01-03Z") == {"ACTIVE": len(said)}
    found = {check["check"]: check for check in cli("doctor", "--json").json["checks"]}
    assert found["source-lifecycle"]["verdict"] == "warning"
    assert cli("capture", "enable").exit_code == 0
    assert cli("audit").exit_code == 0
    happens(3)
    for command in (
        ("run", "--as-of", "2025-01-04"),
        ("audit", "--since-last"),
        ("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-04"),
        ("audit",),
    ):
        done = cli(*command)
        assert done.exit_code == 0, (command, done.stderr, done.stdout)
    assert statuses("2025-01-02 12:00Z") == right


def test_deletions_that_end_no_life_are_told(database: Any, cli: Any) -> None:
    present, gone = uuid.UUID(int=1), uuid.UUID(int=2)
    database.execute(
        "insert into customers (customer_id, status, created_at) values (%s, 'NEW', '2025-01-01')",
        [present],
    )
    for customer, kind, day in [
        (present, "customer_deletion", 3),
        (gone, "customer_creation", 2),
        (gone, "customer_deletion", 3),
        # In the same microsecond, and later.
        (gone, "customer_deletion", 3),
        (gone, "customer_deletion", 4),
        (gone, "customer_creation", 5),
        (gone, "customer_deletion", 6),
    ]:
        database.execute(
            "insert into customer_events (event_id, customer_id, event_type, payload_json, "
            "created_at) values (gen_random_uuid(), %s, %s, '{}', %s)",
            [customer, kind, dt.datetime(2025, 1, day, tzinfo=dt.UTC)],
        )
    told = cli("run", "--as-of", "2025-01-10", "--json").json["bad_rows"]
    assert told["second_deletions"] == 2
    assert told["deletions_of_customers_present"] == 1
    told = cli("run", "--as-of", "2025-01-11", "--json").json["bad_rows"]
    assert not {"second_deletions", "deletions_of_customers_present"} & set(told)


def test_row_level_security_on_a_source_is_an_error_and_no_silent_undercount(
    database: Any, cli: Any
) -> None:
    database.execute(
        "alter table customer_events enable row level security;"
        "alter table customer_events force row level security"
    )
    done = cli("run")
    assert done.exit_code == 1
    assert "row-level security hides rows of public.customer_events" in done.stderr
