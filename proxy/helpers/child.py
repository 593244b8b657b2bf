"""One child process: its start, the messages through its pipe, and its end.

Workers answer all clients, so engines have a lower priority, and work on files has the lowest. A priority is
relative to that of the supervisor or worker, so a restart lowers nothing further.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from speech_engine.host import pipe
from speech_engine.host.pipe_messages import Drain, Message

M = TypeVar("M")

HOST_NICENESS = 5
"""The niceness of a plugin's process, for whose sound a client waits."""
JOB_NICENESS = 10
"""The niceness of a process that decodes, detects or signs."""
MOST_FRAME_BYTES = 64 << 20

_NICE = shutil.which("nice")
"""The command that lowers a process before it begins, so that all its threads are lowered. Without it, all
processes are equal."""
_LINGER_S = 2.0  # a child is killed so long after its pipe has closed, or its time to finish is over

_log = structlog.get_logger()


class Child:
    """One child process. It inherits the descriptor of its pipe, and gets its first message over the pipe."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        most_frame_bytes: int,
    ) -> None:
        self.process = process
        self._reader = reader
        self._writer = writer
        self._most_frame_bytes = most_frame_bytes

    @classmethod
    async def start(
        cls,
        module: str,
        *arguments: str,
        interpreter: str = sys.executable,
        inherit: tuple[int, ...] = (),
        environ: Mapping[str, str] | None = None,
        niceness: int = 0,
        is_silent: bool = False,
        most_frame_bytes: int = MOST_FRAME_BYTES,
    ) -> Child:
        """Start a process. Its argv has the descriptor of its pipe, the arguments, and the inherited
        descriptors.

        Without `environ` it gets our environment. One that `is_silent` writes into no log. Raises OSError.
        """
        ours, theirs = socket.socketpair()
        output = asyncio.subprocess.DEVNULL if is_silent else None
        try:
            process = await asyncio.create_subprocess_exec(
                *((_NICE, "-n", str(niceness)) if niceness and _NICE is not None else ()),
                *(interpreter, "-P", "-m", module),  # it must not import modules from the current folder
                *(str(theirs.fileno()), *arguments, *map(str, inherit)),
                pass_fds=(theirs.fileno(), *inherit),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environ,
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor alone
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            reader, writer = await asyncio.open_connection(sock=ours)
        except BaseException:
            ours.close()
            process.kill()
            await process.wait()
            raise
        return cls(process, reader, writer, most_frame_bytes)

    @property
    def is_dead(self) -> bool:
        return self.process.returncode is not None

    @property
    def is_stopped(self) -> bool:
        """Whether a signal such as SIGSTOP holds the process. Only Linux says so."""
        try:
            status = Path(f"/proc/{self.process.pid}/stat").read_bytes()
        except OSError:
            return False
        return status[status.rfind(b")") + 2 :].startswith(b"T")

    def send(self, message: msgspec.Struct) -> None:
        self.send_frame(pipe.encode(message))

    def send_frame(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(pipe.head(frame))
            self._writer.write(frame)

    async def drain(self) -> None:
        """Wait until the child has taken most of what was written. Raises ConnectionError."""
        await self._writer.drain()

    async def read(self) -> bytes | None:
        """Return the next frame, or None if the child's end of the pipe closed. Raises DecodeError for one
        that is too long."""
        try:
            size = pipe.length(await self._reader.readexactly(pipe.HEAD_BYTES))
            if size > self._most_frame_bytes:
                raise msgspec.DecodeError("the frame is too long")
            return await self._reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def messages(self) -> AsyncGenerator[Message, None]:
        """Yield the messages of a host or a worker."""
        return self.messages_of(pipe.unpack)

    async def messages_of(self, unpack: Callable[[bytes], M]) -> AsyncGenerator[M, None]:
        try:
            while (frame := await self.read()) is not None:
                yield unpack(frame)
        except (ValueError, RecursionError):  # a DecodeError is a ValueError
            _log.warning("child.message.unreadable", pid=self.process.pid)
            return  # a child with a bad message is over: `wait_for_end` kills it

    async def wait_for_end(self) -> int:
        """Return its exit status. Call this when the pipe has closed: a child that runs on is killed soon."""
        try:
            async with asyncio.timeout(_LINGER_S):
                await self.process.wait()
        except TimeoutError:
            self.kill()
        self._writer.close()
        return await self.process.wait()

    async def stop(self, within_s: float) -> None:
        """Ask the child to finish. Kill it if it runs longer than the time."""
        self.send(Drain(within_s))
        try:
            async with asyncio.timeout(within_s + _LINGER_S):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()
        self._writer.close()

    def kill(self) -> None:
        """Kill it with all processes that it started, unless it is dead: it leads its own process group."""
        if not self.is_dead:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
