"""The server's side of decoding: a process for each file, at most a few at once, and one kept ready.

A process that decoded one stranger's file never sees another's. To start one takes a third of a second, so
the next one is started as soon as one is used, and goes away when nobody needs it for a while.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import structlog

from proxy.audio.recordings.recording import (
    LEAST_RATE_HZ,
    MOST_CHANNELS,
    MOST_RATE_HZ,
    MOST_SAMPLES,
    Decoded,
    SpeechRecording,
    Undecoded,
    UnusableRecording,
)
from proxy.errors import DecoderBusy

MOST_AT_ONCE = 2
"""Each of them may have a recording of 43 MB in memory, and what is made of it."""
MOST_WAITING = 8
"""Each of them keeps an upload of 10 MiB in memory."""
MOST_OF_ACCOUNT = 3
"""One account has one turn, and so many uploads with those that wait: it keeps no others out."""

WITHIN_S = 30.0
"""The processor's time is limited in the child. This is for one that waits for something else."""
IDLE_S = 120.0

_CHILD = "proxy.audio.recordings.decoding_child"
_MOST_ANSWER_BYTES = 3 * MOST_SAMPLES + 4096
_INHERITED = ("LD_LIBRARY_PATH", "PYTHONPATH")

_log = structlog.get_logger()
_decode_answer = msgspec.msgpack.Decoder(Decoded | Undecoded).decode


class Decoder:
    """Decodes uploads. Close it: `open_decoder` does."""

    def __init__(
        self, *, at_once: int = MOST_AT_ONCE, waiting: int = MOST_WAITING, within_s: float = WITHIN_S
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)
        self._most = at_once + waiting
        self._within_s = within_s
        self._begun = 0
        self._of_account: dict[str, _AccountTurn] = {}
        self._ready: asyncio.Task[_Child] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<Decoder, {self._begun} begun, {'one' if self._is_one_ready else 'none'} ready>"

    @property
    def _is_one_ready(self) -> bool:
        """Whether a process waits for a file, or is being started."""
        if self._ready is None or not self._ready.done():
            return self._ready is not None
        return self._ready.exception() is None and not self._ready.result().is_dead

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """Wait for a turn, and have it until the recording needs no more memory.

        Raises DecoderBusy if too many wait, of this account or of all.
        """
        own = self._of_account.get(account) or _AccountTurn()
        if self._begun >= self._most or own.begun >= MOST_OF_ACCOUNT:
            raise DecoderBusy
        self._of_account[account] = own
        self._begun += 1
        own.begun += 1
        try:
            async with own.lock, self._turns:
                yield
        finally:
            self._begun -= 1
            own.begun -= 1
            if not own.begun:
                del self._of_account[account]

    async def decode(self, data: bytes) -> SpeechRecording:
        """Decode an upload, within a turn. Raises UnusableRecording.

        If it is cancelled, the process is killed.
        """
        made = await self._decoded(data)
        if isinstance(made, Undecoded):
            raise UnusableRecording.of(made.fault)
        self._warn_of(made.lacks)
        return await asyncio.to_thread(_recording, made)

    async def close(self) -> None:
        """End all processes. Nobody may be decoding any more."""
        self._is_closed = True
        self._drop_ready()
        while self._ending:
            await asyncio.wait(self._ending)

    async def _decoded(self, data: bytes) -> Decoded | Undecoded:
        starting = self._take_ready()
        try:
            async with asyncio.timeout(self._within_s):
                child = await asyncio.shield(starting)
                self._keep_one_ready()
                return await child.answer(data)
        except TimeoutError:
            return Undecoded("time")
        except OSError:
            _log.warning("decoder.child.failed", what="start")
            return Undecoded("lost")
        finally:
            self._end(starting)

    def _take_ready(self) -> asyncio.Task[_Child]:
        is_ready = self._is_one_ready
        starting, self._ready = self._ready, None
        if starting is not None and is_ready:
            return starting
        if starting is not None:
            # It died before it had a file, so nobody's file is at fault.
            self._end(starting)
        return asyncio.create_task(_Child.start())

    def _keep_one_ready(self) -> None:
        if self._ready is None and not self._is_closed:
            self._ready = asyncio.create_task(_Child.start())
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

    def _end(self, starting: asyncio.Task[_Child]) -> None:
        """End a child in the background: nobody waits for that, and a caller may have been cancelled."""
        ending = asyncio.create_task(_end(starting))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    def _warn_of(self, lacks: tuple[str, ...]) -> None:
        if lacks and not self._has_warned:
            self._has_warned = True
            _log.warning("decoder.confinement.missing", what=[lack[:40] for lack in lacks[:5]])


class _AccountTurn:
    """The turn of one account, and how many of its uploads have it or wait for it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.begun = 0


class _Child:
    """One process, for one file."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    def __repr__(self) -> str:
        return f"<_Child pid {self._process.pid}>"

    @classmethod
    async def start(cls) -> _Child:
        environ = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _CHILD),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            # A pool of threads for algebra, which nobody needs here, would take most of its memory.
            env={**environ, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        return cls(process)

    @property
    def is_dead(self) -> bool:
        return self._process.returncode is not None

    async def answer(self, data: bytes) -> Decoded | Undecoded:
        """Give it the file, and return what it makes of it."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(data)
            await stdin.drain()
            stdin.close()
        except ConnectionError:
            pass  # it is dead, and its answer, which is empty, says so
        answer = bytearray()
        while part := await stdout.read(1 << 20):
            answer += part
            if len(answer) > _MOST_ANSWER_BYTES:
                return Undecoded("lost")
        return _checked(bytes(answer))

    async def end(self) -> None:
        if not self.is_dead:
            # It leads a group of its own. Whatever a hostile file started there goes too.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()


async def _end(starting: asyncio.Task[_Child]) -> None:
    try:
        child = await starting
    except OSError:
        return  # it never began
    await child.end()


def _checked(answer: bytes) -> Decoded | Undecoded:
    """Return the answer if it makes sense: a child may be dead, or in the hands of the file it decoded."""
    try:
        made = _decode_answer(answer)
    except msgspec.MsgspecError:
        return Undecoded("lost")
    if isinstance(made, Undecoded):
        return made
    samples, rest = divmod(len(made.pcm), made.sample_bytes) if made.sample_bytes in (2, 3) else (0, 0)
    is_sound = (
        0 < samples <= MOST_SAMPLES
        and rest == 0
        and LEAST_RATE_HZ <= made.rate_hz <= MOST_RATE_HZ
        and 1 <= made.channels <= MOST_CHANNELS
        and made.codec.isidentifier()
        and len(made.codec) <= 20
    )
    return made if is_sound else Undecoded("lost")


def _recording(made: Decoded) -> SpeechRecording:
    """Make the recording. It runs in a thread: megabytes are copied, and numpy may have to be loaded."""
    from proxy.audio.recordings.master import make_master

    return SpeechRecording(
        master=make_master(made.pcm, made.rate_hz, made.sample_bytes),
        rate_hz=made.rate_hz,
        seconds=len(made.pcm) / made.sample_bytes / made.rate_hz,
        channels=made.channels,
        codec=made.codec,
        is_cut=made.is_cut,
    )


@asynccontextmanager
async def open_decoder() -> AsyncIterator[Decoder]:
    decoder = Decoder()
    try:
        yield decoder
    finally:
        await decoder.close()
