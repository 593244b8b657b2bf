"""The sound of a spoken step, and its row, which the commit of the step's charge adds."""

from __future__ import annotations

import zlib

from msgspec.structs import replace

from proxy.audio.formats import USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.features.jobs.core.records import Job, JobClip, JobStep
from proxy.ledger import Spent
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observer
from proxy.storage.spoken_voices import voices_column

_FRAMED = ("mp3", "aac")


async def collect_sound(answer: Answer) -> bytes:
    """Return the whole sound of an answer, which can then be settled."""
    size = await answer.collect()
    sound = bytearray()
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            sound += data
    sound += answer.last_bytes()
    assert len(sound) == size, "a whole answer has the size that `collect` returned"
    return bytes(sound)


class ClipRow(Observer):
    """Adds the row of a step's sound to the commit of its charge. The attributes are set before it."""

    sound_digest = report_digest = digital_source = fingerprint = ""
    timed_words = 0

    def __init__(self, job: Job, step: JobStep, call: SpeechCall, consent: str | None) -> None:
        self._job = job
        self._step = step
        self._call = call
        self._consent = consent
        self._bytes = self._crc32 = 0
        self._framed_samples: int | None = None

    def measure(self, sound: bytes) -> None:
        """Note the size and the check sum of a sound. If its format has frames, note the samples for which
        they play: an encoder adds silence before and after the sound. This takes long."""
        self._bytes, self._crc32 = len(sound), zlib.crc32(sound)
        format_ = self._call.request.form.format
        if format_ in _FRAMED and (frames := open_frames(USUAL_FORMS[format_])) is not None:
            self._framed_samples = (frames.feed(sound) + frames.flush()).samples

    def opened(self, _call: SpeechCall) -> Observer:
        return self

    def settle(self, spent: Spent) -> Spent:
        row = JobClip(
            step=self._step.id,
            job=self._job.id,
            account=self._job.account,
            number=self._step.number,
            request=self._call.id,
            digest=self.sound_digest,
            bytes=self._bytes,
            samples=spent.samples,
            sample_rate_hz=spent.sample_rate_hz,
            voices=voices_column(self._call.plan.own_voices),
            told=self.report_digest,
            crc32=self._crc32,
            played=spent.samples if self._framed_samples is None else self._framed_samples,
            words=self.timed_words,
            source=self.digital_source,
            consent=self._consent,
            fingerprint=self.fingerprint,
        )
        return replace(spent, rows=(*spent.rows, row))
