"""The embedded server: found again, reused, private, and gone when stopped."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.support import lanes, scratch

from consumer_analytics.db.connection import conninfo
from consumer_analytics.errors import LocalServerError
from consumer_analytics.local import embedded_postgres, private
from consumer_analytics.local.embedded_postgres import SUPERUSER, EmbeddedPostgres
from consumer_analytics.settings import Settings

FAST = {"fsync": "off", "shared_buffers": "16MB", "max_connections": "20"}
Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def make() -> Iterator[Make]:
    """Return a function that makes servers below a short path; all stopped after."""
    servers: list[EmbeddedPostgres] = []
    with tempfile.TemporaryDirectory(
        prefix="ca-pg-", ignore_cleanup_errors=True, dir=scratch.place()
    ) as top:

        def build(name: str = "postgres", **options: str) -> EmbeddedPostgres:
            servers.append(EmbeddedPostgres(Path(top) / name, options={**FAST, **options}))
            return servers[-1]

        yield build
        for server in servers:
            server.stop()


def _ask(server: EmbeddedPostgres, statement: str, user: str = "analytics") -> object:
    with psycopg.connect(server.conninfo(user)) as connection:
        row = connection.execute(statement).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.long
def test_data_is_there_after_stop_and_start(make: Make) -> None:
    server = make()
    assert server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as n")
    server.stop()
    assert server.processes() == []
    assert server.start()
    assert _ask(server, "select n from kept") == 42


@pytest.mark.long
def test_running_server_is_found_and_reused(make: Make) -> None:
    first, second = make(), make()
    first.start()
    assert not second.start()
    assert second.pid == first.pid
    second.stop()
    assert first.pid is None


def test_killed_server_starts_again_with_its_committed_rows(make: Make) -> None:
    server = make()
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("create table kept as select 42 as n")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(server.pid)] if server.pid else [], timeout=10)
    assert server.start()
    assert _ask(server, "select n from kept") == 42


@pytest.mark.long
def test_lock_file_naming_a_living_stranger_does_not_stop_the_start(make: Make) -> None:
    server = make()
    server.start()
    left = (server.data / "postmaster.pid").read_text()
    server.stop()
    stranger = os.getpid()
    (server.data / "postmaster.pid").write_text(left.replace(left.split()[0], str(stranger), 1))
    assert server.pid is None
    assert server.start()


@pytest.mark.long
def test_interrupted_creation_is_done_over(make: Make) -> None:
    server = make()
    (server.folder / "data.partial" / "base").mkdir(parents=True)
    assert server.start()
    assert not (server.folder / "data.partial").exists()


@pytest.mark.long
def test_folder_with_a_long_path_works(make: Make) -> None:
    server = make("long-" + "x" * 120)
    server.start()
    assert _ask(server, "select 1") == 1
    assert not server.socket_dir.is_relative_to(server.folder)
    server.stop()
    assert not server.socket_dir.exists()


@pytest.mark.long
def test_folder_with_odd_characters_works(make: Make) -> None:
    server = make("it's a home, é")
    server.start()
    assert _ask(server, "select 1") == 1


def test_folder_that_a_shell_would_misread_is_refused(make: Make) -> None:
    server = make("costs $HOME")
    with pytest.raises(LocalServerError, match=r"for the '\$' in its path"):
        server.start()
    assert not server.folder.exists()


def test_only_its_own_user_can_reach_the_socket(make: Make) -> None:
    server = make()
    server.start()
    assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
    assert _ask(server, "show listen_addresses") == ""


def _by_tcp(server: EmbeddedPostgres, user: str, password: str | None = None) -> str:
    """Return how a connection by TCP ends: in a name, or in the server's reason."""
    port = server.conninfo().split("port=")[1].split()[0]
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=user,
            password=password,
            dbname="postgres",
            passfile="/nowhere",
        ) as connection:
            row = connection.execute("select current_user").fetchone()
    except psycopg.OperationalError as error:
        return str(error)
    assert row is not None
    return str(row[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def listening(make: Make, monkeypatch: pytest.MonkeyPatch) -> EmbeddedPostgres:
    """Return a server, not started, that somebody lets listen on a port as well."""
    monkeypatch.setattr(embedded_postgres, "PORT", port := free_port())
    return make(listen_addresses="127.0.0.1", port=str(port))


def test_by_tcp_nobody_gets_in_without_a_password(listening: EmbeddedPostgres) -> None:
    listening.start()
    for user in (SUPERUSER, "analytics"):
        assert "no password supplied" in _by_tcp(listening, user)
        # They have none.
        assert "authentication failed" in _by_tcp(listening, user, password=user)
    with psycopg.connect(listening.conninfo(SUPERUSER, "postgres")) as connection:
        rules = connection.execute(
            "select type, auth_method from pg_hba_file_rules where error is null"
        ).fetchall()
        connection.execute("create role with_one login password 'fine'")
        connection.commit()
    assert ("local", "trust") not in rules or private.name_of(os.geteuid()) is None
    assert {method for kind, method in rules if kind != "local"} <= {"scram-sha-256", "reject"}
    assert _by_tcp(listening, "with_one", password="fine") == "with_one"
    conf = (listening.data / "consumer_analytics.conf").read_text()
    assert "put your own" not in conf


@pytest.mark.parametrize("running", lanes.first(1, [False, True]))
def test_one_that_trusted_everybody_is_put_right_at_its_next_start(
    listening: EmbeddedPostgres, *, running: bool
) -> None:
    listening.start()
    # As earlier versions have left it.
    trusting = "local all all trust\nhost all all 127.0.0.1/32 trust\nhost all all ::1/128 trust\n"
    (listening.data / "pg_hba.conf").write_text(trusting)
    os.chown(listening.data / "pg_hba.conf", (owner := listening.data.stat()).st_uid, owner.st_gid)
    with psycopg.connect(listening.conninfo(SUPERUSER, "postgres")) as connection:
        connection.execute("select pg_reload_conf()")
    _await_that(lambda: _by_tcp(listening, SUPERUSER) == SUPERUSER)
    if not running:
        listening.stop()
    assert listening.start() is not running
    _await_that(lambda: "no password supplied" in _by_tcp(listening, SUPERUSER))
    assert _ask(listening, "select 1") == 1


def _await_that(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_who_reaches_the_socket_gets_in_as_nobody(make: Make) -> None:
    server = make(unix_socket_permissions="0777")
    server.start()
    # All doors open: what is left is the kernel's word for who is there.
    for folder in (server.socket_dir, *server.socket_dir.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(0o755)
    done = subprocess.run(
        [server.binaries / "psql", server.url(SUPERUSER, "postgres"), "-c", "select 1"],
        user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False,
        env={"HOME": "/nonexistent"}, cwd="/",
    )  # fmt: skip
    assert done.returncode != 0
    assert 'Peer authentication failed for user "postgres"' in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server of another user's")
def test_as_root_nothing_is_written_through_the_server_users_links(
    make: Make, tmp_path: Path
) -> None:
    server = make()
    server.start()
    server.stop()
    owner = server.data.stat()
    names = ["consumer_analytics.conf", "pg_hba.conf", "pg_ident.conf"]
    names += [*(f"{name}.partial" for name in names), "startup.log", "postmaster.pid"]
    for name in names:
        (tmp_path / name).write_text("root's")
        (tmp_path / name).chmod(0o600)
        (server.data / name).unlink(missing_ok=True)
        (server.data / name).symlink_to(tmp_path / name)
        os.chown(server.data / name, owner.st_uid, owner.st_gid, follow_symlinks=False)
    assert server.start()
    for name in names:
        assert (tmp_path / name).read_text() == "root's"
        status = (tmp_path / name).stat()
        assert (status.st_uid, status.st_mode & 0o777) == (0, 0o600)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server of another user's")
def test_as_root_no_owner_is_changed_through_the_sockets_folder(make: Make, tmp_path: Path) -> None:
    server = make("long-" + "x" * 120)
    aim = tmp_path / "aim"
    aim.mkdir(mode=0o755)
    server.socket_dir.symlink_to(aim)
    try:
        with pytest.raises(LocalServerError, match="it is a link, to"):
            server.start()
        assert (aim.stat().st_uid, aim.stat().st_mode & 0o777) == (0, 0o755)
    finally:
        server.socket_dir.unlink()


@pytest.mark.long
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server of another user's")
def test_as_root_folders_let_the_servers_user_pass_and_nobody_else(make: Make) -> None:
    server = make()
    server.start()
    for folder in (server.folder, server.folder.parent):
        status = folder.stat()
        assert status.st_mode & 0o777 == 0o710
        assert status.st_gid == server.data.stat().st_gid
    assert (server.folder / "lock").stat().st_mode & 0o777 == 0o600
    assert (server.folder / "socket").stat().st_mode & 0o777 == 0o600


@pytest.mark.long
def test_role_is_no_superuser_but_sees_other_sessions(make: Make) -> None:
    server = make()
    server.start()
    assert _ask(server, "select rolsuper from pg_roles where rolname = current_user") is False
    assert _ask(
        server,
        "select datdba::regrole::text from pg_database where datname = 'analytics'",
    )
    with psycopg.connect(server.conninfo(SUPERUSER)) as other:
        other.execute("select 1")
        pid = other.info.backend_pid
        seen = _ask(
            server, f"select xact_start is not null from pg_stat_activity where pid = {pid}"
        )
    assert seen is True


def test_engine_finds_the_server_by_its_home(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    server = make()
    server.start()
    monkeypatch.setenv("PGPORT", "1")
    settings = Settings(home=server.folder.parent)
    with psycopg.connect(conninfo(settings)) as connection:
        row = connection.execute("select current_user::text, current_database()::text").fetchone()
    assert row == ("analytics", "analytics")


def test_data_of_another_version_is_refused_in_one_line(make: Make) -> None:
    server = make()
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(LocalServerError, match=r"is PostgreSQL 12's, the server is 18"):
        server.start()


def test_server_that_does_not_start_says_the_servers_own_reason(make: Make) -> None:
    server = make(shared_buffers="1kB")
    with pytest.raises(LocalServerError, match=r"does not start: .*shared_buffers") as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert server.processes() == []


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalServerError, match="cannot be made: Not a directory"):
        EmbeddedPostgres(tmp_path / "file" / "postgres").start()


def test_stopping_what_never_ran_is_nothing(tmp_path: Path) -> None:
    EmbeddedPostgres(tmp_path / "nowhere").stop()
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.long
def test_stopping_ends_a_creation_of_data_that_nobody_waits_for(make: Make, tmp_path: Path) -> None:
    server = make()
    server.folder.mkdir()
    # What an interrupt leaves that comes before we have taken note of the process.
    stand_in = tmp_path / "initdb"
    shutil.copy(shutil.which("sleep") or "", stand_in)
    with subprocess.Popen([str(stand_in), "600"], cwd=server.folder) as left:
        assert [process.pid for process in server.processes()] == [left.pid]
        server.stop()
        assert left.wait(10) is not None
    assert server.processes() == []
