"""The metrics of the audio cache."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from proxy.telemetry.metrics import PlainCounter


class CacheMetrics:
    """Look-ups, and what the folder has."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._lookups = PlainCounter(
            "voxgate_cache_lookups", "Requests that may be kept.", ["found"], registry=registry
        )
        self._lookups.counts.update({("hit",): 0.0, ("miss",): 0.0})
        self._stores = Counter("voxgate_cache_stores", "Answers kept.", registry=registry)
        self._evictions = Counter(
            "voxgate_cache_evictions", "Kept answers removed for their age or for room.", registry=registry
        )
        self._failures = Counter(
            "voxgate_cache_failures", "Times that the cache's disk did not do it.", registry=registry
        )
        self._bytes = Gauge(
            "voxgate_cache_bytes", "Size of the kept answers when last looked at.", registry=registry
        )

    def hit(self) -> None:
        self._lookups.counts["hit",] += 1

    def missed(self) -> None:
        self._lookups.counts["miss",] += 1

    def stored(self) -> None:
        self._stores.inc()

    def swept(self, evicted: int, left_bytes: int) -> None:
        self._evictions.inc(evicted)
        self._bytes.set(left_bytes)

    def failed(self) -> None:
        self._failures.inc()
