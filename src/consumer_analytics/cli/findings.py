"""How findings are printed, and the exit codes of commands that look for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from consumer_analytics.cli.output import harmless, laid_out, out, say
from consumer_analytics.formatting import counted
from consumer_analytics.operations.doctor.findings import Examined, Finding, Verdict

_COLOURS = {
    Verdict.OK: "green",
    Verdict.UNKNOWN: "cyan",
    Verdict.WARNING: "yellow",
    Verdict.PROBLEM: "red",
}
#: By the worst of the findings.
EXIT_CODES = {Verdict.OK: 0, Verdict.UNKNOWN: 1, Verdict.WARNING: 1, Verdict.PROBLEM: 2}


#: How wide a verdict and a check's name are, and the label of what is said below.
_NAMED, _DETAILED = 32, 18


def show(one: Examined, *, evidence: bool = False) -> None:
    """Print what a check found; where that is good in a line, or with its evidence.

    What lacks the database alone `sum_up` tells, for all of them.
    """
    if one.finding.wants_database:
        return
    _print_line(one.finding.verdict, one.check.name, one.finding)
    if one.finding.verdict is Verdict.OK and not evidence:
        return
    for line in one.finding.evidence:
        _print_detail("", line)
    if one.finding.cause:
        _print_detail("cause", one.finding.cause)
    if one.finding.fix is not None:
        for place, line in enumerate(one.finding.fix.command.splitlines()):
            _print_detail("" if place else "fix", line, whole=True)  # it is copied
    if one.treatment is not None:
        _print_detail("done", one.treatment.done)
        if one.treatment.proof is not None:
            _print_line(one.treatment.proof.verdict, one.check.name, one.treatment.proof)


def sum_up(examined: Sequence[Examined], more: str = "") -> None:
    """Print how many checks there were and what they found, `more` after it.

    Without a database most cannot be made: a line for all of them instead of one for each.
    """
    blind = sum(one.finding.wants_database for one in examined)
    found = sum(one.finding.verdict is not Verdict.OK for one in examined) - blind
    if blind:
        checks = counted(blind, "more check needs", "more checks need")
        say(f"{Verdict.UNKNOWN.word:<8} {checks} the database")
    told = counted(found, "finding") if found else "nothing found"
    say(f"{counted(len(examined), 'check')}, {told}{more}")


def summary(examined: Sequence[Examined], worst: Verdict) -> dict[str, Any]:
    """Return what was found for `--json`, the worst of the verdicts first."""
    return {
        "verdict": worst.word,
        "found": sum(one.finding.verdict is not Verdict.OK for one in examined),
        "checks": [one.as_json() for one in examined],
    }


def _print_line(verdict: Verdict, name: str, finding: Finding) -> None:
    colour = _COLOURS[verdict]
    says = laid_out(harmless(finding.says), out, before=_NAMED)
    out.print(f"[{colour}]{verdict.word:<8}[/{colour}] {name:<22} {escape(says)}")


def _print_detail(label: str, text: str, *, whole: bool = False) -> None:
    told = harmless(text) if whole else laid_out(harmless(text), out, before=_DETAILED)
    out.print(f"         [dim]{label:>7}[/dim]  {escape(told)}")
