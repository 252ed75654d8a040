"""The figures of this moment: those that a run would write, shown to whoever may see them."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from tests.conftest import Database
from tests.support import lanes, oracle
from tests.support.history import random_history
from tests.support.oracle.reading import shaped, stored
from tests.support.roles import Roles
from tests.support.runs import in_one_go
from tests.support.writers import Application
from tests.support.zoo.ground import Ground
from tests.support.zoo.history import History, script_of
from tests.support.zoo.kinds import PRESETS

from consumer_analytics.db.connection import connected
from consumer_analytics.errors import SourceError
from consumer_analytics.etl import vanished
from consumer_analytics.reporting import moment

BEGIN = dt.datetime(2025, 3, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
VIEW = "select * from consumer_analytics_now"
WHOLE = "select settled_to, unsettled_because from consumer_analytics_now where consumer_id is null"
#: As the view reads, as of what is settled: first who is writing, then what is there.
SETTLED = """
create or replace function pg_temp.settled_figures()
returns table (settled_to timestamptz, consumer_id uuid, metrics_json jsonb)
language plpgsql volatile as $$
declare
    settled record;
begin
    settled := consumer_analytics_internal.settled();
    return query
    select settled.settled_to, found.consumer_id, found.metrics_json
    from consumer_analytics_internal.figures_at(settled.settled_to, null) as found;
end
$$
"""
#: One history that has everything for each change; the others in the long lane.
CASES = sorted(
    ((kinds, seed) for kinds in PRESETS for seed in range(4)), key=lambda case: case != ("all", 0)
)
#: What a column of type json takes, and the status that it tells.
AS_JSON = (
    (r'{"old_status": "A\u0000", "status": "A\u0000"}', None),
    (r'{"old_status": "NEW", "status": "NEW", "half": "\uD83D"}', None),
    (r'{"old_status": "NEW", "status": "NEW", "of \\\u0000": 1}', None),
    (r'{"old_status": "NEW", "status": "NEW", "smile": "\uD83D\ude00", "text": "\\u0000"}', "NEW"),
    ('{"old_status": "NEW", "status": "NEW", "more than any number": 1e999999}', "NEW"),
    ('{"old_status": 1e999999, "status": 1e999999}', "1e999999"),
)
Figures = dict[str | None, dict[str, Any]]


def as_of(connection: Any, at: dt.datetime) -> Figures:
    """Return the figures as of an instant, in the oracle's shape."""
    rows = connection.execute(
        "select consumer_id, metrics_json from consumer_analytics_internal.figures_at(%s, null)",
        [at],
    )
    return {None if one is None else str(one): shaped(metrics) for one, metrics in rows}


# -- exactness -----------------------------------------------------------------------------------


def test_any_instant_since_the_last_run_equals_the_recount(database: Database) -> None:
    with database.connect() as connection, database.connect("run", writes_sources=False) as ours:
        random_history(connection, random.Random(5), BEGIN, BEGIN + 6 * DAY)
        sources = oracle.Sources(connection)
        for processed in (None, BEGIN + 2 * DAY, BEGIN + 4 * DAY):
            if processed:
                in_one_go(ours, database.settings, processed)
            for hours in (1, 37, 24 * 7):
                at = (processed or BEGIN) + dt.timedelta(hours=hours)
                true = oracle.snapshot(sources, at, processed or EPOCH)
                assert as_of(connection, at) == true, at


class Asking(Ground):
    """A ground on which each run has to write what was told just before it."""

    asked = 0

    def run(self, at: dt.datetime, *, in_steps: bool = False) -> None:
        """Ask, run, and compare."""
        told = as_of(self.app, at) if self._is_next(at) else None
        super().run(at, in_steps=in_steps)
        there = stored(self.app, at)
        if told is not None and there:
            self.asked += 1
            assert told == there, at

    def _is_next(self, at: dt.datetime) -> bool:
        """Tell whether a run as of an instant counts no day again."""
        rows = self.app.execute(
            "select processed_through < %s and processed_through <= last_processed_timestamp "
            "and not exists (select from consumer_analytics_internal.touched_days as touched "
            "where touched.day < processed_through) "
            "from consumer_analytics_internal.state join etl_job_watermarks using (job_name)",
            [at],
        )
        return bool((rows.fetchone() or (False,))[0])


