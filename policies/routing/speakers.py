"""How a model speaks a voice: with what was trained of it, a binding, recordings, or a mix of voices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

import speech_engine
from policies import namesakes
from policies.namesakes import Share
from policies.routing.values import Binding, Model, RoutingQuery, Voice
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples, Trained

MOST_SAMPLES = 4
"""The most recordings with which a voice is spoken, the first ones. While a model listens to a recording of
half a minute, nobody else may be spoken on; and a host has room for ninety, which many voices share."""

Lack = Literal["", "length", "text", "limit"]
"""What the recordings of a voice lack for a model: they are too short, their words are not known, or they
are past its limit: then the model gets a part, and which words are in that is not known."""


class Speaker(NamedTuple):
    """A voice as one model gets it. With an `obstacle` or a `lack`, the model cannot speak with it, nor in
    a text's language unless it `is_able`. `share` is what it has as one of OpenAI's names. A mix is not
    distinct if shares have made two of its members one."""

    voice: speech_engine.Voice
    credential: str = ""
    obstacle: str = ""
    lack: Lack = ""
    is_able: bool = True
    share: Share | None = None
    is_distinct: bool = True

    @property
    def is_of_gender(self) -> bool:
        return self.share is None or self.share.is_of_gender


def find_speaker(voice: Voice, model: Model, query: RoutingQuery) -> Speaker | None:
    """Return how the model speaks the voice in the query's language and emotion, or None if it does not have
    the voice at all."""
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
        return Speaker(binding.voice, binding.credential, binding.obstacle)
    if (share := namesakes.find(binding.shares, query.language)) is None:
        return Speaker(binding.voice, is_able=False)
    return Speaker(EngineVoice(share.voice), share=share)


def find_emotions(voice: Voice, model: Model) -> tuple[str, ...]:
    """Return what the voice can express on the model, each once: what the model can by itself, then the tags
    of the voice's recordings. A mix has those tags that all its voices of recordings have."""
    recorded = [
        each
        for each in voice.members or (voice,)
        if each.samples and _needs_samples(each.on(model.engine), model.info)
    ]
    tags = [dict.fromkeys(sample.tag for sample in each.samples if sample.tag) for each in recorded]
    common = [tag for tag in tags[0] if all(tag in others for others in tags)] if tags else []
    return tuple(dict.fromkeys((*model.info.emotions, *common)))


def needs_text(infos: Iterable[ModelInfo]) -> bool:
    """Tell whether every model that could speak with a recording must know its words."""
    able = [info for info in infos if info.speaks_samples or is_cloned_for(info)]
    return bool(able) and all(info.needs_sample_text and not is_cloned_for(info) for info in able)


def is_cloned_for(info: ModelInfo) -> bool:
    """Tell whether a voice can be cloned for the model. What speaks from recordings here needs no clone."""
    return info.clones and not (info.is_local and info.speaks_samples)


def may_receive(voice: Voice, model: Model) -> bool:
    """Tell whether the people behind a voice let this engine have it, or the runner that works for it. A
    local engine always may."""
    if model.info.is_local:
        return True
    providers = voice.providers
    if providers is not None and (model.info.runner or model.engine) not in providers:
        return False
    return all(may_receive(member, model) for member in voice.members)


def may_be_used(voice: Voice, use: str) -> bool:
    """Tell whether the people behind a voice have agreed to this use of it."""
    if voice.uses is not None and use not in voice.uses:
        return False
    return all(may_be_used(member, use) for member in voice.members)


def can_mix(voice: Voice, info: ModelInfo) -> bool:
    """Tell whether the model can blend as many voices as this voice has. A single voice needs no blending."""
    return not voice.members or (info.mixes and len(voice.members) <= info.most_mixed)


def _is_recorded_in(emotion: str | None, voice: Voice, model: Model) -> bool:
    """Tell whether only the voice's recordings have this emotion: what was trained of them has none."""
    if emotion is None or emotion in model.info.emotions:
        return False
    has_tag = any(sample.tag == emotion for sample in voice.samples)
    return has_tag and _needs_samples(voice.on(model.engine), model.info)


def _needs_samples(binding: Binding | None, info: ModelInfo) -> bool:
    """Tell whether a model speaks a voice of recordings by them: a clone that is ready goes before."""
    return info.speaks_samples and (binding is None or bool(binding.obstacle))


def _speaker_of_samples(info: ModelInfo, recorded: tuple[Sample, ...], emotion: str | None) -> Speaker:
    """Give the model the recordings of one tag and never a blend of several: those of the emotion, or the
    plain ones if there is none, or if the model can express it by itself."""
    tag = "" if emotion is None or emotion in info.emotions else emotion
    plain = tuple([each for each in recorded if not each.tag])
    # Without the emotion, the plain ones are judged: it is for the filter of emotions to refuse it.
    samples = tuple([each for each in recorded if each.tag == tag]) or plain
    least_s, most_s = info.sample_s
    long_enough = tuple(each for each in samples if not each.seconds or each.seconds >= least_s)
    if not long_enough:
        return Speaker(Samples(samples), lack="length")
    usable = tuple(replace(each, text="") if each.speech_s > most_s else each for each in long_enough)
    if not info.needs_sample_text:
        return Speaker(Samples(usable[:MOST_SAMPLES]))
    if with_text := tuple(each for each in usable if each.text):
        return Speaker(Samples(with_text[:MOST_SAMPLES]))
    return Speaker(Samples(usable), lack="limit" if any(each.text for each in long_enough) else "text")


def _find_mix(voice: Voice, model: Model, query: RoutingQuery) -> Speaker | None:
    """Blend the members. All of them must be on the engine, and with one provider account. What was trained
    of one cannot be blended, but its recordings can."""
    speakers = [_find_untrained(member, model, query) for member in voice.members]
    found = [speaker for speaker in speakers if speaker is not None]
    if len(found) < len(speakers):
        return None
    parts: list[tuple[EngineVoice | Samples, float]] = []
    for speaker, (_, weight) in zip(found, voice.mix, strict=True):
        if isinstance(speaker.voice, (Mix, Trained)):
            return None
        parts.append((speaker.voice, weight))
    credentials = {speaker.credential for speaker in found if speaker.credential}
    if len(credentials) > 1:
        return None
    return Speaker(
        Mix(tuple(parts)),
        next(iter(credentials), ""),
        next((speaker.obstacle for speaker in found if speaker.obstacle), ""),
        next((speaker.lack for speaker in found if speaker.lack), ""),
        all(speaker.is_able for speaker in found),
        is_distinct=_are_distinct(found),
    )


def _are_distinct(speakers: Sequence[Speaker]) -> bool:
    """Tell whether no share is a voice that another member is too. What the configuration repeats may be."""
    voices = [speaker.voice for speaker in speakers]
    return all(speaker.share is None or voices.count(speaker.voice) == 1 for speaker in speakers)
