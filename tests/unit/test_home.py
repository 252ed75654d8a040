"""The home folder: who holds it, and what it keeps secret."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from consumer_analytics.errors import UpError
from consumer_analytics.local.home import Home, socket_folder


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home, its folders made."""
    made = Home(tmp_path / "home")
    made.prepare()
    return made


def test_is_for_its_owner_alone(home: Home) -> None:
    assert home.path.stat().st_mode & 0o777 == 0o700


def wide(home: Home) -> list[str]:
    """Return what of a home others have any right to."""
    return [
        f"{path.relative_to(home.path)} {path.lstat().st_mode & 0o777:o}"
        for path in [home.path, *home.path.rglob("*")]
        if path.lstat().st_mode & 0o077
    ]


def test_nothing_in_it_is_anybody_elses(home: Home) -> None:
    home.secrets()
    with home.held():
        assert wide(home) == []


def test_one_that_was_made_wide_is_tightened_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    for folder in (home.logs, home.run, home.airflow / "logs" / "dag_id=x", home.postgres):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    (home.airflow / "logs").chmod(0o755)
    home.path.chmod(0o755)
    for file in (home.path / "up.lock", home.logs / "scheduler.log", home.run / "supervisord.pid"):
        file.touch()
        file.chmod(0o666)
    monkeypatch.chdir(home.run)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("supervisor.sock")
        Path("supervisor.sock").chmod(0o777)
    assert len(wide(home)) == 11
    home.prepare()
    assert wide(home) == []
    assert (home.logs / "scheduler.log").is_file()


def test_tightening_follows_no_link_and_leaves_second_names_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("")
    outside.chmod(0o644)
    home = Home(tmp_path / "home")
    home.logs.mkdir(parents=True)
    (home.logs / "link.log").symlink_to(outside)
    (home.logs / "second.log").hardlink_to(outside)
    home.prepare()
    assert outside.stat().st_mode & 0o777 == 0o644


def refusal(path: Path) -> str:
    """Return why a home is refused, which is one line."""
    with pytest.raises(UpError, match="set CONSUMER_ANALYTICS_HOME") as caught:
        Home(path).prepare()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_link_in_a_homes_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "home").symlink_to("real")
    assert "it is a link, to real" in refusal(tmp_path / "home")
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("inner", ["airflow", "logs", "run", "postgres"])
def test_a_link_in_an_inner_folders_place_is_refused(tmp_path: Path, inner: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / inner).symlink_to(tmp_path / "elsewhere")
    assert f"it is a link, to {tmp_path}/elsewhere" in refusal(tmp_path / "home")


def test_a_lock_or_a_secret_is_not_written_through_a_link(home: Home, tmp_path: Path) -> None:
    aim = tmp_path / "aim"
    aim.write_text("kept")
    (home.path / "up.lock").symlink_to(aim)
    (home.path / "secrets.json.partial").symlink_to(aim)
    with pytest.raises(OSError, match="symbolic links"), home.held():
        pass
    home.secrets()
    assert aim.read_text() == "kept"


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o775, False), (0o1777, True)])
def test_what_others_may_put_in_its_place_is_refused(
    tmp_path: Path, mode: int, *, safe: bool
) -> None:
    shared = tmp_path / "shared"
    (shared / "mine").mkdir(parents=True)
    # Nobody's private group.
    if os.geteuid() == 0:
        os.chown(shared, 0, 12345)
    elif mode == 0o775:
        pytest.skip("needs a group that is not this user's own")
    shared.chmod(mode)
    # A link that is on the way there counts as well.
    (tmp_path / "way").symlink_to(shared / "mine")
    for path in (shared / "home", tmp_path / "way" / "home"):
        if safe:
            Home(path).prepare()
        else:
            assert f"others may write: {shared};" in refusal(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what is somebody else's")
@pytest.mark.parametrize("whose", ["home", "home/logs", "."])
def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, whose: str) -> None:
    (tmp_path / "top" / "home" / "logs").mkdir(parents=True)
    os.chown(tmp_path / "top" / whose, 4711, 4711)
    assert "belongs to user 4711" in refusal(tmp_path / "top" / "home")


def test_secrets_that_others_could_read_are_refused(home: Home) -> None:
    made = home.secrets()
    home.secrets_file.chmod(0o644)
    home.prepare()
    with pytest.raises(UpError, match=r"can be read by others \(mode 0644\)") as caught:
        home.secrets()
    assert "\n" not in str(caught.value)
    assert made.jwt_secret not in str(caught.value)


def test_secrets_are_made_once_and_are_all_different(home: Home) -> None:
    made = home.secrets()
    assert home.secrets() == made
    assert home.secrets_file.stat().st_mode & 0o777 == 0o600
    assert len(set(json.loads(home.secrets_file.read_text()).values())) == 5
    assert len(made.jwt_secret.encode()) >= 64
    assert len(base64.urlsafe_b64decode(made.fernet_key)) == 32


@pytest.mark.parametrize("text", ["", "{", "[]", '{"fernet_key": "x"}'])
def test_damaged_secrets_are_one_line_that_shows_none(home: Home, text: str) -> None:
    home.secrets_file.write_text(text)
    home.secrets_file.chmod(0o600)
    with pytest.raises(UpError, match=r"secrets\.json cannot be used") as caught:
        home.secrets()
    assert "\n" not in str(caught.value)


def test_one_at_a_time_and_the_second_learns_who(home: Home) -> None:
    code = (
        "from pathlib import Path; from consumer_analytics.local.home import Home\n"
        "from consumer_analytics.errors import UpError\n"
        f"home = Home(Path({str(home.path)!r}))\n"
        "try:\n    home.held().__enter__()\nexcept UpError as error:\n    print(error)"
    )
    with home.held():
        second = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
    assert f"already runs on {home.path} (pid {os.getpid()})" in second.stdout
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert free.stdout == ""


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(UpError, match="set CONSUMER_ANALYTICS_HOME") as caught:
        Home(tmp_path / "home").prepare()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    with pytest.raises(UpError, match="Permission denied"):
        Home(tmp_path / "home").prepare()


@pytest.mark.parametrize(
    "folder", ["/tmp/" + "x" * 120, "/tmp/with space", "/tmp/a,b", "/tmp/100%", "/tmp/é"]
)
def test_sockets_move_where_a_path_is_too_long_or_odd(folder: str) -> None:
    moved = socket_folder(Path(folder))
    assert moved != Path(folder)
    assert len(os.fsencode(moved / ".s.PGSQL.5432.lock")) < 108
    assert moved == socket_folder(Path(folder))
    assert moved != socket_folder(Path(f"{folder}2"))


def test_sockets_stay_where_they_can() -> None:
    assert socket_folder(Path("/home/me/.local/share/ca/run")) == Path(
        "/home/me/.local/share/ca/run"
    )
