"""The head of a worker whose model speaks many texts at once, in one batch. It imports no torch itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from speech_engine.host.batch_loop import BatchLoop
from speech_engine.host.batch_model import BatchSettings, R, TorchSettings, V
from speech_engine.models import ModelInfo
from speech_engine.plugin import Context, Plugin

S = TypeVar("S", bound=TorchSettings)
M = TypeVar("M")
"""A `BatchModel`."""


class TorchEngine(Generic[M, V, R]):
    """The common part of these engines. A plugin's engine adds `speak` or `convert`."""

    def __init__(
        self,
        settings: BatchSettings,
        context: Context,
        model: M,
        infos: tuple[ModelInfo, ...],
        batch: BatchLoop[V, R],
    ) -> None:
        self.slots = settings.slots
        self.batch = batch
        self._context = context
        self._model = model
        self._infos = infos

    def models(self) -> tuple[ModelInfo, ...]:
        return self._infos


def torch_worker(
    name: str,
    settings: type[S],
    load: Callable[[S, Context, Path], tuple[Any, tuple[ModelInfo, ...]]],
    engine: Callable[[S, Context, Any, tuple[ModelInfo, ...], BatchLoop[Any, Any]], Any],
    step_s: float,
) -> tuple[Plugin[S], ...]:
    """Return the plugin of a worker, for its `voxgate_register`.

    `load` reads a folder, in a thread: it returns a model and its descriptions. The model's
    `warm_up_rows(weight, threads)` returns rows of noise that weigh so much together. `engine` makes an
    engine of both, once the model is warm.
    """

    @asynccontextmanager
    async def create(section: str, chosen: S, context: Context) -> AsyncIterator[Any]:
        model, infos = await asyncio.to_thread(load, chosen, context, chosen.folder(section))
        async with BatchLoop(model, chosen, context, step_s) as batch:
            context.progress(0.9, "warming up")
            await batch.warm_up(lambda weight: model.warm_up_rows(weight, chosen.threads))
            yield engine(chosen, context, model, infos, batch)

    return (Plugin(kind="engine", name=name, settings=settings, create=create),)
