"""The metrics as text, in whichever format is asked for."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from consumer_analytics.monitoring.metrics.collector import StateCollector, log
from consumer_analytics.settings import Settings


class Exposition:
    """The metrics of a database, to be mounted wherever a server is.

    Attributes:
        registry: for servers that take one of the official client's.
    """

    def __init__(self, settings: Settings, notify: Callable[[str], None] = log.warning) -> None:
        """Describe it; nothing is read before it is asked for.

        Args:
            settings: where to.
            notify: told why they cannot be read.
        """
        self._collector = StateCollector(settings, notify)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self._collector)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Read all metrics.

        Args:
            accept: the request's header `Accept`: OpenMetrics for who wants that, else
                Prometheus's own format.

        Returns:
            The text and its content type.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def close(self) -> None:
        """Close the session with the database."""
        self._collector.close()
