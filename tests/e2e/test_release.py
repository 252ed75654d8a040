"""A release installs into each Python there is, bare or with an extra, and says what it lacks."""

from __future__ import annotations

import contextlib
import email
import json
import re
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packaging.utils import canonicalize_name
from tests.conftest import Result, command_environment
from tests.support import lanes

from consumer_analytics.cli.commands import COMMANDS
from consumer_analytics.settings import PREFIX

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
UV = ROOT / "build" / "bootstrap" / "bin" / "uv"
#: Those that the metadata names; of the next one nothing is known here.
PYTHONS = ["3.11", "3.12", "3.13"]
#: Several calls of the command from one process: to start takes longer than to answer.
CALLS = """
import contextlib, io, json, sys
from consumer_analytics.cli.main import main
ended = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["consumer-analytics", *arguments]
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    ended.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(ended))
"""
#: A command that every installation with the extra gets as far as, and what it says then; without
#: it, what is lacking.
NEEDS = {
    "web": (["serve", "--host", "0.0.0.0"], "PASSWORD_FILE", "the dashboard needs "),
    "embedded": (["up", "--once"], "`up` with Airflow", "`up` needs psutil"),
}


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run something in an empty environment of ours."""
    return subprocess.run(
        command,
        env=command_environment({"PYTHONPATH": "", **environment}),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=120,
    )


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a release."""
    folder = tmp_path_factory.mktemp("release")
    done = run(sys.executable, ROOT / "tools" / "dist.py", "--to", folder, "--unvalidated")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {Path(line) for line in done.stdout.splitlines()} == set(folder.iterdir())
    return folder


def wheel_of(release: Path) -> Path:
    """Return the release's wheel."""
    (wheel,) = release.glob("*.whl")
    return wheel


@cache
def interpreter(version: str) -> str:
    """Return a Python of this machine; leave the test out where there is none."""
    # pyenv's own are on nobody's path.
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for program in (f"python{version}", *kept):
        with contextlib.suppress(FileNotFoundError):
            done = run(str(program), "-c", "import sys; print(sys.executable)")
            if done.returncode == 0:
                return done.stdout.strip()
    pytest.skip(f"no Python {version} on this machine")


def installed(release: Path, folder: Path, version: str, extra: str = "") -> Path:
    """Install the release's wheel into a new environment; return its programs."""
    assert run(UV, "venv", "--python", interpreter(version), folder).returncode == 0
    wanted = f"consumer-analytics{f'[{extra}]' if extra else ''} @ {wheel_of(release).as_uri()}"
    constraints = release / "constraints.txt"
    done = run(
        *(UV, "pip", "install", "--python", folder / "bin" / "python", "-c", constraints, wanted)
    )
    assert done.returncode == 0, done.stderr
    return folder / "bin"


def calls(programs: Path, *commands: list[str], home: Path) -> list[Result]:
    """Call the installed command several times; return how each ended."""
    entry = (programs / "python", "-c", CALLS, json.dumps(commands))
    done = run(*entry, **{f"{PREFIX}HOME": str(home)})
    assert done.returncode == 0, done.stderr
    return [Result(*one) for one in json.loads(done.stdout)]


