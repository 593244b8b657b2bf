"""A network in onnxruntime, a switch that stops its runs, and an engine that speaks with such networks.

An engine reads texts into pieces, and yields the sound of each piece as soon as it is made. Only workers that
have onnxruntime import this module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors

from speech_engine.errors import EngineFailed
from speech_engine.events import Audio, Event, Finished, Started
from speech_engine.host.stoppable import run_stoppable
from speech_engine.imported_voices import MODEL, OnnxSettings
from speech_engine.models import ModelInfo, VoiceInfo
from speech_engine.pcm import PcmPieces
from speech_engine.plugin import Context
from speech_engine.text.sounds import Phonemize, Piece
from speech_engine.values import SpeechJob, Voice

V = TypeVar("V")
"""A voice, as the engine finds it."""
V_co = TypeVar("V_co", covariant=True)
T = TypeVar("T")

MOST_S = 300
"""The longest sound of one piece. A network with a longer output is broken or malicious."""

_PEAK = 32767.0
_RUNTIME_ERRORS = tuple(
    each for each in vars(runtime_errors).values() if isinstance(each, type) and issubclass(each, Exception)
)
"""The error classes of onnxruntime. They have no common base class."""
_FATAL_ONLY = 4
"""The level at which onnxruntime logs only fatal errors: other messages could quote a text."""


class StopSwitch:
    """Stops a run of a network, from another thread. The run ends after the current operator."""

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()

    def stop(self) -> None:
        self.options.terminate = True


class OnnxNetwork:
    """A loaded network. Several threads may run it. `inputs` are the names of its inputs."""

    def __init__(self, file: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        # Without a number, onnxruntime binds its threads to cores. A host's sandbox forbids that.
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        # Texts differ in length. An arena would hold the memory of the longest one for ever.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # The file is loaded from memory, so that a path in it leads to no other file.
        data = file.read_bytes()
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except _RUNTIME_ERRORS as error:
            raise EngineFailed("onnxruntime does not take the model.", detail=str(error)[:300]) from None
        self.inputs = frozenset(each.name for each in self._session.get_inputs())

    def run(self, output: str, values: Mapping[str, Any], stop: StopSwitch) -> Any:
        """Return one output, an array, for these arrays. Raise EngineFailed."""
        try:
            return self._session.run([output], values, stop.options)[0]
        except _RUNTIME_ERRORS as error:
            raise EngineFailed(f"The model's network failed: {type(error).__name__}.") from None

    def sound(
        self, output: str, values: Mapping[str, Any], rate_hz: float, stop: StopSwitch
    ) -> NDArray[np.float32]:
        """Return one output, a sound at `rate_hz`, as `run` does."""
        sound = np.asarray(self.run(output, values, stop), np.float32).reshape(-1)
        if len(sound) > MOST_S * rate_hz:
            raise EngineFailed(f"The model's network made more than {MOST_S} seconds of one sentence.")
        return sound


class NamedVoices(Protocol[V_co]):
    """The voices of an `OnnxEngine`, and its one model."""

    def infos(self) -> tuple[VoiceInfo, ...]: ...

    def model(self) -> ModelInfo: ...

    def find(self, voice: Voice, language: str) -> V_co:
        """Return the loaded form of the requested voice. Raise VoiceNotFound or UnsupportedLanguage."""
        ...


class OnnxEngine(ABC, Generic[V]):
    """Speaks `slots` texts at once. A subclass reads a text into pieces, and makes the sound of a piece."""

    title: ClassVar[str]
    """The name of the engine in messages."""

    def __init__(
        self,
        settings: OnnxSettings,
        context: Context,
        voices: NamedVoices[V],
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        self.slots = settings.slots
        self._pause_ms = settings.pause_ms
        self._phonemize = phonemize
        self._tick = context.tick
        self._voices = voices
        self._threads = threads
        self._info = voices.model()

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices.infos()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise EngineFailed(f"{self.title} has one model, {MODEL!r}, and was asked for {job.model!r}")
        voice = self._voices.find(job.voice, job.language)
        # All texts first: a text that cannot be spoken is refused before a part is heard.
        pieces = await self.run(lambda _stop: self._pieces(job, voice))
        rate_hz = self._info.sample_rate_hz
        async with self.lend(voice, job.deadline_s) as network:
            yield Started(rate_hz)
            sounds = PcmPieces(rate_hz, job.max_samples)
            for number, (segment, piece) in enumerate(pieces):
                pcm = await self.run(partial(self._pcm, network, piece, voice, job.speed))
                if number + 1 < len(pieces) and piece.rest_ms is None:
                    pcm += bytes(rate_hz * self._pause_ms // 1000 * 2)
                for chunk in sounds.feed(pcm):
                    yield Audio(segment, chunk)
                if sounds.is_full:
                    break
        yield Finished()

    def _pieces(self, job: SpeechJob, voice: V) -> list[tuple[int, Piece]]:
        pieces: list[tuple[int, Piece]] = []
        for number, segment in enumerate(job.segments):
            sounds_before = sum(piece.sounds for _, piece in pieces)
            pieces += ((number, piece) for piece in self.read(segment.spoken, voice, sounds_before))
        return pieces

    def _pcm(self, network: OnnxNetwork, piece: Piece, voice: V, speed: float, stop: StopSwitch) -> bytes:
        sound = np.nan_to_num(np.clip(self.sound(network, piece, voice, speed, stop), -1.0, 1.0))
        return (sound * _PEAK).astype("<i2").tobytes()

    async def run(self, work: Callable[[StopSwitch], T]) -> T:
        """Do some work in a thread, as `run_stoppable` does. The switch stops the network that it runs."""
        stop = StopSwitch()
        return await run_stoppable(self._threads, lambda: work(stop), stop.stop, self._tick)

    @abstractmethod
    def read(self, text: str, voice: V, sounds_before: int) -> list[Piece]:
        """Return the pieces of a text. The texts before it have `sounds_before` sounds. It runs in a thread.

        Raise UnsupportedLanguage or UnsupportedText.
        """

    @abstractmethod
    def lend(self, voice: V, within_s: float) -> AbstractAsyncContextManager[OnnxNetwork]:
        """Load the network of a voice, and lend it. Raise EngineBusy if there is no memory for it in time."""

    @abstractmethod
    def sound(
        self, network: OnnxNetwork, piece: Piece, voice: V, speed: float, stop: StopSwitch
    ) -> NDArray[np.float32]:
        """Return the sound of a piece at the model's rate. It runs in a thread.

        Raise EngineFailed.
        """
