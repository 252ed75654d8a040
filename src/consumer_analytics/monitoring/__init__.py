"""Watching: whether all is well, telling people once and in time, with the cause, and metrics.

    health ──> incidents (opened, changed, closed) ──> notifications (outbox ──> channels)
                          in one transaction                sent once, kept until it can be

* `observation`: what one look at the system sees, and the cause of the figures' freshness;
* `measures`: the register of what is measured: a measure is one entry there;
* `health`: the measures taken and judged;
* `incidents`: what was not well, since when, why, and who was told;
* `notifications`: the messages that go out: what they say, how they are kept, and the channels
  that send them, a class each;
* `monitor`: one pass of all of it;
* `heartbeat`: the sign of life for an outside watcher;
* `metrics`: what Prometheus scrapes, with rules and a dashboard made from the same limits.
"""