def refused(done: Result) -> str:
    """Return the one line that a command ended with."""
    assert done.exit_code == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("version", "extra"),
    lanes.seldom(
        2,
        lanes.first(
            0,
            [
                *((PYTHONS[0], extra) for extra in ("", *NEEDS)),
                *((version, extra) for version in PYTHONS[1:] for extra in ("", ",".join(NEEDS))),
            ],
        ),
    ),
)
def test_every_command_runs_or_says_what_it_lacks(
    release: Path, tmp_path: Path, version: str, extra: str
) -> None:
    programs = installed(release, tmp_path / "env", version, extra)
    assert run(programs / "consumer-analytics", "--version").stdout == "1.0.0\n"
    helps = [[name, "--help"] for name in COMMANDS]
    lacking = [arguments for arguments, _, _ in NEEDS.values()]
    ended = calls(
        programs, *helps, ["doctor", "--json"], ["docs", "README"], *lacking, home=tmp_path / "home"
    )
    for name, told in zip(COMMANDS, ended, strict=False):
        assert told.exit_code == 0, told.stderr
        assert f"consumer-analytics {name} " in told.stdout
    examined, page, *without = ended[len(helps) :]
    assert examined.json["checks"][0]["says"] == "the database cannot be used"
    assert page.stdout.startswith("# Documentation")
    for (needed, (_, goes_on, lacks)), told in zip(NEEDS.items(), without, strict=True):
        line = refused(told)
        there = needed in extra
        assert (goes_on if there else lacks) in line
        if not there:
            assert f"consumer-analytics[{needed}] @ {wheel_of(release).as_uri()}" in line


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("", "the channel chat needs apprise, which comes with the extra alerts: "),
        ("alerts", "the service of chat (ntfy) could not be told"),
    ],
)
def test_chats_and_pagers_come_with_their_extra(
    release: Path, tmp_path: Path, extra: str, words: str
) -> None:
    programs = installed(release, tmp_path / "env", PYTHONS[0], extra)
    channels = tmp_path / "channels.toml"
    channels.write_text('[chat]\nurl = "ntfy://127.0.0.1:1/alerts"\n', encoding="utf-8")
    channels.chmod(0o600)
    done = run(
        *(programs / "consumer-analytics", "alerts", "test"),
        **{f"{PREFIX}HOME": str(tmp_path), f"{PREFIX}ALERT_CHANNELS_FILE": str(channels)},
    )
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_what_is_advised_installs_it(release: Path, tmp_path: Path) -> None:
    programs, home = installed(release, tmp_path / "env", PYTHONS[0]), tmp_path / "home"
    serve, _, _ = NEEDS["web"]
    (lacking,) = calls(programs, serve, home=home)
    advice = refused(lacking).partition("extra web: ")[2]
    path = f"{UV.parent}:/usr/bin:/bin"
    done = run("bash", "-c", advice, PATH=path, UV_CONSTRAINT=str(release / "constraints.txt"))
    assert done.returncode == 0, done.stderr
    (there,) = calls(programs, serve, home=home)
    assert "PASSWORD_FILE" in refused(there)


def test_airflow_finds_the_dags_and_the_page_of_an_installed_release(
    release: Path, tmp_path: Path
) -> None:
    programs = installed(release, tmp_path / "env", PYTHONS[0], "airflow")
    done = run(
        programs / "python",
        "-c",
        "import consumer_analytics.dags.consumer_analytics_etl as etl; "
        "from consumer_analytics.web.airflow_plugin import ConsumerAnalyticsPlugin as page; "
        "print(etl.__file__, page.name)",
        AIRFLOW_HOME=str(tmp_path / "airflow"),
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "env") in done.stdout


def test_the_wheel_has_what_it_must(release: Path) -> None:
    with zipfile.ZipFile(wheel_of(release)) as wheel:
        names = set(wheel.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(wheel.read(metadata))
    assert told["Version"] == "1.0.0"
    assert told["License-Expression"] == "Apache-2.0"
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "consumer_analytics/py.typed" in names
    assert set(told.get_all("Provides-Extra") or ()) == {
        "web",
        "embedded",
        "airflow",
        "alerts",
        "celery",
        "dataframes",
        "delta",
        "iceberg",
        "lake",
        "sail",
        "spark",
    }
    pages = {page.relative_to(ROOT) for page in (ROOT / "docs").rglob("*.md")}
    assert {f"consumer_analytics/{page}" for page in pages} <= names


def test_the_list_of_parts_has_each_with_version_and_licence(release: Path) -> None:
    (file,) = release.glob("*.cdx.json")
    listed: dict[str, Any] = json.loads(file.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    assert listed["metadata"]["component"]["name"] == "consumer-analytics"
    pinned = dict(
        re.findall(
            r"^([a-z0-9-]+)==([^ ;\n]+)$", (release / "constraints.txt").read_text(), re.MULTILINE
        )
    )
    parts = {canonicalize_name(one["name"]): one for one in listed["components"]}
    assert {name: one["version"] for name, one in parts.items()}.items() >= pinned.items()
    assert sum("licenses" in one for one in parts.values()) > 0.9 * len(parts)
