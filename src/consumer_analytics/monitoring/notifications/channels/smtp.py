"""Mail over SMTP: sent step by step, so that whatever fails is named and explained.

    name ──> connection ──> tls, certificate ──> login ──> sender ──> recipients ──> content

A server's answers are shown as it gave them; the password never is.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from consumer_analytics import secret_files
from consumer_analytics.errors import MailError
from consumer_analytics.monitoring.notifications.channels.channel import Notify, silent
from consumer_analytics.settings import PREFIX, Settings

_TLS_PORT = 465
_STARTTLS_PORT = 587
#: Certificates of a smaller key or an older protocol than today's defaults are refused.
_SELF_SIGNED = frozenset({18, 19, 20, 21})
_EXPIRED = 10


class _Impatient(smtplib.SMTP):
    """A conversation that ends after so many times its time, however a server draws it out.

    Its time is for each wait alone: whoever sends a byte now and then, as tarpits do, gets it anew.
    """

    _times = 6
    over = False

    def connect(self, *arguments: Any, **named: Any) -> tuple[int, bytes]:
        """Connect, and begin to watch the clock."""
        self._done = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        try:
            return super().connect(*arguments, **named)
        except BaseException:
            self._done.set()
            raise

    def close(self) -> None:
        """Hang up."""
        self._done.set()
        super().close()

    def _watch(self) -> None:
        self._done.wait(self._times * self.timeout)
        # Again, as the socket becomes another one where TLS begins.
        while not self._done.wait(0.2):
            self.over = True
            if self.sock is not None:
                with suppress(OSError):
                    # Not TLS's own, which is the other thread's.
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


class _ImpatientTls(_Impatient, smtplib.SMTP_SSL):
    """The same with TLS from the start."""


def require_settings(settings: Settings) -> None:
    """Check that there is what every mail needs.

    Raises:
        MailError: a setting is missing or cannot be used.
    """
    missing = [
        f"{PREFIX}{name.upper()}"
        for name in ("alert_recipients", "alert_sender", "smtp_host")
        if not getattr(settings, name)
    ]
    if missing:
        raise MailError("settings", f"no mail can be sent: set {', '.join(missing)}")
    if settings.smtp_user and settings.smtp_password_file is None:
        raise MailError(
            "settings",
            f"{PREFIX}SMTP_USER is set: name the file of its password in "
            f"{PREFIX}SMTP_PASSWORD_FILE",
        )


def send(settings: Settings, message: EmailMessage, *, notify: Notify = silent) -> dict[str, str]:
    """Send a message to all recipients of the settings.

    Args:
        settings: for the server, the login, the sender and the recipients.
        message: complete but for `From` and `To`.
        notify: gets each step that went well, and a detail of it.

    Returns:
        Recipients that the server refused, where it took others: address to its reason.

    Raises:
        MailError: at which step it failed, and what to do about it.
    """
    require_settings(settings)
    password = password_of(settings)
    message["From"] = settings.alert_sender
    message["To"] = ", ".join(settings.recipients)
    with _logged_in(settings, password, notify) as server:
        return _hand_over(settings, server, message, notify)


def reach(settings: Settings, *, notify: Notify = silent) -> None:
    """Do all that comes before a mail, up to the login, and send none.

    Raises:
        MailError: a step failed; the message says which, and why.
    """
    require_settings(settings)
    with _logged_in(settings, password_of(settings), notify):
        return


@contextmanager
def _logged_in(settings: Settings, password: str, notify: Notify) -> Iterator[smtplib.SMTP]:
    """Have a server that knows us, for a `with` block."""
    server = _connect(settings, notify)
    try:
        _secure(settings, server, notify)
        _log_in(settings, server, password, notify)
        yield server
    except (smtplib.SMTPServerDisconnected, TimeoutError, ConnectionError) as error:
        if server.over:
            raise MailError(
                "connection", f"{_place(settings)} drew it out, and was hung up on"
            ) from None
        raise MailError(
            "connection",
            f"{_place(settings)} broke the connection off: {_reason(error)}; "
            "it may be overloaded, or not welcome this machine",
        ) from None
    finally:
        with suppress(smtplib.SMTPException, OSError):
            server.quit()
        server.close()


def _place(settings: Settings) -> str:
    return f"{settings.smtp_host} port {settings.smtp_port}"


def _timed_out(error: BaseException) -> bool:
    """Tell whether an error is a timeout; smtplib wraps them."""
    return isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)


def _reason(error: BaseException) -> str:
    """Return an error's own words on one line."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = error.smtp_error
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return f"{error.smtp_code} {' '.join(said.split())}"
    if _timed_out(error):
        return "no answer in time"
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def password_of(settings: Settings) -> str:
    """Return the password for the mail server; empty where there is none.

    Raises:
        MailError: its file cannot be read.
    """
    if settings.smtp_password_file is None:
        return ""
    try:
        return secret_files.first_line(settings.smtp_password_file)
    except OSError as error:
        raise MailError(
            "settings", f"{PREFIX}SMTP_PASSWORD_FILE cannot be read: {_reason(error)}"
        ) from None


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if settings.smtp_ca_file is not None:
        try:
            context.load_verify_locations(settings.smtp_ca_file)
        except (OSError, ssl.SSLError) as error:
            raise MailError(
                "settings", f"{PREFIX}SMTP_CA_FILE cannot be used: {_reason(error)}"
            ) from None
    return context


