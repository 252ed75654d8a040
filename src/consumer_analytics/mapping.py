"""Where the three source tables are, and under which names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sources:
    """The names of the user's own tables.

    Attributes:
        schema: the schema that the three tables are in.
    """

    schema: str = "public"


#: The names that the tables have where nobody says otherwise.
PLAIN = Sources()
