"""The stored samples, as lists of voices and the front show them, and which of them are public."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from policies.language import base_tag
from policies.routing import Voice
from proxy.features.samples.folder import MeasuredSample, SampleFolder, StoredSample
from proxy.features.samples.sound_words import pace_word, pitch_word
from proxy.features.samples.wanted import EngineVoiceId, WantedSamples
from proxy.features.voice_list.voice_samples import FrontSample, MadeSample, NoVoiceSamples
from speech_engine import EngineVoice

ROOT = "/v1/audio/samples"
_SPARE_BYTES = 256 * 1024


class ShownSamples(NoVoiceSamples):
    """Finds samples in memory. `shown_on_front` returns the names of the voices that the front shows."""

    def __init__(self, store: SampleFolder) -> None:
        self.shown_on_front: Callable[[], Collection[str]] = tuple
        self.orders: WantedSamples | None = None
        self.most_bytes = 0
        self._store = store
        # The records of `_collected_samples`. They are collected again when the store replaces its samples.
        self._records_by_voice: Mapping[EngineVoiceId, list[MeasuredSample]] = {}
        self._collected_samples: object = None

    def sample_of(self, voice: Voice, language: str | None = None) -> MadeSample | None:
        wanted = base_tag(language or voice.language or "")
        for binding in voice.bindings:
            if isinstance(binding.voice, EngineVoice):
                found = self._by_voice().get((binding.engine, binding.voice.id), ())
                of_tag = [each for each in found if base_tag(each.language) == wanted]
                # If the caller names no language, a sample in another language will do.
                if chosen := [*of_tag, *(() if language else found)]:
                    return _shown(chosen[0])
                if (binding.engine, binding.voice.id) in self._unmade_voices():
                    return MadeSample(address="")
        return None

    def _unmade_voices(self) -> Collection[EngineVoiceId]:
        """Return the voices that will have a sample, if there is room."""
        if self.orders is None or self._store.used_bytes >= self.most_bytes - _SPARE_BYTES:
            return ()
        return self.orders.wanted_voices()

    def front_sample(self, language: str) -> FrontSample | None:
        for sample in self._store.samples.values():
            record = sample.record
            if record.kind == "long" and base_tag(record.language) == base_tag(language):
                return FrontSample(
                    address=_address(record), voice=f"{record.engine}/{record.voice}", text=record.text
                )
        return None

    def show_on_front(self, voices: Callable[[], Collection[str]]) -> None:
        self.shown_on_front = voices

    def find_sample(self, digest: str, *, sees_all: bool) -> StoredSample | None:
        """Return a sample. Unless the caller `sees_all`, it must be a sample of the front."""
        sample = self._store.samples.get(digest)
        if sample is None or not (sees_all or self._is_of_front(sample.record)):
            return None
        return self._store.get(digest)

    def _is_of_front(self, record: MeasuredSample) -> bool:
        shown = () if self.orders is None else self.orders.front_voices()
        return record.kind == "long" or (record.engine, record.voice) in shown

    def _by_voice(self) -> Mapping[EngineVoiceId, list[MeasuredSample]]:
        samples = self._store.samples
        if self._collected_samples is not samples:
            found: dict[EngineVoiceId, list[MeasuredSample]] = {}
            for record in sorted([each.record for each in samples.values()], key=lambda each: each.language):
                if record.kind == "voice":
                    found.setdefault((record.engine, record.voice), []).append(record)
            self._collected_samples, self._records_by_voice = samples, found
        return self._records_by_voice


def _address(record: MeasuredSample) -> str:
    return f"{ROOT}/{record.digest}.mp3"


def _shown(record: MeasuredSample) -> MadeSample:
    return MadeSample(
        address=_address(record),
        pitch_hz=record.pitch_hz,
        words_a_minute=record.words_a_minute,
        pitch=pitch_word(record.pitch_hz, record.gender),
        pace=pace_word(record.words_a_minute, record.language),
    )
