"""The form of a voice on a model: a trained model, a binding, recordings, or a mix of voices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from msgspec.structs import replace

import speech_engine
from policies import namesakes
from policies.namesakes import NameShare
from policies.routing.values import Binding, Model, RoutingQuery, Voice
from policies.sample_quality import PART_S
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples, Trained
from speech_engine.names import StandsIn

MOST_SAMPLES = 4
"""The most recordings of a voice that a model gets. Each one takes the time of a slot, and memory of a host,
which holds ninety recordings for all voices."""

Lack = Literal["", "length", "text", "limit"]
"""The reason why a model cannot use the recordings of a voice: they are too short (`length`), their words
are unknown (`text`), or they are too long (`limit`), and the words of the part that is used are unknown."""


class Speaker(NamedTuple):
    """A voice in the form that one model gets.

    With an `obstacle` or a `lack`, the model cannot speak with it. If not `is_able`, the voice does not speak
    the language of the text. `share` is the engine's voice behind one of OpenAI's names. A mix is not
    `is_distinct` if its shares give two members the same voice. `stands_in` is as in `KnownName`. A share
    that stands in comes after all voices of the right gender.
    """

    voice: speech_engine.Voice
    credential: str = ""
    obstacle: str = ""
    lack: Lack = ""
    is_able: bool = True
    share: NameShare | None = None
    is_distinct: bool = True
    stands_in: StandsIn = ""

    @property
    def is_of_gender(self) -> bool:
        share = self.share
        return self.stands_in != "other_gender" and (not share or (share.is_of_gender and not self.stands_in))


def find_speaker(voice: Voice, model: Model, query: RoutingQuery) -> Speaker | None:
    """Return how the model speaks the voice in the query's language and emotion. Return None if the model
    does not have the voice."""
    if voice.members:
        return _find_mix(voice, model, query)
    digest = voice.trained_for(model.info)
    if digest and not _is_recorded_in(query.emotion, voice, model):
        return Speaker(Trained(digest, is_operators=voice.account is None))
    return _find_untrained(voice, model, query)


def _find_untrained(voice: Voice, model: Model, query: RoutingQuery) -> Speaker | None:
    binding = voice.on(model.engine)
    if voice.samples and _needs_samples(binding, model.info):
        return _speaker_of_samples(model.info, voice.samples, query.emotion)
    if binding is None:
        return None
    if not binding.shares:
        return Speaker(binding.voice, binding.credential, binding.obstacle, stands_in=binding.stands_in)
    if (share := namesakes.find_share(binding.shares, query.language)) is None:
        return Speaker(binding.voice, is_able=False)
    gender: StandsIn = "same_gender" if share.is_of_gender else "other_gender"
    return Speaker(EngineVoice(share.voice), share=share, stands_in=binding.stands_in and gender)


def find_emotions(voice: Voice, model: Model) -> tuple[str, ...]:
    """Return the emotions of the voice on the model, each once: those of the model, then the tags of the
    voice's recordings. A mix has the tags that all its recorded voices share."""
    recorded = [
        each
        for each in voice.members or (voice,)
        if each.samples and _needs_samples(each.on(model.engine), model.info)
    ]
    tags = [dict.fromkeys(sample.tag for sample in each.samples if sample.tag) for each in recorded]
    common = [tag for tag in tags[0] if all(tag in others for others in tags)] if tags else []
    return tuple(dict.fromkeys((*model.info.emotions, *common)))


def needs_text(infos: Iterable[ModelInfo]) -> bool:
    """Return whether every model that could use a recording must know its words."""
    able = [info for info in infos if info.speaks_samples or is_cloned_for(info)]
    return bool(able) and all(info.needs_sample_text and not is_cloned_for(info) for info in able)


def is_cloned_for(info: ModelInfo) -> bool:
    """Return whether a voice can be cloned for the model. A local model that speaks samples needs none."""
    return info.clones and not (info.is_local and info.speaks_samples)


