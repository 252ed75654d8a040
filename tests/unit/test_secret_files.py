"""Files that hold a secret, and are none: told in a line, and never read without an end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from consumer_analytics import secret_files
from consumer_analytics.errors import SettingsError
from consumer_analytics.settings import Settings
from consumer_analytics.shards import addresses
from consumer_analytics.web import tokens

ENDLESS = Path("/dev/zero")
READERS: dict[str, Callable[[Path], Any]] = {
    "first line": lambda path: secret_files.line_for("THE_SETTING", path),
    "shards": lambda path: addresses.read(Settings(shards_file=path)),
    "tokens": tokens.load,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_without_an_end_is_refused(read: Callable[[Path], Any]) -> None:
    with pytest.raises(SettingsError, match="it is larger than any file of secrets"):
        read(ENDLESS)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_file_that_is_no_text_is_refused_and_not_shown(
    read: Callable[[Path], Any], tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hidden \xff")
    with pytest.raises(SettingsError, match="it is not UTF-8") as refused:
        read(file)
    assert "hidden" not in str(refused.value)


def test_a_first_line_ends_where_a_line_does(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes("pässword\r\nand more".encode())
    assert secret_files.first_line(file) == "pässword"
