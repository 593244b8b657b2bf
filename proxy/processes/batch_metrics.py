"""The figures of batched models and cards, as metrics. Labels have an engine and a process, never people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from speech_engine import Urgency

Figures = Mapping[tuple[str, str], Mapping[str, float]]
"""By engine and process: what `batch_figures` and `device_figures` of `speech_engine.host` name."""

_LABELS = ("engine", "process")


class _HostMetric(NamedTuple):
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    help: str


_METRICS = {
    "steps": _HostMetric(CounterMetricFamily, "voxgate_batch_steps", "Steps of a batched model."),
    "step_width": _HostMetric(GaugeMetricFamily, "voxgate_batch_step_rows", "Mean rows in a step."),
    "step_width_limit": _HostMetric(
        GaugeMetricFamily, "voxgate_batch_step_rows_limit", "Most rows in a step."
    ),
    "step_seconds": _HostMetric(GaugeMetricFamily, "voxgate_batch_step_seconds", "Mean time of a step."),
    "realtime_factor": _HostMetric(
        GaugeMetricFamily, "voxgate_batch_realtime_factor", "Seconds of sound made in a second of work."
    ),
    "dry_listeners": _HostMetric(
        CounterMetricFamily, "voxgate_batch_dry_listeners", "Listeners whose sound paused."
    ),
    "width_halvings": _HostMetric(
        CounterMetricFamily, "voxgate_batch_halvings", "Steps for which the device lacked memory."
    ),
    "device_memory_used_bytes": _HostMetric(
        GaugeMetricFamily,
        "voxgate_device_memory_used_bytes",
        "Memory of the card that is in use, by anybody.",
    ),
    "device_memory_total_bytes": _HostMetric(
        GaugeMetricFamily, "voxgate_device_memory_total_bytes", "Memory of the card."
    ),
    "device_utilisation": _HostMetric(
        GaugeMetricFamily, "voxgate_device_utilisation", "The part of the time in which the card computes."
    ),
}


def batch_metrics(figures: Figures) -> Iterable[Metric]:
    """Return the metrics of all batched models and cards. A host has those that it reported."""
    rows = GaugeMetricFamily("voxgate_batch_rows", "Rows in the model.", labels=(*_LABELS, "urgency"))
    for labels, values in figures.items():
        if "rows_live" in values:
            for urgency in get_args(Urgency):
                rows.add_metric((*labels, urgency), values.get(f"rows_{urgency}", 0.0))
    yield rows
    for key, (kind, name, help_) in _METRICS.items():
        metric = kind(name, help_, labels=_LABELS)
        for labels, values in figures.items():
            if key in values:
                metric.add_metric(labels, values[key])
        yield metric
