"""A clock of the test's own in a real database: the engine asks it as it asks the server's.

The engine calls `clock_timestamp()` and reads `pg_stat_activity` by their plain names. A
schema before `pg_catalog` in the database's search path answers with the test's time, and
says of sessions when they began by it. Nothing of the engine is replaced.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg
from psycopg import sql

from consumer_analytics.db import session

_SETUP = """
create schema clock;
create table clock.moment (at timestamptz not null);
insert into clock.moment values ('2000-01-01Z');
create table clock.sessions (pid int primary key, began timestamptz not null);
create function clock.clock_timestamp() returns timestamptz language sql volatile
as 'select at from clock.moment';
create view clock.pg_stat_activity as
select
    activity.datname,
    activity.pid,
    activity.leader_pid,
    activity.usesysid,
    activity.usename,
    activity.application_name,
    activity.backend_type,
    activity.state,
    activity.query,
    activity.wait_event_type,
    activity.wait_event,
    activity.backend_xid,
    activity.backend_xmin,
    coalesce(sessions.began, moment.at) as backend_start,
    case when xact_start is not null then coalesce(sessions.began, moment.at) end as xact_start,
    case when query_start is not null then coalesce(sessions.began, moment.at) end as query_start
from pg_catalog.pg_stat_activity as activity
cross join clock.moment
left join clock.sessions using (pid);
alter table consumer_analytics_internal.runs alter opened_at set default clock.clock_timestamp();
"""


class FakeClock:
    """The clock of one database, which stands until it is set."""

    def __init__(self, database: Any, at: dt.datetime) -> None:
        """Put it into a migrated database, at an instant at which that was installed."""
        self.at = at
        # A session of ours sets its own path. Where there is no such schema what is made goes into
        # pg_catalog by this one: it lasts as long as the clock.
        self._path = session._SETTINGS["search_path"]
        session._SETTINGS["search_path"] = "clock, pg_catalog, public"
        with database.connect() as connection:
            connection.execute(_SETUP)
            connection.execute(
                sql.SQL("alter database {} set search_path = clock, pg_catalog, public").format(
                    sql.Identifier(database.name)
                )
            )
            connection.execute(
                "update consumer_analytics_internal.alembic_version set installed_at = %s", [at]
            )
        self._connection = psycopg.connect(database.url, autocommit=True)
        self.set(at)

    def set(self, at: dt.datetime) -> None:
        """Set it; it never goes back."""
        assert at >= self.at, f"{at} is before {self.at}"
        self.at = at
        self._connection.execute("update clock.moment set at = %s", [at])

    def began_now(self, session: psycopg.Connection[Any]) -> None:
        """Say that a session's transaction began at the clock's time."""
        self._connection.execute(
            "insert into clock.sessions values (%s, %s)", [session.info.backend_pid, self.at]
        )

    def close(self) -> None:
        """Let go of the database, and of the sessions' path."""
        session._SETTINGS["search_path"] = self._path
        self._connection.close()
