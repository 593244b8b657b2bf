"""How a model speaks a voice: with a binding, with recordings, or with a mix of voices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

import speech_engine
from policies.routing.values import Model, Voice
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples

Lack = Literal["", "length", "text"]
"""What the recordings of a voice lack for a model: they are too short, or nobody has said their words."""


class Speaker(NamedTuple):
    """A voice as one model gets it. With an `obstacle` or a `lack`, the model cannot speak with it."""

    voice: speech_engine.Voice
    credential: str = ""
    obstacle: str = ""
    lack: Lack = ""


def find_speaker(voice: Voice, model: Model) -> Speaker | None:
    """Return how the model speaks the voice, or None if it does not have the voice at all."""
    if voice.members:
        return _find_mix(voice, model)
    binding = voice.on(model.engine)
    if voice.samples and model.info.speaks_samples and (binding is None or binding.obstacle):
        return _speaker_of_samples(model.info, voice.samples)
    if binding is None:
        return None
    return Speaker(binding.voice, binding.credential, binding.obstacle)


def needs_text(infos: Iterable[ModelInfo]) -> bool:
    """Tell whether every model that could speak with a recording must know its words."""
    able = [info for info in infos if info.speaks_samples or is_cloned_for(info)]
    return bool(able) and all(info.needs_sample_text and not is_cloned_for(info) for info in able)


def is_cloned_for(info: ModelInfo) -> bool:
    """Tell whether a voice can be cloned for the model. What speaks from recordings here needs no clone."""
    return info.clones and not (info.is_local and info.speaks_samples)


def may_receive(voice: Voice, model: Model) -> bool:
    """Tell whether the people behind a voice let this engine have it. What is local, nobody else receives."""
    if model.info.is_local:
        return True
    providers = voice.providers
    if providers is not None and model.engine not in providers:
        return False
    return all(may_receive(member, model) for member in voice.members)


def can_mix(voice: Voice, info: ModelInfo) -> bool:
    """Tell whether the model can blend as many voices as this voice has. A single voice needs no blending."""
    return not voice.members or (info.mixes and len(voice.members) <= info.most_mixed)


def _speaker_of_samples(info: ModelInfo, samples: tuple[Sample, ...]) -> Speaker:
    least_s, _ = info.sample_s
    long_enough = tuple(each for each in samples if not each.seconds or each.seconds >= least_s)
    if not long_enough:
        return Speaker(Samples(samples), lack="length")
    with_text = tuple(each for each in long_enough if each.text)
    if info.needs_sample_text and not with_text:
        return Speaker(Samples(long_enough), lack="text")
    return Speaker(Samples(with_text if info.needs_sample_text else long_enough))


def _find_mix(voice: Voice, model: Model) -> Speaker | None:
    """Blend the members. All of them must be on the engine, and with one provider account."""
    speakers = [find_speaker(member, model) for member in voice.members]
    found = [speaker for speaker in speakers if speaker is not None]
    if len(found) < len(speakers):
        return None
    parts: list[tuple[EngineVoice | Samples, float]] = []
    for speaker, (_, weight) in zip(found, voice.mix, strict=True):
        if isinstance(speaker.voice, Mix):
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
    )
