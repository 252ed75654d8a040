"""An upgrade brings what capture has come to need, or says that it may not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from psycopg import sql

from consumer_analytics.etl import capture
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
