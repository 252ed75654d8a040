"""Every statement that reads events knows of the archive, or is of what is never archived."""

from __future__ import annotations

from pathlib import Path

import consumer_analytics

ROOT = Path(consumer_analytics.__file__).parent
#: Given what `etl/archived.py` composes, or the audit's own, in the place of the table.
GIVEN = {
    "backfill/sql/days-lacking.sql",
    "backfill/sql/events-source.sql",
    "backfill/sql/events-types.sql",
    "etl/sql/events/count-range.sql",
    "etl/sql/vanished/held-of-days.sql",
    "etl/sql/vanished/place.sql",
    "etl/sql/vanished/refine.sql",
    "etl/sql/within_days/first.sql",
    "operations/sql/archive/differs.sql",
    "reconcile/sql/sweep/events-held.sql",
    "reconcile/audit/sql/customers/marks.sql",
    "reconcile/audit/sql/customers/others.sql",
    "reconcile/audit/sql/events/count-rest.sql",
    "reconcile/audit/sql/events/count.sql",
}
#: Look beside the table where the archive has something to say themselves.
ASK_BOTH = {
    "etl/sql/comparison/lacking.sql",
    "etl/sql/vanished/judge.sql",
    "etl/sql/vanished/lives-held.sql",
    "etl/sql/vanished/look.sql",
}
#: Read days that no run has taken in or that are the table's, what was counted beside them, or a
#: sample: of any row that is missed something else tells.
NEED_NOT = {
    "etl/sql/sources/consumers-unknown.sql",
    "etl/sql/capture/concern.sql",
    "etl/sql/capture/resolve.sql",
    "etl/sql/lives/mostly-since.sql",
    "etl/sql/load/rows-bad.sql",
    "etl/sql/load/rows-lifecycle.sql",
    "etl/sql/sources/rows-first.sql",
    "etl/sql/sources/rows-until.sql",
    "etl/sql/untold/sure.sql",
    "reconcile/audit/sql/since/customers.sql",
}
#: Make up what the others are given, and write what is archived.
OWN = ("etl/sql/archived/", "operations/sql/archive/", "reconcile/audit/sql/archive/")


def test_each_statement_that_reads_events_is_known() -> None:
    packages = ("backfill", "etl", "operations/sql/archive", "reconcile", "sql")
    readers = {
        path.relative_to(ROOT).as_posix()
        for package in packages
        for path in (ROOT / package).rglob("*.sql")
        if "{customer_events}" in path.read_text(encoding="utf-8")
    }
    assert {one for one in readers if not one.startswith(OWN)} | GIVEN == (
        GIVEN | ASK_BOTH | NEED_NOT
    )
