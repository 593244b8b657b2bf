"""Voices as clients read them: one entry, and the lists of entries."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from policies.matching import Match
from policies.routing import Voice
from policies.text_tags import EMOTIONS
from policies.voice_titles import title_of
from proxy.catalogue.own_voices import LibraryVoice
from proxy.features.voice_list.known_voices import KnownVoices
from proxy.features.voice_list.misheard_rates import MisheardRate
from proxy.features.voice_list.voice_samples import NoVoiceSamples, Pace, Pitch
from proxy.speech_steps.recording_speakers import RecordingSpeakers
from proxy.storage.trained_model import TrainedModel

_CREATED_S = 1_767_225_600  # the start of 2026, for voices without a time of their own

EntryType = Literal["catalogue", "cast", "mix", "audio_sample"]
_TYPES: dict[str, EntryType] = {"sample": "audio_sample", "mix": "mix", "cast": "cast"}


_NO_SAMPLES = NoVoiceSamples()
_MEASURED = ("pitch_hz", "words_a_minute", "pitch", "pace")


class VoiceQuality(msgspec.Struct, frozen=True, kw_only=True):
    """The quality of a recording. `reasons` say what its speaker can do better."""

    rating: Literal["low", "medium", "high"]
    reasons: list[str] = []
    speech_s: float
    snr_db: float
    bandwidth_hz: float


class ComparedSpeakers(msgspec.Struct, frozen=True, kw_only=True):
    """Whether voice and consent are of one speaker: `same`, `other` or `unsure`. The score is that of the
    comparer, up to 1."""

    answer: str
    score: float | None


class MixPart(msgspec.Struct, frozen=True, kw_only=True):
    """A voice in a mix, and its weight. The weights of a saved mix add up to 1."""

    id: str
    weight: float


class CloneState(msgspec.Struct, frozen=True, kw_only=True):
    """The voice at a provider. It speaks there if it is `ready`; `failed` has an error that says why."""

    engine: str
    state: str
    error: str


class VoiceModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model of a voice. Each of the server's models that takes its format speaks with it. It was
    imported, or trained here, as `origin` says."""

    format: str
    bytes: int
    origin: Literal["import", "training"]
    created_at: int


class VoiceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A voice, under every name that a known client reads: its id is also `voice_id` and `value`. `cast` says
    who speaks with which voice, if it is a cast. With `alias_of`, it is only another name for the voice of
    that name, where the server's default model and language speak; and its gender is the one that is heard.

    Only a voice that the account made of recordings or of other voices has the fields `labels` to `hint`.
    `emotions` are those of its recordings, if any has one. `expires_at` is when it is erased, if it does not
    speak before: the account's plan has that limit. If nothing here can speak it, `engines` is empty and a
    `hint` says what helps. `misheard` tells how often it is heard wrong, once it was heard often enough.
    `through` has other engines with the languages in which they speak for it, if a second model repeats them
    in this voice. Lists have neither.

    `title` is the name of the speaker for people; no request finds a voice by it. Voices with the same
    `shown_as` are names of one speaker, and lists for people show the one with that id. `sample` is the
    address of a clip, and null while it is still to be made. Its pitch and pace were measured, and the words
    for them are by fixed bounds.
    """

    id: str
    object: Literal["audio.voice"] = "audio.voice"
    name: str
    created_at: int = _CREATED_S
    type: EntryType = "catalogue"
    voice_id: str
    value: str
    label: str
    language: str | None
    gender: str | None
    age: str | None
    tags: list[str]
    description: str
    cast: dict[str, str] | None
    engines: list[str]
    alias_of: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    mix: list[MixPart] | UnsetType = UNSET
    quality: VoiceQuality | UnsetType = UNSET
    consent: str | UnsetType | None = UNSET
    speaker: ComparedSpeakers | UnsetType = UNSET
    emotions: list[str] | UnsetType = UNSET
    clones: list[CloneState] | UnsetType = UNSET
    trained: list[VoiceModelFacts] | UnsetType = UNSET
    expires_at: int | UnsetType = UNSET
    hint: str | UnsetType = UNSET
    misheard: list[MisheardRate] | UnsetType = UNSET
    through: dict[str, list[str]] | UnsetType = UNSET
    title: str = ""
    shown_as: str | UnsetType = UNSET
    sample: str | UnsetType | None = UNSET
    pitch_hz: float | UnsetType = UNSET
    words_a_minute: float | UnsetType = UNSET
    pitch: Pitch | UnsetType = UNSET
    pace: Pace | UnsetType = UNSET


class MatchedVoice(VoiceEntry, frozen=True, kw_only=True):
    """A voice that a description found. `score` is at most 1; `reasons` says what is known of the voice."""

    score: float
    reasons: list[str]


class VoiceList(msgspec.Struct, frozen=True, kw_only=True):
    """A list of voices. The next page has the id of the last one as its `after`.

    If nothing here can speak a voice of a recording (in the query's `language`), a `hint` says what helps.
    """

    object: Literal["list"] = "list"
    data: list[VoiceEntry]
    voices: list[VoiceEntry]
    has_more: bool = False
    hint: str | UnsetType = UNSET


class VoiceMatches(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `?describe=`: the best first."""

    object: Literal["list"] = "list"
    data: list[MatchedVoice]
    voices: list[MatchedVoice]
    has_more: bool = False


class VoiceNames(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to `?format=names`: ids alone."""

    object: Literal["list"] = "list"
    data: list[str]
    voices: list[str]
    has_more: bool = False


class VoiceEntries:
    """Makes the entries of one caller's voices. `unused_days` is the limit of the caller's plan, if any.

    `speakers` are the models that speak recordings for this caller.
    """

    def __init__(
        self,
        known: KnownVoices,
        speakers: RecordingSpeakers,
        unused_days: int | None = None,
        samples: NoVoiceSamples = _NO_SAMPLES,
    ) -> None:
        self.known = known
        self.speakers = speakers
        self._unused_days = unused_days
        self._samples = samples

    def entry_of(self, voice: Voice) -> VoiceEntry:
        saved = self.known.saved_record(voice)
        kind = None if saved is None else saved.row.kind
        entry = VoiceEntry(
            id=voice.id,
            name=voice.name,
            created_at=_CREATED_S if voice.created is None else voice.created // 1_000_000,
            type="cast" if voice.cast else _TYPES.get(kind or "", "catalogue"),
            voice_id=voice.id,
            value=voice.id,
            label=voice.name,
            language=voice.language,
            gender=voice.gender,
            age=voice.age,
            tags=list(voice.tags),
            description=voice.description,
            cast=dict(voice.cast) or None,
            engines=self.known.engines(voice),
            alias_of=self.known.alias_of(voice) or UNSET,
            title=title_of(voice.name) if saved is None else voice.name,
            shown_as=self.known.listed_id(voice) or UNSET,
        )
        if (sample := self._samples.sample_of(voice)) is not None:
            measurements = {name: value for name in _MEASURED if (value := getattr(sample, name)) is not None}
            entry = replace(entry, sample=sample.address or None, **measurements)
        return entry if saved is None or kind == "cast" else self._with_own_fields(entry, saved)

    def whole_entry(self, voice: Voice) -> VoiceEntry:
        """Return an entry with the languages that other engines speak for the voice."""
        return replace(self.entry_of(voice), through=self.known.through(voice) or UNSET)

    def measured_words(self, voice: Voice) -> tuple[str, ...]:
        """Return the words for a voice's measured pitch and pace, such as "low" and "quick"."""
        sample = self._samples.sample_of(voice)
        return () if sample is None else tuple(filter(None, (sample.pitch, sample.pace)))

    def matched_entry(self, match: Match) -> MatchedVoice:
        fields = msgspec.structs.asdict(self.entry_of(match.voice))
        return MatchedVoice(**fields, score=match.score, reasons=list(match.reasons))

    def _with_own_fields(self, catalogue_entry: VoiceEntry, saved: LibraryVoice) -> VoiceEntry:
        record, parts = saved.record, saved.parts
        entry = replace(catalogue_entry, labels=dict(record.labels))
        if record.kind == "mix":
            mix = [MixPart(id=id_, weight=weight) for id_, weight in record.mix.items()]
            entry = replace(entry, mix=mix)
        else:
            entry = replace(
                entry,
                consent=record.consent,
                clones=[
                    CloneState(engine=each.engine, state=each.state, error=each.error)
                    for each in parts.clones
                ],
            )
        if parts.trained:
            entry = replace(entry, trained=[_model_facts(model) for model in parts.trained])
        if parts.samples:
            if not entry.engines and (hint := self.speakers.hint(record.language or None)):
                entry = replace(entry, hint=hint)
            quality = msgspec.json.decode(parts.samples[0].quality, type=VoiceQuality)
            emotions = {sample.tag for sample in parts.samples}
            voice_emotions = [emotion for emotion in EMOTIONS if emotion in emotions]
            entry = replace(entry, quality=quality, emotions=voice_emotions or UNSET)
        if (comparison := record.compared) is not None:
            speaker = ComparedSpeakers(answer=comparison.answer, score=comparison.score)
            entry = replace(entry, speaker=speaker)
        if self._unused_days is not None and record.account is not None:
            expires_at = record.ends_at(self._unused_days) // 1_000_000
            entry = replace(entry, expires_at=expires_at)
        return entry


def _model_facts(model: TrainedModel) -> VoiceModelFacts:
    return VoiceModelFacts(
        format=model.format,
        bytes=model.bytes,
        origin=model.origin,
        created_at=model.created // 1_000_000,
    )
