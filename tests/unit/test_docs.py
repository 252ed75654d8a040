"""The documentation says what the product does, and holds together."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from consumer_analytics.calendar.intervals import INTERVALS
from consumer_analytics.local import doctor as machine
from consumer_analytics.monitoring import measures
from consumer_analytics.operations import doctor
from consumer_analytics.settings import PREFIX, Settings, variable

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPT = ROOT / "tools" / "reference.py"
#: What people read: the site, and the pages that a repository shows.
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *(ROOT / "benchmarks").glob("*.md"),
    *sorted(DOCS.rglob("*.md")),
]
#: Files of a home or of an Airflow, not of the repository.
MADE_ELSEWHERE = {"config/airflow_local_settings.py", "airflow/passwords.json"}
#: A setting of the test suite.
OF_THE_TESTS = {f"{PREFIX}TEST_DATABASE_URL"}
DECISIONS = sorted((DOCS / "decisions").glob("[0-9]*.md"))


def named(page: Path) -> str:
    """Return a page's name for a test's id."""
    return page.relative_to(ROOT).as_posix()


def test_generated_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_site_builds_strictly_and_each_of_its_links_leads_somewhere() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_site.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def navigation() -> list[str]:
    """Return the pages of the site's navigation, in its order."""

    def entries(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        else:
            for child in node.values() if isinstance(node, dict) else node:
                yield from entries(child)

    configuration = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    return list(entries(configuration["project"]["nav"]))


def test_every_page_is_in_the_navigation_once() -> None:
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(navigation()) == sorted(pages), "zensical.toml and docs/ differ"


def test_every_page_is_reached_from_the_index() -> None:
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    decisions = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    missing = [
        page
        for page in navigation()
        if page != "README.md"
        and f"({page})" not in index
        and f"({page.removeprefix('decisions/')})" not in decisions
    ]
    assert not missing, "add these to docs/README.md or docs/decisions/README.md"


def headings(page: Path) -> set[str]:
    """Return the anchors that a page's headings get."""
    found: set[str] = set()
    text = re.sub(
        r"^( *)```.*?^\1```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", heading).lower()).strip()
        found.add(re.sub(r"[\s]+", "-", slug))
    return found


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_pages_and_headings(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        address, _, anchor = target.partition("#")
        if "://" in address:
            continue
        other = page.parent / address if address else page
        if not other.exists() or (anchor and anchor not in headings(other)):
            wrong.append(target)
    assert wrong == []


def test_pages_name_no_file_that_is_not_there() -> None:
    """Paths in code, such as `etl/run.py`, follow the files' moves."""
    file = re.compile(r"`([\w.*/-]+\.(?:py|sql|md|j2|toml|yml))`")
    file_or_folder = re.compile(r"`([\w.*/-]+(?:/|\.(?:py|sql|md|j2|toml|yml)))`")
    wrong = []
    for page in PAGES:
        # Elsewhere an address may end like a folder.
        pattern = file_or_folder if page.name == "CONTRIBUTING.md" else file
        for path in pattern.findall(page.read_text("utf-8")):
            if "/" not in path or path in MADE_ELSEWHERE or path.startswith("build/"):
                continue
            places = (ROOT, ROOT / "src" / "consumer_analytics", page.parent)
            if not any(list(place.glob(path)) for place in places):
                wrong.append(f"{named(page)}: {path}")
    assert wrong == []


def test_the_how_to_of_backfills_names_each_interval() -> None:
    text = (DOCS / "how-to" / "backfill.md").read_text(encoding="utf-8")
    assert [name for name in INTERVALS if f"`{name}`" not in text] == []


def commands() -> dict[str, set[str]]:
    """Return each command's options, from the generated reference."""
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    found: dict[str, set[str]] = {}
    for section in re.split(r"^#{1,3} `consumer-analytics ", text, flags=re.MULTILINE)[1:]:
        name, _, body = section.partition("`")
        found[name] = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", body)) | {"--help"}
    return found


def test_every_command_that_a_page_shows_exists_with_its_options() -> None:
    known = commands()
    assert {"run", "backfill", "backfill list", "doctor"} <= known.keys()
    shown = 0
    wrong = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for line in re.findall(
            r"(?:^\s*(?:\$ )?|`|\*  )consumer-analytics ([^`\n]+)", text, re.MULTILINE
        ):
            words = re.split(r"\s*[#|>]|\s&&", line)[0].split()
            pair = " ".join(words[:2])
            name = pair if pair in known else words[0] if words else ""
            if name == "--version" or not re.fullmatch(r"[a-z -]+", name):
                continue
            shown += 1
            unknown = {word.partition("=")[0] for word in words if word.startswith("--")}
            unknown -= known.get(name, set())
            if name not in known or unknown:
                wrong.append(f"{named(page)}: consumer-analytics {line}")
    assert shown > 50
    assert wrong == []


def test_every_setting_that_a_page_names_exists() -> None:
    known = {variable(field.name) for field in dataclasses.fields(Settings)}
    table = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in table for name in known)
    ours = re.compile(rf"{PREFIX}[A-Z_]*[A-Z]\b(?!_)")
    wrong = [
        f"{named(page)}: {name}"
        for page in PAGES
        for name in ours.findall(page.read_text(encoding="utf-8"))
        if name not in known | OF_THE_TESTS
    ]
    assert wrong == []


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_a_decision_has_number_date_and_status(page: Path) -> None:
    number = int(page.name.partition("-")[0])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {number}. ")
    day = r"(\d{4}-\d{2}-\d{2})"
    status = rf"(?:accepted(?:, revised {day})?|superseded by \[(\d+)\]\(.+\))"
    head = re.match(rf"# .+\n\n{day} · {status}\n\n", text)
    assert head, "the line below the title: date · accepted, or superseded by [N](page)"
    assert date.fromisoformat(head[1]) <= date.fromisoformat(head[2] or head[1])
    if head[3]:
        assert int(head[3]) in {int(one.name.partition("-")[0]) for one in DECISIONS}


