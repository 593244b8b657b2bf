"""The process that reads one long recording: `python -m
proxy.features.jobs.kinds.conversion.long_reading_child`.

It reads a request with the file from its pipe, answers it, and ends. It is confined like the process that
decodes a short recording, and has more time.
"""

from __future__ import annotations

import msgspec

from proxy.audio.recordings.decoding_child import warm_up
from proxy.audio.recordings.recording import Decoded, Undecoded
from proxy.features.jobs.kinds.conversion.long_reading import stretch, survey
from proxy.features.jobs.kinds.conversion.long_recordings import LongSurvey, StretchOf, SurveyOf
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.pipe import pipe_of_one_thread

MOST_CPU_S = 25
"""Two hours of Opus take ten seconds. Even after a first try, this is less than others wait for their turn,
so a file that uses all of it makes no other request fail."""
_MEMORY_MB = 256
_decode_question = msgspec.msgpack.Decoder(SurveyOf | StretchOf).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    whole = warm_up()
    survey(whole)
    stretch(StretchOf(whole, 50, 100, takes_first=False))
    confine_job(MOST_CPU_S, _MEMORY_MB)
    question = pipe.read() or b""
    # The reply for a file that ends this process by an unexpected error.
    reply = msgspec.msgpack.encode(Undecoded("lost"))
    try:
        reply = answer(question)
    finally:
        pipe.write(reply)


def answer(question: bytes) -> bytes:
    asked = _decode_question(question)
    made: LongSurvey | Decoded | Undecoded
    try:
        made = survey(asked.file) if isinstance(asked, SurveyOf) else stretch(asked)
    except MemoryError:
        made = Undecoded("memory")
    return msgspec.msgpack.encode(made)


if __name__ == "__main__":
    main()
