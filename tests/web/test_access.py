"""Nobody gets in who may not, and a tenant sees its own consumer only.

Routes are taken from the application itself: one that is added and forgotten here fails.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from starlette.routing import Mount
from tests.conftest import Cli, Database
from tests.support import lanes
from tests.web.conftest import Client, Operated

from consumer_analytics.errors import SettingsError
from consumer_analytics.fields import Secret
from consumer_analytics.settings import Settings
from consumer_analytics.web import auth, tokens
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import COOKIE, NoCredentials, authenticator
from consumer_analytics.web.pool import Pool, SlowQueryError
from consumer_analytics.web.sessions import Sessions

PASSWORD = "a password of some length"
#: Answers without credentials, and must not have more than this in it.
OPEN = {"/login", "/logout", "/healthz", "/static"}
#: What a tenant's token may ask for: its own rows, and its own consumer.
TENANTS = {
    "/",
    "/consumers",
    "/compare",
    "/api/v1/openapi.json",
    "/api/v1/consumers",
    "/api/v1/consumers.csv",
    "/api/v1/now",
}
#: And with its own id in the address.
TENANTS_OWN = {
    "/consumers/{consumer_id}",
    "/api/v1/consumers/{consumer_id}",
    "/api/v1/consumers/{consumer_id}/anomalies",
    "/api/v1/consumers/{consumer_id}/series",
    "/api/v1/consumers/{consumer_id}/series.csv",
    "/api/v1/compare",
    "/api/v1/compare.csv",
}


class Door:
    """A dashboard with a password and tokens before it."""

    def __init__(self, operated: Operated, folder: Path) -> None:
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n", encoding="utf-8")
        self.tokens_file = folder / "tokens"
        consumers = operated.database.rows("select consumer_id, name from consumers order by name")
        (self.own, self.own_name), (self.other, self.other_name) = consumers[:2]
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        _, self.whole = tokens.create(self.tokens_file, "whole", consumers=None, expires_at=soon)
        self.tenants, self.tenant = tokens.create(
            self.tokens_file, "tenant", consumers=[self.own], expires_at=soon
        )
        short = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.2)
        _, self.expired = tokens.create(
            self.tokens_file, "expired", consumers=None, expires_at=short
        )
        self.settings = operated.database.settings.replaced(
            {
                "dashboard_password_file": self.password_file,
                "dashboard_tokens_file": self.tokens_file,
            }
        )
        time.sleep(0.3)


@pytest.fixture(scope="module")
def door(operated: Operated, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """Return a dashboard that asks who is there."""
    return Door(operated, tmp_path_factory.mktemp("door"))


def app_of(client: TestClient) -> FastAPI:
    assert isinstance(client.app, FastAPI)
    return client.app


def paths(app: FastAPI) -> list[str]:
    """Return the path of every route that the app has, in any form."""
    found = []
    for route in app.routes:
        if isinstance(route, APIRoute) and "GET" not in route.methods:
            assert route.path in OPEN, "only the login takes anything in"
            continue
        assert hasattr(route, "path"), route
        found.append(str(route.path))
        assert not isinstance(route, Mount) or route.path == "/static"
    assert len(found) > 20
    return found


def filled(path: str, consumer: uuid.UUID) -> str:
    """Return an address of a route."""
    address = path.replace("{consumer_id}", str(consumer))
    assert "{" not in address, f"{path}: fill in what this test does not know"
    return f"{address}?consumer={consumer}" if "compare" in path else address


def test_no_route_answers_without_valid_credentials(door: Door, client: Client) -> None:
    anybody = client(door.settings)
    wrong = [
        {},
        {"Authorization": f"Bearer {door.expired}"},
        {"Authorization": f"Bearer {door.whole[:-1]}"},
        {"Authorization": f"Bearer {door.whole}x"},
        {"Authorization": f"Bearer {door.tenants.token_id}"},
        {"Authorization": f"Bearer ca_{door.tenants.token_id}_"},
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": "Bearer "},
        {"Authorization": door.whole},
        {"Authorization": f"Basic {door.whole}"},
        {"Cookie": f"{COOKIE}={door.whole}"},
        {"Cookie": f"{COOKIE}=eyJraW5kIjoicGFzc3dvcmQifQ.aaaa.bbbb"},
    ]
    for path in paths(app_of(anybody)):
        if path in OPEN:
            continue
        for headers in wrong:
            answer = anybody.get(filled(path, door.own), headers=headers)
            assert answer.status_code == 401, (path, headers, answer.text)
            assert door.own_name not in answer.text
    for address in (
        "/no/such/page",
        "/api/v1/nothing",
        "/static",
        "/statics",
        "//login",
        "/login/",
    ):
        answer = anybody.get(address, follow_redirects=False)
        assert answer.status_code == 401, (address, answer.status_code)
    # Other methods find nothing either.
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"):
        assert anybody.request(method, "/api/v1/system").status_code == 401


def test_a_valid_token_opens_every_route(door: Door, client: Client) -> None:
    user = client(door.settings, token=door.whole)
    for path in paths(app_of(user)):
        if path not in OPEN:
            answer = user.get(filled(path, door.own))
            assert answer.status_code == 200, (path, answer.text)


def test_a_tenants_token_sees_its_own_consumer_only(
    door: Door, client: Client, operated: Operated
) -> None:
    tenant = client(door.settings, token=door.tenant)
    strangers = [
        str(value)
        for row in operated.database.rows(
            "select consumer_id, name from consumers where consumer_id <> %s", [door.own]
        )
        for value in row
    ]
    for path in paths(app_of(tenant)):
        if path in OPEN:
            continue
        own = tenant.get(filled(path, door.own))
        if path in TENANTS | TENANTS_OWN:
            assert own.status_code == 200, (path, own.text)
        else:
            assert own.status_code == 403, f"{path} is open to tenants"
        assert [one for one in strangers if one in own.text] == [], path
        if path in TENANTS_OWN:
            other = tenant.get(filled(path, door.other))
            assert other.status_code == 404, path
            assert door.other_name not in other.text
            # As one that nobody has ever heard of.
            nobody = tenant.get(filled(path, uuid.UUID(int=7)))
            assert nobody.status_code == 404
            assert nobody.text.replace(str(uuid.UUID(int=7)), str(door.other)) == other.text
    rows = tenant.get("/api/v1/consumers").json()
    assert [row["consumer_id"] for row in rows["rows"]] == [str(door.own)]
    assert rows["matching"] == 1
    assert tenant.get("/api/v1/consumers", params={"search": door.other_name}).json()["rows"] == []
    assert len(tenant.get("/api/v1/consumers.csv").text.splitlines()) == 2
    moment = tenant.get("/api/v1/now").json()
    assert [row["consumer_id"] for row in moment["rows"]] == [str(door.own)]
    both = {"consumer": [str(door.own), str(door.other)]}
    assert tenant.get("/api/v1/compare", params=both).status_code == 404


def test_a_revoked_token_ends_at_once(door: Door, client: Client) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    _, text = tokens.create(door.tokens_file, "leaver", consumers=None, expires_at=later)
    user = client(door.settings, token=text)
    browser = client(door.settings)
    assert log_in(browser, text).status_code == 303
    for one in (user, browser):
        assert one.get("/api/v1/system").status_code == 200
    tokens.revoke(door.tokens_file, "leaver")
    for one in (user, browser):
        assert one.get("/api/v1/system").status_code == 401


# -- login -------------------------------------------------------------------------


def log_in(browser: TestClient, secret: str, **headers: str) -> Any:
    return browser.post(
        "/login",
        data={"password": secret, "next": "consumers?search=bank"},
        headers=headers,
        follow_redirects=False,
    )


def test_a_browser_logs_in_and_out(door: Door, client: Client) -> None:
    browser = client(door.settings)
    sent = browser.get(
        "/consumers?search=x", headers={"Accept": "text/html"}, follow_redirects=False
    )
    assert sent.status_code == 303
    assert sent.headers["location"] == "login?next=consumers%3Fsearch%3Dx"
    assert browser.get("/login").status_code == 200
    entered = log_in(browser, PASSWORD)
    assert entered.status_code == 303
    assert entered.headers["location"] == "consumers?search=bank"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert PASSWORD not in entered.headers["set-cookie"]
    assert browser.get("/api/v1/system").status_code == 200
    stolen = browser.cookies[COOKIE]
    left = browser.post("/logout", follow_redirects=False)
    assert left.status_code == 303
    assert left.headers["clear-site-data"] == '"cache"'
    assert COOKIE not in browser.cookies
    cookie = {"Cookie": f"{COOKIE}={stolen}"}
    assert browser.get("/api/v1/system", headers=cookie).status_code == 401
    # What was the session's is worth nothing any more.
    again = client(door.settings)
    assert app_of(again) is not app_of(browser)
    kept = browser.get("/api/v1/system", headers={"Cookie": f"{COOKIE}={stolen}"})
    assert kept.status_code == 401


def test_a_new_login_ends_the_session_before_it(door: Door, client: Client) -> None:
    browser = client(door.settings)
    log_in(browser, PASSWORD)
    before = browser.cookies[COOKIE]
    assert log_in(browser, "wrong").status_code == 401
    assert browser.get("/api/v1/system").status_code == 200
    log_in(browser, door.tenant)
    old = {"Cookie": f"{COOKIE}={before}"}
    other = browser.cookies[COOKIE]
    browser.cookies.clear()
    assert browser.get("/api/v1/system", headers=old).status_code == 401
    assert browser.get("/consumers", headers={"Cookie": f"{COOKIE}={other}"}).status_code == 200


def test_a_session_over_https_is_for_https_alone(door: Door) -> None:
    app = create_app(door.settings, authenticator=authenticator(door.settings, "127.0.0.1"))
    with TestClient(app, base_url="https://testserver") as browser:
        assert "secure" in log_in(browser, PASSWORD).headers["set-cookie"].lower()


@pytest.mark.long
def test_a_session_ends_by_itself(door: Door, client: Client) -> None:
    brief = door.settings.replaced({"dashboard_session_hours": 1 / 3600})
    browser = client(brief)
    log_in(browser, PASSWORD)
    cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
    assert browser.get("/api/v1/system", headers=cookie).status_code == 200
    time.sleep(2.1)
    assert browser.get("/api/v1/system", headers=cookie).status_code == 401


def test_a_session_ends_where_nobody_uses_it(
    door: Door, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr(auth, "Sessions", partial(Sessions, clock=lambda: clock[0]))
    browser = client(door.settings.replaced({"dashboard_idle_minutes": 30}))
    for secret in (PASSWORD, door.tenant):
        log_in(browser, secret)
        for _ in range(3):
            clock[0] += 29 * 60
            assert browser.get("/api/v1/consumers").status_code == 200
        clock[0] += 31 * 60
        assert browser.get("/api/v1/consumers").status_code == 401
        # Trying it is no use of it.
        assert browser.get("/api/v1/consumers").status_code == 401
        assert browser.get("/consumers", headers={"Accept": "text/html"}).url.path == "/login"


def test_a_cookie_that_was_changed_or_is_anothers_is_refused(door: Door, client: Client) -> None:
    browser, other = client(door.settings), client(door.settings)
    log_in(browser, door.tenant)
    cookie = browser.cookies[COOKIE]
    assert browser.get("/api/v1/consumers").status_code == 200
    for forged in (cookie[:-2] + ("aa" if not cookie.endswith("aa") else "bb"), "x" + cookie):
        answer = other.get("/api/v1/consumers", headers={"Cookie": f"{COOKIE}={forged}"})
        assert answer.status_code == 401
    # Signed by another process.
    answer = other.get("/api/v1/consumers", headers={"Cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    lanes.first(
        2,
        [
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://elsewhere.example.com"},
            {"Origin": "null"},
        ],
    ),
)
def test_another_site_cannot_log_anybody_in_or_out(
    door: Door, client: Client, headers: dict[str, str]
) -> None:
    browser = client(door.settings)
    assert log_in(browser, PASSWORD, **headers).status_code == 403
    assert COOKIE not in browser.cookies
    log_in(browser, PASSWORD)
    assert browser.post("/logout", headers=headers).status_code == 403
    assert browser.get("/api/v1/system").status_code == 200


@pytest.mark.parametrize(
    "target",
    lanes.first(
        3,
        [
            "https://elsewhere.example.com/",
            "//elsewhere.example.com/",
            "/\\elsewhere.example.com",
            "\\\\elsewhere.example.com",
            "javascript:alert(1)",
            "\thttps://elsewhere.example.com",
            "consumers\r\nSet-Cookie: a=b",
        ],
    ),
)
def test_a_login_leads_nowhere_else(door: Door, client: Client, target: str) -> None:
    browser = client(door.settings)
    done = browser.post(
        "/login", data={"password": PASSWORD, "next": target}, follow_redirects=False
    )
    assert done.status_code == 303
    assert done.headers["location"] == "./"
    assert "elsewhere" not in browser.get("/login", params={"next": target}).text


def test_passwords_cannot_be_tried_without_end(door: Door, client: Client) -> None:
    browser = client(door.settings)
    tried = [log_in(browser, f"wrong password {i}").status_code for i in range(12)]
    assert tried == [401] * 10 + [429] * 2
    assert log_in(browser, PASSWORD).status_code == 429
    assert log_in(client(door.settings), "x" * 10_000).status_code == 401


# -- the server ----------------------------------------------------------------------


def test_without_credentials_only_this_machine_is_served(operated: Operated) -> None:
    plain = operated.database.settings
    for host in ("127.0.0.1", "::1", "localhost", "127.8.8.8"):
        assert isinstance(authenticator(plain, host), NoCredentials)
    for host in ("0.0.0.0", "::", "192.0.2.7", "db.example.com", ""):
        with pytest.raises(SettingsError, match="PASSWORD_FILE"):
            authenticator(plain, host)


def test_the_command_refuses_to_serve_others_without_credentials(cli: Cli, tmp_path: Path) -> None:
    done = cli("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "CONSUMER_ANALYTICS_DASHBOARD_PASSWORD_FILE" in done.stderr
    short = tmp_path / "short"
    short.write_text("secret\n", encoding="utf-8")
    short.chmod(0o600)
    for path in (short, tmp_path / "missing"):
        done = cli(
            "serve", "--port", "0", env={"CONSUMER_ANALYTICS_DASHBOARD_PASSWORD_FILE": str(path)}
        )
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1
        assert str(path) in done.stderr
        assert "Traceback" not in done.stderr


def test_no_other_sites_name_can_be_made_to_mean_this_machine(operated: Operated) -> None:
    app = create_app(
        operated.database.settings,
        authenticator=NoCredentials(),
        hosts=("localhost", "127.0.0.1", "[::1]"),
    )
    with TestClient(app, base_url="http://localhost") as browser:
        for host in ("localhost", "127.0.0.1:8082", "[::1]:8082", "LOCALHOST:1"):
            assert browser.get("/api/v1/system", headers={"Host": host}).status_code == 200
        for host in ("rebound.example.com", "localhost.example.com", "127.0.0.1.example.com", ""):
            assert browser.get("/api/v1/system", headers={"Host": host}).status_code == 400


def test_every_answer_has_the_headers_that_protect_it(door: Door, client: Client) -> None:
    browser = client(door.settings, token=door.whole)
    for path in (
        "/",
        "/api/v1/system",
        "/login",
        "/nowhere",
        "/static/app.css",
        "/api/v1/consumers.csv",
    ):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        if not path.startswith("/static"):
            assert headers["cache-control"] == "no-store"
    assert client(door.settings).get("/api/v1/system").headers["cache-control"] == "no-store"


def test_its_sessions_with_the_database_can_only_read(operated: Operated) -> None:
    pool = Pool(operated.database.settings)
    try:
        for statement in (
            "delete from consumer_analytics",
            "create table mine ()",
            "update etl_job_watermarks set last_run_status = 'failed'",
        ):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), pool.read() as connection:
                connection.execute(statement)
        with pool.read() as connection:
            row = connection.execute(
                "select current_setting('statement_timeout'), "
                "current_setting('transaction_isolation'), "
                "(select count(*) from pg_locks where locktype = 'advisory' "
                "and pid = pg_backend_pid())"
            ).fetchone()
        # The lock says that no run need wait for it.
        assert row == ("10s", "repeatable read", 1)
    finally:
        pool.close()


def test_a_query_that_takes_too_long_is_given_up(operated: Operated) -> None:
    quick = operated.database.settings.replaced({"dashboard_statement_timeout": 0.05})
    pool = Pool(quick)
    try:
        with pytest.raises(SlowQueryError, match=r"0\.05 s"), pool.read() as connection:
            connection.execute("select pg_sleep(5)")
        with pool.read() as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        pool.close()


@pytest.mark.long
def test_without_a_database_it_says_so(operated: Operated, client: Client, tmp_path: Path) -> None:
    nowhere = f"host={tmp_path} dbname=none connect_timeout=1"
    away = client(operated.database.settings.replaced({"database_url": Secret(nowhere)}))
    answer = away.get("/api/v1/system")
    assert answer.status_code == 503
    assert "the database cannot be reached" in answer.json()["detail"]
    page = away.get("/", headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "the database cannot be reached" in page.text
    assert away.get("/healthz").status_code == 200


def test_a_database_that_was_not_migrated_says_so(empty_database: Database, client: Client) -> None:
    answer = client(empty_database.settings).get("/api/v1/system")
    assert answer.status_code == 503
    assert "consumer-analytics migrate" in answer.json()["detail"]


def test_the_dashboards_own_database_url_is_the_one_it_reads_through(
    operated: Operated, client: Client, tmp_path: Path
) -> None:
    elsewhere = Secret(f"host={tmp_path} dbname=none")
    settings = Settings(
        database_url=elsewhere,
        dashboard_database_url=Secret(operated.database.url),
        home=tmp_path,
    )
    assert client(settings).get("/api/v1/system").status_code == 200


# -- tokens ----------------------------------------------------------------------------


def test_tokens_are_made_listed_and_revoked(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "kept" / "tokens"
    env = {"CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE": str(file)}
    consumer = str(uuid.uuid4())
    made = cli("tokens", "create", "acme", "--consumer", consumer, "--expires", "30d", env=env)
    assert made.exit_code == 0, made.stderr
    text = made.stdout.strip()
    assert text.startswith("ca_")
    secret = text.split("_", 2)[2]
    assert secret not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o077 == 0
    listed = cli("tokens", "list", "--json", env=env)
    assert secret not in listed.stdout
    (one,) = listed.json["tokens"]
    assert (one["name"], one["consumers"]) == ("acme", [consumer])
    assert "acme" in cli("tokens", "list", env=env).stdout
    again = cli("tokens", "create", "acme", env=env)
    assert again.exit_code == 2
    assert "acme" in again.stderr
    assert cli("tokens", "revoke", "acme", env=env).exit_code == 0
    assert cli("tokens", "revoke", "acme", env=env).exit_code == 2
    assert cli("tokens", "list", "--json", env=env).json == {"tokens": []}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["create", "a", "--consumer", "acme"], "UUID"),
        (["create", "a", "--expires", "2020-01-01"], "expired already"),
        (["create", "a", "--expires", "soon"], "is neither a length like 30d"),
        (["create", "a", "--expires", "99999y"], "calendar"),
        (["create", " "], "printable"),
        (["create", "a\nb"], "printable"),
    ],
)
def test_a_token_that_cannot_be_is_refused(
    cli: Cli, tmp_path: Path, arguments: list[str], told: str
) -> None:
    file = tmp_path / "tokens"
    env = {"CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE": str(file)}
    done = cli("tokens", *arguments, env=env)
    assert done.exit_code == 2, done.stdout
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not file.exists()


def test_a_tokens_file_that_is_none_is_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("nonsense\n", encoding="utf-8")
    file.chmod(0o600)
    env = {"CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE": str(file)}
    for command in (["tokens", "list"], ["serve", "--port", "0"]):
        done = cli(*command, env=env)
        assert done.exit_code == 2
        assert f"line 1 of the tokens' file {file}" in done.stderr
    assert cli("tokens", "list").exit_code == 2


def test_another_machines_address_is_told_as_that(cli: Cli) -> None:
    """What had to be set for it was told first, as if others could reach it."""
    done = cli("serve", "--host", "192.0.2.1", "--port", "0")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: '192.0.2.1' is no address of this machine; 127.0.0.1 is ")
    assert done.stderr.count("\n") == 1


def test_a_server_that_lets_nobody_in_yet_says_so(cli: Cli, tmp_path: Path) -> None:
    env = {"CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE": str(tmp_path / "tokens")}
    # An address that no machine has: it is said before anything is listened on.
    serve = ("serve", "--host", "192.0.2.1", "--port", "0")
    assert "nobody can log in yet" in cli(*serve, env=env).stderr
    assert cli("tokens", "create", "one", env=env).exit_code == 0
    assert "nobody can log in yet" not in cli(*serve, env=env).stderr