class Compared(History):
    """A history of which what is told of the moment is compared, and nothing else."""

    def _compare(self) -> None:
        self._differences()

    def _again(self, again: Callable[[], Any]) -> None:
        again()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("kinds", "seed"), lanes.seldom(3, lanes.first(1, CASES)))
def test_a_run_writes_what_was_told_whatever_happened(
    database: Database, kinds: str, seed: int
) -> None:
    settings = database.settings
    with (
        connected(settings, "zoo", writes_sources=True) as app,
        connected(settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, settings)
        script = script_of(PRESETS[kinds], seed, 10)
        assert len(list(Compared(ground, PRESETS[kinds], seed).play(script))) == len(script)
        assert ground.asked


def test_rows_of_the_future_wait(database: Database) -> None:
    """Of a customer that will change, be deleted, or come: what it is until then."""
    one, other, third = (uuid.UUID(int=number) for number in (1, 2, 3))
    with database.connect() as connection:
        for customer, status in ((one, "BLOCKED"), (other, "ACTIVE")):
            connection.execute(
                "insert into customers (customer_id, consumer_id, status, created_at) "
                "values (%s, %s, %s, %s)",
                [customer, third, status, BEGIN],
            )
        connection.execute(
            "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
            "payload_json, created_at) values "
            "(gen_random_uuid(), %(one)s, %(third)s, 'customer_status_change', "
            """'{"old_status": "ACTIVE", "new_status": "BLOCKED"}', now() + interval '1 day'), """
            "(gen_random_uuid(), %(third)s, %(third)s, 'customer_creation', "
            """'{"status": "ACTIVE"}', now() - interval '1 day'), """
            "(gen_random_uuid(), %(third)s, %(third)s, 'customer_deletion', "
            """'{"status": "INACTIVE"}', now() + interval '1 day')""",
            {"one": one, "third": third},
        )
        rows = connection.execute(VIEW).fetchall()
        sources = oracle.Sources(connection)
    assert len(rows) == 2
    at = rows[0][1]
    true = oracle.snapshot(sources, at, EPOCH)
    assert {None if row[0] is None else str(row[0]): shaped(row[4]) for row in rows} == true
    assert true[str(third)]["customers_by_status"] == {"ACTIVE": 2, "INACTIVE": 1}
    assert true[None]["total_events_all_consumers"] == 1


def test_of_several_creations_the_last_that_can_be_read_tells_the_end(
    database: Database,
) -> None:
    """Of a life whose deletion, which is still to come, does not tell it: as runs have it."""
    one = uuid.UUID(int=1)
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, database.settings)
        for kind, hours, payload in (
            ("customer_creation", 1, {"status": "PENDING"}),
            ("customer_creation", 2, {"status": "ACTIVE"}),
            ("customer_creation", 3, {}),
            ("customer_deletion", 99, {}),
        ):
            at = BEGIN + dt.timedelta(hours=hours)
            ground.event(kind, at, customer=one, consumer=one, payload=payload)
        for day in (1, 2):
            ground.run(BEGIN + day * DAY)
            said = stored(app, BEGIN + day * DAY)[str(one)]
            assert said["customers_by_status"] == {"ACTIVE": 1}
        assert ground.asked == 2
        assert ground.audit().clean


