"""The engine of Kokoro. It gets espeak-ng as a function from `worker.py`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.model_format import SPEED, STYLE_SIZE, KokoroModel, StyleVoice
from plugins.kokoro.pads import without_pads
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.reading import SHARED_OFFSET, cut_phrases, cut_piece, read_text
from plugins.kokoro.thai import ThaiReader
from plugins.kokoro.voices import RATE_HZ, Speaker, VoiceList
from speech_engine import Context
from speech_engine.host.onnx_engine import CoreShare, OnnxEngine
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch
from speech_engine.host.voice_levels import VoiceLevel
from speech_engine.text.sounds import Phonemize, Piece

_TAIL_MS, _HEAD_MS = 150, 100  # of a silence inside a sentence: together the pause of a comma
_SILENT_SHARE = 0.01
FRAME = 600
"""The samples for each unit of a sound's length."""


class KokoroEngine(OnnxEngine[Speaker, OnnxNetwork]):
    """An engine of one network, in which a voice is a table of styles."""

    title = "Kokoro"

    def __init__(
        self,
        settings: KokoroSettings,
        share: CoreShare,
        context: Context,
        model: KokoroModel,
        voices: VoiceList,
        network: OnnxNetwork,
        phonemize: Phonemize,
        threads: ThreadPoolExecutor,
    ) -> None:
        super().__init__(settings, share, context, voices, phonemize, threads)
        self._model = model
        self._network = network
        self._thai = ThaiReader(model.words, model.symbols, phonemize)
        # With this, a new text waits while others cannot be spoken as fast as they are heard.
        self.batch = self._listeners
        self._styles = Path(settings.model_path) / "voices.npz"

    def read(self, text: str, voice: Speaker, sounds_before: int) -> list[Piece]:
        # Beside other texts a piece takes longer, so the first one needs more sound ahead of the second.
        sounds_before += SHARED_OFFSET if self.is_shared else 0
        if voice.reading.has_words:
            return cut_phrases(
                self._thai.read(text, voice.reading.espeak), self._model.symbols, sounds_before
            )
        name = max(voice.parts, key=lambda part: part[1])[0].name
        return read_text(text, voice.reading, self._model.symbols, self._phonemize, sounds_before, name)

    def cut(self, piece: Piece, most: int) -> list[Piece]:
        return cut_piece(piece, self._model.symbols, most)

    def level(self, voice: Speaker) -> VoiceLevel:
        named = (part.name if weight == 1 else f"{part.name}({weight:.2f})" for part, weight in voice.parts)
        return VoiceLevel(self._styles.parent, "+".join(named), voice.lufs)

    def lend(self, voice: Speaker, within_s: float) -> AbstractAsyncContextManager[OnnxNetwork]:
        return nullcontext(self._network)

    def sounds(
        self, network: OnnxNetwork, piece: Piece, voice: Speaker, speed: float, stop: StopSwitch
    ) -> Iterator[NDArray[np.float32]]:
        style = np.sum([weight * self._style(part, piece.sounds) for part, weight in voice.parts], axis=0)
        names = self._model.names
        values = {
            names.tokens: np.array([piece.numbers], np.int64),
            names.style: style[np.newaxis],
            SPEED: np.array([speed * piece.pace], np.float32),
        }
        outputs = filter(None, (names.sound, names.lengths))
        sound, *lengths = network.sound_and([*outputs], values, RATE_HZ, stop)
        starts = sound_starts(lengths[0], len(piece.numbers), len(sound)) if lengths else None
        if starts is not None and voice.reading.has_words:
            cut, sound = without_pads(sound, int(starts[1]), int(starts[-2]))
            starts = np.clip(starts - cut, 0, len(sound))
        stays = without_halts(sound, speed)
        if starts is not None:
            # Each sound is one behind its number, as the first number is a pad.
            samples = np.interp([word.sound + 1 for word in piece.words], range(len(starts)), starts)
            stop.word_samples = np.append(0, np.cumsum(stays))[np.rint(samples).astype(int)].tolist()
        yield sound[stays]

    def _style(self, voice: StyleVoice, sounds: int) -> NDArray[np.float32]:
        """Return a voice's style for a number of sounds, the pads not counted. It has one for each."""
        at = voice.begin + (min(sounds, voice.styles) - 1) * STYLE_SIZE * np.dtype("<f4").itemsize
        return np.fromfile(self._styles, "<f4", STYLE_SIZE, offset=at)


def sound_starts(lengths: NDArray[Any], count: int, samples: int) -> NDArray[np.float64] | None:
    """Return where each of the sounds of a piece begins, and where the last one ends, in samples. Return None
    if the lengths are not those of this sound: a network may make anything."""
    if lengths.size != count or np.min(lengths) < 1:
        return None
    starts = np.append(0.0, np.cumsum(lengths, dtype=np.float64)) * FRAME
    return None if abs(starts[-1] - samples) > FRAME else np.minimum(starts, samples)


def without_halts(sound: NDArray[np.float32], speed: float) -> NDArray[np.bool_]:
    """Tell which samples stay when the silence inside a sound is shortened: some voices rest at a comma for
    as long as behind a sentence."""
    loud = np.flatnonzero(np.abs(sound) > _SILENT_SHARE * np.max(np.abs(sound), initial=0.0))
    tail, head = (round(RATE_HZ * each / 1000 / speed) for each in (_TAIL_MS, _HEAD_MS))
    stays = np.ones(len(sound), bool)
    for at in np.flatnonzero(np.diff(loud) > tail + head):
        stays[loud[at] + tail : loud[at + 1] - head] = False
    return stays
