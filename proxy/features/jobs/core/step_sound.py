"""The sound of a spoken step, and its row, which the commit of the step's charge adds."""

from __future__ import annotations

from msgspec.structs import replace

from proxy.audio.formats import SAMPLE_BYTES, USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.audio.sound import SilentEnds
from proxy.features.jobs.core.records import JobClip
from proxy.ledger import Spent
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observer

_FRAMED = ("mp3", "aac")


async def collect_sound(answer: Answer) -> bytes:
    """Return the whole sound of an answer, which can then be settled."""
    size = await answer.collect_file()
    sound = bytearray()
    with answer.reading():
        while (data := await answer.next_chunk()) is not None:
            sound += data
    sound += answer.last_bytes()
    assert len(sound) == size, "a whole answer has the size that `collect` returned"
    return bytes(sound)


def framed_samples(sound: bytes, format_: str) -> int:
    """Return the samples for which the frames of a sound play: an encoder adds silence around it. 0: the
    format has no frames."""
    frames = open_frames(USUAL_FORMS[format_]) if format_ in _FRAMED else None
    return 0 if frames is None else (frames.feed(sound) + frames.flush()).samples


def silent_ends_ms(sound: bytes, call: SpeechCall) -> tuple[int, int]:
    """Return the silence that engines left at both ends of PCM, without the pause that the text requests at
    its end. Clips in other formats are joined without pauses."""
    form, ends = call.request.form, SilentEnds(cuts_head=True, cuts_tail=True)
    kept = ends.cut_ends(sound) if form.format == "pcm" else sound
    tail_ms = ((len(sound) - len(kept)) // SAMPLE_BYTES - ends.cut_samples) * 1000 // form.sample_rate_hz
    spoken = [run.part.requested_pause_s for run in call.totals.parts if not run.is_passed_over]
    requested_ms = round(spoken[-1] * 1000) if spoken else 0
    return ends.cut_samples * 1000 // form.sample_rate_hz, max(0, tail_ms - requested_ms)


class ClipRow(Observer):
    """Adds the row of a step's sound to the commit of the step's charge. Set `clip` before the answer is
    settled."""

    clip: JobClip

    def opened(self, _call: SpeechCall) -> Observer:
        return self

    def settle(self, spent: Spent) -> Spent:
        played = self.clip.played or spent.samples
        row = replace(self.clip, samples=spent.samples, sample_rate_hz=spent.sample_rate_hz, played=played)
        return replace(spent, rows=(*spent.rows, row))
