"""The home folder: who holds it, and what it keeps secret."""

from __future__ import annotations

import base64
import json
import os
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
