"""A neighbour beside the largest lawful request of each endpoint: `python -m bench.largest_beside [NAME …]`

The worker of `tests/proxy/http/largest_rig.py` serves a port. Its account has the most of everything, and
its jobs do not begin. Another process is a neighbour that speaks a word again and again. For each endpoint
the account sends the request again and again, one at a time: in windows by turns, alone and beside. A line
has the neighbour's p95 of both, their ratio, its longest answer, and how long the requests took. Ratios
above 2 are measured once more, in longer windows.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from proxy.http.server_protocol import ServerProtocol
from tests.proxy.http.largest import Row, rows_of
from tests.proxy.http.largest_rig import MOST, Rig, rig
from tests.proxy.http.sockets import Address, serving

WINDOW_S, ROUNDS = 0.6, 2
LONG_WINDOW_S, LONG_ROUNDS = 2.0, 3
PAUSE_S = 0.01
MOST_RATIO = 2.0


def neighbour(pipe: Connection, address: Address, headers: dict[str, str], body: bytes) -> None:
    """Speak in each window that the pipe tells, and tell the milliseconds of each answer."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    while seconds := pipe.recv():
        took_ms, ends = list[float](), time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.perf_counter()
            connection.request("POST", "/v1/audio/speech", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            took_ms.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_S)
        pipe.send(took_ms)


def heavy(pipe: Connection, address: Address) -> None:
    """Send each request that comes through the pipe, and tell its status, its first bytes and its time."""
    while sent := pipe.recv():
        method, path, headers, body = sent
        connection = http.client.HTTPConnection(*address, timeout=120)
        began = time.perf_counter()
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        said = answer.read()
        pipe.send((answer.status, said[:65536], (time.perf_counter() - began) * 1000))
        connection.close()


class Bench:
    def __init__(self, sending: Rig, neighbour: Connection, heavy: Connection) -> None:
        self._sending, self._neighbour, self._heavy = sending, neighbour, heavy

    async def line(self, row: Row) -> str:
        found = await self._measure(row, WINDOW_S, ROUNDS)
        if found[0] > MOST_RATIO:
            found = await self._measure(row, LONG_WINDOW_S, LONG_ROUNDS)
        ratio, text = found
        return f"{row.name:34} {text} {'above 2' if ratio > MOST_RATIO else ''}"

    async def _measure(self, row: Row, window_s: float, rounds: int) -> tuple[float, str]:
        alone, beside, own = list[float](), list[float](), list[float]()
        status = 0
        for _ in range(rounds):
            alone += await self._window(window_s)
            await self._sending.prepare(row)
            speaking = asyncio.create_task(self._window(window_s))
            while not speaking.done():
                status, took_ms = await self._send(row)
                own.append(took_ms)
            beside += await speaking
        quiet, loud = _p95(alone), _p95(beside)
        times = f"{quiet:7.1f} {loud:7.1f} {loud / quiet:6.2f} {max(beside):7.0f}"
        return loud / quiet, f"{times} {len(own):5} {status:4} {statistics.median(own):8.1f}"

    async def _window(self, seconds: float) -> list[float]:
        self._neighbour.send(seconds)
        took_ms: list[float] = await asyncio.to_thread(self._neighbour.recv)
        return took_ms

    async def _send(self, row: Row) -> tuple[int, float]:
        request = self._sending.encoded(row)
        headers = dict(request.headers)
        self._heavy.send((request.method, request.url.raw_path.decode(), headers, request.read()))
        status, said, took_ms = await asyncio.to_thread(self._heavy.recv)
        self._sending.note(row, status, said)
        return status, took_ms


def _p95(took_ms: list[float]) -> float:
    return statistics.quantiles(took_ms, n=20, method="inclusive")[-1]


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    names, processes = sys.argv[1:], multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        async with (
            rig(Path(folder), MOST, has_processes=True) as sending,
            serving(sending.served.shop.server.worker.public, ServerProtocol) as address,
        ):
            said = sending.neighbours_request()
            (ours, speaks), (mine, sends) = processes.Pipe(), processes.Pipe()
            started = [
                processes.Process(target=neighbour, args=(speaks, address, dict(said.headers), said.read())),
                processes.Process(target=heavy, args=(sends, address)),
            ]
            for each in started:
                each.start()
            bench = Bench(sending, ours, mine)
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            print(f"{'':34} p95 alone, beside, ratio, longest; requests, status, their median ms")
            for row in rows_of(sending.served):
                if not names or row.operation.id in names:
                    print(await bench.line(row), flush=True)
            ours.send(0)
            mine.send(None)
            for each in started:
                each.join()
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    asyncio.run(main())
