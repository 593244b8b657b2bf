"""Cuts the parts of a checked plan at their sentences, so that each is heard alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec.structs import replace

from policies import estimate
from policies.paragraphs import paragraph_starts
from proxy.speech.part import Part
from speech_engine.text.cleaning import is_speech
from speech_engine.text.dialogue import dialogue_ends

MOST_PARTS = 128
_LEAST_S = 2.0
"""A shorter sentence belongs to the next one."""
_SENTENCE_PAUSE_S, _PARAGRAPH_PAUSE_S = 0.26, 0.66
"""The pauses between two parts. The two ends of an engine's sound have 190 ms of silence more."""


def at_sentences(parts: Sequence[Part], text: str, speed: float) -> tuple[Part, ...]:
    """Return the parts, cut at their sentences. Many sentences are joined, so that there are not too many."""
    least_s = _LEAST_S
    while True:
        found = [piece for part in parts for piece in _pieces(part, text, speed, least_s)]
        if len(found) <= max(MOST_PARTS, len(parts)):
            return tuple(found)
        least_s *= 2


def _pieces(part: Part, text: str, speed: float, least_s: float) -> Iterator[Part]:
    """Yield the pieces of a part. A model that joins sentences speaks a whole paragraph."""
    part_text = text[part.start : part.end]
    starts = set(paragraph_starts(part_text))
    joins = part.candidates[0].model.info.joins_segments
    borders = starts if joins else starts.union(dialogue_ends(part_text, part.language))
    ends = [0]
    for end in sorted(borders | {len(part_text)}):
        piece = part_text[ends[-1] : end]
        if is_speech(piece) and estimate.speech_seconds(piece, speed) >= least_s:
            ends.append(end)
    if ends[-1] < len(part_text):
        # A short rest belongs to the piece before it.
        if len(ends) > 1:
            ends.pop()
        ends.append(len(part_text))
    # The signs before a part, such as the name of its speaker, are charged with its first piece.
    before = part.characters - len(part_text)
    for begin, end in pairwise(ends):
        # The blanks between two paragraphs may belong to the one behind.
        behind = len(part_text) - len(part_text[end:].lstrip())
        is_paragraph = any(end <= start <= behind for start in starts)
        pause_s = (_PARAGRAPH_PAUSE_S if is_paragraph else _SENTENCE_PAUSE_S) / speed
        yield replace(
            part,
            start=part.start + begin,
            end=part.start + end,
            characters=end - begin + before,
            estimated_s=estimate.speech_seconds(part_text[begin:end], speed),
            pause_s=part.pause_s if end == len(part_text) else pause_s,
            requested_pause_s=part.requested_pause_s if end == len(part_text) else 0.0,
        )
        before = 0
