"""The archive as an Iceberg table: as in a folder, and whoever changes the table is named."""

from __future__ import annotations

import datetime as dt
import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as arrow  # noqa: ICN001
import pytest
from pyarrow import parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import parquet_file_to_data_file
from pyiceberg.manifest import (
    DataFile,
    DataFileContent,
    FileFormat,
    ManifestContent,
    ManifestWriter,
    ManifestWriterV2,
)
from pyiceberg.table import StaticTable
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.transforms import BucketTransform, DayTransform, HourTransform, IdentityTransform
from pyiceberg.types import StringType
from pyspark.sql.connect.session import SparkSession
from tests.support import archives, hostile, lanes, object_store, sail

from consumer_analytics import installation
from consumer_analytics.errors import ArchiveError
from consumer_analytics.fields import Secret
from consumer_analytics.lake import folder, stores, writing
from consumer_analytics.lake.tables.iceberg import IcebergTable
from consumer_analytics.operations.doctor import archive as doctor
from consumer_analytics.operations.doctor.findings import Context, Finding, Verdict

#: A day that is archived in all these tests, and has rows.
DAY = "day=2025-03-28"
PART = f"{DAY}/part-0001.parquet"
NAMES = ["event_id", "customer_id", "consumer_id", "event_type", "payload_json", "created_at"]


@pytest.fixture
def lake(new_database: Callable[..., Any], tmp_path: Path) -> Any:
    """A database with a history, whose archive is an Iceberg table."""
    made = new_database(lake_url=(tmp_path / "lake it's").as_uri(), lake_format="iceberg")
    archives.fill(made)
    return made


def place_of(lake: Any) -> Path:
    place: Path = lake.settings.home.parent / "lake it's" / "customer_events"
    return place


def as_others_read_it(place: Path) -> Any:
    return StaticTable.from_metadata(str(place))


def by_its_folder(place: Path) -> Any:
    """Return the table for somebody else, who commits as engines do that know the folder alone."""
    return IcebergTable(stores.Folder(place.parent), place.name)._table


def by_a_catalogue(place: Path) -> Any:
    """Return the table for somebody else, whose catalogue has taken it over."""
    catalogue = SqlCatalog("theirs", uri="sqlite:///:memory:", warehouse=str(place.parent))
    catalogue.create_namespace("theirs")
    newest = StaticTable._metadata_location_from_version_hint(str(place))
    return catalogue.register_table("theirs.events", newest)


def rows_of(lake: Any, where: str = "created_at < '2025-04-09'") -> list[Any]:
    found: list[Any] = lake.rows(
        "select event_id::text, customer_id::text, consumer_id::text, event_type, "
        f"payload_json::text, created_at from customer_events where {where} order by 1"
    )
    return found


def told_by(table: Any) -> list[Any]:
    rows = table.scan().to_arrow().to_pylist()
    return sorted(tuple(row[name] for name in NAMES) for row in rows)


def examined(lake: Any) -> Finding:
    with lake.session("doctor") as connection:
        return doctor.readable(Context(lake.settings, connection))


def test_the_table_has_the_rows_and_all_figures_come_from_it(lake: Any) -> None:
    before, rows = archives.shown(lake), rows_of(lake)
    place = place_of(lake)
    done = archives.archived(lake, dt.date(2025, 3, 31))
    table = as_others_read_it(place)
    assert done.days == done.files == table.current_snapshot().sequence_number
    second = archives.archived(lake)
    table = as_others_read_it(place)
    assert table.current_snapshot().sequence_number == second.files
    assert told_by(table) == rows
    partitions = table.inspect.partitions().to_pylist()
    assert sorted(one["partition"]["day"] for one in partitions) == sorted(
        {row[-1].date() for row in rows}
    )
    assert archives.purge(lake) == len(rows)
    archives.computed_again(lake, before)
    assert examined(lake).verdict is Verdict.OK
    versions = lake.rows(
        "select version from consumer_analytics_internal.archived_files order by day"
    )
    assert versions == [(n,) for n in range(1, second.files + 1)]


def test_what_its_log_keeps_is_little_and_for_nobody_else(lake: Any) -> None:
    done = archives.archived(lake)
    place = place_of(lake) / "metadata"
    assert place.stat().st_mode & 0o777 == 0o750
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o640}
    table = as_others_read_it(place_of(lake))
    files = table.inspect.files().to_pylist()
    assert len(files) == done.files
    # Bounds of texts would be what customers did.
    assert {key for file in files for key, _ in file["lower_bounds"]} == {6}
    assert len(table.metadata.snapshots) == 10
    assert len(table.current_snapshot().manifests(table.io)) < 16 < done.files


