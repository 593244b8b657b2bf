"""The workers' metrics as one page: gauges of those that answer, counters of all lives that ever answered.

A counter must not fall when a worker is restarted or late: Prometheus would take the rest of the sum for new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

_LASTING = ("counter", "histogram")


class WorkerMetrics(NamedTuple):
    """What one worker said in one of its lives."""

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

    def __repr__(self) -> str:
        return f"<MetricsSum of {len(self._last)} workers>"

    def summed(self, told: Iterable[WorkerMetrics]) -> Iterator[Metric]:
        """What has the same name and labels is one figure."""
        sums: _Figures = {}
        for each in told:
            read = _read(each.text)
            lasting = {family: figures for family, figures in read.items() if family.kind in _LASTING}
            _add(sums, {family: figures for family, figures in read.items() if family not in lasting})
            self._remember(each, lasting)
        for figures in (self._of_ended_lives, *(figures for _, figures in self._last.values())):
            _add(sums, figures)
        return _page(sums)

    def _remember(self, told: WorkerMetrics, lasting: _Figures) -> None:
        generation, before = self._last.get(told.worker, (told.generation, {}))
        if generation != told.generation:
            _add(self._of_ended_lives, before)
        self._last[told.worker] = (told.generation, lasting)


def _read(text: str) -> _Figures:
    """Families without a figure yet are on the page too: a reader learns that they exist."""
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
            # Of the store and the cache that all workers share each tells the whole.
            is_whole = family.kind == "gauge" and family.name.endswith(("_usd", "_cache_bytes"))
            sum_[place] = max(sum_.get(place, 0.0), value) if is_whole else sum_.get(place, 0.0) + value


def _page(sums: _Figures) -> Iterator[Metric]:
    for family, figures in sums.items():
        page = Metric(*family)
        for (name, labels), value in figures.items():
            page.add_sample(name, dict(labels), value)
        yield page
