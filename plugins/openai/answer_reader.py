"""Turn the bytes of a server's answers into events. They are in the requested format, or WAV."""

from __future__ import annotations

import re

from plugins.openai import kinds
from plugins.openai.refusals import error_in_place_of_audio, read_refusal
from plugins.openai.settings import PASSED_ON, Format
from plugins.openai.wav import LEAST_HZ, MOST_HZ, WavBody
from speech_engine import Audio, Encoded, EngineFailed, Event, SpeechJob, Started
from speech_engine.pcm import PcmPieces

_LONGEST_REFUSAL = 64 * 1024
_PCM_LABELS = ("audio/pcm", "audio/l16")
_LABEL_VALUE = re.compile(r"\b(rate|channels)=\"?([0-9]{1,9})\b")


class AnswerReader:
    """A reader of one job's answers. Each call is one `begin`, a `feed` for each piece, and one `end`."""

    def __init__(self, job: SpeechJob, format_: Format, stated_hz: int) -> None:
        self.is_full = False
        """Whether the job has all samples that it may get. The rest of the answer need not come."""
        self._format = format_
        self._most_samples = job.max_samples
        self._stated_hz = stated_hz
        self._pcm_hz = stated_hz
        self._started_hz = 0
        self._pieces: PcmPieces | None = None
        self._segment = 0
        self._head = b""
        self._kind = ""  # not known yet; later a format, "wav" or "text"
        self._wav: WavBody | None = None

    def state_rate(self, content_type: str) -> None:
        """Take the rate of `pcm` from a label that has one, such as `audio/pcm;rate=24000;channels=1`."""
        kind, _, parameters = content_type.partition(";")
        if self._format != "pcm" or kind.strip().lower() not in _PCM_LABELS:
            return
        values = dict(_LABEL_VALUE.findall(parameters))
        if values.get("channels", "1") != "1":
            raise EngineFailed("The provider's audio is not mono.")
        if (rate := int(values.get("rate", 0))) and not LEAST_HZ <= rate <= MOST_HZ:
            raise EngineFailed(f"The provider's audio has {rate} samples a second.")
        self._pcm_hz = rate or self._stated_hz

    def begin(self, segment: int) -> None:
        self._segment = segment
        self._head, self._kind, self._wav = b"", "", None
        if self._pieces is not None:
            self._pieces.begin()

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that these bytes complete.

        If the answer is not audio, this raises EngineFailed, or the error that a refusal names. It does so
        before any event of the call.
        """
        if self._kind == "":
            self._head += data
            if len(self._head) < kinds.HEAD_BYTES:
                return []
            data = self._decide_kind()
        return self._events(data)

    def end(self) -> list[Event]:
        events: list[Event] = []
        if self.is_full:
            return events
        if self._kind == "":
            if not self._head:
                raise EngineFailed("The provider answered without any audio.")
            events = self._events(self._decide_kind())
        if self._kind == "text":
            raise error_in_place_of_audio(read_refusal(self._head))
        if self._wav is not None and not self._wav.has_begun:
            raise EngineFailed("The provider's WAV ended in its header.")
        return events

    def _decide_kind(self) -> bytes:
        """Decide what kind of answer this is, and return the bytes that decided it."""
        head = self._head
        if self._format in kinds.CODED and kinds.CODED[self._format](head):
            self._kind = self._format
        elif kinds.is_text(head):
            self._kind = "text"
            return b""
        elif kinds.is_wav(head):
            self._kind = "wav"
        elif self._format == "pcm" and kinds.may_be_pcm(head):
            self._kind = "pcm"
        else:
            wanted = self._format
            raise EngineFailed(f"The provider was asked for {wanted}, and answered with something else.")
        return head

    def _events(self, data: bytes) -> list[Event]:
        if self._kind in PASSED_ON:
            events: list[Event] = (
                [] if self._started_hz == self._stated_hz else self._start_events(self._stated_hz)
            )
            if data:
                events.append(Encoded(self._kind, data))
            return events
        if self._kind == "text":
            self._head += data
            if len(self._head) > _LONGEST_REFUSAL:
                raise error_in_place_of_audio(read_refusal(b""))
            return []
        if self._kind == "pcm":
            return self._pcm(data, self._pcm_hz)
        if self._wav is None:
            self._wav = WavBody()
        pcm = self._wav.feed(data)
        return self._pcm(pcm, self._wav.sample_rate_hz) if self._wav.has_begun else []

    def _pcm(self, pcm: bytes, rate_hz: int) -> list[Event]:
        events = self._start_events(rate_hz)
        if self._pieces is None:
            # The limit counts samples at the stated rate. A WAV may have another rate.
            most = self._most_samples
            self._pieces = PcmPieces(rate_hz, None if most is None else most * rate_hz // self._stated_hz)
        events += [Audio(self._segment, piece) for piece in self._pieces.feed(pcm)]
        self.is_full = self._pieces.is_full
        return events

    def _start_events(self, rate_hz: int) -> list[Event]:
        """Return the event that begins the job, once. No later call may have another rate."""
        if self._started_hz == rate_hz:
            return []
        if self._started_hz:
            raise EngineFailed(f"The provider's audio changes from {self._started_hz} to {rate_hz} Hz.")
        self._started_hz = rate_hz
        return [Started(rate_hz)]
