"""What a run's steps hand each other, and what a run tells in the end."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Run:
    """An opened run.

    Attributes:
        run_id: its number in this database.
        run_key: what its steps hand each other; the same for every try.
        snapshot_source: provenance, such as `airflow_etl` or `cli_etl`.
        requested_at: the instant asked for.
        reached_at: the instant it may process up to; less than the one asked
            for where a transaction held it back.
        named: whether somebody named the instant, so that its snapshot is owed.
        held_back_by: who held it back, as `metadata_json` tells it.
    """

    run_id: int
    run_key: str
    snapshot_source: str
    requested_at: dt.datetime
    reached_at: dt.datetime
    named: bool
    held_back_by: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class CustomerExtract:
    """What the extract of the customers has counted.

    Attributes:
        customers: customers at the last instant.
        new_customers: those created within the run's windows.
        unattributed_customers: those without a consumer.
        future_customers: those whose creation lies in the future.
        seconds: how long it took.
    """

    customers: int = 0
    new_customers: int = 0
    unattributed_customers: int = 0
    future_customers: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as the steps leave it for the load."""
        return asdict(self)


@dataclass(frozen=True)
class EventExtract:
    """What the extract of the events has counted.

    Attributes:
        rows_read: events read of the source.
        seconds: how long it took.
    """

    rows_read: int = 0
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as the steps leave it for the load."""
        return asdict(self)


@dataclass(frozen=True)
class Corrections:
    """What the days that were counted again brought to light.

    Attributes:
        first_day: the first day corrected; None where none was.
        found: events that the counts lacked.
        vanished: events that were counted, and that somebody took out or changed.
        noted: events that were counted, are gone, and stay counted: noted as vanished.
        came_back: of those found the ones that came to where some had vanished.
    """

    first_day: dt.date | None = None
    found: int = 0
    vanished: int = 0
    noted: int = 0
    came_back: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it for `metadata_json` and `--json`."""
        return {
            "from": self.first_day.isoformat() if self.first_day else None,
            "found": self.found,
            "vanished": self.vanished,
            "noted": self.noted,
            "came_back": self.came_back,
        }


@dataclass(frozen=True)
class BadRows:
    """Rows that the contract tolerates but wants told, by kind.

    Attributes:
        unattributed_events: events without a consumer.
        untyped_events: events without a type.
        events_of_long_types: events whose type is so long that they are counted under
            another name.
        future_events: events whose instant lies in the future.
        undated_events: events without a time; they count nowhere.
        undated_customers: customers whose row has no time.
        undated_consumers: consumers whose row has no time.
        lifecycle_events_without_customer: events read by the run that tell of a customer's
            life and not of whose.
        unreadable_lifecycle_events: events read by the run whose payload does not say what
            they are to tell.
        second_deletions: deletions read by the run of customers whose life had ended.
        deletions_of_customers_present: deletions read by the run of customers whose row is
            there, with no creation after them.
        unknown_consumers: who is mentioned and not registered.
        unattributed_customers: customers without a consumer.
        future_customers: customers whose creation lies in the future.
    """

    unattributed_events: int = 0
    untyped_events: int = 0
    events_of_long_types: int = 0
    future_events: int = 0
    undated_events: int = 0
    undated_customers: int = 0
    undated_consumers: int = 0
    lifecycle_events_without_customer: int = 0
    unreadable_lifecycle_events: int = 0
    second_deletions: int = 0
    deletions_of_customers_present: int = 0
    unknown_consumers: tuple[str, ...] = ()
    unattributed_customers: int = 0
    future_customers: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return the kinds of which there are any, for `metadata_json` and `--json`."""
        kinds = asdict(self) | {"unknown_consumers": list(self.unknown_consumers)}
        return {kind: value for kind, value in kinds.items() if value}


@dataclass(frozen=True)
class RunSummary:
    """What a run has done.

    Attributes:
        run_key: the same for every try of the run.
        window: where the first snapshot's window begins, and the last one's instant;
            None where no snapshot was written.
        requested: the instant asked for.
        rows_read: events read of the source.
        new_events: events within the run's windows.
        new_customers: customers created within the run's windows.
        snapshots_written: snapshot rows that were not there yet.
        snapshots_restated: rows that said something else, or should not be there.
        held_back_by: who held the run back, as `Run` has it.
        corrections: what the days that were counted again brought to light.
        not_recountable: instants that the source can no longer tell, and that were not written.
        noted_as_vanished: events that are counted and that the source no longer has, in all.
        bad_rows: rows that the contract tolerates but wants told.
        seconds: how long each step took.
    """

    run_key: str
    window: tuple[dt.datetime, dt.datetime] | None
    requested: dt.datetime
    rows_read: int
    new_events: int
    new_customers: int
    snapshots_written: int
    snapshots_restated: int
    held_back_by: tuple[dict[str, Any], ...]
    corrections: Corrections
    not_recountable: tuple[dt.datetime, ...]
    noted_as_vanished: int
    bad_rows: BadRows
    seconds: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Return it for `metadata_json` and `--json`."""
        start, end = (at.isoformat() for at in self.window) if self.window else (None, None)
        return {
            "run_key": self.run_key,
            "window_start": start,
            "window_end": end,
            "requested": self.requested.isoformat(),
            "rows_read": self.rows_read,
            "new_events": self.new_events,
            "new_customers": self.new_customers,
            "snapshots_written": self.snapshots_written,
            "snapshots_restated": self.snapshots_restated,
            "held_back_by": list(self.held_back_by),
            "corrections": self.corrections.as_json(),
            "not_recountable": [at.isoformat() for at in self.not_recountable],
            "noted_as_vanished": self.noted_as_vanished,
            "bad_rows": self.bad_rows.as_json(),
            "seconds": dict(self.seconds),
        }
