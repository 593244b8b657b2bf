"""The metrics of hosts, for the metrics page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from proxy.engines.hosts.host_list import Hosts
from speech_engine import Urgency
from speech_engine.host.cluster_messages import HostLoad
from speech_engine.host.pipe_messages import HostState

HostFigures = Mapping[tuple[str, str], Mapping[str, float]]
"""The results of `BatchFigures` and `DeviceFigures` of `speech_engine.host`, by engine and process."""
_LABELS = ("engine", "process")


def host_metrics(hosts: Hosts) -> Iterable[Metric]:
    """Return the metrics of all hosts of this machine, also in another thread."""
    yield from _state_metrics(hosts.states.values())
    yield from batch_metrics(hosts.figures())
    yield from _load_metrics(hosts.loads())


def _state_metrics(states: Iterable[HostState]) -> Iterable[Metric]:
    ready = GaugeMetricFamily("voxgate_host_ready", "Whether a host process is ready.", labels=_LABELS)
    lives = GaugeMetricFamily("voxgate_host_generation", "Lives of a host process so far.", labels=_LABELS)
    for state in list(states):
        labels = [state.engine, str(state.process)]
        ready.add_metric(labels, float(state.state == "ready"))
        lives.add_metric(labels, state.generation)
    return (ready, lives)


def _load_metrics(loads: Mapping[tuple[str, int], HostLoad]) -> Iterable[Metric]:
    jobs = GaugeMetricFamily("voxgate_host_jobs", "Jobs in a host, running or waiting.", labels=_LABELS)
    slots = GaugeMetricFamily("voxgate_host_slots", "Jobs that a host can run at once.", labels=_LABELS)
    waiting = GaugeMetricFamily(
        "voxgate_host_waiting_seconds", "The estimated sound of all waiting jobs.", labels=_LABELS
    )
    for (engine, process), load in loads.items():
        labels = (engine, str(process))
        jobs.add_metric(labels, load.jobs)
        slots.add_metric(labels, load.slots)
        waiting.add_metric(labels, load.waiting_s)
    return (jobs, slots, waiting)


_MetricKind = type[GaugeMetricFamily] | type[CounterMetricFamily]


_METRICS: dict[str, tuple[_MetricKind, str, str]] = {
    "steps": (CounterMetricFamily, "voxgate_batch_steps", "Steps of a batched model."),
    "step_width": (GaugeMetricFamily, "voxgate_batch_step_rows", "Mean rows in a step."),
    "step_width_limit": (GaugeMetricFamily, "voxgate_batch_step_rows_limit", "Most rows in a step."),
    "step_seconds": (GaugeMetricFamily, "voxgate_batch_step_seconds", "Mean time of a step."),
    "realtime_factor": (
        GaugeMetricFamily,
        "voxgate_batch_realtime_factor",
        "Seconds of sound made in a second of work.",
    ),
    "dry_listeners": (CounterMetricFamily, "voxgate_batch_dry_listeners", "Listeners whose sound paused."),
    "width_halvings": (
        CounterMetricFamily,
        "voxgate_batch_halvings",
        "Steps for which the device lacked memory.",
    ),
    "device_memory_used_bytes": (
        GaugeMetricFamily,
        "voxgate_device_memory_used_bytes",
        "Memory of the card that is in use, by anybody.",
    ),
    "device_memory_total_bytes": (
        GaugeMetricFamily,
        "voxgate_device_memory_total_bytes",
        "Memory of the card.",
    ),
    "device_utilisation": (
        GaugeMetricFamily,
        "voxgate_device_utilisation",
        "The part of the time in which the card computes.",
    ),
}


def batch_metrics(figures: HostFigures) -> Iterable[Metric]:
    """Return the metrics of all batched models and cards, as far as their hosts report them."""
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
