"""What voxgate adds to a bare server that answers the same bytes: `python -m bench.overhead`. Needs wrk.

Every rung runs in each round, one after the other, so that whatever else the machine does is shared out;
the figures are medians over the rounds, and ratios to the bare rung of the same round.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.rung import RUNGS
from bench.shipped import shipped
from tests.databases import postgres
from tests.redis_server import redis_server

SHIPPED = "espeak"
"""The last rung: `voxgate serve` as it comes, in all its processes, speaking and encoding for real."""

SHARED = "shared"
"""The ledger's rung over a real PostgreSQL and a real Redis, whose own CPU is not counted."""

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 16
PACED_PER_S = 50

_ROW = "{:10} {:>8} {:>8} {:>8} {:>8} {:>8} {:>10} {:>12}"
_BODY = '{"model": "tts-1", "voice": "alloy", "input": "Hello from the bench, said in one sentence."}'
_LUA = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{body}'
done = function(summary, latency, requests)
  local errors = summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.duration, errors,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Measured(NamedTuple):
    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    paced_p50_ms: float
    paced_first_ms: float


def main() -> None:
    """All rungs, or those that are named after the command."""
    found: dict[str, list[Measured]] = {rung: [] for rung in sys.argv[1:] or (*RUNGS, SHIPPED)}
    for _ in range(ROUNDS):
        for rung in found:
            with tempfile.TemporaryDirectory() as folder, server(rung, Path(folder)) as (pid, port, key):
                script = Path(folder) / "post.lua"
                script.write_text(_LUA.format(key=key, body=_BODY))
                load(port, script, 1, CONNECTIONS)  # warm
                found[rung].append(measure(pid, port, key, script))
    show(found)


def show(found: dict[str, list[Measured]]) -> None:
    machine = platform.processor() or platform.machine()
    print(
        f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {machine}, Python {platform.python_version()}"
    )
    print(f"{CONNECTIONS} connections for {SECONDS} s, and one at {PACED_PER_S} a second; {ROUNDS} rounds")
    print(_ROW.format("rung", "req/s", "of bare", "cpu ms", "p50 ms", "p99 ms", "paced p50", "paced first"))
    bare = next(iter(found.values()))
    for rung, rounds in found.items():
        ratio = statistics.median(one.per_s / first.per_s for one, first in zip(rounds, bare, strict=True))
        middle = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(_ROW.format(rung, round(middle[0]), f"{ratio:.2f}", *(f"{value:.3f}" for value in middle[1:])))


@contextmanager
def server(rung: str, folder: Path) -> Iterator[tuple[int, int, str]]:
    if rung == SHIPPED:
        with shipped(folder) as found:
            yield found
        return
    if rung == SHARED:
        with postgres() as database, redis_server() as redis:
            yield from _rung(rung, folder, database.url(), redis.url)
        return
    yield from _rung(rung, folder)


def _rung(rung: str, folder: Path, *urls: str) -> Iterator[tuple[int, int, str]]:
    command = [sys.executable, "-m", "bench.rung", rung, str(folder), *urls]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            yield process.pid, int(port), key
        finally:
            process.send_signal(signal.SIGTERM)


def measure(pid: int, port: int, key: str, script: Path) -> Measured:
    before = cpu_seconds(pid)
    requests, seconds, p50_ms, p99_ms = load(port, script, SECONDS, CONNECTIONS)
    cpu_s = cpu_seconds(pid) - before
    return Measured(requests / seconds, cpu_s / requests * 1000, p50_ms, p99_ms, *paced(port, key))


def cpu_seconds(pid: int) -> float:
    """Of the process and its children, all of which live through the whole measurement."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def paced(port: int, key: str) -> tuple[float, float]:
    """Medians, in ms, of whole answers and of their first bytes, at a pace that leaves the server idle."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    whole, first = [], []
    for _ in range(PACED_PER_S * SECONDS):
        began = time.perf_counter()
        connection.request("POST", "/v1/audio/speech", _BODY, headers)
        answer = connection.getresponse()
        answer.read(1)
        first.append(time.perf_counter() - began)
        answer.read()
        whole.append(time.perf_counter() - began)
        time.sleep(max(0.0, 1 / PACED_PER_S - whole[-1]))
    connection.close()
    return statistics.median(whole) * 1000, statistics.median(first) * 1000


def load(port: int, script: Path, seconds: int, connections: int) -> tuple[int, float, float, float]:
    url = f"http://127.0.0.1:{port}/v1/audio/speech"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", printed)
    if result is None or result[3] != "0":
        raise SystemExit(f"the load met errors: {json.dumps(printed)}")
    return int(result[1]), int(result[2]) / 1e6, float(result[4]) / 1000, float(result[5]) / 1000


if __name__ == "__main__":
    main()
