"""What the mails say: plain text and HTML from one description, made when a mail is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from consumer_analytics.formatting import amount, duration, moment
from consumer_analytics.monitoring import health
from consumer_analytics.settings import Settings

PREFIX = "[consumer-analytics]"
#: What an incident is about, as a subject line has it.
TITLES = {
    "freshness": "figures are behind",
    "failures": "runs fail",
    "runtime": "runs are slow",
    "measuring": "health cannot be measured",
}
_OVER = {
    "freshness": "figures are up to date again",
    "failures": "runs are well again",
    "runtime": "runs are fast again",
    "measuring": "health can be measured again",
}
_MEASURES = {
    "dag_runtime": "DAG runtime",
    "failed_runs": "Failed runs, 24 h",
    "watermark_lag": "Watermark lag",
    "pending_events": "Pending events",
    "deadline": "Deadline",
}
_COLOURS = {
    "critical": "#b3261e",
    "warning": "#9a6700",
    "unknown": "#9a6700",
    "normal": "#1a7f37",
}
_LONGEST_SUBJECT = 150


def title(subject: str, over: bool = False) -> str:
    """Return what an incident is about, in a few words."""
    if subject.startswith("dag "):
        return f"{subject.removeprefix('dag ')} {'works again' if over else 'fails'}"
    return (_OVER if over else TITLES).get(subject, subject)


def subject_of(content: Mapping[str, Any]) -> str:
    """Return a mail's subject: how bad, what, where."""
    failures, changes = content.get("failures") or [], content.get("changes") or []
    if content["kind"] == "test":
        text = "test mail: alerts arrive"
    elif failures:
        first = failures[0]
        what = (
            f"{first['dag_id']} / {first['task_id']}"
            if len(failures) == 1
            else f"{first['dag_id']}, {len(failures)} tasks"
        )
        text = f"FAILED: {what}, {moment(first['execution_date'], to='minutes')}"
    elif content.get("misses"):
        first = content["misses"][0]
        minute = moment(first["execution_date"], to="minutes")
        text = f"LATE: {first['dag_id']} missed its deadline, {minute}"
    else:
        text = _changes_in_short(changes)
    line = " ".join(f"{PREFIX} {text}".split())
    return line if len(line) <= _LONGEST_SUBJECT else line[: _LONGEST_SUBJECT - 1] + "…"


def _changes_in_short(changes: list[dict[str, Any]]) -> str:
    bad = [one for one in changes if one["what"] != "over"]
    if not bad:
        return "OVER: " + ", ".join(title(one["subject"], over=True) for one in changes)
    worst = health.worst([one["state"] for one in bad])
    still = "STILL " if all(one["what"] == "reminded" for one in bad) else ""
    names = ", ".join(title(one["subject"]) for one in bad)
    rest = len(changes) - len(bad)
    return f"{still}{worst.upper()}: {names}" + (f"; {rest} over" if rest else "")


def headline_of(content: Mapping[str, Any]) -> str:
    """Return the sentence at the top of a mail."""
    failures = content.get("failures") or []
    if content["kind"] == "test":
        return "This is a test. Mails from consumer-analytics arrive here."
    if failures:
        names = ", ".join(dict.fromkeys(one["task_id"] for one in failures))
        return f"{names} of {failures[0]['dag_id']} failed, and is not tried again."
    if content.get("misses"):
        first = content["misses"][0]
        allowed = duration(first["allowed_seconds"])
        return f"A run of {first['dag_id']} has not ended {allowed} after it was queued."
    told = [
        f"{_verb(one['what'])}: {title(one['subject'], over=one['what'] == 'over')}."
        for one in content.get("changes") or []
    ]
    return " ".join(told)


def _verb(what: str) -> str:
    return {
        "opened": "New",
        "worse": "Worse",
        "reminded": "Still",
        "over": "Over",
    }.get(what, what.capitalize())


def compose(content: Mapping[str, Any], *, message_id: str, settings: Settings) -> EmailMessage:
    """Make the mail of a description; sender and recipients are set when it is sent.

    Args:
        content: what there is to tell, as the outbox keeps it.
        message_id: the same for every attempt, so that a mail that was taken twice shows once.
        settings: for the sender's domain and the zone of times.
    """
    domain = parseaddr(settings.alert_sender)[1].rpartition("@")[2] or "localhost"
    message = EmailMessage()
    message["Subject"] = subject_of(content)
    message["Date"] = format_datetime(dt.datetime.fromisoformat(content["at"]))
    message["Message-ID"] = f"<{message_id}@{domain}>"
    # Nobody's out-of-office note is to answer.
    message["Auto-Submitted"] = "auto-generated"
    if threads := [f"<{thread}@{domain}>" for thread in content.get("threads") or []]:
        # One thread for each incident.
        message["References"] = " ".join(threads)
    values = {
        "subject": subject_of(content),
        "headline": headline_of(content),
        "state": _state_of(content),
        "failures": [],
        "misses": [],
        "changes": [],
        "health": None,
        "next": [],
        **content,
    }
    message.set_content(_templates().get_template("alert.txt.j2").render(values))
    message.add_alternative(
        _templates().get_template("alert.html.j2").render(values), subtype="html"
    )
    return message


def _state_of(content: Mapping[str, Any]) -> str:
    """Return how bad it is, for the colour."""
    if content["kind"] == "test":
        return "normal"
    if content.get("failures"):
        return "critical"
    states = ["warning"] if content.get("misses") else []
    states += [one["state"] for one in content.get("changes") or [] if one["what"] != "over"]
    return health.worst(states)


def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("consumer_analytics.monitoring.notifications", "templates"),
        autoescape=select_autoescape(["html.j2"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "moment": moment,
        "amount": lambda measure: amount(measure.get("value"), measure["unit"]),
        "measure": lambda name: _MEASURES.get(name, name),
        "colour": lambda state: _COLOURS[state],
        "title": title,
        "verb": _verb,
        "length": duration,
        "sentence": lambda text: text[:1].upper() + text[1:],
        "one_line": lambda text: " ".join(str(text).split()),
    }
    return templates
