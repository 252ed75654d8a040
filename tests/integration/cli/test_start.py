"""What a run imports: a command that works for a tenth of a second must not load for one."""

from __future__ import annotations

import inspect
import os
import pty
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import COMMAND, Database, command_environment
from tests.support import lanes
from typer.testing import CliRunner

from consumer_analytics.cli import commands
from consumer_analytics.cli.commands import COMMANDS, GROUPS, app
from consumer_analytics.settings import PREFIX

#: What a command line needs of other people's packages, and what those need.
COMMAND_LINE = {"annotated_doc", "rich", "shellingham", "typer"}
#: What a run needs beside it.
NEEDED = {
    *COMMAND_LINE,
    "cython_runtime",
    "platformdirs",
    "psycopg",
    "psycopg_binary",
    "typing_extensions",
    "tzdata",
}
#: What the storage forecast needs, to know how often the schedule comes round.
SCHEDULE = {"croniter", "dateutil"}


#: Packages that few commands have a use for, and which of them do.
PACKAGES = {
    *("airflow", "backfill", "ingest", "local", "monitoring", "operations", "orchestration"),
    *("reconcile", "reporting", "web"),
}
MAY_READ = {
    "import": {"ingest"},
    "simulate": {"ingest"},
    "sweep": {"reconcile"},
    "audit": {"reconcile"},
    "status": {"airflow", "operations", "reporting"},
    "health": {"airflow", "monitoring"},
    "incidents": {"airflow", "monitoring"},
    "alerts": {"airflow", "monitoring", "reporting"},
    "check": {"airflow", "backfill", "monitoring", "operations"},
    "doctor": {"airflow", "local", "monitoring", "operations"},
    "maintenance": {"airflow", "operations", "orchestration"},
    "metrics": {"airflow", "monitoring"},
    "tokens": {"web"},
    # What a login that may read little is told.
    "watermark": {"reporting"},
    "up": {"airflow", "backfill", "ingest", "local", "operations", "reporting"},
    "backfill": {"backfill"},
    "archive": {"operations"},
    "migrate": {"operations"},
    "snapshots": {"operations"},
}
#: Commands that share an option, or what they print, with another one.
READ_TOO = {
    "check": {"findings"},
    "doctor": {"findings"},
    "audit": {"choice"},
    "sweep": {"choice"},
    "vanished": {"choice"},
    "snapshots": {"choice", "consent"},
    "up": {"status"},
    "watermark": {"consent"},
}


#: The command's own entry point, and then what it has imported.
ENTRY = """
import sys
before = set(sys.modules)
from consumer_analytics.cli.main import main
try:
    main()
finally:
    print(*(set(sys.modules) - before), file=sys.stderr)
"""


def imported_by(*arguments: str, url: str = "") -> set[str]:
    """Run the command; return the names of all modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, *arguments],
        env=command_environment({f"{PREFIX}DATABASE_URL": url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def ours(names: set[str], below: str = "") -> set[str]:
    """Return the product's own modules among the names, below a package of it."""
    package = f"consumer_analytics.{below}"
    return {name.removeprefix(package) for name in names if name.startswith(package)}


def others(names: set[str]) -> set[str]:
    """Return other people's packages among the names."""
    found = {name.partition(".")[0] for name in names if not name.startswith("_")}
    return found - sys.stdlib_module_names - {"consumer_analytics"}


@pytest.mark.parametrize(
    ("arguments", "modules"),
    lanes.first(
        2,
        [
            (
                ["run", "--as-of", "2025-06-01"],
                {"main", "commands", "options", "output", "run", "tables"},
            ),
            (["status"], {"main", "commands", "options", "output", "status", "tables"}),
            (
                ["backfill", "--start-date", "2025-05-01", "--end-date", "2025-05-02"],
                {"main", "commands", "options", "output", "backfill"},
            ),
        ],
    ),
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_needs(
    database: Database, arguments: list[str], modules: set[str]
) -> None:
    names = imported_by(*arguments, url=database.url)
    assert ours(names, "cli.") == modules
    assert others(names) <= NEEDED | (SCHEDULE if arguments == ["status"] else set())
    assert "rich.progress" not in names or arguments[0] == "backfill"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]], ids=str)
def test_the_overview_reads_no_command(arguments: list[str]) -> None:
    names = imported_by(*arguments)
    assert ours(names) <= {"cli", "cli.main", "cli.commands", "cli.options", "cli.help"}
    assert others(names) <= COMMAND_LINE


