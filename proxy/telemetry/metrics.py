"""Prometheus metrics, without texts, audio and keys."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from math import inf

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

_LOOP_HELD_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_COMMIT_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_FIRST_AUDIO_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 9)


class PlainCounter:
    """A counter by the values of its labels, read with the metrics page.

    The library's own counter costs four calls for each count, which matters in every request.
    """

    def __init__(self, name: str, help_: str, labels: Sequence[str], *, registry: CollectorRegistry) -> None:
        self.counts: defaultdict[tuple[str | int, ...], float] = defaultdict(float)
        self._family = partial(CounterMetricFamily, name, help_, labels=labels)
        registry.register(self)

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = self._family()
        for values, count in self.counts.items():
            family.add_metric([str(value) for value in values], count)
        yield family


class PlainHistogram:
    """A histogram by the value of its one label. The library's own costs five calls for each observation."""

    def __init__(
        self, name: str, help_: str, label: str, bounds: Sequence[float], *, registry: CollectorRegistry
    ) -> None:
        self._bounds = (*bounds, inf)
        self._counts: defaultdict[str, Counts[int]] = defaultdict(Counts)
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._family = partial(HistogramMetricFamily, name, help_, labels=[label])
        registry.register(self)

    def observe(self, value: str, amount: float) -> None:
        self._counts[value][bisect_left(self._bounds, amount)] += 1
        self._sums[value] += amount

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family, bounds = self._family(), [*map(floatToGoString, self._bounds)]
        for value, counts in self._counts.items():
            cumulative = accumulate(counts[number] for number in range(len(bounds)))
            family.add_metric([value], [*zip(bounds, cumulative, strict=True)], self._sums[value])
        yield family


class EngineMetrics:
    """The metrics of cloud engines, of their keys and their budgets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter, gauge = partial(Counter, registry=registry), partial(Gauge, registry=registry)
        meaning = "Requests sent to a provider again."
        self._retries = counter("voxgate_engine_retries", meaning, ["engine", "error"])
        meaning = "Refusals of our key or our credit by a provider."
        self._alarms = counter("voxgate_engine_alarms", meaning, ["engine", "error"])
        meaning = "What providers took of an engine's budget."
        self._spend = gauge("voxgate_engine_spend_usd", meaning, ["engine", "period"])
        self._budget = gauge("voxgate_engine_budget_usd", "That budget.", ["engine", "period"])
        meaning = "Whether a key of an engine is not used just now."
        self._open_breakers = gauge("voxgate_engine_resting", meaning, ["engine", "key"])

    def count_retry(self, engine: str, error: str) -> None:
        self._retries.labels(engine, error).inc()

    def count_alarm(self, engine: str, error: str) -> None:
        self._alarms.labels(engine, error).inc()

    def set_breaker(self, engine: str, key: int, is_open: bool) -> None:
        self._open_breakers.labels(engine, str(key)).set(is_open)

    def set_spend(self, engine: str, period: str, usd: float, budget_usd: float) -> None:
        self._spend.labels(engine, period).set(usd)
        self._budget.labels(engine, period).set(budget_usd)


class ConnectionMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.count_open: Callable[[], int] = lambda: 0  # `OpenConnections` replaces it
        self._refusals = Counter(
            "voxgate_connections_refused",
            "Requests and connections refused before an endpoint.",
            ["code"],
            registry=registry,
        )
        open_now = Gauge("voxgate_connections", "Open connections of clients.", registry=registry)
        open_now.set_function(lambda: self.count_open())

    def count_refusal(self, code: str) -> None:
        self._refusals.labels(code).inc()


class Metrics:
    """The metrics of one worker. The supervisor shows the sum on its own port."""

    def __init__(self) -> None:
        # It removes the unused second series of every counter. The library has no types for it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self.registry = CollectorRegistry()
        self.in_flight = 0
        in_flight = Gauge("voxgate_requests_in_flight", "Requests under way.", registry=registry)
        # It is read with the page, since every request would change the gauge twice.
        in_flight.set_function(lambda: self.in_flight)
        self.count_sockets: Callable[[], int] = lambda: 0  # `OpenSockets` replaces it
        sockets = Gauge("voxgate_sockets", "Open WebSockets.", registry=registry)
        sockets.set_function(lambda: self.count_sockets())
        plain_counter, counter = partial(PlainCounter, registry=registry), partial(Counter, registry=registry)
        self._requests = plain_counter("voxgate_requests", "Requests answered.", ["route", "status"])
        self._errors = plain_counter(
            "voxgate_errors", "Requests refused or failed, by their error.", ["code"]
        )
        self._aborted = counter("voxgate_answers_aborted", "Answers broken off.", ["route"])
        self.seconds = plain_counter("voxgate_speech_seconds", "Audio written.", ["engine", "model"])
        meaning = "From the plan to the first bytes of audio."
        self.first_audio = PlainHistogram(
            "voxgate_first_audio_seconds", meaning, "model", _FIRST_AUDIO_BUCKETS, registry=registry
        )
        meaning = "Speeches in which a rule-based voice took the place of a natural one."
        self.robots = counter("voxgate_robot_answers", meaning)
        self.credits = plain_counter("voxgate_credits", "Credits charged, without refunds.", ["operation"])
        self.failures = counter(
            "voxgate_engine_failures", "Speeches failed by their engine.", ["engine", "error"]
        )
        self.replayed = counter("voxgate_answers_replayed", "Answers given once more to their key.")
        self.unrecorded = counter("voxgate_answers_unrecorded", "Answers with a key that could not be kept.")
        meaning = "Turns of the server's own tasks that broke."
        self.background_failures = counter("voxgate_background_failures", meaning, ["task"])
        meaning = "CPU time for which one step held the event loop, from 10 ms."
        self.loop_held = Histogram(
            "voxgate_loop_held_seconds", meaning, buckets=_LOOP_HELD_BUCKETS, registry=registry
        )
        meaning = "Time of a transaction, until it is on the database's disk."
        self.commit_seconds = Histogram(
            "voxgate_commit_seconds", meaning, buckets=_COMMIT_BUCKETS, registry=registry
        )
        self.engines = EngineMetrics(registry)
        self.connections = ConnectionMetrics(registry)

    def count_request(self, route: str, status: int, code: str | None, aborted: bool) -> None:
        self.in_flight -= 1
        self._requests.counts[route, status] += 1
        if code is not None:
            self._errors.counts[(code,)] += 1
        if aborted:
            self._aborted.labels(route).inc()

    def page_text(self) -> str:
        return generate_latest(self.registry).decode()
