"""The server: whether it is there, who we are to it, and what its clock says."""

from __future__ import annotations

import datetime as dt
import time

import psycopg
from psycopg import sql

from consumer_analytics.calendar import days, instants
from consumer_analytics.db.connection import scalar
from consumer_analytics.errors import (
    ConsumerAnalyticsError,
    DatabaseUnreachableError,
    SessionError,
    TransactionPoolingError,
    UnsupportedDatabaseError,
)
from consumer_analytics.formatting import counted, duration, moment
from consumer_analytics.operations.doctor.findings import Check, Context, Finding, Fix, Verdict, ok
from consumer_analytics.sql import query

#: Differences of clocks that matter: to a schedule, and to anyone who reads logs.
_SKEW_WARNING = dt.timedelta(seconds=5)
_SKEW_PROBLEM = dt.timedelta(minutes=1)
#: Years in which the two zone data are compared.
_ZONE_YEARS_BACK, _ZONE_YEARS_AHEAD = 10, 3
#: Why a server that answers cannot be used, and what to do, by what refused it.
_REFUSED: dict[type[ConsumerAnalyticsError], tuple[str, str]] = {
    UnsupportedDatabaseError: (
        "snapshots are unique by a kind of constraint that came with PostgreSQL 15",
        "upgrade the server, or have its rows replicated to a newer one",
    ),
    TransactionPoolingError: (
        "a run's locks and temporary tables last longer than a transaction",
        "pool_mode = session   # of an entry of its own in the pooler's [databases]",
    ),
    SessionError: (
        "the server, the database or the login has a setting that changes what figures mean",
        "ALTER ROLE … RESET …, ALTER DATABASE … RESET …   -- `\\drds` in psql lists them",
    ),
}
#: Share of the server's connections in use from which on new ones may be refused.
_CROWDED = 0.9


def reachable(context: Context) -> Finding:
    """Tell whether the database answers."""
    if context.connection is None:
        refusal = context.refusal or DatabaseUnreachableError()
        cause, command = _REFUSED.get(
            type(refusal),
            ("the embedded server is not running", "consumer-analytics up")
            if context.settings.database_url is None
            else (
                "the server is down, the address is wrong, or the login is refused",
                "check CONSUMER_ANALYTICS_DATABASE_URL and that the server runs",
            ),
        )
        return Finding(
            Verdict.PROBLEM, "the database cannot be used", (str(refusal),), cause, Fix(command)
        )
    connection = context.database
    started = time.monotonic()
    database, login = connection.execute("select current_database(), current_user").fetchone() or (
        "",
        "",
    )
    milliseconds = (time.monotonic() - started) * 1000
    version = connection.info.parameter_status("server_version")
    return ok(
        f"PostgreSQL {version}, database {database}, login {login}, "
        f"answers in {milliseconds:.1f} ms"
    )


def login(context: Context) -> Finding:
    """Tell whether runs would work as this login."""
    connection = context.database
    row = connection.execute(query("operations/doctor/login")).fetchone() or (False, False)
    is_super, local = row
    if is_super and not (local or context.settings.allow_superuser):
        return Finding(
            Verdict.WARNING,
            f"login {connection.info.user} is a superuser",
            (),
            "runs refuse to work as a superuser on another machine's server",
            Fix("consumer-analytics roles   # then use a login in the role consumer_analytics_etl"),
        )
    if scalar(connection, "select pg_is_in_recovery()"):
        return Finding(
            Verdict.PROBLEM,
            "this server is a standby",
            (),
            "runs write, and on a standby nobody can",
            Fix("point CONSUMER_ANALYTICS_DATABASE_URL at the primary"),
        )
    return ok("runs can work as this login")


def pooler(context: Context) -> Finding:
    """Tell whether a pooler stands between; one that runs cannot work with lets no command in."""
    if not context.database.pooled:
        return ok("no pooler stands between")
    return ok(
        "a pooler stands between, and lends its sessions for as long as they are used",
        "leave it two sessions free, and server_reset_query as it is: DISCARD ALL",
    )


