"""The shared parts of engines of providers that hear: a recording goes in pieces, and their segments are put
one after another into the time of the whole."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, NamedTuple

from speech_engine.bounds import cut
from speech_engine.errors import EngineFailed
from speech_engine.events import Event, Finished, ProviderCount
from speech_engine.hearing import HEARING_HZ, Transcript, TranscriptSegment, TranscriptWord
from speech_engine.http import HttpAnswer, HttpFile, HttpForm
from speech_engine.language_names import UNSPACED, base_tag
from speech_engine.pcm import wav_file

MOST_PIECE_S = 300.0
"""A request is in memory several times, so no piece has more than 10 MB. Some providers take up to 25."""

_LATER_PIECE_S = 120.0
"""The longest wait for the answer to a later piece. A job's deadline is only for the first one."""
_SECOND_BYTES = 2 * HEARING_HZ
_SEARCH_S = 30.0
_BLOCK_SAMPLES = HEARING_HZ // 50
_PAUSE_BLOCKS = 15
_MOST_LATE_S = 30.0
"""Recognisers fill their last window, so a time may lie so far behind the end."""
MOST_TEXT_CHARACTERS = 32_768


class WavPiece(NamedTuple):
    start_s: float
    pcm: bytes

    def __repr__(self) -> str:
        return f"<WavPiece of {self.seconds:.2f} s from {self.start_s:.2f} s>"

    @property
    def seconds(self) -> float:
        return len(self.pcm) / _SECOND_BYTES

    @property
    def end_s(self) -> float:
        return self.start_s + self.seconds

    def form(self, fields: Iterable[tuple[str, str]]) -> HttpForm:
        file = HttpFile("file", "recording.wav", wav_file(self.pcm, HEARING_HZ), "audio/wav")
        return HttpForm(tuple(fields), (file,))


async def transcript_events(
    pcm: AsyncIterator[bytes],
    deadline_s: float,
    ask: Callable[[WavPiece, float], AbstractAsyncContextManager[HttpAnswer]],
    segments: Callable[[WavPiece, bytes], Iterable[TranscriptSegment | None]],
) -> AsyncGenerator[Event, None]:
    """Hear one piece after the other. `ask` gives an answer that is no refusal, within some seconds, and
    `segments` reads its body."""
    up_to_s = 0.0
    async with aclosing(recording_pieces(pcm)) as pieces:
        async for piece in pieces:
            # Some servers take nearly as long as the piece.
            first_s = max(deadline_s, (piece.end_s - piece.start_s) / 2)
            async with ask(piece, _LATER_PIECE_S if piece.start_s else first_s) as answer:
                up_to_s = piece.end_s
                # It is billed now, whatever the answer is.
                yield ProviderCount(up_to_s)
                body = await answer.read()
            yield Transcript(tuple(filter(None, segments(piece, body))), up_to_s)
    yield Finished(up_to_s)


