"""Bad rows of every kind, and strings that try to be something else."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from tests.support import oracle

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
    "x" * 500,
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
