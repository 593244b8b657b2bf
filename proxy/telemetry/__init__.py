"""The view of an operator into a worker: metrics, logs, failures of background tasks. No texts, no keys."""

from proxy.telemetry.background import RepeatingTask, repeat, without_values
from proxy.telemetry.metrics import CacheMetrics, EngineMetrics, Metrics

__all__ = ["CacheMetrics", "EngineMetrics", "Metrics", "RepeatingTask", "repeat", "without_values"]
