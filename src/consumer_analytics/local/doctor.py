"""The doctor's checks of this machine: its disks, and what `up` runs here."""

from __future__ import annotations

import fcntl
import http.client
import os
import shlex
import shutil
import time
import xmlrpc.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from consumer_analytics import fields, installation, secret_files
from consumer_analytics.airflow import configuration
from consumer_analytics.airflow.processes import API_SERVER
from consumer_analytics.errors import UpError
from consumer_analytics.formatting import counted, size
from consumer_analytics.local.home import Home, socket_folder
from consumer_analytics.operations import storage
from consumer_analytics.operations.doctor.findings import Check, Context, Finding, Fix, Verdict, ok
from consumer_analytics.settings import PrivateFile, Settings, variable

#: A disk is nearly full where little of it is free, and little by the setting: as shares of both.
_LIMITS = ((Verdict.PROBLEM, 0.03, 0.1), (Verdict.WARNING, 0.10, 1.0))
_SOON_DAYS = 14
_SECONDS = 10
_RESTART_SECONDS, _POLL_SECONDS = 120, 0.5


def disks(context: Context) -> Finding:
    """Tell whether a disk that we write to is nearly full, or will be soon."""
    room, worst, full = [], Verdict.OK, None
    for what, folder in _folders(context):
        usage = shutil.disk_usage(folder)
        room.append(f"{what}: {size(usage.free)} of {size(usage.total)} free ({folder})")
        verdict = _verdict(usage.free, usage.total, context.settings.disk_warning * 2**30)
        days = _days_left(context, usage.free) if what == "database" else None
        if days is not None and days <= _SOON_DAYS:
            verdict = max(verdict, Verdict.WARNING)
            room.append(f"database: at what it grows by the disk is full in {counted(days, 'day')}")
        if verdict > worst:
            worst, full = verdict, what
    if full is None:
        return ok("no disk is nearly full", *room)
    return Finding(
        worst,
        f"the disk of {full} is nearly full",
        tuple(room),
        "logs, metadata and snapshots grow until something removes them; a full disk stops "
        "PostgreSQL and Airflow",
        # It deletes, by settings that a person has to look at first.
        Fix("consumer-analytics maintenance --dry-run   # then without --dry-run"),
    )


def _verdict(free: int, total: int, limit: float) -> Verdict:
    for verdict, of_the_disk, of_the_limit in _LIMITS:
        if free < of_the_disk * total and free < of_the_limit * limit:
            return verdict
    return Verdict.OK


def _folders(context: Context) -> Iterator[tuple[str, Path]]:
    """Yield what is on this machine's disks, and where."""
    home = Home(context.settings.home).path
    yield "home", next(path for path in (home, *home.parents) if path.exists())
    if context.connection is None or context.connection.info.hostaddr:
        return
    # Reached by a socket: the server is here. Where its data are not every login may know.
    with suppress(psycopg.Error, OSError):
        row = context.database.execute("select current_setting('data_directory')").fetchone()
        if row is not None and Path(row[0]).is_dir():
            yield "database", Path(row[0])
            return
    if context.settings.database_url is None and (home / "postgres").exists():
        yield "database", home / "postgres"


def _days_left(context: Context, free: int) -> int | None:
    with suppress(psycopg.Error):
        return storage.measure(context.database, context.settings).days_until_grown_by(free)
    return None


def system(context: Context) -> Finding:
    """Tell whether what `up` has set up here runs, and its web server answers."""
    home = Home(context.settings.home)
    if not (home.airflow / configuration.FILE).exists():
        return ok("Airflow is not set up by `consumer-analytics up` here: not looked at")
    if not _is_up(home):
        return Finding(
            Verdict.PROBLEM,
            f"`consumer-analytics up` is not running on {home.path}",
            (f"its logs are in {home.logs}",),
            "it was stopped or killed, or the machine was started again: nothing runs on schedule",
            Fix("consumer-analytics up"),
        )
    if not _control(home).exists():
        return Finding(
            Verdict.WARNING,
            "`consumer-analytics up` runs here without Airflow",
            (f"it was told --no-airflow, or is just starting, on {home.path}",),
            "nothing runs on schedule; only commands do what is to be done",
            Fix("consumer-analytics up   # once that one is stopped, by Ctrl-C"),
        )
    # Airflow brings them; without it there is nothing to ask.
    with installation.of_extra("airflow", "looking at Airflow's web server"):
        import httpx

        from consumer_analytics.airflow.api import AirflowApi
    try:
        with AirflowApi(configuration.api_url(context.settings.airflow_port), "", "") as api:
            api.require_answer(_SECONDS)
    except httpx.HTTPError as error:
        return Finding(
            Verdict.PROBLEM,
            f"Airflow's web server does not answer on port {context.settings.airflow_port}",
            (f"{type(error).__name__}: {error}", f"its log is {home.logs / f'{API_SERVER}.log'}"),
            "it hangs, is just starting, or listens on another port; tasks cannot report to it, so "
            "runs stand still",
            Fix("consumer-analytics doctor --fix", _restart_web),
        )
    return ok(
        f"`up` runs, and Airflow's web server answers on port {context.settings.airflow_port}"
    )


