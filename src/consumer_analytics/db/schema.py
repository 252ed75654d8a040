"""The product's own schema: its migrations, and whether a database has them.

Alembic orders the revisions and commits each one with its record. Its row holds
each file's checksum as well, so that a schema made by other files is told apart
from ours, without importing Alembic.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any

import psycopg
from psycopg import sql

import consumer_analytics
from consumer_analytics.db import brief_locks, locks, own_names, session
from consumer_analytics.db.connection import Connection, connected, scalar
from consumer_analytics.db.locks import Lock
from consumer_analytics.errors import BusyError, SchemaError
from consumer_analytics.formatting import counted
from consumer_analytics.mapping import Sources
from consumer_analytics.settings import Settings
from consumer_analytics.sql import INTERNAL, JOB, query

#: Each migration goes on trying for this long to lock what it alters.
_LOCK_SECONDS = 30.0
#: What it means that the job's row of state is gone.
STATE_LOST = f"{INTERNAL}.state has no row {JOB}, and nobody knows how far runs have counted"
_ALTERED = re.compile(r"\b(?:alter|drop|truncate)\s+table\s+(?:if\s+exists\s+)?(\w+\.\w+)")
#: From this migration on Alembic's row is the only record.
_ONE_RECORD = "0016"
#: From this migration on the database keeps what the sources are called.
_NAMES_KEPT = "0029"


@dataclass(frozen=True)
class Migration:
    """A numbered SQL file.

    Attributes:
        version: its number, four digits.
        name: the file's name without `.sql`.
        text: what it runs.
    """

    version: str
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def altered(self) -> list[str]:
        """The tables that are altered, emptied or dropped, with their schemas."""
        return sorted(set(_ALTERED.findall(self.text)))


@cache
def migrations() -> tuple[Migration, ...]:
    """Return the migrations that this version of the product has, in order."""
    folder = files("consumer_analytics.migrations") / "sql"
    found = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple(
        Migration(name[:4], name.removesuffix(".sql"), (folder / name).read_text(encoding="utf-8"))
        for name in found
    )


@dataclass(frozen=True)
class Applied:
    """What a database says of the migrations that it has.

    Attributes:
        version: the last one's number, four digits.
        product_version: the product's that applied it.
        checksums: of the files that were run, in their order.
    """

    version: str
    product_version: str
    checksums: tuple[str, ...]


def applied(connection: Connection) -> Applied | None:
    """Return what is recorded; None where nothing is."""
    if scalar(connection, "select to_regclass(%s)", f"{INTERNAL}.alembic_version") is None:
        return None
    row = connection.execute(query("db/migrations-applied")).fetchone()
    if row is None:
        return None
    version, product_version, checksums = row
    if checksums is None:
        row = connection.execute(query("db/migrations-applied-until-0015")).fetchone()
        product_version, checksums = row or ("", [])
    return Applied(version, product_version, tuple(checksums))


def pending(connection: Connection) -> list[Migration]:
    """Return the migrations that the database still lacks.

    Raises:
        SchemaError: the database was made by other files than these: by a
            newer version, by a changed file, or a table of the same name is
            somebody else's.
    """
    ours = migrations()
    there = applied(connection)
    if there is None:
        _require_no_namesakes(connection)
        return list(ours)
    if there.version > ours[-1].version:
        raise SchemaError(
            f"the database has migration {there.version} of version {there.product_version}, "
            f"which this version ({consumer_analytics.__version__}) does not know; "
            "install the newer version"
        )
    done = [migration for migration in ours if migration.version <= there.version]
    for migration, checksum in zip_longest(done, there.checksums):
        if migration is None or migration.checksum != checksum:
            name = there.version if migration is None else migration.name
            raise SchemaError(
                f"migration {name} in the database is not the one of this version "
                "(checksums differ); use the version that made it, or another database"
            )
    return list(ours[len(done) :])


def _require_no_namesakes(connection: Connection) -> None:
    for table in ("consumer_analytics", "etl_job_watermarks"):
        if scalar(connection, "select to_regclass(%s)", f"public.{table}") is not None:
            raise SchemaError(
                f"table public.{table} exists but is not this product's; "
                "rename it or use another database"
            )


def require_current(connection: Connection) -> None:
    """Check that the schema is exactly this version's, with the one row that it came with.

    Raises:
        SchemaError: it is not; the message says what to do.
    """
    if missing := pending(connection):
        raise SchemaError(
            f"the schema lacks {counted(len(missing), 'migration')}, first {missing[0].name}; "
            "run `consumer-analytics migrate`"
        )
    if not has_state(connection):
        raise SchemaError(
            f"{STATE_LOST}: somebody deleted it; `consumer-analytics doctor --fix` puts it back"
        )


def has_state(connection: Connection) -> bool:
    """Tell whether the job has its row of state."""
    there: bool = scalar(connection, query("db/state-is-there"))
    return there


def apply_file(name: str) -> None:
    """Run the migration file `name` on Alembic's current transaction."""
    from alembic import op  # Alembic costs a third of a second to import

    migration = next(one for one in migrations() if one.name == name)
    # The driver's own connection: SQLAlchemy would read the colons as parameters.
    connection = _driver(op.get_bind())
    _take_turn(connection, migration)
    brief_locks.work(
        connection,
        lambda: connection.execute(migration.text),
        tables=[
            [sql.Identifier(*table.split("."))]
            for table in migration.altered
            if scalar(connection, "select to_regclass(%s)", table) is not None
        ],
        mode="access exclusive",
        seconds=_LOCK_SECONDS,
        refused=f"migration {name} was not applied",
    )


