#!/opt/consumer-analytics/bin/python
"""Bring a database to where the components of Airflow can start: run before each of their starts.

As the superuser of the server, which nothing else comes as: the login and the database of the
product, and, by the product's own means, Airflow's login, schema and rights. Then the migrations of
both, each as its own login. What is there stays as it is; passwords become those of the files.

Environment:
    SUPERUSER_URL: address of the server's superuser; empty: logins, database and schema are there.
    SUPERUSER_PASSWORD_FILE: file with its password.
    CONSUMER_ANALYTICS_DATABASE_URL, CONSUMER_ANALYTICS_DATABASE_PASSWORD_FILE: the product's.
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD: prints Airflow's, with its password.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from consumer_analytics import secret_files
from consumer_analytics.db.connection import conninfo
from consumer_analytics.errors import ConsumerAnalyticsError, one_line
from consumer_analytics.local.metadata import Metadata
from consumer_analytics.settings import load_settings

_VARIABLE = "SUPERUSER_PASSWORD_FILE"


def main() -> str | int:
    """Prepare; return what went wrong, or the exit code."""
    try:
        if os.environ.get("SUPERUSER_URL"):
            prepare()
    except (ConsumerAnalyticsError, psycopg.Error, OSError) as error:
        return f"error: {one_line(error)}"
    for command in (("consumer-analytics", "migrate"), ("airflow", "db", "migrate")):
        print("+", *command, flush=True)
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


def prepare() -> None:
    """Make the product's login and database, and Airflow's login and schema in it."""
    ours = conninfo(load_settings())
    parts = conninfo_to_dict(ours)
    password = secret_files.line_for(_VARIABLE, Path(os.environ.get(_VARIABLE, "")))
    admin = make_conninfo(os.environ["SUPERUSER_URL"], password=password)
    with psycopg.connect(admin, autocommit=True) as connection:
        login, database = (sql.Identifier(str(parts[name])) for name in ("user", "dbname"))
        known = connection.execute("select 1 from pg_roles where rolname = %s", [parts["user"]])
        verb = sql.SQL("alter" if known.fetchone() else "create")
        connection.execute(
            sql.SQL("{} role {} login password {}").format(verb, login, parts["password"])
        )
        # Runs see by it when other sessions' transactions began.
        connection.execute(sql.SQL("grant pg_read_all_stats to {}").format(login))
        known = connection.execute(
            "select 1 from pg_database where datname = %s", [parts["dbname"]]
        )
        if known.fetchone() is None:
            connection.execute(sql.SQL("create database {} owner {}").format(database, login))
    command = shlex.split(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD"])
    metadata = subprocess.check_output(command, text=True)
    secret = unquote(urlsplit(metadata.strip()).password or "")
    # It is made in the product's database, not in that of the superuser.
    Metadata(make_conninfo(admin, dbname=parts["dbname"]), ours, secret).prepare()


if __name__ == "__main__":
    sys.exit(main())
