"""The post-step of a route: its model and voice, and the two engines of a candidate that has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from policies import provider_waits
from policies.routing import Binding, Candidate, FoundStep, Model, PostSpeaker, PostStep, Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.config.reader import did_you_mean
from proxy.engines.source import LiveEngine
from proxy.speech.attempt import Attempt
from proxy.speech.candidate_stream import CandidateStream
from proxy.speech.client_fields import Extra, decode_extra, extra_of
from proxy.speech_steps.post_stream import FirstSpeech, PostStream, as_server_fault
from speech_engine import Convert, EngineUnavailable, EngineVoice, Speak, SpeechJob
from speech_engine.host.engine_stream import EngineStream


def find_step(
    step: PostStep,
    engines: Mapping[str, LiveEngine],
    operator_voices: Mapping[str, Voice],
    configured: Voice | None,
) -> FoundStep:
    """Find the model and the voice of a step: a saved or configured voice of the operator, or one of the
    engine.

    `operator_voices` are the operator's saved voices by id and name. `configured` is the configured voice of
    this name. An account's own voices never count, because the step is the operator's.
    """
    name, _, id_ = step.engine.partition("/")
    if name not in engines:
        return FoundStep(step, lack=f"no [engines.{name}] for {step.engine}")
    engine = engines[name]
    models = [Model(name, info) for info in engine.models()]
    if not models:
        return FoundStep(step, lack=f"{name} is {engine.state}, so {step.engine} is not there")
    named = [model for model in models if model.info.id == id_] if id_ else models
    if not named:
        known = [model.info.id for model in models]
        return FoundStep(step, lack=f"{name} has no model of {step.engine!r}; {did_you_mean(id_, known)}")
    # An engine stands for the first of its models that can do it.
    model = next((each for each in named if each.info.converts), named[0])
    voice = operator_voices.get(step.voice) or configured or _find_engine_voice(name, engine, step.voice)
    if voice is None:
        return FoundStep(step, model, lack=f"there is no voice {step.voice!r} for {model.name}")
    return FoundStep(step, model, voice)


def _find_engine_voice(name: str, engine: LiveEngine, written: str) -> Voice | None:
    """Return a voice of the engine by its id or `engine/id`, or None if the engine surely lacks it.
    One whose `unlisted_voices` is None may have any."""
    id_ = written.removeprefix(f"{name}/")
    unlisted = engine.unlisted_voices
    if unlisted is not None and id_ not in unlisted and all(info.id != id_ for info in engine.voices()):
        return None
    return Voice(id=f"{name}/{id_}", name=id_, bindings=(Binding(name, EngineVoice(id_)),))


def open_post(
    catalogue: Catalogue,
    attempts: list[Attempt],
    attempt: Attempt,
    stream: CandidateStream,
    job: SpeechJob,
    fields: Extra,
) -> tuple[EngineStream, FirstSpeech]:
    """Open the engine of an attempt, and at its first sound the one that repeats it, as another attempt.

    Return the events, and the sound that they repeat. `fields` are the engine-specific ones of the request:
    each engine gets its own. Raises RepeaterAway if the repeating engine is known to be away, before speech
    is paid for.
    """
    candidate, engines = stream.candidate, catalogue.live
    post = candidate.post
    assert post is not None
    extra = decode_extra(extra_of(fields, post.model.info))
    try:
        engines[post.model.engine].check_available(Convert(_post_job(job, candidate, post, extra)))
    except EngineUnavailable as error:
        raise as_server_fault(error) from None

    def open_second(spoken: FirstSpeech) -> EngineStream:
        stream.deadline.end_silence()
        second = Attempt(
            part=attempt.part,
            model=post.model,
            characters=0,
            output=stream,
            rate=catalogue.provider_rate(post.model),
            given_sound=spoken,
        )
        attempts.append(second)
        second_job = _post_job(stream.job_with_deadline(), candidate, post, extra)
        engine = engines[post.model.engine]
        second.watch(stream.deadline, engine, second_job, provider_waits.LAST_SILENT_S)
        return engine.open(Convert(second_job), second.note_dispatch, spoken)

    first = engines[candidate.model.engine].open(Speak(_first_job(job, candidate)), attempt.note_dispatch)
    events = PostStream(first, open_second, hears_all_first=post.model.info.hears_all_first, options=extra)
    attempt.output = events.spoken
    return events, events.spoken


def _first_job(job: SpeechJob, candidate: Candidate) -> SpeechJob:
    """Return the job of the engine that speaks. A base voice keeps its pitch: its repetition changes it."""
    return replace(job, formats=(), pitch=0.0 if candidate.base else job.pitch)


def _post_job(job: SpeechJob, candidate: Candidate, post: PostSpeaker, extra: dict[str, Any]) -> SpeechJob:
    """Return the job of the engine that repeats a candidate's speech: about as long, without a text."""
    most, stated_hz = job.max_samples, candidate.model.info.sample_rate_hz
    return replace(
        job,
        model=post.model.info.id,
        voice=post.voice,
        segments=(),
        speed=1.0,
        pitch=post.pitch,
        emotion=None,
        max_samples=None if most is None else round(most * post.model.info.sample_rate_hz / stated_hz),
        pronunciations=(),
        credential=post.credential,
        # It never works on a remote machine, which finds a step by its name.
        step="",
        follows_s=0.0,
        instructions="",
        extra=extra,
    )
