"""Whatever a server, a database or a role sets for its sessions, the figures are the same."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database, Server
from tests.support import lanes
from tests.support.history import random_history

from consumer_analytics import backfill
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import ConsumerAnalyticsError, SessionError
from consumer_analytics.etl import capture, run
from consumer_analytics.fields import Secret
from consumer_analytics.reconcile import audit, sweep
from consumer_analytics.settings import Settings

DAY = dt.timedelta(days=1)
BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
END = BEGIN + 6 * DAY

#: What stops a session, or leaves it with what only a superuser may change: one clear line.
REFUSED = {
    "dynamic_library_path": "/nowhere",
    "session_replication_role": "replica",
    "zero_damaged_pages": "on",
    "session_preload_libraries": "no such library",
    "local_preload_libraries": "no such library",
}
#: What may end a session before it has been set up, or not.
HASTY = {"statement_timeout", "transaction_timeout", "idle_session_timeout"}
#: Of settings that are neither booleans nor enums, some values that could matter; of the other
#: numbers the least one.
FURTHER = {
    "DateStyle": ["German, DMY", "SQL, DMY", "Postgres, YMD"],
    "TimeZone": ["Pacific/Kiritimati", "America/St_Johns", "UTC+7"],
    "client_encoding": ["LATIN1", "SQL_ASCII", "WIN1252"],
    "search_path": ["evil, public", "evil, pg_catalog, public", "", "nowhere"],
    "restrict_nonsystem_relation_kind": ["view, foreign-table"],
    "timezone_abbreviations": ["India"],
    "extra_float_digits": ["-15", "3"],
    "default_table_access_method": ["other_heap"],
    "default_text_search_config": ["pg_catalog.german"],
    "lc_messages": ["de_DE.UTF-8", "C"],
    "lc_numeric": ["de_DE.UTF-8"],
    "createrole_self_grant": ["set, inherit"],
    "application_name": ["theirs"],
    "dynamic_library_path": ["/nowhere"],
    "backtrace_functions": ["set_config_option"],
    "wal_consistency_checking": ["heap"],
    "session_preload_libraries": ["no such library"],
    "local_preload_libraries": ["no such library"],
    "max_parallel_workers_per_gather": ["8"],
    "gin_fuzzy_search_limit": ["1"],
    "lock_timeout": ["1"],
    "statement_timeout": ["1"],
    "idle_session_timeout": ["1"],
    "idle_in_transaction_session_timeout": ["1"],
    "transaction_timeout": ["1"],
    "commit_delay": ["1000"],
    "plpgsql.variable_conflict": ["use_variable", "use_column"],
    "plpgsql.extra_errors": ["all"],
    "plpgsql.check_asserts": ["off"],
    "plpgsql.print_strict_params": ["on"],
}
#: How many values a setting has at most, besides the one it has.
VALUES = 11
#: Their least value is for plans without an end, or costs a minute of waiting.
SPARED = {"vacuum_cost_delay", "application_name", "geqo_seed", "debug_discard_caches"}


@dataclass(frozen=True)
class Case:
    """A setting with a value that is not the one it has."""

    name: str
    value: str

    def __str__(self) -> str:
        """Return it as SQL has it."""
        return f"{self.name} = {self.value!r}"


def cases(server: Server) -> list[Case]:
    """Return all settings that a session, database or role can have, with their values."""
    found = []
    with server.connect_admin() as connection:
        for name, kind, setting, values, least in connection.execute(
            "select name, vartype, setting, enumvals, min_val from pg_settings "
            "where context in ('user', 'superuser', 'backend', 'superuser-backend') order by name"
        ).fetchall():
            if name in FURTHER:
                wanted = FURTHER[name]
            elif name in SPARED:
                wanted = []
            elif kind == "bool":
                wanted = ["on", "off"]
            elif kind == "enum":
                wanted = values
            elif kind in {"integer", "real"}:
                wanted = [least]
            else:
                wanted = []
            found += [Case(name, one) for one in wanted if one != setting]
        found += [
            Case(name, one)
            for name, values in FURTHER.items()
            if name.startswith("plpgsql.")
            for one in values
        ]
    return found


@pytest.fixture(scope="session")
def worlds() -> Iterator[dict[str, World]]:
    """Return each server's world, made when the first test asks for it."""
    built: dict[str, World] = {}
    yield built
    for one in built.values():
        for name in one.names:
            one.server.drop(name)


