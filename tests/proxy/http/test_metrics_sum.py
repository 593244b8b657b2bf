"""The metrics of several workers as one page: sums that a restart or a late answer does not lower."""

from proxy.features.cache.cache import CacheMetrics
from proxy.http.metrics_page import MetricsSum, WorkerMetrics
from proxy.telemetry.metrics import Metrics


def _text(requests: int, in_flight: int = 0, first_audio_s: tuple[float, ...] = ()) -> str:
    metrics = Metrics()
    for _ in range(requests + in_flight):
        metrics.in_flight += 1
    for _ in range(requests):
        metrics.count_request("/v1/audio/speech", 200, None, aborted=False)
    for seconds in first_audio_s:
        metrics.first_audio.observe("standard", seconds)
    return metrics.page_text()


def _page(figures: MetricsSum, *reports: WorkerMetrics) -> dict[str, float]:
    return {
        f"{sample.name}{sample.labels.get('le', '')}": sample.value
        for family in figures.sum_reports(reports)
        for sample in family.samples
    }


def test_the_same_figure_of_two_workers_is_their_sum() -> None:
    page = _page(
        MetricsSum(), WorkerMetrics(0, 1, _text(3, 1, (0.02, 3.0))), WorkerMetrics(1, 1, _text(4, 2, (0.02,)))
    )
    assert page["voxgate_requests_total"] == 7
    assert page["voxgate_requests_in_flight"] == 3
    assert page["voxgate_first_audio_seconds_count"] == 3
    assert page["voxgate_first_audio_seconds_bucket0.025"] == 2
    assert page["voxgate_first_audio_seconds_bucket+Inf"] == 3


def test_a_figure_that_one_worker_alone_has_is_there() -> None:
    page = _page(MetricsSum(), WorkerMetrics(0, 1, _text(0)), WorkerMetrics(1, 1, _text(2)))
    assert page["voxgate_requests_total"] == 2


def test_a_worker_that_does_not_answer_keeps_its_counters_and_not_its_gauges() -> None:
    figures = MetricsSum()
    _page(figures, WorkerMetrics(0, 1, _text(3, 1)), WorkerMetrics(1, 1, _text(4, 2)))
    page = _page(figures, WorkerMetrics(0, 1, _text(5, 1)))
    assert (page["voxgate_requests_total"], page["voxgate_requests_in_flight"]) == (9, 1)


def test_a_new_life_counts_on_from_the_last_one() -> None:
    figures = MetricsSum()
    counted = [
        _page(figures, WorkerMetrics(0, generation, _text(requests)))["voxgate_requests_total"]
        for generation, requests in [(1, 3), (1, 5), (2, 1), (2, 4), (4, 0), (4, 2)]
    ]
    assert counted == [3, 5, 6, 9, 9, 11]


def test_a_metric_that_has_no_figure_yet_is_on_the_page() -> None:
    names = {
        family.name
        for family in MetricsSum().sum_reports([WorkerMetrics(0, 1, _text(0)), WorkerMetrics(1, 1, _text(0))])
    }
    assert {"voxgate_requests", "voxgate_requests_in_flight", "voxgate_first_audio_seconds"} <= names


def test_a_folder_that_all_share_is_reported_whole_by_each() -> None:
    def report(worker: int, evicted: int, left_bytes: int) -> WorkerMetrics:
        metrics = Metrics()
        cache = CacheMetrics(metrics.registry)
        cache.evictions.inc(evicted)
        cache.bytes.set(left_bytes)
        return WorkerMetrics(worker, 1, metrics.page_text())

    page = _page(MetricsSum(), report(0, 2, 5_000), report(1, 3, 4_000))
    assert (page["voxgate_cache_bytes"], page["voxgate_cache_evictions_total"]) == (5_000, 5)
