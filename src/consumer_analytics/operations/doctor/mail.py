"""Mails: whether the server takes them, and whether any wait."""

from __future__ import annotations

import datetime as dt

from consumer_analytics.calendar import instants
from consumer_analytics.errors import MailError
from consumer_analytics.formatting import moment
from consumer_analytics.monitoring.notifications import smtp
from consumer_analytics.operations.doctor.findings import Check, Context, Finding, Fix, Verdict, ok
from consumer_analytics.sql import query

#: A mail that could not be sent is tried again for minutes before anybody need look.
_PATIENCE = dt.timedelta(minutes=15)
_TEST = "consumer-analytics alerts test   # once what the error says is mended"


def server(context: Context) -> Finding:
    """Tell whether the mail server is reached and lets us in; nothing is sent."""
    if not smtp.is_wanted(context.settings):
        return ok("nobody is to get mail: CONSUMER_ANALYTICS_ALERT_RECIPIENTS is not set")
    passed: list[str] = []
    try:
        smtp.reach(context.settings, notify=lambda step, detail: passed.append(f"{step}: {detail}"))
    except MailError as error:
        return Finding(
            Verdict.PROBLEM,
            f"no mail can be sent: it fails at {error.step}",
            (*passed, str(error)),
            "see the last line; mails wait in the database meanwhile, and go out once",
            Fix(_TEST),
        )
    return ok(f"the mail server lets us in ({context.settings.smtp_host})", *passed)


def waiting(context: Context) -> Finding:
    """Tell whether mails wait that should have gone out."""
    n, oldest, error = context.database.execute(
        query("operations/doctor/mails-waiting")
    ).fetchone() or (
        0,
        None,
        None,
    )
    if not n or oldest is None or instants.now(context.database) - oldest < _PATIENCE:
        return ok("no mail waits for long")
    return Finding(
        Verdict.WARNING,
        f"{n:,} mail(s) wait, the oldest since {moment(oldest)}",
        (f"the last try: {error}",) if error else ("no try yet",),
        "the mail server refuses them (see mail-server), or nothing sends them: the DAG "
        "consumer_analytics_monitor is paused or does not run",
        Fix("consumer-analytics alerts check"),
    )


CHECKS = (
    Check("mail-server", "does the mail server take our mails?", server),
    Check("mail-waiting", "do mails wait?", waiting),
)
