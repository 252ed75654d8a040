"""The application's inserts, with and without runs beside them."""

from __future__ import annotations

import re
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.measure import Measured, environment, spread
from benchmarks.results import Work
from benchmarks.server import Database, Server
from benchmarks.systems.ours import Engine

_CLIENTS = 2
#: Of what the clients insert when nothing holds them: a database that is busy, not overrun.
_PACE = 0.5
_ALONE, _BESIDE = "inserts alone", "inserts beside runs"
#: The same, where runs are told to take no second process, and to pause as long as they worked.
_POLITE = "inserts beside polite runs"
POLITENESS = {"workers": 0, "pause": 1.0}
_PACED, _PACED_BESIDE = "paced inserts alone", "paced inserts beside runs"
_ACTORS = """
create table busy_actors as
    select row_number() over () as n, customer_id, consumer_id from customers limit 10000;
alter table busy_actors add primary key (n);
analyze busy_actors;
"""
_SCRIPT = r"""
\set n random(1, {actors})
insert into customer_events (event_id, customer_id, consumer_id, event_type, payload_json) select gen_random_uuid(), customer_id, consumer_id, 'login', '{{}}' from busy_actors where n = :n;
"""  # noqa: E501
#: Locks of our session on the application's tables, and how many of its sessions wait for any.
_LOCKS = """
select distinct relname || ' ' || mode, (
    select count(*) from pg_stat_activity
    where application_name = 'pgbench' and wait_event_type = 'Lock' and wait_event = 'relation'
)
from pg_stat_activity as session
inner join pg_locks as held on held.pid = session.pid and held.locktype = 'relation'
inner join pg_class on pg_class.oid = held.relation
where application_name like 'consumer-analytics%' and database = (
    select oid from pg_database where datname = current_database()
)
and relname in ('consumers', 'customers', 'customer_events')
"""


class _Runs:
    """Runs that follow each other, in a thread, until they are told to end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ending = threading.Event()
        self.seconds: list[float] = []
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        while not self._ending.is_set():
            self.seconds.append(self._engine.now().seconds)

    def end(self) -> None:
        self._ending.set()
        self._thread.join()


class _Watch:
    """Looks at locks on the application's tables, a few times a second."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ending = threading.Event()
        self.held: set[str] = set()
        self.waiting = 0
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        with self._database.connect() as connection:
            while not self._ending.wait(0.1):
                for lock, waiting in connection.execute(_LOCKS).fetchall():
                    self.held.add(lock)
                    self.waiting = max(self.waiting, waiting)

    def end(self) -> None:
        self._ending.set()
        self._thread.join()


def _insert(
    server: Server, database: Database, script: Path, seconds: int, rate: float | None = None
) -> float:
    """Insert as fast as one can, or at a rate; return transactions a second."""
    pace = [] if rate is None else [f"--rate={rate:.0f}"]
    done = subprocess.run(
        [
            server.binaries / "pgbench", "--host", database.socket, "--username", "analytics",
            "--no-vacuum", f"--client={_CLIENTS}", "--jobs=1", f"--time={seconds}",
            *pace, f"--file={script}", database.name,
        ],
        env=environment({}),
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if found is None:
        raise RuntimeError(done.stdout)
    return float(found[1])


def measure(
    work: Work,
    server: Server,
    database: Database,
    engine: Engine,
    polite: Engine,
    seconds: int,
    rounds: int,
) -> None:
    """Insert with and without runs in turn, at full speed and paced; note losses and locks seen."""
    with database.connect() as connection:
        connection.execute(_ACTORS)
        (actors,) = connection.execute("select count(*) from busy_actors").fetchone() or (0,)
    watch = _Watch(database)
    took: dict[Engine, list[float]] = {engine: [], polite: []}
    beside = {_BESIDE: engine, _PACED_BESIDE: engine, _POLITE: polite}
    rates: dict[str, list[float]] = {}

    def insert(name: str, number: int, rate: float | None = None) -> None:
        runs = _Runs(beside[name]) if name in beside else None
        try:
            reached = _insert(server, database, script, seconds, rate)
        finally:
            if runs is not None:
                runs.end()
                took[beside[name]].extend(runs.seconds)
        rates.setdefault(name, []).append(reached)
        work.add(name, number, Measured(1 / reached, detail={"per second": round(reached)}))
        time.sleep(1)

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(_SCRIPT.format(actors=actors))
        _insert(server, database, script, 2)
        try:
            for number in range(1, 1 + rounds):
                turn = 1 if number % 2 else -1
                for name in (_ALONE, _BESIDE, _POLITE)[::turn]:
                    insert(name, number)
                pace = _PACE * rates[_ALONE][-1]
                for name in (_PACED, _PACED_BESIDE)[::turn]:
                    insert(name, number, pace)
        finally:
            watch.end()
    work.facts = {
        "as fast as they can, a second": _told(rates[_ALONE], rates[_BESIDE]),
        "the same, beside polite runs": _told(rates[_ALONE], rates[_POLITE]),
        f"at {_PACE:.0%} of that, a second": _told(rates[_PACED], rates[_PACED_BESIDE]),
        "runs meanwhile": _runs(took[engine]),
        "polite runs meanwhile": _runs(took[polite]),
        "locks held on the application's tables": ", ".join(sorted(watch.held)) or "none seen",
        "inserting sessions seen waiting for a table's lock": str(watch.waiting),
    }
    worker = engine.now()
    row = work.row(_BESIDE)
    if row is not None:
        row.peak_mb = worker.peak_mb


def _runs(seconds: list[float]) -> str:
    return f"{len(seconds)}, each {spread(seconds)[0]:.3f} s in the median"


def _told(alone: list[float], beside: list[float]) -> str:
    """Say what was reached alone and beside runs, and what that loses."""
    losses = [1 - b / a for a, b in zip(alone, beside, strict=True)]
    loss = 1 - spread(beside)[0] / spread(alone)[0]
    return (
        f"{spread(alone)[0]:,.0f} alone, {spread(beside)[0]:,.0f} beside runs: "
        f"{loss:.1%} lost (rounds {min(losses):.1%} to {max(losses):.1%})"
    )
