"""Who calls: the user of this machine, as what was asked for is noted with."""

from __future__ import annotations

import getpass
import os


def name() -> str:
    """Return what the user is called; of one that the machine does not know, its number.

    A container may run as any number, which is in no file of its image.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
