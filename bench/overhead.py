"""What voxgate adds to a bare server that answers the same bytes: `python -m bench.overhead`. Needs wrk.

Every rung runs in each round, one after the other, so that whatever else the machine does is shared out;
the figures are medians over the rounds, and ratios to the bare rung of the same round.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

from bench.rung import RUNGS

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 16
PACED_PER_S = 50

_LUA = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{{"model": "tts-1", "voice": "alloy", "input": "Hello from the bench, said in one sentence."}}'
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


def main() -> None:
    found: dict[str, list[Measured]] = {rung: [] for rung in RUNGS}
    for _ in range(ROUNDS):
        for rung in RUNGS:
            with tempfile.TemporaryDirectory() as folder, server(rung, Path(folder)) as (pid, port, key):
                script = Path(folder) / "post.lua"
                script.write_text(_LUA.format(key=key))
                load(port, script, 1, CONNECTIONS)  # warm
                found[rung].append(measure(pid, port, script))
    machine = platform.processor() or platform.machine()
    print(
        f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {machine}, Python {platform.python_version()}"
    )
    print(f"{'rung':10} {'req/s':>8} {'of bare':>8} {'cpu ms':>8} {'p50 ms':>8} {'p99 ms':>8}")
    bare = found["bare"]
    for rung, rounds in found.items():
        ratio = statistics.median(one.per_s / first.per_s for one, first in zip(rounds, bare, strict=True))
        middle = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print(f"{rung:10} {middle[0]:8.0f} {ratio:8.2f} {middle[1]:8.3f} {middle[2]:8.2f} {middle[3]:8.2f}")


@contextmanager
def server(rung: str, folder: Path) -> Iterator[tuple[int, int, str]]:
    command = [sys.executable, "-m", "bench.rung", rung, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port, key = process.stdout.readline().split()
            yield process.pid, int(port), key
        finally:
            process.send_signal(signal.SIGTERM)


def measure(pid: int, port: int, script: Path) -> Measured:
    process = psutil.Process(pid)
    before = process.cpu_times()
    requests, seconds, p50_ms, p99_ms = load(port, script, SECONDS, CONNECTIONS)
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    return Measured(requests / seconds, cpu_s / requests * 1000, p50_ms, p99_ms)


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
