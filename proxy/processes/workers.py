"""The supervisor's workers: processes on one listening socket that get the same messages."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable

import structlog

from proxy.helpers.child import Child
from proxy.helpers.child_supervisor import ChildSupervisor
from proxy.supervisor_part import WorkerReply
from speech_engine.host import pipe_messages

_log = structlog.get_logger()


class Workers:
    """All workers, by number. `begin` starts the process of a number.

    `on_up` is called once, when no worker is starting any more and one worker is ready. It gets the dev key,
    if there is one. After that the server `is_announced`. `on_question` is called with a worker's number and
    its question. `on_end` is called with the number of a worker that has ended.
    """

    def __init__(
        self,
        count: int,
        begin: Callable[[int], Awaitable[Child]],
        on_up: Callable[[str | None], None],
        on_question: Callable[[int, pipe_messages.WorkerQuestion], None] = lambda _number, _question: None,
        on_end: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._begin = begin
        self._on_end = on_end
        self._on_question = on_question
        self._on_up = on_up
        self.is_announced = False
        self._dev_key: str | None = None
        self._question_ids = itertools.count(1)
        self._answers: dict[tuple[int, int], asyncio.Future[WorkerReply]] = {}  # by question and worker
        self._children = [self._new_child(number) for number in range(count)]

    def __len__(self) -> int:
        return len(self._children)

    @property
    def have_failed(self) -> bool:
        return all(child.state == "failed" for child in self._children)

    @property
    def ready_numbers(self) -> list[int]:
        return [number for number, child in enumerate(self._children) if child.state == "ready"]

    def list_failed(self) -> list[pipe_messages.WorkerGivenUp]:
        return [
            pipe_messages.WorkerGivenUp(number, child.reason)
            for number, child in enumerate(self._children)
            if child.state == "failed"
        ]

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number, child in enumerate(self._children):
                group.create_task(self._run(number, child))

    async def _run(self, number: int, child: ChildSupervisor) -> None:
        await child.run()
        self._on_end(number)

    async def stop(self, within_s: float) -> None:
        """Stop all workers. From the call on none is restarted, so their socket may be closed."""
        for child in self._children:
            child.retire()
        await asyncio.gather(*(child.stop(within_s) for child in self._children))

    def send_to_all(self, message: pipe_messages.Message) -> None:
        for number in range(len(self)):
            self.send_to(number, message)

    def send_to(self, number: int, message: pipe_messages.Message) -> None:
        child = self._children[number].child
        if child is not None:
            child.send(message)

    async def ask_workers(
        self, question: Callable[[int], pipe_messages.Question], numbers: list[int], within_s: float
    ) -> list[WorkerReply]:
        """Send a question to workers, and return the answers that come in time.

        `question` makes a message from the question's number. A worker that dies meanwhile is not waited for.
        """
        id_ = next(self._question_ids)
        answers = {(id_, number): asyncio.get_running_loop().create_future() for number in numbers}
        self._answers.update(answers)
        try:
            for number in numbers:
                child = self._children[number].child
                if child is not None:
                    child.send(question(id_))
            if answers:
                await asyncio.wait(answers.values(), timeout=within_s)
            return [each.result() for each in answers.values() if each.done() and not each.cancelled()]
        finally:
            for key in answers:
                del self._answers[key]

    async def ask_to_forget(self, question: Callable[[int], pipe_messages.Question], within_s: float) -> bool:
        """Let all workers forget a voice. Return whether all did. A dead worker has no memory, and counts."""
        generations = {
            number: child.generation for number, child in enumerate(self._children) if child.child is not None
        }
        answers = await self.ask_workers(question, [*generations], within_s)
        have_stopped = {
            number
            for number, _generation, reply in answers
            if isinstance(reply, pipe_messages.VoiceForgotten) and reply.has_stopped_voice
        }
        return all(
            number in have_stopped
            or self._children[number].child is None
            or self._children[number].generation != generation
            for number, generation in generations.items()
        )

    def _new_child(self, number: int) -> ChildSupervisor:
        return ChildSupervisor(
            f"worker.{number}",
            lambda: self._begin(number),
            lambda state, _generation, reason: self._on_state_change(number, state, reason),
            lambda message: self._on_message(number, message),
        )

    def _on_state_change(self, number: int, state: str, reason: str) -> None:
        if state in ("restarting", "failed"):
            self._on_end(number)
            for (_, worker), answer in self._answers.items():
                if worker == number:
                    answer.cancel()
        if state == "failed":
            _log.error("server.worker.failed", worker=number, reason=reason)
            self.send_to_all(pipe_messages.WorkerGivenUp(number, reason))
        if self.is_announced or not self.ready_numbers:
            return
        if all(child.state in ("ready", "failed") for child in self._children):
            self.is_announced = True
            self._on_up(self._dev_key)

    def _on_message(self, number: int, message: pipe_messages.Message) -> None:
        match message:
            case pipe_messages.Ready():
                self._dev_key = message.dev_key or self._dev_key
            case _ if isinstance(message, pipe_messages.Reply):
                answer = self._answers.get((message.question, number))
                if answer is not None and not answer.done():
                    answer.set_result((number, self._children[number].generation, message))
            case _ if isinstance(message, pipe_messages.WorkerQuestion):
                self._on_question(number, message)