def test_the_list_of_decisions_has_each_with_date_and_status() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in DECISIONS:
        title, _, line = page.read_text(encoding="utf-8").split("\n", 3)[:3]
        assert f"- [{title.removeprefix('# ')}]({page.name})<br>{line}\n" in listed, page.name


def test_gaps_between_decisions_are_explained() -> None:
    text = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    numbers = {int(page.name.partition("-")[0]) for page in DECISIONS}
    told: set[int] = set()
    for first, last in re.findall(r"\b(\d+)(?: to (\d+))?", text.partition("## Gaps")[2]):
        told |= set(range(int(first), int(last or first) + 1))
    assert set(range(1, max(numbers))) - numbers == told


def test_the_map_of_packages_is_the_linters() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    mapped = {
        name: layer for layer, name in re.findall(r"^\| (\d*) ?\| `(\w+)[/.]", text, re.MULTILINE)
    }
    package = ROOT / "src" / "consumer_analytics"
    there = {one.parent.name for one in package.glob("*/__init__.py")}
    there |= {one.stem for one in package.glob("*.py") if one.stem != "__init__"}
    assert mapped.keys() == there
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = {
        name.strip().removeprefix("consumer_analytics."): str(number)
        for number, layer in enumerate(linter["contracts"][0]["layers"], 1)
        for name in layer.split("|")
    }
    assert {name: layer for name, layer in mapped.items() if layer} == layers


def test_the_readme_counts_the_migrations() -> None:
    """The rest of what it shows is compared with a real start, in `tests/e2e`."""
    scripts = (ROOT / "src" / "consumer_analytics" / "migrations" / "versions").glob("[0-9]*.py")
    shown = re.findall(r"up to date: (\d+) migrations", (ROOT / "README.md").read_text("utf-8"))
    assert shown == [str(len(list(scripts)))]


def test_the_runbook_knows_what_each_mail_is_about() -> None:
    page = (DOCS / "runbook.md").read_text()
    for subject in (measures.FRESHNESS, measures.FAILURES, measures.RUNTIME, measures.MEASURING):
        assert f"`{subject.title}`" in page
    for word in ("FAILED:", "LATE:", "OVER:", "WARNING", "CRITICAL", "STILL"):
        assert f"`{word}" in page


def test_the_page_of_the_doctor_has_each_check_once() -> None:
    page = (DOCS / "how-to/doctor.md").read_text(encoding="utf-8")
    _, _, asked = page.partition("\n## What it asks\n")
    told = re.findall(r"^\| `([a-z-]+)` \|", asked, re.MULTILINE)
    assert sorted(told) == sorted(check.name for check in (*doctor.CHECKS, *machine.CHECKS))
