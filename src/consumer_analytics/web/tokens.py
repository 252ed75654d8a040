"""Tokens for the dashboard's API: who may see what, until when.

They are kept in a file, a line of JSON each. The file holds a digest of each
token's secret, not the secret: whoever reads it cannot use it. A server notices
a changed file at the next request, so a token that is revoked ends at once.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from consumer_analytics import secret_files
from consumer_analytics.errors import SettingsError, UsageError

log = logging.getLogger(__name__)

#: What a token begins with, so that people and scanners know what it is.
_PREFIX = "ca"
_LONGEST_NAME = 100
_LONGEST_TOKEN = 200


@dataclass(frozen=True)
class Token:
    """A token, without its secret.

    Attributes:
        token_id: its second part, by which it is found.
        name: whose it is, for people.
        digest: SHA-256 of its secret, hexadecimal.
        consumers: the consumers it sees, nothing else; None for everything.
        created_at: when it was made.
        expires_at: from when it is no longer valid.
    """

    token_id: str
    name: str
    digest: str
    consumers: tuple[uuid.UUID, ...] | None
    created_at: dt.datetime
    expires_at: dt.datetime

    def is_valid(self, now: dt.datetime) -> bool:
        """Tell whether it has not expired."""
        return now < self.expires_at

    def matches(self, secret: str) -> bool:
        """Tell whether this is its secret, in constant time."""
        return hmac.compare_digest(self.digest, _digest(secret))

    def as_json(self) -> dict[str, Any]:
        """Return the file's line."""
        return {
            "id": self.token_id,
            "name": self.name,
            "sha256": self.digest,
            "consumers": None
            if self.consumers is None
            else [str(consumer) for consumer in self.consumers],
            "created_at": self.created_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
        }


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _from_line(line: str) -> Token:
    values = json.loads(line)
    consumers = values["consumers"]
    return Token(
        token_id=str(values["id"]),
        name=str(values["name"]),
        digest=str(values["sha256"]),
        consumers=None
        if consumers is None
        else tuple(uuid.UUID(consumer) for consumer in consumers),
        created_at=_instant(values["created_at"]),
        expires_at=_instant(values["expires_at"]),
    )


def _instant(text: str) -> dt.datetime:
    value = dt.datetime.fromisoformat(text)
    return value if value.tzinfo else value.replace(tzinfo=dt.UTC)


def id_in(presented: str) -> str | None:
    """Return the id in what somebody presents as a token; None where it is none."""
    if len(presented) > _LONGEST_TOKEN:
        return None
    prefix, _, rest = presented.partition("_")
    return rest.partition("_")[0] if prefix == _PREFIX else None


def require_private(path: Path) -> None:
    """Check that a file of tokens is its owner's alone, as we make it.

    Where it is somebody else's, who mounts it here, that is warned of.

    Raises:
        SettingsError: others may read or write it.
    """
    why = secret_files.exposure(path)
    if why and path.stat().st_uid == os.geteuid():
        raise SettingsError(f"the tokens' file {path} {why}; take their rights away: chmod go= it")
    secret_files.warn_if_exposed(path)


def load(path: Path) -> list[Token]:
    """Read the tokens; none where there is no file yet.

    Raises:
        SettingsError: the file cannot be read, or a line is no token.
    """
    try:
        lines = secret_files.text(path).splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError(f"the tokens' file {path} cannot be read: {error.strerror}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found.append(_from_line(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise SettingsError(
                f"line {number} of the tokens' file {path} is no token; remove it, or make the "
                "token again with `consumer-analytics tokens create`"
            ) from None
    return found


def create(
    path: Path,
    name: str,
    *,
    consumers: Sequence[uuid.UUID] | None,
    expires_at: dt.datetime,
) -> tuple[Token, str]:
    """Make a token and add it to the file, which is made where it is missing.

    Args:
        path: the file.
        name: whose the token is; no two have the same.
        consumers: the consumers it sees and nothing else; None for everything.
        expires_at: from when it is no longer valid.

    Returns:
        The token, and the text that its user presents; it is kept nowhere.

    Raises:
        UsageError: the name is taken or unusable, or the expiry is over.
        SettingsError: the file cannot be read or written.
    """
    now = dt.datetime.now(dt.UTC)
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(f"a token's name has 1 to {_LONGEST_NAME} printable characters")
    if expires_at <= now:
        raise UsageError(f"the token would have expired already, at {expires_at.isoformat()}")
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = Token(
        token_id,
        name,
        _digest(secret),
        None if consumers is None else tuple(consumers),
        now,
        expires_at,
    )
    with _changing(path) as known:
        if any(other.name == name for other in known):
            raise UsageError(f"there is a token {name!r}; revoke it first, or choose another name")
        known.append(token)
    return token, f"{_PREFIX}_{token_id}_{secret}"


def revoke(path: Path, name: str) -> Token:
    """Exports a token out of the file.

    Raises:
        UsageError: there is none of this name.
        SettingsError: the file cannot be read or written.
    """
    with _changing(path) as known:
        for token in known:
            if token.name == name:
                known.remove(token)
                return token
        raise UsageError(f"there is no token {name!r}")


@contextmanager
def _changing(path: Path) -> Iterator[list[Token]]:
    """Hand out the tokens to change, and write them back whole, one process at a time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with secret_files.opened_lock(path.with_name(f".{path.name}.lock")) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            require_private(path)
            known = load(path)
            yield known
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
            ) as file:
                # Readable by its owner alone, as NamedTemporaryFile makes it.
                file.writelines(json.dumps(token.as_json()) + "\n" for token in known)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).replace(path)
    except OSError as error:
        raise SettingsError(
            f"the tokens' file {path} cannot be written: {error.strerror}"
        ) from None


class TokensFile:
    """The tokens' file as a server sees it: read again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Read it once, so that a server with a bad file does not start.

        Raises:
            SettingsError: a line is no token, or others may read or write the file.
        """
        require_private(path)
        self._path = path
        self._reading = threading.Lock()
        self._seen = self._stamp()
        self._problem: str | None = None
        self._tokens = {token.token_id: token for token in load(path)}

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _current(self) -> dict[str, Token]:
        with self._reading:
            stamp = self._stamp()
            if stamp != self._seen:
                self._read_again()
                self._seen = stamp
        if self._problem is not None:
            raise SettingsError(self._problem)
        return self._tokens

    def _read_again(self) -> None:
        try:
            self._tokens, self._problem = {one.token_id: one for one in load(self._path)}, None
        except SettingsError as error:
            # Of a change there is one line, however often somebody asks before the next.
            self._tokens, self._problem = {}, str(error)
            log.error("%s", error)  # noqa: TRY400  # a line for people

    @property
    def is_empty(self) -> bool:
        """Whether the file has no token, or is not there yet."""
        return not self._current()

    def find(self, token_id: str, *, now: dt.datetime | None = None) -> Token | None:
        """Return a valid token by its id.

        Raises:
            SettingsError: the file has changed to one that cannot be read.
        """
        token = self._current().get(token_id)
        return token if token and token.is_valid(now or dt.datetime.now(dt.UTC)) else None

    def verify(self, presented: str) -> Token | None:
        """Return the valid token that somebody presents, or None.

        How long it takes tells at most whether the id, which is no secret, is known.

        Raises:
            SettingsError: the file has changed to one that cannot be read.
        """
        token_id = id_in(presented)
        token = self.find(token_id) if token_id is not None else None
        secret = presented.split("_", 2)[-1]
        return token if token and token.matches(secret) else None
