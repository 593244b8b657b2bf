"""The process that reads one long recording with libav: `python -m …transcriptions.long_reading_child`.

It reads a request with the file from its pipe, answers it, and ends. At most one stretch is in memory,
however long the file plays. It is confined like the process that decodes a short recording, and has more
time.
"""

from __future__ import annotations

import time

import msgspec
import numpy as np
from numpy.typing import NDArray

from proxy.audio.recordings.decoding import Downmix, MonoFrames, StoredRate, read_frames, read_upload
from proxy.audio.recordings.decoding_child import warm_up
from proxy.audio.recordings.recording import LEAST_RATE_HZ, Decoded, Undecoded
from proxy.features.transcriptions.long_recordings import (
    LEVEL_MS,
    LONGEST_S,
    MOST_CPU_S,
    LongSurvey,
    StretchRequest,
    SurveyAnswer,
    SurveyRequest,
)
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread

_STATED_MORE_S = 1
"""Containers count the padding of their codecs, too."""
_LEVELS_A_SECOND = 1000 // LEVEL_MS
_SILENCE = 10 ** (-255 / 40)
"""The amplitude of level 255. A level says how many half decibels a sound is below the loudest."""


def survey(file: bytes, longest_s: int = LONGEST_S) -> LongSurvey | Undecoded:
    """Read a file to its end. Raises MemoryError."""
    return read_upload(file, lambda frames: _survey_frames(frames, longest_s))


def stretch(request: StretchRequest) -> Decoded | Undecoded:
    """Read the sound of a stretch. Raises MemoryError."""
    return read_frames(
        request.file, Downmix(takes_first=request.takes_first), lambda frames: _read_stretch(frames, request)
    )


def _survey_frames(frames: MonoFrames, longest_s: int) -> LongSurvey:
    # A file that states too much is refused unread. One that states less is read: it may be longer.
    if frames.stated_s > longest_s + _STATED_MORE_S:
        return LongSurvey(b"\xff", LEVEL_MS, LEAST_RATE_HZ, takes_first=False, is_cut=True)
    levels, pending, samples, is_cut = bytearray(), list[NDArray[np.float64]](), 0, False
    for frame, count in frames:
        if samples + count > longest_s * frames.rate_hz:
            is_cut = True
            break
        samples += count
        pending.append(np.abs(frames.mono(frame, count)))
        if sum(map(len, pending)) >= frames.rate_hz:
            sound = np.concatenate(pending)
            whole = len(sound) - len(sound) % frames.rate_hz
            for start in range(0, whole, frames.rate_hz):
                levels += _levels(sound[start : start + frames.rate_hz])
            pending = [sound[whole:]]
    if not samples:
        raise frames.no_sound_error()
    whole_ms = -(-samples * 1000 // frames.rate_hz)
    sound = np.concatenate((*pending, np.zeros(frames.rate_hz)))
    levels += _levels(sound[: frames.rate_hz])
    return LongSurvey(
        levels=bytes(levels[: -(-whole_ms // LEVEL_MS)]),
        whole_ms=whole_ms,
        rate_hz=frames.rate_hz,
        takes_first=frames.mix.takes_first,
        is_cut=is_cut,
    )


def _levels(second: NDArray[np.float64]) -> bytes:
    begins = np.arange(_LEVELS_A_SECOND) * len(second) // _LEVELS_A_SECOND
    loudest = np.maximum.reduceat(second, begins)
    return bytes(np.rint(-40 * np.log10(np.clip(loudest, _SILENCE, 1.0))).astype(np.uint8).data)


def _read_stretch(frames: MonoFrames, request: StretchRequest) -> Decoded:
    pcm, position, stored_rate = bytearray(), 0, None
    for frame, count in frames:
        # The stretch has the planned length in any case, so the sound alone decides its length and price.
        stored_rate = stored_rate or StoredRate(frames.rate_hz)
        first = round(request.start_ms * frames.rate_hz / 1000) - position
        last = round(request.end_ms * frames.rate_hz / 1000) - position
        position += count
        if first < count:
            pcm += frames.packed(stored_rate.feed(frames.mono(frame, count)[max(0, first) : last]))
        if last <= count:
            break
    if stored_rate is not None:
        pcm += frames.packed(stored_rate.flush())
    if stored_rate is None or not pcm:
        raise frames.no_sound_error()
    return Decoded(bytes(pcm), stored_rate.rate_hz, frames.sample_bytes, frames.channels, frames.codec, False)


_MEMORY_MB = 256
_decode_question = msgspec.msgpack.Decoder(SurveyRequest | StretchRequest).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    whole = warm_up()
    survey(whole)
    stretch(StretchRequest(whole, 50, 100, takes_first=False))
    confine_job(MOST_CPU_S, _MEMORY_MB)
    question = pipe.read() or b""
    # The reply for a file that ends this process by an unexpected error.
    reply = msgspec.msgpack.encode(Undecoded("lost"))
    try:
        reply = answer(question)
    finally:
        pipe.write(reply)


def answer(question: bytes) -> bytes:
    request, begun_s = _decode_question(question), time.process_time()
    try:
        if isinstance(request, StretchRequest):
            return msgspec.msgpack.encode(stretch(request))
        made = survey(request.file, request.longest_s)
        return msgspec.msgpack.encode(SurveyAnswer(made, time.process_time() - begun_s))
    except MemoryError:
        return msgspec.msgpack.encode(Undecoded("memory"))


if __name__ == "__main__":
    main()
