"""One job beside very many of another account: `python -m bench.jobs [JOBS]`.

A worker in this process speaks tones. An account hands in 10,000 jobs by /v1/jobs. While the worker goes on
with them, ten others hand in a job each: how long until its step is begun, and until it is done.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from proxy.telemetry import logs
from tests.databases import postgres
from tests.features.jobs.job_rig import jobs_inside, kind_of, new_job
from tests.proxy.api.inside import Inside
from tests.proxy.api.owning import new_key

ROUNDS = 10
_TOGETHER = 4


async def measure(url: str, folder: Path, jobs: int) -> list[str]:
    async with jobs_inside(folder, url) as server:
        kind_of(server).most_at_once = 0
        handed_in = await _fill(server, jobs)
        kind_of(server).most_at_once = 4
        kind_of(server).look_now()
        begun, done = [], []
        for number in range(ROUNDS):
            key = await new_key(server, f"other_{number}", "metered")
            one, two = await _one(server, key)
            begun.append(one)
            done.append(two)
        (left,) = await server.worker.store.read("SELECT count(*) AS jobs FROM jobs WHERE state = 'open'")
        kind_of(server).most_at_once = 0
    return [
        f"{jobs} handed in, each p50 {1000 * statistics.median(handed_in):.1f} ms; {left['jobs']} still open",
        f"another's begins after p50 {statistics.median(begun):.2f} s, most {max(begun):.2f} s; "
        f"done after p50 {statistics.median(done):.2f} s, most {max(done):.2f} s",
    ]


async def _fill(server: Inside, jobs: int) -> list[float]:
    numbers, took = iter(range(jobs)), list[float]()

    async def hand_in() -> None:
        for number in numbers:
            began = time.perf_counter()
            await new_job(server, f"Word {number}.")
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(hand_in() for _ in range(_TOGETHER)))
    return took


async def _one(server: Inside, key: str) -> tuple[float, float]:
    began, store = time.perf_counter(), server.worker.store
    body = {"model": "tone", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}
    id_ = (await server.ask("POST", "/v1/jobs", key=key, body=body)).json()["id"]

    async def is_begun() -> bool:
        return bool(await store.read("SELECT id FROM job_steps WHERE job = :job AND fence > 0", {"job": id_}))

    async def is_done() -> bool:
        return bool(await store.read("SELECT id FROM jobs WHERE id = :job AND state = 'done'", {"job": id_}))

    return await _until(is_begun, began), await _until(is_done, began)


async def _until(is_so: Callable[[], Awaitable[bool]], began: float) -> float:
    while True:
        if await is_so():
            break
        await asyncio.sleep(0.01)
    return time.perf_counter() - began


def main() -> None:
    logs.configure_logs("bench", logging.ERROR)
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(postgres())
        for name, url in (("sqlite", "sqlite"), ("postgresql", server.url())):
            (folder / name).mkdir()
            for line in asyncio.run(measure(url, folder / name, jobs)):
                print(f"{name:<11} {line}", flush=True)


if __name__ == "__main__":
    main()
