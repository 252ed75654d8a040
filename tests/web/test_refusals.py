"""Whatever a client sends is answered as its own mistake, and what fails here tells no secrets."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect
from tests.conftest import COMMAND, command_environment
from tests.support import lanes
from tests.web.browser import served
from tests.web.conftest import Client, Operated
from tests.web.test_access import PASSWORD, TENANTS, TENANTS_OWN, filled, paths

from consumer_analytics import errors
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.metrics.exposition import Exposition
from consumer_analytics.settings import PREFIX, Settings
from consumer_analytics.web import guard, metrics, pool, tokens
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import NoCredentials, authenticator
from consumer_analytics.web.guard import Guard
from consumer_analytics.web.pool import Pool
from consumer_analytics.web.refusals import Refusals


class Kept:
    """A password, and the tokens of an operator and of a tenant, without a database behind them."""

    def __init__(self, folder: Path) -> None:
        self.own = uuid.uuid4()
        self.tokens_file = folder / "tokens"
        password_file = folder / "password"
        password_file.write_text(f"{PASSWORD}\n", encoding="utf-8")
        password_file.chmod(0o600)
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        _, self.whole = tokens.create(self.tokens_file, "whole", consumers=None, expires_at=soon)
        _, self.tenant = tokens.create(
            self.tokens_file, "tenant", consumers=[self.own], expires_at=soon
        )
        self.settings = Settings(
            home=folder,
            dashboard_password_file=password_file,
            dashboard_tokens_file=self.tokens_file,
        )


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """Return credentials."""
    return Kept(tmp_path)


def protected(headers: Any) -> bool:
    """Tell whether an answer has all the headers that it is to have."""
    return all(headers.get(name) == value for name, value in guard.HEADERS.items()) and (
        "cache-control" in headers
    )


# -- parameters --------------------------------------------------------------------

SOMEBODY = "00000000-0000-4000-8000-000000000001"
TIME = "must be a time; write 2025-10-01 or 2025-10-01T06:00:00Z, and is "


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("consumers?page=0", "page must be 1 or more, and is '0'"),
        ("consumers?page=9999999", "page must be 1,000,000 or less, and is '9999999'"),
        ("consumers?page=two", "page must be a whole number, and is 'two'"),
        (f"consumers?page={'9' * 5000}", f"page must be a whole number, and is '{'9' * 40}'"),
        ("consumers?sort=x", "sort must be 'name', 'customers', "),
        (
            f"consumers?search={'x' * 201}",
            f"search must have 200 characters at most, and is '{'x' * 40}'",
        ),
        ("system?from=tomorrow", f"from {TIME}'tomorrow'"),
        ("system?to=2025-02-30", f"to {TIME}'2025-02-30'"),
        # The validator takes a number for seconds since 1970.
        ("system/series?from=20260105", f"from {TIME}'20260105'"),
        ("consumers?to=-1.5", f"to {TIME}'-1.5'"),
        ("consumers/nobody", "consumer_id must be a consumer's id, such as "),
        ("compare", "consumer is missing: give it at least once"),
        ("compare?consumer=x", "consumer must be a consumer's id, such as "),
        (
            f"compare?{'&'.join([f'consumer={SOMEBODY}'] * 9)}",
            "consumer may be given 8 times at most",
        ),
        ("system?tz=Mars/Base", "tz 'Mars/Base' cannot be used; write tz=UTC, or leave it out"),
        ("freshness/runs.csv?tz=UTC&tz=utc", "tz 'utc' cannot be used; "),
        ("../../?tz=Mars/Base", "tz 'Mars/Base' cannot be used; "),
        ("../../freshness?tz=%0a", r"tz '\n' cannot be used; "),
    ],
)
def test_a_parameter_is_refused_in_words_of_ours(empty: TestClient, path: str, says: str) -> None:
    """The validator's words were passed on; a zone that nothing knows was passed over."""
    answer = empty.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.json().keys()) == (422, {"detail"})
    assert answer.json()["detail"].startswith(says)
    assert protected(answer.headers)