def sessions(context: Context) -> Finding:
    """Tell whether this login sees when the transactions of others began."""
    connection = context.database
    if scalar(connection, "select pg_has_role('pg_read_all_stats', 'usage')"):
        return ok("this login sees the sessions of others, and so whether rows are in flight")
    row = connection.execute(query("operations/doctor/sessions-hidden")).fetchone()
    hidden, logins = row or (0, [])
    return Finding(
        Verdict.PROBLEM if hidden else Verdict.WARNING,
        "this login cannot see when the transactions of others began",
        (f"there now: {counted(hidden, 'session')} of {', '.join(logins)}",) if hidden else (),
        "PostgreSQL shows that to members of pg_read_all_stats alone; a run that cannot tell "
        "whether rows are in flight refuses to work"
        + ("" if hidden else ": as soon as another login is connected"),
        Fix(
            sql.SQL("GRANT pg_read_all_stats TO {};   -- as a superuser")
            .format(sql.Identifier(scalar(connection, "select current_user")))
            .as_string(connection)
        ),
    )


def connections(context: Context) -> Finding:
    """Tell whether the server has room for more sessions."""
    used, allowed, reserved, most, most_of = context.database.execute(
        query("operations/doctor/connections")
    ).fetchone() or (0, 1, 0, "", 0)
    says = f"{used} of {allowed} connections in use"
    if used < (allowed - reserved) * _CROWDED:
        return ok(says)
    return Finding(
        Verdict.WARNING,
        says,
        (f"{most_of} of them by {most}", f"{reserved} are reserved for superusers"),
        "an application opens more sessions than it gives back; runs may soon be refused",
        Fix(
            "SELECT application_name, state, count(*) FROM pg_stat_activity "
            "GROUP BY 1, 2 ORDER BY 3 DESC;"
        ),
    )


def clock(context: Context) -> Finding:
    """Compare the server's clock with this machine's."""
    before = dt.datetime.now(dt.UTC)
    there = instants.now(context.database)
    after = dt.datetime.now(dt.UTC)
    # No answer is older than its question, nor younger than its arrival.
    skew = max(there - after, before - there, dt.timedelta())
    if skew < _SKEW_WARNING:
        return ok(f"the server's clock and this machine's agree ({there:%H:%M:%S} UTC)")
    direction = "ahead of" if there > after else "behind"
    return Finding(
        Verdict.PROBLEM if skew >= _SKEW_PROBLEM else Verdict.WARNING,
        f"the server's clock is {duration(skew)} {direction} this machine's",
        (f"server {moment(there)}", f"here   {moment(after)}"),
        "one of the two machines does not keep time. Figures go by the server's clock; a "
        "schedule goes by Airflow's machine, and a run for an instant that the server has not "
        "reached is refused",
        Fix("timedatectl set-ntp true   # on the machine whose clock is wrong"),
    )


def zone(context: Context) -> Finding:
    """Tell whether the server has the configured zone's clocks where we have them."""
    connection, settings = context.database, context.settings
    today = days.day_of(instants.now(connection), dt.UTC)
    begin = dt.date(today.year - _ZONE_YEARS_BACK, 1, 1)
    end = dt.date(today.year + _ZONE_YEARS_AHEAD, 1, 1)
    at = [
        instants.start_of(dt.date.fromordinal(day))
        for day in range(begin.toordinal(), end.toordinal())
    ]
    values = {
        "zone": settings.timezone,
        "instants": at,
        "clocks": [days.clock(one, settings.zone) for one in at],
    }
    try:
        row = connection.execute(query("operations/doctor/zone-differs"), values).fetchone()
    except psycopg.errors.InvalidParameterValue:
        return Finding(
            Verdict.WARNING,
            f"the server does not know the time zone {settings.timezone}",
            (),
            "its zone data are older than this machine's, or lack zones; figures do not go by them",
            Fix("update PostgreSQL, or the system's tzdata where PostgreSQL uses that"),
        )
    if row is None:
        return ok(f"the server's clocks of {settings.timezone} are ours")
    first, ours, theirs, differing = row
    return Finding(
        Verdict.WARNING,
        f"the server's rules for the time zone {settings.timezone} are not this machine's",
        (
            f"{counted(differing, 'day')} from {begin.year} to {end.year - 1} differ",
            f"at {moment(first)} clocks show {ours} here, {theirs} by the server's rules",
        ),
        "rules were changed, and one of the two has older zone data; snapshots are cut, audited "
        "and thinned by this machine's, and only SQL of your own goes by the server's",
        Fix("update tzdata here, on every machine that runs Airflow's tasks, and on the server"),
    )


CHECKS = (
    Check("database", "does the database answer?", reachable),
    Check("database-login", "can runs work as this login?", login),
    Check("database-pooler", "does a pooler stand between?", pooler),
    Check("database-sessions", "can this login see what others have open?", sessions),
    Check("database-connections", "has the server room for more sessions?", connections),
    Check("database-clock", "do the server and this machine agree on the time?", clock),
    Check("database-zone", "have they the same rules for the configured time zone?", zone),
)
