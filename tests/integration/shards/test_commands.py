"""The command line over several shards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi.testclient import TestClient
from psycopg.conninfo import conninfo_to_dict
from tests.conftest import Cli, Database
from tests.integration.shards.conftest import NAMES, Federation, documents
from tests.integration.shards.test_runs import C, add_event, fill
from tests.support import lanes, own_names

from consumer_analytics.shards import addresses
from consumer_analytics.web.app import create_app
from consumer_analytics.web.auth import authenticator


def test_each_command_works_over_all_shards(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    assert federated("migrate").stdout == "the schema is up to date, in every shard too\n"
    ran = federated("run", "--as-of", "2025-01-03")
    assert ran.exit_code == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines() if line.startswith(NAMES)] == [
        *NAMES
    ]
    told = federated("run", "--as-of", "2025-01-04", "--json").json
    assert set(told["shards"]) == set(NAMES)
    assert told["rows_read"] == sum(one["rows_read"] for one in told["shards"].values()) > 0
    dry = federated(
        "backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-04", "--dry-run", "--json"
    ).json
    assert dry["periods"] == 3
    done = federated("backfill", "--start-date", "2025-01-01", "--end-date", "2025-01-04")
    assert done.exit_code == 0, done.stderr
    assert "done       3 periods: " in done.stdout
    assert "done" in federated("backfill", "list").stdout
    add_event(federation.shards["west"], C, "2025-01-03 12:00", "late")
    swept = federated("sweep", "--days", "10")
    assert "1 event found" in swept.stdout, swept.stderr
    assert federated("capture", "enable", "--json").json["shards"].keys() == set(NAMES)
    status = federated("capture", "status")
    assert status.stdout.count("capture    on") == 3
    assert federated("capture", "disable").stdout.count("capture    off") == 3
    audited = federated("audit")
    assert audited.exit_code == 0, audited.stdout
    assert audited.stdout.count("nothing differs") == 4
    ahead = federated("audit", "--from", "2199-01-01")
    assert ahead.exit_code == 2
    assert ahead.stderr.endswith("no snapshot was written from 2199-01-01 on\n")
    federation.analytics.execute(
        "update consumer_analytics set metrics_json = jsonb_set(metrics_json, '{total_events}', "
        "'1') where consumer_id = %s and snapshot_timestamp = '2025-01-03Z'",
        [C],
    )
    audited = federated("audit", "--json")
    assert audited.exit_code == 1
    assert audited.json["published"]["differences"] == 1
    assert federated("audit", "--repair").exit_code == 0
    shown = federated("status")
    assert all(f"\n{name} " in shown.stdout for name in NAMES), shown.stdout
    federation.unite()
    for at in federation.instants():
        federation.run_alone(at)
    told_of = {key: json.loads(text) for key, text in documents(federation.analytics).items()}
    known = {key: json.loads(text) for key, text in documents(federation.alone).items()}
    for document in (*told_of.values(), *known.values()):
        del document["snapshot_source"], document["incremental_stats"]
    assert told_of == known


def test_status_and_doctor_name_a_shard_that_is_down(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    urls = {name: shard.url for name, shard in federation.shards.items()}
    federation.write_file({**urls, "north": "postgresql://nobody:hidden@127.0.0.1:1/none"})
    shown = federated("status", "--json")
    assert shown.exit_code == 0, shown.stderr
    states = {one["name"]: one["error"] for one in shown.json["shards"]}
    federation.shards["west"].execute(
        "insert into consumer_analytics_internal.archive values (true, '2025-01-02')"
    )
    assert "warning: shard west: days before 2025-01-02 are archived, and nothing says where" in (
        federated("status").stderr
    )
    federation.shards["west"].execute("delete from consumer_analytics_internal.archive")
    assert states["east"] is None
    assert states["north"].startswith("shard north: the database cannot be reached")
    doctor = federated("doctor", "--json")
    by_shard = doctor.json["shards"]
    assert doctor.exit_code == 2
    verdicts = {name: one["checks"][0]["verdict"] for name, one in by_shard.items()}
    assert verdicts == {"east": "ok", "west": "ok", "north": "problem"}
    ran = federated("run")
    assert ran.exit_code == 1
    assert "error: shard north: the database cannot be reached" in ran.stderr
    for result in (shown, doctor, ran):
        assert "hidden" not in result.stdout + result.stderr


def test_the_figures_of_this_moment_are_refused_where_there_are_no_rows(
    federation: Federation,
) -> None:
    """They were zeros, and said to be settled."""
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    asked = "select metrics_json ->> 'total_events_all_consumers' from consumer_analytics_now"
    said = "the figures of this moment are in each shard: this database has what they published"
    with pytest.raises(psycopg.errors.FeatureNotSupported, match=f"^{said}, and no rows"):
        federation.analytics.rows(asked)
    settings = federation.analytics.settings
    app = create_app(settings, authenticator=authenticator(settings, "127.0.0.1"))
    with TestClient(app, base_url="http://localhost") as client:
        answer = client.get("/api/v1/now")
    assert (answer.status_code, answer.json()["detail"][: len(said)]) == (503, said)
    whole = f"{asked} where consumer_id is null"
    assert sum(int(one.rows(whole)[0][0]) for one in federation.shards.values()) == 27


def test_health_names_each_shard_whose_archives_address_is_lacking(
    federation: Federation, federated: Callable[..., Any], tmp_path: Path
) -> None:
    """Every run will refuse for it, and the analytics database knows of no archive."""
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    assert federated("health", "--json").json["archive"] is None
    for name in ("east", "west"):
        federation.shards[name].execute(
            "insert into consumer_analytics_internal.archive values (true, '2025-01-02')"
        )
    said = "days before 2025-01-02 are archived, and nothing says where: set CONSUMER_ANALYTICS_"
    shown = federated("health").stdout
    for name in ("east", "west"):
        assert f"\narchive    shard {name}: {said}LAKE_URL\n" in shown
    told = federated("health", "--json").json["archive"]
    assert told == f"shard east: {said}LAKE_URL; shard west: {said}LAKE_URL"
    urls = {name: shard.url for name, shard in federation.shards.items()}
    federation.write_file({**urls, "west": "postgresql://nobody:hidden@127.0.0.1:1/none"})
    assert federated("health", "--json").json["archive"] == f"shard east: {said}LAKE_URL"
    named = federated("health", env={"CONSUMER_ANALYTICS_LAKE_URL": tmp_path.as_uri()})
    assert "archived" not in named.stdout + named.stderr


@pytest.mark.long
def test_a_dry_run_says_what_is_left_out_as_in_one_database(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    """It said nothing of the days that a zone skipped, nor of those before the first row."""
    federation.shards["west"].execute(
        "insert into consumers (consumer_id, name, created_at) "
        "values (gen_random_uuid(), 'one', '2011-12-28 12:00Z')"
    )
    zone = {"CONSUMER_ANALYTICS_TIMEZONE": "Pacific/Apia"}
    asked = ("backfill", "--dry-run", "--start-date")
    planned = federated(*asked, "2011-12-26", "--end-date", "2012-01-01", env=zone)
    assert (planned.exit_code, planned.stderr) == (0, "reading the shards\n")
    assert planned.stdout.splitlines()[-2:] == [
        "left out   2 periods before the first row",
        "left out   1 day that Pacific/Apia skipped: 2011-12-30",
    ]
    planned = federated(*asked, "2011-12-30", "--end-date", "2011-12-31", env=zone)
    assert "left out   there is nothing to write: Pacific/Apia skipped 2011-12-30 to" in (
        planned.stdout
    )


@pytest.mark.long
def test_a_watermark_set_ahead_hides_no_lag_over_shards(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    federation.analytics.execute("update etl_job_watermarks set last_processed_timestamp = now()")
    judged = federated("health", "--json")
    assert (judged.exit_code, judged.json["watermark"]) == (2, "2025-01-03T00:00:00+00:00")
    said = judged.json["cause"]["text"]
    assert said.endswith("but only what is before 2025-01-03 00:00:00 UTC is processed")
    assert "ahead      the watermark was set by hand to " in federated("status").stdout


@pytest.mark.parametrize("command", lanes.first(1, ["health", "metrics", "alerts check"]))
def test_the_names_of_the_shards_are_not_looked_for_where_their_figures_are(
    federated: Callable[..., Any], tmp_path: Path, command: str
) -> None:
    """There are no rows under any names: a command that reads them there failed."""
    mapping = own_names.mapping_file(tmp_path, '[customer_events]\ntable = "happened"\n')
    done = federated(*command.split(), env={"CONSUMER_ANALYTICS_SOURCES_FILE": str(mapping)})
    assert "error: " not in done.stderr
    assert "happened" not in done.stderr


@pytest.mark.long
def test_who_holds_runs_back_is_named_with_the_shard(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    west = federation.shards["west"]
    # Before any run: nobody knows how old it is.
    with psycopg.connect(west.url, autocommit=True) as writer:
        writer.execute("begin; select pg_current_xact_id(); prepare transaction 'of old'")
    held = federated("run", env={"CONSUMER_ANALYTICS_HOLDBACK_WAIT": "0.2"})
    assert held.exit_code == 0, held.stderr
    assert "shard west: held back by prepared transaction 'of old'" in held.stderr
    assert "nothing could be processed yet" in held.stdout
    assert documents(federation.analytics) == {}
    health = " ".join(federated("health").stdout.split())
    assert "in shard west; see that it ends, then run again" in health
    checks = {one["check"]: one for one in federated("doctor", "--json").json["checks"]}
    assert any("in shard west" in line for line in checks["watermark"]["evidence"])
    with psycopg.connect(west.url, autocommit=True) as writer:
        writer.execute("commit prepared 'of old'")
    assert federated("run").exit_code == 0
    federation.replay()
    assert federation.require_equal() == 5


@pytest.mark.long
def test_the_doctor_tells_of_a_run_that_is_not_published(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    federation.analytics.execute(
        "insert into consumer_analytics_internal.sharded_runs (run_key, snapshot_source, "
        "requested_at, reached_at, named, held_back_by, watermark) "
        "values ('cut off', 'cli_etl', '2025-01-04Z', '2025-01-04Z', true, '[]', '2025-01-03Z')"
    )
    checks = {one["check"]: one for one in federated("doctor", "--json").json["checks"]}
    assert checks["snapshots-published"]["verdict"] == "problem"
    assert "run cut off" in checks["snapshots-published"]["says"]
    assert federated("run", "--as-of", "2025-01-05").exit_code == 0
    checks = {one["check"]: one for one in federated("doctor", "--json").json["checks"]}
    assert checks["snapshots-published"]["verdict"] == "ok"
    assert [at.day for at in federation.instants()] == [3, 4, 5]
    # What some shards have alone waits.
    federation.analytics.execute(
        "insert into consumer_analytics_internal.shards_awaited values ('2025-01-04T12:00Z')"
    )
    checks = {one["check"]: one for one in federated("doctor", "--json").json["checks"]}
    assert checks["snapshots-published"]["verdict"] == "warning"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "names no shard"),
        ('[east]\nurl = "postgresql://a:hidden@b"\n[east]\n', "is not TOML"),
        ('[east]\nurl = "postgresql://a:hidden@b', "is not TOML"),
        ('url = "postgresql://a:hidden@b"', "has values outside of a table"),
        ('["postgresql://a:hidden@b"]\nurl = "x"', "table 1: a name has letters"),
        ('[east]\nuri = "postgresql://a:hidden@b"', "may say url, url_file, password_file"),
        ("[east]\nurl = 5", "url must be a text"),
        ("[east]\n", "needs url or url_file"),
        ('[east]\nurl = "hidden"\nurl_file = "x"', "needs url or url_file, and one of them"),
        ('[east]\nurl_file = "/nowhere"', "No such file or directory: /nowhere"),
        ('[east]\nurl = "postgresql://a:hid@den@b/c"', "special characters of the password"),
        ("[east]\nurl = 'mysql://hidden'", "is not a PostgreSQL URL"),
    ],
)
def test_a_file_that_is_wrong_is_refused_and_what_it_holds_is_not_told(
    database: Database, tmp_path: Path, written: str, says: str
) -> None:
    file = tmp_path / "shards.toml"
    file.touch(mode=0o600)
    file.write_text(written, encoding="utf-8")
    variables = {"CONSUMER_ANALYTICS_SHARDS_FILE": str(file), "COLUMNS": "500"}
    result = Cli(database)("run", env=variables)
    assert result.exit_code != 0
    assert says in result.stderr
    assert result.stderr.count("\n") == 1
    assert "hid" not in result.stderr


@pytest.mark.long
def test_addresses_and_passwords_may_lie_in_files_of_their_own(
    federation: Federation, federated: Callable[..., Any], tmp_path: Path
) -> None:
    fill(federation)
    east = federation.shards["east"].url
    url, password = tmp_path / "url", tmp_path / "password"
    for path, text in ((url, east), (password, str(conninfo_to_dict(east).get("password", "")))):
        path.touch(mode=0o600)
        path.write_text(f"{text}\n", encoding="utf-8")
    rest = "".join(
        f'[{name}]\nurl = "{federation.shards[name].url}"\npassword_file = "{password}"\n'
        for name in NAMES[1:]
    )
    federation.file.write_text(f'[east]\nurl_file = "{url}"\n{rest}', encoding="utf-8")
    assert federated("run", "--as-of", "2025-01-03").exit_code == 0
    federation.file.chmod(0o644)
    result = federated("run", "--as-of", "2025-01-04")
    assert result.exit_code == 0
    assert "holds a secret and can be read by others (mode 0644)" in result.stderr


def test_what_is_not_carried_is_refused(
    federation: Federation, federated: Callable[..., Any]
) -> None:
    fill(federation)
    federation.run("2025-01-03T00:00Z")
    before = documents(federation.analytics)
    removal = ["snapshots", "remove", "--at", "2025-01-03"]
    nowhere = federated("archive", "--through", "2025-01-02").stderr
    assert "nothing says where to: set CONSUMER_ANALYTICS_LAKE_URL" in nowhere
    spark = {
        "CONSUMER_ANALYTICS_LAKE_URL": "file:///tmp",
        "CONSUMER_ANALYTICS_SPARK_REMOTE": "sc://127.0.0.1:1",
    }
    assert "unset CONSUMER_ANALYTICS_SPARK_REMOTE" in federated("run", env=spark).stderr
    for refused in (["vanished"], ["simulate", "--append"]):
        assert "it has no rows: " in federated(*refused).stderr, refused
    # In a shard alone, too.
    alone = Cli(federation.shards["west"])
    for refused in (["run"], ["sweep"], ["maintenance"], ["capture", "enable"], removal):
        result = alone(*refused)
        assert result.exit_code != 0, refused
        assert "the shard west of another one's figures" in result.stderr, refused
    assert documents(federation.analytics) == before


def test_each_shard_has_a_place_of_its_own_below_the_lakes_address(federation: Federation) -> None:
    for url in ("file:///srv/lake", "s3://bucket/folder/"):
        settings = federation.settings.replaced({"lake_url": url})
        found = [one.settings(settings).lake_url for one in addresses.read(settings)]
        assert found == [f"{url.rstrip('/')}/{name}" for name in federation.shards]
        assert addresses.of_analytics(settings).lake_url is None
