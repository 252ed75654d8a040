"""An upgrade brings what capture has come to need, or says that it may not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from psycopg import sql
from tests.support import own_names

from consumer_analytics.etl import capture
from consumer_analytics.settings import PREFIX
from consumer_analytics.sql import INTERNAL


@pytest.fixture
def before(database: Any) -> Any:
    """Return a database with capture on, as the version before 0038 has left it."""
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    database.execute(
        f"drop function {INTERNAL}.capture_truncating_customers cascade; "
        f"update {INTERNAL}.alembic_version "
        "set version_num = '0037', checksums = checksums[:37]"
    )
    return database


def state(database: Any) -> str:
    with database.connect() as connection:
        return capture.status(connection, database.settings).state


def test_a_trigger_that_a_version_brings_is_added(before: Any, cli: Any) -> None:
    assert state(before) == "incomplete"
    done = cli("migrate")
    assert done.exit_code == 0
    assert "capture has the triggers that this version brings" in done.stdout
    assert state(before) == "on"
    assert cli("migrate").stdout == "the schema is up to date\n"


def test_where_it_may_not_be_added_the_upgrade_says_so(before: Any, cli: Any) -> None:
    if before.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    other = sql.Identifier(f"ca_test_{uuid.uuid4().hex[:8]}")
    with before.connect_admin() as admin:
        (owner,) = admin.execute("select tableowner from pg_tables where tablename = 'customers'")
        admin.execute(sql.SQL("create role {}").format(other))
        admin.execute(sql.SQL("alter table customers owner to {}").format(other))
        try:
            done = cli("migrate")
        finally:
            admin.execute(
                sql.SQL("alter table customers owner to {}").format(sql.Identifier(*owner))
            )
            admin.execute(sql.SQL("drop owned by {o}; drop role {o}").format(o=other))
    assert done.exit_code == 0
    assert "applied  0038_truncated_customers\n" in done.stdout
    assert "add them as the tables' owner: consumer-analytics capture enable" in done.stdout
    assert state(before) == "incomplete"


#: As builds made it that let a detached partition's triggers fire.
UNCONDITIONAL = (
    "create or replace trigger consumer_analytics_capture_update after update on parts "
    "referencing old table as old_rows new table as new_rows for each statement "
    f"execute function {INTERNAL}.capture_updated_events()"
)


@pytest.fixture
def partitioned(database: Any) -> Any:
    """Return a database with capture on, and a source that has a partition."""
    database.execute(
        "alter table customer_events rename to kept; "
        "create table customer_events (like kept including defaults) "
        "partition by range (created_at); create table parts partition of customer_events default"
    )
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    return database


def test_a_trigger_that_this_version_makes_otherwise_is_named(partitioned: Any, cli: Any) -> None:
    """Also where no migration came with it, and by whatever asks."""
    assert cli("migrate").stdout == "the schema is up to date\n"
    partitioned.execute(UNCONDITIONAL)
    name = "parts.consumer_analytics_capture_update"
    for command in (("migrate",), ("migrate", "--check")):
        done = cli(*command)
        assert done.exit_code == 0
        assert done.stdout == (
            "capture is on, with triggers that are missing, off or differ from this version's "
            f"({name}): consumer-analytics capture enable   "
            "# as the login that owns the source tables\n"
            "the schema is up to date\n"
        )
    started = cli("up", "--no-airflow", "--once", "--no-sample")
    assert started.exit_code == 0, started.stderr
    assert started.stdout.count(f"differ from this version's ({name}): consumer-analytics ") == 1
    told = cli("capture", "status", "--json").json
    assert (told["state"], told["missing_triggers"], told["differing_triggers"]) == (
        "incomplete",
        [],
        [name],
    )
    assert f"trigger {name} differs from this version's" in cli("capture", "status").stderr
    checks = {one["check"]: one for one in cli("doctor", "--json").json["checks"]}
    assert checks["source-capture"]["evidence"] == [f"trigger {name} differs from this version's"]
    assert cli("capture", "enable", "--json").json["differing_triggers"] == []
    assert cli("migrate").stdout == "the schema is up to date\n"


def test_an_upgrade_makes_it_so_by_itself(partitioned: Any, cli: Any) -> None:
    partitioned.execute(UNCONDITIONAL)
    partitioned.execute(
        f"update {INTERNAL}.alembic_version set version_num = '0042', checksums = checksums[:42]"
    )
    assert "capture has the triggers that this version brings" in cli("migrate").stdout
    assert state(partitioned) == "on"


def test_capture_by_names_from_before_is_told(database: Any, cli: Any, tmp_path: Any) -> None:
    """Its triggers go on reading the rows as they were called."""
    with database.connect() as connection:
        capture.enable(connection, database.settings)
    mapping = own_names.mapping_file(tmp_path, '[values]\nACTIVE = "live"\n')
    said = cli("migrate", env={f"{PREFIX}SOURCES_FILE": str(mapping)}).stdout
    assert "took over the names of the sources" in said
    assert "or differ from this version's (" in said
