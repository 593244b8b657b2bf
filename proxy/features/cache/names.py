"""The name of a clip, made of everything that changes its sound, and the owner of the clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

import proxy
from policies.routing import PostSpeaker
from proxy.config.sections import Config
from proxy.features.cache import rules as caching
from proxy.features.cache.records import ClipOwner
from proxy.features.cache.rules import PostUse, SpeakerUse
from proxy.speech.client_fields import extra_of
from proxy.speech.part import Part
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from speech_engine.redacted import Redacted

RESOLVED = frozenset(
    {"model", "voice", "cast", "mix", "language", "by_sentence", "lexicon", "emotion", "check"}
)
"""Fields of a request that the plan makes exact. The parts of the plan stand for them in the name."""

OF_SPEAKERS = frozenset({"instructions", "extra"})
"""Fields that only some models follow. They are in the name of what such a model speaks."""

UNHEARD = frozenset({"answer", "cache", "ignored", "provenance", "tag", "history", "on_wrong", "hears_words"})
"""Fields that change the form of an answer, but not its sound."""

UNHEARD_OF_PART = frozenset({"estimated_s", "characters", "source", "route", "requested_pause_s"})
"""Fields of a part that are for routing and for the bill, or that follow from the text."""

_SOUND_FIELDS = tuple(
    field
    for field in SpeechRequest.__struct_fields__
    if field not in RESOLVED | OF_SPEAKERS | UNHEARD and field != "text"
)

_TAG_DIGITS = 24
_SOUND_REVISION = 2
"""It grows when all engines of a kind sound different, and the version of the server is the same."""


class CacheQuestion(Redacted, msgspec.Struct, frozen=True):
    """A planned request, from which the name and the owner of its clip follow."""

    account: str
    request: SpeechRequest
    plan: SpeechPlan

    @property
    def owner(self) -> ClipOwner:
        has_lexicon = any(part.lexicon.digest for part in self.plan.parts)
        return ClipOwner(self.account, self.plan.voices, has_lexicon)


class ClipNames:
    """The names of clips in the cache. `front_end_revision` gives the revision of a front-end's rules."""

    def __init__(self, secret: bytes, front_end_revision: Callable[[str], str]) -> None:
        self._secret = secret
        self._front_end_revision = front_end_revision
        self._settings: dict[str, str] = {}

    @property
    def folder_id(self) -> str:
        """Tells this data folder from those of other machines with the same database."""
        return self._tag("folder", b"")

    def revise(self, config: Config) -> None:
        """Take the settings of engines and front-ends into the names: other settings may sound different."""
        engines = {
            name: (each.plugin, each.settings, *([each.credentials] if each.credentials else ()))
            for name, each in config.engines.items()
        }
        front_ends = {name: each.settings for name, each in config.plugins_of("front_end").items()}
        self._settings = {
            f"{kind}/{name}": self._tag("settings", msgspec.msgpack.encode(settings, order="deterministic"))
            for kind, sections in (("engine", engines), ("front-end", front_ends))
            for name, settings in sections.items()
        }

    def clip_name(self, question: CacheQuestion, speakers: Sequence[str]) -> str:
        """Return the clip's name if these speakers speak the parts. A speaker is an `engine/model`."""
        return self.with_text(self.without_text(question, speakers), question.request.text)

    def with_text(self, name_without_text: bytes, text: str) -> str:
        return caching.tag(self._secret, name_without_text + msgspec.msgpack.encode(text))

    def without_text(self, question: CacheQuestion, speakers: Sequence[str]) -> bytes:
        """Return everything of the clip's name but the text, which is the same for the next text."""
        request, parts = question.request, question.plan.parts
        voiced = [
            self._speaker_use(request, part, speaker) for part, speaker in zip(parts, speakers, strict=True)
        ]
        # Another version of the server may cut, fit, mark or encode in another way.
        sound = [proxy.__version__, _SOUND_REVISION, *(getattr(request, field) for field in _SOUND_FIELDS)]
        if question.plan.is_checked:
            sound.append("checked")
        if (treatment := question.plan.treatment_of(speakers[0])) is not None:
            sound.append(None if treatment.filter is None else treatment.filter.key)
        return caching.name_without_text(question.account, sound, voiced)

    def _tag(self, kind: str, data: bytes) -> str:
        return caching.tag(self._secret, kind.encode() + b"\0" + data)[:_TAG_DIGITS]

    def _speaker_use(self, request: SpeechRequest, part: Part, speaker: str) -> SpeakerUse:
        candidate = next(each for each in part.candidates if each.speaker == speaker)
        model = candidate.model
        return SpeakerUse(
            start=part.start,
            end=0 if part.end == len(request.text) else part.end,
            language=part.language,
            voice=part.voice.id,
            revision=part.voice.revision,
            model=model.name,
            checkpoint=model.info.digest,
            engine_voice=candidate.voice,
            credential=candidate.credential,
            front_end=candidate.front_end,
            front_end_revision=self._front_end_revision(candidate.front_end),
            settings=(
                self._settings.get(f"engine/{model.engine}", ""),
                self._settings.get(f"front-end/{candidate.front_end}", ""),
            ),
            lexicon=part.lexicon.digest,
            pause_s=part.pause_s,
            emotion=part.emotion,
            instructions=request.instructions if model.info.max_instructions else "",
            extra=extra_of(request.extra, model.info) if request.extra else (),
            post=None if candidate.post is None else self._post_use(request, candidate.post),
        )

    def _post_use(self, request: SpeechRequest, post: PostSpeaker) -> PostUse:
        return PostUse(
            voice=post.named_voice.id,
            revision=post.named_voice.revision,
            model=post.model.name,
            checkpoint=post.model.info.digest,
            engine_voice=post.voice,
            credential=post.credential,
            pitch=post.pitch,
            settings=self._settings.get(f"engine/{post.model.engine}", ""),
            extra=extra_of(request.extra, post.model.info),
        )
