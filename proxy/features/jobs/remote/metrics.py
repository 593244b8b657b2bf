"""The metrics of runs."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge


class RunnerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "voxgate_runs",
            "Runs on rented machines that ended: `done`, `failed`, `canceled`, `lost`, `refused`.",
            ["runner", "end"],
            registry=registry,
        )
        self._usd = Counter(
            "voxgate_run_usd", "What runs on rented machines were charged.", ["runner"], registry=registry
        )
        self._open = Gauge(
            "voxgate_runs_open", "Runs on rented machines under way.", ["runner"], registry=registry
        )
        self._known: set[str] = set()

    def ended(self, runner: str, end: str, micro_usd: int) -> None:
        self._runs.labels(runner, end).inc()
        self._usd.labels(runner).inc(micro_usd / 1e6)

    def stand(self, open_: Mapping[str, int]) -> None:
        """Set the number of open runs by runner. A missing runner has none."""
        self._known |= open_.keys()
        for runner in self._known:
            self._open.labels(runner).set(open_.get(runner, 0))
