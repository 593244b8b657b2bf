"""The bytes of a server's answers → events, be they in the format asked for or as WAV."""

from __future__ import annotations

from collections.abc import Iterator

from plugins.openai import kinds
from plugins.openai.refusals import in_band, read
from plugins.openai.settings import Format
from plugins.openai.wav import WavBody
from speech_engine import Audio, Encoded, EngineFailed, Event, SpeechJob, Started
from speech_engine.pcm import PcmPieces

_LONGEST_REFUSAL = 64 * 1024


class Hearing:
    """One job's audio: `begin` each of its calls, `feed` what comes, `end` it."""

    def __init__(self, job: SpeechJob, wanted: Format, stated_hz: int) -> None:
        self._wanted = wanted
        self._most_samples = job.max_samples
        self._stated_hz = stated_hz
        self._started_hz = 0
        self._pieces = PcmPieces(stated_hz)
        self._segment = 0
        self._head = b""
        self._kind = ""
        self._wav = WavBody()

    def __repr__(self) -> str:
        return f"<Hearing {self._kind or 'nothing'} of {self._wanted}>"

    @property
    def is_full(self) -> bool:
        """The job's most samples are out: what else there is need not come."""
        return self._pieces.is_full

    def begin(self, segment: int) -> None:
        self._segment = segment
        self._head, self._kind, self._wav = b"", "", WavBody()
        self._pieces.begin()

    def feed(self, data: bytes) -> Iterator[Event]:
        """Raises EngineFailed, or what a refusal in place of audio says, before any event of the call."""
        if self._kind == "":
            self._head += data
            if len(self._head) < kinds.HEAD_BYTES:
                return
            data = self._know()
        yield from self._events(data)

    def end(self) -> Iterator[Event]:
        if self._kind == "":
            if not self._head:
                raise EngineFailed("The provider answered without any audio.")
            yield from self._events(self._know())
        if self._kind == "text":
            raise in_band(read(self._head))
        if self._kind == "wav" and not self._wav.has_begun:
            raise EngineFailed("The provider's WAV ended in its header.")

    def _know(self) -> bytes:
        """Decides what the answer is, and gives the bytes that decided it."""
        self._kind = self._kind_of(self._head)
        return self._head if self._kind != "text" else b""

    def _kind_of(self, head: bytes) -> str:
        if kinds.is_text(head):
            return "text"
        if kinds.is_wav(head):
            return "wav"
        if self._wanted in kinds.CODED and kinds.CODED[self._wanted](head):
            return self._wanted
        if self._wanted == "pcm" and kinds.may_be_pcm(head):
            return "pcm"
        raise EngineFailed(f"The provider was asked for {self._wanted}, and answered with something else.")

    def _events(self, data: bytes) -> Iterator[Event]:
        match self._kind:
            case "text":
                self._head += data
                if len(self._head) > _LONGEST_REFUSAL:
                    raise in_band(read(b""))
            case "mp3" | "opus" | "aac":
                yield from self._start(self._stated_hz)
                if data:
                    yield Encoded(self._kind, data)
            case "pcm":
                yield from self._pcm(data, self._stated_hz)
            case "wav":
                pcm = self._wav.feed(data)
                if self._wav.has_begun:
                    yield from self._pcm(pcm, self._wav.sample_rate_hz)

    def _pcm(self, pcm: bytes, rate_hz: int) -> Iterator[Event]:
        yield from self._start(rate_hz)
        for piece in self._pieces.feed(pcm):
            yield Audio(self._segment, piece)

    def _start(self, rate_hz: int) -> Iterator[Event]:
        if self._started_hz == 0:
            # The limit is counted at the stated rate; a WAV may have another.
            most = self._most_samples
            limit = None if most is None else most * rate_hz // self._stated_hz
            self._started_hz, self._pieces = rate_hz, PcmPieces(rate_hz, limit)
            yield Started(rate_hz)
        elif rate_hz != self._started_hz:
            raise EngineFailed(f"The provider's audio changes from {self._started_hz} to {rate_hz} Hz.")
