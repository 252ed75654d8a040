"""Whatever stands after any option of any command: it ends in a line, or does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.conftest import Cli

from consumer_analytics.cli.commands import app

#: A byte that is no UTF-8; a colour, markup and placeholders; too many digits; nothing; an end.
VALUES = ["\udcff", "\x01\x1b[31m[/]%(x)s{}", "9" * 40, "", "0001-01-01"]
#: What a command is given besides, so that it comes to look at the option.
BESIDES = {
    "archive": "--through 2025-03-01",
    "backfill": "--start-date 2025-03-01 --end-date 2025-03-03 --dry-run",
    "import": "/nonexistent",
    "metrics": "--serve",
    "snapshots remove": "--dry-run",
    "sweep": "--accept-purged",
    "tokens create": "somebody",
    "tokens revoke": "somebody",
    "watermark set": "2025-03-02 --yes",
    "watermark reset": "--yes",
}
#: These serve until they are stopped, where they can.
SERVE = {"serve", "metrics"}


def options() -> Iterator[tuple[str, str]]:
    """Yield each command with each of its options that takes a value."""

    def walk(command: Any, *path: str) -> Iterator[tuple[str, str]]:
        for one in command.params:
            if one.param_type_name == "option" and not one.is_flag:
                yield " ".join(path), one.opts[0]
        for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
            yield from walk(command.get_command(None, name), *path, name)

    return walk(typer.main.get_command(app))


@pytest.mark.long
@pytest.mark.parametrize(("command", "option"), list(options()))
def test_whatever_it_is_given(cli: Cli, tmp_path: Path, command: str, option: str) -> None:
    environment = {"CONSUMER_ANALYTICS_DASHBOARD_TOKENS_FILE": str(tmp_path / "tokens")}
    for value in VALUES if command not in SERVE else VALUES[:3]:
        done = cli(
            *command.split(), *BESIDES.get(command, "").split(), option, value, env=environment
        )
        assert "Traceback" not in done.stderr, (value, done.stderr)
        assert "\x1b" not in done.stderr
        assert done.exit_code in {0, 1, 2}
        if done.exit_code:
            errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, (value, done.stderr)