@pytest.fixture
def world(server: Server, worlds: dict[str, World]) -> World:
    """Return a history with snapshots, and what all that follows makes of it."""
    if server.origin not in worlds:
        worlds[server.origin] = World(server)
    return worlds[server.origin]


class World:
    """A database to copy, and the figures of a copy whose sessions have nothing set."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.names: list[str] = []
        self.template = self._make(server.template)
        with self.template.connect() as connection:
            random_history(connection, random.Random(7), BEGIN, END, customers=12, events=60)
            connection.execute(
                "insert into customer_events (event_id, event_type, created_at) "
                "values (gen_random_uuid(), 'Grüße ''\\n \"x\" NULL', %s)",
                [BEGIN + DAY],
            )
        with self.template.connect("capture") as connection:
            capture.enable(connection, self.template.settings)
        for at in (BEGIN + 2 * DAY, BEGIN + 3 * DAY):
            with connected(self.template.settings, "run") as connection:
                run.run(connection, self.template.settings, at=at)
        with self.template.connect_admin() as connection:
            with suppress(psycopg.Error):
                connection.execute(
                    "create access method other_heap type table handler heap_tableam_handler"
                )
            _bewitch(connection)
        self.right = self.of([])
        assert len(self.right) > 20

    def _make(self, template: str) -> Database:
        name = self.server.create(template)
        self.names.append(name)
        url = self.server.url(name)
        return Database(url, Settings(database_url=Secret(url)), self.server, name)

    def of(self, settings: list[Case]) -> dict[Any, Any]:
        """Return all figures of a copy whose sessions have settings from their start."""
        database = self._make(self.template.name)
        try:
            self._set(database, settings)
            return work(database)
        finally:
            self.server.drop(database.name)
            self.names.remove(database.name)

    def _set(self, database: Database, settings: list[Case]) -> None:
        with self.server.connect_admin() as connection:
            for case in settings:
                value: sql.Composable = sql.Literal(case.value)
                if case.name in {"search_path", "DateStyle"}:
                    value = sql.SQL(case.value or "''")
                # What no database can have is refused here.
                with suppress(psycopg.Error):
                    connection.execute(
                        sql.SQL("alter database {} set {} = {}").format(
                            sql.Identifier(database.name),
                            sql.Identifier(*case.name.split(".")),
                            value,
                        )
                    )


def _bewitch(connection: Any) -> None:
    """Make a schema whose functions and operators lie."""
    connection.execute("create schema evil; grant usage on schema evil to public")
    for one in (
        "function evil.now() returns timestamptz language sql as 'select null::timestamptz'",
        "function evil.lower(text) returns text language sql as 'select ''no'''",
        "function evil.length(text) returns integer language sql as 'select 7'",
        "function evil.concat(text, text) returns text language sql as 'select ''no'''",
        "function evil.equal(text, text) returns boolean language sql as 'select false'",
        "operator evil.= (leftarg = text, rightarg = text, function = evil.equal)",
        "function evil.less(timestamptz, timestamptz) returns bool language sql as 'select false'",
        "operator evil.< (leftarg = timestamptz, rightarg = timestamptz, function = evil.less)",
        "table evil.etl_job_watermarks (job_name text)",
        "table evil.consumer_analytics (analytics_id text)",
    ):
        connection.execute(f"create {one}")


@contextmanager
def application(database: Database) -> Iterator[Any]:
    """Return a session with what is set for it, which writes; times are none of its business."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("set statement_timeout = 0; set idle_session_timeout = 0")
        connection.execute("set client_encoding = 'UTF8'; set search_path = public, pg_catalog")
        connection.execute("set default_transaction_read_only = off; set TimeZone = 'UTC'")
        connection.execute("set idle_in_transaction_session_timeout = 0; set lock_timeout = 0")
        with suppress(psycopg.Error):
            connection.execute("set transaction_timeout = 0")
        yield connection


