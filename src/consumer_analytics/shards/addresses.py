"""The file of shards: a table for each, with its address.

[east]
url = "postgresql://etl@east.internal/app"
password_file = "/etc/consumer-analytics/east.password"

[west]
url_file = "/run/secrets/west-url"          # its first line is the address
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consumer_analytics import secret_files
from consumer_analytics.errors import SettingsError
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings, variable

SETTING = variable("shards_file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_KEYS = ("url", "url_file", "password_file")


@dataclass(frozen=True)
class Address:
    """Where a shard is.

    Attributes:
        name: its table's, by which it is told of.
        url: libpq's.
        password_file: whose first line is the password, for a URL without one.
    """

    name: str
    url: Secret
    password_file: Path | None

    def settings(self, settings: Settings) -> Settings:
        """Return the settings for work in it: all others are the same for all.

        Each has an archive of its own, below the lake's address by its name.
        """
        lake = settings.lake_url
        return settings.replaced(
            {
                "database_url": self.url,
                "database_password_file": self.password_file,
                "shards_file": None,
                "lake_url": None if lake is None else f"{lake.rstrip('/')}/{self.name}",
            }
        )


def of_analytics(settings: Settings) -> Settings:
    """Return the settings of the database that figures are put together in.

    It has no rows of its own, and so neither names for them nor an archive.
    """
    return settings.replaced({"sources_file": None, "source_schema": "public", "lake_url": None})


def read(settings: Settings) -> tuple[Address, ...]:
    """Return the shards' addresses, in the file's order.

    Raises:
        SettingsError: the file cannot be read, or says what cannot be. What it holds is not told.
    """
    path = settings.shards_file
    if path is None:
        raise SettingsError(f"{SETTING} is not set")
    if settings.lake_url is not None and settings.spark_remote is not None:
        raise SettingsError(
            f"the archives of {SETTING} are read by DuckDB: unset {variable('spark_remote')}"
        )
    secret_files.warn_if_exposed(path)
    try:
        tables = tomllib.loads(secret_files.text(path))
    except OSError as error:
        raise SettingsError(f"{SETTING}: {error.strerror}: {path}") from None
    except tomllib.TOMLDecodeError as error:
        # Its place, and not the line, which may hold a password.
        place = re.search(r"\(at (.*)\)", str(error))
        at = f", {place[1]}" if place else ""
        raise SettingsError(f"{SETTING}: {path} is not TOML{at}") from None
    if not tables:
        raise SettingsError(f"{SETTING}: {path} names no shard")
    return tuple(
        _address(name, table, path, number)
        for number, (name, table) in enumerate(tables.items(), 1)
    )


def _address(name: str, table: Any, path: Path, number: int) -> Address:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{SETTING}: {path} has values outside of a table such as [east]")
    if not _NAME.fullmatch(name):
        # An address may have been written there.
        raise SettingsError(
            f"{SETTING}: {path}: table {number}: a name has letters, digits, - and _ alone"
        )
    where = f"{SETTING}: {path}: [{name}]"
    for key, value in table.items():
        if key not in _KEYS:
            raise SettingsError(f"{where} may say {', '.join(_KEYS)}, and says something else")
        if not isinstance(value, str) or not value.strip():
            raise SettingsError(f"{where}: {key} must be a text")
    if ("url" in table) == ("url_file" in table):
        raise SettingsError(f"{where} needs url or url_file, and one of them")
    if "url_file" in table:
        url = secret_files.line_for(where, Path(table["url_file"]))
    else:
        url = table["url"]
    password_file = table.get("password_file")
    return Address(name, Secret(url), Path(password_file) if password_file else None)
