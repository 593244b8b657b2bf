"""A sentencepiece model becomes JSON of the same tokens; what is none, or does more, is refused."""

import json
import random
import struct
from typing import Any

import pytest

from speech_engine.model_files import UnusableModel
from speech_engine.model_files.sentencepiece import tokenizer_json
from tests.onnx_bytes import number, part
from tests.tables import each_row


def piece(text: str, score: float = 0.0, kind: int = 1) -> bytes:
    return part(1, part(1, text) + bytes([2 << 3 | 5]) + struct.pack("<f", score) + number(3, kind))


UNKNOWN = piece("<unk>", kind=2)
PIECES = UNKNOWN + piece("<s>", kind=3) + piece("▁a", -1.5) + piece("b", -2.0) + piece("<p>", kind=4)


def read(data: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(tokenizer_json(memoryview(data)))
    return content


def test_pieces_keep_their_numbers_and_what_no_text_has_gets_another_name() -> None:
    content = read(PIECES)
    assert content["model"] == {
        "type": "Unigram",
        "unk_id": 0,
        "vocab": [["\uffff0", 0.0], ["\uffff1", 0.0], ["▁a", -1.5], ["b", -2.0], ["<p>", 0.0]],
        "byte_fallback": False,
    }
    assert [(each["id"], each["content"], each["special"]) for each in content["added_tokens"]] == [
        (4, "<p>", False)
    ]


def test_what_the_normalizer_does_is_done_in_the_same_order() -> None:
    content = read(PIECES + part(3, part(2, b"map") + number(3, 0)))
    steps = content["normalizer"]["normalizers"]
    assert [step["type"] for step in steps] == ["Precompiled", "Strip", "Replace"]
    assert steps[0]["precompiled_charsmap"] == "bWFw"
    assert content["pre_tokenizer"]["prepend_scheme"] == "never"
    assert read(PIECES + part(3, number(4, 0)))["normalizer"] is None


@each_row(
    ("data", "says"),
    [
        (b"", "exactly one piece for what is unknown"),
        (piece("a"), "exactly one piece"),
        (UNKNOWN + UNKNOWN, "exactly one piece"),
        (PIECES + piece("b"), "a piece twice"),
        (PIECES + piece(""), "piece 5 makes no sense"),
        (PIECES + piece("\uffffx"), "makes no sense"),
        (PIECES + piece("x", float("nan")), "makes no sense"),
        (PIECES + piece("x", kind=9), "makes no sense"),
        (PIECES + piece("x" * 600), "name of 600 bytes"),
        (PIECES + part(1, part(2, b"xy")), "a score that is no number"),
        (PIECES + part(2, number(3, 2)), "another kind than Unigram"),
        (PIECES + part(2, number(24, 1)), "at the ends of words"),
        (PIECES + part(2, part(53, "|")), "a mark of its own"),
        (PIECES + part(3, number(5, 0)), "leaves spaces as they are"),
        (PIECES + part(3, part(2, bytes(5 * 2**20))), "its map of characters has more"),
        (PIECES + part(9, b""), "the field 9"),
        (PIECES + part(2, b"") + part(2, b""), "twice"),
        (PIECES[:-1], "cut off"),
        (b"\x80\x02}q\x00.", "no protobuf|does not know|cut off|groups"),
    ],
)
def test_what_is_no_such_model_or_does_more_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(UnusableModel, match=says):
        read(data)


def outcome(data: bytes) -> str:
    try:
        read(data)
    except UnusableModel as refused:
        return str(refused)
    return ""


def test_spoilt_bytes_are_refused_or_read_and_nothing_else_happens() -> None:
    chance = random.Random(11)
    said = []
    for _ in range(2_000):
        data = bytearray(PIECES)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        said.append(outcome(bytes(data)))
    assert max(map(len, said)) < 200
    assert 0 < said.count("") < len(said)
