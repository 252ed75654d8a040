"""Chats, pagers and webhooks that a file names: real servers, and what goes wrong with them."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import logging
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme
from tests.conftest import Cli, Database
from tests.support import lanes
from tests.support.hook_server import Answer, HookServer, hook_server
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.errors import ChannelError
from consumer_analytics.etl import run
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring import incidents, monitor
from consumer_analytics.monitoring.incidents import Failure
from consumer_analytics.monitoring.notifications import outbox
from consumer_analytics.monitoring.notifications.channels import apprise_call, webhook
from consumer_analytics.monitoring.notifications.channels import service as services
from consumer_analytics.monitoring.notifications.channels.mail import compose
from consumer_analytics.monitoring.notifications.channels.service import (
    Service,
    as_text,
    calling_nobody,
)
from consumer_analytics.monitoring.notifications.channels.webhook import Webhook
from consumer_analytics.monitoring.notifications.message import ChangeNotice, Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings

MIDNIGHT = dt.datetime(2025, 3, 5, tzinfo=dt.UTC)
DUE = MIDNIGHT + dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
RAW_KEY = bytes(range(32))
KEY = f"whsec_{base64.b64encode(RAW_KEY).decode()}"
#: What must be shown nowhere.
SECRETS = (KEY, KEY.removeprefix("whsec_"), "s3cr3t", "t0ken")
TEST = Message("test", MIDNIGHT, "analytics")


@pytest.fixture
def hooks() -> Iterator[HookServer]:
    with hook_server() as made:
        yield made


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def watched(database: Database, mails: MailServer) -> Database:
    """Return a database whose figures reach midnight, with somebody to get mail."""
    with database.connect("run", writes_sources=False) as connection:
        run.run(connection, database.settings, at=MIDNIGHT)
    return replace(database, settings=database.settings.replaced(mails.settings))


def write(folder: Path, text: str) -> Path:
    path = folder / "channels.toml"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def ntfy(hooks: HookServer) -> str:
    return f"ntfy://operator:s3cr3t@127.0.0.1:{hooks.port}/alerts"


def watch(database: Database, at: dt.datetime, **changes: Any) -> monitor.Pass:
    settings = database.settings.replaced(changes)
    with database.connect("monitor", writes_sources=False) as connection:
        return monitor.watch(connection, settings, now=at)


def service(address: str, seconds: float = 5.0) -> Service:
    return Service("chat", Secret(address), MessageFilter(), seconds)


def hook(url: str, seconds: float = 5.0) -> Webhook:
    return Webhook("desk", Secret(url), Secret(KEY), MessageFilter(), seconds)


def refused(channel: Service | Webhook, message: Message = TEST) -> ChannelError:
    with pytest.raises(ChannelError) as raised:
        channel.send(Settings(), message, message_id="consumer-analytics.7.1")
    assert not [one for one in SECRETS if one in repr(raised.value) + str(raised.value)]
    return raised.value


# -- a webhook ---------------------------------------------------------------------------


def test_a_webhook_is_signed_so_that_its_receiver_can_tell(hooks: HookServer) -> None:
    hook(f"{hooks.url}/alerts?desk=1").send(Settings(), TEST, message_id="consumer-analytics.7.1")
    (got,) = hooks.posted
    assert (got.path, got.headers["content-type"]) == ("/alerts?desk=1", "application/json")
    # As a receiver works it out, who has the key and the three headers.
    name, at = got.headers["webhook-id"], got.headers["webhook-timestamp"]
    assert name == "consumer-analytics.7.1"
    assert abs(int(at) - dt.datetime.now(dt.UTC).timestamp()) < 60
    signed = f"{name}.{at}.".encode() + got.body
    digest = hmac.new(RAW_KEY, signed, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert got.json["type"] == "consumer-analytics.test"
    assert got.json["timestamp"] == MIDNIGHT.isoformat()
    assert Message.from_json(got.json["data"]) == TEST


def test_the_signature_is_that_of_the_standard() -> None:
    """The example in the documentation of Standard Webhooks."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    found = webhook.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("answer", "words", "holds_others", "retry_after"),
    lanes.first(
        5,
        [
            (Answer(500, body=KEY.encode()), "answers 500 Internal Server Error", True, None),
            (Answer(429, {"Retry-After": "1800"}), "answers 429 Too Many Requests", True, 1800),
            (Answer(422), "answers 422 Unprocessable Entity", False, None),
            (Answer(302, {"Location": "/elsewhere"}), "redirects are not followed", True, None),
            (Answer(trickle=True), "no answer in 0.5 s", True, None),
            (Answer(503, {"Retry-After": "soon"}), "answers 503 Service Unavailable", True, None),
            (Answer(0), "broke off: no answer of HTTP", True, None),
            (Answer(200, {"Filler": "x" * 20_000}), "broke off: no answer of HTTP", True, None),
            (Answer(seconds=30), "no answer in 0.5 s", True, None),
        ],
    ),
    ids=["500", "429", "422", "redirect", "trickle", "503", "nothing", "long head", "slow"],
)
def test_an_answer_that_takes_nothing(
    hooks: HookServer, answer: Answer, words: str, holds_others: bool, retry_after: float | None
) -> None:
    hooks.answers.append(answer)
    error = refused(hook(f"{hooks.url}/s3cr3t", 0.5))
    assert (words in str(error), error.holds_others, error.retry_after) == (
        True,
        holds_others,
        retry_after,
    ), str(error)
    # Nobody is called but whom the file names.
    assert [one.path for one in hooks.posted] == ["/s3cr3t"]


