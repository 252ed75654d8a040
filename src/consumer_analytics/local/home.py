"""The folder that `up` keeps everything in: who holds it, where things are, its secrets."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from consumer_analytics import secret_files
from consumer_analytics.errors import UpError
from consumer_analytics.local import private

#: sizeof(sockaddr_un.sun_path), with the terminating zero.
_SOCKET_PATH_LIMIT = 108
#: The longest name that a server gives its socket, or a file beside it.
_LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"


def socket_folder(folder: Path) -> Path:
    """Return a folder for Unix sockets: `folder` itself, where a socket's path allows it.

    Else one in the system's temporary folder, named after `folder` and the user. Besides
    the length, a comma would mean two hosts in a connection string, and anything odd would
    need quoting in a URL.
    """
    length = len(os.fsencode(folder / _LONGEST_SOCKET_NAME))
    if length < _SOCKET_PATH_LIMIT and re.fullmatch(r"[A-Za-z0-9/._+-]+", str(folder)):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"consumer-analytics-{os.geteuid()}-{digest}"


@dataclass(frozen=True)
class Secrets:
    """Passwords and keys of a home, made once.

    Attributes:
        fernet_key: encrypts what Airflow stores.
        jwt_secret: signs the tokens of Airflow's users and tasks.
        api_secret_key: signs Airflow's sessions in the browser.
        metadata_password: of the database login of Airflow's metadata.
        admin_password: of the user `admin` in Airflow's web interface.
    """

    fernet_key: str
    jwt_secret: str
    api_secret_key: str
    metadata_password: str
    admin_password: str

    @classmethod
    def generate(cls) -> Secrets:
        """Make new ones."""
        return cls(
            fernet_key=base64.urlsafe_b64encode(os.urandom(32)).decode(),
            # Airflow asks for 64 bytes or more.
            jwt_secret=secrets.token_hex(64),
            api_secret_key=secrets.token_hex(32),
            metadata_password=secrets.token_hex(24),
            admin_password=secrets.token_urlsafe(12),
        )


class Home:
    """The folder of CONSUMER_ANALYTICS_HOME.

    Attributes:
        given: the folder as it was named.
        path: the folder, without links on the way to it.
        postgres: the embedded server's.
        airflow: Airflow's own, its AIRFLOW_HOME.
        run: where the components run; what runs in it is ours.
        logs: one log per component.
    """

    def __init__(self, path: Path) -> None:
        """Name its parts; nothing is touched yet."""
        self.given = path.expanduser().absolute()
        self.path = self.given.resolve()
        self.postgres = self.path / "postgres"
        self.airflow = self.path / "airflow"
        self.run = self.path / "run"
        self.logs = self.path / "logs"

    def prepare(self) -> None:
        """Make the folders, and take from others whatever right they have to what is in them.

        Raises:
            UpError: one of them cannot be made or written, or is not this user's alone to change.
        """
        try:
            private.require_safe_way(self.given)
            # Passwords and personal data live here.
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in self.folders:
                # The server's is made where there is to be one.
                if folder != self.postgres or os.path.lexists(folder):
                    private.make_folder(folder)
            # The server minds its own; secrets that others could read are told, not hidden.
            private.tighten(
                self.path,
                without=[
                    self.secrets_file,
                    *(self.postgres / name for name in ("data", "data.partial", "run")),
                ],
            )
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise UpError(
                f"the home folder {self.given} cannot be used: {error.strerror}: {error.filename}; "
                "set CONSUMER_ANALYTICS_HOME to one that this user may write, and nobody else"
            ) from None

    @property
    def folders(self) -> tuple[Path, ...]:
        """The home and the folders in it that are this user's."""
        return (self.path, self.postgres, self.airflow, self.run, self.logs)

    def wide(self) -> list[Path]:
        """Return those folders to which others have rights, or that are not this user's."""
        return [folder for folder in self.folders if not private.is_private(folder)]

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the home for a `with` block: one `up` at a time.

        Raises:
            UpError: another one holds it.
        """
        with secret_files.opened_lock(self.path / "up.lock") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UpError(
                    f"`consumer-analytics up` already runs on {self.path} (pid {file.read()}); "
                    "stop that one, or set CONSUMER_ANALYTICS_HOME to another folder"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    @property
    def secrets_file(self) -> Path:
        """The file of the home's secrets."""
        return self.path / "secrets.json"

    def secrets(self) -> Secrets:
        """Return the home's secrets; made now where they are missing.

        Raises:
            UpError: the file is not what we wrote, or others may read or write it.
        """
        path = self.secrets_file
        if not path.exists():
            private.write_file(path, json.dumps(asdict(Secrets.generate()), indent=2) + "\n")
        if why := secret_files.exposure(path):
            raise UpError(
                f"{path} {why}, and whoever did has the keys; remove it to have new ones made, or "
                "`chmod 600` it where nobody did"
            )
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return Secrets(**{field.name: str(values[field.name]) for field in fields(Secrets)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UpError(
                f"{path} cannot be used ({type(error).__name__}: {error}); restore it, or remove "
                "it to have new passwords and keys made"
            ) from None
