"""Turn texts into pieces of numbers, one or more for each of espeak-ng's sounds."""

from __future__ import annotations

import re
import unicodedata

from plugins.piper.voice_format import BEGIN, END, PAD, VoiceConfig
from speech_engine import UnsupportedLanguage, UnsupportedText
from speech_engine.text.sounds import Phonemize, Piece, cut_sounds, end_of_part, safe_text

MOST_SOUNDS = 150
"""The longest piece, about ten seconds. A listener waits for all of it, and it cannot be stopped at once."""

_THAI = re.compile(r"[\u0e00-\u0e7f]")


def read_text(text: str, config: VoiceConfig, phonemize: Phonemize) -> list[Piece]:
    """Return the pieces of a text. Raise UnsupportedLanguage or UnsupportedText."""
    if _THAI.search(text):
        raise UnsupportedLanguage("Piper does not speak Thai: it has no reader for it.")
    safe = safe_text(text)
    if config.takes_letters:
        sentences = [list(unicodedata.normalize("NFD", safe))]
    else:
        sentences = phonemize(safe, config.espeak_voice, config.clusters)
    pieces: list[Piece] = []
    for sentence in sentences:
        parts = [part for part in cut_sounds(sentence, MOST_SOUNDS) if _has_sound(part, config)]
        pieces += [_piece(part, config)._replace(ends=end_of_part(part)) for part in parts[:-1]]
        pieces += [_piece(part, config) for part in parts[-1:]]
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def _has_sound(sounds: list[str], config: VoiceConfig) -> bool:
    return any(sound in config.symbols and any(map(str.isalnum, sound)) for sound in sounds)


def _piece(sounds: list[str], config: VoiceConfig) -> Piece:
    """Return the numbers of sounds, with a pad after each. Unknown sounds are left out."""
    pad = config.symbols[PAD]
    numbers = [*config.symbols[BEGIN], *pad]
    for sound in sounds:
        if sound in config.symbols:
            numbers += [*config.symbols[sound], *pad]
    return Piece((*numbers, *config.symbols[END]), len(sounds))
