"""A year of operation on a clock of its own: each incident told once, with its cause, and no other.

Real runs, a real database, Airflow's own tables and a real mail server; only the time is
made up. What Airflow's scheduler would do (start the runs, try again, call back) the test does.
"""

from __future__ import annotations

import datetime as dt
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from tests.support import airflow_tables
from tests.support.checks import wrong_snapshots
from tests.support.fake_clock import FakeClock
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.db.connection import connect
from consumer_analytics.errors import SourceError
from consumer_analytics.etl import run
from consumer_analytics.monitoring import incidents, monitor
from consumer_analytics.monitoring.incidents import Failure, Miss
from consumer_analytics.monitoring.notifications import outbox

ZONE = ZoneInfo("Europe/Berlin")
DAG = "consumer_analytics_etl"
SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
#: When the monitor looks on a day on which nothing happens; the setting's five minutes
#: around the run, then less often, for the sake of the test's own time.
QUIET_DAY = ("00:05", "00:15", "01:05", "06:05", "18:00")


def local(day: str, time: str = "00:00") -> dt.datetime:
    """Return the instant of a wall clock's time in 2025, in UTC."""
    return dt.datetime.fromisoformat(f"2025-{day}T{time}").replace(tzinfo=ZONE).astimezone(dt.UTC)


