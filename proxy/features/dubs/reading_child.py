"""The process that reads one file of subtitles: `python -m proxy.features.dubs.reading_child`.

It gets its order and then the file over its pipe, part by part, answers once, and ends. Before the first byte
of the file it drops its access to files, programs and the network.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.features.dubs.child_orders import RefusedSubtitles, SubtitleAnswer, SubtitleOrder
from proxy.features.dubs.subtitle_text import UnusableSubtitles, read_subtitles
from proxy.helpers.job_confinement import confine_job
from speech_engine.host.child_pipe import pipe_of_one_thread

MOST_CPU_S = 20
_MEMORY_MB = 512
_TINY = "1\n00:00:01,000 --> 00:00:02,000\n- <v A>{\\an8}Á: ♪ a ♪ b [c]"
_ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252")
_decode = msgspec.msgpack.Decoder(SubtitleOrder).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    order = _decode(pipe.read() or b"")
    # Python loads some modules at their first use, and a confined process cannot.
    for encoding in _ENCODINGS:
        _answer(_TINY.encode(encoding, "replace"), ("Á",))
    confine_job(MOST_CPU_S, _MEMORY_MB)
    pipe.write(b"")  # ready: the file may come
    file = bytearray()
    while part := pipe.read():
        file += part
    pipe.write(msgspec.msgpack.encode(_answer(bytes(file), order.cast)))


def _answer(file: bytes, cast: Sequence[str]) -> SubtitleAnswer:
    try:
        return read_subtitles(file, cast)
    except UnusableSubtitles as fault:
        return RefusedSubtitles(str(fault))
    except MemoryError:
        return RefusedSubtitles("to read them takes more memory than any subtitles need")


if __name__ == "__main__":
    main()
