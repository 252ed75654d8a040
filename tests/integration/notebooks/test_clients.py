"""Readers of the flat views that install from PyPI: what `docs/how-to/bi.md` says of each.

In an environment of their own: the product needs none of them. The history lies over the night in
which Berlin's clocks go forward, which is where the readers differ.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Database, command_environment
from tests.support import tools
from tests.support.history import random_history

from consumer_analytics import Analytics

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[3]
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
PLACE = ROOT / "build" / "clients"
ZONE = "Europe/Berlin"
BEGIN = dt.datetime(2025, 3, 25, tzinfo=dt.UTC)
#: The system's snapshots at the midnights of Berlin: four in winter time, four in summer time.
STATEMENT = (
    "select snapshot_timestamp, total_customers, active_ratio, is_backfilled "
    "from consumer_analytics_flat_system order by 1"
)
BEFORE = """
import json, sys, warnings
from urllib.parse import quote
warnings.simplefilter("ignore")
dsn, parts, statement = json.loads(sys.argv[1])
user, password = parts["user"], quote(parts.get("password", ""), safe="")
host, port, dbname = quote(parts["host"], safe=""), parts["port"], parts["dbname"]
url = f"postgresql://{user}:{password}@/{dbname}?host={host}&port={port}"
def tell(**told):
    print(json.dumps(told, default=str))
"""


@pytest.fixture(scope="module")
def python() -> Path:
    """Return the Python of an environment with the clients, and with the product's extra."""
    program = PLACE / "bin" / "python"
    if not UV.exists():
        pytest.skip("the environment is made by the uv of `make setup`")
    wanted = Path(__file__).with_name("clients.txt")
    for command in (
        (UV, "venv", "--quiet", "--allow-existing", "--python", "3.11", PLACE),
        (
            *(UV, "pip", "install", "--quiet", "--python", program),
            *("-c", ROOT / "constraints.txt", "-r", wanted, "-e", f"{ROOT}[dataframes]"),
        ),
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=command_environment()
        )
        assert done.returncode == 0, done.stderr
    return program


@pytest.fixture
def history(new_database: Any) -> Database:
    """Return a database with eight midnights of Berlin."""
    database: Database = new_database(timezone=ZONE)

    def fill() -> None:
        with database.connect() as connection:
            random_history(connection, random.Random(5), BEGIN, BEGIN + dt.timedelta(days=10))
        Analytics(database.url, timezone=ZONE).backfill("2025-03-26", "2025-04-03")

    database.prepared("clients", fill)
    return database


