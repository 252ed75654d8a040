"""Removing old logs: old ones go, others stay, and no link leads out of the folder."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Any

import pytest

from consumer_analytics.airflow import upkeep
from consumer_analytics.airflow.upkeep import clean
from consumer_analytics.errors import ConsumerAnalyticsError

NOW = dt.datetime.now(dt.UTC)
MONTH = NOW - dt.timedelta(days=30)
OLD = (NOW - dt.timedelta(days=31)).timestamp()


def write(path: Path, *, old: bool, text: str = "12345") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if old:
        os.utime(path, (OLD, OLD))
    return path


def age(*folders: Path) -> None:
    for folder in folders:
        os.utime(folder, (OLD, OLD))


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    return folder


def there(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_old_logs_go_with_the_folders_that_they_leave_empty(logs: Path) -> None:
    old = logs / "dag_id=a" / "run_id=1" / "task_id=t"
    new = logs / "dag_id=a" / "run_id=2" / "task_id=t"
    write(old / "attempt=1.log", old=True)
    write(old / "attempt=1.log.trigger.7.log", old=True)
    write(new / "attempt=1.log", old=False)
    age(old, old.parent)
    # Old in name only: something is written there now.
    fresh = logs / "dag_id=a" / "run_id=3"
    fresh.mkdir()
    would = clean(logs, MONTH, dry_run=True)
    assert (would.files, would.removed, would.before) == (2, 10, 15)
    assert there(old.parent) != set()
    assert clean(logs, MONTH) == would
    assert there(logs) == {
        "dag_id=a",
        "dag_id=a/run_id=2",
        "dag_id=a/run_id=2/task_id=t",
        "dag_id=a/run_id=2/task_id=t/attempt=1.log",
        "dag_id=a/run_id=3",
    }
    assert clean(logs, MONTH).files == 0


def test_what_is_no_log_stays(logs: Path) -> None:
    write(logs / "README", old=True)
    write(logs / "catalog.db", old=True)
    write(logs / "scheduler" / "etl.py.log", old=True)
    write(logs / "scheduler.log.1", old=True)
    assert clean(logs, MONTH).files == 2
    assert there(logs) == {"README", "catalog.db", "scheduler"}


def test_links_are_neither_followed_nor_removed(logs: Path, tmp_path: Path) -> None:
    outside = write(tmp_path / "elsewhere" / "precious.log", old=True)
    (logs / "latest").symlink_to(outside.parent)
    (logs / "one.log").symlink_to(outside)
    (logs / "dangling.log").symlink_to(tmp_path / "nothing")
    inside = write(logs / "old.log", old=True)
    found = clean(logs, MONTH)
    assert (found.files, found.before) == (1, 5)
    assert not inside.exists()
    assert outside.exists()
    assert there(logs) == {"latest", "one.log", "dangling.log"}


def test_a_folder_that_is_replaced_by_a_link_meanwhile_leads_nowhere(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a folder and the step into it somebody puts a link in its place."""
    outside = write(tmp_path / "elsewhere" / "precious.log", old=True)
    (logs / "swapped").mkdir()
    look = os.stat

    def swap(name: Any, **options: Any) -> os.stat_result:
        status = look(name, **options)
        if name == "swapped" and not (logs / "swapped").is_symlink():
            (logs / "swapped").rmdir()
            (logs / "swapped").symlink_to(outside.parent)
        return status

    monkeypatch.setattr(os, "stat", swap)
    assert clean(logs, MONTH).files == 0
    monkeypatch.undo()
    assert (logs / "swapped").is_symlink()
    assert outside.exists()


@pytest.mark.parametrize("folder", ["/", "~", "home", "home/airflow"])
def test_a_folder_that_holds_more_than_logs_is_refused(tmp_path: Path, folder: str) -> None:
    home = tmp_path / "home" / "airflow"
    home.mkdir(parents=True)
    place = Path(folder).expanduser() if folder in {"/", "~"} else tmp_path / folder
    with pytest.raises(ConsumerAnalyticsError, match="holds more than logs"):
        upkeep._require_logs_only(place, home)
    upkeep._require_logs_only(home / "logs", home)
