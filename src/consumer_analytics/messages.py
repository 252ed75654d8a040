"""What work tells people while it goes on: lines, of which some warn and some do not."""

from __future__ import annotations


class Information(str):
    """A line that says what is done: whoever tells people of it warns of nothing."""

    __slots__ = ()