def test_a_link_may_name_the_zone_that_it_shows(empty: TestClient) -> None:
    for path in ("", "freshness?tz=UTC", "api/v1/consumers?tz=UTC", "api/v1/consumers?tz="):
        assert empty.get(f"/{path}").status_code == 200


# -- what fails here ---------------------------------------------------------------

#: What must not be seen: parts of each of the messages below.
TELLING = (
    "db.internal",
    "10.9.8.7",
    "6543",
    "app_login",
    "secret_table",
    "s3cret",
    "select ",
    "DETAIL",
)
_WHERE = (
    'connection to server at "db.internal" (10.9.8.7), port 6543 failed: FATAL: password '
    'authentication failed for user "app_login" s3cret'
)
_WHAT = 'relation "secret_table" LINE 1: select s3cret from secret_table DETAIL: Key (s3cret)'


def failures() -> list[Exception]:
    """Return one error of every class of ours, and of psycopg's that a statement may raise."""
    ours: list[type[Exception]] = []
    left: list[type[Exception]] = [errors.ConsumerAnalyticsError]
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        # What a person asked for in vain is told in the words of what they asked.
        is_plain = not issubclass(kind, errors.ChannelError | errors.ImportRefusedError)
        if kind.__module__ == errors.__name__ and kind is not errors.UsageError and is_plain:
            ours.append(kind)
    of_psycopg = [
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.DataError,
        psycopg.ProgrammingError,
        psycopg.InternalError,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.InvalidSchemaName,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.AdminShutdown,
        psycopg.errors.IdleInTransactionSessionTimeout,
        psycopg.errors.SerializationFailure,
        psycopg.errors.ReadOnlySqlTransaction,
        psycopg.errors.TooManyConnections,
        psycopg.errors.DiskFull,
        psycopg.errors.OutOfMemory,
        psycopg.errors.CharacterNotInRepertoire,
    ]
    assert len(ours) > 12
    return [
        *(kind(_WHERE) for kind in ours),
        *(kind(f"{_WHERE} {_WHAT}") for kind in of_psycopg),
        *(kind(_WHERE) for kind in (RuntimeError, ValueError, OSError, KeyError, LookupError)),
        MemoryError(_WHERE),
        RecursionError(_WHERE),
    ]


#: What answers without the database, or sends a tenant on.
NOT_READ = {"/", "/api/v1/openapi.json"}