def work(database: Database) -> dict[Any, Any]:
    """Let late rows in, run, sweep, backfill and audit; return all that is reported then."""
    try:
        with application(database) as session:
            late(session)
    except psycopg.OperationalError:
        with database.connect() as session:
            late(session)
    settings = database.settings
    with connected(settings, "run") as connection:
        run.run(connection, settings, at=BEGIN + 4 * DAY)
    with connected(settings, "run") as connection:
        run.run(connection, settings, at=END)
    with connected(settings, "sweep") as connection:
        sweep.sweep(connection, settings, days=3)
    with connected(settings, "backfill") as connection:
        request = backfill.request_of("2025-03-01", "2025-03-03", "daily")
        backfill.backfill(connection, settings, request)
    with connected(settings, "audit") as connection:
        found = audit.audit(connection, settings)
        assert (found.differences, found.doubled_rows, found.awaiting) == (0, 0, 0), found
        # Numbers and text alone, which no setting writes otherwise.
        rows = connection.execute(
            "select consumer_id::text, extract(epoch from snapshot_timestamp)::bigint, "
            "metrics_json from public.consumer_analytics"
        ).fetchall()
    return {(consumer, at): figures for consumer, at, figures in rows}


def late(session: Any) -> None:
    """Let rows come late, change and go."""
    session.execute(
        "insert into customer_events (event_id, event_type, created_at) values "
        "('00000000-0000-0000-0000-000000000001', 'late', timestamptz '2025-03-01 12:00Z')"
    )
    session.execute(
        "update customers set status = 'LATE' where customer_id = "
        "(select min(customer_id::text)::uuid from customers)"
    )
    session.execute(
        "delete from customer_events where event_id = "
        "(select max(event_id::text)::uuid from customer_events "
        "where created_at < timestamptz '2025-03-03 00:00Z')"
    )


def bad(world: World, settings: list[Case]) -> list[str]:
    """Return what is wrong with settings; of several, each that is wrong by itself."""
    try:
        wrong = None if world.of(settings) == world.right else "other figures"
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        wrong = f"{type(error).__name__}: {error}"
    except AssertionError as error:
        wrong = f"the audit differs: {error}"
    if wrong is None:
        return []
    if len(settings) == 1:
        return [f"{settings[0]}: {wrong}"]
    middle = len(settings) // 2
    found = bad(world, settings[:middle]) + bad(world, settings[middle:])
    return found or [f"together {', '.join(map(str, settings))}: {wrong}"]


def acceptable(case: Case) -> bool:
    """Tell whether a session may be refused for it."""
    return REFUSED.get(case.name) == case.value or case.name in HASTY


@pytest.mark.both_versions
@pytest.mark.parametrize("nth", lanes.first(2, range(VALUES)))
def test_no_setting_changes_a_figure(world: World, nth: int) -> None:
    """All of them, a value of each at once: what differs is told by halves."""
    together: dict[str, list[Case]] = {}
    for case in cases(world.server):
        if not acceptable(case):
            together.setdefault(case.name, []).append(case)
    assert sum(map(len, together.values())) > 150
    assert max(map(len, together.values())) == VALUES, "none may be left out"
    found = bad(world, [values[nth] for values in together.values() if len(values) > nth])
    assert found == [], "\n".join(found)


@lanes.LONG
@pytest.mark.timeout(900)
@pytest.mark.both_versions(hours=True)
@pytest.mark.parametrize("part", lanes.first(0, range(6), long=1))
def test_no_setting_changes_a_figure_by_itself(world: World, part: int) -> None:
    """One that another makes up for."""
    wrong = [
        one
        for case in cases(world.server)[part::6]
        if not acceptable(case)
        for one in bad(world, [case])
    ]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_no_login_of_ours_can_take_back_is_refused_in_a_line(world: World, name: str) -> None:
    with pytest.raises((ConsumerAnalyticsError, psycopg.errors.UndefinedFile)) as refused:
        world.of([Case(name, REFUSED[name])])
    says = str(refused.value)
    assert "\n" not in says
    if name in {"session_replication_role", "zero_damaged_pages"}:
        assert isinstance(refused.value, SessionError)
        assert name in says
        assert "ALTER ROLE" in says


@pytest.mark.both_versions
@pytest.mark.parametrize("name", sorted(HASTY))
def test_a_session_that_is_ended_at_its_start_says_so_in_a_line(world: World, name: str) -> None:
    found = bad(world, [Case(name, "1")])
    assert found == [] or "at its start" in found[0] or "cannot be set" in found[0]
    assert "\n" not in "".join(found)


def test_what_a_session_has_by_itself(database: Database) -> None:
    with database.connect() as connection:
        for name, value in (
            ("synchronous_commit", "on"),
            ("standard_conforming_strings", "on"),
            ("search_path", "public"),
            ("client_connection_check_interval", "2s"),
        ):
            assert connection.execute(f"show {name}").fetchone() == (value,)
        assert not connection.pooled
