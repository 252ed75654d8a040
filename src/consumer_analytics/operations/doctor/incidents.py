"""What is not well and was told already: the incidents that are open."""

from __future__ import annotations

from consumer_analytics.formatting import counted, moment
from consumer_analytics.monitoring.incidents import is_of_consumer, open_incidents
from consumer_analytics.operations.doctor.findings import (
    Check,
    Context,
    Finding,
    Fix,
    Verdict,
    ok,
)


def still_open(context: Context) -> Finding:
    """Tell which incidents are open; a consumer that is odd is nothing that is wrong here."""
    all_open = open_incidents(context.database)
    found = [one for one in all_open if not is_of_consumer(one)]
    if not found:
        odd = counted(len(all_open), "consumer that is odd", "consumers that are odd")
        return ok("no incident is open" + (f", but of {odd}" if all_open else ""))
    return Finding(
        Verdict.WARNING,
        f"{counted(len(found), 'incident')} open",
        tuple(
            f"{one.subject}, {one.state} since {moment(one.opened_at)}: {one.cause}"
            for one in found
        ),
        "the monitor closes each when what it is about is well again",
        Fix("consumer-analytics incidents   # each with its history"),
    )


CHECKS = (Check("incidents-open", "is an incident open?", still_open),)
