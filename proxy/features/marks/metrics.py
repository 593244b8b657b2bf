"""The metrics of signed manifests."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter


class ManifestMetrics:
    """Manifests signed, and those of providers that were lost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._signatures = Counter(
            "voxgate_manifests",
            "Manifests signed: `stamped` or `plain`, `unstamped` if the time-stamper failed, or `failed`.",
            ["result"],
            registry=registry,
        )
        self._lost = Counter(
            "voxgate_manifests_lost",
            "Answers without the manifest that their provider had put into the sound.",
            ["engine"],
            registry=registry,
        )

    def signed(self, result: Literal["stamped", "plain", "unstamped", "failed"]) -> None:
        self._signatures.labels(result).inc()

    def lost(self, engine: str) -> None:
        self._lost.labels(engine).inc()
