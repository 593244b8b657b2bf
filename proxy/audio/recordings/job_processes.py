"""Processes for one job each: they read it from their standard input, write what it makes, and end.

A process that saw one stranger's file never sees another's. To start one takes a third of a second, so the
next one can be started as soon as one is used. It goes away when nobody needs it for a while.
"""

from __future__ import annotations

import asyncio

from proxy.audio.recordings.piped_process import PipedProcess

IDLE_S = 120.0


class JobLost(Exception):
    """A process did not start, or answered too much."""


class JobProcesses:
    """The processes of one module. Close it."""

    def __init__(self, module: str, within_s: float, most_answer_bytes: int, *, keeps_one: bool) -> None:
        self.within_s = within_s
        """The processor's time is limited in the child. This is for one that waits for something else."""
        self._module = module
        self._most_answer_bytes = most_answer_bytes
        self._keeps_one = keeps_one
        self._ready: asyncio.Task[_Process] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<JobProcesses of {self._module}, {'one' if self.is_one_ready else 'none'} ready>"

    @property
    def is_one_ready(self) -> bool:
        """Whether a process waits for a job, or is being started."""
        if self._ready is None or not self._ready.done():
            return self._ready is not None
        return self._ready.exception() is None and not self._ready.result().is_dead

    async def run(self, job: bytes) -> bytes:
        """Return what a process makes of a job: nothing if it died.

        If this is cancelled, the process is killed. Raises TimeoutError and JobLost.
        """
        starting = self._take_ready()
        try:
            async with asyncio.timeout(self.within_s):
                try:
                    process = await asyncio.shield(starting)
                except OSError:
                    raise JobLost from None
                self._keep_one_ready()
                return await process.answer(job, self._most_answer_bytes)
        finally:
            self._end(starting)

    async def close(self) -> None:
        """End all processes. Nobody may be waiting for one any more."""
        self._is_closed = True
        self._drop_ready()
        while self._ending:
            await asyncio.wait(self._ending)

    def _take_ready(self) -> asyncio.Task[_Process]:
        is_ready = self.is_one_ready
        starting, self._ready = self._ready, None
        if starting is not None and is_ready:
            return starting
        if starting is not None:
            # It died before it had a job, so nobody's job is at fault.
            self._end(starting)
        return asyncio.create_task(_Process.start(self._module))

    def _keep_one_ready(self) -> None:
        if not self._keeps_one:
            return
        if self._ready is None and not self._is_closed:
            self._ready = asyncio.create_task(_Process.start(self._module))
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._drop_ready)

    def _drop_ready(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._ready is not None:
            starting, self._ready = self._ready, None
            self._end(starting)

    def _end(self, starting: asyncio.Task[_Process]) -> None:
        """End a process in the background: nobody waits for that, and a caller may have been cancelled."""
        ending = asyncio.create_task(_end(starting))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


class _Process(PipedProcess):
    """One process, for one job."""

    async def answer(self, job: bytes, most_bytes: int) -> bytes:
        """Give it the job, and return what it makes of it."""
        try:
            self.stdin.write(job)
            await self.stdin.drain()
            self.stdin.close()
        except ConnectionError:
            pass  # it is dead, and its answer, which is empty, says so
        answer = bytearray()
        while part := await self.stdout.read(1 << 20):
            answer += part
            if len(answer) > most_bytes:
                raise JobLost
        return bytes(answer)


async def _end(starting: asyncio.Task[_Process]) -> None:
    try:
        process = await starting
    except OSError:
        return  # it never began
    await process.end()
