"""A neighbour beside the largest lawful request of each endpoint: `python -m bench.largest_beside [NAME …]`

The worker of `tests/proxy/http/largest_rig.py` serves a port. Its account has the most of everything, and
its jobs do not begin. Another process is a neighbour that speaks a word again and again. For each endpoint
the account sends the request at its lawful pace: in windows by turns, alone and beside. Speech comes as
often as the largest shipped plan allows, another request as often as its class does (`MOST_A_MINUTE`), but
one of `/admin` at an operator's pace: the server takes ten a second from a script, and people send one. A
line has the neighbour's p95 of both, their ratio, its longest answer, and how long the requests took. Ratios
above 2 are measured once more, in longer windows.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
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
import uvloop

from proxy.access.admission import MOST_A_MINUTE
from proxy.config.sections import Server
from proxy.feature_list import load_config
from proxy.http.server_protocol import server_protocol
from proxy.processes.worker import THREAD_SWITCH_S
from tests.proxy.http.largest import Row, rows_of
from tests.proxy.http.largest_rig import MOST, Rig, rig
from tests.proxy.http.sockets import Address, serving

WINDOW_S, WRITE_WINDOW_S, ROUNDS = 0.6, 1.5, 2
LONG_WINDOW_S, LONG_ROUNDS = 2.0, 3
PAUSE_S = 0.01
MOST_RATIO = 2.0
MOST_REQUESTS, MOST_BYTES = 40, 22_000_000

OPERATOR_S = 1.0
LAWFUL_A_MINUTE = dict(MOST_A_MINUTE)
"""As shipped: the rig takes the limits away, so that no request is refused."""
Answer = tuple[int, bytes, float]
"""A status, the first bytes, and milliseconds."""


def neighbour(pipe: Connection, address: Address, headers: dict[str, str], body: bytes) -> None:
    """Speak in each window that the pipe tells, and tell the milliseconds of each answer."""
    while seconds := pipe.recv():
        connection = http.client.HTTPConnection(*address, timeout=60)
        took_ms, ends = list[float](), time.monotonic() + seconds
        while time.monotonic() < ends:
            began = time.perf_counter()
            connection.request("POST", "/v1/audio/speech", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            took_ms.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE_S)
        connection.close()
        pipe.send(took_ms)


def heavy(pipe: Connection, address: Address) -> None:
    """Send the requests that come through the pipe, again and again, for the seconds and at the pace after
    them. Tell the status, the first bytes and the milliseconds of each answer."""
    while requests := pipe.recv():
        seconds, pace_s = pipe.recv()
        answers, began_all = list[Answer](), time.monotonic()
        for number, (method, path, headers, body) in enumerate(itertools.cycle(requests)):
            time.sleep(max(0.0, began_all + number * pace_s - time.monotonic()))
            if time.monotonic() >= began_all + seconds:
                break
            connection = http.client.HTTPConnection(*address, timeout=120)
            began = time.perf_counter()
            connection.request(method, path, body or None, headers)
            answer = connection.getresponse()
            said = answer.read()
            answers.append((answer.status, said[:65536], (time.perf_counter() - began) * 1000))
            connection.close()
        pipe.send(answers)


class Bench:
    def __init__(self, sending: Rig, neighbour: Connection, heavy: Connection) -> None:
        self._sending, self._neighbour, self._heavy = sending, neighbour, heavy
        served = sending.served.shop.server.worker.endpoints
        self._classes = {each.name: each.request_class for each in served}
        plans = load_config(Path(os.devnull), {}).plans.values()
        self._plan_s = 60 / max(plan.rpm for plan in plans if isinstance(plan.rpm, int))

    async def line(self, row: Row) -> str:
        window_s = WINDOW_S if self._pace_s(row) < WINDOW_S else WRITE_WINDOW_S
        found = await self._measure(row, window_s, ROUNDS)
        if found[0] > MOST_RATIO:
            found = await self._measure(row, LONG_WINDOW_S, LONG_ROUNDS)
        ratio, text = found
        return f"{row.name:34} {text} {'above 2' if ratio > MOST_RATIO else ''}"

    async def _measure(self, row: Row, window_s: float, rounds: int) -> tuple[float, str]:
        alone, beside, answers = list[float](), list[float](), list[Answer]()
        for _ in range(rounds):
            alone += await self._window(window_s)
            await self._sending.prepare(row)
            await asyncio.to_thread(self._heavy.send, self._requests(row))
            self._heavy.send((window_s, self._pace_s(row)))
            beside += await self._window(window_s)
            answers += await asyncio.to_thread(self._heavy.recv)
            for status, said, _ in answers:
                self._sending.note(row, status, said)
        quiet, loud = _p95(alone), _p95(beside)
        own = statistics.median(took_ms for _, _, took_ms in answers)
        good = sum(status < 400 for status, _, _ in answers)
        times = f"{quiet:7.1f} {loud:7.1f} {loud / quiet:6.2f} {max(beside):7.0f}"
        return loud / quiet, f"{times} {good:4}/{len(answers):4} {answers[0][0]:4} {own:8.1f}"

    async def _window(self, seconds: float) -> list[float]:
        self._neighbour.send(seconds)
        took_ms: list[float] = await asyncio.to_thread(self._neighbour.recv)
        return took_ms

    def _requests(self, row: Row) -> list[tuple[str, str, dict[str, str], bytes]]:
        """Several, as each may be about a new name. They are made before a window begins."""
        first = self._sending.encoded(row)
        more = range(min(MOST_REQUESTS, MOST_BYTES // (len(first.read()) + 1)) - 1)
        made = [first, *(self._sending.encoded(row) for _ in more)]
        return [(each.method, each.url.raw_path.decode(), dict(each.headers), each.read()) for each in made]

    def _pace_s(self, row: Row) -> float:
        """The seconds from one such request to the next."""
        class_ = self._classes[row.operation.id]
        if class_ == "admin":
            return OPERATOR_S
        return self._plan_s if class_ is None else 60 / LAWFUL_A_MINUTE[class_]


def _p95(took_ms: list[float]) -> float:
    return statistics.quantiles(took_ms, n=20, method="inclusive")[-1]


async def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    names, processes = sys.argv[1:], multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        async with (
            rig(Path(folder), MOST, has_processes=True) as sending,
            serving(sending.served.shop.server.worker.public, server_protocol(Server())) as address,
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
            sys.setswitchinterval(THREAD_SWITCH_S)
            print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
            print(f"{'':34} p95 alone, beside, ratio, longest; good requests, status, median ms")
            for row in rows_of(sending.served):
                if not names or row.operation.id in names:
                    print(await bench.line(row), flush=True)
            ours.send(0)
            mine.send(None)
            for each in started:
                each.join()
    print(f"load {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    uvloop.run(main())
