"""Mail: plain text and HTML of one message, over SMTP."""

from __future__ import annotations

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from consumer_analytics.monitoring.notifications.channels import smtp
from consumer_analytics.monitoring.notifications.channels.channel import Notify, silent
from consumer_analytics.monitoring.notifications.channels.rendering import templates
from consumer_analytics.monitoring.notifications.message import Message
from consumer_analytics.monitoring.notifications.selection import MessageFilter
from consumer_analytics.settings import PREFIX, Settings


class Mail:
    """The channel of mails: `CONSUMER_ANALYTICS_ALERT_RECIPIENTS` get them."""

    name = "mail"
    server = "the mail server"
    unset = f"{PREFIX}ALERT_RECIPIENTS is not set"
    advice = "where it does not arrive, look into the spam folder, then into the server's log"
    selection = MessageFilter()

    def is_configured(self, settings: Settings) -> bool:
        """Tell whether anybody is to get mail."""
        return bool(settings.recipients)

    def recipients(self, settings: Settings) -> list[str]:
        """Return the addresses that get mail."""
        return settings.recipients

    def send(
        self, settings: Settings, message: Message, *, message_id: str, notify: Notify = silent
    ) -> dict[str, str]:
        """Send a message to all recipients of the settings.

        Raises:
            MailError: at which step it failed, and what to do about it.
        """
        mail = compose(message, message_id=message_id, settings=settings)
        return smtp.send(settings, mail, notify=notify)

    def reach(self, settings: Settings, *, notify: Notify = silent) -> str:
        """Do all that comes before a mail, up to the login, and send none.

        Raises:
            MailError: a step failed; the message says which, and why.
        """
        smtp.reach(settings, notify=notify)
        return f"the mail server lets us in ({settings.smtp_host})"


def compose(message: Message, *, message_id: str, settings: Settings) -> EmailMessage:
    """Make the mail of a message; sender and recipients are set when it is sent.

    Args:
        message: what there is to tell.
        message_id: the same for every try, so that a mail that was taken twice shows once.
        settings: for the sender's domain.
    """
    mail, domain = headed(message, message_id=message_id, settings=settings)
    if message.threads:
        # One thread for each incident.
        mail["References"] = " ".join(f"<{thread}@{domain}>" for thread in message.threads)
    mail.set_content(templates().get_template("alert.txt.j2").render(message=message))
    html = templates().get_template("alert.html.j2").render(message=message)
    mail.add_alternative(html, subtype="html")
    return mail


def headed(message: Message, *, message_id: str, settings: Settings) -> tuple[EmailMessage, str]:
    """Begin the mail of a message, as `compose` does; return the sender's domain, too."""
    domain = parseaddr(settings.alert_sender)[1].rpartition("@")[2] or "localhost"
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.at)
    mail["Message-ID"] = f"<{message_id}@{domain}>"
    # Nobody's out-of-office note is to answer.
    mail["Auto-Submitted"] = "auto-generated"
    return mail, domain
