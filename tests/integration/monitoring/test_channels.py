"""A channel is one class: each gets every message once, whatever becomes of the others."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from tests.conftest import Database
from tests.support.mail_server import RECIPIENT, MailServer, mail_server

from consumer_analytics.cli import alerts as command
from consumer_analytics.errors import ChannelError
from consumer_analytics.etl import run
from consumer_analytics.monitoring import incidents, monitor
from consumer_analytics.monitoring.incidents import Failure
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.monitoring.notifications.channels import CHANNELS, Notify, silent
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.orchestration import alerts
from consumer_analytics.settings import PREFIX, Settings

MIDNIGHT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
DUE = MIDNIGHT + dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)


@dataclass
class Chat:
    """A channel of this test's own: a chat that is a list.

    Attributes:
        said: what it was given.
        ids: under which names.
        broken: whether it takes nothing.
        picky: refuses messages whose title has this in it, and only these.
    """

    name: str = "chat"
    server: str = "the chat"
    unset: str = "there is always one"
    advice: str = "look into the room"
    selection: MessageFilter = field(default_factory=MessageFilter)
    said: list[Message] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    broken: bool = False
    picky: str | None = None

    def is_configured(self, settings: Settings) -> bool:
        del settings
        return True

    def recipients(self, settings: Settings) -> list[str]:
        del settings
        return ["#operators", "#gone"]

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        self.reach(settings, notify=notify)
        if self.picky is not None and self.picky in message.title:
            raise ChannelError("content", "the chat refuses the message", holds_others=False)
        self.said.append(message)
        self.ids.append(message_id)
        return {"#gone": "no such room"}

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        del settings
        if self.broken:
            raise ChannelError("room", "the chat is closed")
        notify("room", "open")
        return "the chat is open"

    @property
    def titles(self) -> list[str]:
        return [one.title for one in self.said]


@pytest.fixture
def chat() -> Iterator[Chat]:
    made = Chat()
    CHANNELS.add(made)
    yield made
    CHANNELS.remove(made.name)


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def watched(database: Database, mails: MailServer) -> Database:
    """Return a database whose figures reach midnight, with somebody to get mail."""
    catch_up(database, MIDNIGHT)
    return replace(database, settings=database.settings.replaced(mails.settings))


def catch_up(database: Database, at: dt.datetime) -> None:
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=at)


def watch(database: Database, at: dt.datetime, **changes: Any) -> monitor.Pass:
    settings = database.settings.replaced(changes)
    with database.connect("monitor", writes_sources=False) as connection:
        return monitor.watch(connection, settings, now=at)


def titles(mails: MailServer) -> list[str]:
    return [str(mail["Subject"]).removeprefix("[consumer-analytics] ") for mail in mails.mails]


def failure(**changes: Any) -> Failure:
    one = Failure(
        dag_id="consumer_analytics_etl",
        run_id="scheduled__2025-03-06",
        task_id="load_consumer_analytics",
        try_number=3,
        tries=3,
        execution_date=DUE,
        has_logical_date=True,
        failed_at=DUE + 3 * MINUTE,
        error="SourceError: customer_events lacks payload_json",
        log_url=None,
    )
    return replace(one, **changes)


def fail(database: Database, **changes: Any) -> outbox.Delivery:
    """Tell of a failed task as its callback does."""
    one = failure(**changes)
    with database.connect("alert", writes_sources=False) as connection:
        incidents.task_failed(connection, database.settings, one, now=one.failed_at)
        return outbox.deliver(connection, database.settings, now=one.failed_at)


def test_an_incident_goes_out_by_every_channel_once(
    watched: Database, mails: MailServer, chat: Chat
) -> None:
    for minutes in range(60, 180, 5):
        watch(watched, DUE + minutes * MINUTE)
    catch_up(watched, DUE)
    watch(watched, DUE + 4 * HOUR)
    expected = ["WARNING: figures are behind", "OVER: figures are up to date again"]
    assert titles(mails) == chat.titles == expected
    # Each row is one message to one channel, and has a name of its own.
    assert len(set(chat.ids)) == 2
    assert not {f"<{one}@example.com>" for one in chat.ids} & {
        str(mail["Message-ID"]) for mail in mails.mails
    }
    opened = chat.said[0]
    assert opened.changes[0].cause.startswith("the run of 2025-03-06 00:00:00 UTC has not happened")
    assert opened.next[0].code == "consumer-analytics doctor"
    with watched.connect() as connection:
        told = [(one.what, one.sent_at is not None) for one in incidents.history(connection, 10)]
    assert told == [("over", True), ("opened", True)]


def test_a_channel_that_fails_is_tried_again_and_the_others_have_it_once(
    watched: Database, mails: MailServer, chat: Chat
) -> None:
    chat.broken = True
    done = watch(watched, DUE + HOUR)
    assert (done.delivery.sent, done.delivery.waiting) == (1, 1)
    assert done.delivery.errors == {"chat": "the chat is closed"}
    watch(watched, DUE + HOUR + 5 * MINUTE)
    assert (len(mails.mails), chat.said) == (1, [])
    chat.broken = False
    watch(watched, DUE + HOUR + 30 * MINUTE)
    assert titles(mails) == chat.titles == ["WARNING: figures are behind"]

    # And the other way round.
    mails.stop()
    catch_up(watched, DUE)
    done = watch(watched, DUE + 2 * HOUR)
    assert (done.delivery.sent, done.delivery.waiting) == (1, 1)
    assert list(done.delivery.errors) == ["mail"]
    assert [(one.server, one.recipient) for one in done.delivery.refused] == [("the chat", "#gone")]
    mails.start()
    watch(watched, DUE + 2 * HOUR + 30 * MINUTE)
    assert titles(mails)[1:] == chat.titles[1:] == ["OVER: figures are up to date again"]


def test_a_message_that_is_refused_holds_no_other_back(
    watched: Database, mails: MailServer, chat: Chat
) -> None:
    chat.picky = "consumer_analytics_etl"
    fail(watched)
    fail(watched, run_id="another", dag_id="consumer_analytics_sweep", task_id="sweep")
    with watched.connect("alert", writes_sources=False) as connection:
        done = outbox.deliver(connection, watched.settings, now=DUE + 10 * MINUTE)
    assert (done.waiting, done.errors) == (1, {"chat": "the chat refuses the message"})
    assert chat.titles == ["FAILED: consumer_analytics_sweep / sweep, 2025-03-06 00:00 UTC"]
    assert len(mails.mails) == 2


def test_a_channel_without_recipients_waits_and_is_no_alarm(
    watched: Database, mails: MailServer, tmp_path: Path
) -> None:
    mails.stop()
    watch(watched, DUE + HOUR)
    alive = {"heartbeat_file": tmp_path / "alive"}
    assert watch(watched, DUE + 3 * HOUR, **alive).beaten is False
    done = watch(watched, DUE + 3 * HOUR, **alive, alert_recipients="")
    assert (done.delivery.waiting, done.delivery.oldest, done.beaten) == (1, None, True)


def test_a_task_that_fails_next_is_told_by_each_channel_as_far_as_it_is(
    watched: Database, mails: MailServer, chat: Chat
) -> None:
    """By the message that waits where there is one, by a new one where it has gone out."""
    chat.broken = True
    fail(watched, task_id="extract_customer_counts")
    fail(watched, task_id="extract_event_counts", error="KeyError: 'x'")
    chat.broken = False
    with watched.connect("alert", writes_sources=False) as connection:
        outbox.deliver(connection, watched.settings, now=DUE + HOUR)
    assert [len(one.failures) for one in chat.said] == [2]
    assert titles(mails) == [
        f"FAILED: consumer_analytics_etl / {task}, 2025-03-06 00:00 UTC"
        for task in ("extract_customer_counts", "extract_event_counts")
    ]
    # For the same reason as one that was told: by none.
    fail(watched, task_id="load_consumer_analytics", error="KeyError: 'x'")
    assert (len(chat.said), len(mails.mails)) == (1, 2)


def test_with_the_database_out_of_reach_each_channel_tells_it_once(
    mails: MailServer, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "_mark", lambda _, subject: tmp_path / f"told {subject}")
    settings = Settings(home=tmp_path).replaced(mails.settings)
    chat.broken = True
    with pytest.raises(ChannelError, match="the chat is closed"):
        alerts._tell_directly(settings, failure())
    chat.broken = False
    for _ in range(2):
        alerts._tell_directly(settings, failure())
    assert (len(mails.mails), len(chat.said)) == (1, 1)
    assert chat.said[0].database == "out of reach"


def test_a_test_goes_to_every_channel(
    mails: MailServer,
    chat: Chat,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    # In this process: no other one has the channel.
    settings = Settings(home=tmp_path).replaced(mails.settings)
    monkeypatch.setattr(command, "settings", lambda: settings)
    with exits(1):
        command.send_test(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["sent"], found["refused"]) == (True, {"#gone": "no such room"})
    assert [one["step"] for one in found["steps"]][-2:] == ["recipient", "room"]
    assert titles(mails) == chat.titles == ["test mail: alerts arrive"]
    chat.broken = True
    with exits(1):
        command.send_test(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["sent"], found["failed_step"]) == (False, "room")
    assert len(mails.mails) == 2


@contextmanager
def exits(code: int) -> Iterator[None]:
    import typer

    with pytest.raises(typer.Exit) as raised:
        yield
    assert raised.value.exit_code == code


# -- rows of an earlier version ------------------------------------------------------

#: As they were written before there was a channel in them.
OLD = {
    "incidents 5f0c": {
        "at": "2025-03-06T01:00:00+00:00",
        "database": "analytics",
        "kind": "incidents",
        "changes": [
            {
                "incident_id": 7,
                "subject": "freshness",
                "what": "opened",
                "state": "warning",
                "cause": "the run of 2025-03-06 00:00:00 UTC has not happened",
                "opened_at": "2025-03-06T01:00:00+00:00",
                "seconds": 0.0,
                "measures": {
                    "watermark_lag": {
                        "state": "warning",
                        "value": 3600.0,
                        "unit": "seconds",
                        "kind": "not_run",
                        "cause": "the run of 2025-03-06 00:00:00 UTC has not happened",
                    },
                    "deadline": {
                        "state": "warning",
                        "value": None,
                        "unit": "runs",
                        "kind": "deadline",
                        "cause": "manual__1 has not ended",
                        "dag_id": "consumer_analytics_etl",
                        "run_id": "manual__1",
                        "since": "2025-03-06T00:10:00+00:00",
                    },
                },
            }
        ],
        "threads": ["consumer-analytics.incident.7.1741222800"],
        "next": [{"text": "What is wrong, and what mends it", "code": "consumer-analytics doctor"}],
        "health": {
            "at": "2025-03-06T01:00:00+00:00",
            "state": "warning",
            "watermark": "2025-03-05T00:00:00+00:00",
            "measures": [
                {
                    "name": "pending_events",
                    "value": 12,
                    "unit": "events",
                    "state": "normal",
                    "warning": 1,
                    "critical": 100,
                    "limits": {"normal": "0", "warning": "1-100", "critical": "> 100"},
                    "cause": None,
                    "source": "sources",
                    "backlog_events": 12,
                }
            ],
        },
        "misses": [
            {
                "dag_id": "consumer_analytics_etl",
                "run_id": "manual__1",
                "task_id": None,
                "execution_date": "2025-03-06T00:00:00+00:00",
                "deadline_at": "2025-03-06T00:10:00+00:00",
                "allowed_seconds": 600.0,
            }
        ],
    },
    "failure consumer_analytics_etl scheduled__1 load 3": {
        "at": "2025-03-06T00:03:07+00:00",
        "database": "analytics",
        "kind": "failure",
        "changes": [],
        "threads": [],
        "next": [{"text": "Clear the task on the page of its log", "code": ""}],
        "health": {
            "at": "2025-03-06T00:03:07+00:00",
            "state": "normal",
            "watermark": "2025-03-05T00:00:00+00:00",
            "measures": [],
        },
        "failures": [
            {
                "dag_id": "consumer_analytics_etl",
                "run_id": "scheduled__1",
                "task_id": "load",
                "try_number": 3,
                "tries": 3,
                "execution_date": "2025-03-06T00:00:00+00:00",
                "has_logical_date": True,
                "failed_at": "2025-03-06T00:03:07+00:00",
                "error": "KeyError: 'x'",
                "log_url": None,
            }
        ],
    },
}


def test_mails_that_an_earlier_version_left_waiting_go_out_as_mails(
    watched: Database, mails: MailServer, chat: Chat
) -> None:
    for key, content in OLD.items():
        watched.execute(
            "insert into consumer_analytics_internal.mails (key, content, created_at, next_try_at) "
            "values (%s, %s, %s, %s)",
            [key, Jsonb(content), MIDNIGHT, MIDNIGHT],
        )
    with watched.connect("alert", writes_sources=False) as connection:
        assert outbox.deliver(connection, watched.settings, now=DUE).sent == 2
    assert chat.said == []
    assert titles(mails) == [
        "LATE: consumer_analytics_etl missed its deadline, 2025-03-06 00:00 UTC",
        "FAILED: consumer_analytics_etl / load, 2025-03-06 00:00 UTC",
    ]
    _, text, html = mails.parts(0)
    for part in (text, html):
        for wanted in (
            "has not ended 10 min after it was queued",
            "The run of 2025-03-06 00:00:00 UTC has not happened",
            "consumer-analytics doctor",
            "Pending events",
            "1-100",
        ):
            assert wanted in part, wanted
    assert "Watermark lag: 1 h, warning" in text
    assert "Deadline: -, warning" in text
    thread = str(mails.mails[0]["References"])
    assert thread == "<consumer-analytics.incident.7.1741222800@example.com>"
    assert mails.mails[0]["To"] == RECIPIENT
    assert "KeyError: 'x'" in mails.parts(1)[1]


def test_what_is_written_is_read_as_it_was() -> None:
    for content in OLD.values():
        message = Message.from_json(content)
        assert Message.from_json(json.loads(json.dumps(message.as_json()))) == message


def test_a_task_that_fails_after_an_upgrade_joins_the_mail_that_waits(
    watched: Database, mails: MailServer
) -> None:
    key = "failure consumer_analytics_etl scheduled__1 load 3"
    watched.execute(
        "with written as (insert into consumer_analytics_internal.mails "
        "(key, content, created_at, next_try_at) values (%s, %s, %s, %s) returning mail_id) "
        "insert into consumer_analytics_internal.task_failures select 'consumer_analytics_etl', "
        "'scheduled__1', 'load', 3, %s, %s, 'KeyError', null, mail_id from written",
        [key, Jsonb(OLD[key]), MIDNIGHT, MIDNIGHT, DUE, DUE],
    )
    fail(watched, run_id="scheduled__1", task_id="another")
    assert titles(mails) == ["FAILED: consumer_analytics_etl, 2 tasks, 2025-03-06 00:00 UTC"]


def test_every_channel_is_asked_by_a_variable_of_ours() -> None:
    """What is to be set before anybody is told is a setting that there is."""
    for channel in CHANNELS.values():
        name = channel.unset.split()[0].removeprefix(PREFIX).lower()
        assert hasattr(Settings, name), channel.name
