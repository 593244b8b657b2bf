"""Piper as an Engine: texts become pieces, and each piece's sound goes out as soon as it is made.

It knows espeak-ng only as a function that tells sounds; `worker.py` has that function.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from plugins.piper.network import Network, pcm_of
from plugins.piper.plugin import PiperSettings
from plugins.piper.reading import Phonemize, Piece, read_text
from plugins.piper.shelf import VoiceShelf
from plugins.piper.voices import MODEL, ImportedVoice, Speaker, VoiceList
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

T = TypeVar("T")


class PiperEngine:
    """Speaks with imported voices, `slots` texts at once."""

    def __init__(
        self,
        settings: PiperSettings,
        context: Context,
        voices: VoiceList,
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._settings = settings
        self._tick = context.tick
        self._voices = voices
        self._phonemize = phonemize
        self._threads = threads
        self._info = voices.model()
        self.shelf: VoiceShelf[Network] = VoiceShelf(settings.voices_mb * 2**20, self._load)

    def __repr__(self) -> str:
        return f"<PiperEngine, {self.shelf!r}>"

    @property
    def slots(self) -> int:
        return self._settings.slots

    @property
    def unlisted_voices(self) -> tuple[str, ...]:
        return self._voices.unlisted()

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices.infos()

    async def warm_up(self) -> None:
        """Load the default voice, so that the first listener need not wait for it."""
        async with self.shelf.lend(self._voices.voices[0]):
            pass

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if job.model != MODEL:
            raise EngineFailed(f"Piper has one model, {MODEL!r}, and was asked for {job.model!r}")
        speaker = self._voices.find(job.voice, job.language)
        # All texts first: what cannot be spoken is refused before anybody hears a part.
        read = await self._run(lambda: self._pieces(job, speaker), StopSwitch())
        left = job.max_samples
        async with self.shelf.lend(speaker.voice) as network:
            yield Started(self._info.sample_rate_hz)
            for number, (segment, piece) in enumerate(read):
                pcm = await self._sound(network, speaker, piece, job.speed)
                if number + 1 < len(read):
                    pcm += bytes(self._info.sample_rate_hz * self._settings.pause_ms // 1000 * 2)
                pcm = pcm if left is None else pcm[: left * 2]
                for chunk in self._chunks(pcm):
                    yield Audio(segment, chunk)
                if left is not None and (left := left - len(pcm) // 2) <= 0:
                    break
        yield Finished()

    def _pieces(self, job: SpeechJob, speaker: Speaker) -> list[tuple[int, Piece]]:
        return [
            (number, piece)
            for number, segment in enumerate(job.segments)
            for piece in read_text(segment.spoken, speaker.voice.config, self._phonemize)
        ]

    async def _sound(self, network: Network, speaker: Speaker, piece: Piece, speed: float) -> bytes:
        config, stop = speaker.voice.config, StopSwitch()
        noise = config.noise if self._settings.noise is None else self._settings.noise
        rhythm = config.rhythm if self._settings.rhythm is None else self._settings.rhythm
        scales = (noise, config.length / speed, rhythm)

        def make() -> bytes:
            sound = network.speak(piece, speaker.number, scales, stop)
            return pcm_of(sound, config.rate_hz, self._info.sample_rate_hz)

        return await self._run(make, stop)

    async def _load(self, voice: ImportedVoice) -> Network:
        return await self._run(lambda: Network(voice.folder, self._settings.threads), StopSwitch())

    async def _run(self, work: Callable[[], T], stop: StopSwitch) -> T:
        return await run_stoppable(self._threads, work, stop.stop, self._tick)

    def _chunks(self, pcm: bytes) -> Iterator[bytes]:
        size = self._info.sample_rate_hz // 10 * 2
        return (pcm[at : at + size] for at in range(0, len(pcm), size))
