"""The filters that a model must pass to speak a request, in their order, and their errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from policies import language
from policies.licence import Licences
from policies.plans import Terms
from policies.routing.speakers import can_mix, find_emotions, find_speaker, may_be_used, may_receive
from policies.routing.values import Model, NoCandidate, RoutingQuery, Voice
from policies.text_tags import EMOTIONS
from speech_engine import ANY_LANGUAGE, Language, ModelInfo

Name = Literal[
    "converts",
    "voice",
    "mix",
    "sample",
    "plan",
    "jobs",
    "licence",
    "consent",
    "language",
    "pitch",
    "emotion",
    "post",
    "ready",
]
"""The name of a filter."""
_READY_AGAIN_S = 5.0
_MOST_LISTED_TAGS = 12
_CONVERTS = "converts recordings, at /v1/audio/conversions"
_SINGLE_WORD = re.compile(r"[\w-]{1,32}")
_KNOWN_FROM = {
    "script": "was detected in the text",
    "detected": "was detected in the text",
    "default": "is the server's default",
}
"""How the language was found, if the request did not name it."""
_COMMON_TAGS = ("en", "zh", "hi", "es", "fr", "ar", "pt", "ru", "de", "ja")


class FilterInput(NamedTuple):
    """The values that every filter reads."""

    voice: Voice
    query: RoutingQuery
    terms: Terms | None
    licences: Licences


class Filter(NamedTuple):
    """`passes` judges one model. `refusal` makes the error if the last models did not pass this filter."""

    name: Name
    passes: Callable[[Model, FilterInput], bool]
    refusal: Callable[[Sequence[Model], FilterInput], NoCandidate]


def only_hear(models: Sequence[Model]) -> bool:
    """Tell whether there are models, and all of them hear and do not speak."""
    return bool(models) and all(model.info.hears and not model.info.speaks for model in models)


def is_allowed(model: Model, terms: Terms) -> bool:
    """Tell whether the plan lets this model speak."""
    if terms.local_only and not model.info.is_local:
        return False
    return terms.engines is None or model.engine in terms.engines


def may_see(model: Model, terms: Terms | None, licences: Licences) -> bool:
    """Tell whether a caller with these terms may see this model. `terms` is None for the public list."""
    if terms is not None and not is_allowed(model, terms):
        return False
    return licences.obstacle(model.engine, model.info, terms is not None and terms.is_paid) is None


def speaks(info: ModelInfo, tag: str) -> bool:
    """Tell whether the model speaks the language well enough. A region falls back to its base language."""
    known = find_language(info, tag)
    return known is not None and known.quality != "poor"


def spoken_languages(info: ModelInfo) -> list[str]:
    """Return the languages that the model speaks well enough. A `*` stands for any."""
    return [known.tag for known in info.languages if known.quality != "poor"]


def find_language(info: ModelInfo, tag: str) -> Language | None:
    # Most tags match exactly. This avoids building a table for a provider with seventy languages.
    for known in info.languages:
        if known.tag == tag:
            return known
    by_tag = {known.tag.lower(): known for known in info.languages}
    return by_tag.get(tag.lower()) or by_tag.get(language.base_tag(tag)) or by_tag.get(ANY_LANGUAGE)


def _does_task(model: Model, inputs: FilterInput) -> bool:
    return model.info.converts if inputs.query.converts else model.info.speaks


def _wrong_task(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    if inputs.query.converts and all(model.info.runner for model in models):
        message = f"{_names(models)} cannot convert recordings: machines that are rented only speak texts."
    elif inputs.query.converts:
        message = f"{_names(models)} cannot convert recordings."
    else:
        hears = all(model.info.hears for model in models)
        where = "transcribes recordings, at /v1/audio/transcriptions" if hears else _CONVERTS
        message = f"{_names(models)} speaks no text: it {where}."
    return NoCandidate("model", "unsupported_model", message)


def _has_voice(model: Model, inputs: FilterInput) -> bool:
    return find_speaker(inputs.voice, model, inputs.query) is not None


def _no_voice(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    voice = inputs.voice
    engines = sorted({binding.engine for binding in voice.bindings})
    if voice.members:
        message = f"{_names(models)} cannot speak with all voices of the mix '{voice.label}' together."
    elif voice.samples and not engines:
        message = f"{_names(models)} cannot speak with '{voice.label}', which is a voice of recordings."
    elif all(model.info.trained_format and not model.info.speaks_samples for model in models):
        message = (
            f"{_names(models)} needs a model that was trained of '{voice.label}'; "
            "POST /v1/audio/voice_models brings one."
        )
    else:
        where = ", ".join(engines) or "no engine"
        message = f"The voice '{voice.label}' is on {where}, not on {_names(models)}."
    return NoCandidate("voice", "voice_not_available", message)


def _can_mix(model: Model, inputs: FilterInput) -> bool:
    if not inputs.voice.members:
        return True
    speaker = find_speaker(inputs.voice, model, inputs.query)
    return can_mix(inputs.voice, model.info) and (speaker is None or speaker.is_distinct)


def _no_mix(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    if able := [model for model in models if can_mix(inputs.voice, model.info)]:
        message = (
            f"{_names(able)} has one and the same voice for several members of the mix: mix voices that are "
            "not each other's aliases."
        )
    else:
        most = max(model.info.most_mixed if model.info.mixes else 0 for model in models)
        message = f"{_names(models)} {f'mixes at most {most} voices' if most else 'cannot mix voices'}."
    return NoCandidate("voice.mix", "unsupported_value", message)


def _has_samples(model: Model, inputs: FilterInput) -> bool:
    speaker = find_speaker(inputs.voice, model, inputs.query)
    return speaker is None or not speaker.lack


def _no_samples(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    first = models[0]
    speaker = find_speaker(inputs.voice, first, inputs.query)
    voice_name = f"'{inputs.voice.label}'"
    emotion = inputs.query.emotion
    for_emotion = ""
    if emotion not in first.info.emotions and emotion in find_emotions(inputs.voice, first):
        for_emotion = f" for '{emotion}'"
    if speaker is not None and speaker.lack == "text":
        do = "its words are being heard" if inputs.voice.awaits_words else "give its text"
        message = f"{first.name} must know the words of the recording of {voice_name}{for_emotion}: {do}."
        return NoCandidate("voice", "reference_text_required", message)
    least_s, most_s = first.info.sample_s
    if speaker is not None and speaker.lack == "limit":
        message = (
            f"{first.name} takes recordings of up to {most_s:g} s with all their words; that of "
            f"{voice_name}{for_emotion} is longer."
        )
        return NoCandidate("voice", "sample_too_long", message)
    message = f"{first.name} needs a recording of {least_s:g} s or more{for_emotion}; {voice_name} has none."
    return NoCandidate("voice", "sample_too_short", message)


def _is_in_plan(model: Model, inputs: FilterInput) -> bool:
    terms = inputs.terms
    if terms is None:
        return True
    if not inputs.query.converts:
        return is_allowed(model, terms)
    price = terms.prices.conversion_price(model.engine, model.info.id)
    return is_allowed(model, terms) and price is not None


def _not_in_plan(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    plan = inputs.terms.plan if inputs.terms else ""
    if inputs.terms is not None and all(is_allowed(model, inputs.terms) for model in models):
        message = f"Your plan '{plan}' has no price for conversions by {_names(models)}."
        return NoCandidate("model", "conversion_not_priced", message, is_forbidden=True)
    message = f"Your plan '{plan}' does not have {_names(models)}."
    return NoCandidate("model", "model_not_allowed", message, is_forbidden=True)


def _is_for_jobs(model: Model, inputs: FilterInput) -> bool:
    return not model.info.runner or (inputs.terms is not None and inputs.terms.is_for_job)


def _only_for_jobs(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    message = f"{_names(models)} is not here all the time, and speaks only for jobs: POST /v1/jobs."
    return NoCandidate("model", "only_for_jobs", message)


def _is_licensed(model: Model, inputs: FilterInput) -> bool:
    is_paid = inputs.terms is not None and inputs.terms.is_paid
    return inputs.licences.obstacle(model.engine, model.info, is_paid) is None


def _not_licensed(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    """Return the error of the first model, which has the highest priority."""
    first = models[0]
    if inputs.licences.obstacle(first.engine, first.info, is_paid=False) is not None:
        message = f"The operator of this server has not accepted the {_licence(first)}."
        return NoCandidate("model", "licence_not_accepted", message, is_forbidden=True)
    plan = inputs.terms.plan if inputs.terms else ""
    message = f"The {_licence(first)} forbids paid use, and your plan '{plan}' is a paid one."
    return NoCandidate("model", "paid_use_forbidden", message, is_forbidden=True)


def _is_agreed(model: Model, inputs: FilterInput) -> bool:
    return (
        may_be_used(inputs.voice, _use(inputs))
        and may_receive(inputs.voice, model)
        and _may_get_recording(model, inputs)
    )


def _use(inputs: FilterInput) -> str:
    return "conversion" if inputs.query.converts else "speech"


def _may_get_recording(model: Model, inputs: FilterInput) -> bool:
    """Return whether the speaker in the recording allows this engine to receive it. No engine of a runner
    converts recordings, so the name of the engine is enough."""
    return model.info.is_local or inputs.query.receivers is None or model.engine in inputs.query.receivers


def _no_consent(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    if not may_be_used(inputs.voice, use := _use(inputs)):
        return no_use(inputs.voice, use)
    engines = ", ".join(dict.fromkeys(model.info.runner or model.engine for model in models))
    if not any(_may_get_recording(model, inputs) for model in models):
        message = f"The consent of who speaks in the recording does not name {engines}."
        return NoCandidate("consent", "consent_not_given", message, is_forbidden=True)
    message = f"The consent of the voice '{inputs.voice.label}' does not name {engines}."
    return NoCandidate("voice", "consent_not_given", message, is_forbidden=True)


def no_use(voice: Voice, use: str) -> NoCandidate:
    """Return the refusal of a voice whose consent does not name this use."""
    message = f"The consent of the voice '{voice.label}' does not name {use}."
    return NoCandidate("voice", "consent_not_given", message, is_forbidden=True)


def _is_spoken(model: Model, inputs: FilterInput) -> bool:
    tag = inputs.query.language
    if inputs.query.converts:
        return True
    speaker = find_speaker(inputs.voice, model, inputs.query)
    return speaks(model.info, tag) and (speaker is None or speaker.is_able)


def _not_spoken(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    known = [f"{model.name} speaks {_tags_text(sorted(spoken_languages(model.info)))}" for model in models]
    message = f"The language '{inputs.query.language}' is not spoken well enough: {'; '.join(known)}."
    return NoCandidate("language", "unsupported_language", message)


def remark_on_guess(query: RoutingQuery) -> str:
    """Return the sentence on a language that neither the request nor the voice named."""
    known_from = _KNOWN_FROM.get(query.source)
    if known_from is None:
        return ""
    if query.by_sentence:
        return (
            f" The language '{query.language}' {known_from}. In place of 'auto', name one language of the "
            f"text; or this server needs a route for '{query.language}' with 'sentences = true'."
        )
    return f" The language '{query.language}' {known_from}; 'language' in the request decides."


def _tags_text(tags: Sequence[str]) -> str:
    """Return all languages if they are few, or else the most common ones."""
    if len(tags) <= _MOST_LISTED_TAGS:
        return ", ".join(tags) or "none"
    usual = [tag for tag in _COMMON_TAGS if tag in tags]
    return f"{len(tags)} languages, among them {', '.join(usual or tags[:3])}"


def _has_pitch(model: Model, inputs: FilterInput) -> bool:
    return model.info.pitch[0] <= inputs.query.pitch <= model.info.pitch[1]


def _no_pitch(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    low, high = models[0].info.pitch
    name = models[0].name
    message = f"'pitch' must be from {low:g} to {high:g} on {name}."
    if low == high:
        message = f"{name} cannot change the pitch: leave out 'pitch', or name another model."
    return NoCandidate("pitch", "unsupported_value", message)


def _has_emotion(model: Model, inputs: FilterInput) -> bool:
    emotion, post = inputs.query.emotion, inputs.query.post
    if emotion is None or (post is not None and post.step.emotion == emotion):
        return True
    return emotion in find_emotions(inputs.voice, model)


def _no_emotion(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    known = ", ".join(find_emotions(inputs.voice, models[0])) or "none"
    emotion, name = inputs.query.emotion or "", models[0].name
    if inputs.voice.is_recorded:
        name = f"{name} with '{inputs.voice.label}'"
    # Only a single word is repeated: anything else might be a text to speak.
    if _SINGLE_WORD.fullmatch(emotion):
        message = f"'emotion' is '{emotion}', which {name} cannot express; it knows: {known}."
    else:
        message = f"'emotion' is not one that {name} can express; it knows: {known}."
    is_saved = bool(inputs.voice.samples and inputs.voice.revision)
    if is_saved and models[0].info.speaks_samples and emotion in EMOTIONS:
        message += f" A recording of it helps: POST /v1/audio/voices/{inputs.voice.id}/samples."
    return NoCandidate("emotion", "unsupported_value", message)


def _can_be_repeated(model: Model, inputs: FilterInput) -> bool:
    post = inputs.query.post
    if post is None:
        return True
    return post.speaker is not None and post.speaker.model.engine != model.engine


def _cannot_be_repeated(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    post = inputs.query.post
    if post is not None and post.error is not None:
        return post.error
    # Both jobs would need a slot of the same engine, and each could wait for the other.
    message = f"{_names(models)} cannot speak what its own engine repeats in the post-step of the route."
    return NoCandidate("model", "unsupported_model", message)


def _is_ready(model: Model, inputs: FilterInput) -> bool:
    speaker = find_speaker(inputs.voice, model, inputs.query)
    return speaker is None or not speaker.obstacle


def _not_ready(models: Sequence[Model], inputs: FilterInput) -> NoCandidate:
    speaker = find_speaker(inputs.voice, models[0], inputs.query)
    why = speaker.obstacle if speaker is not None else ""
    message = f"The voice '{inputs.voice.label}' cannot speak on {models[0].engine} now: {why}."
    return NoCandidate("voice", "voice_not_ready", message, retry_after_s=_READY_AGAIN_S)


def _licence(model: Model) -> str:
    name = f" ({model.info.licence})" if model.info.licence else ""
    return f"licence of {model.name}{name}"


def _names(models: Sequence[Model]) -> str:
    return ", ".join(model.name for model in models)


FILTERS = (
    Filter("converts", _does_task, _wrong_task),
    Filter("voice", _has_voice, _no_voice),
    Filter("mix", _can_mix, _no_mix),
    Filter("sample", _has_samples, _no_samples),
    Filter("plan", _is_in_plan, _not_in_plan),
    Filter("jobs", _is_for_jobs, _only_for_jobs),
    Filter("licence", _is_licensed, _not_licensed),
    Filter("consent", _is_agreed, _no_consent),
    Filter("language", _is_spoken, _not_spoken),
    Filter("pitch", _has_pitch, _no_pitch),
    Filter("emotion", _has_emotion, _no_emotion),
    Filter("post", _can_be_repeated, _cannot_be_repeated),
    Filter("ready", _is_ready, _not_ready),
)
