"""The process that decodes a long recording: `python -m proxy.audio.recordings.long_decoding_child`.

It is as confined as that of short ones. What it has decoded leaves it piece by piece: an hour of sound is
never in memory at once.
"""

from __future__ import annotations

import msgspec

from proxy.audio.recordings import decoding_child
from proxy.audio.recordings.decoding import LongRecording, LongRefused, decode_long
from proxy.audio.recordings.recording import LongEnd, LongSound
from proxy.audio.recordings.whole_sound import is_silent
from proxy.audio.resample import Resample
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.pipe import ParentPipe, pipe_of_one_thread

RATE_HZ = 24_000
MOST_S = 3600.0
_MOST_CPU_S = 120
_MEMORY_MB = 256


def main() -> None:
    pipe = pipe_of_one_thread()
    decoding_child.warm_up()
    _warm_up()
    confine_job(_MOST_CPU_S, _MEMORY_MB)
    answer(pipe, pipe.read() or b"")


def answer(pipe: ParentPipe, data: bytes) -> None:
    """Send the sound of a file, and its end."""
    end = LongEnd()
    try:
        for pcm in decode_long(data, RATE_HZ, MOST_S):
            pipe.write(msgspec.msgpack.encode(LongSound(pcm)))
    except LongRecording:
        end = LongEnd(is_too_long=True)
    except LongRefused as refused:
        end = LongEnd(refused.fault)
    except MemoryError:
        end = LongEnd("memory")
    pipe.write(msgspec.msgpack.encode(end))


def _warm_up() -> None:
    resample = Resample(48_000, RATE_HZ)
    is_silent(resample.feed(bytes(9_600)) + resample.flush())
    msgspec.msgpack.encode(LongEnd("empty"))


if __name__ == "__main__":
    main()
