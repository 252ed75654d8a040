"""A register: things of one kind by their names, in the order in which they were added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar


class Named(Protocol):
    """What a register can hold."""

    @property
    def name(self) -> str:
        """Its name, by which it is looked up."""


Entry = TypeVar("Entry", bound=Named)


class Register(Mapping[str, Entry]):
    """Things of one kind by their names. Whoever uses them looks them up when they are needed."""

    def __init__(self, *entries: Entry) -> None:
        """Take what there is from the start."""
        self._entries: dict[str, Entry] = {}
        for one in entries:
            self.add(one)

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            ValueError: there is one of its name.
        """
        if entry.name in self._entries:
            raise ValueError(f"{entry.name!r} is registered already")
        self._entries[entry.name] = entry

    def remove(self, name: str) -> None:
        """Take an entry out again."""
        del self._entries[name]

    def __getitem__(self, name: str) -> Entry:
        """Return an entry by its name."""
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)
