"""Work in a host: one call over the host's socket, and further calls if the host dies.

A host that dies takes its queue with it. The supervisor reports which calls the engine had begun. The others
go to the next process. Work that had begun without a result is sent again, since another job may have killed
the host. It then runs alone, so that the supervisor can identify a text that kills.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable
from typing import Protocol

from proxy.errors import HostLost
from proxy.hosts import host_process
from proxy.hosts.cluster.cluster_suspects import ClusterSuspects
from proxy.hosts.host_process import HostCall, HostProcess
from speech_engine import (
    EngineBusy,
    EngineUnavailable,
    Event,
    Finished,
    Hear,
    Speak,
    SpeechJob,
    Started,
    Work,
)
from speech_engine.host.engine_stream import OnDispatch
from speech_engine.host.messages import Begin, Failed, MissingSamples
from speech_engine.host.suspects import killer_error
from speech_engine.pcm import RepeatablePcm
from speech_engine.values import find_digests
from speech_engine.work import job_with_samples, with_deadline

MOST_DEATHS = 2
"""Work is sent again after so many deaths of hosts that had begun it, and not after a further one."""

MOST_SUPPLIES = 3
"""How often recordings are brought to hosts that lack them. A host that lacks them once more has no room for
those that its jobs need now."""


class HostPool(Protocol):
    """The processes of an engine. `samples_arrived` is the number of recordings that were put into them, and
    `next_call` gives a new name for a call."""

    @property
    def samples_arrived(self) -> int: ...
    @property
    def suspects(self) -> ClusterSuspects | None:
        """The texts that may have killed hosts of a cluster. The hosts of this machine know their own."""
        ...

    def next_call(self) -> str: ...
    async def ready_process(self, work: Work, deadline: float) -> HostProcess:
        """Wait for a process that is ready for this work. Raises EngineUnavailable."""
        ...

    async def bring_samples(
        self, process: HostProcess, job: SpeechJob, digests: tuple[str, ...], arrivals_before: int
    ) -> None:
        """Put recordings into a process, unless they came there since `samples_arrived` had this value.
        Raises EngineError."""
        ...


class HostStream:
    """The stream of work in a host. The host keeps the queue, so its first frame is the sign of dispatch."""

    def __init__(
        self, hosts: HostPool, work: Work, on_dispatch: OnDispatch, pcm: AsyncIterable[bytes] | None
    ) -> None:
        self._hosts = hosts
        self._work = work
        self._suspects = hosts.suspects
        self._text_digest = b"" if self._suspects is None else self._suspects.digest(work)
        self._on_dispatch = on_dispatch
        self._pcm = pcm
        self._can_repeat = pcm is None or isinstance(pcm, RepeatablePcm)
        self._deadline = _now() + work.deadline_s
        self._call: HostCall | None = None
        self._call_name = ""
        self._has_output = False
        self._deaths = 0
        self._runs_alone = False
        self._supplies = 0
        self._arrivals_before = 0
        self._supplied_process: HostProcess | None = None  # it has the recordings, so it gets the next call
        self._is_over = False

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        try:
            frame = await self._next_frame()
        except BaseException:
            self._end()
            raise
        if isinstance(frame, (Failed, Finished)):
            self._end()
            if self._suspects is not None:
                self._suspects.end(self._call_name, is_whole=isinstance(frame, Finished))
        if isinstance(frame, Failed):
            raise frame.to_error()
        return frame

    async def close(self) -> None:
        self._end()

    async def _next_frame(self) -> Event | Failed:
        while True:
            is_first = self._call is None
            if self._call is None:
                self._call = await self._begin()
            process = self._call.process
            try:
                frame = await self._call.next_frame()
            except HostLost as failure:
                self._call.close()
                self._call = None
                await self._check_may_repeat(process, failure)
                continue
            if isinstance(frame, MissingSamples):
                self._call.close()
                self._call = None
                await self._supply(process, frame.digests)
                continue
            if is_first and not isinstance(frame, Failed):
                self._on_dispatch(True)
            # A second process may start over, but must not repeat events that were passed on.
            self._has_output = self._has_output or not isinstance(frame, Started)
            return frame

    async def _begin(self) -> HostCall:
        self._heed_suspects()
        process = self._supplied_process
        if process is None or process.is_leaving or process.died.is_set():
            process = await self._hosts.ready_process(self._work, self._deadline)
        if not self._can_repeat and (job := job_with_samples(self._work)) is not None:
            # The input can be read only once, so the recordings come before it.
            await self._hosts.bring_samples(process, job, find_digests(job.voice), arrivals_before=0)
        self._heed_suspects()  # there may be more since the wait for a process
        self._arrivals_before = self._hosts.samples_arrived
        name_before, self._call_name = self._call_name, self._hosts.next_call()
        if self._suspects is not None:
            self._suspects.end(name_before)
            self._suspects.note_dispatch(self._call_name, self._text_digest)
        left = with_deadline(self._work, max(0.0, self._deadline - _now()))
        return process.call(Begin(self._call_name, left, alone=self._runs_alone), self._pcm)

    def _heed_suspects(self) -> None:
        """Run alone if the text may have killed a host of the cluster. Raises `killer_error` if it has."""
        if self._suspects is not None:
            self._runs_alone |= self._suspects.runs_alone(self._work, self._text_digest)

    async def _supply(self, process: HostProcess, digests: tuple[str, ...]) -> None:
        """Bring the recordings that a process lacks. If it dies meanwhile, the next process gets the work.
        Raises EngineBusy if they come too late for this work."""
        job = job_with_samples(self._work)
        if job is None or not {*digests} <= {*find_digests(job.voice)}:
            raise EngineUnavailable("The host wants recordings that this work cannot bring.")
        if self._supplies == MOST_SUPPLIES:
            raise EngineBusy("The engine has no room for the recordings of the voice.", retry_after_s=1.0)
        self._supplies += 1
        self._supplied_process = process
        try:
            await self._hosts.bring_samples(process, job, digests, self._arrivals_before)
        except HostLost as failure:
            self._supplied_process = None
            await self._check_may_repeat(process, failure)
        if not self._can_repeat:
            # The host had dropped them. It has them again now, for the client's next try.
            raise EngineBusy("The engine had no room for the recordings of the voice.", retry_after_s=1.0)

    async def _check_may_repeat(self, process: HostProcess, failure: HostLost) -> None:
        """Return if the work may go to the next process. Otherwise raise HostLost, or `killer_error` if this
        work has certainly killed the host."""
        try:
            # This also waits after the first audio, to decide whether the text killed the host. A process
            # that leaves has not died: it only refuses calls.
            async with asyncio.timeout(min(host_process.DEATH_S, max(0.0, self._deadline - _now()))):
                if not process.is_leaving:
                    await process.died.wait()
        except TimeoutError:
            raise failure from None
        if self._call_name == process.killer:
            raise killer_error(self._work)
        # Input that another engine makes can be read only once, and the lost process has read a part of it.
        if self._has_output or not self._can_repeat:
            raise failure
        if process.has_begun(self._call_name):
            # A second clone would leave an unknown voice behind. A client can repeat a conversion.
            if self._deaths == MOST_DEATHS or not isinstance(self._work, (Speak, Hear)):
                raise failure
            self._deaths += 1
            # Another machine does not know which texts this one suspects. The loss of a whole machine is no
            # fault of a text.
            self._runs_alone |= bool(process.place) and process.has_crashed
        if self._suspects is not None and process.has_crashed:
            await self._suspects.settle()

    def _end(self) -> None:
        self._is_over = True
        if self._call is not None:
            self._call.close()


_now = time.monotonic