def test_a_date_to_come_again_is_one_too() -> None:
    now = dt.datetime(2026, 12, 1, 8, 0, tzinfo=dt.UTC)
    assert webhook.seconds_until("Tue, 01 Dec 2026 08:05:00 GMT", now) == 300
    assert webhook.seconds_until("Tue, 01 Dec 2026 07:00:00 GMT", now) == 0
    assert webhook.seconds_until("-5", now) is None


def test_a_webhook_that_cannot_be_reached() -> None:
    assert "it cannot be reached: Connection refused" in str(refused(hook("http://127.0.0.1:1/")))


def test_https_is_spoken_with_who_proves_who_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with hook_server(context) as hooks:
        address = f"https://localhost:{hooks.port}/alerts"
        assert "its certificate is not good: " in str(refused(hook(address)))
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        hook(address).send(Settings(), TEST, message_id="7")
        assert hook(address).reach(Settings()) == "the webhook desk is reached; nothing was sent"
        other = f"https://127.0.0.1:{hooks.port}/alerts"
        assert "its certificate is not good: " in str(refused(hook(other)))
    assert len(hooks.posted) == 1
    with hook_server() as plain:
        error = refused(hook(f"https://localhost:{plain.port}/alerts"))
    assert (error.step, "no TLS there" in str(error)) == ("tls", True), error


