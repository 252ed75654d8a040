"""An archive in an object store: all of it as in a folder, and its keys nowhere."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from tests.conftest import Cli
from tests.support import archives, object_store, sail

from consumer_analytics.errors import ArchiveError, SettingsError
from consumer_analytics.lake import stores
from consumer_analytics.operations.doctor.archive import readable
from consumer_analytics.operations.doctor.findings import Context, Verdict
from consumer_analytics.settings import Settings

BUCKET = "archive-of-tests"


@pytest.fixture(scope="module")
def store() -> Iterator[Mapping[str, str]]:
    with object_store.started(BUCKET) as environment:
        yield environment


@pytest.fixture(autouse=True)
def _access(store: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in store.items():
        monkeypatch.setenv(name, value)
    stores.s3.cache_clear()
    yield
    stores.s3.cache_clear()


@pytest.fixture
def lake(new_database: Callable[..., Any]) -> Any:
    """A database with a history, whose old days are in the store alone."""
    made = new_database(lake_url=f"s3://{BUCKET}/{uuid.uuid4().hex}/old events")
    archives.fill(made)
    return made


def test_what_is_archived_there_and_purged_is_missed_by_nothing(lake: Any) -> None:
    before = archives.shown(lake)
    done = archives.archived(lake)
    assert done.rows == archives.purge(lake) > 0
    archives.clean(lake)
    archives.computed_again(lake, before)
    again = archives.archived(lake)
    assert (again.days, again.rows, again.files) == (0, 0, done.files)


def path_of(lake: Any, day: str = "2025-03-28") -> str:
    root = lake.settings.lake_url.removeprefix("s3://")
    return f"{root}/customer_events/day={day}/part-0001.parquet"


def content(path: str) -> bytes:
    with stores.s3().open_input_stream(path) as file:
        return bytes(file.read())


def put(path: str, what: bytes) -> None:
    with stores.s3().open_output_stream(path) as file:
        file.write(what)


def test_an_object_that_changed_is_refused_by_name(lake: Any) -> None:
    archives.archived(lake)
    archives.purge(lake)
    path = path_of(lake)
    whole = content(path)
    put(path, whole[:-9] + b"x" + whole[-8:])
    with pytest.raises(ArchiveError, match=r"s3://.*day=2025-03-28/part-0001\.parquet is not what"):
        archives.clean(lake)
    stores.s3().delete_file(path)
    with pytest.raises(ArchiveError, match=r"part-0001\.parquet is gone"):
        archives.clean(lake)
    put(path, whole)
    put(path.replace("part-0001", "copy"), whole)
    with pytest.raises(ArchiveError, match=r"copy\.parquet is none of the archive's files"):
        archives.clean(lake)
    stores.s3().delete_file(path.replace("part-0001", "copy"))
    # Copied from elsewhere, an object has another tag, and is read.
    lake.execute("update consumer_analytics_internal.archived_files set etag = 'another'")
    archives.clean(lake)


def test_what_is_not_read_where_the_store_has_its_word(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives.archived(lake)
    read: list[str] = []

    def sha256(_: object, name: str) -> str:
        read.append(name)
        return ""

    monkeypatch.setattr(stores.Bucket, "sha256", sha256)
    archives.clean(lake)
    assert read == []
    lake.execute(
        "update consumer_analytics_internal.archived_files set etag = null where day = '2025-03-28'"
    )
    with pytest.raises(ArchiveError, match="is not what was archived"):
        archives.clean(lake)
    assert len(read) == 1


def test_sail_reads_it_there(lake: Any) -> None:
    plain = replace(
        lake, settings=replace(lake.settings, lake_url=f"s3://{BUCKET}/{uuid.uuid4().hex}")
    )
    archives.archived(plain)
    archives.purge(plain)
    with sail.started() as server:
        by_sail = replace(plain, settings=replace(plain.settings, spark_remote=server.remote))
        before = archives.shown(plain)
        archives.filled_in(by_sail)
        archives.clean(by_sail)
    assert archives.shown(plain) == before


def test_keys_are_told_by_nothing_and_a_store_that_is_away_is_a_line(
    lake: Any, store: Mapping[str, str]
) -> None:
    archives.archived(lake)
    environment = {**store, "CONSUMER_ANALYTICS_LAKE_URL": lake.settings.lake_url}
    cli = partial(Cli(lake), env=environment)
    done = cli("audit", "--json")
    assert json.loads(done.stdout)["clean"] is True
    said = done.stdout + done.stderr
    away = {**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    for command in (("audit",), ("archive", "--through", "2025-04-08"), ("doctor",)):
        refused = Cli(lake)(*command, env=away)
        said += refused.stdout + refused.stderr
        assert refused.exit_code != 0
        assert "Traceback" not in refused.stderr
        assert "of the archive cannot be read: " in refused.stdout + refused.stderr
    assert refused.stderr.count("\n") <= 1
    assert object_store.KEY not in said


def test_the_doctor_reads_it_there(lake: Any) -> None:
    done = archives.archived(lake)
    with lake.session("doctor") as connection:
        found = readable(Context(lake.settings, connection))
        assert (found.verdict, f"in {done.files} files" in found.says) == (Verdict.OK, True)
        stores.s3().delete_file(path_of(lake))
        found = readable(Context(lake.settings, connection))
    assert found.verdict is Verdict.PROBLEM
    assert found.evidence == (f"s3://{path_of(lake)}",)


@pytest.mark.parametrize("url", ["s3://me:hush@bucket/x", "s3:///x", "s3://b?x=hush", "s3://BIG"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"lake|LAKE") as told:
        Settings(lake_url=url)
    assert "me:hush" not in str(told.value)
