"""A history that is always the same, told to the product by its own commands.

    python -m tests.data.recorded.history DATABASE_URL    # prints what each chapter changed

Recorded once by the build named in README.md, and told again by the tests: the snapshots must come
out byte for byte as they did then. So that it can be told to any build, it uses nothing of the
product but its commands, and it brings its rows along. Nothing in it depends on the clock: all of
it lies in 2025, and no instant is left to a default.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import importlib
import io
import json
import lzma
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from tests.support import unfold

FOLDER = Path(__file__).parent
SOURCES = {table: FOLDER / f"{table}.csv.xz" for table in unfold.TABLES}
#: What the rows were made by.
SIMULATED = [
    *("--consumers", "8", "--customers", "500", "--events", "6000"),
    *("--days", "260", "--until", "2025-11-10T00:00:00Z", "--seed", "12"),
]


class Product:
    """The product's command line, in this process, and a session that writes its source tables.

    Attributes:
        session: in autocommit; it says that it only reads, so that no run waits for it.
    """

    def __init__(self, url: str) -> None:
        """Use the database of this URL, which `migrate` has been run on."""
        os.environ["CONSUMER_ANALYTICS_DATABASE_URL"] = url
        # `maintenance` looks there for old logs.
        self._home = tempfile.TemporaryDirectory(prefix="ca-recorded-")
        os.environ["CONSUMER_ANALYTICS_HOME"] = self._home.name
        self.session: psycopg.Connection[Any] = psycopg.connect(url, autocommit=True)
        self.session.execute("set timezone = 'UTC'")

    def __call__(self, *arguments: str, exit_code: int = 0, **settings: str) -> Any:
        """Run a command with settings of its own; return the JSON that it prints.

        Raises:
            AssertionError: it ended with another exit code.
        """
        commands = importlib.import_module("consumer_analytics.cli.commands")
        read = importlib.import_module("consumer_analytics.settings")
        printed = io.StringIO()
        with _environment(settings), contextlib.redirect_stdout(printed):
            read.settings.cache_clear()
            ended = 0
            try:
                ended = commands.app([*arguments, "--json"], standalone_mode=False) or 0
            except SystemExit as error:
                ended = int(error.code or 0)
        assert ended == exit_code, f"{arguments} ended with {ended}: {printed.getvalue()}"
        return json.loads(printed.getvalue())

    def write(self, *statements: str) -> None:
        """Run statements on the source tables, each in a transaction of its own."""
        for statement in statements:
            self.session.execute(statement.encode())

    def unfold(self, until: str) -> None:
        """Let the simulated history happen up to an instant, exclusive."""
        unfold.unfold(self.session, dt.datetime.fromisoformat(until))

    def run_at(self, *instants: str) -> None:
        """Let the history happen up to each instant, and run there."""
        for at in instants:
            self.unfold(at)
            self("run", "--as-of", at)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    names = {f"CONSUMER_ANALYTICS_{name.upper()}": value for name, value in settings.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


# -- the chapters ------------------------------------------------------------------


def _consumer(place: int) -> str:
    """Return SQL that names the consumer with the place-th least id, from 0 on; -1 is the last."""
    order, offset = ("", place) if place >= 0 else (" desc", -1 - place)
    return (
        f"(select consumer_id from consumers order by consumer_id{order} offset {offset} limit 1)"
    )


def _events(values: str, count: int = 1, source: str = "") -> str:
    """Return SQL that inserts events.

    Args:
        values: expressions for customer, consumer, type, payload and time; `n` counts from 1.
        count: how many.
        source: what else they are selected from.
    """
    key = hashlib.md5(values.encode(), usedforsecurity=False).hexdigest()
    return (
        "insert into customer_events "
        "(event_id, customer_id, consumer_id, event_type, payload_json, created_at) "
        f"select md5('{key}' || n)::uuid, {values} from generate_series(1, {count}) as n {source}"
    )


def _backfilled(product: Product) -> None:
    """Days, weeks of another zone through both changes of its clocks, one consumer alone."""
    product.unfold("2025-10-10T00:00:00Z")
    product("backfill", "--start-date", "2025-06-15", "--end-date", "2025-08-30")
    for first, last in (("2025-02-10", "2025-04-12"), ("2025-08-20", "2025-10-08")):
        product(
            *("backfill", "--start-date", first, "--end-date", last, "--interval", "weekly"),
            timezone="Europe/Berlin",
        )
    row = product.session.execute(f"select {_consumer(0)}::text".encode()).fetchone()
    assert row is not None
    product(
        *("backfill", "--start-date", "2025-09-01", "--end-date", "2025-09-04"),
        *("--consumer", row[0]),
    )


def _live(product: Product) -> None:
    """Runs: days, hours, odd instants, twice at the same one, one in the past."""
    product("run", "--as-of", "2025-10-10T00:00:00Z")
    product.run_at(
        "2025-10-11T00:00:00Z",
        "2025-10-11T13:37:11.123456Z",
        "2025-10-12T00:00:00Z",
        *(f"2025-10-12T{hour:02}:00:00Z" for hour in range(1, 24, 8)),
        "2025-10-13T00:00:00Z",
    )
    product("run", "--as-of", "2025-10-13T00:00:00Z")
    product("run", "--as-of", "2025-10-12T12:00:00Z")
    product.run_at(*(f"2025-10-{day}T00:00:00Z" for day in range(14, 21)))


def _bad_rows(product: Product) -> None:
    """Rows without a consumer, with one that is unknown, without a type, from the future."""
    unreadable = """(array['[]', '{}', '"x"', '{"old_status": 3}'])[n]::jsonb"""
    product.write(
        _events("null, null, 'login', '{}', '2025-10-20 01:00Z'", 5),
        _events(
            f"null, {_consumer(0)}, (array[null, '', '   ', repeat('long', 100)])[n], '{{}}', "
            "'2025-10-20 02:00Z'",
            4,
        ),
        _events("null, md5('unknown')::uuid, 'login', '{}', '2025-10-20 03:00Z'", 3),
        _events("null, null, 'login', '{}', '2999-01-01 00:00Z'", 2),
        _events(
            "(select customer_id from customers order by 1 offset 5 limit 1), null, "
            f"'customer_status_change', {unreadable}, '2025-10-20 04:00Z'",
            4,
        ),
        "insert into customers select md5('customer ' || n)::uuid, null, "
        "(array['ACTIVE', '', null])[n], '2025-10-20 05:00Z', '2025-10-20 05:00Z' "
        "from generate_series(1, 3) as n",
        "insert into customers select md5('customer ' || n)::uuid, md5('unknown')::uuid, "
        "'BLOCKED', '2025-10-20 05:00Z', '2025-10-20 05:00Z' from generate_series(4, 5) as n",
    )
    product.run_at("2025-10-21T00:00:00Z", "2025-10-22T00:00:00Z")


def _late(product: Product) -> None:
    """Rows that come days and months late are swept up: events, a customer, what befell it."""
    late_customer = "join customers on customer_id = md5('late customer')::uuid"
    creation = """'{"status": "ACTIVE"}'"""
    change = """'{"old_status": "ACTIVE", "new_status": "BLOCKED"}'"""
    product.write(
        _events(f"null, {_consumer(0)}, 'login', '{{}}', '2025-10-18 06:00Z'", 2),
        _events(f"null, {_consumer(2)}, 'refund', '{{}}', '2025-05-05 00:00Z'", 3),
        # Came into being days ago, and was blocked on a midnight.
        "insert into customers values (md5('late customer')::uuid, "
        f"{_consumer(-1)}, 'BLOCKED', '2025-10-17 12:00Z', '2025-10-19 00:00Z')",
        _events(
            f"customer_id, consumer_id, 'customer_creation', {creation}, created_at",
            source=late_customer,
        ),
        _events(
            f"customer_id, consumer_id, 'customer_status_change', {change}, updated_at",
            source=late_customer,
        ),
    )
    product("sweep", "--days", "7")
    product("sweep", "--since", "2025-05-01")
    product.run_at("2025-10-23T00:00:00Z")


def _chosen(key: str, table: str, condition: str, count: int) -> str:
    """Return SQL of a condition: one of the first rows, by key, that meet another condition."""
    return f"{key} in (select {key} from {table} where {condition} order by {key} limit {count})"


def _corrected(product: Product) -> None:
    """Rows of the trailing days that the application takes back, or changes."""
    the_20th = "event_type = 'login' and created_at >= '2025-10-20Z' and created_at < '2025-10-21Z'"
    the_19th = (
        "event_type = 'purchase' and created_at >= '2025-10-19Z' and created_at < '2025-10-20Z'"
    )
    product.write(
        f"delete from customer_events where {_chosen('event_id', 'customer_events', the_20th, 4)}",
        "update customer_events set event_type = 'logout' "
        f"where {_chosen('event_id', 'customer_events', the_19th, 3)}",
        f"update consumers set name = 'renamed' where consumer_id = {_consumer(0)}",
    )
    product("sweep", "--days", "7")
    product.run_at("2025-10-24T00:00:00Z")


def _captured(product: Product) -> None:
    """With capture on: late, changed and deleted rows of any age, and customers who move."""
    product("capture", "enable")
    product.run_at("2025-10-25T00:00:00Z")
    old = "event_type = 'page_view' and created_at < '2025-07-01Z'"
    of_the_first = f"consumer_id = {_consumer(0)}"
    active = "status = 'ACTIVE' and consumer_id is not null"
    product.write(
        _events(f"null, {_consumer(1)}, 'search', '{{}}', '2025-06-06 06:06Z'", 4),
        f"delete from customer_events where {_chosen('event_id', 'customer_events', old, 5)}",
        f"update customers set consumer_id = {_consumer(-1)} "
        f"where {_chosen('customer_id', 'customers', of_the_first, 2)}",
        "update customers set status = 'BLOCKED' "
        f"where {_chosen('customer_id', 'customers', active, 2)}",
        f"delete from customers where {_chosen('customer_id', 'customers', active, 2)}",
    )
    product.run_at("2025-10-26T00:00:00Z", "2025-10-27T00:00:00Z", "2025-10-28T00:00:00Z")
    product("sweep", "--days", "60")


def _watermark(product: Product) -> None:
    """The watermark set to an older day, and reset."""
    product("watermark", "set", "2025-09-15", "--yes")
    product.run_at("2025-10-29T00:00:00Z")
    product.unfold("2025-10-30T00:00:00Z")
    product("watermark", "reset", "--yes")
    product.run_at("2025-10-31T00:00:00Z")


def _thinned(product: Product) -> None:
    """Only each day's last snapshot is kept; a backfill writes some again."""
    product("maintenance", keep_snapshots_days="1")
    product("backfill", "--start-date", "2025-10-11", "--end-date", "2025-10-14")
    product.run_at("2025-11-01T00:00:00Z")


