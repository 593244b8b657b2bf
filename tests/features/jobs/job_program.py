"""A process that speaks jobs, for `tests/forked.py`: `main(CONFIG, ROLE, DAYS, POINT, NUMBER)`.

It kills itself when it comes to a point for the time with this number. Without a point it ends when no job is
open. Its role is that of the `server`, or of a `voxgate worker` with a data folder of its own. Its databases
say that it is so many days later.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from policies.tasks import SECOND_US
from proxy.app import Worker, open_worker
from proxy.config.config_toml import Config
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.jobs.core.encoding import FileMaking, FileSteps
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import FILES, STEPS
from proxy.features.jobs.core.steps import Steps
from proxy.features.own_voices import records as voice_records
from proxy.file_store.vault import Vault
from proxy.ledger.hold import Hold
from proxy.ledger.ledger import Ledger
from proxy.speech_steps.whole_answer import WholeAnswer
from proxy.storage.postgres import PostgresStore
from proxy.storage.sqlite import SqliteStore

POINTS: dict[str, tuple[Any, str, str]] = {
    "after take": (STEPS, "take", "after"),
    "before hold": (Ledger, "hold", "before"),
    "after hold": (Ledger, "hold", "after"),
    "in sound": (WholeAnswer, "collect_file", "before"),
    "after sound": (WholeAnswer, "collect_file", "after"),
    "before file": (Vault, "put", "before"),
    "after file": (JobFiles, "put", "after"),
    "before settlement": (Hold, "settle", "before"),
    "after settlement": (Hold, "settle", "after"),
    "before end": (STEPS, "write_held", "before"),
    "after end": (STEPS, "write_held", "after"),
}
"""Those of steps."""
CLIP_POINTS: dict[str, tuple[Any, str, str]] = {
    "before clips": (voice_records, "add_training_clips", "before"),
    "after clips": (voice_records, "add_training_clips", "after"),
}
"""Those of a recording that is cut into clips."""
FILE_POINTS: dict[str, tuple[Any, str, str]] = {
    "in encoding": (FileMaking, "keep_blobs", "before"),
    "before encoded": (FileWriter, "put", "before"),
    "after encoded": (FileWriter, "put", "after"),
    "before file rows": (FILES, "write_held", "before"),
    "after file rows": (FILES, "write_held", "after"),
}
"""Those of the file of a job that is encoded as a whole, in their order."""


class _Point:
    def __init__(self, number: int) -> None:
        self.left = number

    def come(self) -> None:
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)


def arm(point: str, number: int, points: Mapping[str, tuple[Any, str, str]] | None = None) -> None:
    owner, name, when = (points or POINTS | CLIP_POINTS | FILE_POINTS)[point]
    method, reached = getattr(owner, name), _Point(number)

    @wraps(method)
    async def passing(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            reached.come()
        result = await method(*arguments, **named)
        if when == "after":
            reached.come()
        return result

    @wraps(method)
    def passing_in_thread(*arguments: Any, **named: Any) -> Any:
        reached.come()
        return method(*arguments, **named)

    setattr(owner, name, passing if iscoroutinefunction(method) else passing_in_thread)


def move_clock(days: float) -> None:
    """Let all stores say that it is later."""
    later: Any
    for store in (SqliteStore, PostgresStore):
        later = _later(store.now, round(days * 86_400 * SECOND_US))
        store.now = later  # type: ignore[method-assign]


def _later(now: Callable[[Any], Awaitable[int]], by_us: int) -> Callable[[Any], Awaitable[int]]:
    async def later(store: Any) -> int:
        return await now(store) + by_us

    return later


def as_worker(config: Config) -> Config:
    """What `voxgate worker` has for a server with this configuration."""
    data = Path(config.data)
    Path(f"{data}-worker").mkdir(exist_ok=True)
    vault = replace(config.vault, folder=str(data / "voices"), master_key=(data / "master-key").read_text())
    return replace(config, serves=False, data=f"{data}-worker", vault=vault)


async def main(file: str, role: str, days: str, point: str = "", number: str = "1") -> None:
    config = load_config(Path(file), {})
    if role == "worker":
        config = as_worker(config)
    move_clock(float(days))
    async with open_worker(config, registry.load()) as worker:
        if point:
            arm(point, int(number))
        await work_to_the_end(worker)


async def work_to_the_end(worker: Worker) -> None:
    """Work until no job is open."""
    kinds = [kind for kind in worker.task_kinds if isinstance(kind, Steps | FileSteps)]
    began = await worker.store.now()
    running = [asyncio.create_task(kind.run(worker.metrics, began)) for kind in kinds]
    while True:
        if not await worker.store.read("SELECT id FROM jobs WHERE state = 'open'"):
            break
        await asyncio.sleep(0.02)
    for each in running:
        each.cancel()
    await asyncio.wait(running)
