"""Drives the process that trains a voice. A process runs one training.

Recordings and files go through its pipe in pieces. It is killed when its caller is cancelled, and when it was
silent for too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import NamedTuple, Protocol

import msgspec

from policies.device_reservations import DeviceMemory
from proxy.engines.registry import HostedEngineSpec
from proxy.helpers.child import JOB_NICENESS, Child
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused
from proxy.hosts.memory_reservations import MemoryReservations
from speech_engine import training
from speech_engine.host.pipe_messages import Broken, DeviceFound, Drain, MayLoad, PeakMemory
from speech_engine.host.plugin_messages import PluginMessage, unpack

SILENT_S = 900.0
"""The longest silence of a process. A step takes seconds, but the preparation of hours of sound takes
minutes."""
MOST_VOICE_BYTES = 200 << 20
_FRAME_BYTES = training.PIECE_BYTES + 4096


class TrainingBroken(Exception):
    """A training has failed, or its process has died. If it is `lasting`, another try on this machine would
    fail, too.

    If `is_owners`, the recordings are the cause: another try would fail in the same way, and the reason is
    for the owner of the voice. If `memory_after_s` is given, the device has too little memory for so long.
    """

    def __init__(
        self,
        reason: str,
        *,
        lasting: bool = False,
        is_owners: bool = False,
        memory_after_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.is_owners = is_owners
        self.memory_after_s = memory_after_s


class TrainingResult(NamedTuple):
    """The file of a trained voice, and the facts of its training."""

    file: bytes
    done: training.TrainingDone


class TrainingFollower(Protocol):
    """Receives the messages of a training. The process waits until a call returns."""

    async def note_progress(self, progress: training.TrainingProgress) -> None: ...

    async def take_piece(self, piece: training.FilePiece) -> None:
        """Take a piece of a checkpoint, or of a form of the voice. Raises TrainingBroken."""
        ...


class TrainingProcess:
    """The trainer of an engine. Its process inherits only `environ`. If `memory_gb` is given, so much of its
    device is reserved."""

    def __init__(
        self,
        engine: HostedEngineSpec,
        environ: Mapping[str, str],
        memory_gb: float | None,
        reservations: MemoryReservations,
    ) -> None:
        self.engine = engine
        self._environ = environ
        self._memory_gb = memory_gb
        self._reservations = reservations
        self._holder = f"a training with {engine.name}"
        self._child: Child | None = None

    def stop_soon(self) -> None:
        """Let the process write a checkpoint and end."""
        if self._child is not None:
            self._child.send(Drain(0.0))

    def kill(self) -> None:
        if self._child is not None:
            self._child.kill()

    async def train(
        self,
        order: training.TrainingOrder,
        recordings: AsyncIterator[training.Recording],
        checkpoint: AsyncIterator[training.FilePiece] | None,
        follower: TrainingFollower,
    ) -> TrainingResult | None:
        """Train, and return the voice. None: the process was stopped, and has written a checkpoint. Raises
        TrainingBroken, and the errors of the follower and of the iterators."""
        async with self._process() as child, aclosing(child.messages_of(unpack)) as messages:
            await self._get_ready(child, messages)
            async for recording in recordings:
                for part in training.recording_pieces(recording):
                    await _send(child, part)
            if checkpoint is not None:
                async for piece in checkpoint:
                    await _send(child, piece)
            await _send(child, training.Train(order))
            return await self._read_result(messages, follower)

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[Child]:
        engine = self.engine
        try:
            interpreter = environments.interpreter(engine.section.plugin, engine.hosted)
            child = await Child.start(
                training.TRAINING_MODULE,
                interpreter=interpreter,
                environ=self._environ,
                niceness=JOB_NICENESS,
                most_frame_bytes=_FRAME_BYTES,
            )
        except EnvironmentRefused as failure:
            raise TrainingBroken(str(failure), lasting=True) from None
        except OSError as failure:
            raise TrainingBroken(str(failure)) from None
        self._child = child
        try:
            yield child
        finally:
            self._child = None
            child.kill()
            await asyncio.shield(child.wait_for_end())
            self._reservations.release(self._holder)

    async def _get_ready(self, child: Child, messages: AsyncIterator[PluginMessage]) -> None:
        engine = self.engine
        child.send(
            training.BeginTraining(
                name=engine.name,
                module=engine.hosted.trainer,
                settings=msgspec.json.encode(engine.section.settings),
                device=engine.section.device,
                devices=engine.hosted.devices,
                memory_mb=engine.hosted.memory_mb,
            )
        )
        while True:
            match await self._next(messages):
                case DeviceFound(device, free_gb, total_gb):
                    await self._book_memory(DeviceMemory(device, free_gb, total_gb))
                    child.send(MayLoad())
                case training.TrainerReady():
                    return

    async def _book_memory(self, found: DeviceMemory) -> None:
        if self._memory_gb is None:
            return
        refusal = await self._reservations.reserve_memory(self._holder, self._memory_gb, found)
        if refusal is not None and refusal.is_lasting:
            raise TrainingBroken(refusal.reason, lasting=True)
        if refusal is not None:
            raise TrainingBroken(refusal.reason, memory_after_s=refusal.again_s or 0.0)

    async def _read_result(
        self, messages: AsyncIterator[PluginMessage], follower: TrainingFollower
    ) -> TrainingResult | None:
        assembly, voice, size = training.Assembly(), b"", 0
        while True:
            match await self._next(messages):
                case training.TrainingProgress() as progress:
                    await follower.note_progress(progress)
                case training.FilePiece(role="voice") as piece:
                    size += len(piece.data)
                    if size > MOST_VOICE_BYTES:
                        raise TrainingBroken(f"the voice has more than {MOST_VOICE_BYTES} bytes")
                    voice = _assembled(assembly, piece) or b""
                case training.FilePiece() as piece:
                    await follower.take_piece(piece)
                case training.TrainingDone() as done:
                    return TrainingResult(voice, done)
                case training.TrainingStopped():
                    return None
                case training.TrainingFailed(reason, is_owners):
                    raise TrainingBroken(reason, is_owners=is_owners)

    async def _next(self, messages: AsyncIterator[PluginMessage]) -> PluginMessage:
        """Return the next message that is not about memory. Raises TrainingBroken at the end."""
        while True:
            try:
                async with asyncio.timeout(SILENT_S):
                    message = await anext(messages, None)
            except TimeoutError:
                raise TrainingBroken(f"it has said nothing for {SILENT_S:g} s") from None
            match message:
                case None:
                    raise TrainingBroken("its process has died")
                case Broken(reason, lasting):
                    raise TrainingBroken(reason, lasting=lasting)
                case PeakMemory(gb):
                    self._reservations.note_peak(self._holder, gb)
                case _:
                    return message


def _assembled(assembly: training.Assembly, piece: training.FilePiece) -> bytes | None:
    try:
        return assembly.take(piece)
    except training.TrainingError as error:
        raise TrainingBroken(str(error)) from None


async def _send(child: Child, message: PluginMessage) -> None:
    child.send(message)
    try:
        await child.drain()
    except ConnectionError:
        # The process has ended. Its last messages, which are read next, may tell why.
        await asyncio.sleep(0)
