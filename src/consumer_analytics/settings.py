"""Settings, read from environment variables with the prefix CONSUMER_ANALYTICS_.

Each field's description is its section in docs/reference/settings.md, which is
generated from here.
"""

# Annotations stay what they are, instead of becoming text: each field's type and bounds are in its.
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from consumer_analytics import fields, mapping
from consumer_analytics.errors import SettingsError
from consumer_analytics.fields import Field, Secret
from consumer_analytics.mapping import Sources

PREFIX = "CONSUMER_ANALYTICS_"
#: Variables with our prefix that only the test suite reads.
TEST_VARIABLES = frozenset({"TEST_DATABASE_URL"})
#: Airflow's schedules that are no cron expression.
TIMELESS_SCHEDULES = frozenset({"@once", "@continuous"})
QUARTERLY = "@quarterly"
THRESHOLDS = ("warning", "critical")
#: The most seconds, and days, that a setting says: more is a slip; no calendar has room for it.
_WEEK, _YEAR, _CENTURY = 7 * 86_400, 366 * 86_400, 36_525


def default_home() -> Path:
    """Return the folder that `up` keeps its data in when none is configured."""
    import platformdirs

    return Path(platformdirs.user_data_dir("consumer-analytics", appauthor=False))


@dataclass(frozen=True)
class PrivateFile:
    """Marks a setting that names a file with a secret in it, which its owner alone should read."""


@dataclass(frozen=True)
class OneSnapshotPer:
    """Marks a setting that begins a tier of retention: of older snapshots, one a period stays.

    Such a setting is all that a tier takes; those after it in the class thin further.

    Attributes:
        period: whose last snapshot stays: a `day`, `week` or `month` of the configured zone.
    """

    period: Literal["day", "week", "month"]


@dataclass(frozen=True)
class Tier:
    """A tier of retention.

    Attributes:
        setting: the name of the setting that begins it.
        period: whose last snapshot stays: `day`, `week` or `month`.
        days: the age from which on it thins; None: never.
    """

    setting: str
    period: str
    days: int | None


def _check_zone(name: str) -> None:
    # A machine's own zone is another one on the next worker.
    if name not in available_timezones() - {"localtime", "Factory"}:
        raise ValueError(
            f"{fields.quoted(name)} is not an IANA time zone such as UTC or Europe/Berlin"
        )


def _check_schedule(expression: str) -> None:
    if expression in TIMELESS_SCHEDULES or expression == QUARTERLY:
        return
    from croniter import CroniterBadDateError, croniter

    given = fields.quoted(expression)
    if not croniter.is_valid(expression):
        raise ValueError(f"{given} is neither a cron expression nor a preset (@daily)")
    try:
        croniter(expression).get_next()
    except CroniterBadDateError:
        raise ValueError(f"{given} is a day that never comes") from None


def _networks(text: str) -> list[str]:
    """Return networks, and addresses as networks; IPv4's also as a socket for both kinds has them.

    Raises:
        ValueError: one of them is none.
    """
    import ipaddress

    found = []
    for written in _listed(text):
        try:
            network = ipaddress.ip_network(written)
        except ValueError:
            raise ValueError(
                f"{written[:50]!r} is neither an address nor a network such as 10.1.0.0/16"
            ) from None
        found.append(str(network))
        if isinstance(network, ipaddress.IPv4Network):
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return found


def _check_networks(text: str) -> None:
    _networks(text)


def _listed(text: str) -> list[str]:
    """Return what is separated by commas, one by one."""
    return [one.strip() for one in text.split(",") if one.strip()]


#: By itself, or behind a name: `Analytics <alerts-from@example.com>`.
_MAIL_ADDRESS = r"([^<>]*<)?(?:\"[^\"]+\"|[^\s<>@,\"]+)@[^\s<>@,]+(?(1)>)"