def test_rows_that_went_twice_since_the_last_run_are_told_by_events_in_their_order(
    database: Database,
) -> None:
    """An event tells of the first time, and nothing of the second."""
    one = uuid.UUID(int=1)
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, database.settings)
        ground.capture(True)
        for status, hours in (("ACTIVE", 1), ("BACK", 9)):
            ground.row(one, one, status, BEGIN)
            for kind in ("customer_creation", "customer_deletion"):
                if (status, kind) != ("BACK", "customer_deletion"):
                    at = BEGIN + dt.timedelta(hours=hours + (kind == "customer_deletion"))
                    ground.event(kind, at, customer=one, consumer=one, payload={"status": status})
            app.execute("delete from customers")
        ground.run(BEGIN + DAY)
        said = stored(app, BEGIN + DAY)[str(one)]
        assert said["customers_by_status"] == {"BACK": 1}
        assert ground.asked == 1
        assert ground.audit().clean


def test_a_row_from_between_two_deletions_began_a_life_that_the_second_one_ended(
    database: Database,
) -> None:
    """What goes on began with the creation after it."""
    one = uuid.UUID(int=1)
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, database.settings)

        def told(kind: str, day: int) -> None:
            at = BEGIN + day * DAY
            said = {"status": "ACTIVE"}
            ground.event(f"customer_{kind}", at, customer=one, consumer=one, payload=said)

        ground.row(one, one, "ACTIVE", BEGIN)
        told("creation", 0)
        ground.run(BEGIN + DAY)
        app.execute("delete from customers")
        ground.row(one, one, "ACTIVE", BEGIN + 2 * DAY)
        for kind, day in (("deletion", 1), ("deletion", 3), ("creation", 5)):
            told(kind, day)
        ground.run(BEGIN + 6 * DAY)
        figures = stored(app, BEGIN + 6 * DAY)[str(one)]
        assert figures["avg_customer_lifetime_days"] == 1.0
        assert ground.asked == 2
        assert ground.audit().clean


def test_what_happened_twice_at_once_is_no_sign_of_itself(database: Database) -> None:
    """Born and deleted in one microsecond, twice: neither life counts, nor begins another."""
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, database.settings)
        owner, back = uuid.UUID(int=1), uuid.UUID(int=2)
        ground.run(BEGIN + DAY / 2)
        ground.row(back, owner, "ACTIVE", None)
        for day in (1, 3):
            for kind in ("customer_creation", "customer_deletion"):
                at = BEGIN + day * DAY
                told = {"status": "ACTIVE"}
                ground.event(kind, at, customer=back, consumer=owner, payload=told)
        ground.event("login", BEGIN + 4.5 * DAY, customer=back, consumer=owner)
        ground.event("customer_creation", BEGIN + 4.6 * DAY, customer=back, consumer=owner)
        ground.run(BEGIN + 5 * DAY)
        assert ground.asked == 2
        assert ground.audit().clean


@pytest.mark.both_versions
def test_payloads_that_nobody_can_read_tell_nothing(database: Database) -> None:
    """Type json takes them, and whoever asks for a key is told an error."""
    owner = uuid.UUID(int=1)
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        app.execute("alter table customer_events alter payload_json type json")
        ground = Asking(app, ours, database.settings)
        ground.run(BEGIN)
        for number, (payload, _) in enumerate(AS_JSON):
            there, gone = uuid.UUID(int=100 + number), uuid.UUID(int=200 + number)
            ground.row(there, owner, "ACTIVE", BEGIN + DAY)
            for customer, kind, days in (
                (there, "customer_status_change", 3),
                (gone, "customer_creation", 1),
                (gone, "customer_deletion", 3),
            ):
                app.execute(
                    "insert into customer_events (event_id, customer_id, consumer_id, event_type, "
                    "payload_json, created_at) values (gen_random_uuid(), %s, %s, %s, %s, %s)",
                    [customer, owner, kind, payload, BEGIN + days * DAY],
                )
        for days in (2, 4):
            ground.run(BEGIN + days * DAY)
        # What a change cannot tell, the row does; what a deletion cannot, nothing.
        right = Counter(status or other for _, status in AS_JSON for other in ("ACTIVE", "(none)"))
        assert stored(app, BEGIN + 2 * DAY)[str(owner)]["customers_by_status"] == right
        assert ground.asked == 3
        assert ground.audit().clean