class Reader:
    """Runs a few lines in the clients' environment."""

    def __init__(self, python: Path, database: Database) -> None:
        self._python = python
        self.rows = database.rows(STATEMENT)
        self._given = json.dumps([database.url, conninfo_to_dict(database.url), STATEMENT])

    def __call__(self, lines: str, **environment: str) -> dict[str, Any]:
        done = subprocess.run(
            [self._python, "-c", BEFORE + lines, self._given],
            env=command_environment({"PYTHONPATH": "", **environment}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return told

    @property
    def instants(self) -> list[str]:
        return [str(row[0].astimezone(dt.UTC)) for row in self.rows]


@pytest.fixture
def read(python: Path, history: Database) -> Reader:
    """Return what reads the history by a client."""
    made = Reader(python, history)
    assert len(made.rows) == 8
    return made


def test_our_own_tables_are_typed_whole_and_right(read: Reader) -> None:
    found = read("""
from consumer_analytics import Analytics
table = Analytics(dsn, timezone="Europe/Berlin").snapshots("system")
frame, arrow = table.pandas(), table.arrow()
tell(
    types={name: str(kind) for name, kind in frame.dtypes.items()},
    arrow={field.name: str(field.type) for field in arrow.schema},
    instants=[str(at) for at in frame.snapshot_timestamp.dt.tz_convert("UTC")],
    customers=[int(n) for n in frame.total_customers],
    largest=float(frame.active_ratio.max()),
    rows=arrow.num_rows,
    latest=[len(Analytics(dsn).snapshots(of).pandas()) for of in ("latest", "revisions")],
    lifetime=str(Analytics(dsn).snapshots().pandas().avg_customer_lifetime_days.dtype),
)
""")
    assert found["types"]["snapshot_timestamp"] == "datetime64[us, UTC]"
    assert found["types"]["total_customers"] == "Int64"
    assert found["types"]["active_ratio"] == "float64"
    assert found["types"]["is_backfilled"] == "boolean"
    assert found["arrow"]["snapshot_timestamp"] == "timestamp[us, tz=UTC]"
    assert found["arrow"]["total_customers"] == "int64"
    assert found["instants"] == read.instants
    assert found["customers"] == [row[1] for row in read.rows]
    assert found["largest"] == float(max(row[2] for row in read.rows))
    assert found["rows"] == 8
    assert found["latest"][1] == 0
    assert found["latest"][0] > 0
    assert found["lifetime"] == "float64"


def test_pandas_loses_instants_past_the_clock_change_unless_it_is_told_utc(read: Reader) -> None:
    found = read("""
import pandas, psycopg2
session = psycopg2.connect(dsn)
session.cursor().execute("set time zone 'Europe/Berlin'")
plain = pandas.read_sql(statement, session, parse_dates=["snapshot_timestamp"])
told = pandas.read_sql(statement, session, parse_dates={"snapshot_timestamp": {"utc": True}})
session.cursor().execute("set time zone 'UTC'")
in_utc = pandas.read_sql(statement, session, parse_dates=["snapshot_timestamp"])
tell(lost=int(plain.snapshot_timestamp.isna().sum()),
     told=[str(at) for at in told.snapshot_timestamp],
     in_utc=[str(at) for at in in_utc.snapshot_timestamp])
""")
    assert found["lost"] == 4, "pandas loses them no more: mend the page"
    assert found["told"] == found["in_utc"] == read.instants


@pytest.mark.parametrize("way", ["adbc", "polars"])
def test_adbc_gives_decimals_as_text_unless_they_are_cast(read: Reader, way: str) -> None:
    fetch = {
        "adbc": """
import adbc_driver_postgresql.dbapi as adbc
def fetch(asked):
    with adbc.connect(url) as session, session.cursor() as cursor:
        cursor.execute(asked)
        return cursor.fetch_arrow_table()
kind = lambda table: str(table.schema.field("active_ratio").type)
""",
        "polars": """
import polars
def fetch(asked):
    return polars.read_database_uri(asked, url, engine="adbc")
kind = lambda table: str(table.schema["active_ratio"])
""",
    }[way]
    found = read(
        fetch
        + """
cast = statement.replace("active_ratio", "active_ratio::float8")
tell(plain=kind(fetch(statement)), cast=kind(fetch(cast)))
"""
    )
    assert "opaque" in found["plain"], "ADBC gives numbers now: mend the page"
    assert found["cast"].lower() in {"double", "float64"}


def test_connectorx_gives_instants_in_utc_and_to_pandas_without_their_zone(read: Reader) -> None:
    found = read("""
import connectorx
where = f"postgresql://{user}:{password}@{host}:{port}/{dbname}"
frame = connectorx.read_sql(where, statement)
table = connectorx.read_sql(where, statement, return_type="arrow")
tell(pandas=str(frame.snapshot_timestamp.dtype), arrow=str(table.schema.field(0).type),
     at=[str(at) for at in frame.snapshot_timestamp])
""")
    assert "+00:00" in found["arrow"]
    naive = [at.removesuffix("+00:00") for at in read.instants]
    assert [at.removesuffix("+00:00") for at in found["at"]] == naive


def test_duckdb_and_polars_take_our_arrow_table(read: Reader) -> None:
    found = read("""
import duckdb, polars
from consumer_analytics import Analytics
snapshots = Analytics(dsn).snapshots("system").arrow()
days = duckdb.sql(
    "select count(distinct date_trunc('day', snapshot_timestamp at time zone 'Europe/Berlin')), "
    "max(active_ratio) from snapshots"
).fetchall()
kind = polars.from_arrow(snapshots).schema["total_customers"]
tell(days=days[0][0], largest=days[0][1], polars=str(kind))
""")
    assert found["days"] == 8
    assert found["largest"] == float(max(row[2] for row in read.rows))
    assert found["polars"] == "Int64"


def test_odbc_gives_booleans_as_text_unless_it_is_told_otherwise(
    read: Reader, tmp_path: Path
) -> None:
    driver = tools.odbc(tmp_path)
    found = read(
        """
import os, pyodbc
def first(more):
    session = pyodbc.connect(
        f"Driver={os.environ['ODBC_DRIVER']};Servername={parts['host']};Port={port};"
        f"Database={dbname};Uid={user};Pwd={parts.get('password', '')};{more}"
    )
    return list(session.execute(statement).fetchone())
tell(plain=first("")[3], told=first("BoolsAsChar=0;")[3])
""",
        ODBC_DRIVER=str(driver),
        LD_LIBRARY_PATH=str(driver.parents[1]),
    )
    assert (found["plain"], found["told"]) == ("1", True)
