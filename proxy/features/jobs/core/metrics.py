"""The metrics of jobs."""

from __future__ import annotations

from typing import Literal

from prometheus_client import CollectorRegistry, Counter


class JobMetrics:
    """What became of the attempts at steps, and of trainings."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._steps = Counter(
            "voxgate_job_steps",
            "Attempts at steps of jobs: `done`, `put off`, `failed`, `lost`.",
            ["result"],
            registry=registry,
        )

        self._trainings = Counter(
            "voxgate_trainings",
            "Ends of trainings: `done`, `failed`.",
            ["result"],
            registry=registry,
        )

    def ended(self, result: str) -> None:
        self._steps.labels(result).inc()

    def trained(self, result: Literal["done", "failed"]) -> None:
        self._trainings.labels(result).inc()