def test_what_was_accepted_never_happened(database: Database) -> None:
    """Nobody went and came back, and of whom nothing is left nothing is told."""
    back, over, owner = (uuid.UUID(int=number) for number in (1, 2, 3))
    with (
        connected(database.settings, "zoo", writes_sources=True) as app,
        connected(database.settings, "zoo") as ours,
    ):
        ground = Asking(app, ours, database.settings)

        def happens(customer: uuid.UUID, kind: str, day: float) -> None:
            at = BEGIN + day * DAY
            told = {"status": "ACTIVE"}
            ground.event(kind, at, customer=customer, consumer=owner, payload=told)

        ground.row(back, owner, "ACTIVE", BEGIN)
        for customer, kind, day in (
            (back, "customer_deletion", 0.5),
            (back, "customer_creation", 1.5),
            (over, "customer_creation", 0.2),
            (over, "customer_deletion", 1.2),
        ):
            happens(customer, kind, day)
        for day in (1, 2):
            ground.run(BEGIN + day * DAY)
        app.execute("delete from customer_events")
        ground.sweep(dt.date.min)
        ground.sweep(accepted=vanished.EVERYTHING)
        # A creation that comes since moves nothing.
        happens(back, "customer_creation", 2.5)
        ground.run(BEGIN + 3 * DAY)
        figures = [stored(app, BEGIN + day * DAY)[str(owner)] for day in (1, 2, 3)]
        assert [one["total_customers"] for one in figures] == [1, 1, 1]
        assert [one["avg_customer_lifetime_days"] for one in figures] == [1.0, 2.0, 3.0]
        assert ground.asked == 3
        assert ground.audit().clean


# -- what is settled -----------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_beside_writers_what_is_settled_stays_as_told(database: Database) -> None:
    """A run as of what was settled writes what was told; the view counts all that is settled."""
    application = Application(database.url, 11, writers=8)
    compared, seen = 0, []
    with (
        psycopg.connect(database.url, autocommit=True) as asking,
        database.connect("run", writes_sources=False) as ours,
    ):
        asking.execute(SETTLED)
        in_one_go(ours, database.settings, BEGIN)
        application.start()
        try:
            until = time.monotonic() + 8
            while time.monotonic() < until and compared < 3:
                rows = asking.execute(
                    "select *, (select processed_through from consumer_analytics_internal.state) "
                    "from pg_temp.settled_figures()"
                ).fetchall()
                whole = asking.execute(f"{VIEW} where consumer_id is null").fetchall()[0]
                seen.append((*whole[1:3], whole[4]["total_events_all_consumers"]))
                settled_to, processed = rows[0][0], rows[0][3]
                if settled_to <= processed:
                    in_one_go(ours, database.settings, processed)
                    continue
                told = {None if row[1] is None else str(row[1]): shaped(row[2]) for row in rows}
                in_one_go(ours, database.settings, settled_to)
                # What is still open is what the run was held back by: it wrote this instant.
                assert stored(asking, settled_to) == told
                compared += 1
        finally:
            application.stop()
        assert compared > 1
        for at, settled_to, events in seen:
            low, high = asking.execute(
                "select count(*) filter (where created_at < %s), count(*) from customer_events "
                "where created_at < %s and consumer_id is not null",
                [settled_to, at],
            ).fetchone() or (0, 0)
            assert low <= events <= high


def test_an_open_transaction_holds_back_what_is_settled(database: Database) -> None:
    with (
        psycopg.connect(database.url, autocommit=True) as connection,
        psycopg.connect(database.url) as writer,
    ):
        began = writer.execute("select now()").fetchone()
        assert began is not None
        time.sleep(0.3)
        assert connection.execute(WHOLE).fetchone() == (began[0], None)
        writer.rollback()
        settled_to, _ = connection.execute(WHOLE).fetchone() or (None, None)
        assert settled_to > began[0]


