"""The engine of Kokoro. It gets espeak-ng as a function from `worker.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plugins.kokoro.model_format import SPEED, STYLE_SIZE, KokoroModel, StyleVoice
from plugins.kokoro.pads import without_pads
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.reading import SHARED_OFFSET, cut_phrases, cut_piece, read_text, without_first
from plugins.kokoro.thai import ThaiReader
from plugins.kokoro.voices import RATE_HZ, Speaker, VoiceList
from speech_engine import Context
from speech_engine.host.onnx_engine import CoreShare, OnnxEngine
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch
from speech_engine.host.voice_levels import VoiceLevel
from speech_engine.text.sounds import Phonemize, Piece

_TAIL_MS, _HEAD_MS = 150, 100  # of a silence inside a sentence: together the pause of a comma
_SILENT_SHARE = 0.01
_CUT_STYLE = 1.2  # times the sounds that it is given: few sounds have a fast style, and more will follow
_IN_HASTE = range(1, 320)  # sounds before a piece whose listener would wait for what is not kept
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
        self._looks_ahead = bool(model.names.lengths)
        self._network = network
        self._thai = ThaiReader(model.words, model.symbols, phonemize)
        # With this, a new text waits while others cannot be spoken as fast as they are heard.
        self.batch = self._listeners
        self._styles = Path(settings.model_path) / "voices.npz"

    def read(self, text: str, voice: Speaker, sounds_before: int) -> list[Piece]:
        symbols, ahead = self._model.symbols, self._looks_ahead and sounds_before not in _IN_HASTE
        # Beside other texts a piece takes longer, so the first one needs more sound ahead of the second.
        sounds_before += SHARED_OFFSET if self.is_shared else 0
        if voice.reading.has_words:
            phrases = self._thai.read(text, voice.reading.espeak)
            return cut_phrases(phrases, symbols, sounds_before, looks_ahead=ahead)
        return read_text(text, voice.reading, symbols, self._phonemize, sounds_before, looks_ahead=ahead)

    def cut(self, piece: Piece, most: int) -> list[Piece]:
        return cut_piece(piece, self._model.symbols, most)

    def go_on(self, piece: Piece, sounds: int) -> Piece:
        return without_first(piece, sounds)

    def level(self, voice: Speaker) -> VoiceLevel:
        named = (part.name if weight == 1 else f"{part.name}({weight:.2f})" for part, weight in voice.parts)
        return VoiceLevel(self._styles.parent, "+".join(named), voice.lufs)

    def lend(self, voice: Speaker, within_s: float) -> AbstractAsyncContextManager[OnnxNetwork]:
        return nullcontext(self._network)

    def sounds(
        self, network: OnnxNetwork, piece: Piece, voice: Speaker, speed: float, stop: StopSwitch
    ) -> Iterator[NDArray[np.float32]]:
        count, names = len(piece.numbers), self._model.names
        sounds = round((count - 2) * (_CUT_STYLE if piece.cuts else 1))
        style = np.sum([weight * self._style(part, sounds) for part, weight in voice.parts], axis=0)
        values = {
            names.tokens: np.array([piece.numbers], np.int64),
            names.style: style[np.newaxis],
            SPEED: np.array([speed], np.float32),
        }
        outputs = filter(None, (names.sound, names.lengths))
        sound, *lengths = network.sound_and([*outputs], values, RATE_HZ, stop)
        starts = sound_starts(lengths[0], count, len(sound)) if lengths else None
        if piece.cuts and starts is None:
            # Lengths that are wrong once are believed no more. The sound behind the cut cannot be found.
            self._looks_ahead = False
            yield from self.sounds(network, self.cut(piece, piece.sounds)[0], voice, speed, stop)
            return
        if starts is not None and voice.reading.has_words:
            before, sound = without_pads(sound, int(starts[1]), int(starts[-2]))
            starts = np.clip(starts - before, 0, len(sound))
        stays, kept = without_halts(sound, speed), count
        if starts is not None:
            if piece.cuts:
                kept, end = quiet_cut(sound, starts, piece.cuts)
                stop.sounds_taken, stays[end:] = kept - piece.cuts[0], False
            # Each sound is one behind its number, as the first number is a pad.
            words = [word.sound + 1 for word in piece.words if word.sound < kept]
            samples = np.interp(words, range(len(starts)), starts)
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


def quiet_cut(
    sound: NDArray[np.float32], starts: NDArray[np.float64], cuts: Sequence[int]
) -> tuple[int, int]:
    """Return the cut at the quietest end of a word, and the sample where the sound ends there.

    `starts` are those of the sounds behind a pad. Between silent cuts the last one is taken.
    """
    power = np.append(0.0, np.cumsum(np.square(sound, dtype=np.float64)))
    silent = (_SILENT_SHARE * np.max(np.abs(sound), initial=0.0)) ** 2 * FRAME
    best, found = np.inf, (cuts[0], len(sound))
    for cut in reversed(cuts):
        # The last frame before the blank may be silent, and the first one behind it.
        begin, behind = (round(starts[at]) for at in (cut + 1, cut + 2))
        ends = np.arange(max(begin, FRAME), min(behind + FRAME, len(sound)) + 1)
        energy = power[ends] - power[ends - FRAME]
        least = max(silent, np.min(energy))
        if least < best:
            best, found = least, (cut, int(ends[energy <= least][-1]))
    return found


def without_halts(sound: NDArray[np.float32], speed: float) -> NDArray[np.bool_]:
    """Tell which samples stay when the silence inside a sound is shortened: some voices rest at a comma for
    as long as behind a sentence."""
    loud = np.flatnonzero(np.abs(sound) > _SILENT_SHARE * np.max(np.abs(sound), initial=0.0))
    tail, head = (round(RATE_HZ * each / 1000 / speed) for each in (_TAIL_MS, _HEAD_MS))
    stays = np.ones(len(sound), bool)
    for at in np.flatnonzero(np.diff(loud) > tail + head):
        stays[loud[at] + tail : loud[at + 1] - head] = False
    return stays
