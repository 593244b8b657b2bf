"""A worker whose jobs run on rented machines, for `tests/forked.py`: `main(FILE, POINT, TIMES)`.

It kills itself when it comes to a point for the time with this number. Without a point it ends when no job is
open.
"""

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path

from proxy.app import open_worker
from proxy.engines import registry
from proxy.engines.registry import GROUP
from proxy.feature_list import load_config
from proxy.features.jobs.core.steps import Steps
from proxy.features.jobs.remote import records
from tests.features.jobs import job_program
from tests.features.jobs.remote.http_runner import HttpRunner

job_program.POINTS |= {
    "before row": (records, "begin_run", "before"),
    "after row": (records, "begin_run", "after"),
    "after submit": (HttpRunner, "submit", "after"),
    "before name": (records, "write_run_name", "before"),
    "after name": (records, "write_run_name", "after"),
    "before look": (HttpRunner, "look", "before"),
    "after look": (HttpRunner, "look", "after"),
    "before charge": (records, "end_run", "before"),
    "after charge": (records, "end_run", "after"),
}


async def main(file: str, point: str = "", number: str = "1") -> None:
    config = load_config(Path(file), {})
    plugin = EntryPoint("far_http", "tests.features.jobs.remote.http_runner", GROUP)
    async with open_worker(config, registry.load([plugin])) as worker:
        (steps,) = [kind for kind in worker.task_kinds if isinstance(kind, Steps)]
        while True:
            if worker.engines["far"].state == "ready":
                break
            await asyncio.sleep(0.01)
        if point:
            job_program.arm(point, int(number))
        running = asyncio.create_task(steps.run(worker.metrics, await worker.store.now()))
        while True:
            if not await worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
                break
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait([running])
