"""What an operator sets of a batch, and what a job's listener expects of it."""

from __future__ import annotations

from typing import Annotated

import msgspec

from speech_engine.host.continuity import Listener, Order
from speech_engine.values import SpeechJob

_Count = Annotated[int, msgspec.Meta(ge=1)]


class BatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an operator may set of a batch; an engine's own settings inherit it.

    `slots` listeners are admitted, `rows` segments are in the model's memory, and `width` of them take part
    in a step: never more than `rows`. `first_audio_s` is the time in which a new listener should hear
    something. The `order` of steps is by slack; `fifo` is there to compare.
    """

    slots: _Count = 24
    rows: _Count = 32
    width: _Count = 16
    joins_per_step: _Count = 2
    first_audio_s: Annotated[float, msgspec.Meta(gt=0.0)] = 0.3
    order: Order = "slack"


def listener_of(job: SpeechJob, settings: BatchSettings, now: float) -> Listener:
    """Return the listener to a job that comes now. Its segments are as long as their texts say."""
    characters = sum(len(segment.spoken) for segment in job.segments) or 1
    second_a_character = job.estimated_s / characters
    return Listener(
        job.urgency,
        now,
        settings.first_audio_s,
        [len(segment.spoken) * second_a_character for segment in job.segments],
        job.plays_in_s,
        job.plays_rate,
        job.follows_s,
    )
