"""A program of the operator's own: JSON by POST, signed as Standard Webhooks has it.

    webhook-id         the message's name, the same for every try
    webhook-timestamp  when it was sent, seconds of Unix time
    webhook-signature  v1,<base64 of HMAC-SHA256(key, "id.timestamp.body")>

Nothing but the operator's file names an address. A redirect is not followed, so that no answer
leads us to another one; an answer's number and when to come again are all that is read of it.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import email.utils
import hashlib
import hmac
import http.client
import io
import ipaddress
import json
import re
import socket
import ssl
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import consumer_analytics
from consumer_analytics.errors import ChannelError
from consumer_analytics.fields import Secret
from consumer_analytics.monitoring.notifications.channels.channel import Notify, OfFile, silent
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings

#: Of the body; it grows when a field changes its meaning or goes.
VERSION = 1
KEY_PREFIX = "whsec_"
#: As Standard Webhooks has it.
_KEY_BYTES = range(24, 65)
_PORTS = {"https": 443, "http": 80}
_LARGEST_HEAD = 16 * 1024
_LARGEST_BODY = 512 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")
#: Answers to what was said, and not to how often or by whom: another message may be taken.
_OF_THE_MESSAGE = frozenset({400, 413, 422})


@dataclass(frozen=True)
class Webhook(OfFile):
    """A channel to a program of the operator's own.

    Attributes:
        name: of its table in the file.
        url: where it is.
        key: what bodies are signed with.
        selection: what goes by it.
        seconds: that a message may take in all, once the name is looked up.
    """

    name: str
    url: Secret
    key: Secret
    selection: MessageFilter
    seconds: float

    advice = "where nothing happens, compare the signature with the one that the program works out"

    def __post_init__(self) -> None:
        """Check that the address and the key can be used.

        Raises:
            ChannelError: they cannot; neither is repeated.
        """
        _parts(self.name, self.url)
        _key(self.name, self.key)

    @property
    def server(self) -> str:
        """Who takes its messages."""
        return f"the webhook {self.name}"

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Post a message; any answer from 200 to 299 means that it was taken.

        Raises:
            ChannelError: at which step it failed, and when it may be tried again, where the
                program says so.
        """
        del settings
        body = body_of(message)
        if len(body) > _LARGEST_BODY:
            raise ChannelError(
                "message", f"the message is larger than {_LARGEST_BODY} bytes", holds_others=False
            )
        parts = _parts(self.name, self.url)
        deadline = time.monotonic() + self.seconds
        now = int(time.time())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"consumer-analytics/{consumer_analytics.__version__}",
            "Connection": "close",
            "webhook-id": message_id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(_key(self.name, self.key), message_id, now, body),
        }
        connection = self._connect(parts, deadline, notify)
        with closing(connection):
            code, again = self._post(connection, parts, body, headers, deadline)
        if not 200 <= code < 300:  # noqa: PLR2004  (the class of answers that mean success)
            raise self._refused(code, again)
        notify("message", f"answered {code}")
        return {}

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Connect, with TLS where the address asks for it, and say nothing.

        Raises:
            ChannelError: it cannot be reached.
        """
        del settings
        parts = _parts(self.name, self.url)
        with closing(self._connect(parts, time.monotonic() + self.seconds, notify)):
            return f"{self.server} is reached; nothing was sent"

    def _connect(
        self, parts: SplitResult, deadline: float, notify: Notify
    ) -> http.client.HTTPConnection:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        context = ssl.create_default_context() if parts.scheme == "https" else None
        connection = (
            http.client.HTTPConnection(host, port)
            if context is None
            else http.client.HTTPSConnection(host, port, context=context)
        )
        try:
            connection.sock = _connected(host, port, deadline)
            if context is not None:
                connection.sock.settimeout(_left(deadline))
                connection.sock = context.wrap_socket(connection.sock, server_hostname=host)
        except OSError as error:
            connection.close()
            raise self._unreached(error) from None
        notify("connection", "with TLS" if parts.scheme == "https" else "without TLS")
        return connection

    def _post(
        self,
        connection: http.client.HTTPConnection,
        parts: SplitResult,
        body: bytes,
        headers: dict[str, str],
        deadline: float,
    ) -> tuple[int, str | None]:
        """Send the request; return the answer's number and its `Retry-After`."""
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("POST", path, body, headers)
            return _answer(connection.sock, deadline)
        except TimeoutError:
            raise self._failed("message", f"no answer in {self.seconds:g} s") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._failed("message", f"the connection broke off: {_reason(error)}") from None

    def _unreached(self, error: OSError) -> ChannelError:
        if isinstance(error, ssl.SSLCertVerificationError):
            why = f"its certificate is not good: {error.verify_message}"
            return self._failed("certificate", why)
        if isinstance(error, ssl.SSLError):
            why = f"no TLS there: {error.reason or 'an unexpected answer'}"
            return self._failed("tls", why)
        return self._failed("connection", f"it cannot be reached: {_reason(error)}")

    def _failed(self, step: str, why: str) -> ChannelError:
        return ChannelError(step, f"{self.server}: {why}")

    def _refused(self, code: int, again: str | None) -> ChannelError:
        said = f"{self.server} answers {code} {http.client.responses.get(code, '')}".rstrip()
        if 300 <= code < 400:  # noqa: PLR2004  (redirects)
            said += ": it leads elsewhere, and redirects are not followed"
        return ChannelError(
            "message",
            said,
            holds_others=code not in _OF_THE_MESSAGE,
            retry_after=seconds_until(again, dt.datetime.now(dt.UTC)),
        )


