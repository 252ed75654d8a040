"""`make bench`: measure, compare, and write what was found.

python -m benchmarks                     everything, in less than 20 minutes on two cores
python -m benchmarks --full              with the large histories as well (hours, 60 GB)
python -m benchmarks --only day --only year
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, report, works
from benchmarks.measure import BUILD
from benchmarks.results import Results, Work
from benchmarks.server import Server

_SCALES = {"default": works.DEFAULT, "full": works.FULL, "tiny": works.TINY}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=", description="Ours, the floor and its peers, on the same work."
    )
    parser.add_argument("--full", dest="scale", action="store_const", const="full")
    parser.add_argument(
        "--tiny", dest="scale", action="store_const", const="tiny",
        help="see that everything works, not how fast",
    )  # fmt: skip
    parser.add_argument(
        "--only", action="append", choices=list(works.WORKS), metavar="WORK",
        help=f"one of {', '.join(works.WORKS)}; the others' results stay. May be given several "
        "times.",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, help="of every work, at most")
    parser.add_argument(
        "--peers", action=argparse.BooleanOptionalAction, help="whether dbt and SQLMesh take part"
    )
    parser.add_argument(
        "--folder", type=Path, default=BUILD, help="of the server and its histories"
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="where results are written; build/benchmark/results, or results-tiny beside it",
    )
    parser.add_argument(
        "--report", action="store_true", help="measure nothing, write what was found before anew"
    )
    return parser.parse_args()


def _tell(results: Results, folder: Path) -> None:
    report.print_tables(results)
    (folder / "results.md").write_text(report.markdown(results))
    try:
        report.picture(results, folder / "results.svg")
    except ImportError:
        print("no picture: matplotlib is not installed (`make bench` brings it)")
    print(f"\nwritten to {folder}: results.json, results.md, results.svg")


def main() -> int:
    """Measure what was asked for."""
    wanted = _arguments()
    scale = _SCALES[wanted.scale or "default"]
    if wanted.rounds:
        fewer = min(wanted.rounds, scale.backfills)
        scale = replace(scale, rounds=wanted.rounds, backfills=fewer)
    if wanted.peers is not None:
        scale = replace(scale, peers=wanted.peers)
    folder = wanted.results or BUILD / ("results-tiny" if wanted.scale == "tiny" else "results")
    path = folder / "results.json"
    if wanted.report:
        _tell(Results.read(path), folder)
        return 0
    # The server is stopped whatever ends us.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Server(wanted.folder) as server:
        described = machine.describe(server)
        known = Results.read(path).works if wanted.only and path.exists() else {}
        results = Results(described, known)
        for name in wanted.only or works.WORKS:
            title, measure = works.WORKS[name]
            work = Work(name, title.format(**vars(scale)))
            print(f"{name}: {work.title}", flush=True)
            began = time.monotonic()
            try:
                measure(work, server, scale)
            except KeyboardInterrupt:
                work.facts["interrupted"] = "not all was measured, and no counts were compared"
                raise
            finally:
                if work.rows:
                    work.finish(time.monotonic() - began)
                    results.works[name] = work
                # In the order of the list, whichever was measured last.
                results.works = {n: results.works[n] for n in works.WORKS if n in results.works}
                results.write(path)
            print(f"  {work.took:.0f} s in all", flush=True)
    _tell(results, folder)
    if wrong := results.wrong():
        print(f"counts differ from ours: {'; '.join(wrong)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
