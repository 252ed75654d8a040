"""Airflow's metadata, in the schema `airflow` of the product's own database.

Airflow comes as a login of its own whose search path is that schema. The
product's login reads it: `dag_run` and the like are found without a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer_analytics.airflow import metadata_tables
from consumer_analytics.errors import UpError, one_line

ROLE = "airflow_meta"
SCHEMA = "airflow"
#: Since PostgreSQL 16 a member of a role is not always one that may become it.
_SET_OPTION = 16_00_00

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Metadata:
    """Where Airflow's metadata is, and how it gets there.

    Attributes:
        admin: connection string of a login that may make roles and schemas.
        reader: connection string of the product's own login, which shall read them.
        password: of Airflow's login.
    """

    admin: str
    reader: str
    password: str

    @property
    def conninfo(self) -> str:
        """The connection string of Airflow's login, as libpq takes it."""
        parts = conninfo_to_dict(self.reader)
        for name in ("options", "application_name", "passfile", "service"):
            parts.pop(name, None)
        return make_conninfo("", **{**parts, "user": ROLE, "password": self.password})

    @property
    def sqlalchemy_url(self) -> str:
        """The same as SQLAlchemy takes it, synchronous and asynchronous."""
        parts = {name: str(value) for name, value in conninfo_to_dict(self.conninfo).items()}
        database = quote(parts.pop("dbname", ROLE), safe="")
        user, password = parts.pop("user"), quote(parts.pop("password"), safe="")
        # In `pg_stat_activity`, and so in the message of a run that is held back.
        parts["application_name"] = "airflow"
        return f"postgresql+psycopg://{user}:{password}@/{database}?{urlencode(parts)}"

    # -- before Airflow's own migration ----------------------------------------

    def prepare(self) -> None:
        """Make role, schema, search paths and privileges, those that are missing.

        Raises:
            UpError: the login may not; or what is there is not ours.
        """
        try:
            with psycopg.connect(self.admin, autocommit=True) as connection:
                self._make_role_and_schema(connection)
            with self._connect() as connection:
                reader = self._let_read(connection)
            with psycopg.connect(self.reader, autocommit=True) as connection:
                _add_to_search_path(connection, reader)
        except psycopg.errors.InsufficientPrivilege as error:
            raise UpError(
                f"the database login may not prepare the schema {SCHEMA}: "
                f"{error.diag.message_primary}; have an administrator run once the "
                "statements that `consumer-analytics docs run-locally` shows, or start with "
                "--no-airflow"
            ) from None

    def _connect(self) -> Connection:
        """Connect as Airflow will."""
        try:
            return psycopg.connect(self.conninfo)
        except psycopg.OperationalError as error:
            raise UpError(
                f"the database login {ROLE} cannot connect: {one_line(error)}; its "
                "password is metadata_password in secrets.json of the home folder"
            ) from None

    def _make_role_and_schema(self, connection: Connection) -> None:
        role, schema = sql.Identifier(ROLE), sql.Identifier(SCHEMA)
        connection.execute("set client_min_messages = warning")

        def missing(question: str, *values: str) -> bool:
            return connection.execute(question, values).fetchone() is None

        if missing("select 1 from pg_roles where rolname = %s", ROLE):
            connection.execute(
                sql.SQL("create role {} login password {}").format(role, self.password)
            )
        elif not self._can_connect():
            connection.execute(
                sql.SQL("alter role {} login password {}").format(role, self.password)
            )
        if missing("select 1 from pg_namespace where nspname = %s", SCHEMA):
            # Who is no superuser must be able to become the schema's owner.
            able = "set" if connection.info.server_version >= _SET_OPTION else "member"
            if missing("select 1 where pg_has_role(current_user, %s, %s)", ROLE, able):
                connection.execute(sql.SQL("grant {} to current_user").format(role))
            connection.execute(sql.SQL("create schema {} authorization {}").format(schema, role))
        elif missing(
            "select 1 from pg_namespace where nspname = %s and nspowner = to_regrole(%s)",
            SCHEMA,
            ROLE,
        ):
            raise UpError(
                f"the database has a schema {SCHEMA} that is not {ROLE}'s; rename it, or use "
                "another database"
            )
        with self._connect() as other:
            row = other.execute("select current_schema(), current_database()").fetchone()
        path, database = row or (None, None)
        if path != SCHEMA:
            connection.execute(
                sql.SQL("alter role {} in database {} set search_path = {}").format(
                    role, sql.Identifier(str(database)), schema
                )
            )

    def _let_read(self, connection: Connection) -> str:
        """Let the product's login read what Airflow has and will make; return its name."""
        with psycopg.connect(self.reader) as other:
            row = other.execute("select current_user").fetchone()
        name = str(row[0]) if row else ""
        schema, reader = sql.Identifier(SCHEMA), sql.Identifier(name)
        for statement in (
            "grant usage on schema {} to {}",
            "alter default privileges in schema {} grant select on tables to {}",
            "grant select on all tables in schema {} to {}",
        ):
            connection.execute(sql.SQL(statement).format(schema, reader))
        return name

    def _can_connect(self) -> bool:
        try:
            psycopg.connect(self.conninfo).close()
        except psycopg.OperationalError:
            return False
        return True

    # -- around Airflow's own migration ----------------------------------------

    def revision(self) -> str | None:
        """Return the revision of Airflow's schema; None where it has none yet."""
        with psycopg.connect(self.conninfo) as connection:
            return metadata_tables.revision(connection)

    def drop_views(self) -> None:
        """Drop the view that earlier versions made here, in the way of Airflow's migrations."""
        with psycopg.connect(self.conninfo) as connection:
            connection.execute("set client_min_messages = warning")
            connection.execute("drop view if exists airflow.sla_miss")


def _add_to_search_path(connection: Connection, login: str) -> None:
    """Let a login find Airflow's tables without a prefix, after its own."""
    row = connection.execute(
        "select %s = any(current_schemas(false)), current_setting('search_path'), "
        "current_database()",
        [SCHEMA],
    ).fetchone()
    there, path, database = row or (True, "", "")
    if not there:
        connection.execute(
            sql.SQL("alter role {} in database {} set search_path = {}").format(
                sql.Identifier(login),
                sql.Identifier(str(database)),
                # As the server gave it, it is a list in SQL already.
                sql.SQL(", ").join([sql.SQL(str(path)), sql.Identifier(SCHEMA)]),
            )
        )