def may_receive(voice: Voice, model: Model) -> bool:
    """Return whether the consent of a voice allows this engine, or its runner, to receive it. A local engine
    is always allowed."""
    if model.info.is_local:
        return True
    providers = voice.providers
    if providers is not None and (model.info.runner or model.engine) not in providers:
        return False
    return all(may_receive(member, model) for member in voice.members)


def may_be_used(voice: Voice, use: str) -> bool:
    """Return whether the consent of a voice, and of all its members, allows this use."""
    if voice.uses is not None and use not in voice.uses:
        return False
    return all(may_be_used(member, use) for member in voice.members)


def can_mix(voice: Voice, info: ModelInfo) -> bool:
    """Return whether the model can blend as many voices as this voice has."""
    return not voice.members or (info.mixes and len(voice.members) <= info.most_mixed)


def _is_recorded_in(emotion: str | None, voice: Voice, model: Model) -> bool:
    """Return whether only the voice's recordings have this emotion. A trained model has no emotions."""
    if emotion is None or emotion in model.info.emotions:
        return False
    has_tag = any(sample.tag == emotion for sample in voice.samples)
    return has_tag and _needs_samples(voice.on(model.engine), model.info)


def _needs_samples(binding: Binding | None, info: ModelInfo) -> bool:
    """Return whether a model speaks a voice from its recordings. A clone that is ready has priority."""
    return info.speaks_samples and (binding is None or bool(binding.obstacle))


def _speaker_of_samples(info: ModelInfo, recorded: tuple[Sample, ...], emotion: str | None) -> Speaker:
    """Return the recordings of one tag. They are those of the emotion, or the plain ones if there are none
    or if the model can express the emotion itself."""
    tag = "" if emotion is None or emotion in info.emotions else emotion
    plain = tuple([each for each in recorded if not each.tag])
    # If the emotion has no recording, the filter of emotions refuses it. Here the plain ones are judged.
    samples = tuple([each for each in recorded if each.tag == tag]) or plain
    least_s, most_s = info.sample_s
    long_enough = tuple(each for each in samples if not each.seconds or each.seconds >= least_s)
    if not long_enough:
        return Speaker(Samples(samples), lack="length")
    has_part = info.needs_sample_text and most_s >= PART_S
    usable = tuple(
        replace(each, text=each.part if has_part else "", part="") if each.speech_s > most_s else each
        for each in long_enough
    )
    if not info.needs_sample_text:
        return Speaker(Samples(usable[:MOST_SAMPLES]))
    if with_text := tuple(each for each in usable if each.text):
        return Speaker(Samples(with_text[:MOST_SAMPLES]))
    return Speaker(Samples(usable), lack="limit" if any(each.text for each in long_enough) else "text")


def _find_mix(voice: Voice, model: Model, query: RoutingQuery) -> Speaker | None:
    """Blend the members. All must be on the engine, under one provider account. A trained model cannot be
    blended, but the recordings of its voice can."""
    speakers = [_find_untrained(member, model, query) for member in voice.members]
    found = [speaker for speaker in speakers if speaker is not None]
    if len(found) < len(speakers):
        return None
    parts: list[tuple[EngineVoice | Samples, float]] = []
    for speaker, (_, weight) in zip(found, voice.mix, strict=True):
        if isinstance(speaker.voice, (Mix, Trained)):
            return None
        parts.append((speaker.voice, weight))
    voices = [speaker.voice for speaker in found]
    credentials = {speaker.credential for speaker in found if speaker.credential}
    if len(credentials) > 1:
        return None
    return Speaker(
        Mix(tuple(parts)),
        credential=next(iter(credentials), ""),
        obstacle=next((speaker.obstacle for speaker in found if speaker.obstacle), ""),
        lack=next((speaker.lack for speaker in found if speaker.lack), ""),
        is_able=all(speaker.is_able for speaker in found),
        # The configuration may repeat a voice, but a share must not be the voice of another member.
        is_distinct=all(each.share is None or voices.count(each.voice) == 1 for each in found),
    )