def rights(context: Context) -> Finding:
    """Tell whether what `up` keeps here is its owner's alone."""
    home = Home(context.settings.home)
    if not home.path.exists():
        return ok("there is no home of `consumer-analytics up` here")
    wide = home.wide()
    if not wide:
        return ok("what `consumer-analytics up` keeps here is its owner's alone")
    return Finding(
        Verdict.WARNING,
        f"others have rights in the home {home.path}",
        tuple(f"{folder} (mode {folder.lstat().st_mode & 0o7777:04o})" for folder in wide),
        "it was made beforehand, or by an earlier version: logs, keys and personal data are in it",
        Fix(f"chmod -R go= {shlex.quote(str(home.path))}", _tighten),
    )


def _tighten(context: Context) -> str:
    home = Home(context.settings.home)
    home.prepare()
    return f"took others' rights in {home.path} away"


def secrets(context: Context) -> Finding:
    """Tell whether others may read a file that holds a secret."""
    open_ones = {
        path: f"{what}: {path} {why}"
        for what, path in _secret_files(context.settings)
        if (why := secret_files.exposure(path))
    }
    if not open_ones:
        return ok("no file with a secret can be read by others")
    return Finding(
        Verdict.WARNING,
        "a file with a secret can be read by others",
        tuple(open_ones.values()),
        "whoever is on this machine may have it: after the rights are put right, have a new one",
        # Another program may read it by its group.
        Fix(f"chmod go= {' '.join(shlex.quote(str(path)) for path in open_ones)}"),
    )


def _secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Yield each file with a secret that a command would read, and what names it."""
    for name, _ in fields.marked(settings, PrivateFile):
        if (path := getattr(settings, name)) is not None:
            yield variable(name), path
    for name in ("database_url", "dashboard_database_url"):
        url = getattr(settings, name)
        # What is wrong with an address is told where it is used.
        with suppress(psycopg.ProgrammingError, UnicodeError):
            parts = conninfo_to_dict(url.get_secret_value()) if url is not None else {}
            for part in ("passfile", "sslkey"):
                if path := parts.get(part):
                    yield f"{part} of {variable(name)}", Path(str(path))
    yield "passwords of libpq", Path(os.environ.get("PGPASSFILE") or Path.home() / ".pgpass")
    home = Home(settings.home)
    for path in (
        home.secrets_file,
        home.airflow / configuration.FILE,
        home.airflow / configuration.PASSWORDS,
        home.airflow / configuration.CONNECTIONS,
    ):
        yield "home", path


def _control(home: Home) -> Path:
    """Return the socket of what runs Airflow's components; it is there while they are."""
    return socket_folder(home.run) / "supervisor.sock"


def _is_up(home: Home) -> bool:
    """Tell whether an `up` holds the home."""
    try:
        with (home.path / "up.lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _restart_web(context: Context) -> str:
    return restarts(context.settings)([API_SERVER])


def restarter(settings: Settings) -> Callable[[Sequence[str]], str] | None:
    """Return what restarts Airflow's components here; None where `up` does not run them."""
    home = Home(settings.home)
    if not (_control(home).exists() and _is_up(home)):
        return None
    return restarts(settings)


def restarts(settings: Settings) -> Callable[[Sequence[str]], str]:
    """Return a function that restarts components and waits until Airflow hears of them."""
    home = Home(settings.home)

    def restart(names: Sequence[str]) -> str:
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{_control(home)}")
        proxy = xmlrpc.client.ServerProxy("http://supervisor", transport=transport)
        try:
            for name in names:
                # One that has ended by itself cannot be stopped.
                with suppress(xmlrpc.client.Fault):
                    proxy.supervisor.stopProcess(f"airflow:{name}")
                with suppress(xmlrpc.client.Fault):
                    proxy.supervisor.startProcess(f"airflow:{name}")
        except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
            raise UpError(f"supervisord does not answer: {error}") from None
        finally:
            transport.close()
        _await(names, settings)
        return f"restarted {', '.join(names)}"

    return restart


def _await(names: Sequence[str], settings: Settings) -> None:
    """Wait until Airflow has heard of components that were restarted.

    Raises:
        UpError: it has not for long.
    """
    from consumer_analytics.airflow.api import AirflowApi

    wanted = {API_SERVER, *(name.replace("-", "_") for name in names)}
    deadline = time.monotonic() + _RESTART_SECONDS
    with AirflowApi(configuration.api_url(settings.airflow_port), "", "") as api:
        while missing := sorted(wanted & set(api.unhealthy())):
            if time.monotonic() > deadline:
                raise UpError(f"{', '.join(missing)} did not become healthy after the restart")
            time.sleep(_POLL_SECONDS)


CHECKS = (
    Check("machine-disks", "is a disk nearly full?", disks),
    Check("machine-rights", "is what `up` keeps here its owner's alone?", rights),
    Check("machine-secrets", "can others read a file with a secret?", secrets),
    Check("machine-system", "does what `up` has set up here run?", system),
)
