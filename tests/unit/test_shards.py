"""Each key of a snapshot is put together from those of shards."""

from __future__ import annotations

import re

from consumer_analytics.etl import keys
from consumer_analytics.etl.keys import Kind
from consumer_analytics.shards import together


def test_each_key_is_put_together() -> None:
    # Another kind is to be thought about there first.
    assert {kind.name for kind in Kind} == {
        "NUMBER", "RATIO", "MAP", "WORD", "PROVENANCE", "WINDOW",
    }  # fmt: skip
    consumers, whole = (statement.as_string(None) for statement in together._rendered([]))
    for statement, top, window in (
        (consumers, keys.of_consumer(), keys.of_consumer(keys.WINDOW_KEYS)),
        (whole, keys.of_whole(), keys.of_whole(keys.WINDOW_KEYS)),
    ):
        for name, key in (*top.items(), *window.items()):
            # Words, provenance and where the window lies are the same in every shard.
            if key.kind in {Kind.NUMBER, Kind.RATIO, Kind.MAP}:
                assert re.search(rf"['{{,]{name}['}},]", statement), name
