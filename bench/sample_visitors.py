"""A listener beside visitors who ask for samples: `python -m bench.sample_visitors [natural]`.

A server of tones has made its samples. In each round the listener asks for speech for ten seconds alone, and
for ten seconds in which 1,000 addresses ask for a sample each. Printed are the p95 of both, the ratio,
and what the visitors got. With `natural`, Kokoro makes its samples instead: what they cost, and the first
sound of a request meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import psutil

from tests.heard import natural
from tests.plugins.piper.environment import interpreter
from tests.server import ALONE, Server, running
from tests.waiting import until

VISITORS, ROUND_S, ROUNDS = 1000, 10.0, 3
SAMPLES, ASKED = 44, 5
"""Kokoro's 41 voices, and the longer ones of three languages of the front."""
CONFIG = ALONE.replace("[server]", "[server]\npublic_catalogue = true") + "[samples]\nmb = 8\n"
NATURAL = f"""
[server]
first_audio_s = 60
[samples]
mb = 64
[engines.kokoro]
{natural.KOKORO.settings}
"""


def main() -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1:] == ["natural"]:
            _first_start(Path(folder))
            return
        with running(Path(folder), CONFIG) as server:
            until(lambda: _sample(server), 60.0)
            asyncio.run(_measure(server, _sample(server), ROUNDS))


def _first_start(folder: Path) -> None:
    """Print the first sound of requests while samples are made and once they are, and what all took."""
    interpreter(natural.KOKORO.engine)
    natural.put(natural.KOKORO.model, folder / "data")
    with running(folder, NATURAL) as server, server.client(timeout=300.0) as client:
        until(lambda: len(_made(folder)) >= 2, 300.0)
        during: list[float] = []
        for _ in range(ASKED):
            _wait_for_another(folder)
            during.append(_first_sound_s(client))
        while len(_made(folder)) < SAMPLES:
            time.sleep(1.0)
        files = sorted(each.stat().st_mtime for each in _made(folder))
        cpu_s = _cpu_s(server.process.pid)
        after = [_first_sound_s(client) for _ in range(ASKED)]
    print(f"{SAMPLES} samples in {files[-1] - files[0]:.0f} s, {cpu_s:.0f} s of processor, start included")
    both = [statistics.median(each) for each in (during, after)]
    print(
        f"first sound p50 {both[0]:.2f} s while one is made, {both[1]:.2f} s without: {both[0] / both[1]:.2f}"
    )


def _made(folder: Path) -> list[Path]:
    return [*(folder / "data" / "samples").glob("*.mp3")]


def _wait_for_another(folder: Path) -> None:
    """Wait until a sample is made, and so the next one is under way."""
    before = len(_made(folder))
    until(lambda: len(_made(folder)) > before, 120.0)
    time.sleep(0.5)


def _first_sound_s(client: httpx2.Client) -> float:
    body = {"model": "kokoro", "voice": "kokoro/af_heart", "input": "Good morning.", "response_format": "pcm"}
    began = time.perf_counter()
    with client.stream("POST", "/v1/audio/speech", json=body) as answer:
        next(answer.iter_bytes())
        return time.perf_counter() - began


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))


def _sample(server: Server) -> str:
    with server.client() as client:
        listed = client.get("/v1/audio/voices").json()["data"]
    return next((each["sample"] for each in listed if each.get("sample")), "")


async def _measure(server: Server, sample: str, rounds: int) -> None:
    alone: list[float] = []
    beside: list[float] = []
    got: Counter[int] = Counter()
    host, _, port = server.url.removeprefix("http://").partition(":")
    for _ in range(rounds):
        alone += await asyncio.to_thread(_listen, server)
        visits = asyncio.create_task(_visits(host, int(port), sample, got))
        beside += await asyncio.to_thread(_listen, server)
        await visits
    p95_alone, p95_beside = (statistics.quantiles(each, n=20)[-1] for each in (alone, beside))
    print(f"p95 {p95_alone * 1000:.1f} ms alone, {p95_beside * 1000:.1f} ms beside {VISITORS} addresses")
    print(f"ratio {p95_beside / p95_alone:.2f}; visitors got {dict(got)}")


def _listen(server: Server) -> list[float]:
    """Return how long each of the short speeches of a round took."""
    times: list[float] = []
    with server.client() as client:
        until_s = time.perf_counter() + ROUND_S
        while (began := time.perf_counter()) < until_s:
            body = {"model": "tts-1", "voice": "alloy", "input": f"Number {len(times)}."}
            client.post("/v1/audio/speech", json=body).raise_for_status()
            times.append(time.perf_counter() - began)
    return times


async def _visits(host: str, port: int, sample: str, got: Counter[int]) -> None:
    """Ask for a sample from each address once. Each address is in a network of its own."""
    asked = f"GET {sample} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode()

    async def visit(number: int) -> None:
        await asyncio.sleep(number / VISITORS * ROUND_S)
        address = f"127.{1 + number // 250}.{number % 250}.1"
        reader, writer = await asyncio.open_connection(host, port, local_addr=(address, 0))
        writer.write(asked)
        head = await reader.readline()
        await reader.read()
        writer.close()
        got[int(head.split()[1])] += 1

    await asyncio.gather(*(visit(number) for number in range(VISITORS)))


if __name__ == "__main__":
    main()