async def recording_pieces(pcm: AsyncIterator[bytes]) -> AsyncGenerator[WavPiece, None]:
    """Yield a recording in pieces, each but the last one cut at the quietest place of its last seconds."""
    most_bytes = _SECOND_BYTES * round(MOST_PIECE_S)
    held, start = bytearray(), 0
    async for data in pcm:
        held += data
        while len(held) > most_bytes:
            end = _quiet_cut(held, most_bytes)
            piece = WavPiece(start / _SECOND_BYTES, bytes(held[:end]))
            del held[:end]
            start += end
            yield piece
    if len(held) > 1:
        yield WavPiece(start / _SECOND_BYTES, bytes(held[: len(held) // 2 * 2]))


def _quiet_cut(pcm: bytearray, most_bytes: int) -> int:
    """Return the middle of the quietest pause before `most_bytes`; of several, the latest."""
    first = max(most_bytes // 2, most_bytes - round(_SEARCH_S * _SECOND_BYTES)) // 2 * 2
    samples = array("h", bytes(pcm[first:most_bytes]))
    # Every fourth sample is enough for a level.
    levels = [
        sum(map(abs, samples[at : at + _BLOCK_SAMPLES : 4])) for at in range(0, len(samples), _BLOCK_SAMPLES)
    ]
    pauses = [sum(levels[at : at + _PAUSE_BLOCKS]) for at in range(max(1, len(levels) - _PAUSE_BLOCKS))]
    quietest = max(range(len(pauses)), key=lambda at: (-pauses[at], at))
    return first + 2 * min(len(samples), _BLOCK_SAMPLES * (quietest + _PAUSE_BLOCKS // 2))


class TimedText(NamedTuple):
    """A text with its times in a piece. Without them it is 0 to the end of the piece."""

    text: str
    start_s: float = 0.0
    end_s: float = float("inf")
    logprob: float = 0.0

    def __repr__(self) -> str:
        return f"<TimedText {self.start_s:.2f}-{self.end_s:.2f}>"


class SegmentJoiner:
    """Makes the segments of a whole recording from those of its pieces, in order."""

    def __init__(self) -> None:
        self._earliest_s = 0.0
        self._has_text = False

    def join(
        self,
        piece: WavPiece,
        found: TimedText,
        words: Iterable[TimedText] = (),
        language: str = "",
        **numbers: Any,
    ) -> TranscriptSegment | None:
        """Return a segment, or None if it has no text. Times that are a little off are moved to where they
        can be. Raises EngineFailed for others."""
        text = found.text.strip()
        if not text:
            return None
        if len(text) > MOST_TEXT_CHARACTERS:
            raise EngineFailed("The provider's text is longer than one of this recording.")
        start_s, end_s = self._bounded_times(piece, found)
        is_parted = found.text[:1].isspace() or base_tag(language) not in UNSPACED
        lead = " " if self._has_text and is_parted else ""
        self._has_text, self._earliest_s = True, start_s
        timed = []
        for word in words:
            word_start_s, word_end_s = self._bounded_times(piece, word)
            self._earliest_s = min(word_start_s, end_s)
            timed.append(
                TranscriptWord(self._earliest_s, min(word_end_s, end_s), cut(word.text), word.logprob)
            )
        self._earliest_s = start_s
        return TranscriptSegment(
            start_s=start_s,
            end_s=end_s,
            text=f"{lead}{text}",
            words=tuple(timed),
            language=language,
            **numbers,
        )

    def _bounded_times(self, piece: WavPiece, found: TimedText) -> tuple[float, float]:
        end_s = piece.seconds if found.end_s == float("inf") else found.end_s
        if not all(-1.0 <= time_s <= piece.seconds + _MOST_LATE_S for time_s in (found.start_s, end_s)):
            raise EngineFailed("The provider's times are none of this recording.")
        start_s = min(max(self._earliest_s, piece.start_s, piece.start_s + found.start_s), piece.end_s)
        return start_s, max(start_s, min(piece.start_s + end_s, piece.end_s))


def take_words(segment: TimedText, words: deque[TimedText]) -> list[TimedText]:
    """Take the words of a segment from the front of all words. Providers leave marks out of them, so each
    word gets the part of the segment's text from its place to the next one's, with the marks beside it."""
    text, places = segment.text.strip(), list[tuple[int, TimedText]]()
    at = 0
    while words:
        word = words[0].text.strip()
        place = text.find(word, at) if word else -1
        if place < 0 and (words[0].start_s + words[0].end_s) / 2 >= segment.end_s:
            break
        found = words.popleft()
        if place >= 0:
            places.append((text.rfind(" ", at, place) + 1 or place, found))
            at = place + len(word)
    if not places:
        return [segment._replace(text=text)]
    begins = [0, *(place for place, _ in places[1:]), len(text)]
    return [
        word._replace(text=text[begin:end].strip())
        for (_, word), begin, end in zip(places, begins, begins[1:], strict=False)
    ]
