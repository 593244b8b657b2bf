"""The job that an engine gets for a part of a request: the text to speak, or the sound to repeat."""

from __future__ import annotations

import time

from policies import estimate, segments
from policies.routing import Candidate
from proxy.audio.formats import OutputForm
from proxy.audio.frames import COUNTED_FORMATS
from proxy.speech.call import PartRun, PreparedText, SpeechCall
from proxy.speech.client_fields import decode_extra, extra_of
from speech_engine import SpeechJob, UnsupportedInstructions, Urgency


def job_of(
    call: SpeechCall, run: PartRun, candidate: Candidate, text: PreparedText, form: OutputForm
) -> SpeechJob:
    """Return the job of a candidate for its text of a part, in this form. Raises EngineError if the candidate
    takes fewer instructions."""
    request, part = call.request, run.part
    info = candidate.model.info
    native_speed = min(max(request.speed, info.speed[0]), info.speed[1])
    factor = request.speed / native_speed
    urgency, plays_in_s, follows_s = urgency_of(call, run, candidate, time.monotonic())
    instructions = request.instructions if info.max_instructions else ""
    if len(instructions) > info.max_instructions:
        raise UnsupportedInstructions(
            f"Invalid 'instructions': this model takes up to {info.max_instructions} characters of them."
        )
    # The repetition of a recording is about as long as the recording.
    cap_s = estimate.cap_seconds(text.estimated_s)
    if run.source is not None:
        cap_s = estimate.most_repetition_s(run.source.seconds)
    # The last engine decides the form of the sound.
    recording_info = candidate.models[-1].info
    can_pass_through = (
        factor == 1.0
        and form.format in recording_info.formats
        # The bits of the model's own encoding are not known.
        and (form.is_usual or (form.kbit_s is None and form.sample_rate_hz == recording_info.encoded_hz))
        and form.format in COUNTED_FORMATS
    )
    return SpeechJob(
        id=call.id,
        tenant=call.caller.account,
        estimated_s=text.estimated_s,
        share=call.plan.terms.share,
        model=info.id,
        voice=candidate.voice,
        segments=segments.fit_segments(text.segments, info.max_characters),
        language=part.language,
        speed=native_speed,
        pitch=0.0 if "pitch" in candidate.ignores else request.pitch,
        # If the model lacks the emotion, `candidate.voice` has recordings of it.
        emotion=part.emotion if part.emotion in info.emotions else None,
        seed=((request.seed or 0) + run.retries) % 2**32 if run.retries and info.seeds else request.seed,
        formats=(form.format,) if can_pass_through else (),
        # The cap is on the sound that a listener hears. If that is slowed down later, the engine makes less.
        max_samples=round(cap_s * info.sample_rate_hz * factor),
        pronunciations=text.pronunciations.get(info.phonemes, ()),
        credential=candidate.credential,
        of_job=call.job,
        # Each part of a cast is a separate piece of the step, and each try of a part is one of its own.
        step=f"{call.step}.{run.number}{f'.{run.retries}' if run.retries else ''}" if call.job else "",
        urgency=urgency,
        plays_in_s=plays_in_s,
        plays_rate=factor,
        follows_s=follows_s,
        instructions=instructions,
        extra=decode_extra(extra_of(request.extra, info)) if request.extra else {},
        # A retry without a seed does not go whole: its text is cut in another way, so its speech differs.
        goes_whole=call.plan.is_checked_first(run.number) and (info.seeds or not run.retries),
    )


def urgency_of(
    call: SpeechCall, run: PartRun, candidate: Candidate, now: float
) -> tuple[Urgency, float, float]:
    """Return `urgency`, `plays_in_s` and `follows_s` of a part's `SpeechJob` at the moment `now`.

    `now` is a moment of `time.monotonic`, and the lengths are estimates. An engine serves the most urgent job
    first.
    """
    follows_s = 0.0
    for later in call.totals.parts[run.number + 1 :]:
        if later.candidates[0].model.engine == candidate.model.engine:  # it is likely to speak that, too
            follows_s += later.estimated_s
    if call.job or call.is_idle:
        return "idle", 0.0, follows_s
    if call.goes_whole:
        return "whole", 0.0, follows_s
    if run.plays_at is not None and run.plays_at > now:
        return "ahead", run.plays_at - now, follows_s
    if run.number == 0:
        return "live", 0.0, follows_s
    return "ahead", max(0.0, _begins_at(call, run, now) - now), follows_s


def _begins_at(call: SpeechCall, run: PartRun, now: float) -> float:
    """Return the moment at which the listener hears the first sound of a part, by an estimate."""
    totals = call.totals
    began = now if totals.first_byte_ms is None else totals.began + totals.first_byte_ms / 1000
    if run.begins is not None:
        return began + run.begins / totals.sample_rate_hz
    part_before = totals.parts[run.number - 1]
    made_s = 0.0 if totals.check is None else totals.check.lengths_s[part_before.number]
    length_s = (made_s or part_before.estimated_s) + part_before.part.pause_s
    return began + (part_before.begins or 0) / totals.sample_rate_hz + length_s
