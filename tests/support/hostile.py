"""Rows that engines may count otherwise, as others write them; and what PostgreSQL counts."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as arrow  # noqa: ICN001
from pyarrow import parquet

from consumer_analytics.fields import Secret
from consumer_analytics.lake import engine
from consumer_analytics.sql import fragment

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)
DAY = 86_400_000_000
FIRST = (dt.datetime(1, 1, 1, tzinfo=dt.UTC) - EPOCH) // MICROSECOND
LAST = (dt.datetime.max.replace(tzinfo=dt.UTC) - EPOCH) // MICROSECOND
TYPES = [
    *(None, "", " ", "\t\n", "\u00a0", "\u3000", "(none)", "null", "NULL"),
    *("login", "LOGIN", "\u00e9", "e\u0301", "😀𝄞", "a'b\"c\\", "x\x1ey", "x" * 9000),
    *("customer_creation", "customer_deletion"),
]
TEXTS: list[Any] = [{"status": "A"}, "{}", {"é😀": "\n\x01"}]
PAYLOADS = ["{}", "[]", "null", "1.50", *(json.dumps(one, ensure_ascii=False) for one in TEXTS)]
Row = tuple[Any, ...]


def instants(rng: random.Random) -> list[int]:
    """Return instants at the ends of the calendar, of days, hours, years, and of clock changes."""
    days = [0, 1, -1, 10957, 20177, 20380, FIRST // DAY, LAST // DAY, -25567, 2_932_896]
    within = (0, 1, -1, DAY - 1, 3_600_000_000, 7_199_999_999)
    edges = [day * DAY + us for day in days for us in within]
    return [
        *(us for us in edges if FIRST <= us <= LAST),
        *(rng.randrange(FIRST, LAST) for _ in range(60)),
    ]


def rows(seed: int) -> list[Row]:
    """Return rows of each type at each instant, of few consumers and none."""
    rng = random.Random(seed)
    numbers = (0, 2**128 - 1, rng.getrandbits(128))
    consumers = [None, *(uuid.UUID(int=number) for number in numbers)]
    return [
        (
            uuid.UUID(int=rng.getrandbits(128)),
            rng.choice([None, uuid.UUID(int=rng.randrange(9) << 64)]),
            rng.choice(consumers),
            kind,
            rng.choice(PAYLOADS),
            us,
        )
        for us, kind in itertools.product(instants(rng), rng.sample(TYPES, 9) + TYPES[:3])
    ]


def as_text(ids: Iterable[uuid.UUID | None]) -> Any:
    return arrow.array([None if one is None else str(one) for one in ids], arrow.string())


def as_capitals(ids: Iterable[uuid.UUID | None]) -> Any:
    texts = [None if one is None else str(one).upper() for one in ids]
    return arrow.array(texts, arrow.large_string())


def as_bytes(ids: Iterable[uuid.UUID | None]) -> Any:
    return arrow.array([None if one is None else one.bytes for one in ids], arrow.binary())


def as_uuids(ids: Iterable[uuid.UUID | None]) -> Any:
    return arrow.array([None if one is None else one.bytes for one in ids], arrow.uuid())


#: How others write the same rows.
SHAPES: dict[str, tuple[Callable[[Iterable[Any]], Any], Any]] = {
    "text, UTC": (as_text, arrow.timestamp("us", tz="UTC")),
    "capitals, Berlin": (as_capitals, arrow.timestamp("us", tz="Europe/Berlin")),
    "bytes, no zone": (as_bytes, arrow.timestamp("us")),
    "uuids, an odd zone": (as_uuids, arrow.timestamp("us", tz="Australia/Lord_Howe")),
}


def write(path: Path, found: Sequence[Row], shape: str) -> Path:
    ids, time = SHAPES[shape]
    events, customers, consumers, kinds, payloads, at = zip(*found, strict=True)
    table = {
        "created_at": arrow.array(at, time),
        "consumer_id": ids(consumers),
        "event_id": ids(events),
        "customer_id": ids(customers),
        "payload_json": arrow.array(payloads, arrow.string()),
        "event_type": arrow.array(kinds, arrow.string()),
        # What a folder's name says, and another column, is nobody's business.
        "day": arrow.array(["2001-01-01"] * len(found)),
    }
    path.parent.mkdir(parents=True)
    parquet.write_table(arrow.table(table), path)
    # A copy is none of the files that are listed.
    path.with_name(f"copy-of-{path.name}").write_bytes(path.read_bytes())
    return path


def cuts(rng: random.Random, found: Sequence[Row]) -> list[int]:
    """Return instants of rows and beside them, where clocks change, and midnights with no rows."""
    at = [row[-1] for row in found]
    beside = {us + rng.choice([-1, 0, 1]) for us in rng.sample(at, 40)}
    changes = {20177 * DAY + hour * 3_600_000_000 for hour in (0, 1, 2, 23)}
    return sorted({us for us in beside | changes if FIRST <= us <= LAST})


def put(database: Any, found: Sequence[Row]) -> None:
    with database.connect() as connection, connection.cursor() as cursor:
        statement = (
            "copy customer_events (event_id, customer_id, consumer_id, event_type, payload_json, "
            "created_at) from stdin"
        )
        with cursor.copy(statement) as copy:
            for row in found:
                copy.write_row((*row[:-1], (EPOCH + row[-1] * MICROSECOND).isoformat()))


COUNTED = """
select consumer_id::text, places[width_bucket(us, places)], event_type, count(*)
from (
    select consumer_id, event_type, (extract(epoch from created_at) * 1000000)::bigint as us
    from customer_events
) as events
cross join (select %s::bigint[] as places) as given
group by 1, 2, 3
"""


#: Types with a column, of which two share one.
COLUMNS = [("", 1), ("null", 1), ("a'b\"c\\", 2), ("😀𝄞", 3)]
SLOTS = """
select consumer_id::text, slot, rest, count(*),
    count(*) filter (where kind in ('', 'null')),
    count(*) filter (where kind = $$a'b"c\\$$),
    count(*) filter (where kind = '😀𝄞')
from (
    select consumer_id, slot, kind, case when kind <> all(%s::text[]) then kind end as rest
    from (
        select consumer_id, coalesce(event_type, '') as kind,
            width_bucket((extract(epoch from created_at) * 1000000)::bigint, %s::bigint[]) as slot
        from customer_events
    ) as events
) as placed
group by 1, 2, 3
"""


def compare(database: Any, folder: Path, shape: str, remote: Secret | None) -> None:
    """Hold what an engine counts of the rows in files to what PostgreSQL counts of them."""
    found = rows(17)
    put(database, found)
    # Of two files, so that no answer comes from the order of one.
    folder = folder / "day=1999-12-31"
    paths = [
        write(folder / f"event_type={n}" / "part.parquet", found[n::2], shape) for n in range(2)
    ]
    hold(database, paths, found, remote)


def hold(database: Any, paths: Sequence[Path], found: Sequence[Row], remote: Secret | None) -> None:
    """Hold what an engine counts in files to what PostgreSQL counts of their rows, which it has."""
    divided = cuts(random.Random(3), found)
    with engine.started(remote) as open_files:
        files = open_files([str(path) for path in paths], len(found))
        whole, mine = Counter(files.counts()), Counter(files.counts(divided))
        digests = sorted(files.digests())
        ids = sorted(files.ids())
        wanted = [row[0] for row in found[:7]]
        known = sorted(files.known([*wanted, uuid.UUID(int=5)]))
        told = Counter(files.lifecycle(["customer_creation", "\u3000"]))
        customers = [uuid.UUID(int=1 << 64), uuid.UUID(int=99)]
        some = Counter(files.of_customers(customers))
        others = Counter(files.of_customers(customers, ["login", "\u3000"]))
        days = sorted({row[-1] // DAY for row in found})
        slots = Counter(files.slots(days, divided, COLUMNS))
        # Without columns all types stand apart.
        apart = Counter(files.slots(days, divided, []))
        assert list(files.known([])) == []
    midnights = {row[-1] // DAY * DAY for row in found}
    assert whole == Counter(database.rows(COUNTED, [sorted(midnights)]))
    assert mine == Counter(database.rows(COUNTED, [sorted({*midnights, *divided})]))
    assert sum(row[-1] for row in mine) == len(found)
    assert digests == database.rows(DIGESTS)
    assert ids == sorted((str(row[0]),) for row in found)
    assert known == sorted((str(one),) for one in wanted)
    of_type = [row for row in found if row[3] in {"customer_creation", "\u3000"} and row[1]]
    assert told == Counter(map(texts, of_type))
    theirs = [row for row in found if row[1] == uuid.UUID(int=1 << 64)]
    assert some == Counter(map(texts, theirs))
    assert others == Counter(texts(row) for row in theirs if row[3] not in {"login", "\u3000"})
    assert slots == Counter(database.rows(SLOTS, [[name for name, _ in COLUMNS], divided]))
    assert sum(row[3] for row in slots) == len(found)
    assert apart == Counter(row[:4] for row in database.rows(SLOTS, [[], divided]))


def texts(row: Row) -> Row:
    """Return a row as an engine yields it."""
    return (*(None if one is None else str(one) for one in row[:3]), *row[3:])


#: As `row_digest` has it, which the archive proves its files by.
DIGESTS = f"""
select created_at::date - date '1970-01-01', count(*), sum({fragment("row_digest")}),
    min((extract(epoch from created_at) * 1000000)::bigint)
from customer_events
group by 1
order by 1
"""
