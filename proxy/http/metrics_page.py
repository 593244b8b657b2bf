"""The supervisor's /metrics on its own loopback port: the sum of the workers' reports."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from proxy.config.addresses import why_not_listening
from proxy.errors import CannotServe
from proxy.http.hosts import KnownHosts
from proxy.telemetry.machine import machine_metrics

ANSWER_S = 2.0
"""The time that a worker has to report. The page is useful without its report, too."""
CLIENT_S = 5.0
"""The longest silence of a client. It may also take no longer to read a piece of the page."""

MOST_CLIENTS = 16
METRICS_ADVICE = 'choose another, or VOXGATE_SERVER__METRICS="" for no metrics page'

_MARGIN_S = 1.0
_PLAIN_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_UNKNOWN_HOST = b"Ask by an address or a name without a dot, or add the name to [server] hosts.\n"


class _PageHandler(WSGIRequestHandler):
    """A handler with time limits: each client has a thread, and a silent client would block it."""

    timeout = CLIENT_S  # `socketserver` reads this name
    client_slots: threading.BoundedSemaphore

    def handle(self) -> None:
        if not self.client_slots.acquire(blocking=False):
            return
        try:
            super().handle()
        except (TimeoutError, ConnectionError):
            pass  # the client is too slow, or has gone
        finally:
            self.client_slots.release()

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: a scrape is no event."""


_CUMULATIVE_KINDS = ("counter", "histogram")


class WorkerMetrics(NamedTuple):
    worker: int
    generation: int
    text: str


class _Family(NamedTuple):
    name: str
    documentation: str
    kind: str


_SampleKey = tuple[str, tuple[tuple[str, str], ...]]
"""One figure in its family: its sample's name and its labels."""

_Figures = dict[_Family, dict[_SampleKey, float]]


class MetricsSum:
    """The sum of the workers' reports, with the counters of all generations of a worker that ever answered.

    A counter must not fall when a worker is restarted or late: Prometheus would count the rest of the sum
    again. The multiprocess mode of `prometheus_client` (0.26) would keep a file of 64 KiB for each
    generation, also after kill -9; it leaves out families without a figure, and mixes the `Metrics` of a
    process.
    """

    def __init__(self) -> None:
        # The generation and the cumulative figures of each worker.
        self._last_reports: dict[int, tuple[int, _Figures]] = {}
        self._ended_generations: _Figures = {}

    def sum_reports(self, reports: Iterable[WorkerMetrics]) -> Iterator[Metric]:
        """Sum the figures that have the same name and labels."""
        sums: _Figures = {}
        for report in reports:
            families: _Figures = {
                _Family(family.name, family.documentation, family.type): {
                    (sample.name, tuple(sample.labels.items())): sample.value for sample in family.samples
                }
                for family in text_string_to_metric_families(report.text)
            }
            cumulative = {
                family: figures for family, figures in families.items() if family.kind in _CUMULATIVE_KINDS
            }
            _add_figures(
                sums, {family: figures for family, figures in families.items() if family not in cumulative}
            )
            generation, last_figures = self._last_reports.get(report.worker, (report.generation, {}))
            if generation != report.generation:
                _add_figures(self._ended_generations, last_figures)
            self._last_reports[report.worker] = (report.generation, cumulative)
        for figures in (self._ended_generations, *(figures for _, figures in self._last_reports.values())):
            _add_figures(sums, figures)
        return _metric_families(sums)


def _add_figures(sums: _Figures, added_figures: _Figures) -> None:
    for family, figures in added_figures.items():
        family_sums = sums.setdefault(family, {})
        for sample, value in figures.items():
            # All workers share one store and one cache: each of them reports the whole of these gauges.
            is_shared = family.kind == "gauge" and family.name.endswith(("_usd", "_cache_bytes", "_waiting"))
            family_sums[sample] = (
                max(family_sums.get(sample, 0.0), value)
                if is_shared
                else family_sums.get(sample, 0.0) + value
            )


