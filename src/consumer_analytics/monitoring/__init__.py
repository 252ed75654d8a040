"""Watching: whether all is well, telling people once and in time, with the cause, and metrics.

    health ──> incidents (opened, changed, closed) ──> notifications (outbox ──> channels)
                          in one transaction                sent once, kept until it can be

* `measures`: what is measured, each defined once;
* `health`: the measures taken and judged, and the cause where they are not normal;
* `incidents`: what was not well, since when, why, and who was told;
* `notifications`: the messages that go out, as rows, what they say and how they are sent;
* `monitor`: one pass of all of it;
* `heartbeat`: the sign of life for an outside watcher;
* `metrics`: what Prometheus scrapes, with rules and a dashboard made from the same limits.
"""
