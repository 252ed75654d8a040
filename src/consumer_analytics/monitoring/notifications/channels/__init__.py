"""The ways to tell the operator something. A new one is a class in a file here, and its name below.

* `channel`: what every channel can do;
* `mail`: what a mail looks like; `digest_mail`: what a week's does; `smtp`: how it is handed over;
* `addressed`: the file that names further ones, a table each: a `service` that Apprise knows, or a
  `webhook` of the operator's own;
* `rendering`: the templates; `pictures`: charts that mail programs show.
"""

from __future__ import annotations

from consumer_analytics.monitoring.notifications.channels import addressed
from consumer_analytics.monitoring.notifications.channels.channel import Channel, Notify, silent
from consumer_analytics.monitoring.notifications.channels.digest_mail import DigestMail
from consumer_analytics.monitoring.notifications.channels.mail import Mail
from consumer_analytics.monitoring.register import Register
from consumer_analytics.settings import Settings

__all__ = ["CHANNELS", "Channel", "Notify", "addressed", "configured", "silent"]

#: Every channel there always is; the first is asked for what it needs where none is set.
CHANNELS: Register[Channel] = Register(Mail(), DigestMail())


def configured(settings: Settings) -> list[Channel]:
    """Return the channels by which somebody is to be told."""
    return [
        *(one for one in CHANNELS.values() if one.is_configured(settings)),
        *addressed.addressed(settings, taken=tuple(CHANNELS)),
    ]