def test_where_it_cannot_be_told_what_is_settled_it_says_why(database: Database) -> None:
    with database.connect() as connection:
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            assert connection.execute(WHOLE).fetchone() == (
                None,
                "this transaction reads as of its beginning; ask in one that is READ COMMITTED",
            )
        with database.connect("run", writes_sources=False) as ours:
            in_one_go(ours, database.settings, BEGIN)
        connection.execute("update etl_job_watermarks set last_processed_timestamp = '1970-01-01'")
        assert connection.execute(WHOLE).fetchone() == (
            None,
            "the next run counts days again that were counted",
        )


def test_where_sessions_are_hidden_it_says_so(made: Roles) -> None:
    owner = sql.Identifier(f"{made.prefix}_owner")
    with made.database.connect_admin() as admin:
        admin.execute(sql.SQL("revoke pg_read_all_stats from {}").format(owner))
        with psycopg.connect(made.login("reader"), autocommit=True) as connection:
            settled_to, why = connection.execute(WHOLE).fetchone() or ("", "")
    assert settled_to is None
    assert why == "whoever owns the figures may not see when transactions of other sessions began"


# -- who may see what ----------------------------------------------------------------------------


@pytest.fixture
def made(database: Database) -> Iterator[Roles]:
    """Return the roles, applied to a database with four consumers."""
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    with database.connect() as connection:
        random_history(connection, random.Random(5), BEGIN, BEGIN + 3 * DAY)
    found = Roles(database)
    try:
        found.apply()
        yield found
    finally:
        found.clean()


def consumers_of(roles: Roles) -> list[uuid.UUID]:
    return [row[0] for row in roles.database.rows("select consumer_id from consumers order by 1")]


@pytest.mark.both_versions
def test_readers_see_all_and_tenants_their_own(made: Roles) -> None:
    """And neither has any right on the sources; whether something is settled both can tell."""
    own, *_ = consumers_of(made)
    reader, dashboard = made.login("reader"), made.login("dashboard")
    tenant = made.login()
    made.apply(add_tenants=[(made.made[-1], own)])
    everything = {row[0] for row in made.database.rows(VIEW)}
    for url in (reader, dashboard):
        with psycopg.connect(url, autocommit=True) as connection:
            rows = connection.execute(VIEW).fetchall()
            assert {row[0] for row in rows} == everything
            assert rows[0][2] is not None, rows[0][3]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select * from customers")
    with psycopg.connect(tenant, autocommit=True) as connection:
        rows = connection.execute(VIEW).fetchall()
        assert [row[0] for row in rows] == [own]
        assert rows[0][2] is not None, rows[0][3]
        for statement in (
            "select * from customer_events",
            "select * from consumer_analytics_internal.figures_now()",
            "select * from consumer_analytics_internal.figures_at(now(), null)",
            "select * from consumer_analytics_internal.settled()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_tenant_stays_one_however_it_asks(made: Roles) -> None:
    """Also as a reader by mistake, and a pool that switches roles shows nothing."""
    own, *_ = consumers_of(made)
    both = made.login("reader")
    made.apply(add_tenants=[(made.made[-1], own)])
    with psycopg.connect(both, autocommit=True) as connection:
        assert [row[0] for row in connection.execute(VIEW)] == [own]
    tenant = made.made[-1]
    pool = made.login("reader")
    with made.database.connect_admin() as admin:
        admin.execute(
            sql.SQL("grant {} to {}").format(sql.Identifier(tenant), sql.Identifier(made.made[-1]))
        )
    with psycopg.connect(pool, autocommit=True) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(tenant)))
        assert connection.execute(VIEW).fetchall() == []
        connection.execute("select count(*) from consumer_analytics")
    with made.database.connect_admin() as admin:
        admin.execute(sql.SQL("set role {}").format(sql.Identifier(tenant)))
        assert admin.execute(VIEW).fetchall() == []


