"""The archive: whether this machine can read it, and whether anything waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from consumer_analytics import installation
from consumer_analytics.errors import ArchiveError, ConsumerAnalyticsError, MissingExtraError
from consumer_analytics.etl import archived
from consumer_analytics.formatting import counted
from consumer_analytics.lake import engine, folder, manifest
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    Verdict,
    ok,
)
from consumer_analytics.settings import variable

#: Files, or days, that are named.
_LISTED = 5


def readable(context: Context) -> Finding:  # noqa: PLR0911  (one for each answer)
    """Tell whether what is archived can be read here, and whether late rows wait for it."""
    first_day = manifest.first_own_day(context.database)
    if first_day is None:
        return ok("nothing is archived")
    told = f"days before {first_day} are archived"
    if context.settings.lake_url is None:
        return Finding(
            Verdict.PROBLEM,
            f"{told}, and nothing says where",
            (),
            "the setting was lost, or is set for other processes than this one",
            Fix(f"export {variable('lake_url')}=file:///folder   # as it was when they were"),
        )
    files = manifest.files(context.database)
    if lacking := folder.unlike(context.settings, files):
        return Finding(
            Verdict.PROBLEM,
            f"{told}, and {len(lacking):,} of {len(files):,} files are gone or of another size",
            tuple(str(path) for path in lacking[:_LISTED]),
            "the folder is not mounted here, or somebody changed it",
            Fix(f"put {context.settings.lake_url} back as it was"),
        )
    if (found := _of_the_table(context, told, files)) is not None:
        return found
    if (remote := context.settings.spark_remote) is not None:
        try:
            with engine.started(remote):
                pass
        except ConsumerAnalyticsError as error:
            return Finding(
                Verdict.WARNING,
                f"{told}, and what reads the files is not to be had: {error}",
                (),
                "the server is down, or cannot be reached from here: audits, and days that an "
                "instant cuts, cannot be read",
                Fix(f"unset {variable('spark_remote')}   # DuckDB reads them then, in the process"),
            )
    elif find_spec("duckdb") is None:
        return Finding(
            Verdict.WARNING,
            f"{told}, and what reads the files is not installed here",
            (),
            "this copy has no extra `lake`: audits, and days that an instant cuts, cannot be read",
            Fix(installation.command("lake")),
        )
    with context.database.transaction():
        late = archived.days_with_strays(context.database, context.settings)
    if late:
        return Finding(
            Verdict.WARNING,
            f"{told}, and the table has rows of {len(late):,} of them that no file may have",
            tuple(day.isoformat() for day in late[:_LISTED]),
            "they came late, or of a day only some rows were purged; a purge loses those",
            Fix(f"consumer-analytics archive --through {late[-1]}   # takes late rows along"),
        )
    return ok(f"{told}, in {counted(len(files), 'file')}")


def _of_the_table(
    context: Context, told: str, files: Sequence[folder.ArchivedFile]
) -> Finding | None:
    """Tell what is wrong with the log, where the archive is a table of a format that has one."""
    try:
        folder.require_table(context.settings, files)
    except MissingExtraError:
        extra = context.settings.lake_format
        return Finding(
            Verdict.WARNING,
            f"{told}, and what reads the table's log is not installed here",
            (),
            f"this copy has no extra `{extra}`: audits, and days that an instant cuts, cannot be "
            "read",
            Fix(installation.command(extra)),
        )
    except ArchiveError as error:
        return Finding(
            Verdict.PROBLEM,
            f"{told}, and what lies there is not what was archived",
            (str(error),),
            "somebody changed or moved the table, or its format is set otherwise here",
            Fix(f"put {context.settings.lake_url} or {variable('lake_format')} back as it was"),
        )
    return None


CHECKS = (Check("source-archive", "can what is archived be read?", readable),)
