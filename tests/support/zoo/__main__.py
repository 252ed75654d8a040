"""Play histories for as long as there is time: `python -m tests.support.zoo --minutes 60`."""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import Servers
from tests.support.zoo import sharded
from tests.support.zoo.ground import Ground, opened
from tests.support.zoo.history import History, script_of, shortened, told_of
from tests.support.zoo.kinds import PRESETS
from tests.support.zoo.shapes import SHAPES

parser = argparse.ArgumentParser(prog="python -m tests.support.zoo", description=__doc__)
parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on beginning")
parser.add_argument("--seed", type=int, default=0, help="of the first history")
parser.add_argument("--steps", type=int, default=40, help="in each history")
parser.add_argument("--kinds", choices=PRESETS, default="all", help="what may happen")
parser.add_argument("--shape", choices=SHAPES, default="plain", help="of the sources")
parser.add_argument("--server", default="main", help="main, other or between")
parser.add_argument("--shards", type=int, help="the rows in several databases as well")
parser.add_argument("--shrink", action="store_true", help="what differs, to few steps")
parser.add_argument(
    "--no-audit", dest="audited", action="store_false", help="compare snapshots alone"
)
parser.add_argument("--stop", action="store_true", help="at the first disagreement")
arguments = parser.parse_args()

until = time.monotonic() + arguments.minutes * 60
seed, done = arguments.seed, 0
wrong: list[int] = []
servers = Servers()
try:
    with ExitStack() as stack:
        server = servers.get(arguments.server)
        if arguments.shards:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            ground: Ground = stack.enter_context(sharded.opened(server, folder, arguments.shards))
        else:
            ground = stack.enter_context(opened(server, arguments.shape))
        # At least one, however little time there is.
        while seed == arguments.seed or (
            time.monotonic() < until and not (wrong and arguments.stop)
        ):
            kinds = PRESETS[arguments.kinds]
            if not ground.shape.watched:
                kinds = kinds.unwatched()
            if arguments.shards:
                kinds = kinds.spread()
            script = script_of(kinds, seed, arguments.steps)
            try:
                history = History(ground, kinds, seed, audited=arguments.audited)
                for _ in history.play(script):
                    done += 1
            except Exception as error:  # noqa: BLE001
                # What stops the product is as wrong as a wrong figure.
                wrong.append(seed)
                told = told_of(error)
                if arguments.shrink:
                    told = shortened(ground, kinds, seed, script, audited=arguments.audited)[1]
                print(f"seed {seed}: {told}", flush=True)
            seed += 1
            print(
                f"seed {seed - 1}: {done} steps so far, {len(wrong)} wrong; "
                f"{ground.gone_on} audits went on from an earlier one",
                flush=True,
            )
finally:
    servers.close()
print(f"{done} steps, seeds {arguments.seed} to {seed - 1}; wrong: {wrong or 'none'}")
raise SystemExit(bool(wrong))
