"""Who calls is told by name, and by number where there is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consumer_analytics import caller

SOURCE = Path(caller.__file__).parent
VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    assert caller.name() == "ann"
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567_890)
    assert caller.name() == "uid 1234567890"


def test_nobody_else_asks_for_it() -> None:
    asking = [path.name for path in SOURCE.rglob("*.py") if "getuser" in path.read_text()]
    assert asking == ["caller.py"]
