"""A worker's exchange with its supervisor over the pipe: its questions, and the messages that it gets."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import structlog

from proxy.access.callers import key_fault
from proxy.app import Worker
from proxy.config.config_toml import Config
from proxy.errors import UpstreamFailed
from proxy.processes.fronts import Front
from proxy.storage import accounts, key_records
from proxy.storage.store import StorageFailed
from proxy.storage.tombstones import Tombstone
from proxy.telemetry import logs
from speech_engine.host import pipe_messages
from speech_engine.host.pipe import ParentPipe, call_on_loop, remove_socket

_RELOAD_S = 20.0
"""The supervisor reads the file, and waits up to 5 s for a worker's list of the plans in use."""
_SPREAD_S = 10.0
_SWITCH_S = 15.0
"""A host that does not end is killed after four seconds; another switch may be under way."""

_log = structlog.get_logger()

_A = TypeVar("_A", bound=pipe_messages.SupervisorAnswer)


class SupervisorLine:
    """The worker's questions to its supervisor, each with a number that the answer repeats."""

    def __init__(self, pipe: ParentPipe) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._answers_by_number: dict[int, asyncio.Future[pipe_messages.SupervisorAnswer]] = {}

    async def reload_config(self) -> pipe_messages.ReloadResult:
        """Reload the configuration. Raises UpstreamFailed if the supervisor does not answer in time."""
        try:
            return await self._ask(pipe_messages.ReloadQuestion, _RELOAD_S, pipe_messages.ReloadResult)
        except TimeoutError:
            raise UpstreamFailed("The server has not read its configuration yet; see its log.") from None

    async def spread_erasure(self, tombstone: Tombstone) -> bool:
        """Let every worker of this server forget a voice. Return whether all did, and ended its streams."""
        subject, digests = tombstone.subject, tombstone.digests
        question = partial(pipe_messages.ErasureQuestion, subject=subject, digests=digests)
        try:
            return (await self._ask(question, _SPREAD_S, pipe_messages.ErasureSpread)).is_everywhere
        except TimeoutError:
            return False

    async def switch_engine(
        self, engine: str, action: pipe_messages.EngineAction, breaks_off: bool
    ) -> pipe_messages.EngineSwitched:
        """Load, unload or restart an engine. Raises UpstreamFailed without an answer in time."""
        question = partial(pipe_messages.EngineQuestion, engine=engine, action=action, breaks_off=breaks_off)
        try:
            return await self._ask(question, _SWITCH_S, pipe_messages.EngineSwitched)
        except TimeoutError:
            raise UpstreamFailed("The engine's hosts have not ended yet; see the log.") from None

    def request_engine(self, engine: str) -> None:
        """Say that a request waits for an engine that loads on demand."""
        self._pipe.send(pipe_messages.EngineWanted(engine))

    async def _ask(
        self, question: Callable[[int], pipe_messages.WorkerQuestion], within_s: float, kind: type[_A]
    ) -> _A:
        answer = await self.ask(question, within_s)
        assert isinstance(answer, kind), "the number is of this question"
        return answer

    async def ask(
        self, question: Callable[[int], pipe_messages.WorkerQuestion], within_s: float
    ) -> pipe_messages.SupervisorAnswer:
        """Ask with a number that the answer repeats. Raises TimeoutError."""
        number = next(self._numbers)
        answer_future: asyncio.Future[pipe_messages.SupervisorAnswer] = (
            asyncio.get_running_loop().create_future()
        )
        self._answers_by_number[number] = answer_future
        try:
            self._pipe.send(question(number))
            async with asyncio.timeout(within_s):
                return await answer_future
        finally:
            del self._answers_by_number[number]

    def on_answer(self, answer: pipe_messages.SupervisorAnswer) -> None:
        answer_future = self._answers_by_number.get(answer.question)
        if answer_future is not None and not answer_future.done():
            answer_future.set_result(answer)


class SupervisorInbox:
    """The supervisor's messages, in their order. If the supervisor dies, `own_sockets` are removed and the
    worker ends."""

    def __init__(self, pipe: ParentPipe, own_sockets: Sequence[str]) -> None:
        self._pipe = pipe
        self._messages: asyncio.Queue[pipe_messages.Message] = asyncio.Queue()
        self._answer_tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()

        def on_message(message: pipe_messages.Message) -> None:
            call_on_loop(loop, self._messages.put_nowait, message)

        def on_end() -> None:
            logs.flush_logs()
            for address in own_sockets:
                remove_socket(address)

        pipe.watch(on_message, on_end)

    async def follow_messages(self, worker: Worker, front: Front, line: SupervisorLine) -> None:
        """Apply the messages to the worker until the task is cancelled."""
        while True:
            match await self._messages.get():
                case news if isinstance(news, pipe_messages.HostNews):
                    worker.engines.update_host(news)
                case pipe_messages.WorkerGivenUp(failed_worker, reason):
                    worker.server_state.failed_workers[failed_worker] = reason
                case pipe_messages.MetricsQuestion(question):
                    self._pipe.send(pipe_messages.MetricsReport(question, worker.metrics.page_text()))
                case question if isinstance(question, pipe_messages.Question):
                    # In a task, since the database and the end of streams may be slow.
                    task = asyncio.create_task(_send_reply(self._pipe, worker, question))
                    self._answer_tasks.add(task)
                    task.add_done_callback(self._answer_tasks.discard)
                case pipe_messages.Revision() as revision:
                    config = config_of_revision(revision)
                    worker.revise(config)
                    front.revise(config)
                    _log.info("config.reload.complete", revision=revision.number)
                case answer if isinstance(answer, pipe_messages.SupervisorAnswer):
                    line.on_answer(answer)
                case pipe_messages.Leaving():
                    worker.server_state.is_draining = True
                    front.let_clients_go()
                case pipe_messages.Drain():
                    worker.server_state.is_draining = True
                    front.stop()
                case unexpected:
                    _log.warning("worker.message.unexpected", message=type(unexpected).__name__)


def config_of_revision(revision: pipe_messages.Revision) -> Config:
    return msgspec.msgpack.decode(revision.config, type=Config)


async def _send_reply(pipe: ParentPipe, worker: Worker, question: pipe_messages.Question) -> None:
    if isinstance(question, pipe_messages.ForgetQuestion):
        # `forget` reads neither the account nor the beginning.
        tombstone = Tombstone(subject=question.subject, account="", digests=question.digests, began=0)
        pipe.send(pipe_messages.VoiceForgotten(question.question, await worker.erasing.forget(tombstone)))
        return
    try:
        if isinstance(question, pipe_messages.KeysQuestion):
            found, now = await key_records.find_by_ids(worker.store, question.keys), await worker.store.now()
            live = {key for key, record in found.items() if key_fault(record, now) is None}
            dead = tuple(key for key in question.keys if key not in live)
            pipe.send(pipe_messages.DeadKeys(question.question, dead))
        elif isinstance(question, pipe_messages.PlansQuestion):
            names_in_use = await accounts.plans_in_use(worker.store)
            names = tuple(name for name in question.names if name in names_in_use)
            pipe.send(pipe_messages.PlansInUse(question.question, names))
    except StorageFailed as error:
        _log.error("storage.failed", reason=str(error))  # no answer: the supervisor leaves all as it is
