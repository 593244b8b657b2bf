"""The timbres of the embedded voice: espeak-ng's variants. Each variant speaks every language.

The library ignores an unknown variant, and follows a name with dots out of its folder. So only names
from this table reach it. Variants that whistle, shout or sound like another are left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from speech_engine import EngineVoice, KnownName, VoiceInfo, VoiceNotFound
from speech_engine.levels import TARGET_LUFS
from speech_engine.values import Voice

_FEMALE = (
    *("f1", "f2", "f3", "f4", "f5", "Alicia", "Andrea", "Annie", "anika", "aunty", "belinda", "grandma"),
    *("linda", "steph", "whisperf"),
)
_MALE = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "Andy", "Denis", "Diogo", "Henrique", "Lee", "Marco"),
    *("michel", "miguel", "sandro", "travis", "victor", "whisper"),
)
_UNSTATED = (
    *("Alex", "Gene", "Gene2", "Mario", "Michael", "Mike", "Nguyen", "Reed", "adam", "david", "edward"),
    *("grandpa", "klatt4", "marcelo", "mike2", "norbert", "pablo", "quincy", "rob", "shelby"),
)
_GENDERS: dict[str, str | None] = {
    **dict.fromkeys(_FEMALE, "female"),
    **dict.fromkeys(_MALE, "male"),
    **dict.fromkeys(_UNSTATED, None),
}
VOICES = tuple(_GENDERS)


def voices() -> tuple[VoiceInfo, ...]:
    """Return every voice that a job may name. `gender` is the variant's own statement, or None."""
    return tuple(
        VoiceInfo(id=variant, name=variant.capitalize(), gender=gender, lufs=TARGET_LUFS)
        for variant, gender in _GENDERS.items()
    )


def variant_for(voice: Voice) -> str:
    """Return the variant of a job's voice. Raises VoiceNotFound for another name, a sample or a mix."""
    if not isinstance(voice, EngineVoice):
        raise VoiceNotFound("espeak cannot speak like a sample or blend voices; use one of its own voices")
    if voice.id not in _GENDERS:
        raise VoiceNotFound(f"espeak has no voice {voice.id!r}")
    return voice.id


OPENAI_NAMES: Mapping[str, KnownName] = {
    "alloy": KnownName("shelby", ("bright",)),
    "ash": KnownName("travis", ("dark",)),
    "ballad": KnownName("Nguyen", ("high", "soft")),
    "cedar": KnownName("mike2", ("low", "buzzing")),
    "coral": KnownName("Alicia", ("high", "bright")),
    "echo": KnownName("Gene2", ("round",)),
    "fable": KnownName("rob", ("high", "clear")),
    "marin": KnownName("belinda", ("clear",)),
    "nova": KnownName("f5", ("warm",)),
    "onyx": KnownName("david", ("deep",)),
    "sage": KnownName("steph", ("low", "dark")),
    "shimmer": KnownName("anika", ("high", "trembling")),
    "verse": KnownName("Andy", ("low", "clear")),
}
"""The variants behind OpenAI's names, chosen so that they differ. README.md tells how they sound."""
