"""What is kept between runs, and what is known to be equal.

`build/mutation/measured.json` says what each test reaches, `results.jsonl` what became of
each mutant, a line each, the last one counts. `equivalent.toml` beside this file names
mutants that no test can notice, with the reason.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.mutation.configuration import BUILD
from tools.mutation.edits import Mutant

_MEASURED = BUILD / "measured.json"
RESULTS = BUILD / "results.jsonl"
SCORE = BUILD / "score.json"
OUTCOMES = ("killed", "timed out", "survived", "unreached", "equivalent", "invalid")


# -- tests -----------------------------------------------------------------------


def measured() -> dict[str, dict[str, Any]]:
    """Return what is known of tests: by file, a digest and the measures of its tests."""
    if not _MEASURED.exists():
        return {}
    known: dict[str, dict[str, Any]] = json.loads(_MEASURED.read_text(encoding="utf-8"))
    return known


def keep_measured(known: dict[str, dict[str, Any]]) -> None:
    """Keep what is known of tests."""
    _MEASURED.write_text(json.dumps(known, indent=1), encoding="utf-8")


def digest(file: Path) -> str:
    """Return what tells a file's text from an earlier one."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]


# -- mutants ---------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """A mutant and what became of it.

    Attributes:
        mutant: the mutant.
        outcome: one of `OUTCOMES`.
        by: the test that noticed.
        why: what it said; the reason, where it is equivalent.
        tests: how many tests were run.
        seconds: how long they took.
    """

    mutant: Mutant
    outcome: str
    by: str = ""
    why: str = ""
    tests: int = 0
    seconds: float = 0.0


def tried() -> dict[str, dict[str, Any]]:
    """Return the last result of each mutant that was tried, by key."""
    if not RESULTS.exists():
        return {}
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    return {one["key"]: one for one in map(json.loads, lines)}


def keep(answers: Iterable[dict[str, Any]]) -> None:
    """Add results to those that are kept."""
    with RESULTS.open("a", encoding="utf-8") as file:
        for one in answers:
            file.write(json.dumps(one) + "\n")


@dataclass(frozen=True)
class Equivalent:
    """Mutants that change nothing that anyone could see.

    Attributes:
        file: the file's name, with as much of its folders as tells it from others.
        line: what the line says, blanks squeezed; empty: any line.
        becomes: what the mutant makes of it; empty: whatever it becomes by `kind`.
        kind: the sort of mistake, where `becomes` is empty.
        why: the reason.
    """

    file: str
    why: str
    line: str = ""
    becomes: str = ""
    kind: str = ""

    def fits(self, mutant: Mutant) -> bool:
        """Tell whether it is this mutant."""
        return (
            f"/{mutant.file}".endswith(f"/{self.file}")
            and self.line in {"", mutant.before}
            and self.becomes in {"", mutant.after}
            and self.kind in {"", mutant.edit.kind}
        )


def equivalents() -> list[Equivalent]:
    """Read the list of what is known to be equal.

    Raises:
        TypeError: an entry has a key that there is not.
    """
    text = (Path(__file__).parent / "equivalent.toml").read_text(encoding="utf-8")
    return [Equivalent(**one) for one in tomllib.loads(text).get("equivalent", [])]


def results(mutants: Sequence[Mutant]) -> list[Result]:
    """Return what is known of these mutants; those that were not tried are left out."""
    known, equal = tried(), equivalents()
    found: list[Result] = []
    for mutant in mutants:
        reason = next((one.why for one in equal if one.fits(mutant)), None)
        if reason is not None:
            found.append(Result(mutant, "equivalent", why=reason))
        elif mutant.key in known:
            said = {name: value for name, value in known[mutant.key].items() if name != "key"}
            found.append(Result(mutant, **said))
    return found


def table(found: Sequence[Result], mutants: Sequence[Mutant]) -> str:
    """Render the score: a line for each file, the worst first.

    A mutant counts as noticed where a test failed or did not end. Those that are equal or
    that the server refuses say nothing about tests, and are left out of the share.
    """
    by_file: dict[str, Counter[str]] = {}
    for one in found:
        by_file.setdefault(one.mutant.file, Counter())[one.outcome] += 1
    there = Counter(mutant.file for mutant in mutants)
    lines = [
        f"{'noticed':>8}{'there are':>10}" + "".join(f"{name:>11}" for name in OUTCOMES) + "  file"
    ]
    for file, counts in sorted(by_file.items(), key=lambda one: (_share(one[1]), one[0])):
        lines.append(_row(counts, there[file], file))
    lines.append(_row(sum(by_file.values(), Counter()), len(mutants), "all"))
    return "\n".join(lines)


def _share(counts: Counter[str]) -> float:
    noticed = counts["killed"] + counts["timed out"]
    judged = noticed + counts["survived"] + counts["unreached"]
    return noticed / judged if judged else 1.0


def _row(counts: Counter[str], there: int, name: str) -> str:
    return (
        f"{_share(counts):>8.0%}{there:>10}"
        + "".join(f"{counts[outcome]:>11}" for outcome in OUTCOMES)
        + f"  {name}"
    )


def keep_score(found: Sequence[Result], mutants: Sequence[Mutant]) -> None:
    """Write the score as a file that a program can read."""
    counts = Counter(one.outcome for one in found)
    score = {
        "mutants": len(mutants),
        "tried": len(found),
        "noticed": round(_share(counts), 4),
        "outcomes": {name: counts[name] for name in OUTCOMES},
        "seconds": round(sum(one.seconds for one in found), 1),
        "survivors": [
            {**asdict(one.mutant), "outcome": one.outcome}
            for one in found
            if one.outcome in {"survived", "unreached"}
        ],
    }
    SCORE.write_text(json.dumps(score, indent=1), encoding="utf-8")
