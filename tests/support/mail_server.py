"""A real mail server with STARTTLS and a login, whose certificate a private authority signed."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from consumer_analytics.settings import PREFIX

USER, PASSWORD = "alerts", "correct horse"
SENDER, RECIPIENT = "alerts-from@example.com", "alerts-to@example.com"


@dataclass
class MailServer:
    """A server, and what it was given.

    Attributes:
        folder: for the authority's certificate and the password's file.
        mails: those that it took, in order.
        refused: recipients that it refuses.
        refuse_sender: whether it refuses every sender.
        logins: the users that logged in.
    """

    folder: Path
    port: int = 0
    host: str = "localhost"
    mails: list[EmailMessage] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    refuse_sender: bool = False
    logins: list[str] = field(default_factory=list)
    tls: list[bool] = field(default_factory=list)
    controller: Any = None
    options: dict[str, Any] = field(default_factory=dict)

    # -- what aiosmtpd calls -----------------------------------------------------

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if self.refuse_sender:
            return "553 5.7.1 you may not send as this"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if address in self.refused:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        del server
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.tls.append(session.ssl is not None)
        return "250 OK"

    def _log_in(self, server: Any, session: Any, envelope: Any, mechanism: Any, data: Any) -> Any:
        del server, session, envelope, mechanism
        good = (
            isinstance(data, LoginPassword)
            and data.login == USER.encode()
            and data.password == PASSWORD.encode()
        )
        if good:
            self.logins.append(data.login.decode())
        return AuthResult(success=good, handled=False)

    # -- starting and stopping -----------------------------------------------------

    def start(self) -> None:
        """Listen; after a stop, on the same port."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = int(probe.getsockname()[1])
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            authenticator=self._log_in,
            **self.options,
        )
        self.controller.start()

    def stop(self) -> None:
        """Go away."""
        if self.controller is not None:
            self.controller.stop()
            self.controller = None

    # -- settings --------------------------------------------------------------------

    @property
    def settings(self) -> dict[str, Any]:
        """Return the product's settings for it."""
        return {
            "smtp_host": self.host,
            "smtp_port": self.port,
            "smtp_user": USER,
            "smtp_password_file": self.folder / "password",
            "smtp_ca_file": self.folder / "authority.pem",
            "smtp_timeout": 5.0,
            "alert_sender": f"Analytics <{SENDER}>",
            "alert_recipients": RECIPIENT,
        }

    @property
    def environment(self) -> dict[str, str]:
        """Return the same as environment variables."""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in self.settings.items()}

    def parts(self, number: int = -1) -> tuple[str, str, str]:
        """Return a mail's subject, text and HTML."""
        message = self.mails[number]
        text, html = message.get_body(("plain",)), message.get_body(("html",))
        assert text is not None
        assert html is not None
        return str(message["Subject"]), text.get_content(), html.get_content()


@contextmanager
def mail_server(
    folder: Path, *, certificate_for: str = "localhost", starttls: bool = True, **options: Any
) -> Iterator[MailServer]:
    """Run a server for a `with` block."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    (folder / "password").write_text(f"{PASSWORD}\n")
    (folder / "password").chmod(0o600)
    made = MailServer(folder)
    if starttls:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(certificate_for).configure_cert(context)
        options = {
            "tls_context": context,
            "require_starttls": True,
            "auth_required": True,
            **options,
        }
    made.options = options
    made.start()
    try:
        yield made
    finally:
        made.stop()
