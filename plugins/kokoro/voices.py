"""The voices of the engine: those of the model's file that can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from plugins.kokoro.model_format import Reading, StyleVoice
from speech_engine import EngineVoice, Mix, ModelInfo, UnsupportedLanguage, VoiceInfo, VoiceNotFound
from speech_engine.imported_voices import find_voice, one_model
from speech_engine.levels import TARGET_LUFS
from speech_engine.samples import weighted_voices
from speech_engine.values import Voice

RATE_HZ = 24_000
MOST_MIXED = 8

_FIRST = (
    *("af_heart", "af_river", "bf_emma", "bf_isabella"),
    *("am_michael", "bm_lewis", "am_liam", "am_adam"),
)
"""The voices that come first: names are shared in this order. The comparer takes none of them for another, or
for a voice that has a name of OpenAI's (`bench.shipped_voices`). The first one is American."""
_SANTA = "_santa"
"""The end of the names of voices that play a part. They share no name, and come last."""


class Speaker(NamedTuple):
    """The voices that speak together, with weights that add up to 1: one, or those of a mix. `lufs` is
    their loudness by the model's table, if that has it."""

    reading: Reading
    parts: tuple[tuple[StyleVoice, float], ...]
    lufs: float | None = None


class VoiceList:
    """The voices that can be spoken with, and the reasons why others cannot.

    `languages` are the operator's choice at the import, and `lufs` is the model's table.
    """

    def __init__(
        self,
        voices: Sequence[StyleVoice],
        digest: str,
        languages: Sequence[str] = (),
        lufs: Mapping[str, float] = MappingProxyType({}),
        *,
        times_words: bool = False,
    ) -> None:
        self._lufs = lufs
        self._times_words = times_words
        chosen = [voice for voice in voices if not languages or voice.reading.tag in languages]
        able = (voice for voice in chosen if voice.reading.espeak)
        self.voices = tuple(sorted(able, key=_place))
        self._unread = {voice.name: voice for voice in voices if not voice.reading.espeak}
        self._by_name = {voice.name: voice for voice in self.voices}
        self._digest = digest

    def infos(self) -> tuple[VoiceInfo, ...]:
        return tuple(
            VoiceInfo(
                id=voice.name,
                name=voice.name,
                language=voice.reading.tag,
                gender=voice.gender,
                tags=(voice.reading.accent,) if voice.reading.accent else (),
                shares_names=not voice.name.endswith(_SANTA),
                lufs=TARGET_LUFS,
            )
            for voice in self.voices
        )

    def model(self) -> ModelInfo:
        model = one_model((voice.reading.tag for voice in self.voices), RATE_HZ, self._digest)
        return replace(model, mixes=True, most_mixed=MOST_MIXED, times_words=self._times_words)

    def find(self, voice: Voice, language: str) -> Speaker:
        """Return the voice that is meant, or those of a mix, which reads as the one with the most weight.

        Raise VoiceNotFound or UnsupportedLanguage.
        """
        if not isinstance(voice, Mix):
            found = self._find(voice, language)
            return Speaker(found.reading, ((found, 1.0),), self._lufs.get(found.name))
        weighted = weighted_voices(voice, "Kokoro", MOST_MIXED, self._by_name)
        tags = {self._by_name[each.id].reading.tag for each, _ in weighted if isinstance(each, EngineVoice)}
        if len({tag.partition("-")[0] for tag in tags}) > 1:
            spoken = ", ".join(sorted(tags))
            raise VoiceNotFound(f"Kokoro mixes voices of one language, and these speak {spoken}.")
        parts = tuple((self._find(each, language), weight) for each, weight in weighted)
        known = [self._lufs[part.name] * weight for part, weight in parts if part.name in self._lufs]
        lufs = sum(known) if len(known) == len(parts) else None
        return Speaker(max(parts, key=lambda part: part[1])[0].reading, parts, lufs)

    def _find(self, voice: Voice, language: str) -> StyleVoice:
        id_ = voice.id if isinstance(voice, EngineVoice) else ""
        if id_ in self._unread:
            name, other = self._unread[id_].reading.name, self.voices[0].name
            raise UnsupportedLanguage(
                f"{id_} is a voice for {name}, which this engine cannot read; {other} is one that it can."
            )
        return find_voice("Kokoro", self._by_name, lambda each: (each.reading.tag,), voice, language)


def _place(voice: StyleVoice) -> tuple[bool, int]:
    """Voices that play a part come last."""
    plays = voice.name.endswith(_SANTA)
    return plays, _FIRST.index(voice.name) if voice.name in _FIRST else len(_FIRST)