def _purged(product: Product) -> None:
    """Old rows are purged: what was counted stays, until somebody says otherwise."""
    product("capture", "disable")
    product.write("delete from customer_events where created_at < '2025-03-15Z'")
    product.run_at("2025-11-02T00:00:00Z")
    product("sweep", "--days", "7")
    product.run_at("2025-11-03T00:00:00Z")
    product("sweep", "--accept-purged")
    product.run_at("2025-11-04T00:00:00Z", "2025-11-10T00:00:00Z")


CHAPTERS: dict[str, Callable[[Product], None]] = {
    "backfilled": _backfilled,
    "live": _live,
    "bad rows": _bad_rows,
    "late": _late,
    "corrected": _corrected,
    "captured": _captured,
    "watermark": _watermark,
    "thinned": _thinned,
    "purged": _purged,
}


# -- telling it ------------------------------------------------------------------


def copy_out(table: str) -> bytes:
    """Return the statement that writes a source table as the recording has it."""
    rows = f"select * from {table} order by created_at, 1"
    return f"copy ({rows}) to stdout (format csv, header)".encode()


def load_sources(session: psycopg.Connection[Any]) -> None:
    """Put the rows aside, to be unfolded; the source tables stay empty."""
    with session.cursor() as cursor:
        for table, path in SOURCES.items():
            statement = f"copy {table} from stdin (format csv, header match)"
            with cursor.copy(statement.encode()) as copy:
                copy.write(lzma.decompress(path.read_bytes()))
    unfold.stage(session)


def tell(url: str) -> Iterator[str]:
    """Tell the history, and say what each chapter changed, one JSON document a line.

    Args:
        url: a migrated database with nothing in its source tables.

    Yields:
        `[chapter, consumer_id, snapshot_timestamp, metrics_json]` of each snapshot that the
        chapter wrote or restated, ordered by instant and consumer; `metrics_json` is the exact
        text that PostgreSQL shows, null where the chapter removed the snapshot.
    """
    product = Product(url)
    load_sources(product.session)
    before: dict[tuple[str, str], str] = {}
    for chapter, happens in CHAPTERS.items():
        happens(product)
        after = {
            (at, consumer): text
            for at, consumer, text in product.session.execute(
                'select to_char(snapshot_timestamp, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\'), '
                "coalesce(consumer_id::text, ''), metrics_json::text from consumer_analytics"
            )
        }
        for at, consumer in sorted(before.keys() | after.keys()):
            text = after.get((at, consumer))
            if text != before.get((at, consumer)):
                yield json.dumps([chapter, consumer or None, at, text])
        before = after


if __name__ == "__main__":
    for line in tell(sys.argv[1]):
        sys.stdout.write(line + "\n")
