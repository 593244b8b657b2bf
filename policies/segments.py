"""Cut segments to the length that an engine takes. Segments are never joined."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import msgspec

from speech_engine import Rewritten, Segment

# Vowels of Thai and Lao. Unicode calls them letters, but none can stand without its consonant.
_NEVER_FIRST = frozenset("ะาำๅๆฯະາຳຽໆຯ")
_NEVER_LAST = frozenset("เแโใไເແໂໃໄ")
_JOINER = "\u200d"


def fit_segments(segments: Iterable[Segment], limit: int) -> tuple[Segment, ...]:
    """Cut segments that are longer than `limit` at blanks, or within a word that is too long itself.

    Marks, and the vowels of Thai and Lao, stay with their letter. The source ranges of the pieces cover the
    range of the whole.
    """
    pieces: list[Segment] = []
    for segment in segments:
        pieces += [segment] if len(segment.spoken) <= limit else _cut(segment, limit)
    return tuple(pieces)


def _cut(segment: Segment, limit: int) -> list[Segment]:
    spoken, total = segment.spoken, len(segment.spoken)
    pieces: list[Segment] = []
    spoken_start = 0
    source_start = segment.source_start
    while spoken_start < total:
        spoken_end = _end_of_piece(spoken, spoken_start, limit)
        text = spoken[spoken_start:spoken_end].strip()
        if text:
            source_end = _source_place(segment, spoken_end)
            first = spoken.index(text, spoken_start)
            pieces.append(
                Segment(text, source_start, source_end, _rewritten_within(segment, first, first + len(text)))
            )
            source_start = source_end
        spoken_start = spoken_end
    if pieces:
        pieces[-1] = msgspec.structs.replace(
            pieces[-1], source_end=segment.source_end, ends_paragraph=segment.ends_paragraph
        )
    return pieces


def shift_segment(segment: Segment, by: int, *, ends_paragraph: bool) -> Segment:
    """Return a segment of a paragraph with its places in the whole text, where the paragraph begins at
    `by`."""
    return msgspec.structs.replace(
        segment,
        source_start=segment.source_start + by,
        source_end=segment.source_end + by,
        rewritten=tuple(
            msgspec.structs.replace(one, source_start=one.source_start + by, source_end=one.source_end + by)
            for one in segment.rewritten
        ),
        ends_paragraph=ends_paragraph,
    )


def _source_place(segment: Segment, at: int) -> int:
    """Return the place in the source for a place in `spoken`. Within text that was rewritten or collapsed, it
    is interpolated."""
    rewritten = segment.rewritten
    number = bisect_right(rewritten, at, key=lambda one: one.spoken_end)
    spoken_from, source_from = 0, segment.source_start
    if number:
        spoken_from, source_from = rewritten[number - 1].spoken_end, rewritten[number - 1].source_end
    if number == len(rewritten):
        return _interpolated_place(
            at, Rewritten(spoken_from, len(segment.spoken), source_from, segment.source_end)
        )
    one = rewritten[number]
    if at > one.spoken_start:
        return _interpolated_place(at, one)
    return _interpolated_place(at, Rewritten(spoken_from, one.spoken_start, source_from, one.source_start))


def _interpolated_place(at: int, one: Rewritten) -> int:
    width, length = one.source_end - one.source_start, one.spoken_end - one.spoken_start
    return one.source_start + width * (at - one.spoken_start) // max(1, length)


def _rewritten_within(segment: Segment, begin: int, end: int) -> tuple[Rewritten, ...]:
    """Return the rewritten ranges of a piece. If such a range is cut, both pieces have its whole source."""
    first = bisect_right(segment.rewritten, begin, key=lambda one: one.spoken_end)
    last = bisect_left(segment.rewritten, end, key=lambda one: one.spoken_start)
    return tuple(
        Rewritten(
            max(one.spoken_start, begin) - begin,
            min(one.spoken_end, end) - begin,
            one.source_start,
            one.source_end,
        )
        for one in segment.rewritten[first:last]
    )


def _end_of_piece(spoken: str, begin: int, limit: int) -> int:
    last = begin + limit
    if len(spoken) <= last:
        return len(spoken)
    blanks = (at + 1 for at in range(last, begin, -1) if spoken[at] == " ")
    places = (*blanks, *range(last, begin, -1))
    return next((at for at in places if not _is_within_a_letter(spoken, at)), last)


def _is_within_a_letter(spoken: str, at: int) -> bool:
    """Return whether the characters on both sides of this place form one letter or sign."""
    if at == len(spoken):
        return False
    before, after = spoken[at - 1], spoken[at]
    joined = _JOINER in (before, after) or before in _NEVER_LAST
    return joined or after in _NEVER_FIRST or unicodedata.category(after).startswith("M")
