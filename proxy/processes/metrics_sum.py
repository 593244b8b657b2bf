"""The workers' metrics as one page: gauges of those that answer, counters of all lives that ever answered.

A counter must not fall when a worker is restarted or late: Prometheus would count the rest of the sum again.

The multiprocess mode of `prometheus_client` (0.26) would keep a file of 64 KiB for each life of a worker,
which must stay as long as its counts are summed, and which stays after kill -9. That mode leaves a family
without a figure off the page, and it lets two `Metrics` in one process share their counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

_LASTING = ("counter", "histogram")


class WorkerMetrics(NamedTuple):
    """The metrics of one worker in one of its lives."""

    worker: int
    generation: int
    text: str


class _Family(NamedTuple):
    name: str
    documentation: str
    kind: str


_Place = tuple[str, tuple[tuple[str, str], ...]]
"""One figure in its family: its sample's name and its labels."""

_Figures = dict[_Family, dict[_Place, float]]


class MetricsSum:
    def __init__(self) -> None:
        self._last: dict[int, tuple[int, _Figures]] = {}
        self._of_ended_lives: _Figures = {}

    def add_up(self, reports: Iterable[WorkerMetrics]) -> Iterator[Metric]:
        """Sum the figures that have the same name and labels."""
        sums: _Figures = {}
        for report in reports:
            families = _parse(report.text)
            lasting = {family: figures for family, figures in families.items() if family.kind in _LASTING}
            _add(sums, {family: figures for family, figures in families.items() if family not in lasting})
            self._remember(report, lasting)
        for figures in (self._of_ended_lives, *(figures for _, figures in self._last.values())):
            _add(sums, figures)
        return _page(sums)

    def _remember(self, report: WorkerMetrics, lasting: _Figures) -> None:
        generation, before = self._last.get(report.worker, (report.generation, {}))
        if generation != report.generation:
            _add(self._of_ended_lives, before)
        self._last[report.worker] = (report.generation, lasting)


def _parse(text: str) -> _Figures:
    """Return the figures of a page by family. A family without a figure is there, too."""
    return {
        _Family(page.name, page.documentation, page.type): {
            (sample.name, tuple(sample.labels.items())): sample.value for sample in page.samples
        }
        for page in text_string_to_metric_families(text)
    }


def _add(sums: _Figures, more: _Figures) -> None:
    for family, figures in more.items():
        sum_ = sums.setdefault(family, {})
        for place, value in figures.items():
            # All workers share one store and one cache: each of them reports the whole.
            is_whole = family.kind == "gauge" and family.name.endswith(("_usd", "_cache_bytes"))
            sum_[place] = max(sum_.get(place, 0.0), value) if is_whole else sum_.get(place, 0.0) + value


def _page(sums: _Figures) -> Iterator[Metric]:
    for family, figures in sums.items():
        page = Metric(*family)
        for (name, labels), value in figures.items():
            page.add_sample(name, dict(labels), value)
        yield page
