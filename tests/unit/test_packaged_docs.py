"""The pages are in the package, so that what a message points to is reached from a wheel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import consumer_analytics
from consumer_analytics.cli.docs import find, pages
from consumer_analytics.errors import UsageError

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = Path(consumer_analytics.__file__).parent
#: How text of ours points to a page: by its path, or by the command that shows it.
POINTERS = re.compile(r"(?:\bdocs/(?=[\w/-]+\.md)|consumer-analytics docs (?!PAGE))([\w/-]+)")


def test_each_page_is_in_the_package_as_it_is() -> None:
    """After a new page: `python tools/reference.py`."""
    written = {
        page.relative_to(DOCS).with_suffix("").as_posix(): page.read_text("utf-8")
        for page in DOCS.rglob("*.md")
    }
    assert {name: page.read_text("utf-8") for name, page in pages().items()} == written


def test_each_page_that_the_product_points_to_is_there() -> None:
    named = {
        (path.relative_to(SOURCE).as_posix(), page)
        for path in SOURCE.rglob("*")
        if path.suffix in {".py", ".sql", ".j2", ".html", ".js"}
        for page in POINTERS.findall(path.read_text("utf-8"))
    }
    # A message, and a comment.
    assert ("local/metadata.py", "run-locally") in named
    assert ("etl/capture.py", "decisions/0021-capture") in named
    for path, page in named:
        assert find(page).is_file(), f"{path} points to {page}"


@pytest.mark.parametrize(
    "name", ["own-database", "how-to/own-database", "docs/how-to/own-database.md"]
)
def test_a_page_is_found_by_any_of_its_names(name: str) -> None:
    assert find(name).read_text("utf-8") == (DOCS / "how-to/own-database.md").read_text("utf-8")


def test_a_page_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="no page nothing; `consumer-analytics docs` lists them"):
        find("nothing")
