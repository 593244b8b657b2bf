"""The process that reads one file of subtitles: `python -m proxy.features.dubs.reading_child`.

It gets its order and then the file over its pipe, answers once, and ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.features.dubs.child_orders import RefusedSubtitles, SubtitleAnswer, SubtitleOrder
from proxy.features.dubs.subtitle_text import UnusableSubtitles, read_subtitles
from proxy.helpers.file_child import receive_file
from speech_engine.host.child_pipe import pipe_of_one_thread

_TINY = "1\n00:00:01,000 --> 00:00:02,000\n- <v A>{\\an8}Á: ♪ a ♪ b [c]"
_ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252")
_decode = msgspec.msgpack.Decoder(SubtitleOrder).decode


def main() -> None:
    pipe = pipe_of_one_thread()
    order = _decode(pipe.read() or b"")
    for encoding in _ENCODINGS:
        _answer(_TINY.encode(encoding, "replace"), ("Á",))
    pipe.write(msgspec.msgpack.encode(_answer(receive_file(pipe), order.cast)))


def _answer(file: bytes, cast: Sequence[str]) -> SubtitleAnswer:
    try:
        return read_subtitles(file, cast)
    except UnusableSubtitles as fault:
        return RefusedSubtitles(str(fault))
    except MemoryError:
        return RefusedSubtitles("to read them takes more memory than any subtitles need")


if __name__ == "__main__":
    main()
