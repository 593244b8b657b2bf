"""When a listener hears a part, so that an engine that speaks for many knows whom to serve first."""

from __future__ import annotations

import msgspec

from policies.routing import Candidate
from proxy.speech.call import PartRun, SpeechCall
from speech_engine import Urgency


class Listening(msgspec.Struct, frozen=True):
    """The fields of a job that say who waits for it: see `SpeechJob`."""

    urgency: Urgency
    plays_in_s: float
    follows_s: float


def listening_to(call: SpeechCall, run: PartRun, candidate: Candidate, now: float) -> Listening:
    """Return who waits for a part at `now`, a moment of `time.monotonic`. The lengths are estimates."""
    follows_s = 0.0
    for later in call.tally.parts[run.number + 1 :]:
        if later.candidates[0].model.engine == candidate.model.engine:  # it is likely to speak that, too
            follows_s += later.estimated_s
    if call.is_idle:
        return Listening("idle", 0.0, follows_s)
    if call.goes_whole:
        return Listening("whole", 0.0, follows_s)
    if run.number == 0:
        return Listening("live", 0.0, follows_s)
    return Listening("ahead", max(0.0, _heard_from(call, run, now) - now), follows_s)


def _heard_from(call: SpeechCall, run: PartRun, now: float) -> float:
    tally = call.tally
    began = now if tally.first_byte_ms is None else tally.began + tally.first_byte_ms / 1000
    if run.begins is not None:
        return began + run.begins / tally.sample_rate_hz
    before = tally.parts[run.number - 1]
    return began + (before.begins or 0) / tally.sample_rate_hz + before.estimated_s + before.part.pause_s
