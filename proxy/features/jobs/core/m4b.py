"""Encodes an audiobook as one file: AAC in MP4, with chapters, a cover and metadata. Its index is at the
beginning.

The index is known at the end, so bytes are reserved for it at the beginning. Only this head stays in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import SEEK_CUR, SEEK_SET
from typing import Any

import av
from av.stream import Disposition

from proxy.audio.compressed import audio_frame
from proxy.audio.formats import SAMPLE_BYTES, Chunk, SoundFailed, silence
from proxy.features.jobs.core.m4b_facts import FRAME_SAMPLES, M4bChapter, M4bFacts, index_bytes

_BOOK = "M4B "
_FTYP_BYTES = 64


class M4bEncoder:
    """Encodes mono PCM. Its chunks are the file without the head. `head` is complete after `flush`."""

    def __init__(
        self,
        facts: M4bFacts,
        chapters: Sequence[M4bChapter],
        rate_hz: int,
        kbit_s: int,
        samples: int,
        *,
        is_book: bool = True,
    ) -> None:
        reserved_bytes = index_bytes(facts, len(chapters), samples)
        self._sink = _HeadSink(reserved_bytes + _FTYP_BYTES)
        self._rate_hz = rate_hz
        # The silence that fills up a frame is put before the sound: decoders skip it there, and play it at
        # the end.
        self._lead_samples = -samples % FRAME_SAMPLES
        self._fed_samples = 0
        self._is_closed = False
        try:
            self._open(facts, chapters, rate_hz, kbit_s, _options(reserved_bytes, rate_hz, is_book=is_book))
        except (av.error.FFmpegError, ValueError) as error:
            raise SoundFailed(f"m4b failed: {error}") from error

    def _open(
        self,
        facts: M4bFacts,
        chapters: Sequence[M4bChapter],
        rate_hz: int,
        kbit_s: int,
        options: dict[str, str],
    ) -> None:
        self._container = av.open(self._sink, "w", format="mp4", options=options)
        self._container.metadata.update(facts.tags())
        if options["brand"] == _BOOK:
            self._container.metadata["genre"] = "Audiobook"
        stream = self._container.add_stream("aac", rate=rate_hz, layout="mono", options={"aac_coder": "fast"})
        assert isinstance(stream, av.AudioStream)
        stream.bit_rate = kbit_s * 1000
        if facts.iso_language:
            stream.metadata["language"] = facts.iso_language
        self._stream = stream
        marks: list[Any] = [
            {
                "id": number,
                "start": chapter.start,
                "end": chapter.end,
                "time_base": Fraction(1, rate_hz),
                "metadata": {"title": chapter.title},
            }
            for number, chapter in enumerate(chapters)
        ]
        self._container.set_chapters(marks)
        if facts.cover:
            self._add_cover(facts.cover)

    def _add_cover(self, picture: bytes) -> None:
        # The picture is copied as it is. A decoder could be attacked by it.
        is_png = picture.startswith(b"\x89PNG")
        cover = self._container.add_stream("png" if is_png else "mjpeg", rate=1)
        assert isinstance(cover, av.VideoStream)
        cover.width = cover.height = 2
        cover.pix_fmt = "rgb24" if is_png else "yuvj420p"
        cover.disposition = Disposition.attached_pic
        packet = av.Packet(picture)
        packet.stream = cover
        packet.pts = packet.dts = 0
        self._container.mux(packet)

    def feed(self, pcm: bytes) -> Chunk:
        """Raises SoundFailed."""
        if pcm:
            if self._lead_samples:
                pcm = silence(self._lead_samples) + pcm
                self._fed_samples, self._lead_samples = -self._lead_samples, 0
            self._encode(audio_frame(pcm, self._rate_hz, self._fed_samples))
            self._fed_samples += len(pcm) // SAMPLE_BYTES
        return Chunk(self._sink.take_output())

    def flush(self) -> Chunk:
        """Raises SoundFailed."""
        self._encode(None)
        self._is_closed = True
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError) as error:
            raise SoundFailed(f"m4b failed: {error}") from error
        return Chunk(self._sink.take_output())

    @property
    def head_bytes(self) -> int:
        """The bytes of the head, once the file is whole."""
        return self._sink.head_bytes

    @property
    def head(self) -> bytes:
        return self._sink.head()

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            try:
                self._container.close()
            except (av.error.FFmpegError, ValueError):
                pass  # the file is not needed any more

    def _encode(self, frame: av.AudioFrame | None) -> None:
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise SoundFailed(f"m4b failed: {error}") from error


def _options(reserved_bytes: int, rate_hz: int, *, is_book: bool) -> dict[str, str]:
    # With another timescale, the length would be rounded to milliseconds.
    return {
        "brand": _BOOK if is_book else "M4A ",
        "moov_size": str(reserved_bytes),
        "movie_timescale": str(rate_hz),
    }


class _HeadSink:
    """A file for the muxer, which calls `write`, `seek` and `tell`. It keeps its head, so that the muxer can
    write it again. The bytes after the head are returned by `take_output`."""

    def __init__(self, head_bytes: int) -> None:
        self.head_bytes = head_bytes
        self._head = bytearray(head_bytes)
        self._rest = bytearray()
        self.write = self._put
        self._position = 0
        self._end = 0

    def _put(self, data: bytes) -> int:
        head_left = max(0, len(self._head) - self._position)
        self._head[self._position : self._position + min(head_left, len(data))] = data[:head_left]
        if rest := data[head_left:]:
            if self._position + head_left != max(self._end, len(self._head)):
                raise ValueError("the muxer wrote behind the head again")
            self._rest += rest
        self._position += len(data)
        self._end = max(self._end, self._position)
        return len(data)

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        self._position = offset + {SEEK_SET: 0, SEEK_CUR: self._position}.get(whence, self._end)
        return self._position

    def tell(self) -> int:
        return self._position

    def take_output(self) -> bytes:
        data = bytes(self._rest)
        self._rest.clear()
        return data

    def head(self) -> bytes:
        return bytes(self._head[: self._end])
