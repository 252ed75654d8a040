"""Mail over a real server with STARTTLS and a login: it arrives, or it is said why not."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme
from tests.support import lanes
from tests.support.mail_server import PASSWORD, RECIPIENT, MailServer, mail_server

from consumer_analytics.settings import PREFIX


@pytest.fixture
def server_of_mail(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


def try_out(cli: Any, server: MailServer, **changes: Any) -> Any:
    """Run `alerts test` against a server."""
    env = {f"{PREFIX}{name.upper()}": str(value) for name, value in changes.items()}
    return cli("alerts", "test", env={**server.environment, **env})


def failed(cli: Any, server: MailServer, **changes: Any) -> str:
    """Run `alerts test`, which must fail in one line; return the line."""
    done = try_out(cli, server, **changes)
    assert done.exit_code == 1, done.stdout + done.stderr
    # Broken between words where the terminal ends.
    line = " ".join(done.stderr.split())
    assert line.startswith("error: ")
    assert PASSWORD not in done.stdout + done.stderr
    assert server.mails == []
    return line.removeprefix("error: ")


# -- it arrives --------------------------------------------------------------------


def test_a_test_mail_arrives(cli: Any, server_of_mail: MailServer) -> None:
    done = try_out(cli, server_of_mail)
    assert done.exit_code == 0, done.stderr
    steps = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("ok")]
    assert steps == ["name", "connection", "tls", "login", "sender", "recipient"]
    (mail,) = server_of_mail.mails
    assert server_of_mail.tls == [True]
    assert server_of_mail.logins == ["alerts"]
    subject, text, html = server_of_mail.parts()
    assert subject == "[consumer-analytics] test mail: alerts arrive"
    assert "This is a test" in text
    assert "This is a test" in html
    # It is about no database.
    assert "\nconsumer-analytics. `consumer-analytics incidents`" in text
    assert "database" not in html
    assert mail["To"] == RECIPIENT
    assert mail["Auto-Submitted"] == "auto-generated"


def test_it_tells_machines_the_same(cli: Any, server_of_mail: MailServer) -> None:
    good = cli("alerts", "test", "--json", env=server_of_mail.environment)
    assert (good.exit_code, good.json["sent"], good.json["failed_step"]) == (0, True, None)
    env = {**server_of_mail.environment, f"{PREFIX}SMTP_USER": "nobody"}
    bad = cli("alerts", "test", "--json", env=env)
    assert (bad.exit_code, bad.json["sent"], bad.json["failed_step"]) == (1, False, "login")


def test_it_needs_no_database(cli: Any, server_of_mail: MailServer) -> None:
    env = {f"{PREFIX}DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    assert cli("alerts", "test", env={**server_of_mail.environment, **env}).exit_code == 0


def test_tls_from_the_first_byte_on(cli: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with mail_server(tmp_path, starttls=False, auth_required=True, auth_require_tls=False) as made:
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        made.stop()
        made.options["ssl_context"] = context
        made.start()
        done = try_out(cli, made, smtp_security="tls")
        assert done.exit_code == 0, done.stderr
        assert len(made.mails) == 1


# -- each way in which it can fail ----------------------------------------------------


def test_settings_that_are_missing(cli: Any, server_of_mail: MailServer) -> None:
    env = {**server_of_mail.environment, f"{PREFIX}ALERT_SENDER": "", f"{PREFIX}SMTP_HOST": ""}
    done = cli("alerts", "test", env=env)
    assert done.exit_code == 1
    assert done.stderr.strip() == (
        "error: no mail can be sent: set CONSUMER_ANALYTICS_ALERT_SENDER, "
        "CONSUMER_ANALYTICS_SMTP_HOST"
    )


def test_an_address_that_is_none(cli: Any, server_of_mail: MailServer) -> None:
    """Whatever reads the settings refuses it, not the mail that is to tell of something."""
    done = try_out(cli, server_of_mail, alert_recipients="alerts-to@example.com, somebody")
    assert done.exit_code == 2
    assert done.stderr.strip() == (
        "error: CONSUMER_ANALYTICS_ALERT_RECIPIENTS: 'somebody' is not a mail address such as "
        "alerts-to@example.com"
    )


def test_a_password_file_that_is_missing(cli: Any, server_of_mail: MailServer) -> None:
    line = failed(cli, server_of_mail, smtp_password_file="/nowhere/password")
    assert "CONSUMER_ANALYTICS_SMTP_PASSWORD_FILE cannot be read: No such file" in line


def test_the_name(cli: Any, server_of_mail: MailServer) -> None:
    line = failed(cli, server_of_mail, smtp_host="mail.example.invalid")
    assert line.startswith("the name mail.example.invalid is not known: ")
    assert "CONSUMER_ANALYTICS_SMTP_HOST" in line


def test_the_connection(cli: Any, server_of_mail: MailServer) -> None:
    server_of_mail.stop()
    line = failed(cli, server_of_mail)
    assert f"localhost port {server_of_mail.port} cannot be used: Connection refused" in line
    assert "whether the server runs" in line


def test_a_server_that_says_nothing(cli: Any, server_of_mail: MailServer) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        line = failed(cli, server_of_mail, smtp_port=port, smtp_timeout=1)
    assert "does not answer in time" in line


def test_a_server_that_hangs_up(cli: Any, server_of_mail: MailServer) -> None:
    with socket.socket() as rude:
        rude.bind(("127.0.0.1", 0))
        rude.listen()
        port = rude.getsockname()[1]

        def hang_up() -> None:
            peer, _ = rude.accept()
            with peer:
                peer.sendall(b"220 mail.example.com ESMTP\r\n")
                peer.recv(100)

        thread = threading.Thread(target=hang_up)
        thread.start()
        line = failed(cli, server_of_mail, smtp_port=port)
        thread.join()
    assert "broke the connection off" in line


@pytest.mark.parametrize(
    "greeting",
    lanes.first(0, [b"220 mail.example.com\r\n", b""], long=1),
    ids=["later", "at once"],
)
def test_a_server_that_draws_it_out(cli: Any, server_of_mail: MailServer, greeting: bytes) -> None:
    """As those do that slow down whom they take for spammers: a line now and then, for ever."""
    ended = threading.Event()

    def talk(listening: socket.socket) -> None:
        with suppress(OSError):
            talking, _ = listening.accept()
            with talking:
                talking.sendall(greeting)
                while not ended.wait(0.1):
                    talking.sendall(b"250-and\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=talk, args=[listening])
        thread.start()
        try:
            changes = {"smtp_port": listening.getsockname()[1], "smtp_timeout": 0.5}
            said = failed(cli, server_of_mail, **changes)
        finally:
            ended.set()
            thread.join()
    assert ("drew it out, and was hung up on" if greeting else "cannot be used: ") in said


def test_tls_that_is_not_offered(cli: Any, tmp_path: Path) -> None:
    with mail_server(tmp_path, starttls=False) as plain:
        line = failed(cli, plain)
        assert "does not offer STARTTLS; the port for it is usually 587" in line


def test_tls_on_a_port_without(cli: Any, server_of_mail: MailServer) -> None:
    line = failed(cli, server_of_mail, smtp_security="tls")
    assert "does not speak TLS as expected" in line
    assert "port 587 wants CONSUMER_ANALYTICS_SMTP_SECURITY=starttls" in line


def test_the_certificates_authority(cli: Any, server_of_mail: MailServer) -> None:
    line = failed(cli, server_of_mail, smtp_ca_file="")
    assert line.startswith(f"the certificate of localhost port {server_of_mail.port} is not good: ")
    assert "CONSUMER_ANALYTICS_SMTP_CA_FILE" in line


def test_the_certificates_name(cli: Any, tmp_path: Path) -> None:
    with mail_server(tmp_path, certificate_for="mail.example.com") as made:
        line = failed(cli, made)
    assert "is not good: Hostname mismatch" in line
    assert "must be a name that the certificate is made out to" in line


def test_the_certificates_age(cli: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    authority.issue_cert("localhost", not_after=past).configure_cert(context)
    with mail_server(tmp_path) as made:
        authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        made.stop()
        made.options["tls_context"] = context
        made.start()
        line = failed(cli, made)
    assert "is not good: certificate has expired; the server needs a new one" in line


def test_the_login(cli: Any, server_of_mail: MailServer, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse\n")
    wrong.chmod(0o600)
    line = failed(cli, server_of_mail, smtp_password_file=wrong)
    assert "refuses the login alerts: 535 " in line
    assert "app password" in line
    assert "incorrect horse" not in line


def test_a_server_that_takes_no_login(cli: Any, tmp_path: Path) -> None:
    with mail_server(tmp_path, starttls=False) as plain:
        line = failed(cli, plain, smtp_security="none")
        assert "takes no login without encryption" in line


def test_a_sender_that_is_refused(cli: Any, server_of_mail: MailServer) -> None:
    server_of_mail.refuse_sender = True
    line = failed(cli, server_of_mail)
    assert "refuses the sender alerts-from@example.com: 553 5.7.1 you may not send as this" in line


def test_a_recipient_that_is_refused(cli: Any, server_of_mail: MailServer) -> None:
    server_of_mail.refused = {RECIPIENT}
    line = failed(cli, server_of_mail)
    assert f"refuses every recipient: {RECIPIENT}: 550 5.1.1 no such mailbox" in line


def test_one_recipient_of_two_that_is_refused(cli: Any, server_of_mail: MailServer) -> None:
    server_of_mail.refused = {"gone@example.com"}
    done = try_out(cli, server_of_mail, alert_recipients=f"gone@example.com,{RECIPIENT}")
    assert done.exit_code == 1
    assert "refused gone@example.com: 550 5.1.1 no such mailbox; the others get" in done.stderr
    assert len(server_of_mail.mails) == 1
