"""Settings, read from environment variables with the prefix CONSUMER_ANALYTICS_.

Each field's description is its row in docs/reference/settings.md, which is
generated from here.
"""

from __future__ import annotations

import difflib
import os
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from consumer_analytics.errors import SettingsError

PREFIX = "CONSUMER_ANALYTICS_"
#: Variables with our prefix that only the test suite reads.
TEST_VARIABLES = frozenset({"TEST_DATABASE_URL"})


def default_home() -> Path:
    """Return the folder that `up` keeps its data in when none is configured."""
    return Path(platformdirs.user_data_dir("consumer-analytics", appauthor=False))


class Settings(BaseSettings):
    """Every setting of the product, with its default."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True)

    database_url: Annotated[
        SecretStr | None,
        Field(
            description="libpq URL of the database (PostgreSQL 15 or newer; sslmode, sslrootcert "
            "and the like are honoured). Without it: the embedded server of "
            "`consumer-analytics up`.",
        ),
    ] = None
    database_password_file: Annotated[
        Path | None,
        Field(description="File whose first line is the password, for a URL without one."),
    ] = None
    allow_superuser: Annotated[
        bool,
        Field(
            description="Whether the product may work as a superuser on another machine's server. "
            "On this machine's (a socket, the loopback) it always may.",
        ),
    ] = False
    source_schema: Annotated[
        str,
        Field(description="Schema of `consumers`, `customers` and `customer_events`."),
    ] = "public"
    home: Annotated[
        Path,
        Field(
            default_factory=default_home,
            description="Folder for everything `up` keeps: database, Airflow, logs, keys.",
        ),
    ]
    timezone: Annotated[
        str,
        Field(description="IANA time zone in which dates given without a time are days."),
    ] = "UTC"
    holdback_wait: Annotated[
        float,
        Field(
            ge=0,
            description="Seconds a run waits for transactions older than its instant to end, "
            "before it processes only up to the oldest one's start.",
        ),
    ] = 30.0
    holdback_ignore_roles: Annotated[
        str,
        Field(
            description="Logins, separated by commas, whose transactions never write the source "
            "tables and so never hold a run back. The default is the login that `up` makes for "
            "Airflow's metadata.",
        ),
    ] = "airflow_meta"
    lock_wait: Annotated[
        float,
        Field(ge=0, description="Seconds a run waits its turn while another one is writing."),
    ] = 60.0
    schedule: Annotated[
        str,
        Field(description="When `consumer_analytics_etl` runs: a cron expression or a preset."),
    ] = "@daily"
    sweep_days: Annotated[
        int,
        Field(ge=1, description="Trailing days that a sweep recounts where none are named."),
    ] = 7
    sweep_schedule: Annotated[
        str,
        Field(description="When `consumer_analytics_sweep` runs: a cron expression or a preset."),
    ] = "0 3 * * *"
    start_date: Annotated[
        date,
        Field(description="First day on which the DAGs may run."),
    ] = date(2025, 1, 1)
    retries: Annotated[int, Field(ge=0, description="Retries of a DAG task.")] = 2
    retry_delay: Annotated[
        float,
        Field(ge=0, description="Seconds between a DAG task's tries."),
    ] = 60.0
    airflow_port: Annotated[
        int,
        Field(ge=1, le=65535, description="Port of Airflow's web server under `up`."),
    ] = 8081

    dashboard_host: Annotated[
        str,
        Field(
            description="Address that `consumer-analytics serve` listens on. Any other than this "
            "machine's own (the loopback) needs a password or tokens.",
        ),
    ] = "127.0.0.1"
    dashboard_port: Annotated[
        int,
        Field(ge=0, le=65535, description="Port of `consumer-analytics serve`; 0 for a free one."),
    ] = 8082
    dashboard_database_url: Annotated[
        SecretStr | None,
        Field(
            description="libpq URL that the dashboard reads through, for a login in the role "
            "`consumer_analytics_reader`. Without it: the database URL.",
        ),
    ] = None
    dashboard_database_password_file: Annotated[
        Path | None,
        Field(description="File whose first line is the password, for a URL without one."),
    ] = None
    dashboard_password_file: Annotated[
        Path | None,
        Field(description="File whose first line is the password that the dashboard asks for."),
    ] = None
    dashboard_tokens_file: Annotated[
        Path | None,
        Field(
            description="File of the dashboard's tokens, kept by `consumer-analytics tokens`.",
        ),
    ] = None
    dashboard_hosts: Annotated[
        str,
        Field(
            description="Names, separated by commas, under which the dashboard is reached, besides "
            "the address it listens on; requests for other names are refused. With a password or "
            "tokens, and without names here, any.",
        ),
    ] = ""
    dashboard_session_hours: Annotated[
        float,
        Field(gt=0, le=24 * 31, description="Hours after which the dashboard asks to log in anew."),
    ] = 12.0
    dashboard_statement_timeout: Annotated[
        float,
        Field(gt=0, description="Seconds after which a query of the dashboard is given up."),
    ] = 10.0

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone such as UTC or Europe/Berlin")
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The configured time zone."""
        return ZoneInfo(self.timezone)

    @property
    def ignored_roles(self) -> list[str]:
        """The logins of `holdback_ignore_roles`, one by one."""
        return [role.strip() for role in self.holdback_ignore_roles.split(",") if role.strip()]


def _refuse_unknown(environment: dict[str, str]) -> None:
    known = {name.upper() for name in Settings.model_fields} | TEST_VARIABLES
    for variable in sorted(environment):
        if variable.startswith(PREFIX) and (name := variable.removeprefix(PREFIX)) not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            raise SettingsError(f"{variable} is not a setting{hint}")


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a variable is unknown or its value cannot be used; the
            message names the variable and the reason, never the value of a
            secret.
    """
    _refuse_unknown(dict(os.environ))
    try:
        return Settings()  # type: ignore[call-arg]  # home has a factory
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX
        reason = str(first["msg"]).removeprefix("Value error, ")
        raise SettingsError(f"{name}: {reason}") from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings, read once."""
    return load_settings()