def _check_mail_address(text: str) -> None:
    if re.fullmatch(_MAIL_ADDRESS, text.strip()) is None:
        raise ValueError(
            f"{fields.quoted(text)} is not a mail address such as alerts-to@example.com"
        )


def _check_mail_addresses(text: str) -> None:
    for one in _listed(text):
        _check_mail_address(one)


def _check_lake(url: str) -> None:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    plain = not (parts.query or parts.fragment)
    is_folder = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
    is_bucket = parts.scheme == "s3" and re.fullmatch(r"[a-z0-9][a-z0-9.-]+", parts.netloc)
    if not (plain and (is_folder or is_bucket)):
        if "@" in parts.netloc:
            raise ValueError("has a login in it: AWS's own variables or files name it")
        raise ValueError(
            f"{url[:100]!r} is no folder such as file:///srv/lake, with an absolute path, nor a "
            "bucket such as s3://bucket/folder"
        )


def _check_spark(url: Secret) -> None:
    """Refuse what no Spark Connect client takes, without repeating it: it may hold a token."""
    from urllib.parse import urlsplit

    text = url.get_secret_value()
    place, _, parameters = text.partition(";")
    try:
        parts = urlsplit(place)
        usable = (
            parts.scheme == "sc"
            and bool(parts.hostname)
            and parts.port != 0
            and "@" not in parts.netloc
            and parts.path in {"", "/"}
            and not (parts.query or parts.fragment)
            and all(one.count("=") == 1 for one in parameters.split(";") if parameters)
            and text.isascii()
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(
            "is no address of a Spark Connect server such as sc://spark.example.com:15002 or "
            "sc://spark.example.com:443/;use_ssl=true;token=..."
        )


def _check_web_address(url: Secret) -> None:
    """Refuse what cannot be called, without repeating it: it may hold a key."""
    from urllib.parse import urlsplit

    text = url.get_secret_value()
    told = "is no http or https address such as https://watcher.example.com/ping/key"
    try:
        parts = urlsplit(text)
        usable = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and parts.username is None
            and parts.port != 0
            and text.isascii()
            and text.isprintable()
            and " " not in text
        )
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(told)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of the product, with its default; checked when it is made.

    Raises:
        SettingsError: values cannot be used; the message names each of them.
    """

    database_url: Annotated[
        Secret | None,
        Field(
            description="libpq URL of the database (PostgreSQL 15 or newer; sslmode, sslrootcert "
            "and the like are honoured). Without it: the embedded server of "
            "`consumer-analytics up`.",
        ),
    ] = None
    database_password_file: Annotated[
        Path | None,
        PrivateFile(),
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
    sources_file: Annotated[
        Path | None,
        Field(
            description="TOML file that says what the three tables, their columns and the words in "
            "them that carry meaning are called in your database, where that is otherwise: see "
            "[own names](../how-to/own-names.md). Absolute, since Airflow's tasks read it too.",
        ),
    ] = None
    shards_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(
            description="TOML file of the databases that together are the source, a table with a "
            "`url` each: see [shards](../how-to/shards.md). The database above is then the one "
            "that their figures are put together in. It holds passwords.",
        ),
    ] = None
    accept_unsafe_sources: Annotated[
        bool,
        Field(
            description="Whether a source may be, or be read from, a foreign table or a "
            "materialized view. Rows in flight there are seen by nobody here, and may be counted "
            "only by a later sweep; every run, `status` and the doctor say so.",
        ),
    ] = False
    lake_url: Annotated[
        str | None,
        Field(
            description="Where `archive` puts days of `customer_events` and what they are read "
            "from since: a folder of files, such as `file:///srv/lake`, the same for everybody who "
            "reads it, or a bucket, such as `s3://bucket/folder`, to which AWS's own variables "
            "(`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL`), files or the "
            "machine give access. Needs the extra `lake`. Unset: nothing is archived.",
            rule=_check_lake,
        ),
    ] = None
    lake_format: Annotated[
        Literal["parquet", "delta", "iceberg"],
        Field(
            description="What the archive's files are: `parquet`, files in a folder for each day; "
            "`delta` or `iceberg`, the same files in a table of that format, `customer_events` "
            "below the address, which needs the extra of that name. The same for everybody, and "
            "from the first day on.",
        ),
    ] = "parquet"
    spark_remote: Annotated[
        Secret | None,
        Field(
            description="Spark Connect server that reads the archive, such as "
            "`sc://spark.example.com:15002`: a cluster of Spark's, or Sail; its machines have the "
            "archive's folder under the same path. Needs the extra `spark`. Unset: DuckDB reads "
            "it, in this process.",
            rule=_check_spark,
        ),
    ] = None
    home: Annotated[
        Path,
        Field(
            description="Folder for everything `up` keeps: database, Airflow, logs, keys.",
        ),
    ] = dataclasses.field(default_factory=default_home)
    timezone: Annotated[
        str,
        Field(
            description="IANA time zone in which dates given without a time are days.",
            rule=_check_zone,
        ),
    ] = "UTC"
    holdback_wait: Annotated[
        float,
        Field(
            ge=0,
            le=_WEEK,
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
        Field(
            ge=0, le=_WEEK, description="Seconds a run waits its turn while another one is writing."
        ),
    ] = 60.0
    schedule: Annotated[
        str,
        Field(
            description="When `consumer_analytics_etl` runs: a cron expression or a preset.",
            rule=_check_schedule,
        ),
    ] = "@daily"
    workers: Annotated[
        int | None,
        Field(
            ge=0,
            le=64,
            description="How many processes more than its own session the server may use for a "
            "statement of a run, a backfill, a sweep or an audit. With 0 backfills and audits have "
            "one session instead of two as well. Unset: as many as the server lets everybody "
            "(`max_parallel_workers_per_gather`), and two sessions.",
        ),
    ] = None
    pause: Annotated[
        float,
        Field(
            ge=0,
            le=20,
            description="How long runs, backfills, sweeps and audits pause after each statement, "
            "as a share of the time that it took: with 1 they leave the server alone half of the "
            "time, and take twice as long. At most 30 seconds each time.",
        ),
    ] = 0.0
    sweep_days: Annotated[
        int,
        Field(
            ge=1,
            le=_CENTURY,
            description="Trailing days that a sweep recounts where none are named.",
        ),
    ] = 7
    sweep_schedule: Annotated[
        str,
        Field(
            description="When `consumer_analytics_sweep` runs: a cron expression or a preset.",
            rule=_check_schedule,
        ),
    ] = "0 3 * * *"
    maintenance_schedule: Annotated[
        str,
        Field(
            description="When `consumer_analytics_maintenance` runs: a cron expression or a "
            "preset.",
            rule=_check_schedule,
        ),
    ] = "30 3 * * *"
    keep_airflow_days: Annotated[
        int,
        Field(
            ge=1,
            le=_CENTURY,
            description="Days for which maintenance keeps Airflow's task logs and metadata.",
        ),
    ] = 30
    airflow_database_url: Annotated[
        Secret | None,
        Field(
            description="Address of Airflow's metadata as SQLAlchemy takes it, for maintenance in "
            "a DAG's task, which Airflow itself keeps from it. Without it: what Airflow's "
            "configuration file says.",
        ),
    ] = None
    keep_state_days: Annotated[
        int,
        Field(
            ge=7,
            le=_CENTURY,
            description="Days for which finished runs, backfills, maintenances, incidents and "
            "mails are remembered.",
        ),
    ] = 365
    keep_snapshots_days: Annotated[
        int | None,
        OneSnapshotPer("day"),
        Field(
            ge=1,
            le=_CENTURY,
            description="Days for which every snapshot is kept; of older ones maintenance keeps "
            "each day's last. Unset: no snapshot is ever removed.",
        ),
    ] = None
    keep_daily_snapshots_days: Annotated[
        int | None,
        OneSnapshotPer("week"),
        Field(
            ge=1,
            le=_CENTURY,
            description="Days for which each day's last snapshot is kept, where snapshots are "
            "thinned; of older ones maintenance keeps each week's last. Unset: the day's for ever.",
        ),
    ] = None
    start_date: Annotated[
        date,
        Field(description="First day on which the DAGs may run."),
    ] = date(2025, 1, 1)
    retries: Annotated[int, Field(ge=0, le=100, description="Retries of a DAG task.")] = 2
    retry_delay: Annotated[
        float,
        Field(ge=0, le=_WEEK, description="Seconds between a DAG task's tries."),
    ] = 60.0
    task_timeout: Annotated[
        float,
        Field(
            ge=0,
            le=_WEEK,
            description="Seconds after which a try of a task of `consumer_analytics_etl` or "
            "`consumer_analytics_monitor` is ended, such as one whose server does not answer any "
            "more. 0: none.",
        ),
    ] = 1800.0
    long_task_timeout: Annotated[
        float,
        Field(
            ge=0,
            le=_WEEK,
            description="The same for tasks of the other DAGs, which may have years to go through.",
        ),
    ] = 21_600.0
    deadline: Annotated[
        float,
        Field(
            ge=0,
            le=_WEEK,
            description="Seconds after which a run of `consumer_analytics_etl` that has not ended "
            "is late: mailed, and kept in `sla_miss`. 0: no deadline.",
        ),
    ] = 600.0
    monitor_schedule: Annotated[
        str,
        Field(
            description="When `consumer_analytics_monitor` runs: a cron expression or a preset.",
            rule=_check_schedule,
        ),
    ] = "*/5 * * * *"
    runtime_warning: Annotated[
        float,
        Field(
            gt=0, le=_YEAR, description="Seconds from which on a DAG run's duration is a warning."
        ),
    ] = 5.0
    runtime_critical: Annotated[
        float,
        Field(gt=0, le=_YEAR, description="Seconds beyond which it is critical."),
    ] = 15.0
    failed_runs_warning: Annotated[
        int,
        Field(
            ge=1,
            le=10**9,
            description="Failed runs within 24 hours from which on they are a warning.",
        ),
    ] = 1
    failed_runs_critical: Annotated[
        int,
        Field(
            ge=1,
            le=10**9,
            description="Failed runs within 24 hours from which on they are critical.",
        ),
    ] = 2
    lag_warning: Annotated[
        float,
        Field(
            gt=0,
            le=_YEAR,
            description="Seconds that the watermark has been behind what the schedule was due to "
            "reach, from which on that is a warning.",
        ),
    ] = 3600.0
    lag_critical: Annotated[
        float,
        Field(gt=0, le=_YEAR, description="Seconds beyond which it is critical."),
    ] = 21600.0
    pending_warning: Annotated[
        int,
        Field(
            ge=1,
            le=10**12,
            description="Events from before that instant, not processed yet, from which on they "
            "are a warning.",
        ),
    ] = 1
    pending_critical: Annotated[
        int,
        Field(ge=1, le=10**12, description="Pending events beyond which they are critical."),
    ] = 100
    disk_warning: Annotated[
        float,
        Field(
            ge=0,
            le=10**6,
            description="GiB of free space below which the doctor warns of a disk, where that is "
            "less than 10 % of it, too; a tenth of it, and 3 %, are a problem. 0: never.",
        ),
    ] = 20.0
    alert_recipients: Annotated[
        str,
        Field(
            description="Who gets the mails: addresses, separated by commas. None: no mail.",
            rule=_check_mail_addresses,
        ),
    ] = ""
    alert_sender: Annotated[
        str,
        Field(
            description="The mails' sender, such as `Analytics <alerts-from@example.com>`.",
            rule=_check_mail_address,
        ),
    ] = ""
    digest_recipients: Annotated[
        str,
        Field(
            description="Who gets the weekly digest by mail: addresses, separated by commas. None: "
            "there is none.",
            rule=_check_mail_addresses,
        ),
    ] = ""
    digest_hour: Annotated[
        int,
        Field(
            ge=0,
            le=23,
            description="Hour of Monday, in the configured zone, from which on it is sent.",
        ),
    ] = 7
    alert_channels_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(
            description="TOML file of further channels for alerts, a table each: a chat, a pager, "
            "a webhook. It holds keys.",
        ),
    ] = None
    alert_timeout: Annotated[
        float,
        Field(gt=0, le=300, description="Seconds that such a channel has for a message."),
    ] = 30.0
    alert_reminder: Annotated[
        float,
        Field(
            ge=0,
            le=_YEAR,
            description="Seconds between reminders of an incident that stays open. 0: none.",
        ),
    ] = 86400.0
    anomalies: Annotated[
        bool,
        Field(
            description="Whether people are told of what is odd with a consumer: few or many "
            "events for its own rhythm, lost customers, a new type that floods.",
        ),
    ] = False
    anomaly_ratio: Annotated[
        float,
        Field(
            gt=1,
            le=1_000,
            description="How many times what is usual, or the part of it that is one by this, a "
            "consumer's events have to be to be odd.",
        ),
    ] = 1.5
    anomaly_score: Annotated[
        float,
        Field(
            gt=0,
            le=1_000,
            description="How far beyond what is usual, in standard deviations of the consumer's "
            "own, they have to be besides. Less tells more, and more that is nothing.",
        ),
    ] = 4.5
    anomaly_events: Annotated[
        int,
        Field(
            ge=1,
            le=10**9,
            description="Events that are usual in a window below which it is not judged: of a "
            "consumer with few, longer windows are.",
        ),
    ] = 20
    anomaly_customers: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="The part of its customers that a consumer has to lose within a week.",
        ),
    ] = 0.2
    smtp_host: Annotated[
        str,
        Field(description="Mail server, such as `smtp.example.com`."),
    ] = ""
    smtp_port: Annotated[
        int,
        Field(ge=1, le=65535, description="Its port."),
    ] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Field(
            description="How the connection is secured: `starttls` (usual on port 587), `tls` from "
            "the first byte on (465), or `none` for a relay on this machine."
        ),
    ] = "starttls"
    smtp_user: Annotated[
        str,
        Field(description="Login at the mail server. None: no login."),
    ] = ""
    smtp_password_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(description="File whose first line is the password of that login."),
    ] = None
    smtp_ca_file: Annotated[
        Path | None,
        Field(
            description="PEM file of the authority that signed the mail server's certificate, "
            "where it is a private one."
        ),
    ] = None
    smtp_timeout: Annotated[
        float,
        Field(
            gt=0,
            le=300,
            description="Seconds that the mail server has for each answer, and six times as many "
            "for all of them.",
        ),
    ] = 30.0
    heartbeat_url: Annotated[
        Secret | None,
        Field(
            description="URL called after each good pass of the monitor: the dead-man's signal of "
            "an outside watcher, who is to raise the alarm when it stays away.",
            rule=_check_web_address,
        ),
    ] = None
    heartbeat_file: Annotated[
        Path | None,
        Field(description="File touched after each good pass of the monitor, for the same."),
    ] = None
    metrics_host: Annotated[
        str,
        Field(
            description="Address that `consumer-analytics metrics --serve` listens on. Any other "
            "than this machine's own (the loopback) needs a token.",
        ),
    ] = "127.0.0.1"
    metrics_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Port of `consumer-analytics metrics --serve`; 0 for a free one.",
        ),
    ] = 8083
    metrics_token_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(
            description="File whose first line is the token that Prometheus has to send "
            "(`authorization: credentials_file`).",
        ),
    ] = None
    metrics_hosts: Annotated[
        str,
        Field(
            description="Names, separated by commas, under which `consumer-analytics metrics "
            "--serve` is reached, besides the address it listens on; requests for other names are "
            "refused. With a token, and without names here, any.",
        ),
    ] = ""
    metrics_consumers: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Consumers that have metrics of their own, the largest by events; all "
            "others are summed up as `other`.",
        ),
    ] = 20
    metrics_timeout: Annotated[
        float,
        Field(gt=0, le=3_600, description="Seconds after which reading the metrics is given up."),
    ] = 5.0
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
        Secret | None,
        Field(
            description="libpq URL that the dashboard reads through, for a login in the role "
            "`consumer_analytics_dashboard`. Without it: the database URL.",
        ),
    ] = None
    dashboard_database_password_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(description="File whose first line is the password, for a URL without one."),
    ] = None
    dashboard_password_file: Annotated[
        Path | None,
        PrivateFile(),
        Field(description="File whose first line is the password that the dashboard asks for."),
    ] = None
    dashboard_tokens_file: Annotated[
        Path | None,
        PrivateFile(),
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
        Field(
            gt=0, le=24 * 31, description="Hours after which the dashboard asks to log in again."
        ),
    ] = 12.0
    dashboard_idle_minutes: Annotated[
        float,
        Field(
            gt=0,
            le=24 * 60 * 31,
            description="Minutes after which the dashboard asks to log in again where nobody has "
            "used it.",
        ),
    ] = 60.0
    dashboard_statement_timeout: Annotated[
        float,
        Field(
            gt=0, le=3_600, description="Seconds after which a query of the dashboard is given up."
        ),
    ] = 10.0

    trusted_proxies: Annotated[
        str,
        Field(
            description="Addresses and networks, separated by commas, of the proxies before "
            "`consumer-analytics serve`, such as `127.0.0.1, 10.1.0.0/16`. From these alone "
            "`X-Forwarded-For` is taken for whom a request is from, the last address in it that is "
            "none of theirs, and `X-Forwarded-Proto` for whether it came by https. Without it "
            "both headers are ignored.",
            rule=_check_networks,
        ),
    ] = ""
    server_connections: Annotated[
        int,
        Field(
            ge=4,
            le=10_000,
            description="Connections that `serve` and `metrics --serve` have at once. Where one "
            "more comes, the one goes that has waited longest without a request, of the address "
            "that has most.",
        ),
    ] = 200
    server_timeout: Annotated[
        float,
        Field(
            gt=0,
            le=300,
            description="Seconds that a client of `serve` and `metrics --serve` has for each of: "
            "the handshake of TLS, a request's headers, its body, and taking in a part of the "
            "answer.",
        ),
    ] = 10.0

    def __post_init__(self) -> None:
        """Hold what is not a default against its field's bounds, and what belongs together."""
        problems = [*self._out_of_bounds()]
        problems = problems or [*self._thresholds_in_disorder(), *self._thinning_in_disorder()]
        if problems:
            raise SettingsError("; ".join(problems))

    def _out_of_bounds(self) -> Iterator[str]:
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            # Defaults can be used: a test says so. To find UTC in the list of all time zones
            # would cost every start the reading of it.
            if value == one.default:
                continue
            try:
                fields.described(one).check(value)
            except ValueError as error:
                yield f"{variable(one.name)}: {error}"

    def _thresholds_in_disorder(self) -> Iterator[str]:
        for name in _limited():
            warning, critical = (getattr(self, f"{name}_{limit}") for limit in THRESHOLDS)
            if warning > critical:
                yield (
                    f"{variable(name)}_WARNING ({warning:g}) is greater than "
                    f"{variable(name)}_CRITICAL ({critical:g})"
                )

    def _thinning_in_disorder(self) -> Iterator[str]:
        tiers = [(variable(tier.setting), tier.days) for tier in self.tiers]
        for (before, earlier), (name, later) in pairwise(tiers):
            if later is not None and (earlier is None or later < earlier):
                yield (
                    f"{name} is {later}; {before} must "
                    f"be set to that or less, and is {'unset' if earlier is None else earlier}"
                )

    def replaced(self, changes: Mapping[str, Any]) -> Self:
        """Return the settings with other values for some of them, by name."""
        return dataclasses.replace(self, **changes)

    @property
    def sources(self) -> Sources:
        """The source tables under the user's names; read from `sources_file` once a process.

        The names are those of the shards, where there are any, each of which is worked on with
        settings of its own: the database that their figures are put together in has no rows.

        Raises:
            SettingsError: that cannot be read, or says what cannot be.
        """
        if self.shards_file is not None:
            return _within("public")
        if self.sources_file is None:
            return _within(self.source_schema)
        return _mapped(self.sources_file, self.source_schema)

    @property
    def recipients(self) -> list[str]:
        """The addresses of `alert_recipients`, one by one."""
        return _listed(self.alert_recipients)

    @property
    def names_of_dashboard(self) -> list[str]:
        """The names of `dashboard_hosts`, one by one."""
        return _listed(self.dashboard_hosts)

    @property
    def names_of_metrics(self) -> list[str]:
        """The names of `metrics_hosts`, one by one."""
        return _listed(self.metrics_hosts)

    @property
    def proxies(self) -> list[str]:
        """The networks of `trusted_proxies`, one by one."""
        return _networks(self.trusted_proxies)

    @property
    def tiers(self) -> list[Tier]:
        """The tiers of retention, each thinning further than the one before."""
        return [
            Tier(name, mark.period, getattr(self, name))
            for name, mark in fields.marked(self, OneSnapshotPer)
        ]

    @property
    def zone(self) -> ZoneInfo:
        """The configured time zone."""
        return ZoneInfo(self.timezone)

    @property
    def ignored_roles(self) -> list[str]:
        """The logins of `holdback_ignore_roles`, one by one."""
        return _listed(self.holdback_ignore_roles)


