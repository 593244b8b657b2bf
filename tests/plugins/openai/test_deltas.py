"""Speech as events, in every habit that servers have, cut anywhere: the bytes of the audio, and its end."""

import asyncio
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.openai.habits import HABITS
from fakes.openai.streams import events
from plugins.openai.deltas import AudioBody
from speech_engine import EngineError, EngineFailed, EngineLimited
from tests.tables import each_row

AUDIO = [b"\xff\xf3" + bytes(100), bytes(range(256)), b"\0"]


class _Played:
    """An answer that was recorded, in pieces of any size; `breaks` at its end as a cut connection does."""

    status = 200

    def __init__(self, pieces: list[bytes], label: str = "", breaks: bool = False) -> None:
        self.headers: Mapping[str, str] = {"content-type": label}
        self._pieces = list(pieces)
        self._breaks = breaks

    async def next_piece(self) -> bytes:
        await asyncio.sleep(0)
        # A piece without bytes would be the end.
        while self._pieces:
            if piece := self._pieces.pop(0):
                return piece
        if self._breaks:
            raise EngineFailed("cut off")
        return b""

    async def read(self, most_bytes: int = 0) -> bytes:
        return b"".join(self._pieces)


def _audio(answer: _Played) -> tuple[bytes, AudioBody]:
    async def reading() -> tuple[bytes, AudioBody]:
        body, audio = AudioBody(answer), b""
        while not body.is_over:
            audio += b"".join(await body.next_audio())
        return audio, body

    return asyncio.run(reading())


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % len(data) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


WHOLE = [name for name, habits in HABITS.items() if habits.has_events and name != "cut"]


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 100_000), max_size=30))
def test_every_habit_gives_the_same_audio_wherever_it_is_cut(habit: str, places: list[int]) -> None:
    stream = b"".join(events(iter(AUDIO), 7, HABITS[habit]))
    audio, body = _audio(_Played(_cut(stream, places)))
    assert audio == b"".join(AUDIO)
    assert body.is_over
    assert body.units == (107.0 if HABITS[habit].ends_with != "[DONE]" else None)


def test_an_end_that_nobody_announced_is_a_cut() -> None:
    stream = b"".join(events(iter(AUDIO), 7, HABITS["cut"]))
    with pytest.raises(EngineFailed):
        _audio(_Played([stream]))


def test_hanging_up_is_rude_but_harmless_once_it_is_done() -> None:
    stream = b"".join(events(iter(AUDIO), 7, HABITS[""]))
    assert _audio(_Played([stream], breaks=True))[0] == b"".join(AUDIO)
    with pytest.raises(EngineFailed):
        _audio(_Played([stream[:-20]], breaks=True))


@each_row("label", ["", "audio/mpeg", "text/event-stream"])
def test_bytes_where_events_were_asked_for_are_taken_as_they_are(label: str) -> None:
    assert _audio(_Played(AUDIO[:2], label))[0] == b"".join(AUDIO[:2])[: 102 + 256]


def test_sound_that_looks_a_little_like_events_is_sound() -> None:
    pcm = b"data:" + bytes(range(100))
    assert _audio(_Played([pcm[:3], pcm[3:]]))[0] == pcm


@each_row(
    "event",
    [
        b"{",
        b"[1]",
        b'{"type":"speech.audio.delta","audio":"AAA"}',
        b'{"type":"speech.audio.delta","audio":"\xc3\xa4"}',
        b'{"type":"speech.audio.delta","audio":7}',
        b'{"type":"error","error":{"code":"server_error"}}',
        b'{"type":"speech.audio.error","error":{"code":500}}',
        b'{"error":"no"}',
    ],
)
def test_an_event_that_is_no_audio_ends_it(event: bytes) -> None:
    stream = b'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\ndata: ' + event + b"\n\n"
    with pytest.raises(EngineError) as caught:
        _audio(_Played([stream]))
    assert type(caught.value) is EngineFailed


def test_an_error_among_the_events_says_which() -> None:
    with pytest.raises(EngineLimited):
        _audio(_Played([b'data: {"type":"error","error":{"code":"rate_limit_exceeded"}}\n\n']))


def test_events_of_other_kinds_are_passed_over() -> None:
    stream = b'data: {"type":"session.started"}\n\ndata: {"audio":"AAAA"}\n\ndata: [DONE]\n\n'
    assert _audio(_Played([stream]))[0] == bytes(3)