class Year:
    """The system, and the world around it."""

    def __init__(self, database: Any, mails: MailServer, folder: Path) -> None:
        self.clock = FakeClock(database, local("01-01", "12:00"))
        self.database = replace(
            database,
            settings=database.settings.replaced(
                {
                    **mails.settings,
                    "timezone": "Europe/Berlin",
                    "holdback_wait": 0.0,
                    "alert_reminder": 0.0,
                    "heartbeat_file": folder / "alive",
                }
            ),
        )
        airflow_tables.create(database)
        self.rng = random.Random(2025)
        self.mails = mails
        self.beats: list[dt.datetime] = []
        self.consumers = [row[0] for row in database.rows(_CONSUMERS)]
        self._monitor: Any = None
        self._added: set[dt.date] = set()
        database.execute(
            "insert into airflow.job (id, job_type, state, latest_heartbeat) "
            "values (1, 'SchedulerJob', 'running', %s)",
            [self.clock.at],
        )

    # -- the clock and the monitor ------------------------------------------------

    def at(self, instant: dt.datetime, *, scheduler: bool = True) -> None:
        self.clock.set(instant)
        if scheduler:
            self.database.execute("update airflow.job set latest_heartbeat = %s", [instant])

    def watch(self, instant: dt.datetime, *, scheduler: bool = True) -> monitor.Pass:
        self.at(instant, scheduler=scheduler)
        if self._monitor is None:
            self._monitor = connect(self.database.settings, "monitor")
        done = monitor.watch(self._monitor, self.database.settings)
        assert done.health.at == instant
        if done.beaten:
            self.beats.append(instant)
        return done

    def restart(self) -> None:
        """Have the next pass be another process's, as to the database."""
        if self._monitor is not None:
            self._monitor.close()
        self._monitor = None

    def watch_day(
        self, day: dt.date, times: tuple[str, ...] = QUIET_DAY, *, scheduler: bool = True
    ) -> None:
        self.restart()
        for time in times:
            instant = local(day.strftime("%m-%d"), time)
            if instant > self.clock.at:
                self.watch(instant, scheduler=scheduler)

    def watch_until(self, end: dt.datetime, step: dt.timedelta, *, scheduler: bool = True) -> None:
        while self.clock.at + step < end:
            self.watch(self.clock.at + step, scheduler=scheduler)

    # -- the users ------------------------------------------------------------------

    def add_day(self, day: dt.date) -> None:
        """Add a day's events: none on weekends, none while everybody is on holiday."""
        if day in self._added:
            return
        self._added.add(day)
        holiday = dt.date(2025, 8, 4) <= day <= dt.date(2025, 8, 15)
        if day.weekday() >= 5 or holiday:
            return
        begin = local(day.strftime("%m-%d"))
        length = (local((day + dt.timedelta(days=1)).strftime("%m-%d")) - begin).total_seconds()
        times = [begin + self.rng.random() * length * SECOND for _ in range(150)]
        self.database.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "select gen_random_uuid(), %s, 'login', unnest(%s::timestamptz[])",
            # One of the consumers never has an event.
            [self.rng.choice(self.consumers[1:]), times],
        )

    # -- Airflow's scheduler ----------------------------------------------------------

    def run(
        self, tick: dt.datetime, *, delay: dt.timedelta = 2 * SECOND, seconds: float = 2
    ) -> str:
        """Do the run of a tick, and have it end well."""
        self.at(max(tick + delay, self.clock.at))
        run_id = airflow_tables.add_run(
            self.database,
            tick,
            state="running",
            seconds=None,
            delay=(self.clock.at - tick).total_seconds(),
        )
        self._engine(run_id, tick)
        self._end(run_id, "success", self.clock.at + seconds * SECOND)
        return run_id

    def again(self, run_id: str, tick: dt.datetime, at: dt.datetime) -> None:
        """Clear a run, and have it end well."""
        self.at(at)
        self.database.execute(
            "update airflow.dag_run set state = 'running', start_date = %s, end_date = null "
            "where run_id = %s",
            [at, run_id],
        )
        self._engine(run_id, tick)
        self._end(run_id, "success", at + 2 * SECOND)

    def _engine(self, run_id: str, tick: dt.datetime) -> None:
        with self.database.connect("airflow load", writes_sources=False) as connection:
            run.run(
                connection,
                self.database.settings,
                at=tick,
                run_key=f"airflow:{DAG}:{run_id}",
                source="airflow_etl",
            )

    def _end(self, run_id: str, state: str, at: dt.datetime) -> None:
        self.database.execute(
            "update airflow.dag_run set state = %s, end_date = %s where run_id = %s",
            [state, at, run_id],
        )

    def failing_run(self, tick: dt.datetime) -> str:
        """Have all three tries of a run fail, a minute apart."""
        self.database.execute("alter table customer_events rename payload_json to renamed")
        self.at(tick + 2 * SECOND)
        run_id = airflow_tables.add_run(self.database, tick, state="running", seconds=None, delay=2)
        for number in range(1, 4):
            with pytest.raises(SourceError) as caught:
                self._engine(run_id, tick)
            if number < 3:
                self.watch(self.clock.at + MINUTE)
        failure = Failure(
            DAG,
            run_id,
            "extract_event_counts",
            3,
            3,
            tick,
            True,
            self.clock.at,
            f"SourceError: {caught.value}",
            "http://localhost:8081/log",
        )
        with self.database.connect("alert", writes_sources=False) as connection:
            incidents.task_failed(connection, self.database.settings, failure)
            outbox.deliver(connection, self.database.settings)
        self._end(run_id, "failed", self.clock.at + 3 * SECOND)
        return run_id

    def mend(self) -> None:
        self.database.execute("alter table customer_events rename renamed to payload_json")

    def miss_deadline(self, run_id: str, tick: dt.datetime) -> None:
        self.at(tick + 10 * MINUTE + SECOND)
        miss = Miss(DAG, run_id, "load_consumer_analytics", tick, tick + 10 * MINUTE)
        with self.database.connect("alert", writes_sources=False) as connection:
            incidents.deadline_missed(connection, self.database.settings, miss)
            outbox.deliver(connection, self.database.settings)

    def pause(self, paused: bool) -> None:
        self.database.execute("update airflow.dag set is_paused = %s", [paused])


_CONSUMERS = "select consumer_id from consumers order by name"


@pytest.fixture
def year(database: Any, tmp_path: Path) -> Iterator[Year]:
    database.execute(
        "insert into consumers (consumer_id, name, created_at) "
        "select gen_random_uuid(), 'consumer ' || n, '2024-12-01Z' from generate_series(1, 4) as n"
    )
    with mail_server(tmp_path) as mails:
        made = Year(database, mails, tmp_path)
        try:
            yield made
            made.restart()
        finally:
            made.clock.close()