def test_a_tenant_learns_nothing_of_the_database_whatever_fails(
    kept: Kept, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[Exception] = []

    @contextlib.contextmanager
    def read(_: Pool) -> Iterator[None]:
        if raised:
            raise raised[0]
        yield

    monkeypatch.setattr(Pool, "read", read)
    tenant = client(kept.settings, token=kept.tenant)
    own = sorted(filled(path, kept.own) for path in TENANTS | TENANTS_OWN if path not in NOT_READ)
    assert len(own) > 8
    for number, error in enumerate(failures()):
        raised[:] = [error]
        # Two of them for each error, and by and by each of them.
        for path in ("/consumers", own[number % len(own)]):
            answer = tenant.get(path, headers={"Accept": "text/html"})
            assert [one for one in TELLING if one in answer.text] == [], (path, error)
            assert protected(answer.headers), (path, error)
            assert answer.status_code in {500, 503}, (path, error)


def test_whatever_the_database_says_is_told_in_our_words(
    kept: Kept, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One of each class of SQLSTATE: to people what became of it, to the log what it means."""
    raised: list[psycopg.Error] = []

    @contextlib.contextmanager
    def read(_: Pool) -> Iterator[None]:
        for error in raised:
            raise error
        yield

    monkeypatch.setattr(Pool, "read", read)
    user = client(kept.settings, token=kept.whole)
    states = {getattr(one, "sqlstate", None) for one in vars(psycopg.errors).values()}
    by_class = {state[:2]: state for state in states if isinstance(state, str)}
    assert len(by_class) > 30
    for state in {*by_class.values(), "57P01", "57014", "40P01", "55P03", "53100", "XX002"}:
        raised[:] = [psycopg.errors.lookup(state)(_WHAT)]
        caplog.clear()
        answer = user.get("/api/v1/consumers")
        said = answer.json()["detail"]
        assert answer.status_code == 503, state
        assert "log says why" in said, (state, said)
        assert ("connection to the database was lost" in said) == (
            state.startswith(("08", "57P"))
        ), (state, said)
        assert "secret_table" not in said
        (line,) = [one.getMessage() for one in caplog.records if one.name.endswith("web.app")]
        assert "LINE 1" not in line, "what the server says of the statement's text"


def test_a_database_that_is_away_is_told_with_its_place_to_its_operator_alone(
    kept: Kept, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pool, "_PATIENCE", 0.1)
    away = {"database_url": Secret("postgresql://app_login@127.0.0.1:1/none")}
    for token in (kept.tenant, kept.whole):
        answer = client(kept.settings.replaced(away), token=token).get("/api/v1/consumers")
        assert answer.status_code == 503
        assert "127.0.0.1" not in answer.text
        assert "log" in answer.json()["detail"]
    assert "127.0.0.1" in caplog.text
    alone = client(Settings(home=kept.settings.home).replaced(away)).get("/api/v1/consumers")
    assert "127.0.0.1" in alone.json()["detail"]


def test_what_nobody_foresaw_is_a_500_with_the_headers_and_in_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(*_: Any) -> None:
        raise ZeroDivisionError(_WHERE)

    answer = TestClient(Guard(app)).get("/a%0d%0ab")
    assert answer.status_code == 500
    assert protected(answer.headers)
    assert "db.internal" not in answer.text
    assert "ZeroDivisionError" in caplog.text
    # A line break in an address makes no line of the log.
    assert "/a\\r\\nb" in caplog.text


def test_what_is_refused_before_a_route_is_answered_as_it_says() -> None:
    async def app(*_: Any) -> None:
        raise HTTPException(403, "not this one")

    answer = TestClient(Guard(app)).get("/")
    assert (answer.status_code, answer.text) == (403, "not this one\n")
    assert protected(answer.headers)


# -- credentials that cannot be read --------------------------------------------------


def test_a_tokens_file_that_goes_bad_is_a_503_and_one_line(
    kept: Kept, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    user = client(kept.settings, token=kept.whole)
    person = client(kept.settings)
    text = kept.tokens_file.read_text(encoding="utf-8")
    kept.tokens_file.write_text('{"id": "s3cret-line"\n', encoding="utf-8")
    caplog.clear()
    for _ in range(5):
        for path in ("/api/v1/consumers", "/", "/metrics", "/nowhere"):
            answer = user.get(path)
            assert answer.status_code == 503, path
            assert protected(answer.headers)
            assert str(kept.tokens_file) not in answer.text
        answer = user.post("/login", data={"password": kept.whole}, headers={"Authorization": ""})
        assert answer.status_code == 503
    (told,) = [one for one in caplog.records if "tokens" in one.getMessage()]
    assert told.levelno == logging.ERROR
    assert told.exc_info is None
    assert f"line 1 of the tokens' file {kept.tokens_file}" in told.getMessage()
    # Whoever comes by the password is not concerned.
    entered = person.post("/login", data={"password": PASSWORD}, follow_redirects=False)
    assert entered.status_code == 303
    assert person.get("/nowhere").status_code == 404
    kept.tokens_file.write_text(text, encoding="utf-8")
    assert user.get("/nowhere").status_code == 404


def test_logins_are_in_the_log_with_who_and_where_and_no_secret(
    kept: Kept, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    person = client(kept.settings)
    wrong = kept.whole[:-1] + ("a" if not kept.whole.endswith("a") else "b")
    for secret in ("wrong one", PASSWORD, kept.tenant, wrong, "ca_nobody_x"):
        person.post("/login", data={"password": secret}, follow_redirects=False)
    person.post("/logout", follow_redirects=False)
    told = [one.getMessage() for one in caplog.records if one.name.endswith("web.auth")]
    by_id = {one.name: one.token_id for one in tokens.load(kept.tokens_file)}
    assert told == [
        "login failed: password from unknown",
        "login: password from unknown",
        f"login: token {by_id['tenant']} from unknown",
        "logout: password",
        f"login failed: token {by_id['whole']} from unknown",
        "login failed: no token from unknown",
        f"logout: token {by_id['tenant']}",
    ]
    for _ in range(12):
        person.post("/login", data={"password": "wrong one"})
    assert caplog.text.count("login held off: password from unknown") == 1


@pytest.mark.long
def test_the_server_writes_its_log_with_times_in_utc(kept: Kept) -> None:
    process = subprocess.Popen(
        [str(COMMAND), "serve", "--port", "0"],
        env=command_environment(
            {
                f"{PREFIX}DASHBOARD_PASSWORD_FILE": str(kept.settings.dashboard_password_file),
                f"{PREFIX}DASHBOARD_HOSTS": "dashboard.example.com",
                "PYTHONUNBUFFERED": "1",
                "TZ": "Asia/Tokyo",
            }
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = process.stdout.readline().split()[1]
        with httpx.Client(base_url=url, trust_env=False) as client:
            assert client.post("/login", data={"password": "wrong one"}).status_code == 401
            for host, status in (("dashboard.example.com", 200), ("rebound.example.com", 400)):
                answer = client.get("/healthz", headers={"Host": host})
                assert answer.status_code == status
                assert protected(answer.headers)
        line = process.stderr.readline()
    finally:
        process.terminate()
        process.communicate(timeout=20)
    when, _, rest = line.partition("Z ")
    assert rest == "WARNING consumer_analytics.web.auth: login failed: password from 127.0.0.1\n"
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    assert abs(dt.datetime.fromisoformat(when.replace(",", ".")) - now) < dt.timedelta(minutes=5)


# -- refusals in the log ----------------------------------------------------------


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the log tells of refusals."""
    return [one.getMessage() for one in caplog.records if one.name.endswith("web.refusals")]


def test_who_asks_for_what_he_may_not_see_is_in_the_log(
    kept: Kept, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = client(kept.settings, token=kept.tenant)
    assert tenant.get("/api/v1/system?range=all").status_code == 403
    assert tenant.get(f"/api/v1/consumers/{uuid.UUID(int=7)}").status_code == 404
    nobody = client(kept.settings)
    assert nobody.get("/api/v1/system").status_code == 401
    forged = {"Cookie": "consumer_analytics_session=forged-s3cret"}
    assert nobody.get("/api/v1/system", headers=forged).status_code == 401
    wrong = {"Authorization": f"Bearer {kept.whole[:-2]}xx"}
    assert nobody.get("/metrics", headers=wrong).status_code == 401
    for path in ("/api/v1/system", "/metrics"):
        tenant.get(path)
    assert refused(caplog) == [
        "refused 403 Forbidden: tenant from unknown: GET '/api/v1/system'",
        (
            "refused 404 Not Found: tenant from unknown: "
            "GET '/api/v1/consumers/00000000-0000-0000-0000-000000000007'"
        ),
        "refused 401 Unauthorized: nobody from unknown: GET '/api/v1/system'",
        "refused 401 Unauthorized: unknown credentials from unknown: GET '/api/v1/system'",
    ]
    assert "s3cret" not in caplog.text
    assert kept.whole[3:20] not in caplog.text


def test_what_is_refused_for_what_it_is_is_in_the_log(
    kept: Kept, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    user = client(kept.settings, token=kept.whole)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    asked: list[tuple[int, httpx.Response]] = [
        (403, user.post("/login", data={"password": "s3cret"}, headers=elsewhere)),
        (405, user.delete("/api/v1/system")),
        (413, user.post("/login", content=b"x" * 20_000)),
        (414, user.get("/api/v1/system", params={"x": "y" * 9_000})),
        (415, user.post("/login", json={"password": "s3cret"})),
        (422, user.get("/api/v1/system", params={"range": "s3cret"})),
        (400, user.get("/api/v1/a%0d%0ab", headers={"Upgrade": "websocket"})),
    ]
    for status, answer in asked:
        assert answer.status_code == status, answer.text
    told = refused(caplog)
    assert [line.split()[1] for line in told] == [str(status) for status, _ in asked]
    assert all("\n" not in line and "\r" not in line for line in told)
    assert "s3cret" not in caplog.text
    # What is there and seen is nothing to tell, nor what is merely not there.
    assert user.get("/nowhere").status_code == 404
    assert user.get("/healthz").status_code == 200
    assert refused(caplog) == told


def test_a_log_is_not_filled_by_who_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    refusals = Refusals(clock=lambda: clock[0])
    for number in range(1_000):
        refusals.note(403, "a\n\x1bb", "203.0.113.9", f"GET '/{number}'")
    assert refused(caplog) == ["refused 403 Forbidden: a b from 203.0.113.9: GET '/0'"]
    clock[0] = 601
    refusals.note(403, "a\n\x1bb", "203.0.113.9", "GET '/again'")
    assert refused(caplog)[1].endswith("GET '/again' (and 999 times before)")
    for number in range(5_000):
        refusals.note(401, "nobody", f"10.0.{number // 250}.{number % 250}", "GET '/'")
    assert len(refused(caplog)) == 2 + 200
    assert refused(caplog)[-1].startswith("refused: too much to tell of; no more of it for 10 min")
    assert len(refusals._told) <= 1_000
    clock[0] = 1_300
    refusals.note(401, "nobody", "10.0.0.1", "GET '/'")
    assert refused(caplog)[-1].startswith("refused 401")


# -- behind a proxy ----------------------------------------------------------------


@pytest.fixture
def behind(kept: Kept) -> Iterator[Any]:
    """Return a function that serves the dashboard as behind a proxy on this machine."""
    with ExitStack() as stack:

        def make(trusted: str) -> httpx.Client:
            settings = kept.settings.replaced({"trusted_proxies": trusted})
            app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
            address = stack.enter_context(served(app, settings))
            return stack.enter_context(httpx.Client(base_url=address, trust_env=False))

        yield make


def tries(client: httpx.Client, *, told: str, password: str = "wrong", times: int = 1) -> list[int]:
    """Log in as often as that, with what proxies say of the client; the answers."""
    return [
        client.post(
            "/login",
            data={"password": password},
            headers={"X-Forwarded-For": told.replace("#", str(number))},
        ).status_code
        for number in range(times)
    ]


def test_a_guest_behind_the_proxy_waits_alone_whatever_it_says_of_itself(behind: Any) -> None:
    client = behind("10.1.0.0/16, 127.0.0.1")
    # Whatever is further left comes from the client itself.
    assert tries(client, told="192.0.2.#, 203.0.113.9", times=12) == [401] * 10 + [429] * 2
    assert tries(client, told=f"{'x' * 3000}#, 203.0.113.9:44#, 10.1.2.3") == [429]
    assert tries(client, told="203.0.113.10", password=PASSWORD) == [303]
    assert tries(client, told="2001:db8::#", times=12)[-1] == 429
    assert tries(client, told="203.0.113.10", password=PASSWORD) == [303]


@pytest.mark.long
def test_without_a_trusted_proxy_nothing_is_believed(
    behind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for trusted in ("", "10.1.0.0/16"):
        caplog.clear()
        client = behind(trusted)
        assert tries(client, told="192.0.2.#", times=12) == [401] * 10 + [429] * 2
        said = [one for one in caplog.records if "TRUSTED_PROXIES" in one.getMessage()]
        assert len(said) == (0 if trusted else 1)


@pytest.mark.long
def test_https_is_believed_of_a_trusted_proxy_alone(behind: Any) -> None:
    for trusted, secure in (("127.0.0.1", True), ("", False)):
        answer = behind(trusted).post(
            "/login", data={"password": PASSWORD}, headers={"X-Forwarded-Proto": "https"}
        )
        assert ("secure" in answer.headers["set-cookie"].lower()) is secure


# -- what a client does ------------------------------------------------------------


def test_a_websocket_is_refused_by_whatever_server_it_is_mounted_in(
    kept: Kept, client: Client
) -> None:
    for browser in (client(kept.settings), client(Settings(home=kept.tokens_file.parent))):
        for path in ("/", "/login", "/metrics", "/static/app.css", "/nowhere"):
            with (
                pytest.raises(WebSocketDenialResponse) as refused,
                browser.websocket_connect(path),
            ):
                pass
            assert refused.value.status_code == 400
            assert protected(refused.value.headers)


def test_a_websocket_is_closed_where_a_server_can_say_no_more(kept: Kept) -> None:
    app = create_app(kept.settings, authenticator=NoCredentials())

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}}, receive, send)

    with (
        pytest.raises(WebSocketDisconnect) as closed,
        TestClient(plain).websocket_connect("/"),
    ):
        pass
    assert closed.value.code == 1008


#: Hosts that are none, or another's.
HOSTS = (
    b"[",
    b"a:b:c",
    b"[::1",
    b"a/b",
    b"@",
    b"\xff",
    b"",
    b"rebound.example.com",
    b"127.0.0.1@x",
)
QUERIES = (
    "%00", "%", "%zz", "%ff%fe", "=&&==&", "a;b", "range=%00", "range=7d&range=30d&range=%ff",
    "from=%00&to=%ff", "from=9999-12-31T23:59:59Z&to=0001-01-01", "search=%00", "search=%ff",
    "search=" + "x" * 5000, "page=0", "page=-1", "page=1e9", "page=%D9%A1", "size=" + "9" * 20,
    "sort=%00", "direction=up", "consumer=%00", "consumer=x&" * 600, "points=1", "next=%00",
    "next=//elsewhere.example.com", "latest=-1", "limit=%F0%9F%98%80", "x" * 8_000,
)  # fmt: skip
PATHS = (
    "%00", "/%00", "/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "%0d%0aSet-Cookie:a=b", "//",
    "/%", "/%ff", "/" + "a" * 3000, "/.", "%2e%2e", ";a=b", "/CON", "/\\..\\..",
)  # fmt: skip
#: Heads of a request that are no harm, or ought to be none.
HEADS = (
    b"Accept: text/html", b"Accept: \xff", b"Cookie: consumer_analytics_session=\xff; a; =; b==",
    b"Authorization: Bearer \xff", b"Authorization: Bearer ca_x_" + b"y" * 5000,
    b"Authorization: " + b"x" * 100, b"Authorization: Basic Og==",
    b"Sec-Fetch-Site: \xff", b"Origin: [", b"Content-Length: 2", b"Transfer-Encoding: chunked",
    b"Accept-Encoding: gzip;q=x", b"If-Modified-Since: x", b"If-None-Match: \xff",
    b"Range: bytes=9-1", b"Range: bytes=" + b"0-1," * 500, b"X-Forwarded-For: \xff",
    b"Upgrade: h2c\r\nConnection: Upgrade", b"Expect: 100-continue", b"Expect: \xff",
)  # fmt: skip
METHODS = ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO", "get")
BODIES = (
    b'{"a":', b"\xff", b"password=%00&next=%ff", b"password=" + b"%F0" * 3000, b"=&=&",
    b"a=b&" * 100,
)  # fmt: skip


def ask(
    address: str, method: str, target: str, *head: bytes, body: bytes = b""
) -> tuple[int, bytes]:
    """Ask as no client library would; the answer's status and all of it."""
    parts = urlsplit(address)
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), 20) as one:
        host = (
            () if any(line.lower().startswith(b"host:") for line in head) else (b"Host: 127.0.0.1",)
        )
        lines = (
            f"{method} {target} HTTP/1.1".encode(),
            *host,
            b"Connection: close",
            *head,
            b"",
            b"",
        )
        one.sendall(b"\r\n".join(lines) + body)
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while part := one.recv(65_536):
                said += part
    return int(said.split(b" ", 2)[1] if said else 0), said


