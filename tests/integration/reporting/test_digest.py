"""The weekly digest: made from snapshots, sent once on a Monday, with charts that mail shows."""

from __future__ import annotations

import datetime as dt
import json
import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import Cli, Database
from tests.support.mail_server import MailServer, mail_server

from consumer_analytics.monitoring import monitor
from consumer_analytics.monitoring.notifications.channels import pictures
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.reporting import digest

#: A Monday; the week before it is told.
MONDAY = dt.datetime(2026, 3, 9, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
HOUR = dt.timedelta(hours=1)
#: Events of a day by consumer, in the weeks before and in the week: one rises, one falls.
CONSUMERS = {
    uuid.UUID(int=1): ("Acme & Söhne <b>", 100, 300),
    uuid.UUID(int=2): ("Bolt\n\nThe\u2028figures are right", 500, 200),
    uuid.UUID(int=3): (None, 50, 50),
}


@pytest.fixture
def mails(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as made:
        yield made


@pytest.fixture
def told(database: Database, mails: MailServer) -> Database:
    """Return a database with four weeks of snapshots, and somebody who wants digests."""
    rows: list[tuple[uuid.UUID | None, dt.datetime, str]] = []
    for number in range(29):
        at = MONDAY - (28 - number) * DAY
        week = max(number - 21, 0)
        events = {
            one: old * (number - week) + new * week for one, (_, old, new) in CONSUMERS.items()
        }
        rows += [
            (one, at, json.dumps({"total_events": n, "total_customers": 10}))
            for one, n in events.items()
        ]
        document = {
            "total_events_all_consumers": sum(events.values()),
            "total_customers_all_consumers": 1000 + number,
            "active_customers_all_consumers": 900,
            "consumers_in_system": 3,
        }
        rows.append((None, at, json.dumps(document)))
    with database.connect_admin() as admin, admin.cursor() as cursor:
        cursor.executemany(
            "insert into consumer_analytics (consumer_id, snapshot_timestamp, metrics_json) "
            "values (%s, %s, %s)",
            rows,
        )
        cursor.executemany(
            "insert into consumers (consumer_id, name, created_at) values (%s, %s, '2026-01-01')",
            [(one, name) for one, (name, _, _) in CONSUMERS.items() if name],
        )
    changes = {**mails.settings, "alert_recipients": "", "digest_recipients": "weekly@example.com"}
    return replace(database, settings=database.settings.replaced(changes))


def look(database: Database, at: dt.datetime) -> bool:
    """Do what a pass of the monitor does about digests, and send."""
    with database.connect("monitor", writes_sources=False) as connection:
        put = digest.put_if_due(connection, database.settings, now=at)
        monitor.watch(connection, database.settings, now=at)
    return put


def test_a_week_is_told_once_with_who_rose_and_who_fell(told: Database, mails: MailServer) -> None:
    assert look(told, MONDAY + 6 * HOUR)  # That of the week before, which has snapshots as well.
    assert [look(told, MONDAY + hours * HOUR) for hours in (7, 8, 50)] == [True, False, False]
    assert len(mails.mails) == 2
    subject, text, html = mails.parts()
    assert subject == (
        "[consumer-analytics] Week of 2026-03-02: 3,850 events -700 (-15.4 %), "
        "1,028 customers +7 (+0.7 %)"
    )
    assert str(mails.mails[-1]["To"]) == "weekly@example.com"
    for words in (
        "Events                     3,850  -700 (-15.4 %)",
        "Acme & Söhne <b>: 2,100, +1,400 (+200.0 %)",
        "Bolt The figures are right: 1,400, -2,100 (-60.0 %)",
        "Mon 02           550  " + 24 * "█",
        "The figures are of the whole week; health is ",
        "As of 2026-03-09 00:00:00 UTC.",
    ):
        assert words in text.replace("\r\n", "\n"), words
    # What did not change is no mover; what is markup is shown as it is.
    assert "00000003" not in text
    assert "Acme &amp; Söhne &lt;b&gt;" in html


def test_its_charts_are_in_the_mail_and_are_what_the_days_were(
    told: Database, mails: MailServer
) -> None:
    look(told, MONDAY + 8 * HOUR)
    html = mails.mails[-1].get_body(("html",))
    assert html is not None
    related = [part for part in mails.mails[-1].walk() if part.get_content_type() == "image/png"]
    assert len(related) == 2
    for part in related:
        assert f'src="cid:{part["Content-ID"].strip("<>")}"' in html.get_content()
    rows = pixels(related[0].get_payload(decode=True))
    assert (len(rows[0]), len(rows)) == (2 * pictures.WIDTH, 2 * pictures.HEIGHT)
    # 28 bars: the first three weeks' are 650 high, the last week's 550, in another colour.
    width = len(rows[0]) / 28
    heights = [
        sum(row[round((place + 0.5) * width)] in {1, 2} for row in rows) for place in range(28)
    ]
    assert heights == [240] * 21 + [round(240 * 550 / 650)] * 7
    assert {rows[-1][round((place + 0.5) * width)] for place in range(21)} == {1}
    assert {rows[-1][round((place + 0.5) * width)] for place in range(21, 28)} == {2}
    # The line rises from the bottom on the left to the top on the right.
    rows = pixels(related[1].get_payload(decode=True))
    left, right = ([y for y, row in enumerate(rows) if row[x] == 4] for x in (0, len(rows[0]) - 1))
    assert min(left) > 230
    assert max(right) < 10


def pixels(png: object) -> list[bytes]:
    """Return a picture's rows, by what its own headers say of it."""
    assert isinstance(png, bytes)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, width = 8, b"", 0
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        held = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(
            name + held
        )
        if name == b"IHDR":
            width = struct.unpack(">I", held[:4])[0]
        if name == b"IDAT":
            data += held
        at += 12 + length
    raw = zlib.decompress(data)
    return [raw[row + 1 : row + 1 + width] for row in range(0, len(raw), width + 1)]


@pytest.mark.long
def test_days_without_a_snapshot_are_gaps_and_behind_is_said(
    told: Database, mails: MailServer
) -> None:
    told.execute("delete from consumer_analytics where snapshot_timestamp > %s", [MONDAY - 2 * DAY])
    look(told, MONDAY + 8 * HOUR)
    text = mails.parts()[1]
    assert "Sun 08             -" in text
    assert "The figures reach 2026-03-07 00:00 UTC only, not the end of the week" in text


@pytest.mark.long
def test_a_week_without_a_snapshot_at_its_beginning_says_so(
    told: Database, mails: MailServer
) -> None:
    """Else all events that ever were, or those of days before it, stand as the week's own."""
    week = MONDAY - 7 * DAY
    told.execute(
        "delete from consumer_analytics where snapshot_timestamp = any(%s)",
        [[week, week - HOUR]],
    )
    look(told, MONDAY + 8 * HOUR)
    text = mails.parts()[1]
    assert "The week's events count from 2026-03-01 00:00 UTC; health is" in text
    told.execute("delete from consumer_analytics where snapshot_timestamp <= %s", [week])
    with told.connect() as connection:
        ((events,),) = told.rows(
            "select metrics_json->>'total_events_all_consumers' from consumer_analytics "
            f"where consumer_id is null and snapshot_timestamp = '{MONDAY.isoformat()}'"
        )
        made = digest.compose(connection, told.settings, MONDAY.date(), MONDAY + 8 * HOUR)
    assert made is not None
    assert f": {int(events):,} events in all, 1," in made.subject
    assert made.digest is not None
    assert made.digest.fresh.startswith("There is no snapshot from before the week; health is")


def test_without_a_snapshot_of_the_week_there_is_no_digest(
    told: Database, mails: MailServer
) -> None:
    assert not look(told, MONDAY + 8 * HOUR + 14 * DAY)
    off = replace(told, settings=told.settings.replaced({"digest_recipients": ""}))
    assert not look(off, MONDAY + 8 * HOUR)
    assert mails.mails == []


def test_the_outbox_reads_a_digest_as_it_was_written(told: Database) -> None:
    with told.connect() as connection:
        message = digest.compose(connection, told.settings, MONDAY.date(), MONDAY)
    assert message is not None
    assert Message.from_json(json.loads(json.dumps(message.as_json()))) == message


@pytest.mark.usefixtures("told")
def test_the_command_sends_a_week_at_once(mails: MailServer, cli: Cli) -> None:
    given = mails.environment | {"CONSUMER_ANALYTICS_DIGEST_RECIPIENTS": "weekly@example.com"}
    done = cli("alerts", "digest", "--week", "2026-03-04", env=given)
    assert done.exit_code == 0, done.stderr
    assert 'sent "[consumer-analytics] Week of 2026-03-02: 3,850 events' in done.stdout
    assert len(mails.mails) == 1
    done = cli("alerts", "digest", "--week", "2020-01-01", env=given)
    assert (done.exit_code, "no snapshot of the week before 2020-01-06" in done.stderr) == (2, True)
    done = cli("alerts", "digest", env=mails.environment)
    assert (done.exit_code, "DIGEST_RECIPIENTS is not set" in done.stderr) == (2, True)


@pytest.mark.long
def test_a_pass_of_the_monitor_writes_it_and_the_next_one_sends_it(
    told: Database, mails: MailServer, cli: Cli
) -> None:
    now = dt.datetime.now(dt.UTC)
    monday = dt.datetime.combine(digest.last_monday(now, told.settings), dt.time.min, dt.UTC)
    told.execute(
        "update consumer_analytics set snapshot_timestamp = snapshot_timestamp + %s",
        [monday - MONDAY],
    )
    given = mails.environment | {
        "CONSUMER_ANALYTICS_ALERT_RECIPIENTS": "",
        "CONSUMER_ANALYTICS_DIGEST_RECIPIENTS": "weekly@example.com",
    }
    sent = []
    for _ in range(3):
        assert cli("alerts", "check", env=given).exit_code == 0
        sent.append(len(mails.mails))
    assert sent == [0, 1, 1]
    assert "Week of" in str(mails.mails[0]["Subject"])
