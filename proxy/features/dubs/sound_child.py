"""The process that decodes the original of one dub: `python -m proxy.features.dubs.sound_child`.

It gets its order and then the file over its pipe, and decodes it once, in order. It sends mono
PCM at the rate of the order, as fast as the mixer takes it, and an empty part at the end. For a rate of 0, it
only counts the samples. No picture is decoded. It is confined like the process that decodes a short
recording, and has more time.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

from proxy.audio.recordings.decoding import Downmix, MonoFrames, read_frames, read_upload
from proxy.audio.recordings.decoding_child import warm_up
from proxy.audio.recordings.recording import Undecoded
from proxy.features.dubs.child_orders import LONGEST_S, Counted, SoundOrder
from proxy.helpers.file_child import receive_file
from speech_engine.host.child_pipe import pipe_of_one_thread

_MOST_CPU_S = 240
_MEMORY_MB = 256
_decode = msgspec.msgpack.Decoder(SoundOrder).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    order = _decode(pipe.read() or b"")
    tiny = warm_up()
    _count_samples(tiny)
    _send_sound(tiny, SoundOrder(16_000), lambda _pcm: None)
    file = receive_file(pipe, _MOST_CPU_S, _MEMORY_MB)
    if order.rate_hz:
        _send_sound(file, order, pipe.write)
        pipe.write(b"")
        return
    try:
        answer = _count_samples(file)
    except MemoryError:
        answer = Undecoded("memory")
    pipe.write(msgspec.msgpack.encode(answer))


def _count_samples(file: bytes) -> Counted | Undecoded:
    def count_frames(frames: MonoFrames) -> Counted:
        samples = 0
        for frame, count in frames:
            if not frames.mix.takes_first:
                frames.mono(frame, count)  # it finds out whether the channels cancel each other
            samples += count
            if samples > LONGEST_S * frames.rate_hz:
                break
        if not samples:
            raise frames.no_sound_error()
        return Counted(samples, frames.rate_hz, frames.mix.takes_first)

    return read_upload(file, count_frames)


def _send_sound(file: bytes, order: SoundOrder, send: Callable[[bytes], None]) -> None:
    def send_frames(frames: MonoFrames) -> None:
        stream = None
        for frame, count in frames:
            if stream is None:
                stream = soxr.ResampleStream(frames.rate_hz, order.rate_hz, 1, dtype="float64", quality="HQ")
            if pcm := _to_pcm(np.asarray(stream.resample_chunk(frames.mono(frame, count)))):
                send(pcm)
        if stream is not None and (pcm := _to_pcm(np.asarray(stream.resample_chunk(np.zeros(0), last=True)))):
            send(pcm)

    read_frames(file, Downmix(takes_first=order.takes_first), send_frames)


def _to_pcm(mono: NDArray[np.float64]) -> bytes:
    return bytes(np.clip(np.rint(mono * 32768), -32768, 32767).astype("<i2").data)


if __name__ == "__main__":
    main()
