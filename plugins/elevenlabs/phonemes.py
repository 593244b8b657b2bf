"""The sounds of words, as tags around the words in the text. Only a few models read these tags.

ElevenLabs' own dictionaries would not help. A dictionary must be uploaded before a request can name
it, and a lexicon may change with each request.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from speech_engine.text.words import word_finder
from speech_engine.values import Alphabet, Pronunciation, Segment

_MODELS = frozenset(("eleven_flash_v2", "eleven_turbo_v2", "eleven_monolingual_v1"))
"""The models that read the tags. Any other model skips a tag and says the word in its own way."""

_UNFIT = frozenset('<>&"')


def taken_by(model: str, *, is_timed: bool) -> tuple[Alphabet, ...]:
    """Return the alphabets that a model takes. With word times it takes none.

    ElevenLabs does not document whether the times of words count the characters of the tags.
    """
    return ("ipa",) if model in _MODELS and not is_timed else ()


def tagged(segments: Sequence[Segment], pronunciations: Sequence[Pronunciation]) -> tuple[Segment, ...]:
    # A tag is for one word, and cannot write some signs.
    tags = {
        each.word: f'<phoneme alphabet="ipa" ph="{each.sounds}">{each.word}</phoneme>'
        for each in pronunciations
        if each.alphabet == "ipa"
        and not re.search(r"\s", each.word)
        and not _UNFIT & {*each.word, *each.sounds}
    }
    words, replace = word_finder(tags), msgspec.structs.replace
    return tuple(replace(each, spoken=words.replace_words(each.spoken), rewritten=()) for each in segments)