def test_all_addresses_of_a_name_have_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each had the whole of it; and of two the one that answers is found."""
    with socket.socket() as deaf, hook_server() as hooks, ExitStack() as stack:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        # What comes after these waits to be let in.
        for _ in range(3):
            first = stack.enter_context(socket.socket())
            first.setblocking(False)
            first.connect_ex(deaf.getsockname())
        stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        found = [(*stream, deaf.getsockname())] * 6
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        began = time.monotonic()
        error = refused(hook("https://desk.example.com/alerts", 1.0))
        assert "it cannot be reached: no answer in time" in str(error)
        assert time.monotonic() - began < 3
        found[:] = [(*stream, ("127.0.0.1", 1)), (*stream, ("127.0.0.1", hooks.port))]
        hook("http://localhost/alerts").send(Settings(), TEST, message_id="7")
        (got,) = hooks.posted
        assert got.headers["host"] == "localhost"


@pytest.mark.parametrize(
    "url",
    [
        "http://desk.example.com/s3cr3t",
        "https://user:s3cr3t@desk.example.com/",
        "ftp://127.0.0.1/s3cr3t",
        "https:///s3cr3t",
        "https://desk.example.com:0/s3cr3t",
        "https://desk.example.com/s3cr3t k",
        "https://desk.example.com/s3cr3t#k",
        "http://[::1/s3cr3t",
        "s3cr3t",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ChannelError, match=r"\[desk\]: webhook is no address") as raised:
        hook(url)
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("key", ["s3cr3t", "whsec_s3cr3t", KEY.removeprefix("whsec_"), "whsec_"])
def test_a_key_that_is_none_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(ChannelError, match=r"\[desk\]: key is not whsec_") as raised:
        Webhook("desk", Secret("https://desk.example.com"), Secret(key), MessageFilter(), 1.0)
    assert not key.removeprefix("whsec_") or key.removeprefix("whsec_") not in str(raised.value)


# -- what Apprise knows --------------------------------------------------------------------


def test_a_service_is_told_in_text(hooks: HookServer) -> None:
    changed = ChangeNotice(
        3, "freshness", "opened", "critical", "the run has not happened", MIDNIGHT, 60.0
    )
    message = Message("incidents", MIDNIGHT, "analytics", changes=(changed,), threads=("a",))
    passed: list[tuple[str, str]] = []
    channel = service(ntfy(hooks))
    channel.send(
        Settings(),
        message,
        message_id="7",
        notify=lambda step, detail: passed.append((step, detail)),
    )
    (got,) = hooks.posted
    assert got.headers["authorization"].startswith("Basic ")
    assert got.json["topic"] == "alerts"
    assert got.json["title"] == "[consumer-analytics] CRITICAL: figures are behind"
    assert "NEW: figures are behind (critical), incident 3" in got.json["message"]
    assert "The run has not happened" in got.json["message"]
    assert passed == [("address", "chat is ntfy"), ("message", "ntfy took it")]


@pytest.mark.parametrize(
    ("answer", "words", "holds_others"),
    lanes.first(
        3,
        [
            (Answer(500), "the service of chat answers 500 Internal Server Error", True),
            (Answer(429, {"Retry-After": "60"}), "answers 429 Too Many Requests", True),
            (Answer(413), "answers 413", False),
            (Answer(seconds=30), "did not answer in 1 s", True),
            (Answer(302, {"Location": "/elsewhere"}), "answers 302 Found", True),
            (Answer(0), "could not be told", True),
        ],
    ),
    ids=["500", "429", "413", "slow", "redirect", "nothing"],
)
def test_a_service_that_takes_nothing(
    hooks: HookServer,
    answer: Answer,
    words: str,
    holds_others: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    hooks.answers.append(answer)
    error = refused(service(ntfy(hooks), 1.0))
    assert words in str(error)
    assert error.holds_others is holds_others
    assert len(hooks.posted) == 1
    # The libraries' own logs repeat addresses.
    assert "alerts" not in caplog.text
    assert "s3cr3t" not in caplog.text


#: What sends by a service in a process of its own, as `alerts test` does, and says what it held.
SENDING = """
import datetime as dt, pathlib, re, resource, sys
from consumer_analytics.errors import ChannelError
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.notifications.channels.service import Service
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import Settings
channel = Service("chat", Secret(sys.argv[1]), MessageFilter(), 2.0)
try:
    channel.send(Settings(), Message("test", dt.datetime.now(dt.UTC), "x"), message_id="7")
except ChannelError as error:
    print(error)
