"""The supervisor's /metrics, on its own loopback port, made of what the worker tells when asked."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from proxy.runtime import CannotServe
from speech_engine.host.pipe import HostState, Message, MetricsAsked

_ANSWER_S = 2.0


class MetricsPage(Collector):
    """`ask` sends a message to the worker, if there is one; `answered` brings its reply.

    The page is served by a thread of the library, so everything between it and the loop is handed over.
    """

    def __init__(
        self, address: str, ask: Callable[[Message], None], hosts: Callable[[], Iterable[HostState]]
    ) -> None:
        self._address = address
        self._ask = ask
        self._hosts = hosts
        self._answers: queue.Queue[str] = queue.Queue()
        self._asking = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<MetricsPage on {self._address or 'no port'}>"

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
            raise CannotServe(
                f"server.metrics: cannot listen on {self._address}: {error}; "
                'choose another, or "" for no metrics page'
            ) from None

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self._stop = stop

    def stop(self) -> None:
        self._stop()

    def answered(self, text: str) -> None:
        self._answers.put(text)

    def describe(self) -> Iterable[Metric]:
        """Nothing: without this, registering would collect before a worker lives."""
        return []

    def collect(self) -> Iterable[Metric]:
        ready = GaugeMetricFamily(
            "voxgate_host_ready", "Whether a host process is ready.", labels=["engine", "process"]
        )
        lives = GaugeMetricFamily(
            "voxgate_host_generation", "Lives of a host process so far.", labels=["engine", "process"]
        )
        for state in list(self._hosts()):
            labels = [state.engine, str(state.process)]
            ready.add_metric(labels, float(state.state == "ready"))
            lives.add_metric(labels, state.generation)
        yield from (ready, lives)
        yield from text_string_to_metric_families(self._worker_text())

    def _worker_text(self) -> str:
        assert self._loop is not None
        # One at a time: answers bear no name, and two scrapes would take each other's.
        with self._asking:
            while not self._answers.empty():
                self._answers.get_nowait()  # the late answer to an earlier scrape
            self._loop.call_soon_threadsafe(self._ask, MetricsAsked())
            try:
                return self._answers.get(timeout=_ANSWER_S)
            except queue.Empty:
                return ""