def body_of(message: Message) -> bytes:
    """Return a message as the body of a request: JSON, as docs/reference/webhook.md has it."""
    return json.dumps(
        {
            "type": f"consumer-analytics.{message.kind}",
            "version": VERSION,
            "timestamp": message.at.isoformat(),
            "state": message.state,
            "subject": message.subject,
            "headline": message.headline,
            "data": message.as_json(),
        },
        ensure_ascii=False,
    ).encode()


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature of a request, as Standard Webhooks has it."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"


def seconds_until(again: str | None, now: dt.datetime) -> float | None:
    """Return how long a `Retry-After` asks to wait; None where it says nothing that is known."""
    if again is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", again):
        return float(again)
    try:
        return max((email.utils.parsedate_to_datetime(again) - now).total_seconds(), 0)
    except (ValueError, TypeError, OverflowError):
        return None


def _left(deadline: float) -> float:
    """Return how many seconds are left, at least a moment: none would mean to wait for ever."""
    return max(deadline - time.monotonic(), 0.01)


def _connected(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to one of a name's addresses; all of them together have the time that is left.

    Raises:
        OSError: none can be reached; why not the last one.
    """
    failed: OSError = TimeoutError("timed out")
    for family, kind, protocol, _, address in socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    ):
        if time.monotonic() >= deadline:
            break
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(_left(deadline))
        try:
            sock.connect(address)
        except OSError as error:
            sock.close()
            failed = error
        else:
            return sock
    raise failed


def _answer(sock: socket.socket, deadline: float) -> tuple[int, str | None]:
    """Read an answer's head, and no more of it, until a moment that no trickle moves."""
    head = b""
    while True:
        while b"\r\n\r\n" not in head:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            piece = sock.recv(4096)
            head += piece
            if not piece or len(head) > _LARGEST_HEAD:
                raise http.client.HTTPException("no answer of HTTP")
        first, _, rest = head.partition(b"\r\n")
        found = _STATUS_LINE.match(first + b" ")
        if found is None:
            raise http.client.HTTPException("no answer of HTTP")
        code = int(found[1])
        if code >= 200:  # noqa: PLR2004  (before that, answers announce the one to come)
            headers = http.client.parse_headers(io.BytesIO(rest))
            return code, headers.get("Retry-After")
        head = rest.partition(b"\r\n\r\n")[2] if b"\r\n\r\n" in rest else b""


def _parts(name: str, url: Secret) -> SplitResult:
    """Return an address in its parts.

    Raises:
        ChannelError: it cannot be called; it is not repeated.
    """
    text = url.get_secret_value()
    with suppress(ValueError):
        parts = urlsplit(text)
        if (
            parts.scheme in _PORTS
            and parts.hostname
            and parts.username is None
            and parts.port != 0
            and not parts.fragment
            and text.isascii()
            and text.isprintable()
            and " " not in text
            and (parts.scheme == "https" or _is_this_machine(parts.hostname))
        ):
            return parts
    raise ChannelError(
        "settings",
        f"{PREFIX}ALERT_CHANNELS_FILE: [{name}]: webhook is no address such as "
        "https://desk.example.com/alerts; http is for this machine alone",
    )


def _is_this_machine(host: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _key(name: str, key: Secret) -> bytes:
    """Return the bytes of a key.

    Raises:
        ChannelError: it is none; it is not repeated.
    """
    text = key.get_secret_value()
    with suppress(binascii.Error, ValueError):
        found = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
        if text.startswith(KEY_PREFIX) and len(found) in _KEY_BYTES:
            return found
    raise ChannelError(
        "settings",
        f"{PREFIX}ALERT_CHANNELS_FILE: [{name}]: key is not {KEY_PREFIX} and the base64 of 24 to "
        '64 random bytes, as from: echo "whsec_$(openssl rand -base64 32)"',
    )


def _reason(error: BaseException) -> str:
    """Return an error's own words where they do not repeat an address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, http.client.HTTPException):
        return "no answer of HTTP"
    return str(getattr(error, "strerror", None) or type(error).__name__)
