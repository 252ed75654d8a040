"""Three shards, the database that their figures are put together in, and one that has all rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli, Database

from consumer_analytics.etl import run as etl_run
from consumer_analytics.settings import Settings
from consumer_analytics.shards import runs
from consumer_analytics.shards.summaries import ShardedSummary

NAMES = ("east", "west", "north")
SOURCES = ("consumers", "customers", "customer_events")


@dataclass(frozen=True)
class Federation:
    """Several databases that together are the source.

    Attributes:
        analytics: what their figures are put together in.
        shards: by name.
        alone: a database of its own, for all rows of the shards.
        file: the file of shards.
    """

    analytics: Database
    shards: dict[str, Database]
    alone: Database
    file: Path

    @property
    def settings(self) -> Settings:
        """Settings for work over all shards."""
        return self.analytics.settings.replaced({"shards_file": self.file})

    def write_file(self, urls: dict[str, str] | None = None) -> None:
        """Write the file of shards."""
        urls = urls or {name: shard.url for name, shard in self.shards.items()}
        self.file.touch(mode=0o600)
        self.file.write_text(
            "".join(f'[{name}]\nurl = "{url}"\n' for name, url in urls.items()), encoding="utf-8"
        )

    def run(self, at: str | dt.datetime | None = None, **options: Any) -> ShardedSummary:
        """Run over all shards."""
        return runs.run(self.settings, at=instant(at), named=at is not None, **options)

    def run_alone(self, at: str | dt.datetime | None = None) -> None:
        """Run in the database that has all rows."""
        with self.alone.connect(writes_sources=False) as connection:
            etl_run.run(connection, self.alone.settings, at=instant(at), named=at is not None)

    def unite(self) -> None:
        """Let the database that stands alone have the rows of all shards, and no other."""
        self.alone.execute(f"truncate {', '.join(SOURCES)}")
        for shard in self.shards.values():
            for table in SOURCES:
                self._copy(shard, table)

    def _copy(self, shard: Database, table: str) -> None:
        with (
            shard.connect() as source,
            self.alone.connect() as target,
            source.cursor().copy(f"copy {table} to stdout") as rows,
        ):
            target.execute(f"create temporary table incoming (like {table})")
            with target.cursor().copy("copy incoming from stdin") as into:
                for row in rows:
                    into.write(row)
            # A consumer may be registered in several shards.
            target.execute(f"insert into {table} select * from incoming on conflict do nothing")

    def instants(self) -> list[dt.datetime]:
        """Return the instants that were published, ascending."""
        rows = self.analytics.rows(
            "select snapshot_timestamp from consumer_analytics where consumer_id is null order by 1"
        )
        return [at for (at,) in rows]

    def replay(self) -> None:
        """Let the database that stands alone have all rows, and run at each published instant."""
        self.unite()
        for at in self.instants():
            self.run_alone(at)

    def state(self) -> list[Any]:
        """Return all that runs write, of every database."""
        return [
            database.rows(
                "select (select array_agg(one order by analytics_id) from consumer_analytics one), "
                "(select array_agg(one) from consumer_analytics_revisions one), "
                "(select array_agg(one) from consumer_analytics_internal.state one), "
                "(select array_agg(one) from consumer_analytics_internal.federation one), "
                "(select array_agg(one order by name) "
                "from consumer_analytics_internal.shards one), "
                "(select last_processed_timestamp from etl_job_watermarks)"
            )
            for database in (self.analytics, *self.shards.values())
        ]

    def require_equal(self) -> int:
        """Require that both say the same, byte for byte; return how many rows that are."""
        told, known = documents(self.analytics), documents(self.alone)
        assert told.keys() == known.keys()
        for key, document in known.items():
            assert told[key] == document, key
        return len(told)


def instant(at: str | dt.datetime | None) -> dt.datetime | None:
    """Return an instant as text has it."""
    return dt.datetime.fromisoformat(at) if isinstance(at, str) else at


def documents(database: Database) -> dict[tuple[str | None, str], str]:
    """Return all snapshots' documents as the database writes them, by consumer and instant."""
    rows = database.rows(
        "select consumer_id::text, snapshot_timestamp::text, metrics_json::text "
        "from consumer_analytics"
    )
    return {(consumer, at): document for consumer, at, document in rows}


@pytest.fixture
def federation(new_database: Callable[..., Database], tmp_path: Path) -> Federation:
    """Return three shards, what their figures are put together in, and a database beside them."""
    made = Federation(
        new_database(),
        {name: new_database() for name in NAMES},
        new_database(),
        tmp_path / "shards.toml",
    )
    made.write_file()
    return made


@pytest.fixture
def federated(federation: Federation) -> Callable[..., Any]:
    """Return the command, set up for the shards."""
    command = Cli(federation.analytics)
    variables = {"CONSUMER_ANALYTICS_SHARDS_FILE": str(federation.file)}

    def run(*arguments: str, env: dict[str, str] | None = None) -> Any:
        return command(*arguments, env={**variables, **(env or {})})

    return run