def hostile_files(folder_of: Path, found: Sequence[hostile.Row]) -> list[Path]:
    """Write rows as the archive does, a file and a commit for each day."""
    store = stores.Folder(folder_of)
    days: dict[int, list[hostile.Row]] = {}
    for row in found:
        days.setdefault(row[-1] // hostile.DAY, []).append(row)
    columns = writing.columns_read()
    for number, rows in days.items():
        day = dt.date.fromordinal(number + dt.date(1970, 1, 1).toordinal())
        name = folder.name_of(day, 1)
        values = zip(*[(*hostile.texts(row)[:5], row[-1]) for row in rows], strict=True)
        arrays = [
            arrow.array(one, kind) for one, kind in zip(values, columns.values(), strict=True)
        ]
        with store.placing(name) as path:
            writing.write(path, iter([arrow.table(arrays, list(columns))]))
            size = path.stat().st_size
        within = name.removeprefix(f"{folder.TABLE}/")
        schema = writing.file_schema()
        IcebergTable(store, folder.TABLE).add(within, day, len(rows), size, schema)
    found_there = IcebergTable(store, folder.TABLE).files()
    assert len(found_there) == len(days)
    # Days at both ends of the calendar, before 1970, and that of each instant.
    assert all(file.first_day == file.last_day for file in found_there.values())
    ordinals = {dt.date.fromisoformat(name[4:14]).toordinal() for name in found_there}
    assert ordinals == {file.first_day for file in found_there.values()}
    return [folder_of / folder.TABLE / name for name in found_there]


def test_hostile_rows_are_counted_as_postgresql_counts_them(
    database: Any, tmp_path: Path, sail_server: sail.Server
) -> None:
    found = hostile.rows(17)
    hostile.put(database, found)
    paths = hostile_files(tmp_path, found)
    for remote in (None, sail_server.remote):
        hostile.hold(database, paths, found, remote)
    # As others read the table: no row is changed or lost, whatever it holds.
    rows = as_others_read_it(tmp_path / folder.TABLE).scan().to_arrow()
    rows = rows.set_column(5, "created_at", rows.column("created_at").cast(arrow.int64()))
    told = [tuple(row[name] for name in NAMES) for row in rows.to_pylist()]
    expected = [(*hostile.texts(row)[:5], row[-1]) for row in found]
    assert sorted(told, key=repr) == sorted(expected, key=repr)
    # And as an engine does that is told of its folder alone.
    session = SparkSession.builder.remote(sail_server.remote.get_secret_value()).create()
    events = session.read.format("iceberg").load(f"file://{tmp_path / folder.TABLE}")
    ((rows_there, ids, least, most),) = events.selectExpr(
        *("count(*)", "count(distinct event_id)"),
        *(f"unix_micros({end}(created_at))" for end in ("min", "max")),
    ).collect()
    session.stop()
    instants = [row[-1] for row in found]
    assert (rows_there, ids) == (len(found), len(found))
    assert (least, most) == (min(instants), max(instants))


def test_a_command_that_was_killed_is_made_good_and_adds_nothing_twice(lake: Any) -> None:
    rows = rows_of(lake)
    archives.archived(lake)
    # Killed after the table had the file, and before the manifest said so; and a row came then.
    lake.execute(
        "delete from consumer_analytics_internal.archived_files where day >= '2025-04-08'; "
        "delete from consumer_analytics_internal.archived_counts where day >= '2025-04-08'; "
        "update consumer_analytics_internal.archive set first_day = '2025-04-08'"
    )
    # Killed before the hint named what was written last.
    hint = place_of(lake) / "metadata" / "version-hint.text"
    number = int(hint.read_text())
    hint.write_text(str(number - 1))
    archives.archived(lake)
    assert int(hint.read_text()) == number + 1
    assert told_by(as_others_read_it(place_of(lake))) == rows
    archives.purge(lake)
    archives.clean(lake)


def copied(place: Path) -> str:
    copy = place / DAY / "copy.parquet"
    shutil.copy(place / PART, copy)
    return f"file://{copy}"


def added(place: Path) -> None:
    by_its_folder(place).add_files([copied(place)])


def added_by_a_catalogue(place: Path) -> None:
    by_a_catalogue(place).add_files([copied(place)])


def added_without_bounds(place: Path) -> None:
    table = by_its_folder(place)
    with table.update_spec() as spec:
        spec.remove_field("day")
    with table.transaction() as commit:
        commit.set_properties({"write.metadata.metrics.column.created_at": "none"})
    table.add_files([copied(place)])


def added_elsewhere(place: Path) -> None:
    other = place.parent / "other.parquet"
    shutil.copy(place / PART, other)
    by_a_catalogue(place).add_files([f"file://{other}"])


def added_twice(place: Path) -> None:
    by_its_folder(place).add_files([f"file://{place / PART}"], check_duplicate_files=False)


def deleted(place: Path) -> None:
    by_its_folder(place).delete(
        "created_at >= '2025-03-28T00:00:00+00:00' and created_at < '2025-03-29T00:00:00+00:00'"
    )


def compacted(place: Path) -> None:
    table = by_its_folder(place)
    rewritten = place / "data" / "00000.parquet"
    rewritten.parent.mkdir()
    parquet.write_table(parquet.read_table(place / PART, partitioning=None), rewritten)
    (before,) = (
        task.file for task in table.scan().plan_files() if task.file.file_path.endswith(PART)
    )
    with table.transaction() as commit, commit.update_snapshot().overwrite() as snapshot:
        snapshot.delete_data_file(before)
        snapshot.append_data_file(
            parquet_file_to_data_file(table.io, table.metadata, f"file://{rewritten}")
        )


class _Deletes(ManifestWriterV2):  # type: ignore[misc]
    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


class _MarkAsDeleted(_FastAppendFiles):  # type: ignore[misc]
    def new_manifest_writer(self, spec: Any) -> ManifestWriter:
        return _Deletes(
            spec, self.schema(), self.new_manifest_output(), self._snapshot_id, self._compression
        )


def marked(place: Path, content: DataFileContent, rows: arrow.Table, ids: list[int] | None) -> None:
    """Mark rows of a day as deleted in a file of its own, as engines do that merge on read."""
    table = by_its_folder(place)
    path = place / DAY / "deletes.parquet"
    parquet.write_table(rows, path)
    (file,) = (
        task.file for task in table.scan().plan_files() if task.file.file_path.endswith(PART)
    )
    marks = DataFile.from_args(
        content=content,
        file_path=f"file://{path}",
        file_format=FileFormat.PARQUET,
        partition=file.partition,
        record_count=rows.num_rows,
        file_size_in_bytes=path.stat().st_size,
        equality_ids=ids,
    )
    marks.spec_id = file.spec_id
    before = as_others_read_it(place)
    with table.transaction() as commit, _MarkAsDeleted("delete", commit, table.io) as snapshot:
        snapshot.append_data_file(marks)
    if ids is None:
        # It does take rows away from those who read the table.
        after = as_others_read_it(place)
        assert len(told_by(after)) == len(told_by(before)) - rows.num_rows


def rows_marked_by_place(place: Path) -> None:
    rows = {"file_path": [f"file://{place / PART}"], "pos": arrow.array([0], arrow.int64())}
    marked(place, DataFileContent.POSITION_DELETES, arrow.table(rows), None)


def rows_marked_by_value(place: Path) -> None:
    rows = arrow.table({"event_type": ["login"]})
    marked(place, DataFileContent.EQUALITY_DELETES, rows, [4])


def rolled_back(place: Path) -> None:
    table = by_its_folder(place)
    before = sorted(table.metadata.snapshots, key=lambda one: one.sequence_number)[-2]
    table.manage_snapshots().set_current_snapshot(before.snapshot_id).commit()


def newest(place: Path, of: str = "v*.metadata.json") -> Path:
    return max((place / "metadata").glob(of), key=lambda path: int(path.name[1:].split(".")[0]))


def cut(place: Path) -> None:
    newest(place).unlink()


def halved(place: Path) -> None:
    path = newest(place)
    path.write_bytes(path.read_bytes()[:200])


def without_metadata(place: Path) -> None:
    for path in (place / "metadata").glob("*.json"):
        path.unlink()


def without_a_list(place: Path) -> None:
    snapshot = as_others_read_it(place).current_snapshot()
    Path(snapshot.manifest_list.removeprefix("file://")).unlink()


def without_a_manifest(place: Path) -> None:
    table = as_others_read_it(place)
    manifest, *_ = table.current_snapshot().manifests(table.io)
    Path(manifest.manifest_path.removeprefix("file://")).write_bytes(b"Obj\x01 and nothing else")


DRIFTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a day twice": (added, r"day=2025-03-28/copy\.parquet was added to the Iceberg table"),
    "a day twice, by a catalogue": (
        added_by_a_catalogue,
        r"day=2025-03-28/copy\.parquet was added to the Iceberg table",
    ),
    "rows that may be of any day": (
        added_without_bounds,
        r"day=2025-03-28/copy\.parquet was added to the Iceberg table",
    ),
    "a day twice, elsewhere": (
        added_elsewhere,
        r"^file://.*/lake it's/other\.parquet was added to the Iceberg table",
    ),
    "a file twice": (added_twice, r"part-0001\.parquet is twice in the Iceberg table"),
    "a day deleted": (deleted, r"2025-03-28/part-0001\.parquet is no longer in the Iceberg table"),
    "compacted": (compacted, r"2025-03-28/part-0001\.parquet is no longer in the Iceberg table"),
    "rows deleted by place": (
        rows_marked_by_place,
        r"deletes\.parquet marks rows of the Iceberg table .* as deleted",
    ),
    "rows deleted by value": (
        rows_marked_by_value,
        r"deletes\.parquet marks rows of the Iceberg table .* as deleted",
    ),
    "a file gone": (
        lambda place: (place / PART).unlink(),
        r"2025-03-28/part-0001\.parquet is gone",
    ),
    "rolled back": (rolled_back, r"customer_events is an Iceberg table of version \d+, not \d+"),
    "the log cut": (cut, r"customer_events is an Iceberg table of version \d+, not \d+"),
    "the log's head halved": (halved, r"customer_events .* cannot be read as an Iceberg table: "),
    "no log": (without_metadata, r"customer_events is an Iceberg table no longer"),
    "no list of manifests": (without_a_list, r"snap-.*\.avro of the archive cannot be read: No su"),
    "a manifest of something else": (without_a_manifest, r"cannot be read as an Iceberg table: "),
}