def test_neither_plans_nor_messages_tell_a_tenant_of_others(made: Roles) -> None:
    own, *_ = consumers_of(made)
    tenant = made.login()
    made.apply(add_tenants=[(made.made[-1], own)])
    with psycopg.connect(tenant, autocommit=True) as connection:
        printed: list[str] = []
        connection.add_notice_handler(lambda one: printed.append(one.message_primary or ""))
        # What the server logs of statements it would send here too, of inner ones as well.
        connection.execute("set client_min_messages = log")
        connection.execute("set debug_print_plan = on")
        assert len(connection.execute(VIEW).fetchall()) == 1
        assert len(printed) == 1, "what was planned within is none of a tenant's business"
        plan = "\n".join(row[0] for row in connection.execute(f"explain verbose {VIEW}"))
        assert "customer_events" not in plan
        assert "event_totals" not in plan
    # What fails while it is read may quote a row: to the operator, not to a tenant.
    with made.database.connect_admin() as admin:
        admin.execute(
            "create function tell(n int) returns boolean language plpgsql immutable as $$ begin "
            "if current_setting('consumer_analytics_test.tells', true) = 'on' then "
            "raise exception using errcode = 'data_exception', message = 'a secret'; end if; "
            "return true; end $$"
        )
        admin.execute("create index on customers (consumer_id) where tell(1)")
    with psycopg.connect(tenant, autocommit=True) as connection:
        connection.execute("set consumer_analytics_test.tells = 'on'")
        with pytest.raises(psycopg.errors.RaiseException) as refused:
            connection.execute(VIEW)
    assert "secret" not in str(refused.value)
    assert "(22000)" in str(refused.value)
    with made.database.connect() as connection:
        connection.execute("set consumer_analytics_test.tells = 'on'")
        with pytest.raises(psycopg.errors.DataError, match="a secret"):
            connection.execute(VIEW)


def test_a_views_code_never_runs_with_the_owners_rights(made: Roles) -> None:
    """A source may be a view for runs; here it is refused, in a line, before it is read."""
    reader = made.login("reader")
    with made.database.connect() as connection:
        connection.execute("create table ran (who text)")
        connection.execute(
            "create function spy() returns boolean language plpgsql as "
            "$$ begin insert into ran values (current_user); return true; end $$"
        )
        connection.execute("alter table customers rename to customers_kept")
        connection.execute("create view customers as select * from customers_kept where spy()")
    with (
        psycopg.connect(reader, autocommit=True) as connection,
        pytest.raises(psycopg.errors.FeatureNotSupported, match=r"public\.customers is none"),
    ):
        connection.execute(VIEW)
    with made.database.connect() as connection:
        with pytest.raises(SourceError, match="reads tables only"), connection.transaction():
            moment.read(connection, None)
        assert connection.execute("select count(*) from ran").fetchone() == (0,)


def test_what_is_read_writes_nothing(made: Roles) -> None:
    """The code of whoever owns the sources, in an index, runs while a statement is planned."""
    reader = made.login("reader")
    with made.database.connect() as connection:
        connection.execute("create table planned (who text)")
        connection.execute("grant all on planned to public")
        connection.execute(
            "create function put() returns void language sql volatile as "
            "'insert into public.planned values (current_user)'"
        )
        connection.execute(
            "create function plant(n int) returns boolean language plpgsql immutable as $$ begin "
            "if current_setting('consumer_analytics_test.plants', true) = 'on' then "
            "perform public.put(); end if; return true; end $$"
        )
        connection.execute("create index on customers (consumer_id) where plant(1)")
    with psycopg.connect(reader, autocommit=True) as connection:
        connection.execute("set consumer_analytics_test.plants = 'on'")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(VIEW)
        connection.execute("set consumer_analytics_test.plants = 'off'")
        with connection.transaction():
            assert len(connection.execute(VIEW).fetchall()) > 1
            # The transaction may write as before.
            connection.execute("insert into planned values ('the reader')")
    assert made.database.rows("select * from planned") == [("the reader",)]
