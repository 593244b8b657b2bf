"""A worker that speaks jobs: `python -m tests.features.jobs.job_program CONFIG POINT NUMBER`.

It kills itself when it comes to a point for the time with this number. Without a point it ends when no job is
open.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import wraps
from pathlib import Path
from typing import Any

from proxy.app import open_worker
from proxy.engines import registry
from proxy.features.all import load_config
from proxy.features.jobs.encoding import FileSteps, _Making
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.records import FILES, STEPS
from proxy.features.jobs.steps import Steps
from proxy.kept.vault import Vault
from proxy.ledger.hold import Hold
from proxy.ledger.ledger import Ledger
from proxy.speech.answer import Answer

POINTS: dict[str, tuple[Any, str, str]] = {
    "after take": (STEPS, "take", "after"),
    "before hold": (Ledger, "hold", "before"),
    "after hold": (Ledger, "hold", "after"),
    "in sound": (Answer, "collect", "before"),
    "after sound": (Answer, "collect", "after"),
    "before file": (Vault, "put", "before"),
    "after file": (JobFiles, "put", "after"),
    "before settlement": (Hold, "settle", "before"),
    "after settlement": (Hold, "settle", "after"),
    "before end": (STEPS, "write", "before"),
    "after end": (STEPS, "write", "after"),
}
"""Those of steps."""
FILE_POINTS: dict[str, tuple[Any, str, str]] = {
    "in encoding": (_Making, "_goes_on", "before"),
    "before encoded": (_Making, "_put", "before"),
    "after encoded": (_Making, "_put", "after"),
    "before file rows": (FILES, "write", "before"),
    "after file rows": (FILES, "write", "after"),
}
"""Those of the file of a job that is encoded as a whole, in their order."""


class _Point:
    def __init__(self, number: int) -> None:
        self.left = number

    def come(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, number: int) -> None:
    owner, name, when = (POINTS | FILE_POINTS)[point]
    method, reached = getattr(owner, name), _Point(number)

    @wraps(method)
    async def passing(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            reached.come()
        result = await method(*arguments, **named)
        if when == "after":
            reached.come()
        return result

    setattr(owner, name, passing)


async def main(file: str, point: str = "", number: str = "1") -> None:
    config = load_config(Path(file), {})
    async with open_worker(config, registry.load()) as worker:
        kinds = [kind for kind in worker.wishes if isinstance(kind, Steps | FileSteps)]
        if point:
            arm(point, int(number))
        began = await worker.store.now()
        running = [asyncio.create_task(kind.run(worker.metrics, began)) for kind in kinds]
        while True:
            if not await worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
                break
            await asyncio.sleep(0.02)
        for each in running:
            each.cancel()
        await asyncio.wait(running)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
