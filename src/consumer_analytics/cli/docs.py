"""`consumer-analytics docs`: the pages of the documentation, from wherever this copy is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated

import typer

from consumer_analytics.cli.output import out, print_table, print_text, say
from consumer_analytics.errors import UsageError

_SUFFIX = ".md"
#: Why things are as they are: many pages, which a page of its own lists.
_DECISIONS = "decisions/"


def docs(
    page: Annotated[
        str | None,
        typer.Argument(
            metavar="PAGE", help="Its name, such as own-database or how-to/own-database."
        ),
    ] = None,
) -> None:
    """Show a page of the documentation, or list the pages.

    On a terminal in the pager ($PAGER, else less), elsewhere as it is written, in Markdown.
    """
    if page is not None:
        _show(find(page))
        return
    shown = {name: text for name, text in pages().items() if not name.startswith(_DECISIONS)}
    print_table(["page", "title"], [[name, _title(text)] for name, text in shown.items()])
    say("`consumer-analytics docs PAGE` shows one; decisions/README lists the decisions")


def pages() -> dict[str, Traversable]:
    """Return each page that this copy has, by its name: the path below docs/ without `.md`."""
    return dict(sorted(_below(files("consumer_analytics") / "docs", "")))


def _below(folder: Traversable, place: str) -> Iterator[tuple[str, Traversable]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _below(entry, f"{place}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            yield place + entry.name.removesuffix(_SUFFIX), entry


def find(name: str) -> Traversable:
    """Return a page by its name, its last part alone, or its path in a checkout.

    Raises:
        UsageError: there is no such page, or there are several.
    """
    there = pages()
    wanted = name.removeprefix("docs/").removesuffix(_SUFFIX)
    if wanted in there:
        return there[wanted]
    same = [one for one in there if one.rpartition("/")[2].lower() == wanted.lower()]
    if len(same) == 1:
        return there[same[0]]
    if same:
        raise UsageError(f"there are several pages {name}: {', '.join(same)}")
    raise UsageError(f"there is no page {name}; `consumer-analytics docs` lists them")


def _title(page: Traversable) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _show(page: Traversable) -> None:
    text = page.read_text(encoding="utf-8")
    if not out.is_terminal:
        print_text(text)
        return
    from rich.markdown import Markdown

    # Colours as they are; what fits the screen stays on it.
    os.environ.setdefault("LESS", "-FRX")
    with out.pager(styles=True):
        # Where a link leads is the name of a page.
        out.print(Markdown(text, hyperlinks=False))
