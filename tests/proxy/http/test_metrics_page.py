"""Every scrape of the metrics page gets the workers' answers, also when two come at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest

from proxy.hosts.figures import batch_metrics
from proxy.http.metrics_page import MOST_CLIENTS, MetricsPage, WorkerMetrics
from tests.server import free_port
from tests.tables import each_row

pytestmark = pytest.mark.slow


@asynccontextmanager
async def _open(page: MetricsPage) -> AsyncIterator[None]:
    page.start()
    try:
        yield
    finally:
        await asyncio.to_thread(page.stop)


@pytest.mark.clock
async def test_scrapes_at_once_each_get_an_answer() -> None:
    address = f"127.0.0.1:{free_port()}"
    asked, at_once, most_at_once = 0, 0, 0

    async def ask() -> list[WorkerMetrics]:
        nonlocal asked, at_once, most_at_once
        asked, at_once = asked + 1, at_once + 1
        number, most_at_once = asked, max(most_at_once, at_once)
        # A worker needs a moment, in which the next scrape arrives.
        await asyncio.sleep(0.05)
        at_once -= 1
        return [WorkerMetrics(0, 1, f"# TYPE answer gauge\nanswer {number}\n")]

    async with _open(MetricsPage(address, 1, ask, lambda: ())):
        pages = await asyncio.gather(*(_scrape(address) for _ in range(8)))
    assert most_at_once == 1, "what one was told would be added after what the next was"
    assert sorted(_line(each, "answer ") for each in pages) == [f"answer {each}.0" for each in range(1, 9)]


async def test_the_page_says_how_many_workers_are_in_it() -> None:
    address = f"127.0.0.1:{free_port()}"

    async def ask() -> list[WorkerMetrics]:
        return [WorkerMetrics(number, 1, "# TYPE answers counter\nanswers_total 2\n") for number in (0, 2)]

    async with _open(MetricsPage(address, 3, ask, lambda: ())):
        text = await _scrape(address)
    assert _line(text, "voxgate_workers ") == "voxgate_workers 3.0"
    assert _line(text, "voxgate_workers_ready ") == "voxgate_workers_ready 2.0"
    assert _line(text, "answers_total ") == "answers_total 4.0"


@asynccontextmanager
async def _silent_clients(
    count: int, monkeypatch: pytest.MonkeyPatch, client_s: float
) -> AsyncIterator[tuple[str, list[asyncio.Task[bytes]]]]:
    """Connect clients that say nothing. Give the address, and what each of them reads until its end."""

    async def ask() -> list[WorkerMetrics]:
        return []

    monkeypatch.setattr("proxy.http.metrics_page._PageHandler.timeout", client_s)
    address = f"127.0.0.1:{free_port()}"
    page = MetricsPage(address, 1, ask, lambda: ())
    page.start()
    host, port = address.split(":")
    opened = [await asyncio.open_connection(host, port) for _ in range(count)]
    reads = [asyncio.create_task(reader.read()) for reader, _ in opened]
    try:
        yield address, reads
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.wait(reads)
        await asyncio.to_thread(page.stop)


async def test_a_silent_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _silent_clients(3, monkeypatch, 0.2) as (address, reads), asyncio.timeout(20):
        assert await asyncio.gather(*reads) == [b""] * 3
        assert "voxgate_workers 1.0" in await _scrape(address)


async def test_so_many_clients_have_a_place_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with _silent_clients(MOST_CLIENTS + 5, monkeypatch, 600.0) as (_, reads), asyncio.timeout(20):
        for read in islice(asyncio.as_completed(reads), 5):
            assert await read == b""
        assert sum(read.done() for read in reads) == 5


async def test_a_page_is_given_though_nobody_answers_at_all() -> None:
    address = f"127.0.0.1:{free_port()}"

    async def ask() -> list[WorkerMetrics]:
        await asyncio.Event().wait()
        return []

    async with _open(MetricsPage(address, 1, ask, lambda: ())):
        text = await _scrape(address)
    assert _line(text, "voxgate_workers_ready ") == "voxgate_workers_ready 0.0"


@each_row(
    ("host", "status"),
    [
        ("127.0.0.1:9464", 200),
        ("[::1]:9464", 200),
        ("localhost", 200),
        ("voxgate:9464", 200),
        ("metrics.example.org:9464", 200),
        ("evil.example.org", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
    ],
)
async def test_the_page_of_somebody_else_cannot_read_it(host: str, status: int) -> None:
    address = f"127.0.0.1:{free_port()}"

    async def ask() -> list[WorkerMetrics]:
        return []

    async with _open(MetricsPage(address, 1, ask, lambda: (), lambda: ("metrics.example.org",))):
        text = await _scrape(address, f"Host: {host}\r\n")
    assert text.split(" ")[1] == str(status)
    assert ("voxgate_workers" in text) == (status == 200)


def _line(page: str, beginning: str) -> str:
    return next((line for line in page.splitlines() if line.startswith(beginning)), "")


async def _scrape(address: str, headers: str = "") -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /metrics HTTP/1.0\r\n{headers}\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    return text


async def test_a_batched_model_has_its_figures_by_engine_and_process() -> None:
    address = f"127.0.0.1:{free_port()}"

    async def ask() -> list[WorkerMetrics]:
        return []

    figures = {"rows_live": 3.0, "rows_idle": 1.0, "step_width": 3.5, "dry_listeners": 2.0}
    page = MetricsPage(address, 1, ask, lambda: batch_metrics({("xtts", "0"): figures}))
    async with _open(page):
        text = await _scrape(address)
    labels = 'engine="xtts",process="0"'
    for name, value in (
        (f'voxgate_batch_rows{{{labels},urgency="live"}}', 3.0),
        (f'voxgate_batch_rows{{{labels},urgency="whole"}}', 0.0),
        (f"voxgate_batch_step_rows{{{labels}}}", 3.5),
        (f"voxgate_batch_dry_listeners_total{{{labels}}}", 2.0),
    ):
        assert _line(text, f"{name} ") == f"{name} {value}"