@pytest.mark.parametrize("how", lanes.first(5, DRIFTS, long=0))
def test_whoever_changes_the_table_is_named(lake: Any, how: str) -> None:
    archives.archived(lake)
    archives.purge(lake)
    drift, said = DRIFTS[how]
    drift(place_of(lake))
    with pytest.raises(ArchiveError, match=said) as told:
        archives.clean(lake)
    assert "\n" not in str(told.value)
    with pytest.raises(ArchiveError) as told:
        archives.archived(lake)
    assert "\n" not in str(told.value)
    found = examined(lake)
    assert found.verdict is Verdict.PROBLEM
    assert "\n" not in "".join(found.evidence)


def renamed(place: Path) -> None:
    with by_its_folder(place).update_schema() as schema:
        schema.rename_column("customer_id", "person")
        schema.rename_column("created_at", "at")
        schema.add_column("note", StringType())
        schema.move_first("note")


def partitioned_otherwise(place: Path) -> None:
    with by_its_folder(place).update_spec() as spec:
        spec.remove_field("day")
        spec.add_field("created_at", HourTransform(), "hour")
        spec.add_field("consumer_id", BucketTransform(4), "bucket")


def partitioned_by_consumer(place: Path) -> None:
    with by_its_folder(place).update_spec() as spec:
        spec.remove_field("day")
        spec.add_field("consumer_id", IdentityTransform(), "whose")


