"""Prometheus metrics, without texts, audio and keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

_FIRST_AUDIO_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 9)

_Metric = TypeVar("_Metric", Counter, Histogram)


class _Series(dict[tuple[str | int, ...], _Metric]):
    """The series of a metric by the values of their labels.

    The library finds a series in 2 µs, and this in 0.1: it matters for what every request counts.
    """

    def __init__(self, metric: _Metric) -> None:
        super().__init__()
        self._metric: _Metric = metric

    def __missing__(self, values: tuple[str | int, ...]) -> _Metric:
        series: _Metric = self._metric.labels(*values)
        self[values] = series
        return series


class EngineMetrics:
    """The metrics of cloud engines, of their keys and their budgets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._retries = Counter(
            "voxgate_engine_retries",
            "Requests sent to a provider again.",
            ["engine", "error"],
            registry=registry,
        )
        self._alarms = Counter(
            "voxgate_engine_alarms",
            "Refusals of our key or our credit by a provider.",
            ["engine", "error"],
            registry=registry,
        )
        self._spend = Gauge(
            "voxgate_engine_spend_usd",
            "What providers took of an engine's budget.",
            ["engine", "period"],
            registry=registry,
        )
        self._budget = Gauge(
            "voxgate_engine_budget_usd", "That budget.", ["engine", "period"], registry=registry
        )
        self._open_breakers = Gauge(
            "voxgate_engine_resting",
            "Whether a key of an engine is not used just now.",
            ["engine", "key"],
            registry=registry,
        )

    def retried(self, engine: str, error: str) -> None:
        self._retries.labels(engine, error).inc()

    def alarmed(self, engine: str, error: str) -> None:
        self._alarms.labels(engine, error).inc()

    def breaker(self, engine: str, key: int, is_open: bool) -> None:
        self._open_breakers.labels(engine, str(key)).set(is_open)

    def spent(self, engine: str, period: str, usd: float, of_usd: float) -> None:
        self._spend.labels(engine, period).set(usd)
        self._budget.labels(engine, period).set(of_usd)


class CacheMetrics:
    """The metrics of the audio cache."""

    def __init__(self, registry: CollectorRegistry) -> None:
        lookups = Counter("voxgate_cache_lookups", "Requests that may be kept.", ["found"], registry=registry)
        self._hits, self._misses = lookups.labels("hit"), lookups.labels("miss")
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
        self._hits.inc()

    def missed(self) -> None:
        self._misses.inc()

    def stored(self) -> None:
        self._stores.inc()

    def swept(self, evicted: int, left_bytes: int) -> None:
        self._evictions.inc(evicted)
        self._bytes.set(left_bytes)

    def failed(self) -> None:
        self._failures.inc()


class ManifestMetrics:
    """The metrics of signed manifests."""

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


class ConnectionMetrics:
    """The metrics of the port. `count_open` is asked for the open connections when somebody looks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.count_open: Callable[[], int] = lambda: 0
        self._refusals = Counter(
            "voxgate_connections_refused",
            "Requests and connections refused before an endpoint.",
            ["code"],
            registry=registry,
        )
        open_now = Gauge("voxgate_connections", "Open connections of clients.", registry=registry)
        open_now.set_function(lambda: self.count_open())

    def refused(self, code: str) -> None:
        self._refusals.labels(code).inc()


class Metrics:
    """The metrics of one worker. The supervisor shows the sum on its own port."""

    def __init__(self) -> None:
        # It removes a second series of every counter, which nobody reads. The library has no types for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._requests = _Series(
            Counter("voxgate_requests", "Requests answered.", ["route", "status"], registry=self._registry)
        )
        self._aborted = Counter(
            "voxgate_answers_aborted", "Answers broken off.", ["route"], registry=self._registry
        )
        self._in_flight = 0
        in_flight = Gauge("voxgate_requests_in_flight", "Requests under way.", registry=self._registry)
        # Read when somebody asks: every request would change the gauge twice.
        in_flight.set_function(lambda: self._in_flight)
        self._seconds = _Series(
            Counter("voxgate_speech_seconds", "Audio written.", ["engine", "model"], registry=self._registry)
        )
        self._first_audio = _Series(
            Histogram(
                "voxgate_first_audio_seconds",
                "From the plan to the first bytes of audio.",
                ["model"],
                buckets=_FIRST_AUDIO_BUCKETS,
                registry=self._registry,
            )
        )
        self._failures = Counter(
            "voxgate_engine_failures",
            "Speeches failed by their engine.",
            ["engine", "error"],
            registry=self._registry,
        )
        self._replayed = Counter(
            "voxgate_answers_replayed", "Answers given once more to their key.", registry=self._registry
        )
        self._unrecorded = Counter(
            "voxgate_answers_unrecorded",
            "Answers with a key that could not be kept.",
            registry=self._registry,
        )
        self._background = Counter(
            "voxgate_background_failures",
            "Turns of the server's own tasks that broke.",
            ["task"],
            registry=self._registry,
        )
        self.engines = EngineMetrics(self._registry)
        self.cache = CacheMetrics(self._registry)
        self.manifests = ManifestMetrics(self._registry)
        self.connections = ConnectionMetrics(self._registry)

    def request_began(self) -> None:
        self._in_flight += 1

    def request_ended(self, route: str, status: int, aborted: bool) -> None:
        self._in_flight -= 1
        self._requests[route, status].inc()
        if aborted:
            self._aborted.labels(route).inc()

    def first_audio(self, model: str, seconds: float) -> None:
        self._first_audio[model,].observe(seconds)

    def spoken(self, engine: str, model: str, seconds: float) -> None:
        self._seconds[engine, model].inc(seconds)

    def failed(self, engine: str, error: str) -> None:
        self._failures.labels(engine, error).inc()

    def background_failed(self, task: str) -> None:
        self._background.labels(task).inc()

    def replayed(self) -> None:
        self._replayed.inc()

    def unrecorded(self) -> None:
        self._unrecorded.inc()

    def text(self) -> str:
        return generate_latest(self._registry).decode()
