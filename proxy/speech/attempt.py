"""One try of an engine for a part of a request, and its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from policies.price import Rate
from policies.routing import Model
from proxy.audio.frames_mp3 import Original
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.ledger import SpentAttempt
from proxy.speech.deadline import AudioTimeout
from speech_engine import EngineError, EngineFailed, EngineTimeout, EngineUnavailable, SpeechJob


class AttemptOutput(Protocol):
    """The output of one attempt so far, as its stream counts it."""

    @property
    def seconds(self) -> float: ...

    @property
    def units(self) -> float | None: ...

    @property
    def has_manifest(self) -> bool:
        """Whether the provider signed its sound. The manifest is valid only for the provider's own file."""
        ...

    @property
    def original(self) -> Original | None:
        """The rest of that file besides the sound, if the request has `provenance`."""
        ...


class RepeatedSound(Protocol):
    """The sound that an engine repeats: a recording, or the speech of another engine so far."""

    @property
    def seconds(self) -> float: ...

    @property
    def was_read_to_the_end(self) -> bool:
        """Whether the engine has heard its end."""
        ...


class RepeaterAway(EngineUnavailable):
    """The repeating engine is away, busy or unable. No other candidate that it repeats is tried."""


class Attempt(msgspec.Struct, kw_only=True):
    """One try of one engine, for the part with this number. It repeats the `given_sound`, if there is one.

    `was_dispatched` is true while the engine has the job, unless it reported that it did nothing. Before, the
    job waits in the server's own queue, and no provider bills for it. A dispatch moves the `deadline`.
    """

    part: int
    model: Model
    characters: int
    output: AttemptOutput
    rate: Rate | None = None
    given_sound: RepeatedSound | None = None
    was_dispatched: bool = False
    deadline: AudioTimeout | None = None

    def watch(self, deadline: AudioTimeout, engine: object, job: SpeechJob, race_s: float) -> None:
        """Limit the silence of a provider: see `most_silence_s`. It begins when it has all of the sound."""
        info = self.model.info
        if isinstance(engine, CloudEngine) and not info.is_local:
            self.deadline, deadline.first_bytes_s = deadline, engine.first_bytes_s
            deadline.silent_s = engine.most_silence_s(job, race_s, info.first_audio_s or 0.0)

    def note_dispatch(self, is_dispatched: bool) -> float | None:
        self.was_dispatched = is_dispatched
        has_all = self.given_sound is None or self.given_sound.was_read_to_the_end
        return self.deadline.limit_silence(is_dispatched) if self.deadline and has_all else None

    def spent(self) -> SpentAttempt:
        # There is nothing to bill while an engine that hears all first has not heard the end.
        is_hearing = (
            self.given_sound is not None
            and self.model.info.hears_all_first
            and not self.given_sound.was_read_to_the_end
        )
        has_begun = self.was_dispatched and not is_hearing
        was_submitted = has_begun and self.model.info.billed_on_submit
        sound_s = self.given_sound.seconds if self.given_sound is not None and was_submitted else 0.0
        seconds, units = max(self.output.seconds, sound_s), self.output.units
        if units is None and self.given_sound is not None and has_begun:
            # It was cut off before the provider's count, and a recording has no characters to count.
            units_a_minute = self.model.info.units_a_minute
            units = None if units_a_minute is None else units_a_minute * seconds / 60
        return SpentAttempt(
            engine=self.model.engine,
            model=self.model.info.id,
            characters=self.characters,
            seconds=seconds,
            units=units,
            rate=self.rate if has_begun else None,
            was_submitted=was_submitted,
        )


def error_details(id_: str, model: str, error: EngineError) -> dict[str, str]:
    return {"request": id_, "model": model, "error": type(error).__name__, "reason": error.reason}


def note_refusal(attempts: Sequence[Attempt], outputs: Sequence[object], error: EngineError) -> None:
    """Note that no provider bills for a refused text, unless there is some output or a count of units."""
    if isinstance(error, (EngineFailed, EngineTimeout)):
        return
    for each in attempts:
        if each.output in outputs:
            each.was_dispatched &= each.output.units is not None or each.output.seconds > 0