def _take_turn(connection: Connection, migration: Migration) -> None:
    """Keep others from migrating until the transaction's end.

    Raises:
        BusyError: somebody else migrates, or has done so since we looked.
    """
    try:
        locks.take(connection, Lock.MIGRATE, waits=False)
    except psycopg.errors.LockNotAvailable:
        raise _busy() from None
    row = connection.execute(query("db/migrations-latest")).fetchone()
    before = [one.version for one in migrations() if one.version < migration.version]
    if (row and row[0]) != (before[-1] if before else None):
        raise _busy()


def _busy() -> BusyError:
    return BusyError("another `consumer-analytics migrate` is at work; wait for it to end")


def _driver(bound: Any) -> Connection:
    """Return psycopg's own connection below one of SQLAlchemy's."""
    connection: Connection = bound.connection.driver_connection
    return connection


def _record(**event: Any) -> None:
    """Complete Alembic's record of a migration, in the migration's own transaction."""
    version = event["step"].up_revision_id
    migration = next(one for one in migrations() if one.version == version)
    values = {"checksum": migration.checksum, "product": consumer_analytics.__version__}
    statement = query("db/migrations-record")
    if version < _ONE_RECORD:
        values |= {"version": version, "name": migration.name}
        statement = query("db/migrations-record-until-0015")
    _driver(event["ctx"].connection).execute(statement, values)


def _upgrade(connection: Connection) -> None:
    """Let Alembic run what is missing, each revision committed with its record."""
    import sqlalchemy
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(files("consumer_analytics") / "migrations"))
    # Alembic works through our session, which has the settings.
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: connection, poolclass=sqlalchemy.StaticPool
    )
    with (
        engine.connect() as bound,
        EnvironmentContext(
            Config(),
            script,
            fn=lambda revision, _: script._upgrade_revs("head", revision),  # noqa: SLF001
        ) as environment,
    ):
        environment.configure(
            connection=bound,
            version_table="alembic_version",
            version_table_schema=INTERNAL,
            transaction_per_migration=True,
            on_version_apply=_record,  # type: ignore[arg-type]  # called with keywords
        )
        environment.run_migrations()


def _become_owner(connection: Connection) -> None:
    """Work as the role that owns what is there, so that it owns what comes, too."""
    row = connection.execute(query("db/schema-owner"), {"schema": INTERNAL}).fetchone()
    if row is not None:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(row[0])))


def _make_room(connection: Connection) -> None:
    """Create the schema, and the table that Alembic would; there is nothing to lock before."""
    try:
        with connection.transaction():
            connection.execute(query("db/migrations-begin"))
    except psycopg.errors.UniqueViolation:
        # Both have looked, and the other one was first.
        raise _busy() from None


def _set_schema(connection: Connection, sources: Sources) -> None:
    """Tell the migrations where the source tables are, or are to be made.

    They make them where there is none of them. Where there is a mapping they are to make none: an
    empty table of this session's stands for those that are there.
    """
    schema = sources.tables[0].schema
    if sources.is_mapped:
        schema = "pg_temp"
        connection.execute("create temporary table if not exists consumers ()")
    connection.execute("select set_config('consumer_analytics.source_schema', %s, false)", [schema])


def migrate(settings: Settings, notify: Callable[[str], None] = lambda _: None) -> list[Migration]:
    """Bring the database to this version's schema; do nothing where it is there.

    What the settings say the sources are called is written down there as well.

    Args:
        settings: where, and what the sources are called.
        notify: told of names that were written down in the place of others.

    Returns:
        The migrations that were applied now, in order.

    Raises:
        SchemaError: the database's schema is foreign or newer, or a mapping of the sources
            names what is not there.
        BusyError: another migration is under way.
    """
    with connected(settings, "migrate", as_admin=True) as connection:
        # First of all: what there is belongs to that role, whose rights are more than others'.
        session.trust_nobody(connection)
        try:
            return _migrate(connection, settings.sources, notify)
        except psycopg.errors.InsufficientPrivilege as error:
            connection.rollback()
            raise SchemaError(
                f"this login may not migrate: {error.diag.message_primary}; "
                f"{_mending(connection, settings.sources)}"
            ) from None


def _migrate(
    connection: Connection, sources: Sources, notify: Callable[[str], None]
) -> list[Migration]:
    _become_owner(connection)
    missing = pending(connection)
    # A migration may have replaced what was made for the names.
    adopts = migrations()[-1].version >= _NAMES_KEPT and (
        bool(missing) or not own_names.are_adopted(connection, sources)
    )
    if sources.is_mapped or (adopts and not missing):
        own_names.require_there(connection, sources)
    if missing:
        _make_room(connection)
        _set_schema(connection, sources)
        connection.autocommit = False
        _upgrade(connection)
        connection.commit()
        connection.autocommit = True
    if adopts:
        own_names.adopt(connection, sources)
        if not missing:
            notify(f"took over the names of the sources: {own_names.shown(sources)}")
    return missing


def _mending(connection: Connection, sources: Sources) -> str:
    """Say what lets this login migrate, or who else can: by what it lacks."""
    created_in = ["public", *(() if sources.is_mapped else (sources.tables[0].schema,))]
    lacking = connection.execute(
        query("db/migrate-lacks"), {"schema": INTERNAL, "created_in": created_in}
    ).fetchall()
    if not lacking:
        return "run it as who owns that, or as a superuser"
    owner = lacking[0][0]
    who = f"a member of {owner}, which owns what is there" if owner else "the database's owner"
    return f"run it as {who}, or have granted: " + "; ".join(grant for _, grant in lacking)
