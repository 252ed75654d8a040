"""Telling people: what is not well, once, in time, with the cause.

    health ──> incidents (opened, changed, closed) ──> outbox ──> letters ──> mail
                          in one transaction                sent once, kept until it can be

* `monitor`: one pass of all of it;
* `incidents`: what was not well, since when, why, and who was told;
* `outbox`: the mails that go out, as rows;
* `letters`: what they say; `mail`: how they are sent;
* `heartbeat`: the sign of life for an outside watcher.
"""
