"""The engine of Piper. It gets espeak-ng as a function from `worker.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from plugins.piper.plugin import PiperSettings
from plugins.piper.reading import read_text
from plugins.piper.voice_format import INPUT, LENGTHS, OUTPUT, SCALES, SPEAKER
from plugins.piper.voices import ImportedVoice, Speaker, VoiceList
from speech_engine import Context
from speech_engine.errors import EngineFailed
from speech_engine.host.model_cache import ModelCache
from speech_engine.host.onnx_engine import CoreShare, OnnxEngine
from speech_engine.host.onnx_network import MOST_S, OnnxNetwork, StopSwitch
from speech_engine.host.voice_levels import VoiceLevel
from speech_engine.model_files.onnx_windows import Reach
from speech_engine.text.sounds import Phonemize, Piece

_FIRST_FRAMES, _FURTHER, _MOST_FRAMES = 24, 2, 384
"""The frames of a sentence's first window without sound ahead, a quarter of a second; the factor by which a
window may be longer than the one before it, and than the sound ahead, which are heard while it is made; and
the most. Each window costs the frames around it."""


class VoiceNetworks(NamedTuple):
    """The networks of a voice: both halves with the decoder's reach, or the whole voice alone."""

    first: OnnxNetwork
    decoder: OnnxNetwork | None = None
    reach: Reach | None = None


class PiperEngine(OnnxEngine[Speaker, VoiceNetworks]):
    """An engine in which each voice has networks of its own, loaded when they are needed."""

    title = "Piper"

    def __init__(
        self,
        settings: PiperSettings,
        share: CoreShare,
        context: Context,
        voices: VoiceList,
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(settings, share, context, voices, phonemize, threads)
        self._settings = settings
        self.unlisted_voices = voices.unlisted()
        self.loaded_models: ModelCache[ImportedVoice, VoiceNetworks] = ModelCache(
            settings.voices_mb * 2**20, self._load, context.waiting
        )

    def read(self, text: str, voice: Speaker, sounds_before: int) -> list[Piece]:
        return read_text(text, voice.voice.config, self._phonemize)

    def level(self, voice: Speaker) -> VoiceLevel:
        file, name = voice.voice, voice.voice.config.speakers[voice.number]
        name = name if len(file.config.speakers) > 1 else ""
        return VoiceLevel(file.folder, name, file.lufs.get(name))

    def lend(self, voice: Speaker, within_s: float) -> AbstractAsyncContextManager[VoiceNetworks]:
        return self.loaded_models.lend(voice.voice, within_s)

    async def _load(self, voice: ImportedVoice) -> VoiceNetworks:
        def loaded(name: str) -> OnnxNetwork:
            return OnnxNetwork(voice.folder / name, self._most_threads)

        if voice.reach is None:
            return VoiceNetworks(await self.run(lambda _stop: loaded("voice.onnx")))
        return await self.run(
            lambda _stop: VoiceNetworks(loaded("encoder.onnx"), loaded("decoder.onnx"), voice.reach)
        )

    def sounds(
        self, network: VoiceNetworks, piece: Piece, voice: Speaker, speed: float, stop: StopSwitch
    ) -> Iterator[NDArray[np.float32]]:
        config = voice.voice.config
        noise = config.noise if self._settings.noise is None else self._settings.noise
        rhythm = config.rhythm if self._settings.rhythm is None else self._settings.rhythm
        values: dict[str, Any] = {
            INPUT: np.array([piece.numbers], np.int64),
            LENGTHS: np.array([len(piece.numbers)], np.int64),
            SCALES: np.array((noise, config.length / speed, rhythm), np.float32),
        }
        if SPEAKER in network.first.inputs:
            values[SPEAKER] = np.array([voice.number], np.int64)
        windows = decoded(network, values, config.rate_hz, stop)
        if config.rate_hz == self._info.sample_rate_hz:
            yield from windows
        elif made := [*windows]:
            yield resample(np.concatenate(made), config.rate_hz, self._info.sample_rate_hz)


def decoded(
    network: VoiceNetworks, values: Mapping[str, Any], rate_hz: int, stop: StopSwitch
) -> Iterator[NDArray[np.float32]]:
    """Yield the sound of a piece, in windows if its voice was cut. Each has the decoder's reach on both
    sides, so the samples are those of the whole."""
    first, decoder, reach = network
    if decoder is None or reach is None:
        yield first.sound(OUTPUT, values, rate_hz, stop)
        return
    passing = dict(zip(first.outputs, first.run(first.outputs, values, stop), strict=True))
    frames, *steady = passing
    count = passing[frames].shape[-1]
    if count * reach.hop > MOST_S * rate_hz or any(passing[name].shape[-1] != 1 for name in steady):
        raise EngineFailed("The voice's encoder made more than a sentence has.")
    at, size = 0, _FIRST_FRAMES
    while at < count:
        ahead = int(stop.ahead_s * rate_hz / reach.hop)
        size = min(max(size, _FURTHER * ahead), _MOST_FRAMES)
        begin, end = max(0, at - reach.frames), min(at + size, count)
        window = {**passing, frames: passing[frames][..., begin : end + reach.frames]}
        sound = decoder.sound(OUTPUT, window, rate_hz, stop)
        yield sound[(at - begin) * reach.hop : (end - begin) * reach.hop]
        at, size = end, size * _FURTHER


def resample(sound: NDArray[np.float32], rate_hz: int, wanted_hz: int) -> NDArray[np.float32]:
    """Resample a whole piece by its spectrum. That needs quiet ends."""
    spectrum = np.fft.rfft(sound)
    length = round(len(sound) * wanted_hz / rate_hz)
    fitted = np.zeros(length // 2 + 1, spectrum.dtype)
    frames = min(len(fitted), len(spectrum))
    fitted[:frames] = spectrum[:frames]
    return np.asarray(np.fft.irfft(fitted, length) * (wanted_hz / rate_hz), np.float32)
