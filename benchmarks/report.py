"""Results for people: tables for a terminal and for a page, and a picture."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.results import COMMAND, ENGINE, FLOOR, Results, Row, Work

_COLUMNS = ("", "runs", "median", "least to most", "times floor", "times ours", "peak", "counts")
#: The works in the picture, and the order of their bars.
_PICTURE = ("day", "million", "month", "year")
_SYSTEMS = {
    FLOOR: "#9aa0a6",
    ENGINE: "#1a73e8",
    COMMAND: "#8ab4f8",
    "loop": "#f9ab00",
    "SQLMesh": "#e8710a",
    "dbt": "#d93025",
}


def _unit(value: float) -> tuple[float, str]:
    return (1000.0, "ms") if value < 1 else (1.0, "s")


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _seconds(value: float) -> str:
    factor, unit = _unit(value)
    return f"{_number(value * factor)} {unit}"


def _range(values: list[float]) -> str:
    """Write the least and the most in one unit."""
    factor, unit = _unit(max(values))
    return f"{_number(min(values) * factor)} to {_number(max(values) * factor)} {unit}"


def _ratio(values: list[float]) -> str:
    """Write the median of some ratios, and where there are several the least and the most."""
    median = _number(statistics.median(values))
    spread = f" ({_number(min(values))} to {_number(max(values))})" if len(values) > 1 else ""
    return median + spread


def _cells(work: Work, row: Row) -> list[str]:
    floor = work.row(FLOOR, row.variant)
    ratios = row.ratios(floor) if floor is not None and row is not floor else []
    ours = work.times_ours(row)
    took = list(row.seconds.values())
    return [
        f"{row.system}{f', {row.variant}' if row.variant else ''}",
        str(len(took)),
        _seconds(row.median),
        _range(took) if len(took) > 1 else "",
        _ratio(ratios) if ratios else "",
        f"{ours:.1f}" if ours is not None else "",
        f"{row.peak_mb} MB" if row.peak_mb is not None else "",
        {True: "equal", False: "WRONG", None: ""}[row.equal],
    ]  # fmt: skip


def print_tables(results: Results) -> None:
    """Print a table for each work."""
    console = Console(highlight=False)
    for work in results.works.values():
        table = Table(box=None, pad_edge=False)
        for number, column in enumerate(_COLUMNS):
            table.add_column(column, justify="left" if number in (0, 7) else "right")
        for row in work.rows:
            table.add_row(*_cells(work, row))
        console.print(f"\n[bold]{work.name}[/bold]: {work.title}")
        console.print(table)
        for what, value in work.facts.items():
            console.print(f"{what}: {value}")


def markdown(results: Results) -> str:
    """Write the tables as a page."""
    machine = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    options = ", ".join(
        f"{name} = {value}" for name, value in machine["postgresql_settings"].items()
    )
    about = (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['system']}, Python {machine['python']}, PostgreSQL {machine['postgresql']} "
        f"({options}), {versions}."
    )
    lines = [
        "# Results",
        "",
        about,
        "",
        "Written by `make bench`; what the columns mean is in [the README](../README.md).",
    ]
    for work in results.works.values():
        lines += ["", f"## {work.name}: {work.title}", "", f"Measured at {work.measured_at}.", ""]
        lines += [f"| {' | '.join(_COLUMNS)} |", "|---|" + "---:|" * 6 + "---|"]
        lines += [f"| {' | '.join(_cells(work, row))} |" for row in work.rows]
        if work.facts:
            lines += ["", *(f"- {what}: {value}" for what, value in work.facts.items())]
        if less := {row.system: row.less for row in work.rows if row.less}:
            lines += ["", "Does less than ours: " + "; ".join(
                f"**{system}** ({what})" for system, what in less.items()
            ) + "."]  # fmt: skip
    return "\n".join(lines) + "\n"


def picture(results: Results, path: Path) -> None:
    """Draw how many times the floor's time each system takes, for the works that all do."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "consumer-analytics"
    from matplotlib import pyplot as plt

    works = [
        work
        for name in _PICTURE
        if (work := results.works.get(name)) is not None and work.row(FLOOR) is not None
    ]
    if not works:
        return
    figure, all_axes = plt.subplots(
        len(works), 1, figsize=(8, 0.5 + 1.75 * len(works)), sharex=True, squeeze=False
    )
    for work, (axes,) in zip(works, all_axes, strict=True):
        _bars(axes, work)
    all_axes[-1][0].set_xlabel("times the floor's time (logarithmic)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _bars(axes: object, work: Work) -> None:
    floor = work.row(FLOOR)
    rows = [row for name in _SYSTEMS if (row := work.row(name)) is not None]
    values = [
        1.0 if row is floor or floor is None else statistics.median(row.ratios(floor) or [0.0])
        for row in rows
    ]
    names = [row.system for row in rows]
    call: Callable[..., object] = axes.barh  # type: ignore[attr-defined]
    bars = call(names, values, color=[_SYSTEMS[name] for name in names], height=0.7)
    labels = [f" {_seconds(row.median)}" for row in rows]
    axes.bar_label(bars, labels=labels, fontsize=8)  # type: ignore[attr-defined]
    axes.set_xscale("log")  # type: ignore[attr-defined]
    axes.set_xlim(0.5, 400)  # type: ignore[attr-defined]
    axes.invert_yaxis()  # type: ignore[attr-defined]
    axes.tick_params(labelsize=8)  # type: ignore[attr-defined]
    axes.set_title(f"{work.name}: {work.title}", fontsize=9, loc="left")  # type: ignore[attr-defined]
    axes.spines[["top", "right"]].set_visible(False)  # type: ignore[attr-defined]
