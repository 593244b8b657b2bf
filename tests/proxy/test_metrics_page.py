"""Every scrape of the metrics page gets the worker's answer, also when two come at once."""

from __future__ import annotations

import asyncio

from proxy.metrics_page import MetricsPage
from speech_engine.host.pipe import Message
from tests.server import free_port


async def test_scrapes_at_once_each_get_an_answer() -> None:
    loop, address = asyncio.get_running_loop(), f"127.0.0.1:{free_port()}"
    asked, is_answering, was_asked_twice = 0, False, False

    def ask(_message: Message) -> None:
        nonlocal asked, is_answering, was_asked_twice
        asked, is_answering, was_asked_twice = asked + 1, True, was_asked_twice or is_answering
        # A worker needs a moment, in which the next scrape arrives.
        loop.call_later(0.05, answer, asked)

    def answer(number: int) -> None:
        nonlocal is_answering
        is_answering = False
        page.answered(f"# TYPE answer gauge\nanswer {number}\n")

    page = MetricsPage(address, ask, lambda: ())
    page.start()
    try:
        answers = await asyncio.gather(*(_scrape(address) for _ in range(8)))
    finally:
        await asyncio.to_thread(page.stop)
    assert not was_asked_twice, "an answer to one would be taken by the other"
    assert sorted(answers) == [f"answer {number}.0" for number in range(1, 9)]


async def _scrape(address: str) -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    return next((line for line in text.splitlines() if line.startswith("answer ")), "")
