"""How words sound, as tags around them in the text, for the few models that read such tags.

Dictionaries that ElevenLabs keeps would do no better: they are uploaded first and named afterwards, while a
lexicon may change with each request.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speech_engine.text.words import words_of
from speech_engine.values import Alphabet, Pronunciation, Segment

_MODELS = frozenset(("eleven_flash_v2", "eleven_turbo_v2", "eleven_monolingual_v1"))
"""All others pass over the tags, and the word is said as they think right."""

_UNFIT = frozenset('<>&"')


def taken_by(model: str, *, is_timed: bool) -> tuple[Alphabet, ...]:
    """Whether the times of words count the tags nobody has said: with times there are none."""
    return ("ipa",) if model in _MODELS and not is_timed else ()


def tagged(segments: Sequence[Segment], pronunciations: Sequence[Pronunciation]) -> tuple[Segment, ...]:
    words = words_of({each.word: _tag(each) for each in pronunciations if _is_fit(each)})
    return tuple(_tagged(segment, words.replaced(segment.spoken)) for segment in segments)


def _tagged(segment: Segment, spoken: str) -> Segment:
    return msgspec.structs.replace(segment, spoken=spoken, rewritten=())


def _tag(pronunciation: Pronunciation) -> str:
    return f'<phoneme alphabet="ipa" ph="{pronunciation.sounds}">{pronunciation.word}</phoneme>'


def _is_fit(pronunciation: Pronunciation) -> bool:
    """A tag is for one word, and has no way to write these signs."""
    said = pronunciation.word + pronunciation.sounds
    is_one = not any(character.isspace() for character in pronunciation.word)
    return pronunciation.alphabet == "ipa" and is_one and not _UNFIT & set(said)
