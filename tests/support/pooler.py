"""A pooler between the product and a test's database: pgbouncer."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import Database
from tests.support import scratch, tools

_PORT = 6432
#: pgbouncer does not run as root, and the server's socket is its own user's.
_USER = "pgserver"
_SECONDS = 10


@contextmanager
def between(database: Database, mode: str, size: int = 5) -> Iterator[str]:
    """Start pgbouncer before a database, with few sessions; return its connection string.

    Args:
        database: the test's.
        mode: `session`, `transaction` or `statement`.
        size: how many sessions it has with the database.
    """
    binary = tools.require("pgbouncer")
    folder = scratch.folder("ca-pooler-")
    user = pwd.getpwnam(_USER) if os.getuid() == 0 else None
    behind = conninfo_to_dict(database.url)
    names = ("host", "port", "dbname", "user", "password")
    origin = " ".join(f"{name}={behind[name]}" for name in names if name in behind)
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\npooled = {origin}\n[pgbouncer]\nlisten_port = {_PORT}\n"
        f"unix_socket_dir = {folder}\nauth_type = any\npool_mode = {mode}\n"
        f"default_pool_size = {size}\nlogfile = {folder}/log\n"
    )
    if user is not None:
        for path in (folder, configuration):
            os.chown(path, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        [binary, str(configuration)],
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = make_conninfo("", host=str(folder), port=_PORT, dbname="pooled", user="anybody")
    try:
        _await(url, folder)
        yield url
    finally:
        process.terminate()
        process.wait(_SECONDS)
        shutil.rmtree(folder)


def _await(url: str, folder: Path) -> None:
    end = time.monotonic() + _SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > end:
                log = folder / "log"
                raise AssertionError(log.read_text() if log.exists() else str(error)) from None
            time.sleep(0.02)
        else:
            return
