"""TLS as the URL asks for it, and a password that is shown nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from tests.conftest import DEBIAN_15, Cli, Database, Result, Server
from tests.support import scratch

from consumer_analytics.db import connection as db
from consumer_analytics.fields import Secret
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.settings import Settings

#: A loopback address of its own, so that the standard port is free.
ADDRESS = "127.0.0.77"
PASSWORD = "Geheim/Wort@17:%&?#[x]é"
#: No part of it may be seen either: a torn URL shows parts.
PARTS = (
    "Geheim",
    "Wortlaut",
    "Wort@",
    "@17:",
    "%&?#",
    "[x]é",
    urllib.parse.quote(PASSWORD, safe=""),
)
HBA = "local all all trust\nhostssl all all 127.0.0.0/8 scram-sha-256\n"


@dataclass
class Secured:
    """A server that takes TCP connections with TLS and a password only."""

    embedded: EmbeddedPostgres
    server: Server
    folder: Path
    login: str
    database: str

    def url(self, password: str | None = PASSWORD, host: str = ADDRESS, **options: str) -> str:
        secret = f":{urllib.parse.quote(password, safe='')}" if password else ""
        query = urllib.parse.urlencode({"sslmode": "verify-full", **options})
        return f"postgresql://{self.login}{secret}@{host}:5432/{self.database}?{query}"

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.crt")


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_certificates(folder: Path) -> None:
    for name in ("ca", "other"):
        openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt",
        )  # fmt: skip
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=database",
        "-keyout", folder / "server.key", "-out", folder / "server.csr",
    )  # fmt: skip
    (folder / "names").write_text(f"subjectAltName=IP:{ADDRESS}\n")
    openssl(
        "x509", "-req", "-in", folder / "server.csr", "-CA", folder / "ca.crt", "-days", "2",
        "-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", folder / "names",
        "-out", folder / "server.crt",
    )  # fmt: skip


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    if not (DEBIAN_15 / "initdb").exists() or shutil.which("openssl") is None:
        pytest.skip("needs openssl and a server built with TLS, which the packaged one is not")
    certificates = tmp_path_factory.mktemp("certificates")
    make_certificates(certificates)
    folder = scratch.folder("ca-test-")
    embedded = EmbeddedPostgres(
        folder,
        binaries=DEBIAN_15,
        options={"shared_buffers": "32MB", "fsync": "off", "listen_addresses": ADDRESS},
    )
    try:
        embedded.start()
        owner = embedded.data.stat()
        for name in ("server.crt", "server.key"):
            shutil.copy(certificates / name, embedded.data / name)
            os.chown(embedded.data / name, owner.st_uid, owner.st_gid)
            (embedded.data / name).chmod(0o600)
        (embedded.data / "pg_hba.conf").write_text(HBA)
        with psycopg.connect(embedded.conninfo(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute("alter system set ssl = on")
            admin.execute("alter system set log_statement = 'all'")
            admin.execute("select pg_reload_conf()")
        server = Server(embedded.conninfo(SUPERUSER, "postgres"), "TLS")
        server.prepare()
        name = server.create(server.template)
        with server.connect_admin() as admin:
            admin.execute("set log_statement = 'none'")
            admin.execute(
                sql.SQL("alter role {} password {}").format(
                    sql.Identifier(server.role or ""), PASSWORD
                )
            )
        yield Secured(embedded, server, certificates, server.role or "", name)
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


def command(secured: Secured, url: str, tmp_path: Path) -> Cli:
    settings = Settings(database_url=Secret(url), home=tmp_path / "home")
    return Cli(Database(url, settings, secured.server, secured.database))


def test_a_server_that_proves_who_it_is_is_trusted(secured: Secured, tmp_path: Path) -> None:
    url = secured.url(sslrootcert=secured.ca)
    settings = Settings(database_url=Secret(url), home=tmp_path)
    with db.connected(settings, "test") as connection:
        assert connection.execute(
            "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        ).fetchone() == (True, "TLSv1.3")
    done = command(secured, url, tmp_path)("run")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sslrootcert": "other.crt"}, "certificate verify failed"),
        ({"sslrootcert": "missing.crt"}, "root certificate file"),
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "ca.crt", "host": "localhost", "hostaddr": ADDRESS}, "does not match"),
    ],
)
def test_another_is_refused_in_one_line(
    secured: Secured, tmp_path: Path, options: dict[str, str], reason: str
) -> None:
    if "sslrootcert" in options:
        options = {**options, "sslrootcert": str(secured.folder / options["sslrootcert"])}
    host = options.get("host", ADDRESS)
    url = secured.url(host=host, **{k: v for k, v in options.items() if k != "host"})
    done = command(secured, url, tmp_path)("status")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert reason in done.stderr, done.stderr
    assert_secret(done)


def assert_secret(*shown: Any) -> None:
    for one in shown:
        text = f"{one.stdout}{one.stderr}" if isinstance(one, Result) else str(one)
        for part in PARTS:
            assert part not in text, f"{part!r} is shown: {text}"


def test_the_password_is_shown_nowhere(secured: Secured, tmp_path: Path) -> None:
    right = secured.url(sslrootcert=secured.ca)
    wrong = secured.url(PASSWORD + "x", sslrootcert=secured.ca)
    tls = f"sslmode=verify-full&sslrootcert={secured.ca}"
    at = f"{secured.login}:{{}}@{ADDRESS}:5432/{secured.database}"
    broken = [
        f"postgresql://{at.format(PASSWORD)}?{tls}",
        f"postgresql://{at.format('Geheim@Wortlaut')}?{tls}",
        f"postgresql://{at.format('Geheim/Wort@')}?{tls}",
        f"postgresql://{at.format('Geheim?Wort@')}",
        f"postgresql://{at.format('Geheim%zzWort')}",
        f"postgresql:/{at.format('Geheim')}",
        f"mysql://{at.format('Geheim')}",
        f"host={ADDRESS} password={PASSWORD} Geheim",
        f"host={ADDRESS} sslmode=Wort password={PASSWORD}",
    ]
    unreachable = [
        right.replace(":5432/", ":1/"),
        right.replace(ADDRESS, "no-such-host.invalid"),
        right.replace(secured.database, "no_such_database"),
    ]
    for number, url in enumerate([wrong, *unreachable, *broken]):
        arguments = (["run"], ["status", "--json"], ["migrate"])[number % 3]
        done = command(secured, url, tmp_path)(*arguments)
        assert done.exit_code in ({1, 2} if url in broken else {1}), (url, done)
        assert "Traceback" not in done.stderr
        assert_secret(done)

    # A password file: right, wrong, missing.
    for number, (content, expected) in enumerate([(PASSWORD, 0), ("Geheim-x", 1), (None, 2)]):
        path = tmp_path / f"file-{number}"
        if content is not None:
            path.write_text(content + "\n", encoding="utf-8")
        done = command(secured, secured.url(None, sslrootcert=secured.ca), tmp_path)(
            "status", env={"CONSUMER_ANALYTICS_DATABASE_PASSWORD_FILE": str(path)}
        )
        assert done.exit_code == expected, done
        assert_secret(done)

    # Work that succeeds, and work that fails on the way: what is kept and what others see.
    cli = command(secured, right, tmp_path)
    assert_secret(cli("run", "--json"), cli("run"), cli("status", "--json"))
    admin_url = make_conninfo(secured.server.admin_url, dbname=secured.database)
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("alter table customer_events rename to gone")
        failed = cli("run")
        assert failed.exit_code == 1
        assert_secret(failed)
        admin.execute("alter table gone rename to customer_events")
        settings = Settings(database_url=Secret(right), home=tmp_path)
        assert_secret(repr(settings), str(asdict(settings)))
        with db.connected(settings, "test"):
            assert_secret(admin.execute("select * from pg_stat_activity").fetchall())
        tables = admin.execute(
            "select format('%I.%I', nspname, relname) from pg_class "
            "join pg_namespace n on n.oid = relnamespace where relkind = 'r' "
            "and nspname in ('public', 'consumer_analytics_internal')"
        ).fetchall()
        for (table,) in tables:
            assert_secret(admin.execute(f"select t::text from {table} t").fetchall())
    logs = [path.read_text(errors="replace") for path in (secured.embedded.data / "log").iterdir()]
    assert any("consumer_analytics: shared/transactions-open" in log for log in logs)
    assert_secret(*logs)
