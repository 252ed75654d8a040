"""supervisord, tied to the process that started it: `python -m … PARENT CONFIGURATION`.

It is told to stop when that process is killed, and inherits what its
components orphan, so that nothing of theirs escapes it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, configuration: str) -> None:
    """Become supervisord, in the foreground."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != parent:
        # It was killed before we could ask to be told.
        return

    from supervisor import supervisord

    supervisord.main(["-n", "-c", configuration])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
