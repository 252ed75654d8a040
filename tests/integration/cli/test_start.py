"""What a run imports: a command that works for a tenth of a second must not load for one."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.conftest import Database, command_environment

from consumer_analytics.settings import PREFIX

#: What a run needs of other people's packages, and what those need.
NEEDED = {
    "annotated_doc",
    "annotated_types",
    "cython_runtime",
    "dotenv",
    "platformdirs",
    "psycopg",
    "psycopg_binary",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "rich",
    "shellingham",
    "typer",
    "typing_extensions",
    "typing_inspection",
    "tzdata",
}
#: What the storage forecast needs, to know how often the schedule comes round.
SCHEDULE = {"croniter", "dateutil"}


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


def imported_by(database: Database, *arguments: str) -> set[str]:
    """Run the command; return the names of all modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, *arguments],
        env=command_environment({f"{PREFIX}DATABASE_URL": database.url}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [
        (["run", "--as-of", "2025-06-01"], {"main", "commands", "output", "run"}),
        (["status"], {"main", "commands", "output", "status"}),
        (
            ["backfill", "--start-date", "2025-05-01", "--end-date", "2025-05-02"],
            {"main", "commands", "output", "backfill"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_command_imports_what_it_needs(
    database: Database, arguments: list[str], modules: set[str]
) -> None:
    names = imported_by(database, *arguments)
    ours = "consumer_analytics.cli."
    assert {name.removeprefix(ours) for name in names if name.startswith(ours)} == modules
    others = {name.partition(".")[0] for name in names if not name.startswith("_")}
    others -= sys.stdlib_module_names
    assert others - {"consumer_analytics"} <= NEEDED | (
        SCHEDULE if arguments == ["status"] else set()
    )
    assert "rich.progress" not in names or arguments[0] == "backfill"
