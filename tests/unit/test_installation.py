"""Advice on how to get an extra names where this copy came from, whatever installed it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer_analytics import installation
from consumer_analytics.errors import MissingExtraError

WHEEL = "file:///srv/wheels/consumer_analytics-1.0.0-py3-none-any.whl"
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that makes this copy one that was installed otherwise."""

    def make(origin: dict[str, Any] | None, installer: str = "pip", receipt: str = "") -> None:
        folder = tmp_path / "site" / "consumer_analytics-1.0.0.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Name: consumer-analytics\nVersion: 1.0.0\n")
        (folder / "INSTALLER").write_text(f"{installer}\n")
        if origin is not None:
            (folder / "direct_url.json").write_text(json.dumps(origin))
        if receipt:
            (tmp_path / receipt).write_text("")
        monkeypatch.syspath_prepend(str(folder.parent))
        monkeypatch.setattr(sys, "prefix", str(tmp_path))
        monkeypatch.setattr(sys, "executable", "/opt/an env/bin/python")

    return make


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ({"url": WHEEL, "archive_info": {}}, [f"consumer-analytics[web] @ {WHEEL}"]),
        (
            {"url": "file:///home/ana/the%20clone", "dir_info": {"editable": True}},
            ["-e", "/home/ana/the clone[web]"],
        ),
        (
            {"url": "file:///home/ana/clone", "dir_info": {}},
            ["consumer-analytics[web] @ file:///home/ana/clone"],
        ),
        (
            {
                "url": "https://git.internal/tools",
                "vcs_info": {"vcs": "git", "commit_id": "4f2c", "requested_revision": "v1"},
                "subdirectory": "analytics",
            },
            [
                (
                    "consumer-analytics[web] @ git+https://git.internal/tools@4f2c"
                    "#subdirectory=analytics"
                )
            ],
        ),
    ],
    ids=["wheel", "clone", "folder", "repository"],
)
def test_it_comes_from_where_this_copy_came_from(
    install: Install, origin: dict[str, Any], wanted: list[str]
) -> None:
    install(origin)
    words = shlex.split(installation.command("web"))
    assert words == ["/opt/an env/bin/python", "-m", "pip", "install", *wanted]


def test_a_name_alone_is_advised_to_nobody(install: Install) -> None:
    """It came by its name: from an index or a folder that only its installer was told of."""
    install(None)
    words = shlex.split(installation.command("web"), comments=True)
    assert words[4:] == ["--find-links", "FOLDER", "consumer-analytics[web]==1.0.0"]


@pytest.mark.parametrize(
    ("installer", "receipt", "begins"),
    [
        ("pip", "", "'/opt/an env/bin/python' -m pip install "),
        ("uv", "", "uv pip install --python '/opt/an env/bin/python' "),
        ("uv", "uv-receipt.toml", "uv tool install --force "),
        ("pip", "pipx_metadata.json", "pipx install --force "),
    ],
    ids=["pip", "uv", "uv tool", "pipx"],
)
def test_it_is_installed_as_this_copy_was(
    install: Install, installer: str, receipt: str, begins: str
) -> None:
    install({"url": WHEEL, "archive_info": {}}, installer, receipt)
    assert installation.command("web").startswith(begins)


@pytest.mark.parametrize(
    ("extras", "asked"),
    [("lake", ["WITH=lake"]), ("airflow,embedded", ["WITH=airflow embedded"]), ("", [])],
)
def test_a_clone_is_asked_as_it_was_set_up(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extras: str, asked: list[str]
) -> None:
    """Whatever else is put into its environment the next `make setup` takes out again."""
    clone = tmp_path / "the clone"
    install({"url": clone.as_uri(), "dir_info": {"editable": True}}, "uv")
    by_hand = installation.command(extras)
    assert by_hand.startswith("uv pip install --python ")
    monkeypatch.setattr(sys, "prefix", str(clone / ".venv"))
    assert installation.command(extras) == by_hand
    (clone / ".venv").mkdir(parents=True)
    (clone / ".venv" / ".synced").touch()
    words = shlex.split(installation.command(extras))
    assert words == ["make", "-C", str(clone), "setup", *asked]
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert installation.command(extras) == by_hand


def test_what_is_missing_is_told_in_a_line(install: Install) -> None:
    install({"url": WHEEL, "archive_info": {}})
    with pytest.raises(MissingExtraError) as told, installation.of_extra("web", "the dashboard"):
        raise ModuleNotFoundError("No module named 'fastapi.routing'", name="fastapi.routing")
    line = "the dashboard needs fastapi, which comes with the extra web: "
    assert str(told.value) == line + installation.command("web")
    assert told.value.exit_code == 2


def test_a_module_of_ours_that_is_missing_is_a_mistake_of_ours() -> None:
    with pytest.raises(ModuleNotFoundError), installation.of_extra("web", "the dashboard"):
        raise ModuleNotFoundError("no", name="consumer_analytics.web.servre")
