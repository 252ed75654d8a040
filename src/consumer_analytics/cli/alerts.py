"""`consumer-analytics alerts`: does mail arrive, and a pass of the monitor by hand or by cron."""

from __future__ import annotations

import datetime as dt
import secrets

import typer

from consumer_analytics.cli.output import JsonFlag, print_json, say, warn
from consumer_analytics.db import schema
from consumer_analytics.db.connection import connected
from consumer_analytics.errors import MailError
from consumer_analytics.monitoring import monitor
from consumer_analytics.monitoring.notifications import messages, smtp
from consumer_analytics.settings import settings

app = typer.Typer(help="Test the mails, and do a pass of the monitor.", no_args_is_help=True)


@app.command("test")
def send_test(as_json: JsonFlag = False) -> None:
    """Send a test mail, and say at which step it fails and why.

    Needs no database. The steps: settings, name, connection, TLS and certificate, login, sender,
    recipient, content. Exits with 1 where a step fails or a recipient is refused.
    """
    done: list[tuple[str, str]] = []

    def passed(step: str, detail: str) -> None:
        done.append((step, detail))
        if not as_json:
            say(f"ok  {step:<11} {detail}")

    content = {"kind": "test", "at": dt.datetime.now(dt.UTC).isoformat(), "database": "none needed"}
    message = messages.compose(
        content, message_id=f"consumer-analytics.test.{secrets.token_hex(8)}", settings=settings()
    )
    refused: dict[str, str] = {}
    failed: MailError | None = None
    try:
        refused = smtp.send(settings(), message, notify=passed)
    except MailError as error:
        failed = error
    if as_json:
        print_json(
            {
                "sent": failed is None,
                "steps": [{"step": step, "detail": detail} for step, detail in done],
                "failed_step": failed.step if failed else None,
                "error": str(failed) if failed else None,
                "refused": refused,
            }
        )
        raise typer.Exit(1 if failed or refused else 0)
    if failed is not None:
        raise failed
    for who, why in refused.items():
        warn(f"the server refused {who}: {why}; the others get the mail")
    say(f'sent "{message["Subject"]}" to {len(settings().recipients) - len(refused)} recipient(s)')
    say("where it does not arrive, look into the spam folder, then into the server's log")
    raise typer.Exit(1 if refused else 0)


@app.command()
def check(as_json: JsonFlag = False) -> None:
    """Do one pass of the monitor: judge health, note incidents, send the mails that wait.

    The DAG consumer_analytics_monitor does the same; without Airflow, call this by cron.
    """
    with connected(settings(), "alerts check") as connection:
        schema.require_current(connection)
        done = monitor.watch(connection, settings(), warn=warn)
    if as_json:
        print_json(
            {
                "state": done.health.state,
                "cause": done.health.cause.as_json(),
                "mails_sent": done.delivery.sent,
                "mails_waiting": done.delivery.waiting,
                "mail_error": done.delivery.error,
                "heartbeat": done.beaten,
            }
        )
        return
    say(f"health     {done.health.state}: {done.health.cause.text}")
    say(f"mails      {done.delivery.sent} sent, {done.delivery.waiting} wait")
    if done.beaten is not None:
        say(f"heartbeat  {'given' if done.beaten else 'not given'}")
