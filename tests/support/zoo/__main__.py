"""Play histories for as long as there is time: `python -m tests.support.zoo --minutes 60`."""

from __future__ import annotations

import argparse
import time

from tests.conftest import Servers
from tests.support.zoo.history import DisagreementError, History
from tests.support.zoo.kinds import PRESETS
from tests.support.zoo.ground import opened

parser = argparse.ArgumentParser(prog="python -m tests.support.zoo", description=__doc__)
parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on beginning")
parser.add_argument("--seed", type=int, default=0, help="of the first history; the next has one more")
parser.add_argument("--steps", type=int, default=40, help="in each history")
parser.add_argument("--kinds", choices=PRESETS, default="all", help="what may happen")
parser.add_argument("--stop", action="store_true", help="at the first disagreement")
arguments = parser.parse_args()

until = time.monotonic() + arguments.minutes * 60
seed, done, wrong = arguments.seed, 0, []
servers = Servers()
try:
    with opened(servers.get("main")) as ground:
        while time.monotonic() < until and not (wrong and arguments.stop):
            history = History(ground, PRESETS[arguments.kinds], seed)
            try:
                done += sum(1 for _ in history.play(arguments.steps))
            except DisagreementError as error:
                wrong.append(seed)
                print(f"seed {seed}: {error}", flush=True)
            seed += 1
            print(f"seed {seed - 1}: {done} steps so far, {len(wrong)} wrong", flush=True)
finally:
    servers.close()
print(f"{done} steps, seeds {arguments.seed} to {seed - 1}; wrong: {wrong or 'none'}")
raise SystemExit(bool(wrong))
