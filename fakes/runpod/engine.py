"""An engine of this repository in place of a worker's image, as deploy/runpod has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from typing import Any

from fakes.runpod.working import echo
from speech_engine import Hosted
from speech_engine.device import CPU
from speech_engine.host.log import HostLogger
from speech_engine.host.remote_calls import fetch_recording
from speech_engine.host.remote_training import HttpLine
from speech_engine.host.remote_worker import RemoteTrainer, RemoteWorker, as_json, open_remote_worker
from speech_engine.runner import decode_work
from speech_engine.training import BeginTraining

_SCHEMES = ("http", "https")
"""A server on this machine has no certificate."""


class EngineHandler:
    """A `Handler`. Until it is `opened` with an engine's name, it echoes its input."""

    def __init__(self) -> None:
        self._end: RemoteWorker | None = None

    def __repr__(self) -> str:
        return f"<EngineHandler {self._end!r}>"

    def __call__(self, job: dict[str, Any]) -> Any:
        return echo(job) if self._end is None else self._pieces(self._end, job)

    @asynccontextmanager
    async def opened(self, name: str) -> AsyncIterator[None]:
        """Work with the engine of this name, which has all that it needs by its defaults, until the end."""
        if not name:
            yield
            return
        plugins = import_module(f"plugins.{name}.plugin").voxgate_register()
        (hosted,) = [each.create for each in plugins if isinstance(each.create, Hosted)]
        trainer = None
        if hosted.trainer:
            begin = BeginTraining(name="engine", module=hosted.trainer, settings=b"{}")
            trainer = RemoteTrainer(begin, partial(HttpLine, schemes=_SCHEMES))
        fetch, log = partial(fetch_recording, schemes=_SCHEMES), HostLogger("far end")
        async with open_remote_worker(
            hosted.module, b"{}", CPU, log, fetch=fetch, trainer=trainer
        ) as self._end:
            yield

    async def _pieces(self, end: RemoteWorker, job: dict[str, Any]) -> AsyncIterator[Any]:
        async for piece in end.pieces(decode_work(job["input"])):
            yield as_json(piece)
