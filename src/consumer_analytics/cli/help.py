"""The overview that `consumer-analytics --help` prints, in the look of Typer's own help.

Typer's own would import its renderer of Markdown and of tracebacks, which takes as long as all
the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import typer
from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from typer.core import TyperGroup, TyperOption


def show(group: TyperGroup, context: typer.Context, groups: Mapping[str, Collection[str]]) -> None:
    """Print how the commands are called, the options of all of them, and their summaries.

    Args:
        group: of all commands.
        context: of the call.
        groups: what commands are for, with their names.
    """
    console = Console(highlight=False)
    usage = Text(group.get_usage(context), style="bold")
    usage.highlight_words(["Usage:"], "yellow")
    console.print(Padding(usage, 1))
    console.print(Padding(Text(group.help or ""), (0, 1, 1, 1)))
    options = [
        (", ".join(option.opts), option.help or "")
        for option in group.get_params(context)
        if isinstance(option, TyperOption)
    ]
    console.print(_panel("Options", options))
    widest = max(map(len, group.commands))
    for title, names in groups.items():
        commands = [(name.ljust(widest), group.commands[name].short_help or "") for name in names]
        console.print(_panel(title, commands))


def _panel(title: str, rows: Sequence[tuple[str, str]]) -> Panel:
    table = Table(show_header=False, box=None, expand=True, pad_edge=False, padding=(0, 1))
    table.add_column(style="bold cyan", no_wrap=True)
    # All room there is, so that the panels' columns do not depend on one another.
    table.add_column(ratio=1)
    for name, summary in rows:
        table.add_row(name, Text(summary))
    return Panel(table, title=title, title_align="left", border_style="dim")
