"""Alerts: whether each channel takes them, and whether any wait."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from consumer_analytics.airflow.dag_ids import MONITOR
from consumer_analytics.calendar import instants
from consumer_analytics.errors import ChannelError
from consumer_analytics.formatting import counted, moment
from consumer_analytics.monitoring.notifications.channels import CHANNELS, Channel, addressed
from consumer_analytics.operations.doctor.findings import Check, Context, Finding, Fix, Verdict, ok
from consumer_analytics.sql import query

#: A mail that could not be sent is tried again for minutes before anybody need look.
_PATIENCE = dt.timedelta(minutes=15)
_TEST = "consumer-analytics alerts test   # once what the error says is mended"


def _reached_by(channel: Channel) -> Callable[[Context], Finding]:
    def server(context: Context) -> Finding:
        """Tell whether the channel's server is reached and lets us in; nothing is sent."""
        if not channel.is_configured(context.settings):
            return ok(f"nobody is to get a {channel.name}: {channel.unset}")
        passed: list[str] = []
        try:
            reached = channel.reach(
                context.settings, notify=lambda step, detail: passed.append(f"{step}: {detail}")
            )
        except ChannelError as error:
            return Finding(
                Verdict.PROBLEM,
                f"no {channel.name} can be sent: it fails at {error.step}",
                (*passed, str(error)),
                "see the last line; mails wait in the database meanwhile, and go out once",
                Fix(_TEST),
            )
        return ok(reached, *passed)

    return server


def channels_of_file(context: Context) -> Finding:
    """Tell whether each channel of the file can be used; nothing is sent."""
    settings = context.settings
    if settings.alert_channels_file is None:
        return ok(f"there are no further channels: {addressed.SETTING} is not set")
    if (unread := addressed.problem(settings)) is not None:
        return Finding(
            Verdict.PROBLEM,
            "the file of channels cannot be read: nobody is told by them",
            (unread,),
            "mend the file; what happens meanwhile goes out by the other channels alone",
            Fix(_TEST),
        )
    reached: list[str] = []
    failed: list[str] = []
    for channel in addressed.addressed(settings, tuple(CHANNELS)):
        try:
            reached.append(channel.reach(settings))
        except ChannelError as error:
            failed.append(str(error))
    if failed:
        return Finding(
            Verdict.PROBLEM,
            f"{counted(len(failed), 'channel')} for alerts cannot be used",
            (*failed, *reached),
            "as each line says; messages wait in the database meanwhile, and go out once",
            Fix(_TEST),
        )
    return ok(f"{counted(len(reached), 'channel')} for alerts can be used", *reached)


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
        f"{counted(n, 'mail waits', 'mails wait')}, the oldest since {moment(oldest)}",
        (f"the last try: {error}",) if error else ("no try yet",),
        "the mail server refuses them (see mail-server), or nothing sends them: the DAG "
        f"{MONITOR} is paused or does not run",
        Fix("consumer-analytics alerts check"),
    )


CHECKS = (
    *(
        Check(f"{one.name}-server", f"does {one.server} take our {one.name}s?", _reached_by(one))
        for one in CHANNELS.values()
    ),
    Check("alert-channels", "can each channel of the file be used?", channels_of_file),
    Check("mail-waiting", "do mails wait?", waiting),
)
