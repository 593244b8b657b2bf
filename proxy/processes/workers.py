"""The supervisor's workers: N processes on one listening socket, told the same, asked and ended together."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from proxy.engines.children import Child, Keeper
from speech_engine.host.pipe import Message, MetricsReport, PlansInUse, Question, Ready, Reply, WorkerGivenUp

_log = structlog.get_logger()


class WorkerAnswer(NamedTuple):
    """What a worker said, and in which of its lives."""

    worker: int
    generation: int
    answer: Reply


class Workers:
    """`begin` starts the process of a number. `on_served` is called once, with the dev key if there is one:
    when every worker is ready or given up, and one of them is ready."""

    def __init__(
        self,
        count: int,
        begin: Callable[[int], Awaitable[Child]],
        on_served: Callable[[str | None], None],
    ) -> None:
        self._begin = begin
        self._on_served = on_served
        self._is_served = False
        self._dev_key: str | None = None
        self._questions = itertools.count(1)
        self._asked: dict[tuple[int, int], asyncio.Future[WorkerAnswer]] = {}
        self._keepers = [self._keeper(number) for number in range(count)]

    def __repr__(self) -> str:
        return f"<Workers {[keeper.state for keeper in self._keepers]}>"

    def __len__(self) -> int:
        return len(self._keepers)

    @property
    def have_failed(self) -> bool:
        return all(keeper.state == "failed" for keeper in self._keepers)

    @property
    def have_served(self) -> bool:
        return self._is_served

    @property
    def ready(self) -> list[int]:
        return [number for number, keeper in enumerate(self._keepers) if keeper.state == "ready"]

    def given_up(self) -> list[WorkerGivenUp]:
        return [
            WorkerGivenUp(number, keeper.reason)
            for number, keeper in enumerate(self._keepers)
            if keeper.state == "failed"
        ]

    async def run(self) -> None:
        """Returns when every worker has been stopped or has failed for good."""
        async with asyncio.TaskGroup() as keeping:
            for keeper in self._keepers:
                keeping.create_task(keeper.run())

    async def stop(self, within_s: float) -> None:
        """From the call on none begins anew: their socket may be closed."""
        for keeper in self._keepers:
            keeper.retire()
        await asyncio.gather(*(keeper.stop(within_s) for keeper in self._keepers))

    def tell(self, message: Message) -> None:
        for keeper in self._keepers:
            if keeper.child is not None:
                keeper.child.send(message)

    async def ask(
        self, question: Callable[[int], Question], numbers: list[int], within_s: float
    ) -> list[WorkerAnswer]:
        """The answers of those that give one in time. `question` makes it, given its number."""
        id_ = next(self._questions)
        asked = {(id_, number): asyncio.get_running_loop().create_future() for number in numbers}
        self._asked.update(asked)
        try:
            for number in numbers:
                child = self._keepers[number].child
                if child is not None:
                    child.send(question(id_))
            if asked:
                await asyncio.wait(asked.values(), timeout=within_s)
            return [future.result() for future in asked.values() if future.done()]
        finally:
            for key in asked:
                del self._asked[key]

    def _keeper(self, number: int) -> Keeper:
        return Keeper(
            f"worker.{number}",
            lambda: self._begin(number),
            lambda state, _generation, reason: self._changed(number, state, reason),
            lambda message: self._said(number, message),
        )

    def _changed(self, number: int, state: str, reason: str) -> None:
        if state == "failed":
            _log.error("server.worker.failed", worker=number, reason=reason)
            self.tell(WorkerGivenUp(number, reason))
        if self._is_served or not self.ready:
            return
        if all(keeper.state in ("ready", "failed") for keeper in self._keepers):
            self._is_served = True
            self._on_served(self._dev_key)

    def _said(self, number: int, message: Message) -> None:
        match message:
            case Ready():
                self._dev_key = message.dev_key or self._dev_key
            case MetricsReport() | PlansInUse():
                asked = self._asked.get((message.question, number))
                if asked is not None and not asked.done():
                    asked.set_result(WorkerAnswer(number, self._keepers[number].generation, message))