@lru_cache
def _within(schema: str) -> Sources:
    return Sources.within(schema)


@lru_cache
def _mapped(path: Path, schema: str) -> Sources:
    try:
        return mapping.load(path, schema)
    except SettingsError as error:
        raise SettingsError(f"{variable('sources_file')}: {error}") from None


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{PREFIX}{name.upper()}"


def _limited() -> list[str]:
    """Return what has two limits, the beginnings of their names: `runtime`, `lag` ..."""
    names = [one.name for one in dataclasses.fields(Settings)]
    warning, critical = (f"_{threshold}" for threshold in THRESHOLDS)
    begun = [name.removesuffix(warning) for name in names if name.endswith(warning)]
    return [name for name in begun if f"{name}{critical}" in names]


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = {one.name.upper() for one in dataclasses.fields(Settings)} | TEST_VARIABLES
    for name in sorted(environment):
        if name.startswith(PREFIX) and (short := name.removeprefix(PREFIX)) not in known:
            import difflib

            close = difflib.get_close_matches(short.upper(), known, n=1)
            hint = f"; did you mean {PREFIX}{close[0]}?" if close else ""
            raise SettingsError(f"{name} is not a setting{hint}")


def load_settings() -> Settings:
    """Read the settings from the environment; a variable that is empty counts as unset.

    Raises:
        SettingsError: a variable is unknown or its value cannot be used; the
            message names each that is wrong and the reason, never the value of
            a secret.
    """
    _refuse_unknown(os.environ)
    # A variable may be written in lower case, too.
    given = {name.upper(): text for name, text in os.environ.items() if text}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for one in dataclasses.fields(Settings):
        if (text := given.get(variable(one.name))) is None:
            continue
        try:
            values[one.name] = fields.read(one, text)
        except ValueError as error:
            problems.append(f"{variable(one.name)}: {error}")
    try:
        found = Settings(**values)
    except SettingsError as error:
        problems.append(str(error))
    if problems:
        raise SettingsError("; ".join(problems))
    return found


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings, read once."""
    return load_settings()