@pytest.mark.parametrize("command", lanes.first(2, COMMANDS))
def test_a_command_reads_no_other(command: str) -> None:
    names = imported_by(command, "--help")
    shared = {"main", "commands", "options", "output", "address"}
    assert ours(names, "cli.") - shared == {COMMANDS[command].module} | READ_TOO.get(command, set())
    assert ours(names) & PACKAGES <= MAY_READ.get(command, set())


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_overview_tells_of_each_command_what_its_own_help_begins_with(width: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, "--help"],
        env=command_environment({"COLUMNS": str(width)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert max(map(len, done.stdout.splitlines())) <= width
    shown = " ".join(done.stdout.replace("│", " ").split())
    overview = typer.main.get_command(app)
    with typer.Context(overview) as context:
        for name, registered in COMMANDS.items():
            command = overview.get_command(context, name)  # type: ignore[attr-defined]
            module = import_module(f"consumer_analytics.cli.{registered.module}")
            # A command that has subcommands too says for itself what it does alone.
            text = module.app.info.help if hasattr(module, "app") else command.help
            first = " ".join(inspect.cleandoc(text).split("\n\n")[0].split())
            assert registered.summary == first
            assert f"{name} {first}" in shown


@pytest.mark.parametrize("options", [["status"], ["status", "--json"]], ids=" ".join)
def test_on_a_terminal_a_command_says_once_which_database_it_is_about(
    database: Database, options: list[str]
) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [COMMAND, *options],
        env=command_environment({f"{PREFIX}DATABASE_URL": database.url, "TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=60,
        check=True,
    )
    os.write(theirs, b".")
    said = os.read(ours, 65536).decode().rstrip(".")
    os.close(ours)
    os.close(theirs)
    assert database.name not in done.stdout.decode()
    assert said.count(f"database {database.name} at ") == (options == ["status"])
    if options == ["status"]:
        assert f", as {conninfo_to_dict(database.url)['user']}" in said
    else:
        assert said == ""


@pytest.mark.parametrize(
    ("command", "says"), [("run", "processing what is new"), ("sweep", "recounting days")]
)
def test_on_a_terminal_what_may_take_long_says_what_it_is_at(
    database: Database, command: str, says: str
) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [COMMAND, command],
        env=command_environment({f"{PREFIX}DATABASE_URL": database.url, "TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=60,
        check=True,
    )
    said = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert says in said


def test_a_home_whose_server_is_not_used_is_named(database: Database, tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "socket").write_text("/somewhere/else\n")
    given = {f"{PREFIX}DATABASE_URL": database.url}
    warning = (
        f"warning: {PREFIX}DATABASE_URL is set, and so the server of {PREFIX}HOME, {tmp_path}, is "
        "not used\n"
    )
    for home, expected in ((tmp_path, warning), (tmp_path / "new", "")):
        done = subprocess.run(
            [COMMAND, "status", "--json"],
            env=command_environment({**given, f"{PREFIX}HOME": str(home)}),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stderr == expected


def test_the_overview_groups_all_commands() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80"}).stdout
    titles = re.findall(r"^╭─ (.+?) ─", shown, re.MULTILINE)
    assert titles == ["Options", *GROUPS]
    assert sorted(re.findall(r"^│ ([a-z]+) ", shown, re.MULTILINE)) == sorted(COMMANDS)
    assert sum(map(len, GROUPS.values())) == len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_h_is_help_and_nothing_of_it_is_cut(command: str) -> None:
    overview = typer.main.get_command(app)
    with typer.Context(overview) as context:
        read = overview.get_command(context, command)  # type: ignore[attr-defined]
    for words in ([command], *([command, below] for below in getattr(read, "commands", ()))):
        shown = [
            CliRunner().invoke(app, [*words, option], env={"COLUMNS": "80"})
            for option in ("-h", "--help")
        ]
        assert [one.exit_code for one in shown] == [0, 0], words
        assert shown[0].stdout == shown[1].stdout
        assert f"consumer-analytics {' '.join(words)} " in shown[0].stdout
        assert max(map(len, shown[0].stdout.splitlines())) <= 80
        # So Rich ends what it cuts.
        assert "…" not in shown[0].stdout


def test_ctrl_c_while_a_command_is_still_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "_read", read)
    done = CliRunner().invoke(app, ["sweep"])
    assert (done.exit_code, done.stderr) == (130, "stopped: nothing was begun\n")


def test_ctrl_c_when_a_command_has_said_everything_changes_nothing() -> None:
    late = "import atexit, os; atexit.register(os.kill, os.getpid(), 2); "
    entry = "from consumer_analytics.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", late + entry, "--version"],
        env=command_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
