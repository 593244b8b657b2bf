"""The ears of the tone engine: they write down what it has spoken at speed 1, sentence by sentence.

Sound that is no whole frame is no speech to them, as noise is none to others. They need numpy.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from difflib import SequenceMatcher
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plugins.tone.decode import Frame, find_frames
from plugins.tone.frames import SYMBOL_S, symbol_of_byte
from plugins.tone.voices import Behaviour, commit, delay
from speech_engine.events import Event, Finished
from speech_engine.hearing import HEARING_HZ, HearJob, Transcript, TranscriptSegment, TranscriptWord

EVENT_SEGMENTS: Final = 2
"""The segments of one event."""

_WORD = re.compile(r"\S+")
_LIKELY, _UNLIKELY = -0.1, -5.0
_BLOCK = HEARING_HZ // 80
_QUIET, _SILENT = 0.05, 50

Int16 = NDArray[np.int16]


class Hearing:
    """The transcript of one job, used once."""

    def __init__(self, job: HearJob, behaviour: Behaviour, tick: Callable[[], None]) -> None:
        self._job = job
        self._behaviour = behaviour
        self._tick = tick
        self._fails_at_s = behaviour.fail_at_s if behaviour.fail else float("inf")
        self._up_to_s = 0.0
        self._count = 0

    async def events(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        await delay(self._behaviour, self._tick)
        if self._fails_at_s <= 0:
            await commit(self._behaviour.fail)
            return
        frames: list[Frame] = []
        async with aclosing(self._frames(pcm)) as found:
            async for frame in found:
                frames.append(frame)
                # With known words, the answer needs all that was heard.
                if len(frames) == EVENT_SEGMENTS and not self._job.texts:
                    yield self._transcript(map(self._segment, frames), frame.end_s)
                    frames.clear()
                    if frame.end_s >= self._fails_at_s:
                        break
        # A recording that is too short to reach `fail_at_s` fails at its end.
        if self._behaviour.fail:
            await commit(self._behaviour.fail)
            return
        rest = self._scored(frames) if self._job.texts else map(self._segment, frames)
        yield self._transcript(rest, self._up_to_s)
        yield Finished(units=self._up_to_s)

    async def _frames(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Frame, None]:
        async with aclosing(_stretches(pcm)) as stretches:
            async for begin, samples in stretches:
                begin_s = begin / HEARING_HZ
                seconds = len(samples) / HEARING_HZ
                await asyncio.sleep(self._behaviour.pace * seconds)
                self._up_to_s = begin_s + seconds
                if self._behaviour.silent:
                    continue
                for frame in await asyncio.to_thread(find_frames, samples, HEARING_HZ):
                    yield Frame(frame.text, begin_s + frame.start_s, begin_s + frame.end_s)

    def _transcript(self, segments: Iterator[TranscriptSegment], up_to_s: float) -> Transcript:
        return Transcript(tuple(segments), up_to_s)

    def _segment(self, frame: Frame) -> TranscriptSegment:
        job, text = self._job, frame.text.strip()
        translated = text.upper() if job.task == "translate" else text
        self._count += 1
        return TranscriptSegment(
            start_s=frame.start_s,
            end_s=frame.end_s,
            text=translated if self._count == 1 else f" {translated}",
            words=tuple(_words(frame)) if job.times == "words" else (),
            language=job.language or (job.languages[0] if job.languages else "en"),
            avg_logprob=_LIKELY,
            compression_ratio=1.0,
            temperature=job.temperature or 0.0,
            tokens=tuple(text.encode()),
        )

    def _scored(self, frames: Sequence[Frame]) -> Iterator[TranscriptSegment]:
        """Yield a segment for each known text. A word that was not heard is unlikely, and has no length."""
        sounds = [word for frame in frames for word in _words(frame)]
        known = [(number, word) for number, text in enumerate(self._job.texts) for word in text.split()]
        matcher = SequenceMatcher(None, [word for _, word in known], [word.text for word in sounds], False)
        found = {a + at: sounds[b + at] for a, b, size in matcher.get_matching_blocks() for at in range(size)}
        words: list[list[TranscriptWord]] = [[] for _ in self._job.texts]
        at_s = 0.0
        for place, (number, text) in enumerate(known):
            word = found.get(place) or TranscriptWord(at_s, at_s, text, _UNLIKELY)
            words[number].append(word)
            at_s = word.end_s
        transcribed = " ".join(frame.text.strip() for frame in frames)
        for text, own in zip(self._job.texts, words, strict=True):
            start_s, end_s = (own[0].start_s, own[-1].end_s) if own else (0.0, 0.0)
            mean = sum(word.logprob for word in own) / max(1, len(own))
            yield TranscriptSegment(
                start_s=start_s,
                end_s=end_s,
                text=transcribed if self._job.transcribes else text,
                words=tuple(own),
                avg_logprob=mean,
            )


def _words(frame: Frame) -> Iterator[TranscriptWord]:
    for match in _WORD.finditer(frame.text):
        start, end = (len(frame.text[:at].encode()) for at in match.span())
        start_s, end_s = (frame.start_s + symbol_of_byte(at) * SYMBOL_S for at in (start, end))
        yield TranscriptWord(start_s, end_s, match[0], _LIKELY)


async def _stretches(pcm: AsyncIterator[bytes]) -> AsyncGenerator[tuple[int, Int16], None]:
    """Yield the recording in stretches of a second or more, cut between frames: sample number, samples."""
    held, begin = bytearray(), 0
    async for data in pcm:
        held += data
        if len(held) < 2 * HEARING_HZ:
            continue
        samples = np.frombuffer(bytes(held[: len(held) // 2 * 2]), np.int16)
        if cut := _last_gap(samples):
            yield begin, samples[:cut]
            begin += cut
            del held[: 2 * cut]
    if rest := held[: len(held) // 2 * 2]:
        yield begin, np.frombuffer(bytes(rest), np.int16)


def _last_gap(samples: Int16) -> int:
    """Return the middle of the last silence after some sound, 0 if there is none. Two blocks are silent."""
    blocks = samples[: len(samples) // _BLOCK * _BLOCK].astype(np.int32).reshape(-1, _BLOCK)
    peaks = np.abs(blocks).max(axis=1)
    quiet = peaks < max(_SILENT, peaks.max() * _QUIET)
    gaps = np.flatnonzero(quiet[:-1] & quiet[1:])
    return int(gaps[-1] + 1) * _BLOCK if len(gaps) else 0
