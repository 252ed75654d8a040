"""Taking snapshots back: they go, are kept, are missed by nobody, and can be written again."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.integration.cli.test_bad_input import one_line
from tests.integration.reconcile.test_sweep import BEGIN, DAY, END, go, history, swept
from tests.integration.reconcile.test_written import (
    CLAIMS,
    NOTED,
    NOTED_REVISIONS,
    REVISIONS,
    TRUTH,
    fill,
)
from tests.support.checks import figures, touched_rows, wrong_snapshots
from tests.support.roles import Roles
from tests.support.shown import blocks, unlike

from consumer_analytics.errors import UsageError
from consumer_analytics.operations import retention, snapshots, thinning
from consumer_analytics.operations.snapshots import Removal, Selection
from consumer_analytics.reconcile import audit

INTERNAL = "consumer_analytics_internal"
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "take-back.md"


def remove(database: Any, *at: dt.datetime, **options: Any) -> Removal:
    chosen = {
        name: options.pop(name)
        for name in ("lower", "upper", "source", "consumers")
        if name in options
    }
    with database.connect("snapshots remove", writes_sources=False) as connection:
        return snapshots.remove(
            connection, database.settings, Selection(at, **chosen), who="tester", **options
        )


def entries(database: Any, **chosen: Any) -> dict[dt.datetime, snapshots.SnapshotEntry]:
    with database.connect("snapshots list", writes_sources=False) as connection:
        return {one.at: one for one in snapshots.listing(connection, Selection(**chosen)).entries}


def documents(database: Any) -> dict[tuple[Any, dt.datetime], str]:
    with database.connect() as connection:
        return figures(connection)


def audited(database: Any, **options: Any) -> audit.AuditResult:
    with database.connect("audit", writes_sources=False) as connection:
        return audit.audit(connection, database.settings, **options)


def require_clean(database: Any) -> None:
    """Hold the figures to the oracle, the notes to the rows, and let the audit find nothing."""
    with database.connect() as connection:
        assert wrong_snapshots(connection) == []
    noted = dict(database.rows(NOTED))
    assert {at: digest for at, digest in noted.items() if digest} == dict(database.rows(TRUTH))
    assert database.rows(REVISIONS) == database.rows(NOTED_REVISIONS)
    assert database.rows(CLAIMS) == []
    found = audited(database)
    assert found.listed == []
    standing = {at for _, at in documents(database)}
    assert found.snapshots == len(standing)


def of(found: dict[tuple[Any, dt.datetime], str], *instants: dt.datetime) -> dict[Any, str]:
    return {key: text for key, text in found.items() if key[1] in instants}


@pytest.mark.both_versions
def test_what_is_taken_back_is_kept_missed_by_nobody_and_written_again_as_it_was(
    database: Any,
) -> None:
    history(database, 300)
    before = documents(database)
    instants = sorted({at for _, at in before})
    at, following = instants[4:6]
    windows = f"select * from {INTERNAL}.written_snapshots where snapshot_timestamp <> '{at}'"
    noted = database.rows(windows + " order by 1")
    rows_before = database.rows(
        "select ctid, xmin, consumer_analytics::text from consumer_analytics"
    )

    done = remove(database, at, reason="a mistake")

    said = of(before, at)
    assert (done.rows, [one.at for one in done.entries]) == (len(said), [at])
    assert documents(database) == {key: text for key, text in before.items() if key not in said}
    # Nothing else was touched.
    left = database.rows("select ctid, xmin, consumer_analytics::text from consumer_analytics")
    assert set(left) <= set(rows_before)
    assert database.rows(windows + " order by 1") == noted
    kept = database.rows(
        "select consumer_id, snapshot_timestamp, metrics_json::text, reason, "
        "reported_until > reported_from from consumer_analytics_revisions"
    )
    assert {(consumer, when): text for consumer, when, text, *_ in kept} == said
    login = database.rows("select current_user")[0][0]
    assert {row[3:] for row in kept} == {(f"snapshots remove by tester ({login}): a mistake", True)}
    require_clean(database)
    assert entries(database)[at].state == "removed"
    # Written again it is what it was, its window included.
    go(database, at)
    assert documents(database) == before
    require_clean(database)

    # And gone again, neither sweep nor repair nor run takes it for missing.
    remove(database, at)
    database.execute(
        "insert into customer_events (event_id, consumer_id, event_type, created_at) "
        "select gen_random_uuid(), consumer_id, 'login', %s from consumers",
        [BEGIN + DAY / 2],
    )
    swept(database, since=BEGIN.date())
    go(database, END + DAY)
    with database.connect("repair", writes_sources=False) as connection:
        audit.repair(connection, database.settings, audited(database))
    assert of(documents(database), at) == {}
    assert of(documents(database), following) != of(before, following)
    assert entries(database)[following].window_start == at
    require_clean(database)


def test_a_range_that_a_backfill_wrote_by_mistake_goes_and_what_runs_wrote_stays(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_ROWS_AT_ONCE", 10)
    history(database, 301)
    before = documents(database)
    fill(database, "daily")
    backfilled = sorted({at for _, at in documents(database).keys() - before.keys()})
    assert len(backfilled) > 2
    both = documents(database)
    steps: list[tuple[int, int]] = []
    options = {"lower": BEGIN, "upper": END, "source": "backfill"}
    with database.connect() as connection:
        untouched = touched_rows(connection)
        would = remove(database, dry_run=True, **options)
        assert touched_rows(connection) == untouched

    done = remove(database, progress=lambda *step: steps.append(step), **options)

    assert (would.entries, would.rows) == (done.entries, done.rows)
    assert [one.at for one in done.entries] == backfilled
    assert done.rows == len(both) - len(before)
    assert len(steps) > 1
    assert steps[-1] == (len(backfilled), len(backfilled))
    assert documents(database) == before
    require_clean(database)
    with pytest.raises(UsageError, match="no snapshot of a backfill in that range"):
        remove(database, **options)
    fill(database, "daily")
    assert documents(database) == both
    require_clean(database)


@pytest.mark.long
def test_the_last_snapshot_goes_and_the_next_window_begins_where_it_did(database: Any) -> None:
    history(database, 302, snapshots=3)
    go(database, END)
    mark = "select last_processed_timestamp from etl_job_watermarks"
    before = documents(database)
    assert database.rows(mark) == [(END,)]

    assert remove(database, END).passes_mark

    assert database.rows(mark) == [(END,)]
    require_clean(database)
    go(database, END + DAY)
    assert entries(database)[END + DAY].window_start == END
    require_clean(database)
    # Its own run again: as it was, and the one after it is not touched.
    later = of(documents(database), END + DAY)
    go(database, END)
    assert of(documents(database), END) == of(before, END)
    assert of(documents(database), END + DAY) == later
    assert database.rows(mark) == [(END + DAY,)]
    require_clean(database)


def test_what_is_owed_is_owed_no_longer(database: Any) -> None:
    history(database, 303, snapshots=1)
    owed, other = END + DAY / 2, END + DAY / 3
    for at in (owed, other):
        database.execute(
            f"insert into {INTERNAL}.owed_snapshots values (%s, 'key', 'cli_etl')", [at]
        )
    assert entries(database)[owed].state == "owed"
    would = remove(database, owed, dry_run=True)
    done = remove(database, owed)
    assert would.no_longer_owed == done.no_longer_owed == (owed,)
    assert done.rows == 0
    go(database, END + DAY)
    assert owed not in entries(database)
    assert entries(database)[other].state == "whole"
    require_clean(database)


def test_rows_of_chosen_consumers_go_where_they_stand_alone(database: Any) -> None:
    history(database, 304, snapshots=1)
    first, second, *_ = database.rows("select consumer_id from consumers order by 1")
    whole = documents(database)
    fill(database, "daily", [str(first[0]), str(second[0])])
    both = documents(database)
    options: dict[str, Any] = {"lower": BEGIN, "upper": END, "consumers": first}
    would = remove(database, dry_run=True, **options)

    done = remove(database, **options)

    assert (would.rows, would.entries) == (done.rows, done.entries)
    assert documents(database) == {
        key: text for key, text in both.items() if key in whole or key[0] != first[0]
    }
    assert done.rows == len(both) - len(documents(database)) > 0
    require_clean(database)
    # The one whole snapshot is left, and named; by itself it is refused.
    (at,) = {at for _, at in whole}
    assert done.left == (at,)
    with pytest.raises(
        UsageError, match=r"all consumers have their rows at .*, without --consumer"
    ):
        remove(database, at, consumers=first)
    # The others go without being named, and a whole backfill writes what a whole one writes.
    remove(database, lower=BEGIN, upper=END, source="backfill")
    assert documents(database) == whole
    require_clean(database)
    assert database.rows(f"select * from {INTERNAL}.written_apart") == []
    fill(database, "daily")
    assert {one.state for one in entries(database).values()} == {"whole"}
    require_clean(database)


def test_rows_that_were_backfilled_alone_are_forgotten_with_the_whole_snapshot(
    database: Any,
) -> None:
    history(database, 305, snapshots=1)
    consumer = database.rows("select consumer_id from consumers order by 1 limit 1")[0][0]
    fill(database, "daily", [str(consumer)])
    fill(database, "weekly")
    # There the week is the window of the snapshot, the day that of the row which came first.
    at = BEGIN + 7 * DAY
    assert max(text.count("2025-03-07") for text in of(documents(database), at).values()) == 1
    remove(database, at, END)
    fill(database, "weekly")
    assert {text.count("2025-03-07") for text in of(documents(database), at).values()} == {0}
    require_clean(database)


def test_what_was_deleted_by_hand_is_missed_until_it_is_taken_back(database: Any) -> None:
    history(database, 306, snapshots=4)
    at = sorted(entries(database))[3]
    database.execute("delete from consumer_analytics where snapshot_timestamp = %s", [at])
    assert entries(database)[at].state == "lost"
    assert audited(database).wrong_snapshots == [at]
    assert remove(database, at).rows == 0
    require_clean(database)
    # Rows that nobody wrote, and of which no note tells, are kept as well.
    stranger = BEGIN + DAY / 4
    database.execute(
        "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
        "values (null, %s, '[1]'), (%s, %s, '{}')",
        [stranger, uuid.uuid4(), stranger],
    )
    assert remove(database, stranger).rows == 2
    require_clean(database)


@pytest.mark.long
def test_what_was_thinned_is_told_and_backfilled_again_it_goes(database: Any) -> None:
    history(database, 307, snapshots=3)
    fill(database, "daily")
    kept = database.settings.replaced({"keep_snapshots_days": 1})
    with database.connect("maintenance", writes_sources=False) as connection:
        thinning.thin(connection, kept.replaced({"keep_daily_snapshots_days": 1}))
    at = min(at for at, one in entries(database).items() if one.state == "thinned")
    with pytest.raises(UsageError, match=r"no snapshot at .*: maintenance has thinned it"):
        remove(database, at)
    fill(database, "daily")
    again = [one.at for one in entries(database).values() if one.state == "whole"]
    assert at in again
    remove(database, at)
    assert entries(database)[at].state == "removed"
    require_clean(database)


@pytest.mark.long
def test_what_nobody_can_write_again_is_said(database: Any) -> None:
    history(database, 308)
    instants = sorted(entries(database))
    database.execute("delete from customer_events where created_at < %s", [instants[5]])
    swept(database)
    assert audited(database).clean
    would = remove(database, instants[2], dry_run=True)
    done = remove(database, instants[2])
    assert would.not_writable == done.not_writable == (instants[2],)
    assert audited(database).clean
    assert go(database, instants[2])["snapshots_written"] == 0
    # After all that has vanished it can be.
    done = remove(database, instants[7])
    assert done.not_writable == ()
    go(database, instants[7])
    assert entries(database)[instants[7]].state == "whole"
    assert audited(database).clean


def test_up_to_where_events_have_vanished_nobody_writes_within_a_day(database: Any) -> None:
    """There they may have been divided for the sake of the next window, by any types."""
    noon = BEGIN + DAY / 2
    for hour, kind in ((3, "login"), (9, "pay"), (15, "login"), (30, "pay")):
        database.execute(
            "insert into customer_events (event_id, consumer_id, event_type, created_at) "
            "values (gen_random_uuid(), %s, %s, %s)",
            [uuid.UUID(int=1), kind, BEGIN + dt.timedelta(hours=hour)],
        )
    for at in (noon, BEGIN + DAY, BEGIN + 2 * DAY):
        go(database, at)
    database.execute("delete from customer_events where created_at < %s", [noon])
    assert swept(database, since=BEGIN.date()).events_noted == 2
    assert remove(database, noon, dry_run=True).not_writable == (noon,)
    assert remove(database, noon).not_writable == (noon,)
    assert go(database, noon)["snapshots_written"] == 0
    assert entries(database)[noon].state == "removed"
    assert audited(database).clean


def test_a_run_of_which_the_snapshot_was_taken_back_ages(database: Any) -> None:
    history(database, 309, snapshots=3)
    at = sorted(entries(database))[2]
    remove(database, at)
    database.execute(f"update {INTERNAL}.runs set opened_at = '2020-01-01'")
    with database.connect("maintenance", writes_sources=False) as connection:
        retention.forget(connection, database.settings)
    assert database.rows(f"select count(*) from {INTERNAL}.runs") == [(1,)]


# -- the command ----------------------------------------------------------------


def test_the_command_lists_and_removes_within_80_columns(database: Any, cli: Any) -> None:
    history(database, 310, snapshots=4)
    go(database, END)
    latest = END + dt.timedelta(hours=6, minutes=30, microseconds=123456)
    go(database, latest)
    fill(database, "daily")
    narrow = {"COLUMNS": "80"}
    listed = cli("snapshots", "list", "--limit", "3", env=narrow)
    assert max(map(len, listed.stdout.splitlines())) <= 80
    told = cli("snapshots", "list", "--limit", "3", "--json").json
    known = entries(database)
    assert told["total"] == len(known)
    assert [one["snapshot_timestamp"] for one in told["snapshots"]] == [
        at.isoformat() for at in sorted(known, reverse=True)[:3]
    ]
    assert f"… and {len(known) - 3:,} more" in listed.stdout
    # As it is shown it may be given.
    shown = "2025-03-10 06:30:00.123456 UTC"
    assert shown in cli("snapshots", "list").stdout
    with database.connect() as connection:
        before = touched_rows(connection)
        would = cli("snapshots", "remove", "--at", shown, "--dry-run", env=narrow)
        assert touched_rows(connection) == before
    rows = known[latest].rows
    assert f"would remove 1 snapshot, {rows} rows; nothing was changed" in would.stdout
    done = cli("snapshots", "remove", "--at", shown, "--yes", "--reason", "wrong instant")
    page = next(
        text.partition("\n")[2] for _, text in blocks(PAGE) if "--reason 'wrong instant'" in text
    )
    assert unlike(page, done.stdout) == []
    done = cli(
        *("snapshots", "remove", "--at", "2025-03-05T00Z", "--at", "2025-03-06", "--yes"),
        env=narrow,
    )
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert "removed 2 snapshots, " in done.stdout
    ranged = ("--from", "2025-03-01", "--to", "2025-03-04", "--source", "backfill")
    told = cli("snapshots", "list", *ranged, "--json").json
    done = cli("snapshots", "remove", *ranged, "--reason", "wrong year", "-y", "--json").json
    assert done["snapshots"] == told["snapshots"][::-1]
    assert done["rows"] == sum(one["rows"] for one in told["snapshots"]) > 0
    assert cli("audit").exit_code == 0
    # Nothing was written there any more.
    proven = cli("audit", "--from", "2025-03-05", "--to", "2025-03-05")
    assert proven.exit_code == 2
    assert "nothing to compare: no snapshot was written" in proven.stderr
    again = cli("snapshots", "remove", "--at", "2025-03-05")
    assert again.exit_code == 2
    assert one_line(again) == (
        "error: there is no snapshot at 2025-03-05 00:00:00 UTC: it was removed before; nothing "
        "was removed. `consumer-analytics snapshots list` shows which there are"
    )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "give --at, or --from and --to"),
        ("--from 2025-01-01", "give --at, or --from and --to"),
        ("--at 2025-01-01 --to 2025-01-02", "give --at, or --from and --to, not both"),
        ("--from 2025-01-02 --to 2025-01-01", "--to 2025-01-01 lies before --from 2025-01-02"),
        ("--at soon", "'soon' is not a time"),
        ("--at 2025-01-01 --consumer me", "'me' is not a consumer's id, which is a UUID"),
        ("--at 2025-01-01 --source airflow", "--source 'airflow' is neither etl nor backfill"),
        ("--at 2025-01-01 --at 2025-01-02", "no snapshot at 2025-01-01 00:00:00 UTC, 2025-01-02"),
        ("--from 2025-01-01 --to 2025-01-02", "there is no snapshot in that range"),
        (
            f"--at 2025-01-01 --consumer {uuid.UUID(int=1)}",
            "there are no rows of these consumers at 2025-01-01",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(cli: Any, options: str, says: str) -> None:
    refused = cli("snapshots", "remove", *options.split())
    assert refused.exit_code == 2
    assert says in one_line(refused)


def test_one_instant_without_a_snapshot_and_nothing_goes(database: Any, cli: Any) -> None:
    history(database, 311, snapshots=1)
    at = min(entries(database))
    with database.connect() as connection:
        before = touched_rows(connection)
        refused = cli("snapshots", "remove", "--at", at.isoformat(), "--at", "2031-01-01")
        assert touched_rows(connection) == before
    assert refused.exit_code == 2
    assert "2031-01-01 00:00:00 UTC; nothing was removed" in one_line(refused)
    assert cli("snapshots", "list", "--from", "2031-01-01").stdout == "no snapshot in that range\n"


def test_it_is_not_taken_back_without_a_yes(database: Any, cli: Any) -> None:
    history(database, 313, snapshots=2)
    at, other, *_ = sorted(entries(database))
    with database.connect() as connection:
        before = touched_rows(connection)
        for answer, says in (("n\n", "nothing was changed"), ("", "answer y, or give --yes")):
            refused = cli("snapshots", "remove", "--at", at.isoformat(), stdin=answer)
            assert refused.exit_code == 2
            assert f"Remove 1 snapshot, {entries(database)[at].rows} rows? [y/N]" in refused.stderr
            assert says in refused.stderr
            # What it is about was shown before.
            assert "whole" in refused.stdout
            assert "removed" not in refused.stdout
        assert touched_rows(connection) == before
    done = cli("snapshots", "remove", "--at", at.isoformat(), stdin="y\n")
    assert (done.exit_code, done.stdout.count("whole")) == (0, 1)
    assert "removed 1 snapshot, " in done.stdout
    assert entries(database)[at].state == "removed"
    told = cli("snapshots", "remove", "--at", other.isoformat(), "--json", stdin="y\n")
    assert told.json["dry_run"] is False
    assert entries(database)[other].state == "removed"


def test_who_may_take_back(database: Any, cli: Any) -> None:
    if database.server.role is None:
        pytest.skip("the test server's admin may not create roles")
    history(database, 312, snapshots=2)
    at, other, *_ = sorted(entries(database))
    made = Roles(database)
    try:
        made.apply()
        for role in ("reader", "dashboard", "tenant"):
            env = {"CONSUMER_ANALYTICS_DATABASE_URL": made.login(role)}
            refused = cli("snapshots", "remove", "--at", at.isoformat(), "-y", env=env)
            assert refused.exit_code == 1
            assert "permission denied" in one_line(refused), role
        assert entries(database)[at].state == "whole"
        for role, taken in (("etl", at), ("maintenance", other)):
            env = {"CONSUMER_ANALYTICS_DATABASE_URL": made.login(role)}
            done = cli("snapshots", "remove", "--at", taken.isoformat(), "-y", env=env)
            assert done.exit_code == 0
            assert entries(database)[taken].state == "removed"
        require_clean(database)
    finally:
        made.clean()