def _metric_families(sums: _Figures) -> Iterator[Metric]:
    for family, figures in sums.items():
        metric = Metric(*family)
        for (name, labels), value in figures.items():
            metric.add_sample(name, dict(labels), value)
        yield metric


class MetricsPage(Collector):
    """The metrics page. `ask_workers` returns the reports that come in time. It runs in the loop of `start`,
    though a thread of the library serves the page. The other functions run in that thread.

    A request's Host must be an address, a name without a dot, or one of `known_names`. With `is_ready`, the
    port answers /readyz, too."""

    def __init__(
        self,
        address: str,
        workers: int,
        ask_workers: Callable[[], Coroutine[None, None, list[WorkerMetrics]]],
        figures: Callable[[], Iterable[Metric]],
        known_names: Callable[[], Sequence[str]] = tuple,
        data: Path = Path("."),
        *,
        is_ready: Callable[[], bool] | None = None,
    ) -> None:
        self._address = address
        self._workers = workers
        self._ask_workers = ask_workers
        self._figures = figures
        self._known_names = known_names
        self._data = data
        self._is_ready = is_ready
        self._sum = MetricsSum()
        self._scrape_lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], None] = lambda: None

    def start(self) -> None:
        if not self._address:
            return
        host, _, port = self._address.rpartition(":")
        self._loop = asyncio.get_running_loop()
        registry = CollectorRegistry()
        registry.register(self)
        try:
            server, thread = start_http_server(int(port), addr=host, registry=registry)
        except (OSError, OverflowError) as error:
            why = why_not_listening(error)
            raise CannotServe(
                f"server.metrics: cannot listen on {self._address}: {why}; {METRICS_ADVICE}"
            ) from None

        page = server.get_app()
        assert page is not None

        def app_with_host_check(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            if KnownHosts(self._known_names()).has_or_is_local(environ.get("HTTP_HOST", "")):
                if self._is_ready is not None and environ.get("PATH_INFO") == "/readyz":
                    is_ready = self._is_ready()
                    start("200 OK" if is_ready else "503 Service Unavailable", [_PLAIN_TEXT])
                    return [b"ready\n" if is_ready else b"no engine is ready\n"]
                return page(environ, start)
            start("421 Misdirected Request", [_PLAIN_TEXT])
            return [_UNKNOWN_HOST]

        server.set_app(app_with_host_check)

        class Handler(_PageHandler):
            client_slots = threading.BoundedSemaphore(MOST_CLIENTS)

        server.RequestHandlerClass = Handler

        def stop() -> None:
            # Its loop looks for the end only each half second, or when the socket wakes it.
            with suppress(OSError):
                server.socket.shutdown(socket.SHUT_RDWR)
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop

    def stop(self) -> None:
        self._stop()

    def describe(self) -> Iterable[Metric]:
        """Describe nothing. Without this method, the registry would collect before a worker lives."""
        return []

    def collect(self) -> Iterable[Metric]:
        # One scrape at a time: reports must be added in the order in which they came.
        with self._scrape_lock:
            reports = self._gather_reports()
            figures = list(self._sum.sum_reports(reports))
        configured = GaugeMetricFamily("voxgate_workers", "Workers that there should be.")
        configured.add_metric([], self._workers)
        answered = GaugeMetricFamily("voxgate_workers_ready", "Workers whose figures are in this page.")
        answered.add_metric([], len(reports))
        yield from (configured, answered, *self._figures(), *figures, *machine_metrics(self._data))

    def _gather_reports(self) -> list[WorkerMetrics]:
        assert self._loop is not None
        gathering = self._ask_workers()
        try:
            answer = asyncio.run_coroutine_threadsafe(gathering, self._loop)
        except RuntimeError:
            gathering.close()
            return []  # the loop is closed: the supervisor is about to end, and so is this page
        try:
            return answer.result(ANSWER_S + _MARGIN_S)
        except (TimeoutError, CancelledError):
            answer.cancel()  # the answers would come too late
            return []
