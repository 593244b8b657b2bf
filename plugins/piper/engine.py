"""The engine of Piper. It gets espeak-ng as a function from `worker.py`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.piper.plugin import PiperSettings
from plugins.piper.reading import read_text
from plugins.piper.voice_format import INPUT, LENGTHS, OUTPUT, SCALES, SPEAKER
from plugins.piper.voices import ImportedVoice, Speaker, VoiceList
from speech_engine import Context
from speech_engine.host.model_cache import ModelCache
from speech_engine.host.onnx_engine import OnnxEngine, OnnxNetwork, StopSwitch
from speech_engine.text.sounds import Phonemize, Piece


class PiperEngine(OnnxEngine[Speaker]):
    title = "Piper"

    def __init__(
        self,
        settings: PiperSettings,
        context: Context,
        voices: VoiceList,
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(settings, context, voices, phonemize, threads)
        self._settings = settings
        self.unlisted_voices = voices.unlisted()
        self.sample_cache: ModelCache[ImportedVoice, OnnxNetwork] = ModelCache(
            settings.voices_mb * 2**20, self._load, context.waiting
        )

    def read(self, text: str, voice: Speaker, sounds: int) -> list[Piece]:
        return read_text(text, voice.voice.config, self._phonemize)

    def lend(self, voice: Speaker, within_s: float) -> AbstractAsyncContextManager[OnnxNetwork]:
        return self.sample_cache.lend(voice.voice, within_s)

    async def _load(self, voice: ImportedVoice) -> OnnxNetwork:
        return await self.run(lambda _stop: OnnxNetwork(voice.folder / "voice.onnx", self._settings.threads))

    def sound(
        self, network: OnnxNetwork, piece: Piece, voice: Speaker, speed: float, stop: StopSwitch
    ) -> NDArray[np.float32]:
        config = voice.voice.config
        noise = config.noise if self._settings.noise is None else self._settings.noise
        rhythm = config.rhythm if self._settings.rhythm is None else self._settings.rhythm
        values: dict[str, Any] = {
            INPUT: np.array([piece.numbers], np.int64),
            LENGTHS: np.array([len(piece.numbers)], np.int64),
            # The sound of a shifted speaker is made slower and played faster.
            SCALES: np.array((noise, config.length * voice.faster / speed, rhythm), np.float32),
        }
        if SPEAKER in network.inputs:
            values[SPEAKER] = np.array([voice.number], np.int64)
        rate_hz = config.rate_hz * voice.faster
        return resample(network.sound(OUTPUT, values, rate_hz, stop), rate_hz, self._info.sample_rate_hz)


def resample(sound: NDArray[np.float32], rate_hz: float, wanted_hz: int) -> NDArray[np.float32]:
    """Resample a whole piece by its spectrum. That needs quiet ends."""
    if rate_hz == wanted_hz:
        return sound
    spectrum = np.fft.rfft(sound)
    length = round(len(sound) * wanted_hz / rate_hz)
    fitted = np.zeros(length // 2 + 1, spectrum.dtype)
    frames = min(len(fitted), len(spectrum))
    fitted[:frames] = spectrum[:frames]
    return np.asarray(np.fft.irfft(fitted, length) * (wanted_hz / rate_hz), np.float32)
