"""How findings are printed, and the exit codes of commands that look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from consumer_analytics.cli.output import harmless, out
from consumer_analytics.operations.doctor.findings import Examined, Finding, Verdict

_COLOURS = {
    Verdict.OK: "green",
    Verdict.UNKNOWN: "cyan",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "red",
}
#: By the worst of the findings.
EXIT_CODES = {Verdict.OK: 0, Verdict.UNKNOWN: 1, Verdict.WARNING: 1, Verdict.PROBLEM: 2}


def show(one: Examined, *, evidence: bool = False) -> None:
    """Print what a check found; where that is good in a line, or with its evidence."""
    _print_line(one.finding.verdict, one.check.name, one.finding)
    if one.finding.verdict is Verdict.OK and not evidence:
        return
    for line in one.finding.evidence:
        _print_detail("", line)
    if one.finding.cause:
        _print_detail("cause", one.finding.cause)
    if one.finding.fix is not None:
        for place, line in enumerate(one.finding.fix.command.splitlines()):
            _print_detail("" if place else "fix", line)
    if one.treatment is not None:
        _print_detail("done", one.treatment.done)
        if one.treatment.proof is not None:
            _print_line(one.treatment.proof.verdict, one.check.name, one.treatment.proof)


def summary(examined: Sequence[Examined], worst: Verdict) -> dict[str, Any]:
    """Return what was found for `--json`, the worst of the verdicts first."""
    return {
        "verdict": worst.word,
        "found": sum(one.finding.verdict is not Verdict.OK for one in examined),
        "checks": [one.as_json() for one in examined],
    }


def _print_line(verdict: Verdict, name: str, finding: Finding) -> None:
    colour = _COLOURS[verdict]
    out.print(f"[{colour}]{verdict.word:<8}[/{colour}] {name:<22} {escape(harmless(finding.says))}")


def _print_detail(label: str, text: str) -> None:
    out.print(f"         [dim]{label:>7}[/dim]  {escape(harmless(text))}")
