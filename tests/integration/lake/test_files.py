"""The archive's files on the machine: whose they are, where they lie, and that no other is read."""

from __future__ import annotations

import datetime as dt
import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as arrow  # noqa: ICN001
import pytest

from consumer_analytics.errors import ArchiveError
from consumer_analytics.lake import engine, folder, stores, writing
from consumer_analytics.lake.folder import ArchivedFile
from consumer_analytics.settings import Settings

DAY = dt.date(2025, 1, 1)
AT = 1_735_689_600_000_000
#: Folders that mean others as well, where they are taken for patterns.
ODD = ("lake[12]", "lake1", "la*", "la?e", "lave", "**", "[!a]", "a'b", "a]{b}", "~")


@pytest.fixture(autouse=True)
def usual_mask() -> Iterator[None]:
    """Make files as most machines do: for everybody to read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def write(root: Path, kind: str) -> ArchivedFile:
    """Write a file of one event; return what the manifest would have of it."""
    name = folder.name_of(DAY, 1)
    row = (str(uuid.uuid4()), None, None, kind, None, AT)
    with stores.Folder(root).placing(name) as beside:
        arrays = [
            arrow.array([value], kind)
            for value, kind in zip(row, writing.columns_read().values(), strict=True)
        ]
        names = list(writing.columns_read())
        writing.write(beside, iter([arrow.table(arrays, names)]))
    path = root / name
    return ArchivedFile(name, DAY, 1, path.stat().st_size, stores.digest_of_path(path))


def test_nobody_else_reads_what_customers_did(tmp_path: Path) -> None:
    root = tmp_path / "srv" / "lake"
    write(root, "login")
    for path in (root.parent, *root.parent.rglob("*")):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), (path, oct(mode))


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    place = tmp_path / folder.name_of(DAY, 1)
    place.parent.mkdir(parents=True)
    aim = tmp_path / "anothers"
    aim.write_text("anothers")
    place.with_name(f".{place.name}.part").symlink_to(aim)
    place.symlink_to(aim)
    write(tmp_path, "login")
    assert aim.read_text() == "anothers"
    assert not place.is_symlink()
    assert [one.name for one in place.parent.iterdir()] == [place.name]


def test_each_folder_is_read_by_its_own_name_alone(tmp_path: Path) -> None:
    for name in ODD:
        write(tmp_path / name, name)
    for name in ODD:
        with engine.started() as open_files:
            files = open_files([str(tmp_path / name / folder.name_of(DAY, 1))])
            assert [kind for _, _, kind, _ in files.counts()] == [name]


@pytest.mark.parametrize("name", ["../other/part-0001.parquet", "/etc/passwd", "a/../../b"])
def test_no_name_of_the_manifest_leads_elsewhere(tmp_path: Path, name: str) -> None:
    settings = Settings(lake_url=f"file://{tmp_path}/lake")
    file = write(tmp_path / "lake", "login")
    assert folder.checked(settings, [file]) == [str(tmp_path / "lake" / file.name)]
    for look in (folder.checked, folder.unlike):
        with pytest.raises(ArchiveError, match="no name within the archive"):
            look(settings, [replace(file, name=name)])


def test_what_does_not_fit_into_memory_lies_where_nobody_else_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = write(tmp_path, "login")
    with engine.started() as open_files:
        files = open_files([str(tmp_path / file.name)])
        ((beside,),) = files._session.answer("select current_setting('temp_directory')")
        assert stat.S_IMODE(Path(beside).stat().st_mode) == 0o700
    assert not Path(beside).exists()
    assert not (tmp_path / ".tmp").exists()
