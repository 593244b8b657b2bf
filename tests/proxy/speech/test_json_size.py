"""The size of JSON is counted without decoding it, wherever its slices are cut."""

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.speech.json_size import MOST_STRUCTURE, json_size
from tests.proxy.speech.test_speech_request import json_values

STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


@given(json_values, st.booleans(), st.sampled_from((None, 2)))
@settings(max_examples=30, deadline=None)
def test_only_what_is_outside_of_texts_is_structure(value: object, ascii_: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_, indent=indent)
    structure, _ = json_size(text.encode("utf-8", "surrogatepass"))
    assert structure == len("".join(STRING.sub("", text).split()))


@given(
    st.lists(st.sampled_from(["\\", '"', "[", "a", "é", "😀", "\n", "\x01"]), min_size=1, max_size=8),
    st.integers(16_300, 16_400),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_a_text_is_not_longer_than_it_is(signs: list[str], length: int, ascii_: bool) -> None:
    said = "a" * length + "".join(signs) * (40_000 // len(signs))
    text = json.dumps([said, said], ensure_ascii=ascii_).encode()
    structure, characters = json_size(text)
    assert structure == 3
    slack = 5 * (len(text) // 16_384 + 1)  # for escapes that two slices share
    there = len('["", ""]') + 2 * len(said)
    half = text.count(b"\\u") / 2  # it may be one of two that make a character
    assert there - half - slack <= characters <= there + slack


def test_it_stops_soon() -> None:
    structure, _ = json_size(b"[" * 10_000_000)
    assert MOST_STRUCTURE < structure < 3 * MOST_STRUCTURE