def without_bounds(place: Path) -> None:
    with by_its_folder(place).transaction() as commit:
        commit.set_properties({"write.metadata.metrics.column.created_at": "none"})


def noted(place: Path) -> None:
    with by_its_folder(place).transaction() as commit:
        commit.set_properties({"owner": "somebody"})


def tagged(place: Path) -> None:
    table = by_its_folder(place)
    table.manage_snapshots().create_tag(table.current_snapshot().snapshot_id, "kept").commit()


def expired(place: Path) -> None:
    table = by_its_folder(place)
    gone = [one.snapshot_id for one in table.metadata.snapshots][:-1]
    table.maintenance.expire_snapshots().by_ids(gone).commit()


def noted_in_a_catalogue(place: Path) -> None:
    with by_a_catalogue(place).transaction() as commit:
        commit.set_properties({"owner": "somebody"})


#: What is done, and what `archive` says of the table then: nothing, or why it adds nothing to it.
LET_BE: dict[str, tuple[Callable[[Path], Any], str | None]] = {
    "columns renamed, one added": (renamed, r"cannot be written as an Iceberg table: "),
    "partitioned otherwise": (partitioned_otherwise, r"cannot be written as an Iceberg table: "),
    # Added, it would be passed over by whoever looks for a consumer, or a day.
    "partitioned by consumer": (
        partitioned_by_consumer,
        r"with partitions \(whose\) of which the archive's files do not tell: partition it by",
    ),
    "bounds not kept": (without_bounds, r"with partitions \(day\) of which the archive's files do"),
    "a property": (noted, None),
    "a tag": (tagged, None),
    "snapshots expired": (expired, None),
    "a file beside": (copied, None),
    "a catalogue": (noted_in_a_catalogue, r"is an Iceberg table that a catalogue keeps since it"),
}


