"""What Whisper's tokens say: parts of a text with their times, and whether to believe them. Only rules."""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeVar

from plugins.whisper.windows import CHUNK, Window

TEMPERATURES: Final = (0.0, 0.2, 0.5, 0.8)
TIME_S: Final = 0.02
MOST_PIECES: Final = 6
_END_S = 0.5
_MOST_REPEATED, _LEAST_LOGPROB, _MOST_NO_SPEECH = 2.4, -1.0, 0.6
"""Whisper's own limits: of a text's compression ratio, of its mean logprob, and of its chance of silence."""
_EARLY_S, _LATE_S = 0.1, 0.3
"""How much before the end of the last span, and behind the beginning of its own, the first word of a span may
be told to begin."""

Span = tuple[float, float]
T = TypeVar("T")


class Part(NamedTuple):
    """A sentence or so, in seconds of its window."""

    start_s: float
    end_s: float
    tokens: tuple[int, ...]


class Attempt(NamedTuple):
    """A window, decoded at a temperature."""

    parts: tuple[Part, ...]
    text: str
    avg_logprob: float
    no_speech: float
    temperature: float

    def __repr__(self) -> str:
        return f"<Attempt of {len(self.parts)} parts at {self.temperature}>"

    @property
    def compression_ratio(self) -> float:
        data = self.text.strip().encode()
        return len(data) / len(zlib.compress(data)) if data else 0.0

    @property
    def repeats(self) -> bool:
        return self.compression_ratio > _MOST_REPEATED

    @property
    def is_unsure(self) -> bool:
        return not self.avg_logprob >= _LEAST_LOGPROB


def best_attempt(
    temperatures: Sequence[float], decode: Callable[[float], Attempt], is_stopped: Callable[[], bool]
) -> Attempt | None:
    """Return the first attempt that neither repeats itself nor is unsure, or else the likeliest one that does
    not repeat itself. Return None if it is stopped, or for silence: Whisper invents a text for that, too."""
    attempts: list[Attempt] = []
    for temperature in temperatures:
        if is_stopped():
            return None
        attempts.append(attempt := decode(temperature))
        if attempt.is_unsure and attempt.no_speech > _MOST_NO_SPEECH:
            return None
        if not attempt.repeats and not attempt.is_unsure:
            return attempt
    return max(attempts, key=lambda each: (not each.repeats, each.avg_logprob))


def parts_of(tokens: Sequence[int], end_of_text: int, first_time: int, sound_s: float) -> tuple[Part, ...]:
    """Return the parts of a window. They end where its sound ends: Whisper repeats itself after that."""
    parts: list[Part] = []
    start_s, text = 0.0, list[int]()
    for token in tokens:
        if token < end_of_text:
            text.append(token)
        elif token >= first_time:
            at_s = min((token - first_time) * TIME_S, sound_s)
            if text:
                parts.append(Part(start_s, max(start_s, at_s), tuple(text)))
                text = []
                if at_s > sound_s - _END_S:
                    return tuple(parts)
            start_s = at_s
    if text:
        parts.append(Part(start_s, sound_s, tuple(text)))
    return tuple(parts)


def pieces(
    window: Window, hear: Callable[[Window], tuple[T, Attempt | None]]
) -> Iterator[tuple[Window, T, Attempt, int]]:
    """Yield what is heard of a window, piece by piece, each with the samples of the next one, or 0. Whisper
    may end before the speech does, and then the rest is a window of its own. The `likely` of the one before
    it ends where it begins."""
    for further in reversed(range(MOST_PIECES)):
        opened, made = hear(window)
        if made is None or not made.parts:
            return
        rest = window.rest(made.parts[-1].end_s)
        if rest is None or rest.start <= window.start:
            yield window, opened, made, 0
            return
        likely = window.likely[: (rest.start - window.start) // CHUNK]
        yield window._replace(likely=likely), opened, made, len(rest.samples) if further else 0
        window = rest


def in_speech(times_s: Sequence[Span], spans_s: Sequence[Span]) -> list[Span]:
    """Return the times of words or sentences, in order, without the pauses between the spans of speech:
    Whisper begins what follows a pause early, by up to the whole pause."""
    if not spans_s:
        return list(times_s)
    begins, ends = zip(*spans_s, strict=True)
    last = len(spans_s) - 1
    places = (
        bisect_right(ends, start_s + min(_EARLY_S, (end_s - start_s) / 2)) for start_s, end_s in times_s
    )
    first_spans = list(accumulate((min(last, place) for place in places), max))
    found: list[Span] = []
    for (start_s, end_s), span, before, after in zip(
        times_s, first_spans, [-1, *first_spans], [*first_spans[1:], last + 1], strict=False
    ):
        is_late = span > before and start_s < begins[span] + _LATE_S
        start_s = begins[span] if is_late else max(start_s, begins[span])
        end_span = max(span, min(bisect_left(begins, end_s), after) - 1)
        end_s = min(end_s, ends[end_span]) if after == span else ends[end_span]
        found.append((start_s, max(start_s, end_s)))
    return found


def word_tokens(
    tokens: Sequence[int], decode: Callable[[list[int]], str], *, has_blanks: bool
) -> list[tuple[str, int]]:
    """Return the words of tokens, each with the number of its tokens. Blanks part them; in a language without
    blanks, each letter is one."""
    words: list[tuple[str, int]] = []
    begun: list[int] = []
    for token in tokens:
        begun.append(token)
        text = decode(begun)
        if "\ufffd" in text and len(begun) < 4:
            continue  # a part of a letter
        if words and has_blanks and not text[:1].isspace():
            text, count = words[-1][0] + text, words[-1][1]
            words[-1] = (text, count + len(begun))
        else:
            words.append((text, len(begun)))
        begun = []
    if begun:
        words.append((decode(begun), len(begun)))
    return words


def mean_log(likely: Sequence[float]) -> float:
    return min(-1e-6, sum(math.log(max(1e-9, each)) for each in likely) / max(1, len(likely)))