# Of itself since it began: what the process that made it had is in its `ru_maxrss` as well.
own = re.search("VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())
print(max(int(own[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) // 1024)
"""


@pytest.mark.parametrize(
    ("answer", "says"),
    lanes.first(
        0,
        [
            (Answer(trickle=True), "the service of chat did not answer in 2 s"),
            (Answer(status=500, body=bytes(400_000_000)), "the service of chat answers 500"),
            (Answer(body=bytes(400_000_000)), None),
        ],
        long=1,
    ),
    ids=["trickle", "huge-refusal", "huge"],
)
def test_a_service_whose_answer_has_no_end_keeps_nobody(
    hooks: HookServer, answer: Answer, says: str | None
) -> None:
    """Python waited at its end for the thread that read on; a huge answer was held in memory."""
    hooks.answers.append(answer)
    done = subprocess.run(
        [sys.executable, "-c", SENDING, ntfy(hooks)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *told, megabytes = done.stdout.splitlines()
    assert [line.startswith(says or "") for line in told] == [True] * bool(says), done.stdout
    assert int(megabytes) < 150


def test_the_process_that_tells_a_service_holds_no_other_secret_and_shows_none(
    hooks: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (f"{PREFIX}DATABASE_URL", "PGPASSWORD", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        monkeypatch.setenv(name, "postgresql://x:s3cr3t@127.0.0.1/x")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    hooks.answers.append(Answer(seconds=1.5))
    channel = service(ntfy(hooks))
    with ThreadPoolExecutor() as pool:
        sent = pool.submit(channel.send, Settings(), TEST, message_id="7")
        while not hooks.posted:
            time.sleep(0.05)
        (child,) = (
            one for one in psutil.Process().children() if "apprise_call" in str(one.cmdline())
        )
        seen = f"{child.cmdline()} {child.environ()}"
        sent.result(timeout=60)
    assert "apprise_call" in seen
    assert "127.0.0.1,localhost" in seen
    assert not [one for one in SECRETS if one in seen]


#: Services with hosts of their own: an address, where it would go, and what would stand there.
FIXED: dict[str, tuple[str, str, Callable[[Any], bool]]] = {
    "slack": (
        "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#ops",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        lambda sent: sent["channel"] == "#ops" and "CRITICAL" in json.dumps(sent["attachments"]),
    ),
    "pagerduty": (
        "pagerduty://s3cr3tintegration@t0ken",
        "https://events.pagerduty.com/v2/enqueue",
        lambda sent: (
            sent["routing_key"] == "s3cr3tintegration"
            and sent["payload"]["severity"] == "critical"
            and "CRITICAL: figures are behind" in sent["payload"]["summary"]
        ),
    ),
    "opsgenie": (
        "opsgenie://a1b2c3d4-s3cr3t-key",
        "https://api.opsgenie.com/v2/alerts",
        lambda sent: "CRITICAL: figures are behind" in sent["message"],
    ),
    "teams": (
        "workflows://example.azure.com:443/643e69f83c8944438d68119179a10a64/AB-s3cr3t/",
        "https://example.azure.com:443/workflows/643e69f83c8944438d68119179a10a64/triggers",
        lambda sent: "CRITICAL: figures are behind" in json.dumps(sent),
    ),
    "discord": (
        "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV-js",
        "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV-js",
        lambda sent: "CRITICAL: figures are behind" in json.dumps(sent),
    ),
}


@pytest.mark.parametrize("name", lanes.first(2, FIXED))
def test_what_would_go_out_to_a_service_with_a_host_of_its_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken where the library that Apprise posts by would open its connection, in this process."""
    import requests

    monkeypatch.setattr(services, "call", apprise_call.answer_to)
    address, where, is_right = FIXED[name]
    sent: list[requests.PreparedRequest] = []

    def answer(self: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        del self
        sent.append(request)
        made = requests.Response()
        made.status_code = 202 if name in {"pagerduty", "opsgenie", "teams"} else 200
        made._content = b"ok" if name == "slack" else b'{"requestId": "43a29c5c"}'
        made.request = request
        return made

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", answer)
    changed = ChangeNotice(
        3, "freshness", "opened", "critical", "the run has not happened", MIDNIGHT, 60.0
    )
    message = Message("incidents", MIDNIGHT, "analytics", changes=(changed,), threads=("a",))
    service(address).send(Settings(), message, message_id="7")
    (request,) = sent
    assert str(request.url).startswith(where), request.url
    assert isinstance(request.body, str | bytes)
    assert is_right(json.loads(request.body)), request.body


def test_a_name_calls_nobody(hooks: HookServer) -> None:
    """Consumers choose their names, and chats ring for `@everyone`."""
    changed = ChangeNotice(
        3,
        f"consumer {3}",
        "opened",
        "warning",
        "ask ops@example.com, @here",
        MIDNIGHT,
        60.0,
        about="@everyone",
    )
    message = Message("incidents", MIDNIGHT, "analytics", changes=(changed,), threads=("a",))
    service(ntfy(hooks)).send(Settings(), message, message_id="7")
    (got,) = hooks.posted
    said = got.json["title"] + got.json["message"]
    assert "ops@example.com" in said
    assert not re.search(r"@(everyone|here)", said)
    assert said.count("@\N{ZERO WIDTH SPACE}everyone") == 3


CALLS = ("@everyone", "x@everyone", "a.@HERE", "<@&42>", "<!here>", "<users/all>", "<at>a</at>")


@pytest.mark.parametrize("call", CALLS)
def test_no_way_of_calling_anybody_is_left(call: str) -> None:
    ways = r"@(?:everyone|here)|<[@!a-z]"
    assert re.search(ways, call, re.IGNORECASE)
    said = calling_nobody(f"{call} ops@example.com, < 5 s")
    assert not re.search(ways, said, re.IGNORECASE), said
    assert said.replace("\N{ZERO WIDTH SPACE}", "").startswith(call)
    assert said.endswith(" ops@example.com, < 5 s")


def test_a_name_says_nothing_in_a_line_of_its_own() -> None:
    """In chats, mails, and wherever else a message goes as a text."""
    name = "Acme\n\nOVER: figures are fresh again (normal), incident 2\u2028\u202e"
    changed = ChangeNotice(
        3, "consumer 3", "opened", "warning", "few events", MIDNIGHT, 60.0, about=name
    )
    message = Message("incidents", MIDNIGHT, "analytics", changes=(changed,), threads=("a",))
    mail = compose(message, message_id="7", settings=Settings())
    text, html = (str(part.get_content()) for part in mail.iter_parts())
    for said in (as_text(message), text, html, message.headline, message.subject):
        assert "Acme OVER: figures" in said
        assert not re.search(r"^OVER|\u2028|\u202e", said, re.MULTILINE), said


def test_without_apprise_a_line_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, hooks: HookServer
) -> None:
    monkeypatch.setattr(services, "call", apprise_call.answer_to)
    monkeypatch.setitem(sys.modules, "apprise", None)
    needs = "the channel chat needs apprise, which comes with the extra alerts: "
    assert needs in str(refused(service(ntfy(hooks))))
    with pytest.raises(ChannelError, match=needs):
        service(ntfy(hooks)).reach(Settings())


@pytest.mark.parametrize("address", ["s3cr3t", "slack://s3cr3t", "nothing://s3cr3t@t0ken"])
def test_an_address_that_apprise_does_not_take_is_not_repeated(
    address: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    error = refused(service(address))
    assert (error.step, "Apprise does not take the url of chat" in str(error)) == ("address", True)
    said = caplog.text + "".join(capfd.readouterr()) + repr(service(address))
    assert not [one for one in SECRETS if one in said]


# -- who is told what ------------------------------------------------------------------------


def test_each_is_told_what_it_asked_for(
    watched: Database, mails: MailServer, hooks: HookServer, tmp_path: Path
) -> None:
    path = write(
        tmp_path,
        f"""
        [all]
        url = "{ntfy(hooks)}"
        [pager]
        webhook = "{hooks.url}/pager"
        key = "{KEY}"
        severity = "critical"
        [runs]
        webhook = "{hooks.url}/runs"
        key = "{KEY}"
        subjects = ["failures", "dag *"]
        """,
    )
    told = {"alert_channels_file": path}
    for hours in (1, 2, 8):
        # A warning first, critical after six hours.
        watch(watched, DUE + hours * HOUR, **told)
    with watched.connect("run", writes_sources=False) as connection:
        run.run(connection, watched.settings, at=DUE)
    watch(watched, DUE + 9 * HOUR, **told)
    expected = [
        "WARNING: figures are behind",
        "CRITICAL: figures are behind",
        "OVER: figures are up to date again",
    ]
    assert [str(one["Subject"]).removeprefix("[consumer-analytics] ") for one in mails.mails] == (
        expected
    )
    by_path: dict[str, list[str]] = {}
    for one in hooks.posted:
        title = one.json.get("title") or one.json["subject"]
        by_path.setdefault(one.path, []).append(title.removeprefix("[consumer-analytics] "))
    # The pager hears of the end of what it was told of.
    assert by_path == {"/": expected, "/pager": expected[1:]}

    failed = Failure(
        dag_id="consumer_analytics_etl",
        run_id="scheduled__1",
        task_id="load",
        try_number=3,
        tries=3,
        execution_date=DUE,
        has_logical_date=True,
        failed_at=DUE + 10 * HOUR,
        error="E: x",
        log_url=None,
    )
    with watched.connect("alert", writes_sources=False) as connection:
        settings = watched.settings.replaced(told)
        incidents.task_failed(connection, settings, failed, now=failed.failed_at)
        outbox.deliver(connection, settings, now=failed.failed_at)
    assert [one.path for one in hooks.posted[-3:]] == ["/", "/pager", "/runs"]
    assert hooks.posted[-1].json["data"]["failures"][0]["task_id"] == "load"


def test_one_that_asks_for_patience_gets_it_and_the_others_go_on(
    watched: Database, mails: MailServer, hooks: HookServer, tmp_path: Path
) -> None:
    path = write(tmp_path, f'[desk]\nwebhook = "{hooks.url}/desk"\nkey = "{KEY}"\n')
    hooks.answers.append(Answer(429, {"Retry-After": "1800"}))
    done = watch(watched, DUE + HOUR, alert_channels_file=path)
    assert done.delivery.errors == {"desk": "the webhook desk answers 429 Too Many Requests"}
    assert len(mails.mails) == 1
    for minutes in (5, 20, 29):
        watch(watched, DUE + HOUR + minutes * MINUTE, alert_channels_file=path)
    assert len(hooks.posted) == 1
    watch(watched, DUE + HOUR + 31 * MINUTE, alert_channels_file=path)
    first, second = hooks.posted
    # Who was told twice can know it.
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert len(mails.mails) == 1


def test_a_table_that_is_wrong_keeps_its_messages_until_it_is_mended(
    watched: Database, mails: MailServer, hooks: HookServer, tmp_path: Path
) -> None:
    path = write(tmp_path, f'[desk]\nwebhook = "{hooks.url}/desk"\nkey = "s3cr3t"\n')
    done = watch(watched, DUE + HOUR, alert_channels_file=path)
    assert "[desk]: key is not whsec_" in done.delivery.errors["desk"]
    assert (len(mails.mails), hooks.posted) == (1, [])
    write(tmp_path, f'[desk]\nwebhook = "{hooks.url}/desk"\nkey = "{KEY}"\n')
    watch(watched, DUE + 2 * HOUR, alert_channels_file=path)
    assert [one.json["subject"] for one in hooks.posted] == [
        "[consumer-analytics] WARNING: figures are behind"
    ]


def test_a_file_that_cannot_be_read_stops_no_mail_and_no_sign_of_life_is_given(
    watched: Database, mails: MailServer, tmp_path: Path
) -> None:
    path = write(tmp_path, '[desk]\nkey = "s3cr3t\n')
    alive = {"heartbeat_file": tmp_path / "alive", "alert_channels_file": path}
    done = watch(watched, DUE + HOUR, **alive)
    assert done.delivery.errors == {
        "channels file": f"{PREFIX}ALERT_CHANNELS_FILE: {path} is not TOML, line 2, column 14"
    }
    assert (len(mails.mails), done.beaten) == (1, False)


@pytest.mark.parametrize(
    ("text", "words"),
    lanes.first(
        3,
        [
            ("url = 's3cr3t'", "has values outside of a table"),
            ("[a]\n", "[a]: it needs one of: url"),
            ("[a]\nurl = 's3cr3t'\nwebhook = 't0ken'", "[a]: it needs one of: url"),
            ("[a]\nurl = 7", "[a]: url must be a text"),
            ("[a]\nwebhook = 'https://s3cr3t.example.com'", "[a]: key must be a text"),
            ("[a]\nurl = 's3cr3t'\nkey = 't0ken'", "[a]: 'key' is not known beside url"),
            (
                "[a]\nurl = 's3cr3t'\nseverity = 'bad'",
                "[a]: severity must be one of warning, critical",
            ),
            ("[a]\nurl = 's3cr3t'\nsubjects = 'x'", "[a]: subjects must be a list"),
            ("[mail]\nurl = 's3cr3t'", "[mail]: the name is another channel's"),
            ("['s3cr3t b']\nurl = 't0ken'", "the name of table 1 cannot be a channel's"),
            (f"x = {'[' * 20_000}", "has lists within lists"),
        ],
    ),
)
def test_a_file_that_is_wrong_is_told_with_the_table_and_no_secret(
    text: str, words: str, tmp_path: Path, cli: Cli
) -> None:
    path = write(tmp_path, text)
    done = cli("alerts", "test", env={f"{PREFIX}ALERT_CHANNELS_FILE": str(path)})
    assert done.exit_code != 0
    assert words in done.stderr
    assert not [one for one in SECRETS if one in done.stdout + done.stderr]


@pytest.mark.long
def test_the_command_tries_each_and_tells_of_each(
    hooks: HookServer, tmp_path: Path, cli: Cli, mails: MailServer
) -> None:
    path = write(
        tmp_path,
        f'[chat]\nurl = "{ntfy(hooks)}"\n[desk]\nwebhook = "{hooks.url}/desk"\nkey = "{KEY}"\n',
    )
    given = {**mails.environment, f"{PREFIX}ALERT_CHANNELS_FILE": str(path)}
    done = cli("alerts", "test", env=given)
    assert done.exit_code == 0, done.stderr
    assert "ok  address     chat is ntfy" in done.stdout
    assert "ok  message     answered 200" in done.stdout
    assert (len(mails.mails), len(hooks.posted)) == (1, 2)
    hooks.answers += [Answer(500), Answer(429)]
    done = cli("alerts", "test", env=given)
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    named = [lines.index(f"channel {name}") for name in ("mail", "chat", "desk")]
    assert named == sorted(named)
    assert lines[named[1] + 2].startswith("no  message     the service of chat answers 500")
    assert lines[-1] == "no  message     the webhook desk answers 429 Too Many Requests"
    assert done.stderr.strip() == "error: 2 of 3 channels could not be told: chat, desk"
    mails.mails.pop()
    hooks.answers += [Answer(500)]
    done = cli("alerts", "test", "--channel", "chat", "--json", env=given)
    assert done.exit_code == 1
    (one,) = done.json["channels"]
    assert (one["channel"], one["sent"], one["failed_step"]) == ("chat", False, "message")
    assert len(mails.mails) == 1
    path.chmod(0o644)
    done = cli("alerts", "test", "--channel", "nobody", env=given)
    assert (done.exit_code, "there are: mail, chat, desk" in done.stderr) == (2, True)
    assert f"{path} holds a secret and can be read by others (mode 0644)" in done.stderr


def test_the_doctor_reaches_each_and_sends_nothing(
    hooks: HookServer, tmp_path: Path, database: Database
) -> None:
    from consumer_analytics.operations.doctor import mail as checks
    from consumer_analytics.operations.doctor.findings import Context, Verdict

    path = write(
        tmp_path,
        f'[chat]\nurl = "{ntfy(hooks)}"\n[desk]\nwebhook = "{hooks.url}/desk"\nkey = "{KEY}"\n',
    )
    with database.connect() as connection:
        settings = database.settings.replaced({"alert_channels_file": path})
        found = checks.channels_of_file(Context(settings, connection))
        assert (found.verdict, found.says) == (Verdict.OK, "2 channels for alerts can be used")
        assert hooks.posted == []
        write(tmp_path, '[desk]\nwebhook = "http://127.0.0.1:1/s3cr3t"\nkey = "' + KEY + '"\n')
        found = checks.channels_of_file(Context(settings, connection))
    assert found.verdict == Verdict.PROBLEM
    assert "the webhook desk: it cannot be reached: Connection refused" in found.evidence