@pytest.mark.parametrize("how", lanes.first(3, LET_BE, long=0))
def test_what_does_not_concern_its_rows_is_let_be(lake: Any, how: str) -> None:
    before = archives.shown(lake)
    done = archives.archived(lake, dt.date(2025, 3, 31))
    change, said = LET_BE[how]
    change(place_of(lake))
    lake.execute("delete from customer_events where created_at < '2025-04-01'")
    archives.filled_in(lake)
    archives.clean(lake)
    assert archives.shown(lake) == before
    assert examined(lake).verdict is Verdict.OK
    if said is None:
        assert archives.archived(lake).files > done.files
    else:
        with pytest.raises(ArchiveError, match=said) as told:
            archives.archived(lake)
        assert "\n" not in str(told.value)
        assert examined(lake).verdict is Verdict.OK
    archives.clean(lake)
    assert archives.shown(lake) == before


def test_what_was_added_to_days_that_are_not_archived_concerns_nobody(lake: Any) -> None:
    """As Delta's: a file that says that its rows are of other days."""
    archives.archived(lake, dt.date(2025, 3, 31))
    place = place_of(lake)
    other = place / "day=2031-01-01" / "theirs.parquet"
    other.parent.mkdir()
    rows = parquet.read_table(place / PART, partitioning=None)
    at = arrow.array([dt.datetime(2031, 1, 1, tzinfo=dt.UTC)] * rows.num_rows, rows.schema[-1].type)
    parquet.write_table(rows.set_column(5, "created_at", at), other)
    by_its_folder(place).add_files([f"file://{other}"])
    archives.clean(lake)
    # Nor does it after the table was partitioned by something else, and its columns renamed.
    partitioned_otherwise(place)
    archives.clean(lake)
    renamed(place)
    archives.clean(lake)


def test_what_was_changed_back_is_added_to_again(lake: Any) -> None:
    done = archives.archived(lake, dt.date(2025, 3, 31))
    place, rows = place_of(lake), rows_of(lake)
    partitioned_otherwise(place)
    renamed(place)
    with pytest.raises(ArchiveError, match="cannot be written as an Iceberg table: "):
        archives.archived(lake)
    table = by_its_folder(place)
    with table.update_schema(allow_incompatible_changes=True) as schema:
        schema.rename_column("person", "customer_id")
        schema.rename_column("at", "created_at")
        schema.delete_column("note")
    with table.update_spec() as spec:
        spec.remove_field("hour")
        spec.remove_field("bucket")
        spec.add_field("created_at", DayTransform(), "day")
    assert archives.archived(lake).files > done.files
    assert told_by(as_others_read_it(place)) == rows
    archives.purge(lake)
    archives.clean(lake)


def test_a_table_that_was_moved_says_so(lake: Any, tmp_path: Path) -> None:
    archives.archived(lake)
    archives.purge(lake)
    shutil.move(tmp_path / "lake it's", tmp_path / "moved")
    moved = replace(lake, settings=replace(lake.settings, lake_url=(tmp_path / "moved").as_uri()))
    said = r"moved/customer_events is an Iceberg table that says it lies at file://.*lake it's"
    for does in (archives.clean, archives.archived):
        with pytest.raises(ArchiveError, match=said) as told:
            does(moved)
        assert "\n" not in str(told.value)


