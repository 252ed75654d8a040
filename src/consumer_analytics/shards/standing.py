"""Where each shard stands, one that is down too."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from consumer_analytics.db.connection import MINUS_INFINITY, Connection, connected
from consumer_analytics.errors import ConsumerAnalyticsError
from consumer_analytics.etl import archived
from consumer_analytics.settings import Settings
from consumer_analytics.shards import addresses
from consumer_analytics.shards.addresses import Address
from consumer_analytics.shards.sessions import of_shard
from consumer_analytics.sql import query


@dataclass(frozen=True)
class ShardStanding:
    """Where a shard stands.

    Attributes:
        name: as the file has it.
        processed_through: up to where runs have counted; None before the first, or where it is
            down.
        latest: its latest snapshot, published or not.
        vanished: events that are counted and that it no longer has.
        bytes: size of the whole database.
        archive: what is said where days of it are archived and nothing says where.
        error: why nothing is known of it.
    """

    name: str
    processed_through: dt.datetime | None = None
    latest: dt.datetime | None = None
    vanished: int | None = None
    bytes: int = 0
    archive: str | None = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for `--json`."""
        return asdict(self)


def read(settings: Settings) -> tuple[ShardStanding, ...]:
    """Return where each shard of the file stands.

    Raises:
        SettingsError: the file cannot be used.
    """
    return tuple(_read(address, settings) for address in addresses.read(settings))


def lacking_addresses(settings: Settings) -> tuple[str, ...]:
    """Say of each shard that days of it are archived and nothing says where, where that is so.

    One that is down says nothing here; where an address is set, none is asked.

    Raises:
        SettingsError: the file cannot be used.
    """
    found = []
    for address in addresses.read(settings) if settings.lake_url is None else ():
        own = address.settings(settings)
        with suppress(ConsumerAnalyticsError, psycopg.Error), connected(own, "health") as session:
            if (lacking := _lacks_address(session, own)) is not None:
                found.append(f"shard {address.name}: {lacking}")
    return tuple(found)


def _read(address: Address, settings: Settings) -> ShardStanding:
    own = address.settings(settings)
    try:
        with connected(own, "status") as connection:
            row = connection.execute(query("shards/standing/read")).fetchone()
            archive = _lacks_address(connection, own)
    except (ConsumerAnalyticsError, psycopg.Error) as error:
        return ShardStanding(address.name, error=str(of_shard(address.name, error)))
    through, latest, vanished, size = row or (None, None, None, 0)
    known = None if through == MINUS_INFINITY else through
    return ShardStanding(address.name, known, latest, vanished, size, archive)


def _lacks_address(connection: Connection, settings: Settings) -> str | None:
    # One that is not migrated yet may know of no archives.
    with suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
        return archived.lacks_address(connection, settings)
    return None
