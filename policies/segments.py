"""Cutting what is to be spoken to an engine's limit; sentences are never joined or moved."""

from __future__ import annotations

from collections.abc import Iterable

from speech_engine import Segment


def fit(segments: Iterable[Segment], limit: int) -> tuple[Segment, ...]:
    """The segments, those longer than `limit` cut at blanks, or within a word where it has none.

    The source ranges of the pieces tile the range of the whole.
    """
    return tuple(piece for segment in segments for piece in _cut(segment, limit))


def _cut(segment: Segment, limit: int) -> list[Segment]:
    spoken, total = segment.spoken, len(segment.spoken)
    if total <= limit:
        return [segment]
    pieces: list[Segment] = []
    begin = 0
    start = segment.source_start
    width = segment.source_end - segment.source_start
    while begin < total:
        end = _end_of_piece(spoken, begin, limit)
        source_end = segment.source_end if end == total else segment.source_start + width * end // total
        text = spoken[begin:end].strip()
        if text:
            pieces.append(Segment(text, start, source_end))
            start = source_end
        begin = end
    if pieces and pieces[-1].source_end != segment.source_end:
        pieces[-1] = Segment(pieces[-1].spoken, pieces[-1].source_start, segment.source_end)
    return pieces


def _end_of_piece(spoken: str, begin: int, limit: int) -> int:
    if len(spoken) - begin <= limit:
        return len(spoken)
    blank = spoken.rfind(" ", begin + 1, begin + limit + 1)
    return blank + 1 if blank > begin else begin + limit
