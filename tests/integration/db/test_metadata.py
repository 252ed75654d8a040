"""Airflow's metadata beside the product's tables: who may do what, in a database of anybody's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from consumer_analytics.errors import UpError
from consumer_analytics.local import metadata
from consumer_analytics.local.metadata import Metadata

pytestmark = pytest.mark.both_versions


@pytest.fixture
def role(server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return a name for Airflow's login: roles are the whole server's, and it may be shared."""
    name = f"ca_test_meta_{secrets.token_hex(4)}"
    monkeypatch.setattr(metadata, "ROLE", name)
    yield name
    with server.connect_admin() as connection:
        connection.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(name)))


@pytest.fixture
def place(role: str, database: Any) -> Iterator[Metadata]:
    """Return the metadata's place in the test's database, as `up` has it on its own server."""
    admin = make_conninfo(database.server.admin_url, dbname=database.name)
    yield Metadata(admin, database.url, password="right-" + secrets.token_hex(8))
    with database.connect_admin() as connection:
        connection.execute("drop schema if exists airflow cascade")
        if connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
            connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))


def as_airflow(place: Metadata, statement: str) -> None:
    """Do something as Airflow does."""
    with psycopg.connect(place.conninfo) as connection:
        connection.execute(statement)


def rows(database: Any, statement: str) -> list[tuple[Any, ...]]:
    """Return what a query answers in a session as people open one."""
    with psycopg.connect(database.url) as connection:
        return connection.execute(statement).fetchall()


def test_what_airflow_makes_is_found_by_the_product_s_login_without_a_prefix(
    place: Metadata, database: Any
) -> None:
    place.prepare()
    as_airflow(place, "create table dag_run as select 42 as id")
    assert rows(database, "select id from dag_run") == [(42,)]
    assert rows(database, "select to_regclass('airflow.dag_run') is not null") == [(True,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        rows(database, "delete from dag_run")
    # Its own tables still come first.
    assert rows(database, "select current_schema()") == [("public",)]


def test_airflow_may_not_write_what_the_product_counts(place: Metadata) -> None:
    place.prepare()
    for table in ("customer_events", "consumer_analytics", "etl_job_watermarks"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_airflow(place, f"delete from public.{table}")


def test_preparing_again_changes_nothing(place: Metadata, database: Any) -> None:
    settings = "select count(*), min(setconfig::text) from pg_db_role_setting where setrole <> 0"
    place.prepare()
    as_airflow(place, "create table dag_run as select 42 as id")
    before = rows(database, settings)
    place.prepare()
    assert rows(database, settings) == before
    assert rows(database, "select id from dag_run") == [(42,)]


def test_a_search_path_of_the_users_own_is_kept(place: Metadata, database: Any) -> None:
    database.execute("create schema shop; create table shop.goods as select 7 as id")
    with database.connect() as connection:
        connection.execute(
            sql.SQL(
                'alter role current_user in database {} set search_path = "$user", shop'
            ).format(sql.Identifier(database.name))
        )
    place.prepare()
    as_airflow(place, "create table dag_run as select 42 as id")
    assert rows(database, "select goods.id, dag_run.id from goods, dag_run") == [(7, 42)]


@pytest.fixture
def passwords_asked(server: Any, role: str) -> Iterator[None]:
    """Have the server ask Airflow's login for its password, as anybody's own server does."""

    def write(text: str) -> None:
        path.write_text(text)
        with server.connect_admin() as connection:
            asked = connection.execute("select now() from pg_reload_conf()").fetchone()[0]
        loaded = asked
        while loaded <= asked:
            with server.connect_admin() as connection:
                loaded = connection.execute("select pg_conf_load_time()").fetchone()[0]

    with server.connect_admin() as connection:
        path = Path(connection.execute("show hba_file").fetchone()[0])
    try:
        before = path.read_text()
        write(f"local all {role} scram-sha-256\n{before}")
    except OSError as error:
        pytest.skip(f"the server's pg_hba.conf is out of reach: {error}")
    yield
    write(before)


@pytest.mark.usefixtures("passwords_asked")
def test_a_lost_password_is_set_anew(place: Metadata) -> None:
    place.prepare()
    with pytest.raises(psycopg.OperationalError):
        as_airflow(Metadata(place.admin, place.reader, password="wrong"), "select 1")
    again = Metadata(place.admin, place.reader, password="another")
    again.prepare()
    as_airflow(again, "select 1")
    with pytest.raises(psycopg.OperationalError):
        as_airflow(place, "select 1")


def test_a_schema_of_somebody_elses_is_left_alone(place: Metadata, database: Any) -> None:
    database.execute("create schema airflow")
    with pytest.raises(UpError, match=r"has a schema airflow that is not ca_test_meta_\w+'s"):
        place.prepare()


def test_without_the_privilege_one_line_says_what_to_do(place: Metadata, database: Any) -> None:
    if database.server.role is None:
        pytest.skip("the test server's login is no superuser: owner and admin are one")
    with pytest.raises(UpError) as caught:
        Metadata(database.url, database.url, place.password).prepare()
    assert "--no-airflow" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("prepared", [False, True])
def test_without_superuser(place: Metadata, database: Any, role: str, prepared: bool) -> None:
    """CREATEROLE is enough; where an administrator has prepared all, nothing is."""
    if database.server.role is None:
        pytest.skip("the test server's login is no superuser: owner and admin are one")
    owner = sql.Identifier(database.server.role)
    with database.connect_admin() as connection:
        if prepared:
            name = sql.Identifier(role)
            connection.execute(
                sql.SQL("create role {} login password {}").format(name, place.password)
            )
            connection.execute(sql.SQL("create schema airflow authorization {}").format(name))
            connection.execute(
                sql.SQL("alter role {} in database {} set search_path = airflow").format(
                    name, sql.Identifier(database.name)
                )
            )
        else:
            connection.execute(sql.SQL("alter role {} createrole").format(owner))
    try:
        own = Metadata(database.url, database.url, place.password)
        own.prepare()
        own.prepare()
        as_airflow(own, "create table dag_run as select 42 as id")
        assert rows(database, "select id from dag_run") == [(42,)]
    finally:
        with database.connect_admin() as connection:
            connection.execute(sql.SQL("alter role {} nocreaterole").format(owner))


def test_sqlalchemy_reads_the_url_that_airflow_gets(place: Metadata) -> None:
    import sqlalchemy

    place.prepare()
    engine = sqlalchemy.create_engine(place.sqlalchemy_url)
    with engine.connect() as connection:
        row = connection.execute(
            sqlalchemy.text("select current_user::text, current_setting('application_name')")
        ).one()
    engine.dispose()
    assert tuple(row) == (metadata.ROLE, "airflow")