#: What happens on a day, its midnight's run included: day to the story's function.
Story = Callable[[Year, dt.datetime], None]


def outage_of_everything(year: Year, tick: dt.datetime) -> None:
    """Neither the scheduler nor the monitor runs for a day and a half."""
    del tick
    year.watch(local("02-12", "14:30"))
    year.run(local("02-12"), delay=14 * HOUR + 40 * MINUTE)
    year.watch_until(local("02-13"), HOUR)


def slow_night(year: Year, tick: dt.datetime) -> None:
    """A run takes 20 seconds."""
    year.run(tick, seconds=20)
    year.watch_until(local("03-13"), HOUR)


def late_night(year: Year, tick: dt.datetime) -> None:
    """A run is at work for three quarters of an hour, and misses its deadline."""
    year.at(tick + 2 * SECOND)
    run_id = airflow_tables.add_run(year.database, tick, state="running", seconds=None, delay=2)
    year.watch(tick + 5 * MINUTE)
    year.watch(tick + 10 * MINUTE)
    year.miss_deadline(run_id, tick)
    year.watch_until(tick + 45 * MINUTE, 5 * MINUTE)
    year._engine(run_id, tick)
    year._end(run_id, "success", year.clock.at + SECOND)
    year.watch_until(local("04-09"), HOUR)


def outage_of_the_scheduler(year: Year, tick: dt.datetime) -> None:
    """Airflow's scheduler is dead until nine; the monitor is called by cron."""
    year.watch_until(local("05-21", "09:00"), 10 * MINUTE, scheduler=False)
    year.run(tick, delay=9 * HOUR + MINUTE)
    year.watch_until(local("05-22"), HOUR)


def paused_for_two_days(year: Year, tick: dt.datetime) -> None:
    """Somebody has paused the DAG at noon and forgotten it."""
    year.pause(True)
    for day in (8, 9):
        year.watch_until(local(f"07-{day:02}", "23:59"), 40 * MINUTE)
        year.add_day(dt.date(2025, 7, day))
    year.watch_until(local("07-10", "10:00"), 40 * MINUTE)
    year.pause(False)
    # Unpausing makes one run, for the latest tick.
    del tick
    year.run(local("07-10"), delay=10 * HOUR + 2 * SECOND)
    year.watch_until(local("07-11"), HOUR)


def stuck_transaction(year: Year, tick: dt.datetime) -> None:
    """A transaction is open from ten in the evening until half past seven."""
    year.at(local("09-16", "22:00"))
    with psycopg.connect(year.database.url, application_name="monthly report") as stuck:
        stuck.execute("select 1")
        year.clock.began_now(stuck)
        year.watch_until(tick, 30 * MINUTE)
        year.run(tick)
        year.watch_until(local("09-17", "07:30"), 10 * MINUTE)
    # It has ended; somebody runs it again. (What will be written later is there already.)
    year.add_day(dt.date(2025, 9, 17))
    year.run(local("09-17", "08:00"), delay=SECOND)
    year.watch_until(local("09-18"), HOUR)


def failing_night_that_is_cleared(year: Year, tick: dt.datetime) -> None:
    run_id = year.failing_run(tick)
    year.watch_until(local("11-05", "08:00"), 5 * MINUTE)
    year.mend()
    year.again(run_id, tick, local("11-05", "08:01"))
    year.watch_until(local("11-06"), HOUR)


def failing_night_that_the_next_makes_good(year: Year, tick: dt.datetime) -> None:
    year.failing_run(tick)
    year.watch_until(local("12-03", "09:00"), 20 * MINUTE)
    year.mend()
    year.watch_until(local("12-04"), HOUR)


def paused_while_no_mail_goes_out(year: Year, tick: dt.datetime) -> None:
    """The DAG is paused for a night in which the mail server is down."""
    year.mails.stop()
    year.pause(True)
    year.watch_until(local("12-10", "07:30"), 10 * MINUTE)
    year.pause(False)
    year.run(tick, delay=7 * HOUR + 40 * MINUTE)
    year.watch_until(local("12-10", "11:00"), 10 * MINUTE)
    year.mails.start()
    year.watch_until(local("12-11"), 30 * MINUTE)


