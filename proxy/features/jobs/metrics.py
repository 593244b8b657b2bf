"""The metrics of jobs."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter


class JobMetrics:
    """What became of the attempts at steps."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = Counter(
            "voxgate_job_steps",
            "Attempts at steps of jobs: `done`, `put off`, `failed`, `lost`.",
            ["result"],
            registry=registry,
        )

    def ended(self, result: str) -> None:
        self._steps.labels(result).inc()
