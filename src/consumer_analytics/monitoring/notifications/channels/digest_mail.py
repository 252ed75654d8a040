"""The weekly digest by mail: to whom it is wanted by, with its charts in it."""

from __future__ import annotations

from email.message import EmailMessage

from consumer_analytics.errors import MailError
from consumer_analytics.formatting import count
from consumer_analytics.monitoring.notifications.channels import pictures, smtp
from consumer_analytics.monitoring.notifications.channels.channel import Notify, silent
from consumer_analytics.monitoring.notifications.channels.mail import compose, headed
from consumer_analytics.monitoring.notifications.channels.rendering import templates
from consumer_analytics.monitoring.notifications.digest import Digest
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings

_SHOWN_DAYS = 7
_BLOCK = "█"
_LONGEST_BAR = 24


class DigestMail:
    """The channel of digests: `CONSUMER_ANALYTICS_DIGEST_RECIPIENTS` get them."""

    name = "digest"
    server = "the mail server"
    unset = f"{PREFIX}DIGEST_RECIPIENTS is not set"
    advice = "where it does not arrive, look into the spam folder, then into the server's log"
    selection = MessageFilter(kinds=frozenset({"digest", "test"}))

    def is_configured(self, settings: Settings) -> bool:
        """Tell whether anybody wants digests."""
        return bool(self.recipients(settings))

    def recipients(self, settings: Settings) -> list[str]:
        """Return the addresses that get digests."""
        return _to_them(settings).recipients

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Send a digest, or a test.

        Raises:
            MailError: at which step it failed, and what to do about it.
        """
        to_them = _to_them(settings)
        if message.digest is None:
            mail = compose(message, message_id=message_id, settings=to_them)
        else:
            mail = as_mail(message, message.digest, message_id=message_id, settings=to_them)
        return smtp.send(to_them, mail, notify=notify)

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Do all that comes before a mail, up to the login, and send none.

        Raises:
            MailError: a step failed; the message says which, and why.
        """
        smtp.reach(_to_them(settings), notify=notify)
        return f"the mail server lets us in ({settings.smtp_host})"


def _to_them(settings: Settings) -> Settings:
    return settings.replaced({"alert_recipients": settings.digest_recipients})


def as_mail(
    message: Message, digest: Digest, *, message_id: str, settings: Settings
) -> EmailMessage:
    """Make the mail of a digest: text with bars of letters, and HTML with the charts in it."""
    mail, domain = headed(message, message_id=message_id, settings=settings)
    shown = digest.days[-_SHOWN_DAYS:]
    highest = max((one.events or 0 for one in shown), default=0) or 1
    told = {
        "message": message,
        "digest": digest,
        "shown": [
            (one, _BLOCK * round(_LONGEST_BAR * (one.events or 0) / highest)) for one in shown
        ],
        "width": pictures.WIDTH,
        "height": pictures.HEIGHT,
        "events_cid": f"events.{message_id}@{domain}",
        "customers_cid": f"customers.{message_id}@{domain}",
        "events_told": ", ".join(count(one.events) for one in digest.days),
        "customers": [one.customers for one in digest.days if one.customers is not None],
    }
    mail.set_content(templates().get_template("digest.txt.j2").render(told))
    html = templates().get_template("digest.html.j2").render(told)
    mail.add_alternative(html, subtype="html")
    if digest.has_events:
        _add_pictures(mail, digest, told)
    return mail


def _add_pictures(mail: EmailMessage, digest: Digest, told: dict[str, object]) -> None:
    body = mail.get_body(("html",))
    if not isinstance(body, EmailMessage):
        raise MailError("content", "the digest has no HTML that charts could stand in")
    charts = [
        ("events_cid", "events.png", pictures.bars([d.events for d in digest.days], _SHOWN_DAYS))
    ]
    if told["customers"]:
        line = pictures.line([d.customers for d in digest.days])
        charts.append(("customers_cid", "customers.png", line))
    for cid, name, picture in charts:
        body.add_related(
            picture,
            "image",
            "png",
            cid=f"<{told[cid]}>",
            filename=name,
            disposition="inline",
        )
