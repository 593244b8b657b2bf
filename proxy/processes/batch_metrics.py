"""The figures of batched models, as metrics. Labels have an engine and a process, and never who speaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from speech_engine import Urgency

Figures = Mapping[tuple[str, str], Mapping[str, float]]
"""By engine and process: what `speech_engine.host.batch_figures` counts."""

_LABELS = ("engine", "process")


class _BatchMetric(NamedTuple):
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    help: str


_METRICS = {
    "steps": _BatchMetric(CounterMetricFamily, "voxgate_batch_steps", "Steps of a batched model."),
    "step_width": _BatchMetric(GaugeMetricFamily, "voxgate_batch_step_rows", "Mean rows in a step."),
    "step_width_limit": _BatchMetric(
        GaugeMetricFamily, "voxgate_batch_step_rows_limit", "Most rows in a step."
    ),
    "step_seconds": _BatchMetric(GaugeMetricFamily, "voxgate_batch_step_seconds", "Mean time of a step."),
    "realtime_factor": _BatchMetric(
        GaugeMetricFamily, "voxgate_batch_realtime_factor", "Seconds of sound made in a second of work."
    ),
    "dry_listeners": _BatchMetric(
        CounterMetricFamily, "voxgate_batch_dry_listeners", "Listeners whose sound paused."
    ),
    "width_halvings": _BatchMetric(
        CounterMetricFamily, "voxgate_batch_halvings", "Steps for which the device lacked memory."
    ),
}


def batch_metrics(figures: Figures) -> Iterable[Metric]:
    """Return the metrics of all batched models."""
    rows = GaugeMetricFamily("voxgate_batch_rows", "Rows in the model.", labels=(*_LABELS, "urgency"))
    for labels, values in figures.items():
        for urgency in get_args(Urgency):
            rows.add_metric((*labels, urgency), values.get(f"rows_{urgency}", 0.0))
    yield rows
    for key, (kind, name, help_) in _METRICS.items():
        metric = kind(name, help_, labels=_LABELS)
        for labels, values in figures.items():
            metric.add_metric(labels, values.get(key, 0.0))
        yield metric