def _connect(settings: Settings, notify: Notify) -> _Impatient:
    host, port = settings.smtp_host, settings.smtp_port
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise MailError(
            "name",
            f"the name {host} is not known: {_reason(error)}; check {PREFIX}SMTP_HOST and this "
            "machine's DNS",
        ) from None
    notify("name", f"{host} is {addresses[0][4][0]}")
    try:
        if settings.smtp_security == "tls":
            server: _Impatient = _ImpatientTls(
                host, port, timeout=settings.smtp_timeout, context=_context(settings)
            )
            notify("connection", f"{_place(settings)} answers")
            notify("tls", _cipher(server))
        else:
            server = _Impatient(host, port, timeout=settings.smtp_timeout)
            notify("connection", f"{_place(settings)} answers")
    except ssl.SSLError as error:
        raise _tls_error(settings, error) from None
    except (smtplib.SMTPException, OSError) as error:
        if _timed_out(error):
            hint = (
                f"port {_TLS_PORT} wants {PREFIX}SMTP_SECURITY=tls"
                if port == _TLS_PORT and settings.smtp_security != "tls"
                else "a firewall may be in between; many networks block port 25"
            )
            raise MailError(
                "connection", f"{_place(settings)} does not answer in time; {hint}"
            ) from None
        raise MailError(
            "connection",
            f"{_place(settings)} cannot be used: {_reason(error)}; check {PREFIX}SMTP_HOST and "
            f"{PREFIX}SMTP_PORT, and whether the server runs",
        ) from None
    return server


def _secure(settings: Settings, server: smtplib.SMTP, notify: Notify) -> None:
    if settings.smtp_security != "starttls":
        return
    try:
        server.starttls(context=_context(settings))
    except smtplib.SMTPNotSupportedError:
        hint = (
            f"port {_TLS_PORT} wants {PREFIX}SMTP_SECURITY=tls"
            if settings.smtp_port == _TLS_PORT
            else f"the port for it is usually {_STARTTLS_PORT}; a relay on this machine may need "
            f"{PREFIX}SMTP_SECURITY=none"
        )
        raise MailError("tls", f"{_place(settings)} does not offer STARTTLS; {hint}") from None
    except ssl.SSLError as error:
        raise _tls_error(settings, error) from None
    except smtplib.SMTPResponseException as error:
        raise MailError("tls", f"{_place(settings)} refuses STARTTLS: {_reason(error)}") from None
    notify("tls", _cipher(server))


def _cipher(server: smtplib.SMTP) -> str:
    used = getattr(server.sock, "cipher", lambda: None)()
    return f"{used[1]} with {used[0]}, the certificate is good" if used else "encrypted"


def _tls_error(settings: Settings, error: ssl.SSLError) -> MailError:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return MailError(
            "tls",
            f"{_place(settings)} does not speak TLS as expected: {error.reason or _reason(error)}; "
            f"port {_STARTTLS_PORT} wants {PREFIX}SMTP_SECURITY=starttls, port {_TLS_PORT} tls",
        )
    if error.verify_code in _SELF_SIGNED:
        hint = f"where its authority is a private one, name its file in {PREFIX}SMTP_CA_FILE"
    elif error.verify_code == _EXPIRED:
        hint = "the server needs a new one; check this machine's clock as well"
    else:
        hint = f"{PREFIX}SMTP_HOST must be a name that the certificate is made out to"
    return MailError(
        "certificate",
        f"the certificate of {_place(settings)} is not good: {error.verify_message}; {hint}",
    )


def _log_in(settings: Settings, server: smtplib.SMTP, password: str, notify: Notify) -> None:
    if not settings.smtp_user:
        return
    try:
        server.login(settings.smtp_user, password)
    except smtplib.SMTPNotSupportedError:
        raise MailError(
            "login",
            f"{_place(settings)} takes no login"
            + ("" if settings.smtp_security != "none" else " without encryption")
            + f"; unset {PREFIX}SMTP_USER, or use its port for submission ({_STARTTLS_PORT})",
        ) from None
    except smtplib.SMTPException as error:
        raise MailError(
            "login",
            f"{_place(settings)} refuses the login {settings.smtp_user}: {_reason(error)}; check "
            f"{PREFIX}SMTP_USER and its password file (Gmail and others want an app password)",
        ) from None
    notify("login", f"as {settings.smtp_user}")


def _hand_over(
    settings: Settings, server: smtplib.SMTP, message: EmailMessage, notify: Notify
) -> dict[str, str]:
    sender = parseaddr(settings.alert_sender)[1]
    recipients = [parseaddr(one)[1] for one in settings.recipients]
    try:
        refused = server.send_message(message, from_addr=sender, to_addrs=recipients)
    except smtplib.SMTPSenderRefused as error:
        raise MailError(
            "sender",
            f"{_place(settings)} refuses the sender {sender}: {_reason(error)}; check "
            f"{PREFIX}ALERT_SENDER"
            + ("" if settings.smtp_user else f", or log in ({PREFIX}SMTP_USER)"),
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        whom = "; ".join(f"{who}: {why}" for who, why in _refusals(error.recipients).items())
        raise MailError(
            "recipient",
            f"{_place(settings)} refuses every recipient: {whom}; check {PREFIX}ALERT_RECIPIENTS"
            + ("" if settings.smtp_user else f", or log in ({PREFIX}SMTP_USER)"),
        ) from None
    except smtplib.SMTPDataError as error:
        raise MailError(
            "content", f"{_place(settings)} refuses the mail itself: {_reason(error)}"
        ) from None
    except smtplib.SMTPNotSupportedError as error:
        raise MailError("content", f"{_place(settings)}: {_reason(error)}") from None
    notify("sender", sender)
    notify("recipient", ", ".join(one for one in recipients if one not in refused))
    return _refusals(refused)


def _refusals(refused: dict[str, Any]) -> dict[str, str]:
    return {
        who: f"{code} {' '.join(text.decode('utf-8', 'replace').split())}"
        for who, (code, text) in refused.items()
    }