def test_its_log_leads_nowhere_else(lake: Any, tmp_path: Path) -> None:
    archives.archived(lake)
    archives.purge(lake)
    path = newest(place_of(lake))
    outside = tmp_path / f"snap-{uuid.uuid4()}.avro"
    snapshot = as_others_read_it(place_of(lake)).current_snapshot()
    shutil.copy(snapshot.manifest_list.removeprefix("file://"), outside)
    for leads in (f"file://{outside}", str(outside), f"{place_of(lake)}/../../{outside.name}"):
        text = path.read_text()
        path.write_text(text.replace(snapshot.manifest_list, leads))
        with pytest.raises(ArchiveError, match="names as a part of itself, lies elsewhere"):
            archives.clean(lake)
        path.write_text(text)
    archives.clean(lake)
    # As Hadoop writes the same address, it is the same file.
    path.write_text(path.read_text().replace("file:///", "file:/"))
    archives.clean(lake)


def test_one_format_is_not_taken_for_another(lake: Any) -> None:
    archives.archived(lake)
    for other in ("parquet", "delta"):
        misset = replace(lake, settings=replace(lake.settings, lake_format=other))
        said = rf"archived as iceberg, and {other} is set: set CONSUMER_ANALYTICS_LAKE_FORMAT=ice"
        for does in (archives.clean, archives.archived):
            with pytest.raises(ArchiveError, match=said):
                does(misset)
        assert examined(misset).verdict is Verdict.PROBLEM


@pytest.mark.parametrize("archived_as", ["parquet", "delta"])
def test_nor_is_another_taken_for_it(
    new_database: Callable[..., Any], tmp_path: Path, archived_as: str
) -> None:
    made = new_database(lake_url=(tmp_path / "lake").as_uri(), lake_format=archived_as)
    archives.fill(made)
    archives.archived(made)
    misset = replace(made, settings=replace(made.settings, lake_format="iceberg"))
    said = rf"archived as {archived_as}, and iceberg is set: set CONSUMER_ANALYTICS_LAKE_FORMAT="
    for does in (archives.clean, archives.archived):
        with pytest.raises(ArchiveError, match=said):
            does(misset)
    assert examined(misset).verdict is Verdict.PROBLEM


def test_the_doctor_says_which_extra_reads_it(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    archives.archived(lake)
    monkeypatch.setitem(__import__("sys").modules, "pyiceberg.table", None)
    found = examined(lake)
    assert (found.verdict, found.fix and found.fix.command) == (
        Verdict.WARNING,
        installation.command("iceberg"),
    )


def test_it_lies_in_a_bucket_and_sail_reads_it(
    new_database: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_store.started("tables") as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        stores.s3.cache_clear()
        lake = new_database(lake_url="s3://tables/of/events", lake_format="iceberg")
        archives.fill(lake)
        before = archives.shown(lake)
        done = archives.archived(lake)
        archives.purge(lake)
        archives.clean(lake)
        access = {
            "s3.endpoint": environment["AWS_ENDPOINT_URL"],
            "s3.region": environment["AWS_REGION"],
        }
        table = StaticTable.from_metadata("s3://tables/of/events/customer_events", access)
        assert table.scan().count() == done.rows
        with sail.started() as server:
            by_sail = replace(lake, settings=replace(lake.settings, spark_remote=server.remote))
            archives.filled_in(by_sail)
            archives.clean(by_sail)
        assert archives.shown(lake) == before
        assert examined(lake).verdict is Verdict.OK
        IcebergTable(stores.of(lake.settings), folder.TABLE)._table.delete(
            "created_at < '2025-03-29T00:00:00+00:00'"
        )
        with pytest.raises(ArchiveError, match=r"s3://tables.* is no longer in the Iceberg table"):
            archives.clean(lake)
    stores.s3.cache_clear()


def test_a_server_is_read_with_the_same_figures(lake: Any, sail_server: sail.Server) -> None:
    plain = lake.settings.home.parent / "plain"
    by_sail = replace(lake, settings=replace(lake.settings, lake_url=plain.as_uri()))
    before = archives.shown(by_sail)
    archives.archived(by_sail)
    archives.purge(by_sail)
    remote: Secret = sail_server.remote
    by_sail = replace(by_sail, settings=replace(by_sail.settings, spark_remote=remote))
    archives.filled_in(by_sail)
    archives.clean(by_sail)
    assert archives.shown(by_sail) == before
