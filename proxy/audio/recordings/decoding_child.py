"""The process that decodes one upload: `python -m proxy.audio.recordings.decoding_child`.

It reads the file from its pipe, answers with a `Decoded` or an `Undecoded`, and ends. A hostile file
attacks the decoders, which are written in C. So before it reads the first byte, this process gives up files,
programs and the network. It has no other client's data.
"""

from __future__ import annotations

import av
import msgspec
import numpy as np

from proxy.audio.compressed import Sink, audio_frame
from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.recording import Decoded, Undecoded
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread

MOST_CPU_S = 10
_MEMORY_MB = 256
"""The memory for the file, its samples and the decoders, in addition to that of the idle process."""


def main() -> None:
    pipe = pipe_of_one_thread()
    warm_up()
    lacks = _confine()
    data = pipe.read() or b""
    # The answer for a file that ends this process by an unexpected error.
    answer = msgspec.msgpack.encode(Undecoded("lost"))
    try:
        made = decode(data)
        if isinstance(made, Decoded):
            made = msgspec.structs.replace(made, lacks=lacks)
        answer = msgspec.msgpack.encode(made)
    except MemoryError:
        answer = msgspec.msgpack.encode(Undecoded("memory"))
    finally:
        pipe.write(answer)


def warm_up() -> bytes:
    """Load all that decoding needs, and return a small recording.

    Python and libav load parts of themselves at the first use, and at the first error; once the process is
    confined, they cannot.
    """
    sink = Sink()
    container = av.open(sink, "w", format="flac")
    stream = container.add_stream("flac", rate=24_000, layout="mono")
    pcm = np.zeros(4800, np.int16).tobytes()
    for packet in (*stream.encode(audio_frame(pcm, 24_000)), *stream.encode(None)):
        container.mux(packet)
    container.close()
    whole = sink.muxed_bytes()
    decode(whole)
    decode(whole[:100])
    decode(b"no recording at all")
    msgspec.msgpack.encode(Undecoded("empty"))
    return whole


def _confine(most_cpu_s: int = MOST_CPU_S) -> tuple[str, ...]:
    return confine_job(most_cpu_s, _MEMORY_MB)


if __name__ == "__main__":
    main()
