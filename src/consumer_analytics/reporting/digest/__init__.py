"""The weekly digest: what a week was like, written into the outbox once, when it is due."""

from __future__ import annotations

from consumer_analytics.reporting.digest.week import compose, last_monday, put_if_due

__all__ = ["compose", "last_monday", "put_if_due"]
