"""Clears up after a test process, however it ends: finished, interrupted, or killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Reaper:
    """A process that runs Python code once this process, or this object's use, has ended."""

    def __init__(self, code: str, *arguments: str | Path) -> None:
        """Start to wait; `code` finds its arguments, as texts, in `arguments`."""
        # Read to its end, which comes when the process that holds the other one is gone.
        waiting = "import json, sys\narguments = json.load(sys.stdin)\n"
        self._process = subprocess.Popen(
            [sys.executable, "-c", waiting + code],
            stdin=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # Out of reach of the terminal's Ctrl-C.
            start_new_session=True,
        )
        assert self._process.stdin is not None
        json.dump([str(argument) for argument in arguments], self._process.stdin)
        self._process.stdin.flush()

    def reap(self) -> None:
        """Have the code run now, and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(120) == 0
