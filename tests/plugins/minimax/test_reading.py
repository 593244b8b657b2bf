"""An answer's bytes, split anywhere: the same audio, once. No network."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.minimax.reading import SpeechReader
from plugins.minimax.wire import SpeechAnswer
from speech_engine import EngineFailed, EngineStumbled
from tests.tables import each_row

AUDIO = bytes(range(256)) * 3
OK = {"status_code": 0, "status_msg": "success"}


def _event(audio: bytes | None, status: int, **more: Any) -> dict[str, Any]:
    data = None if audio is None else {"audio": audio.hex(), "status": status}
    return {"data": data, "base_resp": OK, "trace_id": "t", **more}


def _stream(*events: dict[str, Any], end: str = "\n", done: bool = False) -> bytes:
    lines = [f"data: {msgspec.json.encode(event).decode()}{end}{end}" for event in events]
    return "".join(
        [f": hello{end}{end}", f"event: message{end}", *lines, f"data: [DONE]{end}" * done]
    ).encode()


PLACES = st.lists(st.integers(0, 10_000), max_size=40)
LAST = _event(b"", 2, extra_info={"usage_characters": 26})
WHOLE = _stream(_event(AUDIO[:101], 1), _event(None, 1), _event(AUDIO[101:], 1), LAST)


def _read(pieces: list[bytes]) -> tuple[bytes, SpeechReader]:
    reader = SpeechReader(_nothing_wrong)
    audio = [part for piece in pieces for part in reader.feed(piece)]
    return b"".join([*audio, *reader.flush()]), reader


def _nothing_wrong(answer: SpeechAnswer) -> None:
    assert answer.base_resp is None or answer.base_resp.status_code == 0


def _cut(data: bytes, places: list[int]) -> Iterator[bytes]:
    for start, end in pairwise([0, *sorted(place % len(data) for place in places), len(data)]):
        yield data[start:end]


@given(places=PLACES, end=st.sampled_from(["\n", "\r\n"]), done=st.booleans(), again=st.booleans())
def test_where_the_bytes_are_split_changes_nothing(
    places: list[int], end: str, done: bool, again: bool
) -> None:
    last = _event(AUDIO if again else b"", 2, extra_info={"usage_characters": 26})
    events = (_event(AUDIO[:101], 1), _event(None, 1), _event(AUDIO[101:], 1), last)
    audio, reader = _read(list(_cut(_stream(*events, end=end, done=done), places)))
    assert audio == AUDIO
    assert reader.units == 26


@given(places=PLACES, blanks=st.sampled_from([b"", b" \r\n", b"\n\n"]))
def test_an_answer_in_one_piece_is_read_the_same(places: list[int], blanks: bytes) -> None:
    data = blanks + msgspec.json.encode(_event(AUDIO, 2, extra_info={"usage_characters": 3}))
    audio, reader = _read(list(_cut(data, places)))
    assert audio == AUDIO
    assert reader.units == 3


@given(end=st.integers(0, len(WHOLE) - 1))
def test_a_stream_that_ends_anywhere_before_its_end_is_never_taken_for_whole(end: int) -> None:
    # Up to the closing brace of the last event all is there; only its blank line is missing.
    if WHOLE[end:].strip():
        with pytest.raises(EngineFailed):
            _read([WHOLE[:end]])
    else:
        assert _read([WHOLE[:end]])[0] == AUDIO


def test_the_last_event_is_played_where_no_other_had_audio() -> None:
    assert _read([_stream(_event(AUDIO, 2))])[0] == AUDIO


def test_an_event_after_the_end_is_passed_over() -> None:
    assert _read([_stream(_event(AUDIO, 1), LAST, _event(AUDIO, 1))])[0] == AUDIO


SILENT = (
    _stream(_event(b"", 1), LAST),
    _stream(_event(None, 1), LAST),
    _stream(LAST),
    msgspec.json.encode(_event(b"", 2)),
)


@each_row("body", SILENT)
def test_success_without_audio_may_be_asked_again(body: bytes) -> None:
    with pytest.raises(EngineStumbled):
        _read([body])


@each_row(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"data": ' + b"[" * 100_000,
        b"null",
        b'{"detail": "no"}',
        b"<html>",
        b"data: {\n\n",
        b"data: []\n\n",
        b'data: {"data": {"audio": 1}}\n\n',
        b'data: {"data": {"audio": "0g", "status": 1}}\n\n',
        b'data: {"data": {"audio": "123", "status": 1}}\n\n',
        b'data: {"data": {"audio": "\xff", "status": 1}}\n\n',
        b"\xff\xfe\n\n",
    ],
)
def test_a_body_that_is_no_answer_fails_and_is_not_quoted(body: bytes) -> None:
    with pytest.raises(EngineFailed) as caught:
        _read([body])
    assert caught.value.__cause__ is None
    assert "MiniMax" in caught.value.message


@given(places=PLACES, blank=st.sampled_from(["", " ", "\n"]))
def test_an_answer_without_a_stream_is_the_same_wherever_it_is_split(places: list[int], blank: str) -> None:
    whole = msgspec.json.encode(_event(AUDIO, 2, extra_info={"usage_characters": 26}))
    audio, reader = _read([*_cut(whole.replace(b'"audio":', f'"audio"{blank}:{blank}'.encode()), places)])
    assert audio == AUDIO
    assert reader.units == 26


def test_an_answer_without_a_stream_is_passed_on_as_it_comes_however_long() -> None:
    """Half an hour in one piece: 58 MB of digits, of which none wait for the last."""
    reader, piece, heard = SpeechReader(_nothing_wrong), b"0f" * 500_000, 0
    assert not [*reader.feed(b'{"data":{"audio":"')]
    for _ in range(58):
        heard += sum(map(len, reader.feed(piece)))
    assert heard == 58 * 500_000
    assert not [*reader.feed(b'","status":2},"base_resp":{"status_code":0}}'), *reader.flush()]


def test_an_answer_that_ends_inside_of_its_audio_was_cut() -> None:
    with pytest.raises(EngineFailed, match="not what it promises"):
        _read([b'{"data":{"audio":"0f0f'])
    with pytest.raises(EngineFailed, match="hexadecimal"):
        _read([b'{"data":{"audio":"0f0","status":2},"base_resp":{"status_code":0}}'])
