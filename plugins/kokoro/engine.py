"""Kokoro as an Engine: texts become pieces, and each piece's sound goes out as soon as it is made.

It knows espeak-ng only as a function that tells sounds; `worker.py` has that function.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor

from plugins.kokoro.model_format import KokoroModel, StyleVoice
from plugins.kokoro.network import Network
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.reading import Phonemize, Piece, read_text
from plugins.kokoro.voices import MODEL, RATE_HZ, VoiceList
from speech_engine import (
    Audio,
    Context,
    EngineFailed,
    Event,
    Finished,
    ModelInfo,
    SpeechJob,
    Started,
    VoiceInfo,
)
from speech_engine.host.onnx_network import StopSwitch
from speech_engine.host.stoppable import run_stoppable

_CHUNK_BYTES = RATE_HZ // 10 * 2


class KokoroEngine:
    """Speaks with one model, `slots` texts at once."""

    def __init__(
        self,
        settings: KokoroSettings,
        context: Context,
        model: KokoroModel,
        voices: VoiceList,
        network: Network,
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._tick = context.tick
        self._model = model
        self._voices = voices
        self._phonemize = phonemize
        self._threads = threads
        self.network = network

    def __repr__(self) -> str:
        return f"<KokoroEngine, {self._voices!r}>"

    @property
    def slots(self) -> int:
        return self._settings.slots

    @property
    def unlisted_voices(self) -> tuple[str, ...]:
        return self._voices.unlisted()

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._voices.model(),)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices.infos()

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise EngineFailed(f"Kokoro has one model, {MODEL!r}, and was asked for {job.model!r}")
        voice = self._voices.find(job.voice, job.language)
        # All texts first: what cannot be spoken is refused before anybody hears a part.
        read = await run_stoppable(
            self._threads, lambda: self._pieces(job, voice), StopSwitch().stop, self._tick
        )
        left = job.max_samples
        yield Started(RATE_HZ)
        for number, (segment, piece) in enumerate(read):
            pcm = await self._sound(piece, voice, job.speed)
            if number + 1 < len(read):
                pcm += bytes(RATE_HZ * self._settings.pause_ms // 1000 * 2)
            pcm = pcm if left is None else pcm[: left * 2]
            for chunk in _chunks(pcm):
                yield Audio(segment, chunk)
            if left is not None and (left := left - len(pcm) // 2) <= 0:
                break
        yield Finished()

    def _pieces(self, job: SpeechJob, voice: StyleVoice) -> list[tuple[int, Piece]]:
        return [
            (number, piece)
            for number, segment in enumerate(job.segments)
            for piece in read_text(segment.spoken, voice.reading, self._model.symbols, self._phonemize)
        ]

    async def _sound(self, piece: Piece, voice: StyleVoice, speed: float) -> bytes:
        stop = StopSwitch()
        return await run_stoppable(
            self._threads, lambda: self.network.speak(piece, voice, speed, stop), stop.stop, self._tick
        )


def _chunks(pcm: bytes) -> Iterator[bytes]:
    return (pcm[at : at + _CHUNK_BYTES] for at in range(0, len(pcm), _CHUNK_BYTES))
