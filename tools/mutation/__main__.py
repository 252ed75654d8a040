"""`make mutate ARGS=...`: list mutants, try them, report what survived."""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from fnmatch import fnmatch
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from tools.mutation import configuration, python_mutants, results, sql_mutants, workspace
from tools.mutation.configuration import BUILD, ROOT, Configuration
from tools.mutation.edits import Mutant, mutant_of
from tools.mutation.worker import SPOILT

#: Seconds without a sign of a worker after which it is ended.
_SILENCE = 420.0
#: How often a worker is started anew before the rest is given up.
_RESTARTS = 20


def main() -> None:
    """Do what the command line says."""
    options = _options()
    BUILD.mkdir(parents=True, exist_ok=True)
    settings = configuration.read()
    mutants = _mutants(settings, options.files, options.kinds)
    if options.action == "list":
        print(*mutants, sep="\n")
        return
    if options.action == "run":
        _run(settings, mutants, options)
    found = results.results(mutants)
    results.keep_score(found, mutants)
    for one in found:
        if one.outcome in {"survived", "unreached"}:
            print(f"{one.outcome:>9}  {one.mutant}")
    print(results.table(found, mutants))
    print(f"the score is in {results.SCORE.relative_to(ROOT)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutate ARGS=...", description=__doc__)
    parser.add_argument(
        "action",
        nargs="?",
        default="run",
        choices=["run", "list", "report"],
        help="try mutants and report; list them; report what is known already",
    )
    parser.add_argument(
        "--files",
        nargs="+",
        default=["*"],
        metavar="PATTERN",
        help="only files whose path or name fits one of these",
    )
    parser.add_argument("--kinds", nargs="+", default=["*"], metavar="PATTERN")
    parser.add_argument(
        "--tests", nargs="+", default=["*"], metavar="PATTERN", help="only these files of tests"
    )
    parser.add_argument("--limit", type=int, help="how many to try, spread over the files")
    parser.add_argument("--seconds", type=float, default=600, help="stop after this long (600)")
    parser.add_argument(
        "--patience", type=float, default=60, help="seconds of tests that one may take (60)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order in which they come")
    parser.add_argument(
        "--again", action="store_true", help="try those once more that have survived"
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure all tests anew, not those that changed"
    )
    return parser.parse_args()


# -- mutants ---------------------------------------------------------------------


def _mutants(
    settings: Configuration, patterns: Sequence[str], kinds: Sequence[str]
) -> list[Mutant]:
    """Make the mutants of the files that fit, in the files' order."""
    made: list[Mutant] = []
    for file in settings.files:
        if not _fits(file, patterns):
            continue
        text = (ROOT / file).read_text(encoding="utf-8")
        if file.endswith(".py"):
            made += [mutant_of(file, text, edit, name) for edit, name in python_mutants.edits(text)]
        else:
            made += [mutant_of(file, text, edit) for edit in sql_mutants.edits(text)]
    return [one for one in made if any(fnmatch(one.edit.kind, kind) for kind in kinds)]


def _chosen(mutants: Sequence[Mutant], options: argparse.Namespace) -> list[Mutant]:
    """Choose what is tried: in an order by chance, a file after another in turn."""
    known, equal = results.tried(), results.equivalents()
    again = {"survived", "unreached"} if options.again else set()
    left = [
        one
        for one in mutants
        if (one.key not in known or known[one.key]["outcome"] in again)
        and not any(other.fits(one) for other in equal)
    ]
    by_file: dict[str, list[Mutant]] = {}
    for one in left:
        by_file.setdefault(one.file, []).append(one)
    chance = random.Random(options.seed)  # noqa: S311 - a sample, no secret
    for those in by_file.values():
        chance.shuffle(those)
    turns = chain.from_iterable(zip_longest(*by_file.values()))
    return [one for one in turns if one is not None][: options.limit]


# -- running ---------------------------------------------------------------------


def _run(settings: Configuration, mutants: Sequence[Mutant], options: argparse.Namespace) -> None:
    """Measure what has to be, and try mutants until the time is up."""
    measured = _measure(settings, options.tests, everything=options.measure)
    files = sorted({one["test"].partition("::")[0] for one in measured})
    chosen = _reached(_chosen(mutants, options), measured, everything=options.tests == ["*"])
    until = time.time() + options.seconds
    print(f"trying {len(chosen)} of {len(mutants)} mutants, {options.seconds:.0f} s at most")
    for _ in range(_RESTARTS):
        known = results.tried()
        job = {
            "mode": "try",
            "targets": list(settings.files),
            "until": until,
            "patience": options.patience,
            "mutants": [asdict(one) for one in chosen],
            "measured": measured,
            "kills": _kills(mutants, known),
        }
        code, answers, last = _worker(job, "trials", tests=files, into=results.RESULTS)
        done = {one["key"] for one in answers}
        if code is None and last and last not in done:
            # It did not come back from this one.
            results.keep([{"key": last, "outcome": "timed out", "why": "the session hung"}])
            done.add(last)
        chosen = [one for one in chosen if one.key not in done]
        print(f"  {len(done)} tried, {len(chosen)} left", flush=True)
        if not chosen or time.time() > until or (code not in {None, SPOILT} and not done):
            if code not in {0, None, SPOILT}:
                print(f"the session ended with {code}: see {BUILD / 'trials.log'}")
            break


