"""The load on a server of speech, and what it costs: requests and CPU under wrk, times at a slow pace."""

from __future__ import annotations

import http.client
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil

SECONDS = 4
CONNECTIONS = 16
PACED_PER_S = 50
BODY = '{"model": "tts-1", "voice": "alloy", "input": "Hello from the bench, said in one sentence."}'
KEPT_TEXTS = 80
"""So many texts come again where clips are kept: their clips fit into the memory of the cache."""
ALL_OTHERS = 10**9
"""No text comes again."""

_ROW = "{:10} {:>8} {:>10} {:>8} {:>8} {:>8} {:>10} {:>10} {:>12} {:>10}"
_LUA = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Bearer {key}"
wrk.headers["Content-Type"] = "application/json"
local number = 0
request = function()
  number = (number + 1) % {texts}
  return wrk.format(nil, nil, nil, (string.gsub('{body}', "one sentence", "sentence " .. number)))
end
done = function(summary, latency, requests)
  local errors = summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.duration, errors,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Target(NamedTuple):
    """A server to be measured: the process whose CPU counts (with its children), its port, a key."""

    pid: int
    port: int
    key: str


class Measured(NamedTuple):
    per_s: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    paced_p50_ms: float
    paced_p99_ms: float
    paced_first_ms: float
    flush_p99_ms: float


def before() -> Path | None:
    """Return the checkout after `--before`, with its environment: another commit, for the same run."""
    return Path(sys.argv[sys.argv.index("--before") + 1]) if "--before" in sys.argv else None


def measured(target: Target, folder: Path, body: str = BODY, texts: int = ALL_OTHERS) -> Measured:
    """Once it is warm. So many texts are asked for, one after the other. As many flushes follow at the same
    pace: the end of an answer waits for one, so the disk is most of a slow answer.

    The load comes last: LiteLLM keeps the upstream connection of each client that wrk cuts off at its end,
    and then hangs.
    """
    lua = folder / "post.lua"
    lua.write_text(script(target.key, body, texts))
    wrk(target.port, lua, 1, CONNECTIONS)
    paced = *_paced(target, body), _flush_p99_ms(folder)
    began_cpu_s = cpu_seconds(target.pid)
    requests, seconds, p50_ms, p99_ms = wrk(target.port, lua, SECONDS, CONNECTIONS)
    cpu_s = cpu_seconds(target.pid) - began_cpu_s
    return Measured(requests / seconds, cpu_s / requests * 1000, p50_ms, p99_ms, *paced)


def script(key: str, body: str, texts: int = ALL_OTHERS) -> str:
    """wrk's program for one request again and again, with the next of so many texts each time."""
    return _LUA.format(key=key, body=body, texts=texts)


def another_text(body: str, number: int) -> str:
    return body.replace("one sentence", f"sentence {number}")


def show(found: Mapping[str, list[Measured]], against: str) -> None:
    """The medians of the rounds; the ratio is to `against` in the same round."""
    machine = platform.processor() or platform.machine()
    print(
        f"{datetime.now(UTC).date()}, {os.cpu_count()} cores, {machine}, Python {platform.python_version()}"
    )
    rounds = len(found[against])
    print(f"{CONNECTIONS} connections for {SECONDS} s, and one at {PACED_PER_S} a second; {rounds} rounds")
    of = f"of {against}"
    print(
        _ROW.format(
            "",
            "req/s",
            of,
            "cpu ms",
            "p50 ms",
            "p99 ms",
            "paced p50",
            "paced p99",
            "paced first",
            "flush p99",
        )
    )
    for name, each in found.items():
        pairs = zip(each, found[against], strict=True)
        ratio = statistics.median(one.per_s / other.per_s for one, other in pairs)
        middle = [statistics.median(column) for column in zip(*each, strict=True)]
        print(_ROW.format(name, round(middle[0]), f"{ratio:.2f}", *(f"{value:.3f}" for value in middle[1:])))


def cpu_seconds(pid: int) -> float:
    """Of the process and its children, all of which live through the whole measurement."""
    parent = psutil.Process(pid)
    times = [process.cpu_times() for process in (parent, *parent.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def post(connection: http.client.HTTPConnection, key: str, body: str = BODY) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/audio/speech", body, headers)
    return connection.getresponse()


def _paced(target: Target, body: str) -> tuple[float, float, float]:
    """Median and p99, in ms, of whole answers, and the median of their first bytes, at a pace that leaves the
    server idle."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=30)
    whole, first = [], []
    for _ in range(PACED_PER_S * SECONDS):
        began = time.perf_counter()
        answer = post(connection, target.key, body)
        answer.read(1)
        first.append(time.perf_counter() - began)
        answer.read()
        whole.append(time.perf_counter() - began)
        time.sleep(max(0.0, 1 / PACED_PER_S - whole[-1]))
    connection.close()
    return statistics.median(whole) * 1000, _p99_ms(whole), statistics.median(first) * 1000


def _flush_p99_ms(folder: Path) -> float:
    """The p99 of fdatasync alone, on the disk of the server's data, with a page written before each."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(PACED_PER_S * SECONDS):
            os.write(file.fileno(), bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - began)
            time.sleep(max(0.0, 1 / PACED_PER_S - took[-1]))
    return _p99_ms(took)


def _p99_ms(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98] * 1000


def wrk(port: int, script: Path, seconds: int, connections: int) -> tuple[int, float, float, float]:
    url = f"http://127.0.0.1:{port}/v1/audio/speech"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = re.search(r"RESULT (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", printed)
    if result is None or result[3] != "0":
        raise SystemExit(f"the load met errors: {json.dumps(printed)}")
    return int(result[1]), int(result[2]) / 1e6, float(result[4]) / 1000, float(result[5]) / 1000