def hostile(routes: list[str]) -> Iterator[tuple[str, str, tuple[bytes, ...], bytes]]:
    """Yield requests that are wrong in one way each: method, target, headers, body."""
    for path in routes:
        for query in QUERIES:
            joined = "&" if "?" in path else "?"
            yield "GET", f"{path}{joined}{query}", (b"Accept: text/html",), b""
        for tail in PATHS:
            yield "GET", f"{path.partition('?')[0]}{tail}", (b"Accept: text/html",), b""
        for header in HEADS:
            yield "GET", path, (header,), b""
        for host in HOSTS:
            yield "GET", path, (b"Host: " + host, b"Accept: text/html"), b""
        for method in METHODS:
            yield method, path, (b"Content-Length: 0",), b""
        for kind in (b"application/json", b"application/x-www-form-urlencoded"):
            for body in BODIES:
                length = f"Content-Length: {len(body)}".encode()
                yield "POST", path, (length, b"Content-Type: " + kind), body


#: Every so many of the requests for each change; in the long lane all of them.
@pytest.mark.parametrize("every", lanes.first(1, [17, 1]))
@pytest.mark.parametrize("asks", [True, False], ids=["gate", "open"])
def test_no_request_makes_an_error_of_ours(
    operated: Operated, kept: Kept, asks: bool, every: int
) -> None:
    own = operated.database.rows("select consumer_id from consumers limit 1")[0][0]
    settings = operated.database.settings
    if asks:
        settings = kept.settings.replaced({"database_url": settings.database_url})
    app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
    routes = [*(filled(path, own) for path in paths(app)), "/static/app.css", "/nowhere"]
    login = (b"Authorization: Bearer " + kept.whole.encode(),) if asks else ()
    seen = set()
    with served(app, settings) as address:
        for number, (method, target, head, body) in enumerate(hostile(routes)):
            if number % every:
                continue
            credentials = () if any(b"Authorization" in one for one in head) else login
            status, said = ask(address, method, target, *head, *credentials, body=body)
            seen.add(status)
            assert status < 500, (method, target[:200], head, said[:500])
            assert b"content-security-policy:" in said, (method, target[:200], head, status)
            assert b"Traceback" not in said
        # What a person could have asked all the while.
        status, _ = ask(address, "GET", "/healthz")
    assert status == 200
    assert seen >= {200, 404, 405, 422}


def test_no_request_makes_an_error_of_the_metrics(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    app = metrics.create_app(Exposition(settings), token="s3cret", hosts=("127.0.0.1",))
    with served(app, settings) as address:
        for method, target, head, body in hostile(["/metrics"]):
            status, said = ask(address, method, target, *head, body=body)
            assert status < 500, (method, target[:200], head, said[:500])
            assert b"content-security-policy:" in said, (method, target[:200], head, status)
        status, said = ask(address, "GET", "/metrics", b"Authorization: Bearer s3cret")
        assert status == 200
        assert b"consumer_analytics_scrape_success 0.0" in said
        status, _ = ask(
            address,
            "GET",
            "/metrics",
            b"Authorization: Bearer s3cret",
            b"Host: rebound.example.com",
        )
        assert status == 400


def test_problems_of_the_api_are_json(operated: Operated, client: Client) -> None:
    browser = client(operated.database.settings)
    for path in ("/api/v1/nowhere", "/api/v1/consumers?page=x", "/api/v1/consumers/x"):
        assert json.loads(browser.get(path).text).keys() == {"detail"}