#: The day's midnight, by the wall clock, to what comes of it.
STORIES: dict[str, Story] = {
    "02-11": lambda _year, _tick: None,  # all is dark
    "02-12": outage_of_everything,
    "03-12": slow_night,
    "04-08": late_night,
    "05-21": outage_of_the_scheduler,
    "07-08": paused_for_two_days,
    "07-09": lambda _year, _tick: None,
    "07-10": lambda _year, _tick: None,
    "09-17": stuck_transaction,
    "11-05": failing_night_that_is_cleared,
    "12-03": failing_night_that_the_next_makes_good,
    "12-10": paused_while_no_mail_goes_out,
}
#: Day on which it was written, subject, and what its text says.
EXPECTED = [
    ("02-12", "CRITICAL: figures are behind", "run of 2025-02-10 23:00:00 UTC has not happened"),
    ("02-12", "OVER: figures are up to date again", "as they should"),
    ("03-12", "CRITICAL: runs are slow", "took 20 s"),
    ("03-13", "OVER: runs are fast again", "the last run took 2 s"),
    ("04-08", "LATE: consumer_analytics_etl missed its deadline", "has not ended 10 min after"),
    ("04-08", "OVER: figures are up to date again", "as they should"),
    ("05-21", "CRITICAL: figures are behind", "scheduler has not been heard of since"),
    ("05-21", "OVER: figures are up to date again", "as they should"),
    ("07-08", "CRITICAL: figures are behind", "is paused; unpause it"),
    ("07-10", "OVER: figures are up to date again", "as they should"),
    ("09-17", "WARNING: figures are behind", "held back by pid {pid} (monthly report"),
    ("09-17", "CRITICAL: figures are behind", "held back by pid {pid} (monthly report"),
    ("09-17", "OVER: figures are up to date again", "as they should"),
    ("11-05", "FAILED: consumer_analytics_etl / extract_event_counts", "SourceError: "),
    ("11-05", "OVER: runs are well again", "no run failed within 24 hours"),
    ("12-03", "FAILED: consumer_analytics_etl / extract_event_counts", "SourceError: "),
    ("12-04", "OVER: runs are well again", "no run failed within 24 hours"),
    ("12-10", "CRITICAL: figures are behind", "is paused; unpause it"),
    ("12-10", "OVER: figures are up to date again", "as they should"),
]


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_year(year: Year) -> None:
    day = dt.date(2025, 1, 2)
    while day <= dt.date(2025, 12, 31):
        year.add_day(day - dt.timedelta(days=1))
        name = day.strftime("%m-%d")
        if name in STORIES:
            STORIES[name](year, local(name))
        else:
            year.run(local(name))
            year.watch_day(day)
        day += dt.timedelta(days=1)

    found = [
        (
            parsedate_to_datetime(str(mail["Date"])).astimezone(ZONE).strftime("%m-%d"),
            str(mail["Subject"]).removeprefix("[consumer-analytics] "),
        )
        for mail in year.mails.mails
    ]
    assert [(day, subject.partition(", 2025")[0]) for day, subject in found] == [
        (day, subject) for day, subject, _ in EXPECTED
    ]
    for number, (_, _, cause) in enumerate(EXPECTED):
        text = year.mails.parts(number)[1]
        pattern = re.escape(cause).replace(re.escape("{pid}"), r"\d+")
        assert re.search(pattern, text), f"{found[number]}:\n{text}"
    with year.database.connect() as connection:
        assert incidents.open_incidents(connection) == []
        # And the figures: each day of the year, in spite of all that.
        assert wrong_snapshots(connection) == []
    # While nothing ran nobody said that all was well.
    dark = (local("02-10", "18:01"), local("02-12", "14:29"))
    assert not [beat for beat in year.beats if dark[0] < beat < dark[1]]
    assert len(year.beats) > 1500
    assert year.database.rows(
        "select count(*) from consumer_analytics_internal.mails where sent_at is null"
    ) == [(0,)]
