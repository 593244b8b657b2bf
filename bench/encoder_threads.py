"""What threads for each encoder cost: `python -m bench.encoder_threads`.

A second of noise is encoded by turns with libav as the server sets it, and as libav would be on two and on
sixteen cores. PyAV's filter graph of each encoder then starts a thread for each core, up to 15.
"""

from __future__ import annotations

import ctypes
import os
import time
from random import Random

from av import _core

from proxy.audio.compressed import CompressedEncoder
from proxy.audio.formats import AUDIO_FORMATS, OUTPUT_RATE_HZ, SAMPLE_BYTES, USUAL_FORMS

_FORMATS = ("mp3", "opus", "aac", "flac")
_CORES = (1, 2, 16)
_ROUNDS, _TIMES = 5, 40


def main() -> None:
    force_count = ctypes.CDLL(_core.__file__).av_cpu_force_count
    pcm = Random(1).randbytes(OUTPUT_RATE_HZ * SAMPLE_BYTES)
    for name in _FORMATS:
        lowest_ms, threads = dict.fromkeys(_CORES, float("inf")), dict.fromkeys(_CORES, 0)
        for _ in range(_ROUNDS):
            for cores in _CORES:
                force_count(cores)
                began = time.process_time()
                for _ in range(_TIMES):
                    threads[cores] = _encode(name, pcm)
                each_ms = (time.process_time() - began) * 1000 / _TIMES
                lowest_ms[cores] = min(lowest_ms[cores], each_ms)
        found = ", ".join(f"{n}: {lowest_ms[n]:.2f} ms, {threads[n]} threads" for n in _CORES)
        print(f"{name:5} {found}; 16 to 1: {lowest_ms[16] / lowest_ms[1]:.2f}")


def _encode(name: str, pcm: bytes) -> int:
    """Encode a second, and return the threads that the encoder had."""
    codec, before = AUDIO_FORMATS[name].codec, len(os.listdir("/proc/self/task"))
    assert codec is not None
    encoder = CompressedEncoder(codec, USUAL_FORMS[name])
    encoder.feed(pcm)
    found = len(os.listdir("/proc/self/task")) - before
    encoder.flush()
    return found


if __name__ == "__main__":
    main()
