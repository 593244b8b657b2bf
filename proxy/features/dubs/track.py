"""The files of a dub: its lines are fitted, marked as a whole, and mixed with the original, by blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.audio.encode import Encoder
from proxy.audio.formats import SAMPLE_BYTES, WAV_HEADER_BYTES, Chunk, OutputForm, final_wav_header
from proxy.audio.sound import FadeOut, Step
from proxy.features.dubs.line_values import Fit, Lines
from proxy.features.dubs.mixing import Ducking, to_floats, to_pcm
from proxy.features.dubs.request import FILES
from proxy.features.jobs.core.encoding import FileMaking, length_writer, open_encoder_in_thread
from proxy.features.jobs.core.fields import M4A
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import JobClip
from proxy.speech.sound_filter import OpenFilter
from speech_engine.loudness import Limiter

_BLOCK_S = 5

if TYPE_CHECKING:
    from proxy.features.jobs.core.m4b import M4bEncoder


class PlacedClip(NamedTuple):
    """The sound of a clip, from sample `first` up to `last`, at its place in the track and at its pace."""

    clip: JobClip
    first: int
    last: int
    start: int
    pace: float


def place_clips(clips: Sequence[JobClip], sounds: Sequence[tuple[int, int]], fitted: Fit) -> list[PlacedClip]:
    """Return the clips in the order in which they begin. `sounds` are `first` and `last` of each clip."""
    rows = zip(clips, sounds, fitted.starts, fitted.paces, strict=True)
    return sorted(
        (PlacedClip(clip, *sound, at, pace) for clip, sound, at, pace in rows), key=lambda each: each.start
    )


def spoken_places(planned: Lines, fitted: Fit) -> list[tuple[int, int]]:
    rows = zip(fitted.starts, planned.lengths, fitted.paces, strict=True)
    return [(start, start + round(length / pace)) for start, length, pace in rows if length]


async def track_speech(
    files: JobFiles, lines: Sequence[PlacedClip], samples: int, rate_hz: int
) -> AsyncGenerator[bytes, None]:
    """Yield the speech of a track, as long as the track. Raises VaultFailed, SoundFailed."""
    waiting, playing, block = [*reversed(lines)], list[tuple[int, NDArray[np.int16]]](), _BLOCK_S * rate_hz
    for first in range(0, samples, block):
        last = min(samples, first + block)
        while waiting and waiting[-1].start < last:
            line = waiting.pop()
            if line.last > line.first:
                pcm = await files.whole(line.clip.account, line.clip.digest)
                playing.append((line.start, await asyncio.to_thread(_fit_sound, pcm, line, rate_hz)))
        sound = np.zeros(last - first, np.int32)
        for start, line_sound in playing:
            begin, end = max(first, start), min(last, start + len(line_sound))
            sound[begin - first : end - first] += line_sound[begin - start : end - start]
        playing = [(start, each) for start, each in playing if start + len(each) > last]
        yield np.clip(sound, -32768, 32767).astype("<i2").tobytes()


def _fit_sound(pcm: bytes, line: PlacedClip, rate_hz: int) -> NDArray[np.int16]:
    # Imported here: it loads libav, which a server does once it needs it.
    from proxy.audio.fitting import Speed

    steps: list[Step] = [Speed(line.pace, rate_hz)] if line.pace != 1.0 else []
    sound = pcm[line.first * SAMPLE_BYTES : line.last * SAMPLE_BYTES]
    for step in (*steps, FadeOut(rate_hz)):
        sound = step.feed(sound) + step.flush()
    return np.frombuffer(sound, "<i2")


class DubFile:
    """One of the files of a dub, while it is made. Call `end` after the last sound, and `drop_encoder` in any
    case."""

    def __init__(
        self,
        making: FileMaking,
        writer: FileWriter,
        encoder: Encoder,
        tag: bytes = b"",
        mp4: M4bEncoder | None = None,
    ) -> None:
        self.writer = writer
        self._making, self._encoder, self._tag, self._mp4 = making, encoder, tag, mp4
        # One thread, so that the end comes last, also after a cancellation.
        self._threads = ThreadPoolExecutor(1)

    @classmethod
    async def begin_file(
        cls, making: FileMaking, name: str, clips: Sequence[JobClip], form: OutputForm, samples: int
    ) -> DubFile:
        if form.format == M4A:
            mp4 = await making.open_mp4(form, samples)
            return cls(making, making.writer(FILES[name], clips, head_bytes=mp4.head_bytes), mp4, mp4=mp4)
        begin, tag = length_writer(form, samples), b""
        if form.format == "wav":
            size = WAV_HEADER_BYTES + samples * SAMPLE_BYTES
            head, tag = final_wav_header(size, form.sample_rate_hz, is_tagged=bool(form.source))
            begin = partial(_with_head, head)
        return cls(making, making.writer(FILES[name], clips, begin), await open_encoder_in_thread(form), tag)

    async def add_sound(self, pcm: bytes) -> None:
        if pcm:
            await self._making.add_part(self.writer, (await self._encoded(self._encoder.feed, pcm)).data)

    async def end(self) -> None:
        rest = (await self._encoded(self._encoder.flush)).data
        await self._making.add_part(self.writer, rest + self._tag, is_last=True)
        if self._mp4 is not None:
            await self.writer.add_head(self._mp4.head)
            await self.writer.digest_again()

    def drop_encoder(self) -> None:
        self._threads.submit(self._encoder.close)
        self._threads.shutdown(wait=False)

    async def _encoded(self, work: Callable[..., Chunk], *pcm: bytes) -> Chunk:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *pcm)


def _with_head(head: bytes, first: bytes) -> bytes:
    return head + first[len(head) :]


class OriginalBed:
    """The sound of the original, as much of it as the mixer takes. After its end it is silent."""

    def __init__(self, parts: AsyncGenerator[bytes, None] | None, ducking: Ducking) -> None:
        self._parts, self._ducking = parts, ducking
        self._buffered, self._position = b"", 0

    async def take_sound(self, count: int) -> bytes:
        held = [self._buffered]
        size = len(self._buffered)
        while size < count * SAMPLE_BYTES and self._parts is not None:
            part = await anext(self._parts, b"")
            if not part:
                self._parts = None
            held.append(part)
            size += len(part)
        whole = b"".join(held)
        taken, self._buffered = whole[: count * SAMPLE_BYTES], whole[count * SAMPLE_BYTES :]
        taken += bytes(count * SAMPLE_BYTES - len(taken))
        self._position += count
        return await asyncio.to_thread(self._ducked, taken, self._position - count)

    def _ducked(self, pcm: bytes, first: int) -> bytes:
        return to_pcm(to_floats(pcm) * self._ducking.gains(first, len(pcm) // SAMPLE_BYTES))


async def write_track(
    spoken: AsyncGenerator[bytes, None],
    mark: OpenFilter | None,
    original: OriginalBed | None,
    outs: dict[str, DubFile],
    rate_hz: int,
) -> None:
    """Write the files of a dub, in one pass. The mark is in the speech before it is mixed: so it is found in
    the stem and in the track."""
    limiter = Limiter(rate_hz)

    async def mix(pcm: bytes) -> None:
        if not pcm:
            return
        if "speech" in outs:
            await outs["speech"].add_sound(pcm)
        bed = await original.take_sound(len(pcm) // SAMPLE_BYTES) if original is not None else b""
        if "bed" in outs:
            await outs["bed"].add_sound(bed)
        await outs["track"].add_sound(await asyncio.to_thread(_mix, limiter, pcm, bed))

    async with aclosing(spoken):
        async for pcm in spoken:
            await mix(pcm if mark is None else mark.feed(pcm))
        if mark is not None:
            await mix(mark.flush())
        await outs["track"].add_sound(to_pcm(limiter.flush()))
        for out in outs.values():
            await out.end()


def _mix(limiter: Limiter, pcm: bytes, bed: bytes) -> bytes:
    return to_pcm(limiter.feed(to_floats(pcm) + to_floats(bed) if bed else to_floats(pcm)))
