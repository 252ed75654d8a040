"""Files that hold a secret: who reads them says where others could, and not what they hold."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests.conftest import Cli, Database
from tests.support import lanes

from consumer_analytics import fields
from consumer_analytics.local.home import Home
from consumer_analytics.settings import PREFIX, PrivateFile, Settings, variable

SECRET = "t0p-s3cret-password"
WIDE = "holds a secret and can be read by others (mode 0644)"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with a secret that others could read."""
    made = tmp_path / "secret"
    made.write_text(f"{SECRET}\n")
    made.chmod(0o644)
    return made


def without_password(database: Database) -> str:
    parts = conninfo_to_dict(database.url)
    parts.pop("password", None)
    return make_conninfo("", **parts)


def warnings_in(errors: str) -> list[str]:
    """Return the warnings; each is a line."""
    return re.findall(r"^warning: (.*)$", errors, re.MULTILINE)


def test_every_setting_that_names_a_file_of_secrets_is_marked() -> None:
    named = {
        one.name
        for one in dataclasses.fields(Settings)
        if re.search("(password|token|tokens|secret|key|url|channels|shards)_file$", one.name)
    }
    assert {name for name, _ in fields.marked(Settings(), PrivateFile)} == named


def test_a_command_warns_of_the_password_file_that_it_reads(
    cli: Cli, database: Database, file: Path
) -> None:
    environment = {
        f"{PREFIX}DATABASE_URL": without_password(database),
        f"{PREFIX}DATABASE_PASSWORD_FILE": str(file),
    }
    told = cli("status", env=environment)
    assert [line for line in warnings_in(told.stderr) if WIDE in line] == [
        f"{file} {WIDE}; take their rights away: chmod go= it"
    ]
    assert SECRET not in told.stderr + told.stdout
    file.chmod(0o600)
    assert WIDE not in cli("status", env=environment).stderr


@pytest.mark.parametrize(
    ("name", "more", "command"),
    lanes.first(
        2,
        [
            ("metrics_token_file", {}, ("metrics", "--serve", "--host", "192.0.2.1")),
            ("dashboard_password_file", {}, ("serve", "--host", "192.0.2.1")),
            (
                "smtp_password_file",
                {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": "1", "SMTP_USER": "we",
                 "ALERT_SENDER": "a@example.com", "ALERT_RECIPIENTS": "b@example.com"},
                ("alerts", "test"),
            ),
        ],
    ),
)  # fmt: skip
def test_others_that_read_one_warn_as_well(
    cli: Cli, file: Path, name: str, more: dict[str, str], command: tuple[str, ...]
) -> None:
    variables = {f"{PREFIX}{key}": value for key, value in more.items()}
    told = cli(*command, env={variable(name): str(file), **variables})
    # It goes no further: the address is not this machine's, or nobody answers there.
    assert told.exit_code != 0
    assert any(f"{file} {WIDE}" in line for line in warnings_in(told.stderr))
    assert SECRET not in told.stderr + told.stdout


def test_what_is_no_text_is_one_line_without_what_it_holds(
    cli: Cli, database: Database, file: Path
) -> None:
    file.write_bytes(b"\xfft0p-s3cret")
    for name, command in (
        ("database_password_file", ("status",)),
        ("metrics_token_file", ("metrics", "--serve")),
        ("dashboard_password_file", ("serve",)),
    ):
        told = cli(
            *command,
            env={f"{PREFIX}DATABASE_URL": without_password(database), variable(name): str(file)},
        )
        assert told.exit_code == 2
        (line,) = [one for one in told.stderr.splitlines() if not one.startswith("warning: ")]
        assert line.startswith("error: ")
        assert "not UTF-8" in line
        assert "s3cret" not in line
        assert "xff" not in line


def test_tokens_that_others_could_read_or_write_are_refused(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    environment = {f"{PREFIX}DASHBOARD_TOKENS_FILE": str(file)}

    def refusal(*command: str) -> str:
        told = cli(*command, env=environment)
        assert told.exit_code == 2
        (line,) = told.stderr.splitlines()
        return line

    assert cli("tokens", "create", "one", env=environment).exit_code == 0
    for mode, what in ((0o640, "read"), (0o602, "written"), (0o666, "read and written")):
        file.chmod(mode)
        assert f"{file} can be {what} by others (mode {mode:04o}); " in refusal("tokens", "list")
    for command in (("tokens", "create", "two"), ("serve", "--port", "0")):
        assert str(file) in refusal(*command)
    file.chmod(0o600)
    assert cli("tokens", "list", env=environment).exit_code == 0


def test_nobody_else_can_hold_the_lock_of_the_tokens(cli: Cli, tmp_path: Path) -> None:
    lock = tmp_path / ".tokens.lock"
    lock.touch(mode=0o666)
    lock.chmod(0o666)
    environment = {f"{PREFIX}DASHBOARD_TOKENS_FILE": str(tmp_path / "tokens")}
    assert cli("tokens", "create", "one", env=environment).exit_code == 0
    assert lock.stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_can_neither_list_a_home_nor_hold_its_lock(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with home.held():
        pass
    for folder in tmp_path.parents:
        if folder.name.startswith("pytest-"):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    for code in (
        f"import os; os.listdir({str(home.path)!r})",
        f"import os; os.listdir({str(home.logs)!r})",
        f"import fcntl; fcntl.flock(open({str(home.path / 'up.lock')!r}), fcntl.LOCK_EX)",
    ):
        done = subprocess.run(
            ["/usr/bin/env", "python3", "-c", code],
            user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False,
            env={"PATH": "/usr/bin:/bin"}, cwd="/",
        )  # fmt: skip
        assert "PermissionError" in done.stderr


def test_the_doctor_names_them_all(cli: Cli, file: Path, tmp_path: Path) -> None:
    names = [name for name, _ in fields.marked(Settings(), PrivateFile)]
    home = Home(tmp_path / "home")
    home.prepare()
    home.secrets()
    home.secrets_file.chmod(0o640)
    home.logs.chmod(0o755)
    told = cli(
        "doctor",
        "--json",
        env={
            **{variable(name): str(file) for name in names},
            f"{PREFIX}HOME": str(home.path),
            "PGPASSFILE": str(file),
        },
    )
    found: dict[str, Any] = {one["check"]: one for one in told.json["checks"]}
    secrets, rights = found["machine-secrets"], found["machine-rights"]
    assert secrets["verdict"] == rights["verdict"] == "warning"
    assert str(home.secrets_file) in " ".join(secrets["evidence"])
    assert secrets["fix"]["command"].startswith("chmod go= ")
    assert rights["evidence"] == [f"{home.logs} (mode 0755)"]
    assert SECRET not in told.stdout + told.stderr

    mended = cli("doctor", "--fix", "--json", env={f"{PREFIX}HOME": str(home.path)})
    found = {one["check"]: one for one in mended.json["checks"]}
    assert found["machine-rights"]["treatment"]["worked"]
    assert home.wide() == []
    # Nobody but a person can say whether it was read.
    assert home.secrets_file.stat().st_mode & 0o777 == 0o640
