"""Elements of SSML that a client cuts over several messages."""

import pytest

from proxy.errors import InvalidRequest
from proxy.features.elevenlabs_api.ssml_texts import MOST_HELD, SsmlTexts
from tests.tables import each_row

SENT = (
    'R&B &amp; <break time="1s"/> is <phoneme alphabet="ipa" ph="na\u028a">now</phoneme> here. '
    "<p>One <sub alias='two>'>2</sub> three</p> a < b <loud>now</loud>."
)
READ = "R&B & [pause 1s] is now here. One two> three. a < b now."


def said(texts: SsmlTexts, *messages: str) -> str:
    parts = [texts.read_elements(each)[0] for each in messages]
    return " ".join("".join([*parts, texts.read_elements("", is_flush=True)[0]]).split())


@each_row("size", [1, 2, 3, 5, 7, 11, 40, 1000])
def test_a_text_says_the_same_wherever_it_is_cut(size: int) -> None:
    messages = [SENT[place : place + size] for place in range(0, len(SENT), size)]
    assert said(SsmlTexts(), *messages) == READ


@each_row(
    "messages, expected",
    [
        (["Hello ", "there ", "<brea", 'k time="1s"/> you. '], ["Hello ", "there ", "", "[pause 1s] you. "]),
        (["Hello", " there", " <sub alias='you'>", "u</sub>."], ["Hello", " there", " ", "you."]),
        (["One. Two <", " 3 and Q", "&", "A."], ["One. Two ", "< 3 and Q", "", "&A."]),
        (["<p>One. ", "Two. ", "</p>Three."], ["", "", "One. Two. Three."]),
        (["<p></p>", "a"], ["", "a"]),
        (["<!-- a <note -->Hello. ", "More. "], ["Hello. ", "More. "]),
        (["Wait <break", " ", 'time="1s"/> now.'], ["Wait ", "", "[pause 1s] now."]),
    ],
)
def test_all_that_is_whole_is_read_at_once(messages: list[str], expected: list[str]) -> None:
    texts = SsmlTexts()
    assert [" ".join(texts.read_elements(each)[0].split("\n\n")) for each in messages] == expected
    assert not texts.is_holding


def test_sounds_come_with_their_word() -> None:
    texts = SsmlTexts()
    assert texts.read_elements('It is <phoneme alphabet="ipa" ph="na\u028a">') == ("It is ", {})
    assert texts.read_elements("now</phoneme>.") == ("now.", {"now": "/na\u028a/"})


@each_row("messages", [["One <sub alias='b'>"], ["One <brea"], ["<p>One", " two"], ["<p>", "x" * MOST_HELD]])
def test_what_is_not_whole_at_a_flush_or_too_long_is_a_fault(messages: list[str]) -> None:
    texts = SsmlTexts()
    with pytest.raises(InvalidRequest) as refused:
        said(texts, *messages)
    assert refused.value.code == "invalid_ssml"
