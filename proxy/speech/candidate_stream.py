"""The stream of one candidate: it turns the engine's events into the bytes of the answer.

If the stream fails before the first audio, another candidate may try. After that, the answer breaks.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from math import inf

import msgspec

from policies import estimate
from policies.routing import Candidate
from proxy.audio.formats import SAMPLE_BYTES, Chunk, OutputForm, Tail, silence
from proxy.audio.frames import Frames, open_frames
from proxy.audio.frames_mp3 import Mp3Frames, Original
from proxy.audio.sound import Sound
from proxy.speech.attempt import RepeatedSound
from proxy.speech.deadline import AudioTimeout
from proxy.speech.spoken_word import SpokenWord, TimedWords
from speech_engine import (
    Audio,
    Encoded,
    EngineFailed,
    EngineTimeout,
    Finished,
    ProviderCount,
    SpeechJob,
    Started,
    UnsupportedText,
    Words,
)
from speech_engine.host.engine_stream import EngineStream
from speech_engine.levels import gain_db
from speech_engine.text.cleaning import is_speech

STALL_S, HOST_STALL_S = 20.0, 90.0
"""The longest pause between two chunks: of a provider; of a local engine, whose host shows signs of work."""
_TURN_S = 2.0
"""The most sound that is encoded before other requests get a turn, at the usual speed."""
_PAST_CAP_S = 1.0
"""The seconds that an engine may make past the cap of an answer. Engines stop at their limit, so only sound
past the cap shows that the speech is too long."""


class CapReached(UnsupportedText):
    """The speech is much longer than its text should need. The speech up to the cap is charged."""

    def __init__(self, cap_s: float) -> None:
        super().__init__(
            f"The speech was stopped at {cap_s:.0f} s: it is far longer than its text should need."
        )


class CandidateStream:
    """A candidate that speaks, as a `SpeechStream`.

    `seconds` counts its sound so far, before `factor` changes its speed, and `units` is the provider's own
    count. If the engine states the `lufs` of the voice, its PCM is brought to the loudness of all. The
    engine's stream is closed when it has finished, so that its slot does not wait for the client.
    """

    holds_engine = True
    stored = None

    def __init__(
        self,
        candidate: Candidate,
        job: SpeechJob,
        find_word_times: Callable[[], TimedWords],
        factor: float,
        form: OutputForm,
        deadline: AudioTimeout,
        *,
        keeps_original: bool = False,
        lufs: float | None = None,
    ) -> None:
        self.lufs = lufs
        self._keeps_original = keeps_original
        self.candidate = candidate
        self.engine = candidate.speaker
        self.job = job
        self.has_begun = False
        self.sample_rate_hz = form.sample_rate_hz
        self.seconds = 0.0
        self.units: float | None = None
        self._find_word_times = find_word_times
        # The start of each segment in the answer, and after the last one the end.
        self._moments: list[tuple[int, float]] = []
        self._factor = factor
        self._form = form
        self._output: Sound | Frames | None = None
        self._rate_hz = 0
        self._turn_s = _TURN_S * min(1.0, factor)
        self._turn_ends_s = self._turn_s
        self._tail = Tail()
        self._segment = -1
        self._first = Chunk()
        self._is_over = False
        self._events: EngineStream | None = None
        self.given_sound: RepeatedSound | None = None
        self.deadline = deadline
        model, post = candidate.model, candidate.post
        is_local = model.info.is_local and (post is None or post.model.info.is_local)
        self._stall_s = HOST_STALL_S if is_local else STALL_S
        cap, stated_hz = job.max_samples, candidate.model.info.sample_rate_hz
        self._cap_s = inf if cap is None else cap / stated_hz

    @cached_property
    def _word_times(self) -> TimedWords:
        return self._find_word_times()

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        moments = self._moments if isinstance(self._output, Sound) else None
        return self._word_times.timed_so_far(moments, self.seconds / self._factor if self._is_over else None)

    @property
    def has_manifest(self) -> bool:
        return isinstance(self._output, Mp3Frames) and self._output.has_manifest

    @property
    def original(self) -> Original | None:
        return self._output.original if isinstance(self._output, Mp3Frames) else None

    def job_with_deadline(self) -> SpeechJob:
        """Return the job for the engine, with the remaining time, and a limit slightly above the cap."""
        job = msgspec.structs.replace(self.job, deadline_s=max(0.0, self.deadline.ends_at - time.monotonic()))
        if job.max_samples is None:
            return job
        room = round(_PAST_CAP_S * self.candidate.model.info.sample_rate_hz)
        return msgspec.structs.replace(job, max_samples=job.max_samples + room)

    async def read_first_audio(self, events: EngineStream, given_sound: RepeatedSound | None = None) -> None:
        """Read events until there are bytes of audio to send. The caller limits the time.

        If the events repeat a `given_sound`, they last about as long as that.
        """
        self._events = events
        self.given_sound = given_sound
        while not self._is_over and not (self._first.data and self.seconds):
            chunk = await self._read_event()
            first = self._first
            self._first = first + chunk if first.data or first.samples else chunk
            if self.seconds or self.units is not None:
                self.deadline.end_silence()
        if self._output is not None and not isinstance(self._output, Sound) and not self.seconds:
            raise EngineFailed("The engine gave encoded audio without a single frame.")
        if self._is_over and not self.seconds and any(is_speech(each.spoken) for each in self.job.segments):
            raise UnsupportedText("Invalid 'input': the engine can speak nothing of it.")
        if self._is_over and not self.seconds and not self.job.segments:
            raise EngineFailed("The engine has made no sound of the recording.")
        self.has_begun = True

    async def next_chunk(self) -> Chunk | None:
        """Return the chunk from `read_first_audio`, and then the next ones, up to the `last_chunk`."""
        if self._first.data:
            chunk, self._first = self._first, Chunk()
            return chunk
        try:
            with self.deadline:
                while not self._is_over:
                    self.deadline.expire_at(time.monotonic() + self._stall_s)
                    if (chunk := await self._read_event()).data:
                        return chunk
        except TimeoutError:
            raise EngineTimeout("The engine fell silent in the middle.") from None
        return None

    def last_chunk(self) -> Chunk:
        """Return the flushed end of the sound, which is never empty. It is called after the other chunks."""
        if self._output is None:
            # The text has no sound, as in ".". A short silence is a valid file; an empty answer is not.
            self._output = Sound(self.sample_rate_hz, self._form)
            self._tail.rest = self._output.feed(silence(self.sample_rate_hz // 10))
        return self._tail.rest + self._output.flush()

    async def close(self) -> None:
        self.deadline.close()
        try:
            if self._events is not None:
                await self._events.close()
        finally:
            if isinstance(self._output, Sound):
                self._output.close()

    async def _read_event(self) -> Chunk:
        assert self._events is not None
        event = await self._events.next_event()
        if event is None:
            raise EngineFailed("The engine ended without finishing.")
        if isinstance(event, Finished):
            self._is_over = True
            self._moments.append((len(self.job.segments), self.seconds / self._factor))
            self.units = self.units if event.units is None else event.units
            events, self._events = self._events, None
            await events.close()
            given = self.given_sound
            if given is not None and self.seconds < estimate.least_repetition_s(given.seconds):
                raise EngineFailed("The engine has made far less sound than it heard.")
            return Chunk()
        if self.seconds >= self._turn_ends_s:
            # The engine may have all of its sound ready, and encoding takes time: other requests get a turn.
            self._turn_ends_s = self.seconds + self._turn_s
            await asyncio.sleep(0)
        match event:
            case Started(sample_rate_hz=rate_hz):
                self._rate_hz = rate_hz
            case Audio(segment=segment, pcm=pcm):
                return self._add_pcm(segment, pcm)
            case Encoded(format=format_, data=data):
                return self._add_encoded(format_, data)
            case ProviderCount(units=units):
                self.units = units
            case Words():
                self._add_words(event)
        return Chunk()

    def _add_pcm(self, segment: int, pcm: bytes) -> Chunk:
        if not self._rate_hz or segment < 0 or segment < self._segment:
            raise EngineFailed("The engine gave audio before it started, or out of order.")
        if segment != self._segment:
            self._segment = segment
            self._moments.append((segment, self.seconds / self._factor))
        self._count(len(pcm) // SAMPLE_BYTES, self._rate_hz)
        if self._output is None:
            self._output = Sound(self._rate_hz, self._form, factor=self._factor, decibels=gain_db(self.lufs))
        elif not isinstance(self._output, Sound):
            raise EngineFailed("The engine mixed PCM with encoded audio.")
        return self._tail.push(self._output.feed(pcm))

    def _add_encoded(self, format_: str, data: bytes) -> Chunk:
        if format_ not in self.job.formats:
            raise EngineFailed(f"The engine gave {format_}, which was not requested.")
        if self._output is None:
            self._output = open_frames(self._form, keeps_original=self._keeps_original)
        if self._output is None or isinstance(self._output, Sound):
            raise EngineFailed("The engine mixed PCM with encoded audio.")
        chunk = self._output.feed(data)
        self.sample_rate_hz = chunk.sample_rate_hz
        self._count(chunk.samples, chunk.sample_rate_hz)
        return self._tail.push(chunk)

    def _count(self, samples: int, rate_hz: int) -> None:
        # The unit is seconds, because an engine's own encoding may have another rate than stated.
        self.seconds += samples / rate_hz
        counted_s = self.seconds
        if self.given_sound is not None:
            if self.seconds > estimate.most_repetition_s(self.given_sound.seconds):
                raise EngineFailed("The engine has made far more sound than it heard.")
            # Only the length of the original speech counts for the cap.
            counted_s = min(counted_s, self.given_sound.seconds)
        if counted_s > self._cap_s:
            raise CapReached(self._cap_s)

    def _add_words(self, words: Words) -> None:
        if not self._rate_hz or not 0 <= words.segment < len(self.job.segments):
            raise EngineFailed("The engine timed words of a segment that it was not given.")
        self._word_times.add_timed(words, self._rate_hz * self._factor)
