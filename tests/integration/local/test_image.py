"""What the image brings besides the product: preparing a database, and telling what is well."""

from __future__ import annotations

import importlib.util
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import Database, Server, command_environment
from tests.support import lanes

from consumer_analytics.local import metadata
from consumer_analytics.settings import PREFIX

IMAGE = Path(__file__).parents[3] / "deploy" / "image"
CONNECTION = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"


# -- preparing -------------------------------------------------------------------------


@pytest.fixture
def prepare_database() -> ModuleType:
    """Return the image's script."""
    spec = importlib.util.spec_from_file_location("prepare", IMAGE / "prepare_database.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def names(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Return names for the product's login and database, and for Airflow's login."""
    ours, airflows = (f"ca_test_{secrets.token_hex(4)}" for _ in range(2))
    monkeypatch.setattr(metadata, "ROLE", airflows)
    yield ours, airflows
    with server.connect_admin() as admin:
        admin.execute(sql.SQL("drop database if exists {}").format(sql.Identifier(ours)))
        for role in (ours, airflows):
            admin.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


def test_a_server_gets_logins_database_and_schema_and_new_passwords(
    server: Server,
    names: tuple[str, str],
    prepare_database: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, airflows = names
    files = {name: tmp_path / name for name in ("superuser", "ours", "metadata")}
    files["superuser"].write_text("not asked for on the socket\n")
    monkeypatch.setenv("SUPERUSER_URL", server.admin_url)
    monkeypatch.setenv("SUPERUSER_PASSWORD_FILE", str(files["superuser"]))
    url = make_conninfo(server.admin_url, user=ours, dbname=ours, password=None)
    monkeypatch.setenv(f"{PREFIX}DATABASE_URL", url)
    monkeypatch.setenv(f"{PREFIX}DATABASE_PASSWORD_FILE", str(files["ours"]))
    monkeypatch.setenv(f"{CONNECTION}_CMD", f"cat {files['metadata']}")
    # As when somebody has changed them: the second start takes the new ones over.
    for password in ("first", "second"):
        files["ours"].write_text(f"{password}-ours\n")
        files["metadata"].write_text(f"postgresql+psycopg://{airflows}:{password}-meta@db/{ours}\n")
        for file in files.values():
            file.chmod(0o600)
        prepare_database.prepare()
        with psycopg.connect(url, password=f"{password}-ours") as connection:
            assert connection.execute(
                "select rolsuper, rolcreaterole, pg_has_role('pg_read_all_stats', 'member'), "
                "pg_get_userbyid(datdba) from pg_roles, pg_database "
                "where rolname = current_user and datname = current_database()"
            ).fetchone() == (False, False, True, ours)
        meta = make_conninfo(url, user=airflows, password=f"{password}-meta")
        with psycopg.connect(meta) as connection:
            assert connection.execute("select current_schema()").fetchone() == ("airflow",)


# -- health ----------------------------------------------------------------------------


def health(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run the image's health check; return its exit code and what it said."""
    done = subprocess.run(
        [sys.executable, IMAGE / "health.py", *arguments],
        env=command_environment(variables),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stderr.strip()


@pytest.mark.parametrize(
    ("state", "host", "seconds", "said"),
    lanes.first(
        2,
        [
            ("running", "here", 5, ""),
            ("running", "here", 90, "silent for 9"),
            ("success", "here", 5, "has not been heard of here"),
            ("running", "there", 5, "has not been heard of here"),
        ],
    ),
)
def test_a_component_is_well_by_its_own_hosts_heartbeat(
    database: Database, state: str, host: str, seconds: int, said: str
) -> None:
    named = os.uname().nodename if host == "here" else host
    database.execute(
        "create table job (job_type text, hostname text, state text, latest_heartbeat timestamptz)"
    )
    database.execute(
        "insert into job values ('SchedulerJob', %s, %s, now() - %s * interval '1 second')",
        [named, state, seconds],
    )
    code, told = health("scheduler", **{CONNECTION: database.url})
    assert code == (1 if said else 0), told
    assert said in told


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    lanes.first(
        2,
        [
            (("webserver",), {}, "'webserver' is none of api-server, celery"),
            (("scheduler",), {}, f"KeyError: '{CONNECTION}'"),
            (("api-server",), {"AIRFLOW__API__PORT": "1"}, "Connection refused"),
            (("metrics",), {f"{PREFIX}METRICS_PORT": "1"}, "Connection refused"),
        ],
    ),
)
def test_what_is_not_well_is_said_in_a_line(
    arguments: tuple[str, ...], variables: dict[str, Any], said: str
) -> None:
    code, told = health(*arguments, **variables)
    assert code == 1
    assert said in told
    assert "\n" not in told
