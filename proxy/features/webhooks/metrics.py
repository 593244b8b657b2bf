"""The metrics of webhooks."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter


class WebhookMetrics:
    """What became of tries."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._deliveries = Counter(
            "voxgate_webhook_deliveries",
            "Tries to tell a webhook of an event: `delivered`, `again` later, or `failed` for good.",
            ["result"],
            registry=registry,
        )

    def ended(self, result: Literal["delivered", "again", "failed"]) -> None:
        self._deliveries.labels(result).inc()
