"""The metrics of clones at providers."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter


class CloneMetrics:
    """What became of clones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._clones = Counter(
            "voxgate_clones",
            "Clones at providers: `made`, `deleted`, or `failed` for good.",
            ["engine", "result"],
            registry=registry,
        )

    def ended(self, engine: str, result: Literal["made", "deleted", "failed"]) -> None:
        self._clones.labels(engine, result).inc()