def _reached(
    chosen: Sequence[Mutant], measured: Sequence[dict[str, Any]], *, everything: bool
) -> list[Mutant]:
    """Leave out what no test reaches; that is a result where all tests were asked."""
    places = set(chain.from_iterable(one["reaches"] for one in measured))
    if everything:
        results.keep(
            {"key": one.key, "outcome": "unreached"} for one in chosen if one.place not in places
        )
    return [one for one in chosen if one.place in places]


def _kills(mutants: Sequence[Mutant], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Count by file which tests have killed."""
    kills: dict[str, Counter[str]] = {}
    for one in mutants:
        said = known.get(one.key)
        if said is not None and said["outcome"] == "killed":
            kills.setdefault(one.file, Counter())[said["by"]] += 1
    return kills


def _fits(file: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch(file, one) or fnmatch(Path(file).name, one) for one in patterns)


def _measure(
    settings: Configuration, patterns: Sequence[str], *, everything: bool
) -> list[dict[str, Any]]:
    """Measure the tests of files that have changed since, and return what is known of all."""
    known = results.measured()
    files = [file for file in settings.tests if _fits(file, patterns)]
    new = [
        file
        for file in files
        if everything or known.get(file, {}).get("digest") != results.digest(ROOT / file)
    ]
    if new:
        workspace.renew()
        workspace.instrument(settings.files)
    for place, file in enumerate(new, 1):
        # Kept file by file: who stops it does not measure those again.
        print(f"measuring {file}, {place} of {len(new)}", flush=True)
        _, answers, _ = _worker(
            {"mode": "measure", "targets": list(settings.files)},
            "measures",
            tests=[file],
            into=BUILD / "measures.jsonl",
            probe=True,
        )
        known[file] = {"digest": results.digest(workspace.COPY / file), "tests": answers}
        results.keep_measured(known)
    tests = [one for file in files for one in known[file]["tests"]]
    used = [one for one in tests if one["passed"] and one["seconds"] <= settings.slowest]
    failed = [one["test"] for one in tests if not one["passed"]]
    print(f"{len(used)} tests are used, {sum(one['seconds'] for one in used):.0f} s in all")
    if failed:
        print("these fail without a mutant:", *failed, sep="\n  ")
    return used


def _worker(
    job: dict[str, Any],
    name: str,
    *,
    tests: Sequence[str],
    into: Path,
    probe: bool = False,
) -> tuple[int | None, list[dict[str, Any]], str]:
    """Run a session of pytest in the copy.

    Args:
        job: what it does.
        name: of its files below `build/mutation/`.
        tests: files of tests.
        into: where its answers are added, a line each.
        probe: note what is reached.

    Returns:
        its exit code, None where it had to be ended; its answers; the mutant that it was at.
    """
    if not probe:
        workspace.renew()
    said, now = BUILD / f"{name}.json", Path(f"{into}.now")
    now.unlink(missing_ok=True)
    place = into.stat().st_size if into.exists() else 0
    job = {**job, "root": str(workspace.COPY), "answers": str(into)}
    said.write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tools.mutation.worker"]
    # What only longer lanes run is too slow for hundreds of mutants.
    command += ["-p", "no:cacheprovider", "-m", "not long and not hours", *tests]
    with (BUILD / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=workspace.COPY,
            env=workspace.environment(said, probe=probe),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.nice(5),  # noqa: PLW1509 - no threads here
        )
        code = _awaited(process, [into, now])
    lines = into.read_bytes()[place:].decode().splitlines() if into.exists() else []
    last = now.read_text(encoding="utf-8") if now.exists() else ""
    return code, [json.loads(line) for line in lines], last


def _awaited(process: subprocess.Popen[bytes], signs: Sequence[Path]) -> int | None:
    """Wait for a worker as long as it gives signs; None where it stopped to."""
    started = time.time()
    while True:
        try:
            return process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            newest = max((one.stat().st_mtime for one in signs if one.exists()), default=started)
            if time.time() - max(newest, started) > _SILENCE:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                return None


if __name__ == "__main__":
    main()
