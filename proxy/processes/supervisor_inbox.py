"""The supervisor's messages to a worker: what each of them changes there, and what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from proxy.app import Worker
from proxy.config.config_toml import Config
from proxy.processes.fronts import Front
from proxy.processes.supervisor_line import SupervisorLine
from proxy.storage import accounts
from proxy.storage.store import StorageFailed
from proxy.storage.tombstones import Tombstone
from proxy.telemetry import logs
from speech_engine.host.booking_messages import Booked
from speech_engine.host.pipe import ParentPipe, remove_socket, tell
from speech_engine.host.pipe_messages import (
    Drain,
    EngineSwitched,
    ErasureSpread,
    ForgetQuestion,
    HostState,
    Message,
    MetricsQuestion,
    MetricsReport,
    PlansInUse,
    PlansQuestion,
    ReloadResult,
    Revision,
    VoiceForgotten,
    WorkerGivenUp,
)

_log = structlog.get_logger()


class SupervisorInbox:
    """The messages, in their order, from now on. When the supervisor dies, `own_sockets` are removed and the
    worker ends."""

    def __init__(self, pipe: ParentPipe, own_sockets: Sequence[str]) -> None:
        self._pipe = pipe
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._answering: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()

        def on_message(message: Message) -> None:
            tell(loop, self._messages.put_nowait, message)

        def on_end() -> None:
            logs.flush_logs()
            for address in own_sockets:
                remove_socket(address)

        pipe.watch(on_message, on_end)

    async def follow(self, worker: Worker, front: Front, line: SupervisorLine) -> None:
        """Do what the messages say, for ever."""
        while True:
            match await self._messages.get():
                case HostState() as state:
                    worker.engines.update_host(state)
                case WorkerGivenUp() as other:
                    worker.server_state.given_up[other.worker] = other.reason
                case MetricsQuestion(question):
                    self._pipe.send(MetricsReport(question, worker.metrics.text()))
                case PlansQuestion() | ForgetQuestion() as question:
                    # In a task: the database may be slow, streams take a moment to end, and the supervisor
                    # sends other messages.
                    task = asyncio.create_task(_send_reply(self._pipe, worker, question))
                    self._answering.add(task)
                    task.add_done_callback(self._answering.discard)
                case Revision() as revision:
                    config = read_config(revision)
                    worker.revise(config)
                    front.revise(config)
                    _log.info("config.reload.complete", revision=revision.number)
                case ReloadResult() | ErasureSpread() | EngineSwitched() | Booked() as answer:
                    line.on_answer(answer)
                case Drain():
                    worker.server_state.is_draining = True
                    front.stop()
                case unexpected:
                    _log.warning("worker.message.unexpected", message=type(unexpected).__name__)


def read_config(revision: Revision) -> Config:
    return msgspec.msgpack.decode(revision.config, type=Config)


async def _send_reply(pipe: ParentPipe, worker: Worker, question: PlansQuestion | ForgetQuestion) -> None:
    match question:
        case PlansQuestion():
            await _send_plans(pipe, worker, question)
        case ForgetQuestion(number, subject, digests):
            tombstone = Tombstone(subject=subject, account="", digests=digests, began=0)
            pipe.send(VoiceForgotten(number, await worker.erasing.forget(tombstone)))


async def _send_plans(pipe: ParentPipe, worker: Worker, question: PlansQuestion) -> None:
    try:
        used = await accounts.plans_in_use(worker.store)
    except StorageFailed as error:
        _log.error("storage.failed", reason=str(error))
        return  # no answer: the supervisor leaves everything as it is
    pipe.send(PlansInUse(question.question, tuple(name for name in question.names if name in used)))
